//! HTTP/1 connections of flows: rows of `http`, the host of a flow, and what a connection becomes.

use super::http1::{Conversation, Head, Next, Side, head};
use super::{After, Analyzer, Found, Looks, Out};
use crate::stream::{Piece, Place};

/// Recognises HTTP/1.
pub fn looks(bytes: &[u8], _ports: (u16, u16)) -> Looks {
    match head::looks(bytes) {
        head::Looks::Request => Looks::Client,
        head::Looks::Response => Looks::Server,
        head::Looks::Perhaps => Looks::Perhaps,
        head::Looks::No => Looks::No,
    }
}

/// A connection whose client is that side.
pub fn make(client: usize) -> Box<dyn Analyzer> {
    Box::new(Web { client, conversation: Conversation::default(), named: false })
}

struct Web {
    client: usize,
    conversation: Conversation,
    named: bool,
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
            out.facts.service = Some("http");
            out.facts.http_host = host(request).map(str::to_owned);
        }
        if !self.conversation.has_done() {
            return;
        }
        for mut exchange in self.conversation.take_done() {
            if let Some(files) = &mut out.files {
                let who = out.who;
                files.done(&who, &mut exchange);
            }
            if out.wants.files {
                for part in [Side::Request, Side::Response] {
                    if let Some((first, file)) = super::files::of(&exchange, part, out.who.orig_side, self.client) {
                        out.row(first, Found::File(Box::new(file)));
                    }
                }
            }
            if out.wants.http {
                let first = [&exchange.request, &exchange.response].into_iter().flatten().next().map(|part| part.first);
                out.row(first.unwrap_or_default(), Found::Http(Box::new(exchange)));
            }
        }
    }
}

fn host(head: &Head) -> Option<&str> {
    head.host.as_deref().filter(|host| !host.is_empty())
}

impl Analyzer for Web {
    fn piece<'a>(&mut self, side: usize, piece: Piece<'a>, out: &mut Out<'_>) -> After<'a> {
        let part = self.side(side);
        let rest = self.conversation.piece(part, piece, out);
        self.report(out);
        match self.conversation.switched() {
            Some(Next::Tunnel) => return After::Anew(rest),
            Some(_) => return After::Enough,
            None => {}
        }
        if self.conversation.is_over() || self.named && !out.wants.http && !out.wants.files {
            return After::Enough;
        }
        After::More
    }

    fn close(&mut self, side: usize, place: Place, out: &mut Out<'_>) {
        let part = self.side(side);
        self.conversation.close(part, true, place, out);
        self.report(out);
    }

    fn finish(&mut self, out: &mut Out<'_>) {
        self.conversation.finish(out);
        self.report(out);
    }

    fn oldest_open(&self) -> Option<u64> {
        self.conversation.oldest_open()
    }
}
