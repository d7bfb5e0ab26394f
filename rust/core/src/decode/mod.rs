//! From a frame's bytes to a [`Packet`]: one protocol a file, one line each in the table below.
//!
//! A decoder reads its header at the cursor, notes what tables and flows need, moves the cursor behind its header and
//! says what follows. It keeps no state between frames, never panics, and on a header that does not fit it returns
//! what was wrong; the layers before stay.

mod app;
pub(crate) mod cursor;
mod ethertype;
mod ipproto;
mod link;
mod tunnel;

pub use cursor::{Cursor, Decoded, Fault, Next};

use crate::frame::LinkType;
use crate::packet::{Layer, Malformed, Packet, Why};

/// How many tunnels inside each other are opened; what deeper ones carry is data.
pub const MAX_TUNNELS: u8 = 8;

/// Declares the modules and the protocols: Wireshark's name for the stack, and the decoder.
macro_rules! protocols {
    (mod $($module:ident)*; $($variant:ident $name:literal $decode:path;)*) => {
        $(mod $module;)*

        /// Every protocol that can stand in a stack.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Proto { $(#[doc = concat!("`", $name, "`")] $variant,)* }

        const NAMES: &[&str] = &[$($name),*];
        const ALL: &[Proto] = &[$(Proto::$variant),*];

        impl Proto {
            #[inline]
            fn decode(self, at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
                match self { $(Proto::$variant => $decode(at, packet),)* }
            }
        }
    };
}

// The one table that a new decoder adds its line to.
protocols! {
    mod ah arp chdlc erspan eth geneve gre gtp icmp icmpv6 igmp ip ipv6 ipv6ext l2tp leaf llc mpls netlink null ppp pppoe raw
        sctp sll sll2 tcp teredo udp udpencap vlan vxlan vxlan_gpe;
    Eth         "eth"             eth::decode;
    Vlan        "vlan"            vlan::decode;
    SVlan       "ieee8021ad"      vlan::decode;
    Llc         "llc"             llc::decode;
    Mpls        "mpls"            mpls::decode;
    PppoeS      "pppoes"          pppoe::session;
    PppoeD      "pppoed"          leaf::decode;
    Ppp         "ppp"             ppp::decode;
    PppHdlc     "ppp"             ppp::hdlc;
    Chdlc       "chdlc"           chdlc::decode;
    Sll         "sll"             sll::decode;
    Sll2        "sll"             sll2::decode;
    Null        "null"            null::decode;
    Raw         "raw"             raw::decode;
    Netlink     "netlink"         netlink::decode;
    NetlinkRoute     "netlink-route"     leaf::decode;
    NetlinkGeneric   "netlink-generic"   leaf::decode;
    NetlinkNetfilter "netlink-netfilter" leaf::decode;
    NetlinkSockDiag  "netlink-sock_diag" leaf::decode;
    Arp         "arp"             arp::decode;
    Stp         "stp"             leaf::decode;
    Lldp        "lldp"            leaf::decode;
    Cdp         "cdp"             leaf::decode;
    Dtp         "dtp"             leaf::decode;
    Vtp         "vtp"             leaf::decode;
    Udld        "udld"            leaf::decode;
    Slow        "slow"            leaf::decode;
    Eapol       "eapol"           leaf::decode;
    Loop        "loop"            leaf::decode;
    Ip          "ip"              ip::decode;
    Ipv6        "ipv6"            ipv6::decode;
    Ipv6HopOpts "ipv6.hopopts"    ipv6ext::options;
    Ipv6Routing "ipv6.routing"    ipv6ext::options;
    Ipv6DstOpts "ipv6.dstopts"    ipv6ext::options;
    Ipv6Frag    "ipv6.fraghdr"    ipv6ext::fragment;
    Ah          "ah"              ah::decode;
    Esp         "esp"             leaf::decode;
    Mipv6       "mipv6"           leaf::decode;
    Icmp        "icmp"            icmp::decode;
    Icmpv6      "icmpv6"          icmpv6::decode;
    Igmp        "igmp"            igmp::decode;
    Tcp         "tcp"             tcp::decode;
    Udp         "udp"             udp::decode;
    Sctp        "sctp"            sctp::decode;
    Dccp        "dccp"            leaf::decode;
    UdpLite     "udplite"         leaf::decode;
    Ospf        "ospf"            leaf::decode;
    Eigrp       "eigrp"           leaf::decode;
    Pim         "pim"             leaf::decode;
    Vrrp        "vrrp"            leaf::decode;
    Gre         "gre"             gre::decode;
    Erspan      "erspan"          erspan::decode;
    Erspan1     "erspan"          erspan::type_one;
    Vxlan       "vxlan"           vxlan::decode;
    VxlanGpe    "vxlan"           vxlan_gpe::decode;
    Geneve      "geneve"          geneve::decode;
    Gtp         "gtp"             gtp::decode;
    L2tp        "l2tp"            l2tp::decode;
    Teredo      "teredo"          teredo::decode;
    UdpEncap    "udpencap"        udpencap::decode;
    Data        "data"            leaf::decode;
    Http        "http"            leaf::decode;
    Dns         "dns"             leaf::decode;
    Mdns        "mdns"            leaf::decode;
    Llmnr       "llmnr"           leaf::decode;
    Tls         "tls"             leaf::decode;
}

impl Proto {
    /// Wireshark's short name, as in `frame.protocols`.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES[self as usize]
    }

    /// The protocol with this discriminant; anything out of range is [`Proto::Data`].
    #[must_use]
    pub fn from_index(index: u8) -> Self {
        ALL.get(usize::from(index)).copied().unwrap_or(Proto::Data)
    }

    /// Every protocol, in table order.
    #[must_use]
    pub fn all() -> &'static [Proto] {
        ALL
    }
}

/// Decodes one frame into `packet`, which is reset first.
///
/// `frame` is what was captured; `frame_len` its length on the wire.
pub fn decode(frame: &[u8], frame_len: u32, link_type: LinkType, packet: &mut Packet) {
    packet.reset(u32::try_from(frame.len()).unwrap_or(u32::MAX), frame_len);
    let mut at = Cursor::new(frame, frame_len as usize);
    let Some(mut next) = link::first(link_type) else {
        packet.malformed = Some(Malformed { proto: Proto::Data, offset: 0, why: Why::LinkType(link_type.0) });
        return;
    };
    loop {
        let offset = at.pos();
        if !packet.push_layer(Layer::new(next, offset)) {
            packet.malformed = Some(Malformed { proto: next, offset, why: Why::Bad("too many layers") });
            return;
        }
        match next.decode(&mut at, packet) {
            Ok(Next::Layer(proto)) => next = proto,
            Ok(Next::End) => return,
            Err(fault) => {
                packet.malformed = Some(Malformed { proto: next, offset, why: at.why(fault) });
                return;
            }
        }
    }
}
