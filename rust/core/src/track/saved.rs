//! The state of a flow table as bytes: what another run, or another machine, goes on from as if there had been no break.

use super::fragments::Fragments;
use super::lookup::Entry;
use super::{Counters, Flow, Options, Points, Tracker};
use crate::stream::heard::SavedStreams;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What the bytes begin with: the form changes with the version.
const FORM: &str = concat!("sniffkit flows ", env!("CARGO_PKG_VERSION"), " 1");

#[derive(Serialize, Deserialize)]
struct Saved<'a> {
    form: Cow<'a, str>,
    points: Cow<'a, Points>,
    fragments: Cow<'a, Fragments>,
    counters: Counters,
    now: i64,
    swept: i64,
    streams: Option<SavedStreams>,
    flows: Vec<Cow<'a, Flow>>,
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
            now: self.now,
            swept: self.swept,
            streams,
            flows: self.open().into_iter().map(Cow::Borrowed).collect(),
        };
        postcard::to_allocvec(&saved).map_err(|error| error.to_string())
    }

    /// A flow table that goes on where [`Tracker::save`] was called, by the same rules.
    ///
    /// # Errors
    /// The bytes are no state that this version wrote.
    pub fn restore(options: Options, bytes: &[u8]) -> Result<Self, String> {
        let saved: Saved<'_> = postcard::from_bytes(bytes).map_err(|error| format!("no saved state: {error}"))?;
        if saved.form != FORM {
            return Err(format!("a saved state of another version: {}", saved.form));
        }
        let mut tracker = Self::new(options);
        tracker.points = saved.points.into_owned();
        tracker.fragments = saved.fragments.into_owned();
        (tracker.counters, tracker.now, tracker.swept) = (saved.counters, saved.now, saved.swept);
        match (&mut tracker.streams, saved.streams) {
            (Some(streams), Some(saved)) => streams.restore(saved)?,
            (None, None) => {}
            _ => return Err("a saved state of other columns".to_owned()),
        }
        for flow in saved.flows {
            let hash = tracker.hash(&flow.key);
            let entry = Entry { hash, slot: tracker.flows.len() as u32 };
            tracker.table.insert_unique(hash, entry, |entry| entry.hash);
            tracker.flows.push(flow.into_owned());
        }
        Ok(tracker)
    }
}
