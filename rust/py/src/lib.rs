//! The `sniffkit._core` module: adapters between the Rust crates and Python, nothing else.

mod dataset;
mod discovery;
mod files;
mod filter;
mod follow;
mod frames;
mod index;
mod lines;
mod live;
mod output;
mod show;
mod watch;

use pyo3::prelude::*;

/// Frames in, tables out. The Python side of every name here is in `sniffkit/_core.pyi`.
#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    dataset::register(module)?;
    discovery::register(module)?;
    files::register(module)?;
    follow::register(module)?;
    frames::register(module)?;
    index::register(module)?;
    lines::register(module)?;
    live::register(module)?;
    show::register(module)?;
    Ok(())
}
