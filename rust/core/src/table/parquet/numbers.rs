//! Columns of numbers: how they are kept, and how they are encoded.

use super::bits;
use arrow_array::types::{ArrowPrimitiveType, Float64Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type};
use parquet::basic::Encoding;
use parquet::file::statistics::Statistics;

/// How the bits of a number are ordered, and how many Parquet gives it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Number {
    Unsigned32,
    Unsigned64,
    Signed64,
    Double,
}

/// A number as its column keeps it.
pub trait Bits: Sized {
    /// Its type in Arrow.
    type Arrow: ArrowPrimitiveType<Native = Self>;
    /// Integers widened, doubles by their bits.
    fn bits(self) -> u64;
}

macro_rules! bits {
    ($($native:ty, $arrow:ty, $bits:expr;)*) => {
        $(impl Bits for $native {
            type Arrow = $arrow;
            #[inline]
            fn bits(self) -> u64 {
                let bits: fn(Self) -> u64 = $bits;
                bits(self)
            }
        })*
    };
}

bits! {
    u8, UInt8Type, u64::from;
    u16, UInt16Type, u64::from;
    u32, UInt32Type, u64::from;
    u64, UInt64Type, |value| value;
    i64, Int64Type, |value| value as u64;
    f64, Float64Type, f64::to_bits;
}

/// Integers as deltas, unless they are spread so widely that it would not pay; doubles as they are.
pub fn encode_numbers(
    numbers: &[u64],
    number: Number,
    nulls: Option<u64>,
    page: &mut Vec<u8>,
) -> (Encoding, Statistics) {
    let none = numbers.is_empty();
    let bounds = |flip: u64| {
        let (least, most) = numbers.iter().fold((u64::MAX, 0), |(least, most), value| {
            let value = value ^ flip;
            (value.min(least), value.max(most))
        });
        (most.wrapping_sub(least), (!none).then_some(least ^ flip), (!none).then_some(most ^ flip))
    };
    let long = |value: Option<u64>| value.map(|value| value as i64);
    let (spread, statistics) = match number {
        Number::Unsigned32 => {
            let (spread, least, most) = bounds(0);
            let int = |value: Option<u64>| value.map(|value| value as u32 as i32);
            (spread, Statistics::int32(int(least), int(most), None, nulls, false))
        }
        Number::Unsigned64 => {
            let (spread, least, most) = bounds(0);
            (spread, Statistics::int64(long(least), long(most), None, nulls, false))
        }
        Number::Signed64 => {
            // With the sign bit turned over, signed numbers are ordered as unsigned ones.
            let (spread, least, most) = bounds(1 << 63);
            (spread, Statistics::int64(long(least), long(most), None, nulls, false))
        }
        Number::Double => {
            let (least, most) = numbers
                .iter()
                .map(|bits| f64::from_bits(*bits))
                .filter(|value| !value.is_nan())
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), value| (value.min(least), value.max(most)));
            let there = least <= most;
            // Zero has two signs, and a reader may take either for the bound.
            let (least, most) = (if least == 0.0 { -0.0 } else { least }, if most == 0.0 { 0.0 } else { most });
            (u64::MAX, Statistics::double(there.then_some(least), there.then_some(most), None, nulls, false))
        }
    };
    match number {
        Number::Unsigned32 if spread < 1 << 28 || none => bits::deltas::<true>(numbers, page),
        Number::Unsigned64 | Number::Signed64 if spread < 1 << 56 || none => bits::deltas::<false>(numbers, page),
        Number::Unsigned32 => {
            page.extend(numbers.iter().flat_map(|value| (*value as u32).to_le_bytes()));
            return (Encoding::PLAIN, statistics);
        }
        _ => {
            page.extend(numbers.iter().flat_map(|value| value.to_le_bytes()));
            return (Encoding::PLAIN, statistics);
        }
    }
    (Encoding::DELTA_BINARY_PACKED, statistics)
}
