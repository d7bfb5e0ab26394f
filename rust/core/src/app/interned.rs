//! Names of services read back from a saved state: the same few again and again, each kept once.

use serde::de::{Deserialize, Deserializer, Error};
use std::sync::Mutex;

/// More names than there are parsers; a state that is none stops here.
const MAX: usize = 256;

static NAMES: Mutex<Vec<&'static str>> = Mutex::new(Vec::new());

/// A name that lives as long as the program.
pub(super) fn name<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'static str>, D::Error> {
    let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
    let mut names = NAMES.lock().map_err(|_| D::Error::custom("another thread failed"))?;
    if let Some(known) = names.iter().find(|known| **known == text) {
        return Ok(Some(known));
    }
    if names.len() == MAX || text.len() > 64 {
        return Err(D::Error::custom("no name of a service"));
    }
    let kept: &'static str = text.leak();
    names.push(kept);
    Ok(Some(kept))
}
