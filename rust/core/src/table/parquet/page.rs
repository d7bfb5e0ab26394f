//! Pages: encoded values behind a header.

use super::bits;
use parquet::basic::Encoding;
use parquet::errors::{ParquetError, Result};

/// More bytes than any page header has.
pub const HEADER: usize = 64;

/// A page with its header.
pub struct PageBytes {
    /// The header ends at [`HEADER`]: it is known last.
    bytes: Vec<u8>,
    start: usize,
}

impl PageBytes {
    /// Of what stands behind the room for the header.
    ///
    /// # Errors
    /// A page beyond 2 GiB.
    pub fn new(mut bytes: Vec<u8>, page: Page) -> Result<Self> {
        let header = header(bytes.len() - HEADER, page)?;
        let start = HEADER - header.len();
        bytes[start..HEADER].copy_from_slice(&header);
        Ok(Self { bytes, start })
    }

    /// The whole of it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

/// What a header says of its page.
pub enum Page {
    /// The texts of a dictionary.
    Dictionary { count: usize },
    /// Levels and values.
    Data { count: usize, encoding: Encoding },
}

/// A page header: Thrift's compact protocol.
/// Source: <https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift>
fn header(len: usize, page: Page) -> Result<Vec<u8>> {
    const I32: u8 = 5;
    const STRUCT: u8 = 12;
    let len = i32::try_from(len).map_err(|_| ParquetError::General(format!("a page of {len} bytes")))?;
    // The high half of a field's first byte says how far its number is behind the one before.
    let int = |value: i32, out: &mut Vec<u8>| {
        out.push(1 << 4 | I32);
        bits::zigzag(i64::from(value), out);
    };
    let mut bytes = Vec::with_capacity(HEADER);
    let out = &mut bytes;
    int(if matches!(page, Page::Dictionary { .. }) { 2 } else { 0 }, out);
    int(len, out);
    int(len, out);
    match page {
        Page::Data { count, encoding } => {
            out.push(2 << 4 | STRUCT);
            int(count as i32, out);
            int(encoding as i32, out);
            int(Encoding::RLE as i32, out);
            int(Encoding::RLE as i32, out);
        }
        Page::Dictionary { count } => {
            out.push(4 << 4 | STRUCT);
            int(count as i32, out);
            int(Encoding::PLAIN as i32, out);
        }
    }
    out.extend_from_slice(&[0, 0]);
    Ok(bytes)
}
