//! Timestamps of files as nanoseconds since the epoch.

/// How an interface counts time: `if_tsresol` and `if_tsoffset` (draft-ietf-opsawg-pcapng, section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeScale {
    unit: Unit,
    /// Seconds to add.
    offset: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// One count is this many nanoseconds.
    Nanos(u64),
    /// One count is 10^-n seconds, n > 9.
    Decimal(u32),
    /// One count is 2^-n seconds.
    Binary(u32),
}

impl TimeScale {
    /// Microseconds: what a file without `if_tsresol` means.
    pub const MICROS: Self = Self { unit: Unit::Nanos(1_000), offset: 0 };

    /// From the option's byte: the top bit chooses powers of 2, the rest is the negative exponent.
    pub fn from_tsresol(byte: u8) -> Self {
        let exponent = u32::from(byte & 0x7f);
        let unit = if byte & 0x80 != 0 {
            Unit::Binary(exponent)
        } else if exponent <= 9 {
            Unit::Nanos(10_u64.pow(9 - exponent))
        } else {
            Unit::Decimal(exponent)
        };
        Self { unit, offset: 0 }
    }

    /// The same with an `if_tsoffset`, seconds.
    pub fn with_offset(self, offset: i64) -> Self {
        Self { offset, ..self }
    }

    /// Nanoseconds since the epoch, rounded down; `None` when 64 bits cannot hold them (after the year 2262).
    #[inline]
    pub fn nanos(self, count: u64) -> Option<i64> {
        if let (Unit::Nanos(nanos), 0) = (self.unit, self.offset) {
            return i64::try_from(count.checked_mul(nanos)?).ok();
        }
        let count = u128::from(count);
        let nanos = match self.unit {
            Unit::Nanos(nanos) => count * u128::from(nanos),
            // 10^38 is the largest power that fits; from 10^29 on every 64-bit count is below one nanosecond.
            Unit::Decimal(exponent) => 10_u128.checked_pow(exponent).map_or(0, |units| count * 1_000_000_000 / units),
            Unit::Binary(exponent) => (count * 1_000_000_000) >> exponent,
        };
        i64::try_from(i128::try_from(nanos).ok()? + i128::from(self.offset) * 1_000_000_000).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_resolutions() {
        assert_eq!(TimeScale::from_tsresol(6), TimeScale::MICROS);
        assert_eq!(TimeScale::from_tsresol(0).nanos(1_600_000_000), Some(1_600_000_000_000_000_000));
        assert_eq!(TimeScale::from_tsresol(9).nanos(1_600_000_000_123_456_789), Some(1_600_000_000_123_456_789));
        assert_eq!(TimeScale::from_tsresol(12).nanos(1_999), Some(1));
        assert_eq!(TimeScale::from_tsresol(28).nanos(u64::MAX), Some(1));
        assert_eq!(TimeScale::from_tsresol(39).nanos(u64::MAX), Some(0));
        assert_eq!(TimeScale::from_tsresol(127).nanos(u64::MAX), Some(0));
    }

    #[test]
    fn binary_resolutions() {
        assert_eq!(TimeScale::from_tsresol(0x80).nanos(5), Some(5_000_000_000));
        assert_eq!(TimeScale::from_tsresol(0x80 | 32).nanos((7 << 32) | (1 << 31)), Some(7_500_000_000));
        assert_eq!(TimeScale::from_tsresol(0xff).nanos(u64::MAX), Some(0));
    }

    #[test]
    fn offsets_may_be_negative() {
        assert_eq!(TimeScale::MICROS.with_offset(-3).nanos(2_500_000), Some(-500_000_000));
        assert_eq!(TimeScale::MICROS.with_offset(3).nanos(0), Some(3_000_000_000));
        assert_eq!(TimeScale::MICROS.with_offset(i64::MAX).nanos(0), None);
    }

    #[test]
    fn what_does_not_fit_is_unknown() {
        assert_eq!(TimeScale::MICROS.nanos(u64::MAX), None);
        assert_eq!(TimeScale::from_tsresol(9).nanos(1 << 63), None);
        assert_eq!(TimeScale::from_tsresol(0).nanos(u64::MAX), None);
    }
}
