//! Live capture: AF_PACKET rings in any network namespace. The only crate of the project with unsafe code.

pub mod error;
pub mod filter;
pub mod interface;
pub mod netns;
pub mod privilege;
pub mod recorder;
pub mod ring;
pub mod session;

pub use error::CaptureError;
pub use recorder::{RecordEnd, RecordOptions, Recorder};
pub use session::{PointSpec, PointStats, Session, SessionEnd, SessionOptions};
