//! The sniffkit core: frames in, tables out.
//!
//! `source ─Frame→ decode ─Packet→ track ─events→ table`. Each stage can be called alone; time is the packets' own,
//! so the same bytes always give the same tables. No sockets, no clock, no Python, no unsafe code.
#![forbid(unsafe_code)]

pub mod app;
pub mod bpf;
pub mod calendar;
pub mod decode;
pub mod frame;
pub mod hosts;
pub mod json;
pub mod neighbor;
pub mod packet;
pub mod pipeline;
pub mod show;
pub mod source;
pub mod stream;
#[cfg(feature = "table")]
pub mod table;
pub mod track;
mod tunnel;
pub mod write;
