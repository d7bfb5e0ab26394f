//! The header fields of a message that tables need (RFC 9113, 8.2 and 8.3).

use crate::app::http1::fields::{is_whole, length, list};
use crate::app::http1::head::{Length, short};
use crate::app::http1::{Head, Start};
use compact_str::CompactString;

/// Bytes of content codings beyond which no more are added: a byte of a block can stand for all of the table (RFC 7541, 6.1).
const MAX_CODINGS: usize = 256;

/// Header fields on their way to a [`Head`].
#[derive(Default)]
pub(super) struct Fields {
    method: Option<CompactString>,
    path: Option<CompactString>,
    authority: Option<CompactString>,
    pub(super) status: Option<u16>,
    host: Option<CompactString>,
    user_agent: Option<CompactString>,
    referrer: Option<CompactString>,
    content_type: Option<CompactString>,
    content_encoding: Option<CompactString>,
    disposition: Option<CompactString>,
    whole_range: bool,
    length: Length,
}

impl Fields {
    /// Takes a field; the first of each name counts, but of lists all (RFC 9110, 5.3).
    pub(super) fn field(&mut self, name: &[u8], value: &[u8]) {
        let slot = match name {
            b":method" => &mut self.method,
            b":path" => &mut self.path,
            b":authority" => &mut self.authority,
            b":status" => {
                self.status = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                return;
            }
            b"host" => &mut self.host,
            b"user-agent" => &mut self.user_agent,
            b"referer" => &mut self.referrer,
            b"content-type" => &mut self.content_type,
            b"content-encoding" => {
                if self.content_encoding.as_ref().is_none_or(|codings| codings.len() < MAX_CODINGS) {
                    list(&mut self.content_encoding, value);
                }
                return;
            }
            b"content-range" => {
                self.whole_range |= is_whole(value);
                return;
            }
            b"content-length" => {
                length(&mut self.length, value);
                return;
            }
            b"content-disposition" => &mut self.disposition,
            _ => return,
        };
        if slot.is_none() {
            *slot = Some(short(value));
        }
    }

    /// A head that could not be read: a request of which nothing is known.
    pub(super) fn unread() -> Option<Head> {
        Self { method: Some(CompactString::default()), ..Self::default() }.head(true)
    }

    /// The head of a request or a response; `None` without its pseudo-fields (RFC 9113, 8.3).
    pub(super) fn head(self, is_request: bool) -> Option<Head> {
        let start = if is_request {
            Start::Request { method: self.method?, uri: self.path.unwrap_or_default() }
        } else {
            Start::Response { status: self.status?, message: CompactString::default() }
        };
        Some(Head {
            start,
            version: "2".into(),
            host: self.authority.or(self.host),
            user_agent: self.user_agent,
            referrer: self.referrer,
            content_type: self.content_type,
            content_encoding: self.content_encoding,
            disposition: self.disposition,
            upgrade: None,
            http2_settings: false,
            transfer_encoding: None,
            length: self.length,
            whole_range: self.whole_range,
        })
    }
}
