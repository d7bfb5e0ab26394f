//! Files for bodies and streams: kept in memory while small, named when they are whole, never outside their directory.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{Error, Result, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Bytes that are kept before they go to the file: no file stays open between writes, however many there are.
const CHUNK: usize = 1 << 18;
/// Buffers that wait for the next files.
const SPARE: usize = 8;
/// Longest file name, bytes; file systems allow 255.
const MAX_NAME: usize = 200;

/// Bytes that may still be written to a directory, by all its files together.
#[derive(Clone, Debug)]
struct Room(Arc<AtomicU64>);

impl Room {
    fn give(&self, bytes: u64) {
        self.0.fetch_add(bytes, Relaxed);
    }

    fn take(&self, bytes: u64) -> Result<()> {
        let taken = self.0.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(bytes));
        taken.map(|_| ()).map_err(|_| Error::other("over the limit of all files"))
    }
}

/// A file in the making.
#[derive(Debug)]
pub struct Spool {
    part: PathBuf,
    buffer: Vec<u8>,
    /// Bytes in the file so far: it is there if there are any.
    spilled: u64,
    /// NUL bytes behind them that are still to come: a hole in the file where the file system has those.
    skipped: u64,
    room: Room,
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.fill()?;
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK {
            self.spill()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Spool {
    /// So many NUL bytes, which take no place on the disk if they are many.
    pub(super) fn skip(&mut self, len: u64) -> Result<()> {
        if self.skipped == 0 && len < CHUNK as u64 {
            self.buffer.resize(self.buffer.len() + len as usize, 0);
            return if self.buffer.len() < CHUNK { Ok(()) } else { self.spill() };
        }
        if !self.buffer.is_empty() {
            self.spill()?;
        }
        self.room.take(len)?;
        self.skipped += len;
        Ok(())
    }

    /// Makes the file as long as it is with what was skipped.
    fn fill(&mut self) -> Result<()> {
        if self.skipped == 0 {
            return Ok(());
        }
        let len = std::mem::take(&mut self.skipped);
        self.append(len, |file, end| file.set_len(end))
    }

    fn spill(&mut self) -> Result<()> {
        let buffer = std::mem::take(&mut self.buffer);
        self.room.take(buffer.len() as u64)?;
        self.append(buffer.len() as u64, |file, _| file.write_all(&buffer))?;
        self.buffer = buffer;
        self.buffer.clear();
        Ok(())
    }

    /// Adds bytes for which room was taken; `write` gets the file and its new length. What could not be written whole is
    /// given up, and the file with it.
    fn append(&mut self, len: u64, write: impl FnOnce(&mut File, u64) -> Result<()>) -> Result<()> {
        let mut options = OpenOptions::new();
        let options = if self.spilled > 0 { options.append(true) } else { options.write(true).create_new(true) };
        let opened = options.open(&self.part).inspect_err(|_| self.room.give(len))?;
        self.spilled += len;
        write(&mut { opened }, self.spilled).inspect_err(|_| self.discard())
    }

    /// Takes the file away again, if there is one.
    fn discard(&mut self) {
        self.room.give(self.spilled + self.skipped);
        if self.spilled > 0 {
            let _ = std::fs::remove_file(&self.part); // the error that matters is the one before
        }
        (self.spilled, self.skipped) = (0, 0);
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.discard(); // what was kept is no longer there under this name
    }
}

/// A directory that files are extracted to.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    max_file: u64,
    /// Files that may still be kept.
    files: u64,
    room: Room,
    used: HashSet<String>,
    next: HashMap<String, u32>,
    parts: u64,
    /// Buffers of files that were kept, for the next ones: fresh memory costs as much as writing it out.
    spare: Vec<Vec<u8>>,
}

impl Directory {
    /// Files of at most `max_file` bytes each go to this directory, which is made if it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(path: &Path, max_file: u64) -> Result<Self> {
        std::fs::create_dir_all(path)?;
        Ok(Self {
            path: path.to_owned(),
            max_file,
            files: u64::MAX,
            room: Room(Arc::new(AtomicU64::new(u64::MAX))),
            used: HashSet::new(),
            next: HashMap::new(),
            parts: 0,
            spare: Vec::new(),
        })
    }

    /// At most so many files, of so many bytes in all; what does not fit is not kept, and its row says so.
    #[must_use]
    pub fn limited(mut self, files: u64, bytes: u64) -> Self {
        self.files = files;
        self.room = Room(Arc::new(AtomicU64::new(bytes)));
        self
    }

    /// Longest file, bytes.
    #[must_use]
    pub fn max_file(&self) -> u64 {
        self.max_file
    }

    /// A file in the making.
    pub fn open(&mut self) -> Spool {
        self.parts += 1;
        let part = self.path.join(format!(".sniffkit-{}-{}.part", std::process::id(), self.parts));
        Spool { part, buffer: self.spare.pop().unwrap_or_default(), spilled: 0, skipped: 0, room: self.room.clone() }
    }

    /// Gives a whole file its name, made safe and unique; the name it got. An existing file is never overwritten.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&mut self, mut spool: Spool, wanted: &str) -> Result<String> {
        if self.files == 0 {
            return Err(Error::other("over the limit of files"));
        }
        spool.fill()?;
        if spool.spilled == 0 {
            spool.room.take(spool.buffer.len() as u64)?;
        } else {
            spool.spill()?;
        }
        let name = self.place(&spool, &safe_name(wanted)).inspect_err(|_| {
            if spool.spilled == 0 {
                spool.room.give(spool.buffer.len() as u64);
            }
        })?;
        self.files -= 1;
        spool.spilled = 0;
        if self.spare.len() < SPARE {
            spool.buffer.clear();
            self.spare.push(std::mem::take(&mut spool.buffer));
        }
        Ok(name)
    }

    /// Puts a file under a name that nothing else has.
    fn place(&mut self, spool: &Spool, safe: &str) -> Result<String> {
        loop {
            let name = self.unique(safe);
            let path = self.path.join(&name);
            let mut file = match OpenOptions::new().write(true).create_new(true).open(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                other => other?,
            };
            let whole =
                if spool.spilled > 0 { std::fs::rename(&spool.part, &path) } else { file.write_all(&spool.buffer) };
            return match whole {
                Ok(()) => Ok(name),
                Err(error) => {
                    let _ = std::fs::remove_file(&path); // the error that matters is the one before
                    Err(error)
                }
            };
        }
    }

    fn unique(&mut self, safe: &str) -> String {
        if self.used.insert(safe.to_owned()) {
            return safe.to_owned();
        }
        let (stem, suffix) = parted(safe);
        let next = self.next.entry(safe.to_owned()).or_insert(1);
        loop {
            *next += 1;
            let name = format!("{stem}-{next}{suffix}");
            if self.used.insert(name.clone()) {
                return name;
            }
        }
    }
}

/// A name that is one path component and neither hidden nor strange to a terminal: percent-encoding undone, separators,
/// control characters and the like replaced by `_`, at most 200 bytes.
#[must_use]
pub fn safe_name(wanted: &str) -> String {
    let decoded = String::from_utf8_lossy(&percent_decoded(wanted)).into_owned();
    let mut out = String::with_capacity(decoded.len());
    for c in decoded.chars() {
        let strange = c.is_control() || "/\\:*?\"<>|'`$;&\u{202e}\u{202d}\u{2066}\u{2067}\u{2068}\u{fffd}".contains(c);
        out.push(if strange || c.is_whitespace() { '_' } else { c });
    }
    let kept = out.trim_start_matches(['.', '-', '_']).trim_end_matches('.');
    if kept.len() <= MAX_NAME {
        return if kept.is_empty() { "body".to_owned() } else { kept.to_owned() };
    }
    let (stem, suffix) = parted(kept);
    let mut end = MAX_NAME - suffix.len();
    while !stem.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{suffix}", &stem[..end]).trim_end_matches('.').to_owned()
}

/// A name and its suffix, dot included; empty if it has none.
fn parted(name: &str) -> (&str, &str) {
    match name.rfind('.').filter(|at| *at > 0 && name.len() - at <= 12) {
        Some(at) => name.split_at(at),
        None => (name, ""),
    }
}

pub(super) fn percent_decoded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
        if let [b'%', high, low, ..] = rest
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            out.push(high << 4 | low);
            rest = &rest[3..];
            continue;
        }
        out.push(*first);
        rest = tail;
    }
    out
}

/// The suffix for a media type, for names without one.
#[must_use]
pub fn suffix(mime: &str) -> Option<&'static str> {
    Some(match mime.to_ascii_lowercase().as_str() {
        "text/html" | "application/xhtml+xml" => ".html",
        "text/plain" => ".txt",
        "text/css" => ".css",
        "text/csv" => ".csv",
        "text/xml" | "application/xml" => ".xml",
        "text/javascript" | "application/javascript" | "application/x-javascript" => ".js",
        "application/json" => ".json",
        "application/pdf" => ".pdf",
        "application/zip" => ".zip",
        "application/gzip" | "application/x-gzip" => ".gz",
        "image/gif" => ".gif",
        "image/jpeg" => ".jpg",
        "image/png" => ".png",
        "image/svg+xml" => ".svg",
        "image/webp" => ".webp",
        "image/x-icon" | "image/vnd.microsoft.icon" => ".ico",
        "video/mp4" => ".mp4",
        "audio/mpeg" => ".mp3",
        "font/woff2" => ".woff2",
        "application/wasm" => ".wasm",
        _ => return None,
    })
}

/// What [`Directory::keep`] failed with, as one line.
#[must_use]
pub fn reason(error: &Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_their_directory() {
        for (wanted, safe) in [
            ("index.html", "index.html"),
            ("../../etc/passwd", "etc_passwd"),
            ("..%2f..%2Fetc%2fpasswd", "etc_passwd"),
            ("a\0b\nc d", "a_b_c_d"),
            ("C:\\x", "C__x"),
            (".bashrc", "bashrc"),
            ("-rf", "rf"),
            ("..", "body"),
            ("", "body"),
            ("%zz%4", "%zz%4"),
            ("caf%C3%A9.png", "café.png"),
            ("$(reboot).png", "(reboot).png"),
        ] {
            assert_eq!(safe_name(wanted), safe, "{wanted}");
        }
        assert!(safe_name(&"é".repeat(300)).len() <= MAX_NAME);
        let long = safe_name(&format!("{}.pdf", "é".repeat(300)));
        assert!(long.len() <= MAX_NAME && long.ends_with("é.pdf"), "{long}");
    }

    #[test]
    fn what_is_skipped_is_nul() {
        let dir = std::env::temp_dir().join(format!("sniffkit-skipped-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        let mut files = Directory::create(&dir, u64::MAX).unwrap();
        for [first, skipped, last] in [[0, 7, 1], [5, CHUNK, 0], [0, 3 * CHUNK, 2], [CHUNK, CHUNK - 1, 3]] {
            let mut spool = files.open();
            spool.write_all(&vec![1; first]).unwrap();
            spool.skip(skipped as u64).unwrap();
            spool.skip(1).unwrap();
            spool.write_all(&vec![2; last]).unwrap();
            let name = files.keep(spool, "a").unwrap();
            let expected = [vec![1; first], vec![0; skipped + 1], vec![2; last]].concat();
            assert!(std::fs::read(dir.join(name)).unwrap() == expected, "{first} {skipped} {last}");
        }
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn names_are_unique_and_nothing_is_overwritten() {
        let dir = std::env::temp_dir().join(format!("sniffkit-spool-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        let mut files = Directory::create(&dir, 1 << 20).unwrap();
        std::fs::write(dir.join("a.txt"), "mine").unwrap();
        let mut names = Vec::new();
        for text in [&b"1"[..], b"2", &vec![b'3'; 2 * CHUNK + 1]] {
            let mut spool = files.open();
            spool.write_all(text).unwrap();
            names.push(files.keep(spool, "a.txt").unwrap());
        }
        assert_eq!(names, ["a-2.txt", "a-3.txt", "a-4.txt"]);
        assert_eq!(std::fs::read(dir.join("a.txt")).unwrap(), b"mine");
        assert_eq!(std::fs::read(dir.join("a-4.txt")).unwrap().len(), 2 * CHUNK + 1);
        let mut dropped = files.open();
        dropped.write_all(&vec![0; CHUNK]).unwrap();
        drop(dropped);
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 4);
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn what_is_over_the_limits_is_not_kept() {
        let dir = std::env::temp_dir().join(format!("sniffkit-limits-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        let mut files = Directory::create(&dir, 1 << 30).unwrap().limited(2, 3 * CHUNK as u64);
        let mut keep = |len: usize| {
            let mut spool = files.open();
            let written = spool.write_all(&vec![0; len]);
            written.and_then(|()| files.keep(spool, "a").map(|_| ())).map_err(|error| error.to_string())
        };
        assert_eq!(keep(3 * CHUNK + 1), Err("over the limit of all files".into()));
        // What was given up made room again.
        assert_eq!(keep(2 * CHUNK), Ok(()));
        assert_eq!(keep(CHUNK + 1), Err("over the limit of all files".into()));
        assert_eq!(keep(1), Ok(()));
        assert_eq!(keep(1), Err("over the limit of files".into()));
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 2);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
