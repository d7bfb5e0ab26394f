//! Link types: which protocol a frame starts with.

use super::Proto;
use crate::frame::LinkType;

/// The first layer of a frame of this link type; `None` if it is not decoded.
#[inline]
pub fn first(link_type: LinkType) -> Option<Proto> {
    Some(match link_type {
        LinkType::ETHERNET => Proto::Eth,
        _ => return None,
    })
}
