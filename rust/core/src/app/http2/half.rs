//! One side of a connection: the frame and the header block in the making, and the table of header fields (RFC 7541).

use super::fields::Fields;
use crate::stream::Place;
use loona_hpack::Decoder;
use loona_hpack::decoder::DecoderError;
use std::borrow::Cow;

/// Largest table of header fields that is kept, bytes (the default is 4096). Two bytes can put thousands into it, so what it
/// may take of memory, of all connections together, is not bounded by what they send.
const MAX_TABLE: usize = 1 << 16;
const TOO_LARGE: &str = "header table larger than 65536 bytes";
/// Largest table that a peer may announce.
const MAX_ANNOUNCED: usize = 1 << 20;

/// What a side sends: frames, and header blocks that share a table.
pub(super) struct Half {
    /// Bytes of the preface that are still to come.
    pub(super) preface: usize,
    pub(super) header: Vec<u8>,
    /// Bytes of the frame that are still to come.
    pub(super) left: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    /// Payload of a frame that is read whole, then the header block it belongs to.
    pub(super) frame: Vec<u8>,
    pub(super) block: Vec<u8>,
    pub(super) block_ends_stream: bool,
    /// The block is that of a PUSH_PROMISE, its continuations too: the stream that it promises.
    pub(super) promised: Option<u32>,
    /// Padding at the end of a DATA frame; `None` until its first byte.
    pub(super) padding: Option<usize>,
    hpack: Decoder<'static>,
    /// The peer's table is larger than what is kept of it.
    is_cut: bool,
    pub(super) last: Place,
}

impl Half {
    /// A side that sends so many bytes of preface first.
    pub(super) fn new(preface: usize) -> Self {
        let mut hpack = Decoder::new();
        hpack.set_max_allowed_table_size(MAX_TABLE);
        Self {
            preface,
            header: Vec::new(),
            left: 0,
            kind: 0,
            flags: 0,
            stream: 0,
            frame: Vec::new(),
            block: Vec::new(),
            block_ends_stream: false,
            promised: None,
            padding: None,
            hpack,
            is_cut: false,
            last: Place::default(),
        }
    }

    /// Decodes a header block. Of a table larger than [`MAX_TABLE`] the newest fields are kept: they are counted from the
    /// newest one, and what is older than that is an index out of bounds (RFC 7541, 2.3.3).
    pub(super) fn fields(&mut self, block: &[u8]) -> Result<Fields, &'static str> {
        let mut any = false;
        let mut decode = |hpack: &mut Decoder<'static>| {
            let mut fields = Fields::default();
            let field = |name: Cow<'_, [u8]>, value: Cow<'_, [u8]>| {
                any = true;
                fields.field(&name, &value);
            };
            let decoded = hpack.decode_with_cb(block, field);
            (decoded.map(|()| fields), any)
        };
        let (mut decoded, any) = decode(&mut self.hpack);
        let is_larger = matches!(decoded, Err(DecoderError::InvalidMaxDynamicSize));
        if block.first().is_some_and(|first| first >> 5 == 1) {
            self.is_cut = is_larger;
        }
        // Sizes stand in front (RFC 7541, 4.2): what is in the table by now would be there twice.
        if is_larger && !any {
            self.hpack.set_max_allowed_table_size(MAX_ANNOUNCED);
            (decoded, _) = decode(&mut self.hpack);
            self.hpack.set_max_table_size(MAX_TABLE);
            self.hpack.set_max_allowed_table_size(MAX_TABLE);
        }
        decoded.map_err(|error| match error {
            DecoderError::InvalidMaxDynamicSize => TOO_LARGE,
            DecoderError::HeaderIndexOutOfBounds if self.is_cut => TOO_LARGE,
            _ => "header block cannot be decoded",
        })
    }
}
