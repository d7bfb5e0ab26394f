//! Where a decoder stands in a frame, and bounds-checked reading from there.

use super::Proto;
use crate::packet::Why;

/// What follows a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Another layer at the cursor.
    Layer(Proto),
    /// Nothing that is decoded.
    End,
}

/// Why a header could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It needs `need` bytes from `pos` on.
    Short {
        /// Position of the header that does not fit.
        pos: usize,
        /// Bytes it needs.
        need: usize,
    },
    /// A field has a value that the protocol forbids.
    Bad(&'static str),
}

/// What a decoder returns.
pub type Decoded = Result<Next, Fault>;

/// A position in a frame. `end` is where the enclosing header says that its content ends, never behind the captured
/// bytes; `wire_end` the same on the wire, whatever the snap length cut.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    frame: &'a [u8],
    pos: usize,
    end: usize,
    wire_end: usize,
    /// Inside a header quoted by an ICMP error: nothing here was really sent.
    pub quoted: bool,
    /// How many tunnel headers were passed, quoted ones included.
    pub depth: u8,
}

impl<'a> Cursor<'a> {
    /// At the start of a frame that was `wire_len` bytes long on the wire.
    #[must_use]
    pub fn new(frame: &'a [u8], wire_len: usize) -> Self {
        Self { frame, pos: 0, end: frame.len(), wire_end: wire_len.max(frame.len()), quoted: false, depth: 0 }
    }

    /// Byte offset in the frame.
    #[must_use]
    #[inline]
    pub fn pos(&self) -> usize {
        self.pos
    }

    /// The captured bytes from here to the end of the enclosing header's content.
    #[must_use]
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.frame.get(self.pos..self.end).unwrap_or(&[])
    }

    /// How many bytes there are from here on the wire, cut or not.
    #[must_use]
    #[inline]
    pub fn wire_rest(&self) -> usize {
        self.wire_end.saturating_sub(self.pos)
    }

    /// The next byte, by which some headers let guess what follows them; `None` if nothing does.
    ///
    /// # Errors
    /// [`Fault::Short`] if the snap length cut it.
    #[inline]
    pub fn hint(&self) -> Result<Option<u8>, Fault> {
        if self.wire_rest() == 0 { Ok(None) } else { Ok(Some(self.peek::<1>()?[0])) }
    }

    /// The next `N` bytes without moving.
    ///
    /// # Errors
    /// [`Fault::Short`] if they are not all there.
    #[inline]
    pub fn peek<const N: usize>(&self) -> Result<&'a [u8; N], Fault> {
        self.rest().first_chunk::<N>().ok_or(Fault::Short { pos: self.pos, need: N })
    }

    /// The next `len` bytes without moving.
    ///
    /// # Errors
    /// [`Fault::Short`] if they are not all there.
    #[inline]
    pub fn slice(&self, len: usize) -> Result<&'a [u8], Fault> {
        self.rest().get(..len).ok_or(Fault::Short { pos: self.pos, need: len })
    }

    /// Moves on by `len` bytes, at most to the end.
    #[inline]
    pub fn skip(&mut self, len: usize) {
        self.pos = self.pos.saturating_add(len).min(self.end);
    }

    /// The content from here on ends after `len` bytes (a length field); what lies behind is padding.
    /// A length that reaches beyond the enclosing content changes nothing.
    #[inline]
    pub fn limit(&mut self, len: usize) {
        let end = self.pos.saturating_add(len);
        self.wire_end = self.wire_end.min(end);
        self.end = self.end.min(end);
    }

    /// Turns a fault met by the decoder that started at this cursor into what the user reads.
    #[must_use]
    pub fn why(&self, fault: Fault) -> Why {
        match fault {
            Fault::Bad(what) => Why::Bad(what),
            Fault::Short { pos, need } => {
                let have = self.end.saturating_sub(pos);
                Why::Short { need, have, cut: self.wire_end.saturating_sub(pos) >= need }
            }
        }
    }
}

/// Big-endian u16 at `at` of a header whose length was checked; 0 when it is not there.
#[inline]
#[must_use]
pub fn be16(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |b| u16::from_be_bytes([b[0], b[1]]))
}

/// Big-endian u32, likewise.
#[inline]
#[must_use]
pub fn be32(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
}
