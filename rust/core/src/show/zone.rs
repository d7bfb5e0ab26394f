//! Local time, as told by whoever knows it: the core has no clock and no zone files.

/// Since when (seconds since 1970) local time is so many seconds ahead of UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Zone(Vec<(i64, i32)>);

impl Zone {
    /// In order of time; before the first change that holds too. None: UTC.
    #[must_use]
    pub fn new(changes: Vec<(i64, i32)>) -> Self {
        Self(changes)
    }

    /// How many seconds local time is ahead of UTC at `seconds` since 1970.
    #[must_use]
    pub fn at(&self, seconds: i64) -> i32 {
        let since = self.0.partition_point(|(from, _)| *from <= seconds);
        self.0.get(since.saturating_sub(1)).map_or(0, |(_, ahead)| *ahead)
    }
}

#[cfg(test)]
mod tests {
    use super::Zone;

    #[test]
    fn each_offset_holds_from_its_change_on() {
        let zone = Zone::new(vec![(0, 3_600), (100, 7_200), (200, 3_600)]);
        assert_eq!(
            [-5, 0, 99, 100, 199, 200, i64::MAX].map(|at| zone.at(at)),
            [3600, 3600, 3600, 7200, 7200, 3600, 3600]
        );
        assert_eq!(Zone::default().at(5), 0);
    }
}
