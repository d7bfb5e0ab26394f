//! A file that has no name before it is whole, so that a killed process leaves no half of one behind.
//!
//! Source: open(2), O_TMPFILE

use crate::error::CaptureError;
use std::ffi::{CString, OsStr};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A file in the making.
pub struct Unfinished {
    file: File,
    path: PathBuf,
    /// Its name where the file system knows no nameless files, and on the way to `path`.
    partial: PathBuf,
    named: bool,
}

impl Unfinished {
    /// A file that will be called `path`; one that is there already stays until then.
    ///
    /// # Errors
    /// The operating system's, with the name; a missing directory is named.
    pub fn create(path: &Path) -> Result<Self, CaptureError> {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let failed = |error: io::Error| CaptureError::file(path, &error);
        // Whatever there is to say of the name is said before it is needed.
        match path.metadata() {
            Ok(there) if there.is_dir() => return Err(failed(io::ErrorKind::IsADirectory.into())),
            Err(error) if error.kind() == io::ErrorKind::InvalidFilename => return Err(failed(error)),
            _ => {}
        }
        if !directory.exists() {
            let text = format!("{}: there is no directory {}", path.display(), directory.display());
            return Err(CaptureError::System(text));
        }
        let name = path.file_name().unwrap_or_default();
        // A name has at most 255 bytes.
        let mut partial = OsStr::from_bytes(&name.as_bytes()[..name.len().min(200)]).to_owned();
        partial.push(format!(".{}.part", std::process::id()));
        let partial = path.with_file_name(partial);
        let nameless = OpenOptions::new().write(true).mode(0o666).custom_flags(libc::O_TMPFILE).open(directory);
        let (file, named) = match nameless {
            Ok(file) => (file, false),
            // Not every file system can (NFS, 9p); whatever else is wrong shows here too.
            Err(_) => (File::create(&partial).map_err(failed)?, true),
        };
        Ok(Self { file, path: path.to_owned(), partial, named })
    }

    /// Another handle on the same file.
    ///
    /// # Errors
    /// The operating system's.
    pub fn handle(&self) -> Result<File, CaptureError> {
        self.file.try_clone().map_err(|error| CaptureError::file(&self.path, &error))
    }

    /// Gives the file its name, in place of what had it.
    ///
    /// # Errors
    /// The operating system's.
    pub fn finish(mut self) -> Result<(), CaptureError> {
        let result = self.link().and_then(|()| std::fs::rename(&self.partial, &self.path));
        if result.is_ok() {
            self.named = false;
        }
        result.map_err(|error| CaptureError::file(&self.path, &error))
    }

    fn link(&mut self) -> io::Result<()> {
        if self.named {
            return Ok(());
        }
        match std::fs::remove_file(&self.partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let from = CString::new(format!("/proc/self/fd/{}", self.file.as_raw_fd()))?;
        let to = CString::new(self.partial.as_os_str().as_bytes())?;
        // SAFETY: both strings are NUL-terminated and live through the call.
        let result = unsafe {
            libc::linkat(libc::AT_FDCWD, from.as_ptr(), libc::AT_FDCWD, to.as_ptr(), libc::AT_SYMLINK_FOLLOW)
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        self.named = true;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.named {
            let _ = std::fs::remove_file(&self.partial);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_has_its_name_when_it_is_whole_and_never_before() {
        let directory = std::env::temp_dir().join(format!("sniffkit-unfinished-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("x");
        std::fs::write(&path, "old").unwrap();
        drop(Unfinished::create(&path).unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        let file = Unfinished::create(&path).unwrap();
        file.handle().unwrap().write_all(b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        file.finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1);
        let long = directory.join("x".repeat(255));
        Unfinished::create(&long).unwrap().finish().unwrap();
        assert!(long.exists());
        let error = Unfinished::create(&directory.join("x".repeat(256))).err().unwrap().to_string();
        assert!(error.ends_with(": File name too long"), "{error}");
        std::fs::remove_dir_all(&directory).unwrap();
        let error = Unfinished::create(&path).err().unwrap().to_string();
        assert!(error.ends_with(&format!("there is no directory {}", directory.display())), "{error}");
    }
}
