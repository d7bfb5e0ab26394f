//! The option lists at the end of pcapng blocks (draft-ietf-opsawg-pcapng, section 3.5).

use crate::source::record::{Order, array};

/// `opt_endofopt`: the list ends here.
const END: u16 = 0;

/// One option as it stands in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockOption<'a> {
    pub code: u16,
    pub value: &'a [u8],
}

/// Iterates over options; an error is one line, and the last item.
pub(super) struct Options<'a> {
    data: &'a [u8],
    order: Order,
}

impl<'a> Options<'a> {
    pub fn new(data: &'a [u8], order: Order) -> Self {
        Self { data, order }
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = Result<BlockOption<'a>, String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.data.is_empty() {
            return None;
        }
        let Some([a, b, c, d]) = array::<4>(self.data, 0) else {
            let left = self.data.len();
            self.data = &[];
            return Some(Err(format!("{left} bytes left for an option, 4 needed")));
        };
        let code = self.order.u16([a, b]);
        let len = usize::from(self.order.u16([c, d]));
        if code == END {
            self.data = &[];
            return None;
        }
        let Some(value) = self.data.get(4..4 + len) else {
            let left = self.data.len() - 4;
            self.data = &[];
            return Some(Err(format!("option {code} of {len} bytes in {left}")));
        };
        // Some writers leave out the padding of the last value.
        let next = (4 + len.next_multiple_of(4)).min(self.data.len());
        self.data = &self.data[next..];
        Some(Ok(BlockOption { code, value }))
    }
}

/// A text value. Some writers end it with a NUL; bytes that are no UTF-8 are replaced.
pub(super) fn text(value: &[u8]) -> String {
    let end = value.iter().position(|&byte| byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(data: &[u8]) -> Vec<Result<BlockOption<'_>, String>> {
        Options::new(data, Order::Little).collect()
    }

    #[test]
    fn values_are_padded_to_four() {
        let options = all(b"\x02\0\x03\0abc\0\x0b\0\x01\0x\0\0\0\0\0\0\0rest");
        assert_eq!(options, [Ok(BlockOption { code: 2, value: b"abc" }), Ok(BlockOption { code: 11, value: b"x" })]);
    }

    #[test]
    fn the_end_marker_may_be_missing_and_so_may_the_last_padding() {
        assert_eq!(all(b"\x02\0\x03\0abc"), [Ok(BlockOption { code: 2, value: b"abc" })]);
        assert_eq!(all(b""), []);
    }

    #[test]
    fn a_length_beyond_the_block_is_an_error_and_the_end() {
        assert_eq!(all(b"\x02\0\xff\xffabcd"), [Err("option 2 of 65535 bytes in 4".to_owned())]);
        assert_eq!(all(b"\x02\0\x03"), [Err("3 bytes left for an option, 4 needed".to_owned())]);
    }

    #[test]
    fn text_ends_at_a_nul() {
        assert_eq!(text(b"eth0\0\0"), "eth0");
        assert_eq!(text(b"\xff"), "\u{fffd}");
    }
}
