//! Dictionary codes of a column chunk, whatever dictionary each batch brings along.

use super::bits;
use super::page::HEADER;
use crate::track::whole;
use ahash::RandomState;
use arrow_array::types::Int32Type;
use arrow_array::{Array, DictionaryArray, StringArray};
use hashbrown::HashTable;

/// Longest text that is written as a bound of the chunk.
const MAX_BOUND: usize = 64;

/// Texts of a chunk that has bounds, at most: those of more lie so far apart that no reader could leave the chunk out, and to
/// find them takes as long as to encode it.
const MAX_TEXTS: usize = 4096;

/// The texts of a chunk, each once, and the codes of its rows.
#[derive(Default)]
pub struct Dictionary {
    /// Texts with their length in front, as the dictionary page has them, behind room for its header.
    page: Vec<u8>,
    /// Where each text stands.
    texts: Vec<(u32, u32)>,
    codes: Vec<u32>,
    /// Texts by hash: only once a second batch comes. With half its hash beside each, a growing table reads none of them.
    known: HashTable<(u32, u32)>,
    hasher: RandomState,
    /// What the codes of the batch at hand become.
    renumbered: Vec<u32>,
}

impl Dictionary {
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Forgets everything and keeps its memory.
    pub fn clear(&mut self) {
        let Self { page, texts, codes, known, hasher: _, renumbered } = self;
        page.clear();
        texts.clear();
        codes.clear();
        known.clear();
        renumbered.clear();
    }

    /// How many texts there are.
    pub fn len(&self) -> usize {
        self.texts.len()
    }

    /// About how many bytes it holds.
    pub fn size(&self) -> usize {
        self.page.len() + self.codes.len() * 4 + self.texts.len() * 16
    }

    /// The dictionary page, behind room for its header; the texts are gone then.
    pub fn take_page(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.page)
    }

    /// How many bytes [`Dictionary::encode`] appends at most.
    pub fn most_bytes(&self) -> usize {
        self.codes.len() * bits::width(self.texts.len() as u64) as usize / 8 + 16
    }

    fn text(&self, code: u32) -> &[u8] {
        let (start, end) = self.texts[code as usize];
        &self.page[start as usize..end as usize]
    }

    /// Smallest and largest text; `None` if there is none, if there are many or a bound would be long.
    pub fn bounds(&self) -> Option<(&[u8], &[u8])> {
        if self.texts.len() > MAX_TEXTS {
            return None;
        }
        let all = || (0..self.texts.len() as u32).map(|code| self.text(code));
        let (least, most) = (all().min()?, all().max()?);
        (least.len().max(most.len()) <= MAX_BOUND).then_some((least, most))
    }

    /// Adds the rows that are not null.
    pub fn append(&mut self, array: &DictionaryArray<Int32Type>) {
        let Some(values) = array.values().as_any().downcast_ref::<StringArray>() else {
            unreachable!("every dictionary column is one of text");
        };
        let first = self.texts.is_empty();
        self.renumbered.clear();
        for text in values {
            let text = text.unwrap_or_default().as_bytes();
            // The dictionary of one batch has no text twice.
            let code = if first { self.push(text) } else { self.code(text) };
            self.renumbered.push(code);
        }
        let renumbered = &self.renumbered;
        let keys = array.keys();
        match keys.nulls() {
            Some(valid) if valid.null_count() > 0 => self.codes.extend(
                keys.values().iter().zip(valid).filter(|(_, there)| *there).map(|(key, _)| renumbered[*key as usize]),
            ),
            _ => self.codes.extend(keys.values().iter().map(|key| renumbered[*key as usize])),
        }
    }

    /// Adds a row.
    #[inline]
    pub fn row(&mut self, code: u32) {
        self.codes.push(code);
    }

    /// Leaves only the first `rows` rows, and their texts, which are those that came first; nothing is added then.
    pub fn truncate(&mut self, rows: usize) {
        self.codes.truncate(rows);
        self.texts.truncate(self.codes.iter().max().map_or(0, |code| *code as usize + 1));
        self.page.truncate(self.texts.last().map_or(HEADER, |(_, end)| *end as usize));
    }

    /// The code of a text.
    pub fn code(&mut self, text: &[u8]) -> u32 {
        let Self { known, hasher, page, texts, .. } = self;
        let at = |code: u32| {
            let (start, end) = texts[code as usize];
            &page[start as usize..end as usize]
        };
        if known.is_empty() {
            for code in 0..texts.len() as u32 {
                let hash = hasher.hash_one(at(code)) as u32;
                known.insert_unique(whole(hash), (code, hash), |(_, hash)| whole(*hash));
            }
        }
        let hash = hasher.hash_one(text) as u32;
        if let Some((code, _)) = known.find(whole(hash), |(code, other)| *other == hash && at(*code) == text) {
            return *code;
        }
        let code = self.push(text);
        self.known.insert_unique(whole(hash), (code, hash), |(_, hash)| whole(*hash));
        code
    }

    /// The code of a text that is not there yet.
    pub fn push(&mut self, text: &[u8]) -> u32 {
        if self.page.is_empty() {
            self.page.resize(HEADER, 0);
        }
        self.page.extend_from_slice(&(text.len() as u32).to_le_bytes());
        let start = self.page.len() as u32;
        self.page.extend_from_slice(text);
        self.texts.push((start, self.page.len() as u32));
        self.texts.len() as u32 - 1
    }

    /// Appends the codes as a data page has them, their width and then one run, and forgets them.
    pub fn encode(&mut self, out: &mut Vec<u8>) {
        let width = bits::width(self.texts.len() as u64 - 1);
        out.push(width as u8);
        if width == 0 {
            bits::equal_run(self.codes.len(), 0, 0, out);
        } else {
            bits::packed_run(self.codes.len(), self.codes.iter().map(|code| u64::from(*code)), width, out);
        }
        self.codes.clear();
    }
}
