//! Streams: what the two ends of a flow said to each other, in order.

pub mod reassembly;
#[cfg(test)]
mod tests;

pub use reassembly::{Overlap, Piece, Place, Reassembler};
