//! Streams: what the two ends of a flow said to each other, in order, and the parsers that read it.
//!
//! [`Streams`] hangs on the flow tracker. A flow costs nothing here until its bytes look like a protocol that is wanted.

mod bounds;
pub mod datagram;
mod glance;
pub(crate) mod heard;
mod one;
mod piece;
pub mod reassembly;
mod streams;
#[cfg(test)]
mod tests;
mod udp;
mod watch;

pub use bounds::{Counters, Limits};
pub(crate) use glance::is_first;
pub use glance::tell;
pub use piece::{Piece, Place};
pub use reassembly::{Overlap, Reassembler};
pub use streams::Streams;
pub use watch::Watch;
