//! The `flows` table: every column declared once, with its meaning.

use super::column::{Column, Table};
pub use super::flow_rows::Rows;
use super::flow_rows::{Sent, There};
use super::sink::Sink;
use crate::app::Text;
use crate::track::key::vlan_at;
use crate::track::uid::CommunityId;
use crate::track::{Flow, Point, side::Side};

/// The table of flows.
pub struct Flows;

impl Table for Flows {
    type Rows<'a> = Rows<'a>;
}

/// Declares one column: what puts it into a [`Sink`].
macro_rules! column {
    ($name:literal, $kind:ident, $doc:literal, $put:expr) => {
        super::sink::declare!(Flows, $name, $kind, $doc, $put)
    };
}

/// Declares one column of numbers: its Arrow type, which flows have one, and what a flow has there.
macro_rules! number {
    ($name:literal, $kind:ident, $when:ident, $doc:literal, $get:expr) => {
        column!($name, $kind, $doc, |r, to| to.present(r.flows, r.there.iter().map(|there| there.$when), $get))
    };
}

/// Declares one column of instants.
macro_rules! time {
    ($name:literal, $doc:literal, $get:expr) => {
        column!($name, Time, $doc, |r, to| to.times(r.iter().map($get)))
    };
}

/// A number of each side, null where `when` says that it cannot be known.
macro_rules! sided {
    ($kind:ident, $when:expr, $get:expr, $orig:literal $resp:literal $doc:literal) => {
        [
            column!($orig, $kind, $doc, |r, to| {
                let (when, get): (fn(&There, &Sent) -> u64, fn(&Side) -> _) = ($when, $get);
                to.present(r.flows, r.there.iter().map(|there| when(there, &there.sides[0])), |f| get(f.originator()))
            }),
            column!($resp, $kind, $doc, |r, to| {
                let (when, get): (fn(&There, &Sent) -> u64, fn(&Side) -> _) = ($when, $get);
                to.present(r.flows, r.there.iter().map(|there| when(there, &there.sides[1])), |f| get(f.responder()))
            }),
        ]
    };
}

fn vlan(flow: &Flow, at: u32) -> u16 {
    vlan_at(flow.key.vlans, at).unwrap_or_default()
}

fn uid<S: Sink>(rows: &Rows<'_>, sink: S) -> S::Out {
    sink.texts(rows.tracker.uids_of(rows.flows).iter(), |uid, out| {
        out.extend_from_slice(&uid.text());
        true
    })
}

fn parent<S: Sink>(rows: &Rows<'_>, sink: S) -> S::Out {
    sink.texts(rows.iter(), |flow, out| {
        let uid = flow.parent();
        uid.iter().for_each(|uid| out.extend_from_slice(&uid.text()));
        uid.is_some()
    })
}

fn community_id<S: Sink>(rows: &Rows<'_>, sink: S) -> S::Out {
    sink.texts(CommunityId::all(rows.flows).iter(), |id, out| {
        id.iter().for_each(|id| id.write(out));
        id.is_some()
    })
}

fn address<S: Sink>(rows: &Rows<'_>, get: fn(&Flow) -> &[u8; 16], sink: S) -> S::Out {
    sink.addresses(rows.flows.len(), rows.there.iter().map(|there| there.address), |at| {
        let flow = rows.flows[at];
        // ARP's addresses are IPv4 addresses: one text, one dictionary entry.
        let family = if flow.key.family == 6 { 6 } else { 4 };
        Some((family, u128::from_be_bytes(*get(flow))))
    })
}

fn hardware<S: Sink>(rows: &Rows<'_>, side: usize, get: fn(&Flow) -> &Side, sink: S) -> S::Out {
    let there = rows.there.iter().map(|there| there.sides[side].l2);
    sink.macs(rows.flows.len(), there, |at| Some(get(rows.flows[at]).l2))
}

/// The letters are ASCII.
fn history<S: Sink>(rows: &Rows<'_>, sink: S) -> S::Out {
    let letters = |f| std::str::from_utf8(Flow::history(f)).ok().filter(|letters| !letters.is_empty());
    sink.names(rows.iter().map(letters))
}

fn service<S: Sink>(rows: &Rows<'_>, sink: S) -> S::Out {
    sink.names(rows.iter().map(super::service::of))
}

fn point<S: Sink>(rows: &Rows<'_>, get: fn(&Point) -> Option<&str>, sink: S) -> S::Out {
    let points = rows.tracker.points();
    // Captures that say nothing of any point are many.
    let says = points.all().iter().any(|point| get(point).is_some());
    let there = rows.there.iter().map(|there| if says { there.all } else { 0 });
    sink.some_names(rows.flows.len(), there, |at| points.get(rows.flows[at].key.point).and_then(get))
}

/// The columns that need the bytes of the flows.
pub const FACTS: [&str; 5] = ["service", "http_host", "tls_server_name", "dns_query", "ja4"];

fn fact<S: Sink>(rows: &Rows<'_>, text: Text, sink: S) -> S::Out {
    let there = rows.there.iter().map(|there| there.facts[text as usize]);
    sink.some_names(rows.flows.len(), there, |at| rows.flows[at].facts.as_ref()?.text(text))
}

/// The columns in their order. The contract fixes the names.
pub static COLUMNS: std::sync::LazyLock<Vec<Column<Flows>>> = std::sync::LazyLock::new(columns);

fn columns() -> Vec<Column<Flows>> {
    let mut all: Vec<Column<Flows>> = vec![
        column!("uid", Text, "Name of the flow: the same bytes give the same uid on every run.", uid),
        column!("community_id", Text, "Community ID version 1, seed 0; null without IP.", community_id),
        column!("parent_uid", Text, "The flow that an ICMP error speaks of; null otherwise.", parent),
        column!(
            "netns",
            Dict,
            "Network namespace of the capture point; null when the capture does not say.",
            |r, to| { point(r, |p| p.netns.as_deref(), to) }
        ),
        column!("interface", Dict, "Interface name; null when the capture does not say.", |r, to| {
            point(r, |p| p.interface.as_deref(), to)
        }),
        number!(
            "vlan",
            U16,
            vlan,
            "Outermost VLAN id; null without a tag. Id 0 is none (IEEE 802.1Q, table 9-2).",
            |f| vlan(f, 0)
        ),
        number!("inner_vlan", U16, inner_vlan, "Second VLAN id; null with fewer than two tags.", |f| vlan(f, 1)),
        number!(
            "vni",
            U32,
            vni,
            "VXLAN or Geneve network identifier of the innermost tunnel (RFC 7348, RFC 8926).",
            |f| f.key.vni
        ),
        column!("tunnel_type", Dict, "Innermost tunnel: vxlan geneve gre ipip 6in4 …; null outside.", |r, to| to
            .names(r.iter().map(|f| f.key.tunnel.name()))),
        column!("orig_l2_addr", Dict, "Hardware address that the originator's frames come from.", |r, to| hardware(
            r,
            0,
            Flow::originator,
            to
        )),
        column!("resp_l2_addr", Dict, "Hardware address of the responder's frames.", |r, to| hardware(
            r,
            1,
            Flow::responder,
            to
        )),
        number!("ip_version", U8, ip, "4 or 6; null without IP.", |f| f.key.family),
        number!("ip_proto", U8, ip, "IP protocol number; null without IP.", |f| f.key.proto),
        column!("proto", Dict, "tcp udp icmp icmpv6 sctp … arp, or the Ethernet type.", |r, to| to
            .dictionary(r.iter().map(|f| Some(super::service::proto_key(&f.key))), super::service::write_proto)),
        column!(
            "orig_h",
            Dict,
            "Originator: sender of the SYN, else of the first packet. ARP: the sender's IP.",
            |r, to| { address(r, Flow::orig_addr, to) }
        ),
        number!("orig_p", U16, ports, "Originator's port; null for protocols without ports.", |f| f.orig_port()),
        column!("resp_h", Dict, "Responder's address. ARP: the target's IP.", |r, to| address(r, Flow::resp_addr, to)),
        number!("resp_p", U16, ports, "Responder's port; null for protocols without ports.", |f| f.resp_port()),
        number!("icmp_type", U8, icmp, "Type of the first ICMP message; null otherwise.", |f| f.icmp_type),
        number!("icmp_code", U8, icmp, "Code of the first ICMP message; null otherwise.", |f| f.icmp_code),
        time!("ts", "Time of the earliest packet; null if none was recorded.", |f| f.has_times().then_some(f.ts)),
        time!("ts_end", "Time of the latest packet.", |f| f.has_times().then_some(f.ts_end)),
        number!("duration", Nanos, timed, "ts_end - ts, ns.", |f| f.ts_end.saturating_sub(f.ts)),
        number!("first_frame", U64, all, "Number of the first frame.", |f| f.first_frame),
        number!("last_frame", U64, all, "Number of the last frame.", |f| f.last_frame),
    ];
    all.extend(sided!(U64, |t, _| t.all, |s| s.pkts, "orig_pkts" "resp_pkts" "Packets."));
    all.extend(sided!(U64, |t, _| t.all, |s| s.bytes, "orig_bytes" "resp_bytes" "Frame bytes on the wire."));
    all.extend(sided!(U64, |t, _| t.ip, |s| s.ip_bytes, "orig_ip_bytes" "resp_ip_bytes"
        "IP bytes on the wire, headers included; null without IP."));
    all.extend(sided!(U64, |t, _| t.ip, |s| s.payload_bytes, "orig_payload_bytes" "resp_payload_bytes"
        "Bytes that the transport header carries, retransmissions included; null without IP."));
    all.extend(sided!(U32, |t, _| t.tcp, |s| s.rare().retrans_pkts, "orig_retrans_pkts" "resp_retrans_pkts"
        "Segments that repeat bytes, SYN or FIN sent before, keep-alives excepted; null but for TCP."));
    all.extend(sided!(U32, |t, _| t.tcp, |s| s.rare().ooo_pkts, "orig_ooo_pkts" "resp_ooo_pkts"
        "Segments that fill a hole in sequence space; null but for TCP."));
    all.extend(sided!(U32, |t, _| t.tcp, |s| s.rare().dup_acks, "orig_dup_acks" "resp_dup_acks"
        "Acknowledgments that repeat the last one without data or window change (RFC 5681, 2); null but for TCP."));
    all.extend(sided!(U32, |t, _| t.tcp, |s| s.rare().zero_window, "orig_zero_window" "resp_zero_window"
        "Segments that announce a zero window, SYN, FIN and RST excepted; null but for TCP."));
    all.extend(sided!(U32, |t, _| t.all, |s| s.rare().truncated_pkts, "orig_truncated_pkts" "resp_truncated_pkts"
        "Packets that the snap length cut."));
    all.extend(sided!(U8, |_, s| s.ip, |s| s.ttl_min, "orig_ttl_min" "resp_ttl_min" "Smallest TTL or hop limit."));
    all.extend(sided!(U8, |_, s| s.ip, |s| s.ttl_max, "orig_ttl_max" "resp_ttl_max" "Largest TTL or hop limit."));
    all.extend(sided!(U8, |_, s| s.tcp, |s| s.tcp_flags, "orig_tcp_flags" "resp_tcp_flags"
        "OR of the TCP flags (FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128)."));
    all.extend(sided!(U16, |_, s| s.tcp, |s| s.win_init, "orig_win_init" "resp_win_init"
        "Window of the first segment, unscaled."));
    all.extend(sided!(U16, |_, s| s.mss, |s| s.mss, "orig_mss" "resp_mss"
        "Maximum segment size option of the SYN; null without."));
    all.extend([
        column!(
            "conn_state",
            Dict,
            "Zeek's connection state (S0 S1 SF REJ S2 S3 RSTO RSTR RSTOS0 RSTRH SH SHR OTH).",
            |r, to| { to.names(r.iter().map(Flow::conn_state)) }
        ),
        column!(
            "history",
            Dict,
            "Zeek's history letters, upper case for the originator; the first 32; null but for TCP and UDP.",
            history
        ),
        column!("end_reason", Dict, "fin rst reuse idle active evicted eof.", |r, to| to
            .names(r.iter().map(|f| Some(f.end.name())))),
        number!(
            "tcp_rtt",
            Nanos,
            tcp_rtt,
            "SYN to the acknowledgment that ends the handshake, ns; null if SYN or SYN-ACK was repeated.",
            |f| f.established_ts.saturating_sub(f.syn_ts)
        ),
        number!("synack_rtt", Nanos, synack_rtt, "SYN to SYN-ACK, ns; null if the SYN was repeated.", |f| f
            .synack_ts
            .saturating_sub(f.syn_ts)),
        number!(
            "ackdat_rtt",
            Nanos,
            ackdat_rtt,
            "SYN-ACK to the acknowledgment that ends the handshake, ns; null if the SYN-ACK was repeated.",
            |f| f.established_ts.saturating_sub(f.synack_ts)
        ),
    ]);
    let mut series = Vec::new();
    series.extend(sided!(U32, |_, s| s.any, |s| s.len.min, "orig_len_min" "resp_len_min"
        "Shortest frame, bytes."));
    series.extend(sided!(F64, |_, s| s.any, |s| s.len_mean().unwrap_or_default(),
        "orig_len_mean" "resp_len_mean" "Mean frame length, bytes."));
    series.extend(sided!(F64, |_, s| s.two, |s| s.len_std().unwrap_or_default(),
        "orig_len_std" "resp_len_std" "Sample standard deviation (n - 1) of frame lengths, bytes; null below 2 packets."));
    series.extend(sided!(U32, |_, s| s.any, |s| s.len.max, "orig_len_max" "resp_len_max"
        "Longest frame, bytes."));
    series.extend(sided!(Nanos, |_, s| s.timed_two, |s| s.iat.min as i64, "orig_iat_min" "resp_iat_min"
        "Shortest time between packets of this side, ns; null below 2 packets, or if one has no recorded time."));
    series.extend(sided!(F64, |_, s| s.timed_two, |s| s.iat_mean().unwrap_or_default(),
        "orig_iat_mean" "resp_iat_mean" "Mean time between packets, ns."));
    series.extend(sided!(F64, |_, s| s.timed_three, |s| s.iat_std().unwrap_or_default(),
        "orig_iat_std" "resp_iat_std" "Sample standard deviation of times between packets, ns; null below 3 packets."));
    series.extend(sided!(Nanos, |_, s| s.timed_two, |s| s.iat.max as i64, "orig_iat_max" "resp_iat_max"
        "Longest time between packets, ns."));
    // All of one side's lengths, then its times: stable, so min, mean, std and max stay in order.
    series.sort_by_key(|column| {
        ["orig_len", "orig_iat", "resp_len", "resp_iat"].iter().position(|start| column.name.starts_with(start))
    });
    all.append(&mut series);
    all.extend([
        column!("service", Dict, "Application, by content, else by the responder's well-known port.", service),
        column!("http_host", Dict, "Host of the first HTTP request.", |r, to| fact(r, Text::HttpHost, to)),
        column!("tls_server_name", Dict, "Server name of the first TLS ClientHello.", |r, to| {
            fact(r, Text::TlsServerName, to)
        }),
        column!("dns_query", Dict, "Name of the first DNS query.", |r, to| fact(r, Text::DnsQuery, to)),
        column!("ja4", Dict, "JA4 fingerprint of the first TLS ClientHello.", |r, to| fact(r, Text::Ja4, to)),
    ]);
    all
}
