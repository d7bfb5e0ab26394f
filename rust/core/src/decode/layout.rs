//! What stands where in a header: every field once, with Wireshark's name, type, unit and the section that defines it.

use std::net::{Ipv4Addr, Ipv6Addr};

/// How a field's bytes are read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Unsigned number, decimal.
    Uint,
    /// Unsigned number, hexadecimal.
    Hex,
    /// One bit.
    Flag,
    /// MAC address.
    Mac,
    /// IPv4 address.
    Ipv4,
    /// IPv6 address.
    Ipv6,
    /// Bytes.
    Bytes,
}

/// One field of a header.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Wireshark's name.
    pub name: &'static str,
    /// For people.
    pub title: &'static str,
    /// Byte offset in the header.
    pub at: usize,
    /// Length, bytes.
    pub len: usize,
    /// Which bits of a number belong to it; 0 means all.
    pub mask: u64,
    /// The number counts this many units.
    pub times: u64,
    /// Type.
    pub kind: Kind,
    /// What a number counts; empty for identifiers and codes.
    pub unit: &'static str,
    /// How many hexadecimal digits are written; 0 means as many as the bytes have.
    pub digits: u32,
}

/// A field with nothing but its place.
#[must_use]
pub const fn field(kind: Kind, name: &'static str, title: &'static str, at: usize, len: usize) -> Field {
    Field { name, title, at, len, mask: 0, times: 1, kind, unit: "", digits: 0 }
}

impl Field {
    /// Only these bits.
    #[must_use]
    pub const fn mask(self, mask: u64) -> Self {
        Self { mask, ..self }
    }

    /// What the number counts.
    #[must_use]
    pub const fn unit(self, unit: &'static str) -> Self {
        Self { unit, ..self }
    }

    /// Written with this many hexadecimal digits.
    #[must_use]
    pub const fn digits(self, digits: u32) -> Self {
        Self { digits, ..self }
    }

    /// The number counts `times` units.
    #[must_use]
    pub const fn times(self, times: u64, unit: &'static str) -> Self {
        Self { times, unit, ..self }
    }
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Number or code.
    Uint(u64),
    /// MAC address.
    Mac([u8; 6]),
    /// IPv4 address.
    Ipv4(Ipv4Addr),
    /// IPv6 address.
    Ipv6(Ipv6Addr),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// A field of one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldValue {
    /// Wireshark's name.
    pub name: &'static str,
    /// For people.
    pub title: &'static str,
    /// Type.
    pub kind: Kind,
    /// What a number counts.
    pub unit: &'static str,
    /// How many bits a number has.
    pub bits: u32,
    /// The value.
    pub value: Value,
    /// Byte offset in the frame.
    pub offset: usize,
    /// Length, bytes.
    pub len: usize,
}

/// A layer of one frame, for the function that adds the fields with no fixed place.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    /// From the start of the header to the end of what belongs to it, as captured.
    pub bytes: &'a [u8],
    /// Length of the header itself.
    pub len: usize,
    /// Length of the header and what it carries, on the wire.
    pub wire: usize,
    /// Where it starts in the frame.
    pub offset: usize,
}

/// The fields of one protocol's header.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// The protocol's full name.
    pub title: &'static str,
    /// Where it is defined: document and section.
    pub source: &'static str,
    /// Fields at fixed places.
    pub fields: &'static [Field],
    /// Fields whose place or presence depends on others.
    pub more: Option<fn(&Header<'_>, &mut Vec<FieldValue>)>,
    /// Those that `more` may add, for the list of known names.
    pub extra: &'static [Field],
}

/// A layout of fixed fields.
#[must_use]
pub const fn layout(title: &'static str, source: &'static str, fields: &'static [Field]) -> Layout {
    Layout { title, source, fields, more: None, extra: &[] }
}

impl Layout {
    /// With fields that `more` adds.
    #[must_use]
    pub const fn with(self, extra: &'static [Field], more: fn(&Header<'_>, &mut Vec<FieldValue>)) -> Self {
        Self { more: Some(more), extra, ..self }
    }

    /// All fields of a header that are there.
    #[must_use]
    pub fn values(&self, header: &Header<'_>) -> Vec<FieldValue> {
        let mut values: Vec<_> = self.fields.iter().filter_map(|field| read(field, header, field.at)).collect();
        if let Some(more) = self.more {
            more(header, &mut values);
        }
        values
    }
}

/// Reads `field` at byte `at` of the header; `None` if it is not all there.
#[must_use]
pub fn read(field: &Field, header: &Header<'_>, at: usize) -> Option<FieldValue> {
    let bytes = header.bytes.get(at..at.checked_add(field.len)?)?;
    let value = match field.kind {
        Kind::Mac => Value::Mac(*bytes.first_chunk()?),
        Kind::Ipv4 => Value::Ipv4(Ipv4Addr::from(*bytes.first_chunk::<4>()?)),
        Kind::Ipv6 => Value::Ipv6(Ipv6Addr::from(*bytes.first_chunk::<16>()?)),
        Kind::Bytes => Value::Bytes(bytes.to_vec()),
        Kind::Uint | Kind::Hex | Kind::Flag => {
            let raw = bytes.iter().take(8).fold(0_u64, |number, &byte| number << 8 | u64::from(byte));
            let number = if field.mask == 0 { raw } else { (raw & field.mask) >> field.mask.trailing_zeros() };
            Value::Uint(number * field.times)
        }
    };
    Some(told(field, value, header.offset + at, field.len))
}

/// A value that was worked out rather than read.
#[must_use]
pub fn told(field: &Field, value: Value, offset: usize, len: usize) -> FieldValue {
    let bits = if field.digits == 0 { (field.len.min(8) * 8) as u32 } else { field.digits * 4 };
    let (name, title, kind, unit) = (field.name, field.title, field.kind, field.unit);
    FieldValue { name, title, kind, unit, bits, value, offset, len }
}
