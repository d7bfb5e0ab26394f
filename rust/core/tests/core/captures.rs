//! The captures of this repository.

use std::path::{Path, PathBuf};

/// All of them whose names end so.
pub fn of(kinds: &[&str]) -> Vec<PathBuf> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../captures")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().expect("a folder").map(|entry| entry.expect("an entry").path()) {
            if entry.is_dir() {
                folders.push(entry);
            } else if entry.extension().is_some_and(|kind| kinds.iter().any(|wanted| kind == *wanted)) {
                found.push(entry);
            }
        }
    }
    found.sort();
    found
}
