//! Streams as they are, whatever they carry: for `follow`, and as files named the way tcpflow does.

use super::content::{Body, Finished};
use super::found::{Found, Out, Who};
use crate::stream::{Piece, Place};
use std::fmt::Write as _;

/// One direction of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawStream {
    /// Sent by the flow's originator.
    pub from_orig: bool,
    /// Its bytes.
    pub body: Finished,
    /// It was seen up to its FIN, no part of it given up before.
    pub ended: bool,
    /// Name of the file that it was written to.
    pub path: Option<String>,
    /// Why it could not be written.
    pub write_error: Option<String>,
}

/// Who listens to streams as they come.
pub trait Tap: Send + Sync {
    /// Whether this flow is listened to.
    fn wants(&mut self, who: &Who) -> bool;
    /// The next piece of a side.
    fn piece(&mut self, who: &Who, side: usize, piece: Piece<'_>);
    /// The flow is over.
    fn over(&mut self, _who: &Who) {}
}

/// A connection's two streams.
#[derive(Default)]
pub struct Raw {
    bodies: [Option<(Place, Body)>; 2],
    ended: [bool; 2],
    /// What came before is in streams that were given up.
    is_rest: bool,
}

impl Raw {
    /// Those of a connection, or what is left of them behind streams that were given up for want of room.
    #[must_use]
    pub fn new(is_rest: bool) -> Self {
        Self { is_rest, ..Self::default() }
    }

    /// The next piece.
    pub fn piece(&mut self, side: usize, piece: Piece<'_>, out: &mut Out<'_>) {
        if let Some(tap) = &mut out.tap {
            tap.piece(&out.who, side, piece);
            return;
        }
        let (Piece::Data(_, place) | Piece::Gap(_, place)) = piece;
        let (_, body) = self.bodies[side].get_or_insert_with(|| {
            let file = out.files.as_mut().map(|files| files.open());
            let limit = out.files.as_ref().map_or(u64::MAX, |files| files.max_file());
            (place, Body::new(None, out.wants.bodies, file, limit))
        });
        match piece {
            Piece::Data(bytes, _) => body.data(bytes),
            Piece::Gap(len, _) => body.gap(len),
        }
    }

    /// A side has ended with its FIN.
    pub fn close(&mut self, side: usize) {
        self.ended[side] = true;
    }

    /// The connection is over.
    pub fn finish(&mut self, out: &mut Out<'_>) {
        if let Some(tap) = &mut out.tap {
            tap.over(&out.who);
        }
        for side in [0, 1] {
            let Some((first, body)) = self.bodies[side].take() else { continue };
            let (body, spool) = body.finish();
            let from_orig = side == usize::from(out.who.orig_side);
            let write_error = body.write_error.clone();
            let mut stream =
                RawStream { from_orig, body, ended: self.ended[side] && !self.is_rest, path: None, write_error };
            if let (Some(spool), Some(files), None) = (spool, &mut out.files, &stream.write_error) {
                match files.keep(spool, &tcpflow_name(&out.who, from_orig)) {
                    Ok(name) => stream.path = Some(name),
                    Err(error) => stream.write_error = Some(super::spool::reason(&error)),
                }
            }
            out.row(first, Found::Stream(Box::new(stream)));
        }
    }
}

/// `192.168.001.002.49152-010.000.000.001.00080`, as tcpflow names the file of one direction.
#[must_use]
pub fn tcpflow_name(who: &Who, from_orig: bool) -> String {
    let ends = [(who.orig, who.orig_p), (who.resp, who.resp_p)];
    let order = if from_orig { [0, 1] } else { [1, 0] };
    let mut out = String::with_capacity(44);
    for (i, end) in order.into_iter().enumerate() {
        let (addr, port) = ends[end];
        if i > 0 {
            out.push('-');
        }
        if who.family == 4 {
            write!(out, "{:03}.{:03}.{:03}.{:03}", addr[0], addr[1], addr[2], addr[3]).unwrap_or_default();
        } else {
            // A colon is no part of a safe file name.
            let text = std::net::Ipv6Addr::from(addr).to_string();
            out.push_str(&text.replace("::", "--").replace(':', "-"));
        }
        write!(out, ".{port:05}").unwrap_or_default();
    }
    out
}
