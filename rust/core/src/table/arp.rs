//! The `arp` table: one row a message that says who has an address; with Neighbor Discovery it is `neighbors`.

use super::address::{write_ip, write_mac};
use super::column::{Column, Kind, Table, dense, dictionary, name_lists, names, numbers, schema, select, times};
use super::reader::record_batch;
use super::stage::Stage;
use crate::frame::Interfaces;
use crate::neighbor::watch::{Counters, Verdict};
use crate::neighbor::{Ip, Known, Limits, Mac, Message, Protocol, Watch};
use crate::pipeline::Decoded;
use crate::track::key::vlan_at;
use arrow_array::types::{UInt16Type, UInt64Type};
use arrow_array::{ArrayRef, BooleanArray, RecordBatch};
use arrow_schema::SchemaRef;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// A run of messages and what they turned out to be.
pub struct Rows<'a> {
    /// The messages.
    pub messages: &'a [(Message, Verdict)],
    /// Interfaces of their frames.
    pub interfaces: &'a Interfaces,
}

/// The table of ARP and Neighbor Discovery messages.
pub struct Neighbors;

impl Table for Neighbors {
    type Rows<'a> = Rows<'a>;
}

impl<'a> Rows<'a> {
    fn iter(&self) -> std::slice::Iter<'a, (Message, Verdict)> {
        self.messages.iter()
    }
}

macro_rules! column {
    ($name:literal, $kind:ident, $doc:literal, $fill:expr) => {
        Column::<Neighbors> { name: $name, kind: Kind::$kind, doc: $doc, fill: $fill, direct: None }
    };
}

fn interface(rows: &Rows<'_>, get: fn(&crate::frame::InterfaceInfo) -> Option<&str>) -> ArrayRef {
    names(rows.iter().map(|(m, _)| rows.interfaces.get(m.interface as usize).and_then(|info| get(info))))
}

fn mac(rows: &Rows<'_>, get: fn(&Message) -> Option<Mac>) -> ArrayRef {
    dictionary(rows.iter().map(|(message, _)| get(message)), write_mac)
}

fn ip(rows: &Rows<'_>, get: fn(&Message) -> Option<Ip>) -> ArrayRef {
    dictionary(rows.iter().map(|(message, _)| get(message)), |ip, out| write_ip(ip.family, &ip.bytes, out))
}

/// The columns in their order. The contract fixes the names up to `finding`.
pub static COLUMNS: &[Column<Neighbors>] = &[
    column!("ts", Time, "Capture time.", |r| times(r.iter().map(|(m, _)| (!m.ts_missing).then_some(m.ts)))),
    column!("frame_number", U64, "Position in the input, from 1.", |r| dense::<UInt64Type, _>(
        r.iter().map(|(m, _)| m.number)
    )),
    column!("netns", Dict, "Network namespace of the capture point; null when the capture does not say.", |r| {
        interface(r, |info| info.netns.as_deref())
    }),
    column!("interface", Dict, "Interface name; null when the capture does not say.", |r| {
        interface(r, |info| info.name.as_deref())
    }),
    column!("vlan", U16, "Outermost VLAN id; null without a tag. Id 0 is none.", |r| numbers::<UInt16Type, _>(
        r.iter().map(|(m, _)| vlan_at(m.segment.vlans, 0))
    )),
    column!("opcode", U16, "ARP: 1 request, 2 reply (RFC 826). ND: the ICMPv6 type (RFC 4861).", |r| {
        dense::<UInt16Type, _>(r.iter().map(|(m, _)| m.opcode))
    }),
    column!("src_hw", Dict, "Sender's hardware address. ND: link-layer address option, null without.", |r| {
        mac(r, |m| m.src_hw)
    }),
    column!("src_ip", Dict, "The address that the sender calls its own. NA: the target.", |r| ip(r, |m| m.src_ip)),
    column!("dst_hw", Dict, "Target hardware address. ND Redirect: the better first hop's; null for other ND.", |r| {
        mac(r, |m| m.dst_hw)
    }),
    column!(
        "dst_ip",
        Dict,
        "The address asked for, or whom the answer is for; ND Redirect: the better first hop.",
        |r| ip(r, |m| m.dst_ip)
    ),
    column!(
        "gratuitous",
        Bool,
        "Announced unasked: sender and target are the same. NA: unsolicited, to all nodes.",
        |r| { Arc::new(r.iter().map(|(m, _)| Some(m.gratuitous)).collect::<BooleanArray>()) }
    ),
    column!("finding", Dict, "new, changed, flip-flop, conflict or mismatch, the gravest; null: as expected.", |r| {
        names(r.iter().map(|(_, v)| v.findings.main().map(crate::neighbor::Finding::name)))
    }),
    column!("findings", ListText, "All of them, and unsolicited, gratuitous-storm, gateway-takeover.", |r| {
        name_lists(r.iter().map(|(_, v)| v.findings.iter().map(crate::neighbor::Finding::name)))
    }),
    column!("previous_hw", Dict, "The other station that has or had src_ip, where a finding speaks of one.", |r| {
        dictionary(r.iter().map(|(_, v)| v.previous), write_mac)
    }),
    column!("eth_src", Dict, "Source of the Ethernet header.", |r| mac(r, |m| m.eth_src)),
    column!("protocol", Dict, "arp or nd.", |r| names(r.iter().map(|(m, _)| Some(match m.protocol {
        Protocol::Arp => "arp",
        Protocol::Nd => "nd",
    })))),
];

/// Makes the table while frames go by.
pub struct Maker {
    columns: Vec<&'static Column<Neighbors>>,
    schema: SchemaRef,
    watch: Watch,
    discovery: bool,
    rows: Vec<(Message, Verdict)>,
}

impl Maker {
    /// A table with these columns; with `discovery` it has Neighbor Discovery's rows too. `known`: from earlier runs;
    /// `gateways`: addresses of default gateways.
    ///
    /// # Errors
    /// A column name that is not there.
    pub fn new(
        columns: Option<&[String]>,
        discovery: bool,
        known: Vec<Known>,
        gateways: Vec<Ip>,
    ) -> Result<Self, String> {
        let columns = select(COLUMNS, columns)?;
        let mut watch = Watch::new(Limits::default());
        watch.remember(known);
        watch.gateways(gateways);
        let schema = Arc::new(schema(&columns, metadata(&watch, discovery)));
        Ok(Self { columns, schema, watch, discovery, rows: Vec::new() })
    }
}

impl Stage for Maker {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn frames(&mut self, decoded: &Decoded, out: &mut VecDeque<RecordBatch>) {
        self.watch.learn(&decoded.batch.interfaces);
        self.rows.clear();
        for (meta, packet) in decoded.batch.frames.iter().zip(decoded.packets()) {
            if let Some(row) = self.watch.frame(meta, packet, decoded.batch.bytes(meta))
                && (self.discovery || row.0.protocol == Protocol::Arp)
            {
                self.rows.push(row);
            }
        }
        if !self.rows.is_empty() {
            let rows = Rows { messages: &self.rows, interfaces: &decoded.batch.interfaces };
            let arrays = self.columns.iter().map(|column| (column.fill)(&rows)).collect();
            out.push_back(record_batch(&self.schema, arrays, self.rows.len()));
        }
    }

    fn end(&mut self, _out: &mut VecDeque<RecordBatch>) {
        let fields = self.schema.fields().clone();
        let mut metadata = metadata(&self.watch, self.discovery);
        metadata.extend(counted(self.watch.counters()));
        self.schema = Arc::new(arrow_schema::Schema::new_with_metadata(fields, metadata));
    }

    fn known(&self) -> Vec<Known> {
        self.watch.known()
    }
}

/// What was seen: known at the end alone.
fn counted(counters: Counters) -> impl Iterator<Item = (String, String)> {
    [
        ("sniffkit.messages", counters.messages),
        ("sniffkit.evicted_addresses", counters.evicted_addresses),
        ("sniffkit.evicted_questions", counters.evicted_questions),
        ("sniffkit.evicted_segments", counters.evicted_segments),
    ]
    .into_iter()
    .map(|(key, count)| (key.to_owned(), count.to_string()))
}

fn metadata(watch: &Watch, discovery: bool) -> HashMap<String, String> {
    let limits = watch.limits();
    let seconds = |ns: i64| (ns / crate::track::options::SECOND).to_string();
    [
        ("sniffkit.table", if discovery { "neighbors" } else { "arp" }.to_owned()),
        ("sniffkit.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("sniffkit.key", "netns interface vlan_ids vni tunnel ip".to_owned()),
        ("sniffkit.contested_s", seconds(limits.contested)),
        ("sniffkit.asked_s", seconds(limits.asked)),
        ("sniffkit.max_addresses", limits.max_addresses.to_string()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}
