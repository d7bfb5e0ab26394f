//! The state of a flow table as bytes: what another run, or another machine, goes on from as if there had been no break.

use super::clock::Clocks;
use super::datagram::Fragments;
use super::lookup::{Entry, whole};
use super::{Counters, Flow, Options, Points, Tracker};
use crate::stream::heard::SavedStreams;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::io::{Read, Write};

/// What the bytes begin with: the form changes with the version.
const FORM: &str = concat!("sniffkit flows ", env!("CARGO_PKG_VERSION"), " 8");

/// Of zstd: a flow is mostly zeros, and what is small is soon written.
const LEVEL: i32 = 1;

#[derive(Serialize, Deserialize)]
struct Saved<'a> {
    form: Cow<'a, str>,
    points: Cow<'a, Points>,
    fragments: Cow<'a, Fragments>,
    counters: Counters,
    clocks: Cow<'a, Clocks>,
    streams: Option<SavedStreams>,
    flows: u64,
}

impl Tracker {
    /// Makes [`Tracker::save`] possible; to be called before the first frame.
    pub fn keep_state(&mut self) {
        if let Some(streams) = &mut self.streams {
            streams.keep();
        }
    }

    /// Everything that decides the rows to come. The ended flows are to be taken before ([`Tracker::release`]).
    ///
    /// # Errors
    /// Rows of streams or names of packets are wanted, whose state is not kept, or [`Tracker::keep_state`] was not called.
    pub fn save(&self) -> Result<Vec<u8>, String> {
        let streams = match &self.streams {
            Some(streams) => Some(streams.save().ok_or("this table's state cannot be saved")?),
            None => None,
        };
        if self.options.uid_per_packet || !self.finished.is_empty() {
            return Err("this table's state cannot be saved now".to_owned());
        }
        let saved = Saved {
            form: FORM.into(),
            points: Cow::Borrowed(&self.points),
            fragments: Cow::Borrowed(&self.fragments),
            counters: self.counters,
            clocks: Cow::Borrowed(&self.clocks),
            streams,
            flows: self.table.len() as u64,
        };
        let mut out = zstd::Encoder::new(Vec::new(), LEVEL).map_err(|error| error.to_string())?;
        let mut one = postcard::to_stdvec(&saved).map_err(|error| error.to_string())?;
        out.write_all(&(one.len() as u64).to_le_bytes())
            .and_then(|()| out.write_all(&one))
            .map_err(|e| e.to_string())?;
        for flow in self.open() {
            one.clear();
            one = postcard::to_extend(flow, one).map_err(|error| error.to_string())?;
            let len = one.len() as u32;
            out.write_all(&len.to_le_bytes()).and_then(|()| out.write_all(&one)).map_err(|error| error.to_string())?;
        }
        out.finish().map_err(|error| error.to_string())
    }

    /// A flow table that goes on where [`Tracker::save`] was called, by the same rules.
    ///
    /// # Errors
    /// The bytes are no state that this version wrote.
    pub fn restore(options: Options, bytes: &[u8]) -> Result<Self, String> {
        let wrong = |error: &dyn std::fmt::Display| format!("no saved state: {error}");
        let mut from = zstd::Decoder::new(bytes).map_err(|error| wrong(&error))?;
        let (mut len, mut one) = ([0; 8], Vec::new());
        from.read_exact(&mut len).map_err(|error| wrong(&error))?;
        // Grows with what is there, whatever the length claims.
        from.by_ref().take(u64::from_le_bytes(len)).read_to_end(&mut one).map_err(|error| wrong(&error))?;
        let saved: Saved<'_> = postcard::from_bytes(&one).map_err(|error| wrong(&error))?;
        if saved.form != FORM {
            return Err(format!("a saved state of another version: {}", saved.form));
        }
        let mut tracker = Self::new(options);
        tracker.points = saved.points.into_owned();
        tracker.fragments = saved.fragments.into_owned();
        (tracker.counters, tracker.clocks) = (saved.counters, saved.clocks.into_owned());
        match (&mut tracker.streams, saved.streams) {
            (Some(streams), Some(saved)) => streams.restore(saved)?,
            (None, None) => {}
            _ => return Err("a saved state of other columns".to_owned()),
        }
        let (mut len, mut one) = ([0; 4], Vec::new());
        for _ in 0..saved.flows {
            one.clear();
            from.read_exact(&mut len).map_err(|error| wrong(&error))?;
            from.by_ref().take(u64::from(u32::from_le_bytes(len))).read_to_end(&mut one).map_err(|e| wrong(&e))?;
            let flow: Flow = postcard::from_bytes(&one).map_err(|error| wrong(&error))?;
            let hash = tracker.hash(&flow.key);
            let entry = Entry { hash, slot: tracker.flows.push(flow) };
            tracker.table.insert_unique(whole(hash), entry, Entry::whole);
        }
        Ok(tracker)
    }
}
