//! Internet group management protocol (RFC 2236, RFC 3376).

use super::layout::{Field, FieldValue, Header, Kind, Layout, Value, field, layout, read, told};
use super::{Cursor, Decoded, Next};
use crate::packet::Packet;

/// Types of messages (RFC 3376, 4; RFC 2236, 2.1).
const QUERY: u8 = 0x11;
const REPORT_V1: u8 = 0x12;
const REPORT_V2: u8 = 0x16;
const LEAVE: u8 = 0x17;
const REPORT_V3: u8 = 0x22;

/// Checks that the common part of all versions is there.
pub fn decode(at: &mut Cursor<'_>, _packet: &mut Packet) -> Decoded {
    at.peek::<8>()?;
    Ok(Next::End)
}

/// The time in which a query of version 3 is to be answered, tenths of a second: from 128 on the code is an exponent and
/// a mantissa (RFC 3376, 4.1.1).
#[must_use]
pub fn max_response(code: u8) -> u64 {
    match code {
        0..128 => u64::from(code),
        _ => u64::from(code & 0x0f | 0x10) << ((code >> 4 & 0x07) + 3),
    }
}

/// Its fields.
pub static LAYOUT: Layout = layout("Internet Group Management Protocol", "RFC 3376, 4", LAYOUT_FIELDS).with(LAYOUT_EXTRA, body);

const LAYOUT_FIELDS: &[Field] = &[
    field(Kind::Hex, "igmp.type", "Type", 0, 1),
    field(Kind::Hex, "igmp.checksum", "Checksum", 2, 2),
];

const LAYOUT_EXTRA: &[Field] = &[
    field(Kind::Uint, "igmp.max_resp", "Max Resp Time", 1, 1).unit("tenths of a second"),
    field(Kind::Ipv4, "igmp.maddr", "Multicast Address", 4, 4),
    field(Kind::Flag, "igmp.s", "Suppress Router-side Processing", 8, 1).mask(0x08),
    field(Kind::Uint, "igmp.qrv", "Querier's Robustness Variable", 8, 1).mask(0x07),
    field(Kind::Uint, "igmp.qqic", "Querier's Query Interval Code", 9, 1),
    field(Kind::Uint, "igmp.num_src", "Number of Sources", 10, 2),
    field(Kind::Ipv4, "igmp.saddr", "Source Address", 12, 4),
    field(Kind::Uint, "igmp.num_grp_recs", "Number of Group Records", 6, 2),
    field(Kind::Uint, "igmp.record_type", "Record Type", 0, 1),
    field(Kind::Uint, "igmp.aux_data_len", "Auxiliary Data Length", 1, 1).unit("4-byte words"),
];

/// What the type says that follows: a group, a query's group and sources (RFC 3376, 4.1), or group records (4.2).
fn body(header: &Header<'_>, out: &mut Vec<FieldValue>) {
    let [time, group, suppress, robustness, interval, sources, source, records, kind, words] = LAYOUT_EXTRA else { return };
    let mut put = |field: &Field, at: usize| -> Option<u64> {
        let value = read(field, header, at)?;
        let number = if let Value::Uint(number) = value.value { number } else { 0 };
        out.push(value);
        Some(number)
    };
    match header.bytes {
        [REPORT_V3, ..] => {
            let count = put(records, records.at).unwrap_or(0);
            let mut at = 8;
            for _ in 0..count {
                let (Some(_), Some(extra)) = (put(kind, at), put(words, at + 1)) else { return };
                let Some(count) = put(sources, at + 2) else { return };
                if put(group, at + 4).is_none() {
                    return;
                }
                at += 8;
                for _ in 0..count {
                    if put(source, at).is_none() {
                        return;
                    }
                    at += 4;
                }
                at += extra as usize * 4;
            }
        }
        [QUERY, code, ..] if header.wire >= 12 => {
            out.push(told(time, Value::Uint(max_response(*code)), header.offset + 1, 1));
            let fixed = [group, suppress, robustness, interval, sources];
            out.extend(fixed.iter().filter_map(|field| read(field, header, field.at)));
            let count = header.bytes.get(10..12).map_or(0, |count| usize::from(count[0]) << 8 | usize::from(count[1]));
            out.extend((0..count).map_while(|index| read(source, header, source.at + index * 4)));
        }
        [REPORT_V1, ..] | [QUERY, 0, ..] => out.extend(read(group, header, group.at)),
        [QUERY | REPORT_V2 | LEAVE, ..] => {
            out.extend([time, group].iter().filter_map(|field| read(field, header, field.at)));
        }
        _ => {}
    }
}
