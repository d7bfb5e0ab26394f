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

impl Number {
    /// The bits of a number as an unsigned one that sorts as it does.
    #[inline]
    fn rank(self, bits: u64) -> u64 {
        const SIGN: u64 = 1 << 63;
        match self {
            Self::Unsigned32 | Self::Unsigned64 => bits,
            Self::Signed64 => bits ^ SIGN,
            Self::Double if bits & SIGN == 0 => bits ^ SIGN,
            Self::Double => !bits,
        }
    }

    /// The way back.
    fn bits(self, rank: u64) -> u64 {
        match self {
            Self::Double if rank < 1 << 63 => !rank,
            Self::Double => rank ^ 1 << 63,
            other => other.rank(rank),
        }
    }
}

/// Smallest and largest of some numbers, by rank.
#[derive(Clone, Copy)]
pub struct Bounds {
    least: u64,
    most: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { least: u64::MAX, most: 0 }
    }
}

impl Bounds {
    /// Those of these numbers; NaN is none.
    pub fn of(numbers: &[u64], number: Number) -> Self {
        let widen = |all: Self, rank: u64| Self { least: all.least.min(rank), most: all.most.max(rank) };
        match number {
            Number::Double => numbers
                .iter()
                .filter(|bits| !f64::from_bits(**bits).is_nan())
                .fold(Self::default(), |all, bits| widen(all, number.rank(*bits))),
            _ => numbers.iter().fold(Self::default(), |all, bits| widen(all, number.rank(*bits))),
        }
    }

    /// Those of both.
    pub fn join(self, other: Self) -> Self {
        Self { least: self.least.min(other.least), most: self.most.max(other.most) }
    }

    /// The bits of both, unless there are none.
    pub fn ends(self, number: Number) -> (Option<u64>, Option<u64>) {
        let end = |rank: u64| (self.least <= self.most).then(|| number.bits(rank));
        (end(self.least), end(self.most))
    }

    /// As the statistics of a column chunk.
    pub fn statistics(self, number: Number, nulls: Option<u64>) -> Statistics {
        let (least, most) = self.ends(number);
        let int = |bits: Option<u64>| bits.map(|bits| bits as u32 as i32);
        let long = |bits: Option<u64>| bits.map(|bits| bits as i64);
        match number {
            Number::Unsigned32 => Statistics::int32(int(least), int(most), None, nulls, false),
            Number::Unsigned64 | Number::Signed64 => Statistics::int64(long(least), long(most), None, nulls, false),
            Number::Double => {
                // Zero has two signs, and a reader may take either for the bound.
                let zero = |bits: Option<u64>, zero: f64| {
                    bits.map(f64::from_bits).map(|value| if value == 0.0 { zero } else { value })
                };
                Statistics::double(zero(least, -0.0), zero(most, 0.0), None, nulls, false)
            }
        }
    }
}

/// About how many bytes [`encode_numbers`] appends at most for so many numbers.
pub fn most_bytes(count: usize, number: Number, bounds: Bounds) -> usize {
    // A delta needs one bit more than what numbers are apart, and is written as an unsigned one.
    let apart = bits::width(bounds.most.wrapping_sub(bounds.least)) as usize;
    let bits = match number {
        Number::Double => 64,
        Number::Unsigned32 => (apart + 1).min(32),
        Number::Unsigned64 | Number::Signed64 => (apart + 1).min(64),
    };
    (count * bits).div_ceil(8) + count / 4
}

/// Appends a page of integers as deltas, unless they are spread so widely that it would not pay; doubles as they are.
pub fn encode_numbers(numbers: &[u64], number: Number, bounds: Bounds, page: &mut Vec<u8>) -> Encoding {
    let (none, spread) = (numbers.is_empty(), bounds.most.wrapping_sub(bounds.least));
    match number {
        Number::Unsigned32 if spread == 0 => bits::no_deltas::<true>(bounds.least, numbers.len(), page),
        Number::Unsigned64 if spread == 0 => bits::no_deltas::<false>(bounds.least, numbers.len(), page),
        Number::Unsigned32 if spread < 1 << 28 || none => bits::deltas::<true>(numbers, page),
        Number::Unsigned64 | Number::Signed64 if spread < 1 << 56 || none => bits::deltas::<false>(numbers, page),
        Number::Unsigned32 => {
            page.extend(numbers.iter().flat_map(|value| (*value as u32).to_le_bytes()));
            return Encoding::PLAIN;
        }
        _ => {
            page.extend(numbers.iter().flat_map(|value| value.to_le_bytes()));
            return Encoding::PLAIN;
        }
    }
    Encoding::DELTA_BINARY_PACKED
}
