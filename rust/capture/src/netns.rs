//! Network namespaces: found by name, path or PID, entered by a thread that ends with its task.
//!
//! Source: network_namespaces(7), setns(2), ip-netns(8)

use crate::error::CaptureError;
use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::PathBuf;

/// Where `ip netns` keeps its names.
pub const NAMES: &str = "/run/netns";

/// An open namespace.
#[derive(Debug)]
pub struct Netns {
    /// As the user named it.
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// Its inode: two paths with one inode are one namespace.
    pub inode: u64,
    file: File,
}

/// The names that `ip netns` knows, sorted.
#[must_use]
pub fn names() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(NAMES)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// The inode of what `ip netns` calls so.
fn inode_of(name: &str) -> Option<u64> {
    std::fs::metadata(PathBuf::from(NAMES).join(name)).map(|data| data.ino()).ok()
}

/// A label that no other namespace has.
fn told_apart(label: &str, inode: u64) -> String {
    format!("{label}-{inode}")
}

/// Of the labels of several namespaces, those that are another's too made to differ; names of `ip netns` stay.
pub fn tell_apart(labels: &mut [(Option<String>, u64)]) {
    let given = labels.to_vec();
    for (label, inode) in labels {
        if let Some(text) = label
            && given.iter().any(|(other, of)| other.as_ref() == Some(text) && of != inode)
            && inode_of(text) != Some(*inode)
        {
            *text = told_apart(text, *inode);
        }
    }
}

impl Netns {
    /// Opens a namespace by `ip netns` name, path or PID.
    ///
    /// # Errors
    /// If it is not there, names those that are.
    pub fn open(name: &str) -> Result<Self, CaptureError> {
        let named = PathBuf::from(NAMES).join(name);
        let path = if name.contains('/') {
            PathBuf::from(name)
        } else if named.exists() || !name.bytes().all(|b| b.is_ascii_digit()) || name.is_empty() {
            named
        } else {
            PathBuf::from(format!("/proc/{name}/ns/net"))
        };
        let missing = || {
            let known = names();
            let known =
                if known.is_empty() { "there are none".into() } else { format!("there are: {}", known.join(" ")) };
            CaptureError::NoNamespace(format!("no network namespace {name:?}; {known}"))
        };
        if name.is_empty() {
            return Err(missing());
        }
        // Without waiting: a FIFO would have us wait for whoever writes.
        let file =
            OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&path).map_err(|error| {
                match error.kind() {
                    std::io::ErrorKind::NotFound => missing(),
                    std::io::ErrorKind::PermissionDenied if path.starts_with("/proc") => {
                        CaptureError::of_process(&format!("namespace {name:?}"))
                    }
                    _ => CaptureError::system(&format!("namespace {name:?}"), &error),
                }
            })?;
        let metadata = file.metadata().map_err(|error| CaptureError::system(&format!("namespace {name:?}"), &error))?;
        Ok(Self { name: name.to_owned(), path, inode: metadata.ino(), file })
    }

    /// The namespace that this process is in.
    ///
    /// # Errors
    /// Without /proc.
    pub fn home() -> Result<Self, CaptureError> {
        Self::open("/proc/self/ns/net")
    }

    /// Its descriptor.
    #[must_use]
    pub fn fd(&self) -> i32 {
        self.file.as_raw_fd()
    }

    /// What it is called in tables and files: its `ip netns` name where it has one, else the PID or the path's last
    /// part.
    #[must_use]
    pub fn label(&self) -> String {
        if self.path.starts_with(NAMES) && !self.name.contains('/') {
            return self.name.clone();
        }
        if let Some(name) = names().into_iter().find(|name| inode_of(name) == Some(self.inode)) {
            return name;
        }
        let label = match self.name.strip_prefix("/proc/").and_then(|rest| rest.split('/').next()) {
            Some(pid) => pid,
            None => self.name.rsplit('/').find(|part| !part.is_empty()).unwrap_or(&self.name),
        };
        // What `ip netns` calls so is another.
        if inode_of(label).is_some() { told_apart(label, self.inode) } else { label.to_owned() }
    }

    /// Runs `task` inside the namespace, on a thread of its own that ends with it: no other thread ever moves.
    ///
    /// # Errors
    /// If the namespace cannot be entered.
    pub fn run<T: Send>(&self, task: impl FnOnce() -> T + Send) -> Result<T, CaptureError> {
        let fd = self.file.as_raw_fd();
        std::thread::scope(|scope| {
            let thread = scope.spawn(move || {
                // SAFETY: setns takes a descriptor, which `self.file` keeps open for the whole scope, and a constant.
                // It changes the namespace of this thread alone, which ends below.
                let result = unsafe { libc::setns(fd, libc::CLONE_NEWNET) };
                if result != 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(task())
            });
            match thread.join() {
                Ok(Ok(value)) => Ok(value),
                Ok(Err(error)) => match error.raw_os_error() {
                    Some(libc::EINVAL) => {
                        Err(CaptureError::NoNamespace(format!("{} is not a network namespace", self.path.display())))
                    }
                    _ => Err(CaptureError::system(&format!("entering namespace {:?}", self.name), &error)),
                },
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }
}

/// Runs `task` in `netns`, or right here without one.
///
/// # Errors
/// If the namespace cannot be entered.
pub fn run_in<T: Send>(netns: Option<&Netns>, task: impl FnOnce() -> T + Send) -> Result<T, CaptureError> {
    match netns {
        Some(netns) => netns.run(task),
        None => Ok(task()),
    }
}
