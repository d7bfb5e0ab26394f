//! HTTP/1.0 and HTTP/1.1 (RFC 9112).

pub mod exchange;
pub(super) mod fields;
pub mod head;
pub mod message;
mod pairing;
#[cfg(test)]
mod pairing_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod unseen_tests;

pub use exchange::{Bodies, Conversation, Exchange, Hashed, Next, Part, Side};
pub use head::{Head, Start};
pub use message::{Event, Framing, Message};
