//! Both directions of an HTTP/1 connection: requests with their responses.

use super::head::{Head, Start};
use super::message::{Event, Framing, Message};
use super::pairing::{Order, Pairing};
use crate::app::content::{Body, BodyFile, Finished, MAX_DECODED, Work};
use crate::stream::{Piece, Place};
use std::collections::VecDeque;

/// Why exchanges do not pair where more are open than `MAX_OPEN`.
pub(in crate::app) const CROWDED: &str = "more than 1024 requests at a time";

/// Which message of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The client's.
    Request,
    /// The server's.
    Response,
}

/// One message of an exchange.
#[derive(Debug)]
pub struct Part {
    /// Its head.
    pub head: Box<Head>,
    /// The frame of its first byte.
    pub first: Place,
    /// The frame in which it was complete.
    pub last: Place,
    /// What its body was, once it is over.
    pub body: Finished,
    /// The file that the body went to.
    pub file: Option<BodyFile>,
    /// Name of the file that it was given.
    pub path: Option<String>,
    /// What is wrong with it; `None` while it is whole.
    pub fault: Option<&'static str>,
    /// Nothing is known of its body: its head was cut, or what came behind that was not captured.
    pub(in crate::app) is_unseen: bool,
    running: Option<Body>,
    pub(super) over: bool,
}

/// A request and its response, as far as they were seen.
#[derive(Debug, Default)]
pub struct Exchange {
    /// Position in its connection, from 1.
    pub depth: u32,
    /// The request.
    pub request: Option<Part>,
    /// The final response.
    pub response: Option<Part>,
    /// The connection goes on with another protocol behind this.
    pub switched: bool,
    /// Frames of the WebSocket that the connection became, by client and server.
    pub websocket: Option<[u64; 2]>,
    /// Whether the two belong together.
    pub pairing: Pairing,
}

impl Part {
    /// A message that is over.
    pub(crate) fn whole(
        head: Box<Head>,
        (first, last): (Place, Place),
        body: Finished,
        file: Option<BodyFile>,
        fault: Option<&'static str>,
    ) -> Self {
        Self { head, first, last, body, file, path: None, fault, is_unseen: false, running: None, over: true }
    }

    /// Bytes of its body as far as that was seen; `None` if nothing is known of it.
    #[must_use]
    pub fn body_len(&self) -> Option<u64> {
        (!self.is_unseen).then_some(self.body.len)
    }
}

impl Exchange {
    /// Why the exchange is not whole; `None` if it is.
    #[must_use]
    pub fn fault(&self) -> Option<&'static str> {
        let missing = |part: &Part| (!part.body.missing.is_empty()).then_some("bytes are missing");
        let parts = || [&self.request, &self.response].into_iter().flatten();
        parts()
            .find_map(|part| part.fault)
            .or_else(|| parts().find_map(missing))
            .or(self.doubt())
            .or_else(|| parts().find_map(|part| part.body.fault))
            .or_else(|| self.lack())
    }

    fn lack(&self) -> Option<&'static str> {
        match (&self.request, &self.response) {
            (Some(_), Some(_)) => None,
            _ if self.pairing.crowded => Some(CROWDED),
            (None, _) => Some("no request"),
            (_, None) => Some("no response"),
        }
    }

    /// Why its two messages may not belong together; `None` if they do.
    #[must_use]
    pub fn doubt(&self) -> Option<&'static str> {
        self.pairing.doubtful.then_some(if self.pairing.crowded { CROWDED } else { "bytes are missing" })
    }

    fn part(&mut self, side: Side) -> &mut Option<Part> {
        match side {
            Side::Request => &mut self.request,
            Side::Response => &mut self.response,
        }
    }

    /// Bytes of the texts of its heads.
    pub(in crate::app) fn text_len(&self) -> usize {
        [&self.request, &self.response].into_iter().flatten().map(|part| part.head.text_len()).sum()
    }

    /// Method of the request, if it was seen.
    #[must_use]
    pub fn method(&self) -> Option<&str> {
        match &self.request.as_ref()?.head.start {
            Start::Request { method, .. } => Some(method),
            Start::Response { .. } => None,
        }
    }
}

/// What is done with bodies.
pub trait Bodies {
    /// The file for a body that begins; `None` writes none.
    fn open(&mut self, exchange: &Exchange, side: Side) -> Option<BodyFile>;
    /// What is done with their bytes.
    fn work(&self) -> Work;
    /// Longest decoded body.
    fn limit(&self) -> u64 {
        MAX_DECODED
    }
}

/// Hashes bodies and writes none.
pub struct Hashed(pub bool);

impl Bodies for Hashed {
    fn open(&mut self, _: &Exchange, _: Side) -> Option<BodyFile> {
        None
    }
    fn work(&self) -> Work {
        if self.0 { Work::Hash } else { Work::Count }
    }
}

/// What an HTTP/1 connection has become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A tunnel (CONNECT): anything may follow.
    Tunnel,
    /// The protocol that the Upgrade field named.
    WebSocket,
    /// HTTP/2 in clear.
    Http2,
    /// An upgrade to something else.
    Other,
}

/// A connection.
#[derive(Debug, Default)]
pub struct Conversation {
    pub(super) sides: [Message; 2],
    /// Boxed, since each moves from here through `done` to its row.
    pub(super) open: VecDeque<Box<Exchange>>,
    /// Index in `open` of the exchange that each side is in.
    pub(super) current: [Option<usize>; 2],
    pub(super) order: Order,
    switched: Option<Next>,
    #[allow(clippy::vec_box)] // they come boxed and go boxed
    pub(super) done: Vec<Box<Exchange>>,
}

impl Conversation {
    /// Both sides are seen from the first byte of the connection.
    pub fn begins_here(&mut self) {
        self.order.from_start = true;
    }

    /// The exchanges that are over, in order. Taken out.
    pub fn take_done(&mut self) -> std::vec::Drain<'_, Box<Exchange>> {
        self.done.drain(..)
    }

    /// Whether any exchange is over.
    #[must_use]
    pub fn has_done(&self) -> bool {
        !self.done.is_empty()
    }

    /// The head of the first request that has been seen.
    #[must_use]
    pub fn first_request(&self) -> Option<&Head> {
        self.done.iter().chain(&self.open).find_map(|exchange| exchange.request.as_ref()).map(|part| &*part.head)
    }

    /// What the connection has become, once it is HTTP/1 no longer.
    #[must_use]
    pub fn switched(&self) -> Option<Next> {
        self.switched
    }

    /// Whether both sides have left HTTP/1 for good.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.sides.iter().all(Message::is_over)
    }

    /// Bytes that the parsers of both sides keep.
    #[must_use]
    pub fn sides_held(&self) -> usize {
        self.sides.iter().map(Message::held).sum()
    }

    /// The earliest frame of an exchange that is not over.
    #[must_use]
    pub fn oldest_open(&self) -> Option<u64> {
        let first = |part: &Option<Part>| part.as_ref().map_or(u64::MAX, |part| part.first.frame);
        self.open.iter().map(|one| first(&one.request).min(first(&one.response))).min()
    }

    /// Takes bytes if they lie within a body of known length, as most do: nothing begins, ends or changes there.
    #[inline]
    pub fn within_body(&mut self, side: Side, bytes: &[u8], place: Place) -> bool {
        let within = self.sides[side as usize].within_body(bytes.len(), place);
        if within && let Some(body) = self.running(side) {
            body.data(bytes);
        }
        within
    }

    /// The next piece of one side's stream; returns what of it belongs to the protocol that HTTP/1 was left for.
    pub fn piece<'a>(&mut self, side: Side, piece: Piece<'a>, bodies: &mut dyn Bodies) -> &'a [u8] {
        let at = side as usize;
        match piece {
            Piece::Data(mut bytes, place) => {
                if self.switched.is_some() && self.sides[at].is_over() {
                    return bytes;
                }
                while let Some(event) = self.sides[at].step(&mut bytes, place) {
                    self.event(side, event, bodies);
                    // Behind a switch the rest is not HTTP/1; a step would throw it away.
                    if self.switched.is_some() && self.sides[at].is_over() {
                        return bytes;
                    }
                }
                &[]
            }
            Piece::Gap(mut len, place) => {
                while let Some(event) = self.sides[at].gap(&mut len, place) {
                    self.event(side, event, bodies);
                }
                if let Some(event) = self.sides[at].step(&mut &[][..], place) {
                    self.event(side, event, bodies);
                }
                if self.sides[at].is_lost() {
                    self.hole(side);
                }
                &[]
            }
        }
    }

    /// One side's stream is over; `whole` with a FIN and without anything missing at its end.
    pub fn close(&mut self, side: Side, whole: bool, place: Place, bodies: &mut dyn Bodies) {
        let ended = self.sides[side as usize].has_last_chunk();
        if !whole
            && !ended
            && let Some(part) = self.current_part(side)
        {
            part.is_unseen = part.running.as_ref().is_some_and(Body::is_empty);
        }
        if let Some(event) = self.sides[side as usize].close(whole, place) {
            self.event(side, event, bodies);
        }
    }

    /// The connection is over: whatever is open comes out as it is.
    pub fn finish(&mut self, bodies: &mut dyn Bodies) {
        self.close(Side::Request, false, Place::default(), bodies);
        self.close(Side::Response, false, Place::default(), bodies);
        self.settle_all();
    }

    fn event(&mut self, side: Side, event: Event<'_>, bodies: &mut dyn Bodies) {
        let at = side as usize;
        match event {
            Event::Head(head, first, fault) => self.head(side, head, first, fault, bodies),
            Event::Garbled => self.doubt(side),
            Event::Body(bytes) => {
                if let Some(body) = self.running(side) {
                    body.data(bytes);
                }
            }
            Event::Missing(len) => {
                if let Some(body) = self.running(side) {
                    body.gap(len);
                }
            }
            Event::End(last, fault) => {
                let Some(index) = self.current[at].take() else { return };
                let is_lost = self.sides[at].is_lost();
                if let Some(part) = self.open.get_mut(index).and_then(|exchange| exchange.part(side).as_mut()) {
                    end(part, last, fault);
                    part.is_unseen |= is_lost && part.body.len == 0;
                }
                self.settle();
            }
        }
    }

    /// The message that a side is in.
    fn current_part(&mut self, side: Side) -> Option<&mut Part> {
        let index = self.current[side as usize]?;
        self.open.get_mut(index)?.part(side).as_mut()
    }

    fn running(&mut self, side: Side) -> Option<&mut Body> {
        self.current_part(side)?.running.as_mut()
    }

    fn head(
        &mut self,
        side: Side,
        head: Box<Head>,
        first: Place,
        fault: Option<&'static str>,
        bodies: &mut dyn Bodies,
    ) {
        let at = side as usize;
        let status = match head.start {
            Start::Response { status, .. } => Some(status),
            Start::Request { .. } => None,
        };
        if (status.is_some()) != (side == Side::Response) {
            // A status line from the client, or the other way round: not a conversation that can be followed. Behind a
            // hole it is a line of a body.
            if self.sides[at].has_lost() {
                self.sides[at].lose();
                self.doubt(side);
            } else if let Some(event) = self.sides[at].body(Framing::Switch) {
                drop(event);
            }
            return;
        }
        if status.is_some_and(|status| (100..200).contains(&status) && status != 101) {
            // Interim (RFC 9110, 15.2): the final response is still to come.
            let _ = self.sides[at].body(Framing::None);
            return;
        }
        let index = self.place(side, first);
        let (framing, odd) = head.framing(self.open[index].method());
        if let (Start::Request { method, .. }, Some(response)) = (&head.start, &self.open[index].response)
            && response.head.framing(Some(method)) != response.head.framing(None)
        {
            // Its end was looked for without the method, and in the wrong place.
            self.open[index].pairing.doubtful = true;
        }
        let cut = self.sides[at].take_unsure().then_some("bytes are missing in the head");
        let encoding = head.codings();
        let upgrade = head.upgrade.clone();
        let part = Part {
            head,
            first,
            last: self.sides[at].last(),
            body: Finished::default(),
            file: None,
            path: None,
            fault: fault.or(odd).or(cut),
            is_unseen: fault.is_some(),
            running: None,
            over: fault.is_some(),
        };
        if fault.is_some() {
            *self.open[index].part(side) = Some(part);
            self.settle();
            return;
        }
        let is_connect = self.open[index].method() == Some("CONNECT");
        *self.open[index].part(side) = Some(part);
        let body = if matches!(framing, Framing::None | Framing::Switch | Framing::Length(0)) {
            Body::new(None, Work::Count, None, 0)
        } else {
            let file = bodies.open(&self.open[index], side); // which looks at the part
            Body::new(encoding.as_deref(), bodies.work(), file, bodies.limit())
        };
        if let Some(part) = self.open[index].part(side) {
            part.running = Some(body);
        }
        self.current[at] = Some(index);
        if framing == Framing::Switch && side == Side::Response {
            self.open[index].switched = true;
            self.open[index].pairing.waits = false; // what comes next is no message
            self.switched = Some(match upgrade.as_deref() {
                _ if is_connect => Next::Tunnel,
                Some("websocket") => Next::WebSocket,
                Some("h2c") => Next::Http2,
                _ => Next::Other,
            });
            // The client's next bytes are the other protocol's too, if it waited for the answer, as it must.
            if self.sides[Side::Request as usize].is_idle() {
                let _ = self.sides[Side::Request as usize].body(Framing::Switch);
            }
        }
        if let Some(event) = self.sides[at].body(framing) {
            self.event(side, event, bodies);
        }
    }
}

fn end(part: &mut Part, last: Place, fault: Option<&'static str>) {
    part.over = true;
    part.last = last;
    part.fault = part.fault.or(fault);
    if let Some(body) = part.running.take() {
        (part.body, part.file) = body.finish();
    }
}
