//! The `hosts` table: one row an address and the station that says it has it.

use super::address::{write_ip, write_mac};
use super::column::{
    Column, Kind, Table, dense, dictionary, lists, name_lists, names, numbers, schema, select, text, times,
};
use super::reader::record_batch;
use super::service::by_port;
use super::stage::Stage;
use crate::app::{Row, Wants};
use crate::hosts::{Counters, Host, Hosts, Limits, News, Source};
use crate::packet::Packet;
use crate::pipeline::Decoded;
use crate::track::Points;
use arrow_array::types::{UInt8Type, UInt64Type};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{Field, Schema, SchemaRef};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// A run of hosts, and who knows their namespaces and names.
pub struct Rows<'a> {
    /// The hosts.
    pub hosts: &'a [Host],
    /// Where they come from.
    pub all: &'a Hosts,
}

/// The table of hosts.
pub struct HostTable;

impl Table for HostTable {
    type Rows<'a> = Rows<'a>;
}

impl<'a> Rows<'a> {
    fn iter(&self) -> std::slice::Iter<'a, Host> {
        self.hosts.iter()
    }
}

macro_rules! column {
    ($name:literal, $kind:ident, $doc:literal, $fill:expr) => {
        Column::<HostTable> { name: $name, kind: Kind::$kind, doc: $doc, fill: $fill, direct: None }
    };
}

fn ports(rows: &Rows<'_>) -> ArrayRef {
    let sorted: Vec<Vec<u16>> = rows
        .iter()
        .map(|host| {
            let mut ports: Vec<u16> = host.offers.iter().map(|offer| offer.port).collect();
            ports.sort_unstable();
            ports.dedup();
            ports
        })
        .collect();
    lists(sorted.iter().map(Vec::as_slice))
}

fn services(rows: &Rows<'_>) -> ArrayRef {
    name_lists(rows.iter().map(|host| {
        let named = |offer: &crate::hosts::Offer| {
            offer.content.map(crate::decode::Proto::name).or_else(|| by_port(offer.proto, offer.port))
        };
        let mut names: Vec<&str> = host.offers.iter().filter_map(named).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter()
    }))
}

/// The columns in their order. The contract fixes the names up to `source`. The Python package fills `vendor`: it has
/// the list.
pub static COLUMNS: &[Column<HostTable>] = &[
    column!("ip", Dict, "Address.", |r| dictionary(r.iter().map(|h| Some(h.ip)), |ip, out| {
        write_ip(ip.family, &ip.bytes, out);
    })),
    column!("mac", Dict, "Hardware address that it claims or leased with; null when nothing told.", |r| {
        dictionary(r.iter().map(|h| h.mac), write_mac)
    }),
    column!("vendor", Dict, "Vendor of the card, by the IEEE's list; null for addresses that no vendor gave.", |r| {
        names(r.iter().map(|_| None))
    }),
    column!("hostname", Dict, "Name, from DHCP or DNS.", |r| names(
        r.iter().map(|h| r.all.hostname(h).map(|(name, _)| name))
    )),
    column!("os_guess", Dict, "System that its SYNs look like (after p0f's method).", |r| names(
        r.iter().map(|h| h.syn.as_ref().map(|syn| syn.guess().name))
    )),
    column!("netns", Dict, "Network namespace of the capture point; null when the capture does not say.", |r| names(
        r.iter().map(|h| r.all.netns(h.netns))
    )),
    column!(
        "first_seen",
        Time,
        "First packet from or to it, or claim; null where the capture recorded no time.",
        |r| { times(r.iter().map(|h| h.first_seen)) }
    ),
    column!("last_seen", Time, "Last packet from or to it, or claim.", |r| times(r.iter().map(|h| h.last_seen))),
    column!("pkts", U64, "IP packets from and to it.", |r| dense::<UInt64Type, _>(r.iter().map(|h| h.pkts))),
    column!("bytes", U64, "Bytes of their frames.", |r| dense::<UInt64Type, _>(r.iter().map(|h| h.bytes))),
    column!("ports", ListU16, "TCP ports that it accepts on, UDP ports that it answers from: the first 256.", ports),
    column!("services", ListText, "What those are: by content, else by port.", services),
    column!("source", ListText, "Where its row comes from: arp nd dhcp dns tcp udp ip.", |r| {
        name_lists(r.iter().map(|h| {
            let dns = r.all.hostname(h).is_some_and(|(_, source)| source == Source::Dns);
            let sources = h.sources | if dns { 1 << Source::Dns as u8 } else { 0 };
            Source::ALL.into_iter().filter(move |s| sources & 1 << *s as u8 != 0).map(Source::name)
        }))
    }),
    column!("os_confidence", U8, "How sure os_guess is, percent.", |r| numbers::<UInt8Type, _>(
        r.iter().map(|h| h.syn.as_ref().map(|syn| syn.guess().confidence))
    )),
    column!("os_signature", Text, "The SYN in p0f's order: version:ttl+hops:mss:window,scale:options.", |r| {
        text(r.iter(), |host, out| host.syn.as_ref().map(|syn| syn.write(out)).is_some())
    }),
    column!("hostname_source", Dict, "dhcp or dns.", |r| names(
        r.iter().map(|h| r.all.hostname(h).map(|(_, source)| source.name()))
    )),
    column!("mac_source", Dict, "arp, nd or dhcp.", |r| names(r.iter().map(|h| {
        let sources = [Source::Arp, Source::Nd, Source::Dhcp];
        h.mac.and_then(|_| sources.into_iter().find(|source| h.has(*source)).map(Source::name))
    }))),
    column!("os_source", Dict, "tcp, where there is a guess.", |r| names(
        r.iter().map(|h| h.syn.as_ref().map(|_| Source::Tcp.name()))
    )),
    column!("ports_source", ListText, "tcp, udp: by what the ports are known.", |r| name_lists(r.iter().map(|h| {
        let by = |proto: u8, source: Source| h.offers.iter().any(|offer| offer.proto == proto).then(|| source.name());
        [by(6, Source::Tcp), by(17, Source::Udp)].into_iter().flatten()
    }))),
];

/// Makes the table while frames go by; its rows come at the end.
pub struct Maker {
    columns: Vec<&'static Column<HostTable>>,
    schema: SchemaRef,
    hosts: Hosts,
}

impl Maker {
    /// A table with these columns.
    ///
    /// # Errors
    /// A column name that is not there.
    pub fn new(columns: Option<&[String]>) -> Result<Self, String> {
        let columns = select(COLUMNS, columns)?;
        let is_service = |port| by_port(17, port).is_some();
        let hosts = Hosts::new(Limits { is_service, ..Limits::default() });
        let schema = Arc::new(schema(&columns, metadata(&hosts)));
        Ok(Self { columns, schema, hosts })
    }

    fn emit_gone(&mut self, out: &mut VecDeque<RecordBatch>) {
        let gone = self.hosts.take_gone();
        self.emit(&gone, out);
    }

    fn emit(&self, hosts: &[Host], out: &mut VecDeque<RecordBatch>) {
        if !hosts.is_empty() {
            let rows = Rows { hosts, all: &self.hosts };
            let arrays = self.columns.iter().map(|column| (column.fill)(&rows)).collect();
            out.push_back(record_batch(&self.schema, arrays, hosts.len()));
        }
    }
}

impl Stage for Maker {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn frames(&mut self, decoded: &Decoded, out: &mut VecDeque<RecordBatch>) {
        self.hosts.learn(&decoded.batch.interfaces);
        for (meta, packet) in decoded.batch.frames.iter().zip(decoded.packets()) {
            if self.hosts.is_full() {
                let gone = self.hosts.evict();
                self.emit(&gone, out);
            }
            self.hosts.frame(meta, packet, decoded.batch.bytes(meta));
        }
        self.emit_gone(out);
    }

    fn wants(&self) -> Wants {
        Wants { dns: true, dhcp: true, ..Wants::default() }
    }

    fn listens(&self, packet: &Packet) -> bool {
        const PORTS: [u16; 7] = [53, 67, 68, 546, 547, 5353, 5355];
        packet.is_fragment || packet.has_ports && (PORTS.contains(&packet.src_port) || PORTS.contains(&packet.dst_port))
    }

    fn said(&mut self, rows: Vec<Row>, points: &Points) {
        for row in &rows {
            self.hosts.said(row, points);
        }
    }

    fn news(&mut self) -> Option<RecordBatch> {
        let hosts = self.hosts.take_news();
        let rows = Rows { hosts: &hosts, all: &self.hosts };
        let mut arrays: Vec<ArrayRef> = self.columns.iter().map(|column| (column.fill)(&rows)).collect();
        arrays.push(name_lists(hosts.iter().map(|host| {
            let bits = host.news;
            News::ALL.into_iter().filter(move |news| bits & 1 << *news as u8 != 0).map(News::name)
        })));
        let mut fields: Vec<_> = self.schema.fields().iter().cloned().collect();
        fields.push(Arc::new(Field::new("news", Kind::ListText.data_type(), false)));
        let schema = Arc::new(Schema::new(fields));
        (!hosts.is_empty()).then(|| record_batch(&schema, arrays, hosts.len()))
    }

    fn end(&mut self, out: &mut VecDeque<RecordBatch>) {
        let fields = self.schema.fields().clone();
        let mut metadata = metadata(&self.hosts);
        metadata.extend(counted(self.hosts.counters()));
        self.schema = Arc::new(arrow_schema::Schema::new_with_metadata(fields, metadata));
        self.emit_gone(out);
        self.emit(self.hosts.all(), out);
    }
}

/// What was seen: known at the end alone.
fn counted(counters: Counters) -> impl Iterator<Item = (String, String)> {
    [
        ("sniffkit.evicted_hosts", counters.evicted_hosts),
        ("sniffkit.evicted_names", counters.evicted_names),
        ("sniffkit.left_out_ports", counters.left_out_ports),
    ]
    .into_iter()
    .map(|(key, count)| (key.to_owned(), count.to_string()))
}

fn metadata(hosts: &Hosts) -> HashMap<String, String> {
    [
        ("sniffkit.table", "hosts".to_owned()),
        ("sniffkit.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("sniffkit.key", "netns ip mac".to_owned()),
        ("sniffkit.max_hosts", hosts.limits().max_hosts.to_string()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}
