//! Names of services by number, so that a flow keeps a byte of them.

use serde::de::{Deserialize, Deserializer, Error};
use std::sync::OnceLock;

/// More names than there are parsers. Each is set once, in this order, and stays.
static NAMES: [OnceLock<&'static str>; 127] = [const { OnceLock::new() }; 127];

/// How many of them a saved state may bring along: the others are the parsers'.
const READ_BACK: usize = 64;

/// The number of a name, from 1; 0 without.
#[inline]
pub(super) fn number_of(name: Option<&'static str>) -> u8 {
    let Some(name) = name else { return 0 };
    let at = NAMES.iter().position(|kept| *kept.get_or_init(|| name) == name);
    at.map_or(0, |at| at as u8 + 1)
}

/// The name of a number.
#[inline]
pub(super) fn name_of(number: u8) -> Option<&'static str> {
    NAMES.get(usize::from(number).checked_sub(1)?)?.get().copied()
}

/// A name read back from a saved state: the same few again and again, each kept once.
pub(super) fn name<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'static str>, D::Error> {
    let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
    if let Some(known) = NAMES.iter().map_while(OnceLock::get).find(|known| **known == text) {
        return Ok(Some(known));
    }
    if text.len() > 64 || NAMES[READ_BACK].get().is_some() {
        return Err(D::Error::custom("no name of a service"));
    }
    let number = number_of(Some(text.leak()));
    Ok(name_of(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::Facts;

    #[test]
    fn made_up_names_do_not_crowd_out_those_of_parsers() {
        let read = |name: &'static str| {
            let facts = Facts { service: Some(name), ..Facts::default() };
            let bytes = postcard::to_stdvec(&facts).expect("facts have a form");
            postcard::from_bytes::<Facts>(&bytes).map(|facts| facts.service)
        };
        let made_up: Vec<&'static str> = (0..200).map(|number| &*format!("made up {number}").leak()).collect();
        let taken = made_up.iter().filter(|name| read(name) == Ok(Some(**name))).count();
        assert!((1..=READ_BACK + 1).contains(&taken), "{taken}");
        assert!(read(made_up[199]).is_err());
        assert_eq!(read(made_up[0]), Ok(Some(made_up[0])), "known already");
        for name in ["tls", "http2", "one more"] {
            assert_eq!(name_of(number_of(Some(name))), Some(name));
        }
        assert_eq!((number_of(None), name_of(0)), (0, None));
    }
}
