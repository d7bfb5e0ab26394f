//! Streams: what the two ends of a flow said to each other, in order, and the parsers that read it.
//!
//! [`Streams`] hangs on the flow tracker. A flow costs nothing here until its bytes look like a protocol that is wanted.

pub mod datagram;
mod one;
pub mod reassembly;
mod streams;
#[cfg(test)]
mod tests;

pub use reassembly::{Overlap, Piece, Place, Reassembler};
pub use streams::{Counters, Limits, Streams, Watch};
