//! DNS over UDP and TCP, mDNS and LLMNR (RFC 1035, 6762, 4795): messages, and queries paired with their answers.

pub mod message;
pub mod multicast;
mod names;
mod over_tcp;
mod rdata;
mod session;
mod svcb;
#[cfg(test)]
mod tcp_tests;
#[cfg(test)]
mod tests;
mod transfer;

pub use message::{Answer, Message, Question};
pub use multicast::Multicast;
pub use names::{rcode_name, type_name};
pub use over_tcp::{looks_tcp, make_tcp};
pub use session::{Exchange, looks, make};
