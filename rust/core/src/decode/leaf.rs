//! What is named but not opened further: application data.

use super::layout::{Field, Layout, layout};
use super::{Cursor, Decoded, Next};
use crate::packet::Packet;

/// Ends the stack.
pub fn decode(_at: &mut Cursor<'_>, _packet: &mut Packet) -> Decoded {
    Ok(Next::End)
}

/// Ends the stack at a header that is named alone, of which something must be there.
///
/// # Errors
/// [`super::Fault::Short`] where nothing is.
pub fn some(at: &mut Cursor<'_>, _packet: &mut Packet) -> Decoded {
    at.peek::<1>()?;
    Ok(Next::End)
}

/// No fields: the title is the protocol's short name.
pub static LAYOUT: Layout = layout("", "", LAYOUT_FIELDS);

const LAYOUT_FIELDS: &[Field] = &[];
