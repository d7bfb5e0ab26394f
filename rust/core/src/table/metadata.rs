//! What travels with a table as its schema's metadata.

use crate::track::{Counters, Tracker};
use std::collections::HashMap;

/// The entries of counters.
pub fn counters(of: Counters) -> impl Iterator<Item = (String, String)> {
    of.named().into_iter().map(|(name, count)| (format!("sniffkit.{name}"), count.to_string()))
}

/// What a reader of the table must know to compare it with another: the key, the timeouts, what was seen.
#[must_use]
pub fn metadata(table: &str, tracker: &Tracker) -> HashMap<String, String> {
    let mut all = rules(table, tracker);
    if table == "flows" {
        all.extend(counters(tracker.counters()));
    } else if let Some(counted) = tracker.streams_counted().filter(|counted| counted.streams > 0) {
        all.insert("sniffkit.streams".to_owned(), counted.streams.to_string());
        all.insert("sniffkit.evicted_streams".to_owned(), counted.evicted_streams.to_string());
        all.insert("sniffkit.evicted_holes".to_owned(), counted.evicted_holes.to_string());
    }
    all
}

/// The same without what was seen: known before the first row.
#[must_use]
pub fn rules(table: &str, tracker: &Tracker) -> HashMap<String, String> {
    let options = tracker.options();
    let seconds = |ns: i64| (ns as f64 / crate::track::options::SECOND as f64).to_string();
    let mut entries =
        vec![("sniffkit.table", table.to_string()), ("sniffkit.version", env!("CARGO_PKG_VERSION").to_string())];
    if table == "flows" {
        entries.extend([
            ("sniffkit.key", "netns interface vlan_ids vni tunnel_type addresses ports proto".to_string()),
            ("sniffkit.tcp_idle_s", seconds(options.tcp_idle)),
            ("sniffkit.udp_icmp_idle_s", seconds(options.udp_idle)),
            ("sniffkit.arp_idle_s", seconds(options.arp_idle)),
            ("sniffkit.active_s", options.active.map_or("none".to_string(), seconds)),
            ("sniffkit.linger_s", seconds(options.linger)),
            ("sniffkit.max_flows", options.max_flows.to_string()),
        ]);
    }
    entries.into_iter().map(|(key, value)| (key.to_string(), value)).collect()
}
