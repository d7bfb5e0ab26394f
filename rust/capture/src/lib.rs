//! Live capture: AF_PACKET rings in any network namespace. The only crate of the project with unsafe code.

mod block;
mod collector;
pub mod error;
pub mod filter;
mod flow_table;
pub mod interface;
pub mod netns;
mod output;
pub mod privilege;
pub mod recorder;
pub mod ring;
pub mod rtnetlink;
pub mod session;
pub mod strftime;
mod unfinished;

pub use error::CaptureError;
pub use output::Printed;
pub use recorder::{RecordEnd, RecordOptions, Recorder};
pub use session::{PointSpec, PointStats, Session, SessionEnd, SessionOptions};
