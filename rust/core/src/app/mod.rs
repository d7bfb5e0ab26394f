//! Application protocols: what streams and datagrams say.
//!
//! One protocol, one file. Every parser is sans-IO: it takes bytes in whatever pieces they come, and gives the same
//! events however they were cut. Bad input is an event with a reason, never a panic; every buffer has a bound.
//!
//! A protocol over TCP is an [`Analyzer`] and a line in [`OVER_TCP`]; one over UDP is a line in [`OVER_UDP`].

pub mod content;
pub mod dhcp;
pub mod dns;
mod files;
pub mod found;
pub mod http1;
pub mod http2;
mod interned;
mod kept;
pub mod quic;
pub mod raw;
pub mod spool;
pub mod tls;
mod web;
pub mod websocket;

pub use files::name_of;
pub use found::{Facts, File, Found, Out, Row, Wants, Who};
pub use kept::{Kept, TEXTS, Text};

use crate::decode::Proto;
use crate::stream::{Piece, Place};
use crate::track::key::FlowKey;

/// What the first bytes of a side say about a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looks {
    /// It is this protocol, and the side that sent the bytes is the client.
    Client,
    /// It is this protocol, and that side is the server.
    Server,
    /// Too few bytes to say.
    Perhaps,
    /// It is not.
    No,
}

/// What becomes of a stream behind a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After<'a> {
    /// It goes on.
    More,
    /// Nothing more is wanted of it.
    Enough,
    /// Another protocol begins with these bytes, to be recognised afresh.
    Anew(&'a [u8]),
}

/// A parser of both sides of a TCP connection. Sides are numbered as in the flow's key.
pub trait Analyzer: Send + Sync {
    /// Both sides are seen from the first byte of the connection; said before anything else, if at all.
    fn begins_here(&mut self) {}
    /// The next piece of a side.
    fn piece<'a>(&mut self, side: usize, piece: Piece<'a>, out: &mut Out<'_>) -> After<'a>;
    /// The parser of what a connection becomes, asked for behind [`After::Anew`]; without, it is recognised afresh.
    fn next(&mut self) -> Option<Box<dyn Analyzer>> {
        None
    }
    /// A side has ended with the FIN at that place, everything before it handed out.
    fn close(&mut self, _side: usize, _place: Place, _out: &mut Out<'_>) {}
    /// The connection is over.
    fn finish(&mut self, _out: &mut Out<'_>) {}
    /// The earliest frame of a row that is still to come.
    fn oldest_open(&self) -> Option<u64> {
        None
    }
}

/// A protocol over TCP.
pub struct OverTcp {
    /// What the decoder calls a segment of it, if it names it.
    pub proto: Proto,
    /// Recognises it by the first bytes of a side; the ports are the sender's and the receiver's.
    pub looks: fn(&[u8], (u16, u16)) -> Looks,
    /// The parser, given the client's side.
    pub make: fn(usize) -> Box<dyn Analyzer>,
    /// Whether it serves what is wanted.
    pub wanted: fn(&Wants) -> bool,
    /// The facts of a connection whose client's first bytes hold them whole: those that the parser would find, without
    /// a stream and a parser. `None` leaves it to them.
    pub glance: fn(&[u8]) -> Option<Facts>,
}

/// Bytes by which what `looks` says is no longer `Perhaps`, but for a request line that goes on.
pub const ENOUGH_TO_TELL: usize = 24;
/// Bytes, and pieces, of a request line that is waited for: each piece is looked at with all before it.
pub const LONGEST_LINE: usize = 1 << 11;
/// See [`LONGEST_LINE`].
pub const MOST_PIECES: usize = 8;

/// The protocols over TCP, in the order they are tried.
pub const OVER_TCP: &[OverTcp] = &[
    OverTcp {
        proto: Proto::Tls,
        looks: tls::looks,
        make: tls::make,
        wanted: |wants| wants.tls || wants.facts,
        glance: tls::glance,
    },
    OverTcp {
        proto: Proto::Http,
        looks: web::looks,
        make: web::make,
        wanted: |wants| wants.http || wants.files || wants.facts,
        glance: web::glance,
    },
    OverTcp {
        proto: Proto::Http,
        looks: web::looks_tunnel,
        make: web::make,
        wanted: |wants| wants.tls && !(wants.http || wants.files || wants.facts),
        glance: |_| None,
    },
    OverTcp {
        proto: Proto::Http,
        looks: http2::looks,
        make: http2::make,
        wanted: |wants| wants.http || wants.files || wants.facts,
        glance: |_| None,
    },
    OverTcp {
        proto: Proto::Dns,
        looks: dns::looks_tcp,
        make: dns::make_tcp,
        wanted: |wants| wants.dns || wants.facts,
        glance: |_| None,
    },
];

/// A datagram of a UDP flow.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// What it carries, as far as captured.
    pub payload: &'a [u8],
    /// Bytes that it carried on the wire.
    pub wire_len: u32,
    /// The flow's key.
    pub key: &'a FlowKey,
    /// Which side of it sent the datagram.
    pub side: usize,
    /// Sender's and receiver's port.
    pub ports: (u16, u16),
    /// Where it was.
    pub place: Place,
}

/// A parser of a UDP flow.
pub trait DatagramAnalyzer: Send + Sync {
    /// The next datagram; `false` if nothing more is wanted of the flow.
    fn datagram(&mut self, datagram: &Datagram<'_>, out: &mut Out<'_>) -> bool;
    /// Whether facts may need the next datagrams together with those so far.
    fn goes_on(&self) -> bool {
        false
    }
    /// The flow is over.
    fn finish(&mut self, _out: &mut Out<'_>) {}
    /// The earliest frame of a row that is still to come.
    fn oldest_open(&self) -> Option<u64> {
        None
    }
}

/// A protocol over UDP.
pub struct OverUdp {
    /// Recognises it by a datagram.
    pub looks: fn(&Datagram<'_>) -> bool,
    /// The parser.
    pub make: fn() -> Box<dyn DatagramAnalyzer>,
    /// Whether it serves what is wanted.
    pub wanted: fn(&Wants) -> bool,
}

/// The protocols over UDP, in the order they are tried.
pub const OVER_UDP: &[OverUdp] = &[
    OverUdp { looks: dns::looks, make: dns::make, wanted: |wants| wants.dns || wants.facts },
    OverUdp { looks: quic::looks, make: quic::make, wanted: |wants| wants.tls || wants.facts },
    OverUdp { looks: dhcp::looks, make: dhcp::make, wanted: |wants| wants.dhcp || wants.facts },
];
