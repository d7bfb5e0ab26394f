//! When a capture goes on in another file, and what that is called: the rules of tcpdump's -C, -G and -W.

/// A file name with the conversions of strftime(3) in it as they are at a moment, seconds since the epoch.
pub type NameAt = fn(&str, i64) -> String;

/// Limits after which the next file is begun.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rotation {
    /// `-C`: a frame that finds the file larger than this many bytes goes to the next file.
    pub max_bytes: Option<u64>,
    /// `-G`: a frame this many seconds or more after the start of the file goes to the next file. The file name then
    /// goes through strftime(3).
    pub max_seconds: Option<u32>,
    /// `-W`: with `max_bytes` files are numbered in a ring of so many, the oldest overwritten; with `max_seconds` alone
    /// the capture ends after so many; with both it only gives the numbers their width.
    pub max_files: Option<u32>,
    /// Puts the time into the names; they stay as they are without it.
    pub name_at: Option<NameAt>,
}

impl Rotation {
    /// Whether there is more than one file.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.max_bytes.is_some() || self.max_seconds.is_some()
    }
}

/// What to do before a frame is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Write it to the file that is open.
    Stay,
    /// Begin the next file.
    Next,
    /// The last file is full: the capture is done.
    Done,
}

/// The sequence of files of one capture.
#[derive(Debug)]
pub(super) struct FileSequence {
    template: String,
    rotation: Rotation,
    /// Start of the current time slot, seconds since the epoch.
    slot: i64,
    slots: u32,
    /// Number of the file in its slot.
    count: u32,
}

impl FileSequence {
    pub fn new(template: String, rotation: Rotation, now: i64) -> Self {
        Self { template, rotation, slot: now.div_euclid(1_000_000_000), slots: 0, count: 0 }
    }

    /// Name of the current file.
    pub fn name(&self) -> String {
        let mut name = match self.rotation.name_at.filter(|_| self.rotation.max_seconds.is_some()) {
            Some(name_at) => name_at(&self.template, self.slot),
            None => self.template.clone(),
        };
        if self.rotation.max_bytes.is_some() {
            // As many digits as the last number of the ring has; without a ring, or in one of a single file, the first
            // file has no number.
            match self.rotation.max_files.filter(|&files| files > 1) {
                Some(files) => {
                    let width = (files - 1).to_string().len();
                    name += &format!("{:0width$}", self.count);
                }
                None if self.count > 0 => name += &self.count.to_string(),
                None => {}
            }
        }
        name
    }

    /// Whether a frame of this time (ns since the epoch) still belongs to the current file, which holds `bytes`. Moves
    /// on to the next name when not.
    pub fn turn(&mut self, ts: i64, bytes: u64) -> Turn {
        let seconds = ts.div_euclid(1_000_000_000);
        let mut turn = Turn::Stay;
        if let Some(max_seconds) = self.rotation.max_seconds
            && seconds.saturating_sub(self.slot) >= i64::from(max_seconds)
        {
            self.slot = seconds;
            self.slots += 1;
            let limit = self.rotation.max_files.filter(|&files| files > 0 && self.rotation.max_bytes.is_none());
            if limit.is_some_and(|files| self.slots >= files) {
                return Turn::Done;
            }
            self.count = 0;
            turn = Turn::Next;
        }
        // A file that the clock has just begun is empty.
        if turn == Turn::Stay && self.rotation.max_bytes.is_some_and(|max_bytes| bytes > max_bytes) {
            self.count += 1;
            if self.rotation.max_files.is_some_and(|files| files > 0 && self.count >= files) {
                self.count = 0;
            }
            turn = Turn::Next;
        }
        turn
    }

    /// Whether frames of any time and size go to the one file.
    pub fn is_single(&self) -> bool {
        !self.rotation.is_active()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(template: &str, seconds: i64) -> String {
        template.replace("%S", &format!("{:02}", seconds % 60))
    }

    fn names(rotation: Rotation, template: &str, steps: &[(i64, u64)]) -> Vec<String> {
        let mut files = FileSequence::new(template.to_owned(), rotation, 1_600_000_000_900_000_000);
        let mut names = vec![files.name()];
        for &(seconds, bytes) in steps {
            names.push(match files.turn((1_600_000_000 + seconds) * 1_000_000_000, bytes) {
                Turn::Stay => "-".to_owned(),
                Turn::Next => files.name(),
                Turn::Done => "done".to_owned(),
            });
        }
        names
    }

    #[test]
    fn by_size_the_second_file_is_number_one() {
        let rotation = Rotation { max_bytes: Some(1_000), ..Rotation::default() };
        let steps = [(0, 24), (0, 1_000), (0, 1_001), (0, 1_001)];
        assert_eq!(names(rotation, "x.pcap", &steps), ["x.pcap", "-", "-", "x.pcap1", "x.pcap2"]);
    }

    #[test]
    fn a_ring_has_leading_zeros_and_begins_again() {
        let ring = |files| Rotation { max_bytes: Some(0), max_files: Some(files), ..Rotation::default() };
        let steps = [(0, 1); 3];
        assert_eq!(names(ring(3), "x", &steps), ["x0", "x1", "x2", "x0"]);
        assert_eq!(names(ring(10), "x", &steps)[0], "x0");
        assert_eq!(names(ring(11), "x", &steps)[0..2], ["x00", "x01"]);
        assert_eq!(names(ring(1), "x", &steps), ["x", "x", "x", "x"]);
    }

    #[test]
    fn by_time_with_the_time_in_the_name() {
        let rotation = Rotation { max_seconds: Some(10), name_at: Some(second), ..Rotation::default() };
        let steps = [(9, 0), (10, 0), (19, 0), (45, 0), (54, 0)];
        assert_eq!(names(rotation, "%S.pcap", &steps), ["40.pcap", "-", "50.pcap", "-", "25.pcap", "-"]);
    }

    #[test]
    fn by_time_with_a_number_of_files_the_capture_ends() {
        let rotation = Rotation { max_seconds: Some(10), max_files: Some(2), ..Rotation::default() };
        assert_eq!(names(rotation, "x", &[(10, 0), (20, 0)]), ["x", "x", "done"]);
    }

    #[test]
    fn by_time_and_size_numbers_begin_again_with_each_slot() {
        let both = |max_files| Rotation { max_seconds: Some(10), max_bytes: Some(5), max_files, name_at: Some(second) };
        let steps = [(1, 6), (2, 6), (10, 6), (11, 6)];
        assert_eq!(names(both(None), "%S", &steps), ["40", "401", "402", "50", "501"]);
        assert_eq!(
            names(both(Some(2)), "%S", &[(1, 6), (2, 6), (30, 6), (60, 6)]),
            ["400", "401", "400", "100", "400"]
        );
    }
}
