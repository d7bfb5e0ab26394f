//! Which response answers which request.
//!
//! Responses come in the order of their requests (RFC 9112, 9.3.2), so the two are counted off against each other, as
//! long as nothing is missing: the n-th answers the n-th, also where the response was captured first. Behind a hole nobody knows how many messages it swallowed.
//! There a response belongs to the latest request that began before it, which is right unless requests were sent without
//! waiting for their responses; where that was so, the pair is a guess and says that bytes are missing. So does one between
//! whose messages both sides have holes: one burst of loss swallows a response and the next request.

use super::exchange::{Conversation, Exchange, Side};
use super::message::Message;
use crate::stream::Place;

/// Exchanges of one connection that may be open; the oldest is given up beyond.
const MAX_OPEN: usize = 1024;

/// What is known of the two messages of an exchange belonging together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pairing {
    /// The pair is a guess, or its other message went missing.
    pub(super) doubtful: bool,
    /// The message that it lacks will not come any more.
    given_up: bool,
    /// What comes next may show that the pair is wrong.
    pub(super) waits: bool,
    /// Messages may be missing right behind the request, and right before the response: these two may not be neighbours.
    holes: [bool; 2],
    /// More exchanges were open than are kept, here or before: the count is wrong because of that.
    pub(in crate::app) crowded: bool,
}

/// What a connection shows of how its messages pair.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// Both sides were seen from their first byte.
    pub(super) from_start: bool,
    /// A response came that answers no request: the count is wrong from there on.
    miscounted: bool,
    /// A request was sent before the response to an earlier one began.
    pipelined: bool,
    /// A pair was guessed: those behind it are no better.
    guessed: bool,
    /// Responses may be missing behind the latest one.
    hole: bool,
    /// Exchanges were given up for being too many.
    crowded: bool,
    /// Frame of the first byte of the latest request.
    asked: Option<u64>,
    /// The same of the latest response that has its request.
    answered: Option<u64>,
    /// Exchanges that are over.
    over: u32,
}

impl Exchange {
    fn lacks(&self, side: Side) -> bool {
        !self.pairing.given_up
            && match side {
                Side::Request => self.request.is_none(),
                Side::Response => self.response.is_none(),
            }
    }

    /// Frames in which request and response began.
    fn began(&self) -> [Option<u64>; 2] {
        [&self.request, &self.response].map(|part| part.as_ref().map(|part| part.first.frame))
    }

    fn is_over(&self) -> bool {
        let given_up = self.pairing.given_up;
        [&self.request, &self.response].iter().all(|part| part.as_ref().map_or(given_up, |part| part.over))
    }
}

impl Conversation {
    /// The exchange that a message belongs to.
    pub(super) fn place(&mut self, side: Side, first: Place) -> usize {
        match side {
            Side::Request => self.place_request(first.frame),
            Side::Response => {
                let index = self.place_response(first.frame);
                self.open[index].pairing.holes[1] = std::mem::take(&mut self.order.hole);
                index
            }
        }
    }

    /// Bytes of a side are missing that may have been whole messages.
    pub(super) fn hole(&mut self, side: Side) {
        match side {
            Side::Response => self.order.hole = true,
            Side::Request => {
                if let Some(one) = self.latest(side) {
                    one.pairing.holes[0] = true;
                }
            }
        }
    }

    /// The exchange of a side's latest message, if it is open.
    fn latest(&mut self, side: Side) -> Option<&mut Exchange> {
        self.open.iter_mut().rev().map(|one| &mut **one).find(|one| one.began()[side as usize].is_some())
    }

    fn is_counted(&self) -> bool {
        !self.order.miscounted && !self.sides.iter().any(Message::has_lost)
    }

    /// Whether the n-th messages of both sides belong together, even if the frames were captured the other way round: the
    /// connection is seen from its start.
    fn is_whole(&self) -> bool {
        self.order.from_start && self.is_counted()
    }

    /// A request belongs to the first response without one that began behind it.
    fn place_request(&mut self, frame: u64) -> usize {
        self.order.asked = self.order.asked.max(Some(frame));
        self.order.pipelined |= self.order.answered.is_some_and(|answered| frame < answered);
        for index in 0..self.open.len() {
            if !self.open[index].lacks(Side::Request) {
                continue;
            }
            let [_, began] = self.open[index].began();
            if began < Some(frame) && !self.is_whole() {
                // Requests come in order: the one to this response was not captured.
                self.open[index].pairing.given_up = true;
                self.order.miscounted |= self.order.answered.is_some();
                continue;
            }
            self.order.answered = self.order.answered.max(began);
            if !self.is_counted() {
                let pairing = &mut self.open[index].pairing;
                pairing.waits = true;
                pairing.doubtful |= self.order.pipelined;
                self.order.guessed |= self.order.pipelined;
            }
            return index;
        }
        self.open.push_back(Box::default());
        self.open.len() - 1
    }

    /// A response belongs to a request that began before it: the first that has none, or behind a hole the last.
    fn place_response(&mut self, frame: u64) -> usize {
        let asked = |one: &Exchange| one.began()[0].is_some_and(|began| began <= frame);
        let Some(first) = self.open.iter().position(|one| one.lacks(Side::Response)) else { return self.alone(frame) };
        if !asked(&self.open[first]) && !self.is_whole() {
            return self.alone(frame);
        }
        self.order.answered = self.order.answered.max(Some(frame));
        let waiting = self.open.iter().enumerate().skip(first + 1);
        let last = waiting.filter(|(_, one)| one.lacks(Side::Response) && asked(one)).map(|(at, _)| at).next_back();
        if self.is_counted() {
            self.order.pipelined |= last.is_some();
            return first;
        }
        let [requests_lost, responses_lost] = [0, 1].map(|side| self.sides[side].has_lost() || self.order.miscounted);
        if let Some(last) = last {
            let at_once = self.open.iter().zip(self.open.iter().skip(1)).skip(first).take(last - first);
            let at_once = at_once.into_iter().any(|(one, next)| one.began()[0] == next.began()[0]);
            self.order.pipelined |= !responses_lost || at_once;
        }
        if self.order.pipelined {
            let guess = last.is_some() || requests_lost || self.order.guessed;
            self.order.guessed |= guess;
            let pairing = &mut self.open[first].pairing;
            pairing.doubtful |= guess;
            pairing.waits = true;
            return first;
        }
        let index = last.unwrap_or(first);
        for one in self.open.range_mut(first..index).filter(|one| one.lacks(Side::Response)) {
            one.pairing.given_up = true;
            one.pairing.doubtful = true;
        }
        self.open[index].pairing.waits = true;
        index
    }

    /// An exchange for a response that answers none of the requests so far, before those that began behind it.
    fn alone(&mut self, frame: u64) -> usize {
        let is_early = self.is_whole(); // its request may have been captured behind it
        self.order.miscounted |= !is_early && self.order.answered.is_some();
        let behind = self.open.iter().rposition(|one| one.response.is_some()).map_or(0, |at| at + 1);
        let later = self.open.iter().position(|one| one.began()[0].is_some_and(|began| began > frame));
        let index = later.unwrap_or(self.open.len()).max(behind);
        let mut one = Box::<Exchange>::default();
        one.pairing.given_up = !is_early && self.order.asked > Some(frame);
        self.open.insert(index, one);
        for current in self.current.iter_mut().flatten().filter(|current| **current >= index) {
            *current += 1;
        }
        index
    }

    /// What was taken for a message of this side was none, or not where it seemed to be.
    pub(super) fn doubt(&mut self, side: Side) {
        if let Some(one) = self.latest(side) {
            one.pairing.doubtful = true;
        }
    }

    /// Moves what is over from the front of the queue.
    pub(super) fn settle(&mut self) {
        if self.open.len() > MAX_OPEN && !self.open[0].is_over() {
            self.order.miscounted = true; // one of its messages may still come
            self.order.crowded |= self.order.asked.is_some(); // else the server alone was captured
        }
        while self.open.len() > MAX_OPEN || self.open.front().is_some_and(|one| one.is_over()) && self.judge(false) {
            self.take_front();
        }
    }

    /// Moves all.
    pub(super) fn settle_all(&mut self) {
        while !self.open.is_empty() {
            self.judge(true);
            self.take_front();
        }
    }

    fn take_front(&mut self) {
        let Some(mut one) = self.open.pop_front() else { return };
        self.order.over = self.order.over.saturating_add(1);
        one.depth = self.order.over;
        one.pairing.crowded = self.order.crowded;
        self.done.push(one);
        for current in &mut self.current {
            *current = current.and_then(|index| index.checked_sub(1));
        }
    }

    /// Whether it is known by what came next if the first pair is a pair. `at_end`: nothing more comes.
    fn judge(&mut self, at_end: bool) -> bool {
        let Some(one) = self.open.front().filter(|one| one.pairing.waits) else { return true };
        let [_, began] = one.began();
        let is_wrong = match self.open.get(1).map(|next| (next.began()[0], next.pairing.given_up)) {
            None if at_end => false,
            // A response without a request behind it: this one may have taken the wrong one's.
            Some((None, given_up)) if given_up || at_end => true,
            Some((asked @ Some(_), _)) if asked <= began => true,
            Some((Some(_), _)) if at_end || self.open.iter().skip(1).any(|one| one.response.is_some()) => false,
            _ => return false,
        };
        if let Some(one) = self.open.front_mut() {
            one.pairing.doubtful |= is_wrong || one.pairing.holes == [true; 2];
        }
        true
    }
}
