//! HTTP/1 connections of flows: rows of `http`, the host of a flow, and what a connection becomes.

use super::http1::{Conversation, Exchange, Next, Side, Start, head};
use super::websocket::Frames;
use super::{After, Analyzer, Facts, Found, Looks, Out};
use crate::stream::{Piece, Place};
use compact_str::CompactString;

/// Begins a request for a tunnel (RFC 9110, 9.3.6).
const CONNECT: &[u8] = b"CONNECT ";

/// Recognises HTTP/1.
pub fn looks(bytes: &[u8], _ports: (u16, u16)) -> Looks {
    match head::looks(bytes) {
        head::Looks::Request => Looks::Client,
        head::Looks::Response => Looks::Server,
        head::Looks::Perhaps => Looks::Perhaps,
        head::Looks::No => Looks::No,
    }
}

/// Recognises a request for a tunnel, for whoever wants what is in it and no exchange.
pub fn looks_tunnel(bytes: &[u8], _ports: (u16, u16)) -> Looks {
    let bytes = head::begin(bytes);
    if bytes.starts_with(CONNECT) {
        Looks::Client
    } else if CONNECT.starts_with(bytes) {
        Looks::Perhaps
    } else {
        Looks::No
    }
}

/// A connection whose client is that side.
pub fn make(client: usize) -> Box<dyn Analyzer> {
    Box::new(Web {
        client,
        conversation: Conversation::default(),
        named: false,
        tunnels: false,
        socket: None,
        upgraded: None,
    })
}

/// The facts of a connection that begins with a request whose head is whole; a tunnel may have more.
pub fn glance(bytes: &[u8]) -> Option<Facts> {
    let bytes = head::begin(bytes);
    if bytes.starts_with(CONNECT) {
        return None;
    }
    let head = &bytes[..head::end(bytes, 0)?];
    Some(facts(head::host_of_request(head)?))
}

/// What the first request says of its flow: its Host field.
fn facts(host: Option<CompactString>) -> Facts {
    Facts { service: Some("http"), http_host: host.filter(|host| !host.is_empty()), ..Facts::default() }
}

struct Web {
    client: usize,
    conversation: Conversation,
    named: bool,
    /// The first request asks for a tunnel, which has facts of its own.
    tunnels: bool,
    /// Behind an upgrade to WebSocket: its exchange, and what each side sent.
    socket: Option<(Box<Exchange>, [Frames; 2])>,
    /// The exchange that asked for HTTP/2: its 101 is an interim response, the final one comes there.
    upgraded: Option<Box<Exchange>>,
}

impl Web {
    fn side(&self, side: usize) -> Side {
        if side == self.client { Side::Request } else { Side::Response }
    }

    fn report(&mut self, out: &mut Out<'_>) {
        if !self.named
            && let Some(request) = self.conversation.first_request()
        {
            self.named = true;
            self.tunnels = matches!(&request.start, Start::Request { method, .. } if method == "CONNECT");
            *out.facts = facts(request.host.clone());
        }
        if !self.conversation.has_done() {
            return;
        }
        let switched = self.conversation.switched();
        for exchange in self.conversation.take_done() {
            if exchange.switched && switched == Some(Next::WebSocket) {
                self.socket = Some((exchange, Default::default()));
            } else if exchange.switched && switched == Some(Next::Http2) {
                self.upgraded = Some(exchange);
            } else {
                report(exchange, self.client, out);
            }
        }
    }

    /// The exchange that a WebSocket began with, once that is over.
    fn socket_over(&mut self, out: &mut Out<'_>) {
        if let Some((mut exchange, frames)) = self.socket.take() {
            let [low, high] = frames.map(|side| side.count);
            exchange.websocket = Some(if self.client == 0 { [low, high] } else { [high, low] });
            report(exchange, self.client, out);
        }
    }
}

/// Adds the rows of an exchange that is over, and gives its files their names.
pub(super) fn report(mut exchange: Box<Exchange>, client: usize, out: &mut Out<'_>) {
    if let Some(files) = &mut out.files {
        for part in [Side::Request, Side::Response] {
            super::files::keep(&mut exchange, part, files);
        }
    }
    if out.wants.files {
        for part in [Side::Request, Side::Response] {
            if let Some((first, file)) = super::files::of(&exchange, part, out.who.orig_side, client) {
                out.row(first, Found::File(Box::new(file)));
            }
        }
    }
    if out.wants.http {
        let first = [&exchange.request, &exchange.response].into_iter().flatten().next().map(|part| part.first);
        out.row(first.unwrap_or_default(), Found::Http(exchange));
    }
}

impl Analyzer for Web {
    fn begins_here(&mut self) {
        self.conversation.begins_here();
    }

    fn piece<'a>(&mut self, side: usize, piece: Piece<'a>, out: &mut Out<'_>) -> After<'a> {
        let part = self.side(side);
        if let Piece::Data(bytes, place) = piece
            && self.conversation.within_body(part, bytes, place)
        {
            return After::More;
        }
        // Where only what a tunnel carries is wanted, a hello tells that it is there, whether or not the answer to CONNECT came
        // before it.
        if self.tunnels
            && !(out.wants.http || out.wants.files)
            && let Piece::Data(bytes, _) = piece
            && matches!(super::tls::looks(bytes, (0, 0)), Looks::Client | Looks::Server)
        {
            return After::Anew(bytes);
        }
        let rest = self.conversation.piece(part, piece, out);
        self.report(out);
        if let Some((_, frames)) = &mut self.socket {
            match piece {
                Piece::Data(..) => frames[side].data(rest),
                Piece::Gap(len, _) => frames[side].gap(len),
            }
            return After::More;
        }
        match self.conversation.switched() {
            Some(Next::Tunnel | Next::Http2) => return After::Anew(rest),
            Some(_) => return After::Enough,
            None => {}
        }
        if self.conversation.is_over() || self.named && !self.tunnels && !out.wants.http && !out.wants.files {
            return After::Enough;
        }
        After::More
    }

    fn next(&mut self) -> Option<Box<dyn Analyzer>> {
        (self.conversation.switched() == Some(Next::Http2)).then(|| match self.upgraded.take() {
            Some(asked) => super::http2::make_upgraded(self.client, *asked),
            None => super::http2::make(self.client), // the request still goes on
        })
    }

    fn close(&mut self, side: usize, place: Place, out: &mut Out<'_>) {
        let part = self.side(side);
        self.conversation.close(part, true, place, out);
        self.report(out);
    }

    fn finish(&mut self, out: &mut Out<'_>) {
        self.conversation.finish(out);
        self.report(out);
        self.socket_over(out);
        if let Some(exchange) = self.upgraded.take() {
            report(exchange, self.client, out);
        }
    }

    fn oldest_open(&self) -> Option<u64> {
        let socket =
            self.socket.as_ref().and_then(|(exchange, _)| exchange.request.as_ref()).map(|part| part.first.frame);
        self.conversation.oldest_open().into_iter().chain(socket).min()
    }
}
