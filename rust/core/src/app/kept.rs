//! Facts as flows keep them: in one piece, no larger than what they say, since most flows have some.

use super::found::{Facts, Name};
use super::interned::{name_of, number_of};
use compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// What the application layer says of a flow: the number of its service, for each text one more than its length, 0 without,
/// and then the texts. Numbers stand in base 64, the lowest digit first, 64 added to all but the last: ASCII, so that all of
/// it is text and need not be looked at again.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Facts", into = "Facts")]
pub struct Kept(Box<str>);

/// The texts that a flow keeps, in their order there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// Host of the first HTTP request.
    HttpHost,
    /// Server name of the first ClientHello.
    TlsServerName,
    /// Name of the first DNS query.
    DnsQuery,
    /// JA4 of the first ClientHello.
    Ja4,
}

/// How many.
pub const TEXTS: usize = 4;

/// A digit is lower; the bit says that another follows.
const MORE: u8 = 64;

impl Kept {
    /// Protocol, by content.
    #[must_use]
    pub fn service(&self) -> Option<Name> {
        name_of(self.0.as_bytes()[0])
    }

    /// One of its texts.
    #[must_use]
    #[inline]
    pub fn text(&self, which: Text) -> Option<&str> {
        let bytes = self.0.as_bytes();
        let (mut at, mut before, mut own) = (1, 0, 0);
        for text in 0..TEXTS {
            let number = number(bytes, &mut at);
            if text == which as usize {
                own = number;
            } else if text < which as usize {
                before += number.saturating_sub(1);
            }
        }
        let start = at + before;
        Some(&self.0[start..start + own.checked_sub(1)?])
    }

    /// Which texts there are.
    #[must_use]
    #[inline]
    pub fn has(&self) -> [bool; TEXTS] {
        let mut at = 1;
        std::array::from_fn(|_| number(self.0.as_bytes(), &mut at) > 0)
    }

    /// Adds facts; the first of each stays.
    pub fn add(&mut self, more: &Self) {
        let (own, new) = (self.texts(), more.texts());
        let texts = std::array::from_fn(|at| own[at].or(new[at]));
        let service = self.service().or(more.service());
        if (service, texts) != (self.service(), own) {
            *self = Self::of(service, texts);
        }
    }

    /// Reads a word of each of its cache lines.
    #[must_use]
    pub fn touch(&self) -> u8 {
        self.0.as_bytes().iter().step_by(64).fold(0, |word, byte| word ^ byte)
    }

    fn of(service: Option<Name>, texts: [Option<&str>; TEXTS]) -> Self {
        let digits = |text: &Option<&str>| text.map_or(1, |text| ((text.len() + 1).ilog2() as usize) / 6 + 1);
        let len = texts.iter().map(|text| digits(text) + text.map_or(0, str::len)).sum::<usize>() + 1;
        let mut kept = String::with_capacity(len);
        kept.push(char::from(number_of(service)));
        for text in texts {
            let mut number = text.map_or(0, |text| text.len() + 1);
            while number >= usize::from(MORE) {
                kept.push(char::from(number as u8 & (MORE - 1) | MORE));
                number >>= 6;
            }
            kept.push(char::from(number as u8));
        }
        texts.into_iter().flatten().for_each(|text| kept.push_str(text));
        Self(kept.into_boxed_str())
    }

    fn texts(&self) -> [Option<&str>; TEXTS] {
        [Text::HttpHost, Text::TlsServerName, Text::DnsQuery, Text::Ja4].map(|text| self.text(text))
    }
}

/// Reads a number and goes behind it.
#[inline]
fn number(bytes: &[u8], at: &mut usize) -> usize {
    let (mut number, mut shift) = (0, 0);
    loop {
        let digit = bytes[*at];
        *at += 1;
        number |= usize::from(digit & (MORE - 1)) << shift;
        shift += 6;
        if digit < MORE {
            return number;
        }
    }
}

impl From<Facts> for Kept {
    fn from(facts: Facts) -> Self {
        let texts = [&facts.http_host, &facts.tls_server_name, &facts.dns_query, &facts.ja4];
        Self::of(facts.service, texts.map(Option::as_deref))
    }
}

impl From<Kept> for Facts {
    fn from(kept: Kept) -> Self {
        let [http_host, tls_server_name, dns_query, ja4] = kept.texts().map(|text| text.map(CompactString::from));
        Self { service: kept.service(), http_host, tls_server_name, dns_query, ja4 }
    }
}

impl std::fmt::Debug for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Facts::from(self.clone()).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn facts_are_kept_as_they_were(
            service in prop::option::of(prop::sample::select(vec!["tls", "http", "dns"])),
            texts in prop::array::uniform4(prop::option::of("\\PC{0,80}|x{60,70}|y{4090,4100}")),
        ) {
            let [http_host, tls_server_name, dns_query, ja4] = texts.map(|text| text.map(CompactString::from));
            let facts = Facts { service, http_host, tls_server_name, dns_query, ja4 };
            let kept = Kept::from(facts.clone());
            prop_assert_eq!(kept.service(), facts.service);
            prop_assert_eq!(kept.has(), kept.texts().map(|text| text.is_some()));
            prop_assert_eq!(kept.text(Text::HttpHost), facts.http_host.as_deref());
            prop_assert_eq!(kept.text(Text::TlsServerName), facts.tls_server_name.as_deref());
            prop_assert_eq!(kept.text(Text::DnsQuery), facts.dns_query.as_deref());
            prop_assert_eq!(kept.text(Text::Ja4), facts.ja4.as_deref());
            prop_assert_eq!(Facts::from(kept), facts);
        }
    }

    #[test]
    fn the_first_of_each_fact_stays() {
        let host = |host: &str| Facts { http_host: Some(host.into()), ..Facts::default() };
        let mut kept = Kept::from(host("first"));
        kept.add(&Facts { service: Some("http"), ja4: Some("t13".into()), ..host("second") }.into());
        assert_eq!(
            (kept.service(), kept.text(Text::HttpHost), kept.text(Text::Ja4)),
            (Some("http"), Some("first"), Some("t13"))
        );
        assert_eq!((kept.text(Text::TlsServerName), kept.text(Text::DnsQuery)), (None, None));
    }
}
