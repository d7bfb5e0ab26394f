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
    varint(BLOCK as u64, out);
    varint((BLOCK / PART) as u64, out);
    varint(values.len() as u64, out);
    let sign = |value: u64| if NARROW { i64::from(value as u32 as i32) } else { value as i64 };
    let Some((first, rest)) = values.split_first() else {
        zigzag(0, out);
        return;
    };
    zigzag(sign(*first), out);
    let mut before = *first;
    let mut block = [0i64; BLOCK];
    for chunk in rest.chunks(BLOCK) {
        let mut least = i64::MAX;
        for (delta, value) in block.iter_mut().zip(chunk) {
            *delta = sign(value.wrapping_sub(before));
            before = *value;
            least = least.min(*delta);
        }
        zigzag(least, out);
        let above = |delta: i64| {
            let above = delta.wrapping_sub(least) as u64;
            if NARROW { u64::from(above as u32) } else { above }
        };
        let widths_at = out.len();
        out.extend_from_slice(&[0; BLOCK / PART]);
        for (part, deltas) in block[..chunk.len()].chunks(PART).enumerate() {
            let width = width(deltas.iter().fold(0, |ored, delta| ored | above(*delta)));
            out[widths_at + part] = width as u8;
            let end = out.len() + PART / 8 * width as usize;
            pack(deltas.iter().map(|delta| above(*delta)), width, out);
            out.resize(end, 0);
        }
    }
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
    fn numbers_in_seven_bit_pieces() {
        let mut out = Vec::new();
        varint(300, &mut out);
        zigzag(-1, &mut out);
        zigzag(i64::MIN, &mut out);
        assert_eq!(out[..3], [0xac, 2, 1]);
        assert_eq!(out[3..], [255, 255, 255, 255, 255, 255, 255, 255, 255, 1]);
    }
}
