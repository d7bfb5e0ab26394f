//! Why a capture cannot start or go on: one line each, which a user can act on.

use std::fmt;
use std::io;

/// Errors of this crate.
#[derive(Debug)]
pub enum CaptureError {
    /// The namespace is not there; names those that are.
    NoNamespace(String),
    /// The interface is not there; names those that are.
    NoInterface(String),
    /// A privilege is missing; says which and how to get it.
    Privilege(String),
    /// The filter does not compile; says where.
    Filter(String),
    /// Anything else that the system refused.
    System(String),
}

impl CaptureError {
    /// An error of the operating system while doing `what`.
    #[must_use]
    pub fn system(what: &str, error: &io::Error) -> Self {
        if matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES)) {
            return Self::privilege(what);
        }
        let text = error.to_string();
        Self::System(format!("{what}: {}", text.split(" (os error").next().unwrap_or(&text)))
    }

    /// An error of the operating system with a file.
    #[must_use]
    pub fn file(path: &std::path::Path, error: &io::Error) -> Self {
        let text = error.to_string();
        Self::System(format!("{}: {}", path.display(), text.split(" (os error").next().unwrap_or(&text)))
    }

    /// The missing capability, and how to get it.
    #[must_use]
    pub fn privilege(what: &str) -> Self {
        if what.contains("privileges") {
            return Self::Privilege(format!("{what}: not permitted: CAP_SETUID and CAP_SETGID are missing"));
        }
        Self::lacks(what, if what.contains("namespace") { "CAP_SYS_ADMIN" } else { "CAP_NET_RAW" }, "")
    }

    /// What another user's process keeps to itself, as ptrace(2) has it.
    #[must_use]
    pub fn of_process(what: &str) -> Self {
        Self::lacks(what, "CAP_SYS_PTRACE", ",cap_sys_ptrace")
    }

    fn lacks(what: &str, capability: &str, more: &str) -> Self {
        Self::Privilege(format!(
            "{what}: not permitted: {capability} is missing; run it with sudo, or: \
             sudo setcap cap_net_raw,cap_net_admin,cap_sys_admin{more}+eip \"$(readlink -f .venv/bin/python)\""
        ))
    }
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoNamespace(text)
            | Self::NoInterface(text)
            | Self::Privilege(text)
            | Self::Filter(text)
            | Self::System(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for CaptureError {}
