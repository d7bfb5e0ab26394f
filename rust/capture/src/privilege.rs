//! Giving privileges up once the sockets are open.

use crate::error::CaptureError;
use std::io;

/// Goes on as this user, with this group and these others, in every thread, for good: no way back.
///
/// # Errors
/// What the system refused; the process must not go on capturing then.
pub fn drop_to(uid: u32, gid: u32, groups: &[u32]) -> Result<(), CaptureError> {
    // SAFETY: glibc's functions apply the change to all threads; pointer and length describe `groups`, the rest are numbers.
    let done = unsafe {
        libc::setgroups(groups.len(), groups.as_ptr()) == 0
            && libc::setresgid(gid, gid, gid) == 0
            && libc::setresuid(uid, uid, uid) == 0
    };
    if done { Ok(()) } else { Err(CaptureError::system("dropping privileges", &io::Error::last_os_error())) }
}
