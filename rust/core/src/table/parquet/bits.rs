//! Parquet's bit-level encodings: hybrid runs of levels and dictionary codes, and deltas of integers.
//!
//! Source: <https://parquet.apache.org/docs/file-format/data-pages/encodings/>

/// Appends an unsigned LEB128 number.
pub fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a signed number, zigzag and LEB128.
pub fn zigzag(value: i64, out: &mut Vec<u8>) {
    varint(((value << 1) ^ (value >> 63)) as u64, out);
}

/// How many bits the largest of the values needs that were ORed together.
pub fn width(ored: u64) -> u32 {
    64 - ored.leading_zeros()
}

/// Appends values of `width` bits each, lowest bit first, filled up with zeros to a whole byte.
pub fn pack(values: impl Iterator<Item = u64>, width: u32, out: &mut Vec<u8>) {
    if width == 0 {
        return;
    }
    let (mut word, mut bits) = (0u64, 0u32);
    for value in values {
        word |= value << bits;
        bits += width;
        if bits >= 64 {
            out.extend_from_slice(&word.to_le_bytes());
            bits -= 64;
            // What of this value did not fit; a shift by all 64 bits would be none.
            word = if bits == 0 { 0 } else { value >> (width - bits) };
        }
    }
    out.extend_from_slice(&word.to_le_bytes()[..bits.div_ceil(8) as usize]);
}

/// One run of `count` equal values of `width` bits.
pub fn equal_run(count: usize, value: u64, width: u32, out: &mut Vec<u8>) {
    varint((count as u64) << 1, out);
    out.extend_from_slice(&value.to_le_bytes()[..width.div_ceil(8) as usize]);
}

/// One run of bit-packed values; `count` of them, filled up with zeros to a multiple of eight.
pub fn packed_run(count: usize, values: impl Iterator<Item = u64>, width: u32, out: &mut Vec<u8>) {
    let groups = count.div_ceil(8);
    varint((groups as u64) << 1 | 1, out);
    let end = out.len() + groups * width as usize;
    pack(values, width, out);
    out.resize(end, 0);
}

/// Values between two headers of a delta block, and in each of its parts.
const BLOCK: usize = 128;
const PART: usize = 32;

/// Appends integers as DELTA_BINARY_PACKED. Differences wrap around in 64 bits, or in 32 bits for `i32` columns.
pub fn deltas<const NARROW: bool>(values: &[u64], out: &mut Vec<u8>) {
    begin_deltas::<NARROW>(values.first().copied(), values.len(), out);
    let Some((first, rest)) = values.split_first() else { return };
    let mut before = *first;
    let mut block = [0; BLOCK];
    for chunk in rest.chunks(BLOCK) {
        let mut least = i64::MAX;
        for (above, value) in block.iter_mut().zip(chunk) {
            let delta = signed::<NARROW>(value.wrapping_sub(before));
            before = *value;
            least = least.min(delta);
            *above = delta as u64;
        }
        zigzag(least, out);
        // What a part has no values for is filled up with zeros.
        let parts = chunk.len().div_ceil(PART);
        block[chunk.len()..PART * parts].fill(least as u64);
        let widths_at = out.len();
        out.extend_from_slice(&[0; BLOCK / PART]);
        let (parts_of_block, _) = block.as_chunks_mut::<PART>();
        for (part, above) in parts_of_block[..parts].iter_mut().enumerate() {
            let mut ored = 0;
            for above in above.iter_mut() {
                *above = above.wrapping_sub(least as u64);
                if NARROW {
                    *above = u64::from(*above as u32);
                }
                ored |= *above;
            }
            let width = width(ored);
            out[widths_at + part] = width as u8;
            pack_part(above, width, out);
        }
    }
}

/// Appends what [`deltas`] does of the same value so many times, without a look at each: many counters are zero.
pub fn no_deltas<const NARROW: bool>(value: u64, count: usize, out: &mut Vec<u8>) {
    begin_deltas::<NARROW>((count > 0).then_some(value), count, out);
    // Of each block the smallest difference, and the widths of its parts.
    let blocks = count.saturating_sub(1).div_ceil(BLOCK);
    out.resize(out.len() + blocks * (1 + BLOCK / PART), 0);
}

/// Appends the header, with the first of so many values.
fn begin_deltas<const NARROW: bool>(first: Option<u64>, count: usize, out: &mut Vec<u8>) {
    varint(BLOCK as u64, out);
    varint((BLOCK / PART) as u64, out);
    varint(count as u64, out);
    zigzag(signed::<NARROW>(first.unwrap_or(0)), out);
}

fn signed<const NARROW: bool>(value: u64) -> i64 {
    if NARROW { i64::from(value as u32 as i32) } else { value as i64 }
}

/// Appends one part of a block as [`pack`] does.
fn pack_part(values: &[u64; PART], width: u32, out: &mut Vec<u8>) {
    match width {
        0 => {}
        // Several values at a time, as many as fit a word: most are small.
        1..=16 => pack_words::<4>(values, width, out),
        17..=32 => pack_words::<2>(values, width, out),
        _ => pack_words::<1>(values, width, out),
    }
}

/// The same; `N` values of `width` bits fit 64.
#[inline(always)]
fn pack_words<const N: usize>(values: &[u64; PART], width: u32, out: &mut Vec<u8>) {
    let (mut bytes, mut len) = ([0; PART * 8], 0);
    let (mut word, mut bits) = (0u64, 0u32);
    let more = N as u32 * width;
    for values in values.as_chunks::<N>().0 {
        let value = values[..N - 1].iter().rev().fold(values[N - 1], |all, value| all << width | value);
        word |= value << bits;
        bits += more;
        if bits >= 64 {
            bytes[len..len + 8].copy_from_slice(&word.to_le_bytes());
            len += 8;
            bits -= 64;
            // What of this value did not fit; a shift by all 64 bits would be none.
            word = if bits == 0 { 0 } else { value >> (more - bits) };
        }
    }
    // 32 values of `width` bits end in the middle of a word.
    if bits > 0 {
        bytes[len..len + 4].copy_from_slice(&(word as u32).to_le_bytes());
    }
    out.extend_from_slice(&bytes[..PART / 8 * width as usize]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_values_stand_lowest_bit_first() {
        let mut out = Vec::new();
        pack([1, 2, 3].into_iter(), 4, &mut out);
        assert_eq!(out, [0x21, 0x03]);
        out.clear();
        // The example of the specification: 0 to 7 in three bits each.
        packed_run(8, 0..8, 3, &mut out);
        assert_eq!(out, [3, 0b1000_1000, 0b1100_0110, 0b1111_1010]);
    }

    #[test]
    fn wide_values_cross_words() {
        let mut out = Vec::new();
        pack([u64::MAX >> 1, 1, u64::MAX >> 1].into_iter(), 63, &mut out);
        let bit = |at: usize| out[at / 8] >> (at % 8) & 1;
        assert_eq!((0..63).map(bit).sum::<u8>(), 63);
        assert_eq!((bit(63), (64..126).map(bit).sum::<u8>()), (1, 0));
        assert_eq!((126..189).map(bit).sum::<u8>(), 63);
    }

    #[test]
    fn parts_of_blocks_are_packed_as_any_values_are() {
        for width in 0..=64 {
            let values: [u64; PART] = std::array::from_fn(|at| {
                let mixed = (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(width);
                if width == 0 { 0 } else { mixed >> (64 - width) }
            });
            let (mut part, mut plain) = (vec![7], vec![7]);
            pack_part(&values, width, &mut part);
            pack(values.into_iter(), width, &mut plain);
            assert_eq!(part, plain, "{width}");
            assert_eq!(part.len(), 1 + PART / 8 * width as usize);
        }
    }

    #[test]
    fn equal_values_are_encoded_as_any_are() {
        for count in [0, 1, 2, 32, 33, 128, 129, 130, 257, 2048] {
            for value in [0, 1, u64::from(u32::MAX), u64::MAX] {
                let values = vec![value; count];
                let (mut any, mut equal) = (vec![7], vec![7]);
                deltas::<false>(&values, &mut any);
                no_deltas::<false>(value, count, &mut equal);
                assert_eq!(any, equal, "{count} times {value}");
                deltas::<true>(&values, &mut any);
                no_deltas::<true>(value, count, &mut equal);
                assert_eq!(any, equal, "{count} times {value}");
            }
        }
    }

    #[test]
    fn numbers_in_seven_bit_pieces() {
        let mut out = Vec::new();
        varint(300, &mut out);
        zigzag(-1, &mut out);
        zigzag(i64::MIN, &mut out);
        assert_eq!(out[..3], [0xac, 2, 1]);
        assert_eq!(out[3..], [255, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
    }
}
