//! A decoded frame: what the headers said, innermost last.
//!
//! One [`Packet`] a frame, recycled from batch to batch. It holds values where flow tracking needs them at once and
//! offsets into the frame where only a table asks for them.

use crate::decode::Proto;
pub use crate::tunnel::Tunnel;
use std::net::IpAddr;

/// No such header in this frame.
pub const NONE: u32 = u32::MAX;

/// How many layers a frame may have before decoding stops with a `malformed` note.
pub const MAX_LAYERS: usize = 128;

/// Layers and VLAN tags that a packet holds in itself; with more, all of them go to the heap. Small packets keep a batch of
/// them in the cache.
const INLINE_LAYERS: usize = 16;
const INLINE_VLANS: usize = 8;

/// One layer of the stack: which protocol, and where in the frame its header starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer(u32);

impl Layer {
    /// A layer of `proto` at byte `offset` of the frame (offsets above 16 MiB - 1 are clamped; no such frame is read).
    #[must_use]
    pub fn new(proto: Proto, offset: usize) -> Self {
        Self(((proto as u32) << 24) | (offset.min(0x00ff_ffff) as u32))
    }

    /// The protocol.
    #[must_use]
    pub fn proto(self) -> Proto {
        Proto::from_index((self.0 >> 24) as u8)
    }

    /// Byte offset of its header in the frame.
    #[must_use]
    pub fn offset(self) -> usize {
        (self.0 & 0x00ff_ffff) as usize
    }
}

/// Why decoding stopped before the end of the frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Layer that could not be read.
    pub proto: Proto,
    /// Where that layer starts, bytes from the start of the frame.
    pub offset: usize,
    /// What is wrong.
    pub why: Why,
}

/// The kinds of [`Malformed`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The header needs more bytes than there are.
    Short {
        /// Bytes that the header needs.
        need: usize,
        /// Bytes that are there.
        have: usize,
        /// The frame was longer on the wire: the snap length cut it, the sender did nothing wrong.
        cut: bool,
    },
    /// A field has a value that the protocol forbids.
    Bad(&'static str),
    /// No decoder for this link type.
    LinkType(u32),
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.why {
            Why::LinkType(number) => write!(f, "linktype {number} not decoded"),
            Why::Short { need, have, cut } => {
                write!(f, "{}@{}: need {need} have {have}", self.proto.name(), self.offset)?;
                if cut { write!(f, " (cut by snap length)") } else { Ok(()) }
            }
            Why::Bad(what) => write!(f, "{}@{}: {what}", self.proto.name(), self.offset),
        }
    }
}

/// What a frame's headers say. `ip_*`, ports and `tcp_*` are those of the innermost header that was really sent.
///
/// What following flows needs stands in the first two cache lines: packets go from the core that decodes to the one that
/// follows, and each line on the way costs more than decoding a field.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct Packet {
    /// Captured length, bytes.
    pub cap_len: u32,
    /// Length on the wire, bytes.
    pub frame_len: u32,
    /// Innermost Ethernet header, or [`NONE`].
    pub eth: u32,
    /// Innermost ARP packet that is whole and was really sent, or [`NONE`].
    pub arp: u32,
    /// Innermost unquoted IP header, or [`NONE`].
    pub ip: u32,
    /// Outermost IP header, or [`NONE`]. Differs from `ip` inside tunnels.
    pub outer_ip: u32,
    /// IP header quoted in an ICMP error, or [`NONE`].
    pub quoted_ip: u32,
    /// Start of the innermost transport header (TCP, UDP, SCTP, ICMP), or [`NONE`].
    pub transport: u32,
    /// Start of what the innermost transport (or network) header carries, or [`NONE`].
    pub payload: u32,
    /// Length of that on the wire, bytes.
    pub payload_len: u32,
    /// IP packet length on the wire: header and payload, bytes.
    pub ip_len: u32,
    /// VXLAN or Geneve network identifier of the innermost tunnel; [`NONE`] without.
    pub vni: u32,
    /// TCP sequence number, raw.
    pub tcp_seq: u32,
    /// TCP acknowledgment number, raw.
    pub tcp_ack: u32,
    /// IPv4 identification or IPv6 fragment identification.
    pub ip_id: u32,
    /// Source address: 16 bytes, or 4 bytes and zeros for IPv4.
    pub ip_src: [u8; 16],
    /// Destination address, likewise.
    pub ip_dst: [u8; 16],
    /// Fragment offset, bytes.
    pub ip_frag_offset: u16,
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// TCP flags, 12 bits as in `tcp.flags`.
    pub tcp_flags: u16,
    /// TCP window as in the header, unscaled.
    pub tcp_window: u16,
    /// Ethernet type of the innermost Ethernet header (0x8100 when a tag follows); valid if `has_eth_type`.
    pub eth_type: u16,
    /// The last Ethernet type seen, tags skipped: what the network layer is.
    pub network_type: u16,
    /// `true` unless the innermost Ethernet frame has a length field.
    pub has_eth_type: bool,
    /// 4, 6, or 0 for no IP.
    pub ip_version: u8,
    /// The protocol that the innermost IP header (or its last extension header) announces.
    pub ip_proto: u8,
    /// Time to live or hop limit.
    pub ip_ttl: u8,
    /// More fragments follow.
    pub ip_more_fragments: bool,
    /// The IP header is a fragment (offset not 0 or more fragments).
    pub is_fragment: bool,
    /// The ports are valid.
    pub has_ports: bool,
    /// The TCP fields are valid.
    pub has_tcp: bool,
    /// The ICMP or ICMPv6 type and code are valid.
    pub has_icmp: bool,
    /// ICMP type.
    pub icmp_type: u8,
    /// ICMP code.
    pub icmp_code: u8,
    /// What the innermost packet came through.
    pub tunnel: Tunnel,
    /// How many tunnel headers were passed.
    pub depth: u8,
    /// VLAN tags of the outer frame (before the first tunnel) among [`Packet::vlans`].
    pub outer_vlans: u8,
    vlan_count: u8,
    layer_count: u8,
    /// The last layer's protocol, if there is one.
    last_proto: u8,
    vlan: [u16; INLINE_VLANS],
    layers: [Layer; INLINE_LAYERS],
    many: Many,
    /// Why decoding stopped early, if it did.
    pub malformed: Option<Malformed>,
}

/// All layers, once they are more than [`INLINE_LAYERS`], and all tags beyond [`INLINE_VLANS`]. With a `SmallVec` of tags,
/// reading, decoding and following take 2 % longer.
#[derive(Clone, Debug, Default)]
struct Many {
    layers: Vec<Layer>,
    vlans: Vec<u16>,
}

impl Default for Packet {
    fn default() -> Self {
        Self {
            cap_len: 0,
            frame_len: 0,
            eth: NONE,
            arp: NONE,
            ip: NONE,
            outer_ip: NONE,
            quoted_ip: NONE,
            transport: NONE,
            payload: NONE,
            payload_len: 0,
            ip_len: 0,
            vni: NONE,
            tcp_seq: 0,
            tcp_ack: 0,
            ip_id: 0,
            ip_src: [0; 16],
            ip_dst: [0; 16],
            ip_frag_offset: 0,
            src_port: 0,
            dst_port: 0,
            tcp_flags: 0,
            tcp_window: 0,
            eth_type: 0,
            network_type: 0,
            has_eth_type: false,
            ip_version: 0,
            ip_proto: 0,
            ip_ttl: 0,
            ip_more_fragments: false,
            is_fragment: false,
            has_ports: false,
            has_tcp: false,
            has_icmp: false,
            icmp_type: 0,
            icmp_code: 0,
            tunnel: Tunnel::None,
            depth: 0,
            outer_vlans: 0,
            vlan_count: 0,
            layer_count: 0,
            last_proto: 0,
            vlan: [0; INLINE_VLANS],
            layers: [Layer(0); INLINE_LAYERS],
            many: Many::default(),
            malformed: None,
        }
    }
}

impl Packet {
    /// Makes the packet ready for the next frame. The layer and tag arrays keep stale entries behind their counts.
    pub fn reset(&mut self, cap_len: u32, frame_len: u32) {
        self.cap_len = cap_len;
        self.frame_len = frame_len;
        self.eth = NONE;
        self.arp = NONE;
        self.ip = NONE;
        self.outer_ip = NONE;
        self.quoted_ip = NONE;
        self.vni = NONE;
        self.has_eth_type = false;
        self.network_type = 0;
        self.tunnel = Tunnel::None;
        self.depth = 0;
        self.outer_vlans = 0;
        self.vlan_count = 0;
        self.layer_count = 0;
        self.malformed = None;
        self.forget_network();
    }

    /// Makes it a packet of which nothing is known, not even its length: that [`Packet::layers`] is empty says so, and
    /// nobody looks further.
    #[inline]
    pub fn forget(&mut self) {
        self.layer_count = 0;
    }

    /// Forgets the network and transport values, as when a tunnel header turns out to hide further headers.
    pub fn forget_network(&mut self) {
        self.ip_version = 0;
        self.ip_proto = 0;
        self.ip = NONE;
        self.arp = NONE;
        self.ip_len = 0;
        self.is_fragment = false;
        self.ip_frag_offset = 0;
        self.ip_more_fragments = false;
        self.ip_id = 0;
        self.forget_transport();
    }

    /// Forgets the transport values.
    pub fn forget_transport(&mut self) {
        self.transport = NONE;
        self.payload = NONE;
        self.payload_len = 0;
        self.has_ports = false;
        self.has_tcp = false;
        self.has_icmp = false;
    }

    /// The layers in wire order.
    #[must_use]
    #[inline]
    pub fn layers(&self) -> &[Layer] {
        self.layers.get(..usize::from(self.layer_count)).unwrap_or(&self.many.layers)
    }

    /// The protocol of the last layer.
    #[must_use]
    #[inline]
    pub fn last_proto(&self) -> Option<Proto> {
        (self.layer_count > 0).then(|| Proto::from_index(self.last_proto))
    }

    /// Puts a layer behind the first `at`, for [`Packet::end_layers`] to count; `false` when those are [`MAX_LAYERS`].
    #[inline]
    pub fn put_layer(&mut self, at: usize, layer: Layer) -> bool {
        if let Some(slot) = self.layers.get_mut(at) {
            *slot = layer;
            return true;
        }
        self.push_many(at, layer)
    }

    /// Says how many layers there are, and the protocol of the last.
    pub fn end_layers(&mut self, count: usize, last: Proto) {
        (self.layer_count, self.last_proto) = (count as u8, last as u8);
    }

    /// Takes back the layer that was put behind the first `at`; the protocol of the one before.
    pub fn take_back_layer(&mut self, at: usize) -> Option<Proto> {
        self.many.layers.truncate(at);
        self.layers.get(at.checked_sub(1)?).or(self.many.layers.last()).map(|layer| layer.proto())
    }

    #[cold]
    fn push_many(&mut self, at: usize, layer: Layer) -> bool {
        if at == MAX_LAYERS {
            return false;
        }
        if at == INLINE_LAYERS {
            self.many.layers.clear();
            self.many.layers.extend_from_slice(&self.layers);
        }
        self.many.layers.push(layer);
        true
    }

    /// The VLAN ids of the frame, outermost first.
    #[must_use]
    pub fn vlans(&self) -> &[u16] {
        self.vlan.get(..usize::from(self.vlan_count)).unwrap_or(&self.many.vlans)
    }

    /// VLAN ids of the innermost Ethernet frame: those inside the last tunnel.
    #[must_use]
    pub fn inner_vlans(&self) -> &[u16] {
        if self.depth == 0 { &[] } else { &self.vlans()[usize::from(self.outer_vlans)..] }
    }

    /// Adds a VLAN id.
    #[inline]
    pub fn push_vlan(&mut self, id: u16) {
        match self.vlan.get_mut(usize::from(self.vlan_count)) {
            Some(slot) => *slot = id,
            None => self.push_many_vlans(id),
        }
        self.vlan_count += 1; // a tag is a layer, of which there are no more than MAX_LAYERS
    }

    #[cold]
    fn push_many_vlans(&mut self, id: u16) {
        if usize::from(self.vlan_count) == INLINE_VLANS {
            self.many.vlans.clear();
            self.many.vlans.extend_from_slice(&self.vlan);
        }
        self.many.vlans.push(id);
    }

    /// The captured part of the payload, empty if there is none.
    #[must_use]
    pub fn payload_of<'a>(&self, frame: &'a [u8]) -> &'a [u8] {
        if self.payload == NONE {
            return &[];
        }
        let start = (self.payload as usize).min(frame.len());
        let end = start.saturating_add(self.payload_len as usize).min(frame.len());
        &frame[start..end]
    }

    /// An address of this packet as [`IpAddr`]; `None` without IP.
    #[must_use]
    pub fn addr(&self, bytes: &[u8; 16]) -> Option<IpAddr> {
        match self.ip_version {
            4 => Some(IpAddr::from([bytes[0], bytes[1], bytes[2], bytes[3]])),
            6 => Some(IpAddr::from(*bytes)),
            _ => None,
        }
    }
}

const _: () = assert!(std::mem::offset_of!(Packet, vlan) <= 128);
