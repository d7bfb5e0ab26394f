//! The file that a table is written to.

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file in the making. It gets its name once it is whole, so that nothing half written is ever left or takes the
/// place of what was there; `sinks/file.py` does the same for what Python writes.
pub struct Output {
    pub file: File,
    pub path: PathBuf,
    /// What it is called until then; `None` where it is written in place.
    part: Option<PathBuf>,
}

impl Output {
    pub fn create(path: PathBuf) -> PyResult<Self> {
        let made = match beside(&path) {
            Ok(Some((file, part))) => Ok((file, Some(part))),
            Ok(None) => File::create(&path).map(|file| (file, None)),
            Err(error) => Err(error),
        };
        let (file, part) = made.map_err(|error| io_error(&path, &error))?;
        Ok(Self { file, path, part })
    }

    /// The file is whole.
    pub fn keep(mut self) -> PyResult<()> {
        let Some(part) = self.part.take() else { return Ok(()) };
        let placed = match std::fs::rename(&part, &self.path) {
            // Something is mounted here: a file of a container.
            Err(error) if error.kind() == ErrorKind::ResourceBusy => std::fs::copy(&part, &self.path).map(|_| true),
            renamed => renamed.map(|()| false),
        };
        if !matches!(placed, Ok(false)) {
            let _ = std::fs::remove_file(&part); // the error that matters is that of the renaming
        }
        placed.map(drop).map_err(|error| io_error(&self.path, &error))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Some(part) = &self.part {
            let _ = std::fs::remove_file(part); // nothing can be done about it, and the cause is reported already
        }
    }
}

/// A file in the same directory that can take the place of what is there, with its owner and mode; `None` where there
/// can be none, as of devices and links. What may not be written may not be replaced either.
fn beside(path: &Path) -> std::io::Result<Option<(File, PathBuf)>> {
    let before = std::fs::symlink_metadata(path).ok();
    let Some(name) = path.file_name().filter(|_| before.as_ref().is_none_or(std::fs::Metadata::is_file)) else {
        return Ok(None);
    };
    if before.is_some() {
        OpenOptions::new().write(true).open(path)?;
    }
    let part = path.with_file_name(format!(".{}.{}.part", name.to_string_lossy(), std::process::id()));
    let _ = std::fs::remove_file(&part); // of a process that was killed and had our number
    let file = match File::create_new(&part) {
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => {
            return Ok(None);
        }
        made => made?,
    };
    let same = |before: &std::fs::Metadata| {
        let made = file.metadata()?;
        if (made.uid(), made.gid()) != (before.uid(), before.gid()) {
            std::os::unix::fs::fchown(&file, Some(before.uid()), Some(before.gid()))?;
        }
        file.set_permissions(before.permissions())
    };
    if before.is_some_and(|before| same(&before).is_err()) {
        let _ = std::fs::remove_file(&part); // somebody else's, which we may only write
        return Ok(None);
    }
    Ok(Some((file, part)))
}

/// An error of the output: with number and file name, by which Python tells it from one of the input.
pub fn io_error(path: &Path, error: &std::io::Error) -> PyErr {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text).to_owned();
    PyOSError::new_err((error.raw_os_error().unwrap_or(0), text, path.to_path_buf()))
}
