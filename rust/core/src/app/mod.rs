//! Application protocols: what streams and datagrams say.
//!
//! One protocol, one file. Every parser is sans-IO: it takes bytes in whatever pieces they come, and gives the same
//! events however they were cut. Bad input is an event with a reason, never a panic; every buffer has a bound.

pub mod content;
pub mod http1;
