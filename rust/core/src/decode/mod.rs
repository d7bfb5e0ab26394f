//! From a frame's bytes to a [`Packet`]: one protocol a file, one line each in the table below.
//!
//! A decoder reads its header at the cursor, notes what tables and flows need, moves the cursor behind its header and
//! says what follows. It keeps no state between frames, never panics, and on a header that does not fit it returns
//! what was wrong; the layers before stay.

mod app;
pub(crate) mod cursor;
mod ethertype;
mod ipproto;
pub mod layout;
mod link;
mod tunnel;

#[cfg(feature = "table")]
pub(crate) use arp::hardware as arp_hardware;
pub(crate) use arp::{Of, ipv4 as arp_ipv4};
pub use cursor::{Cursor, Decoded, Fault, Next};
pub(crate) use igmp::max_response;
pub(crate) use ipv6::LONGEST;
pub(crate) use ipv6ext::FRAGMENT_HEADER;

use crate::frame::LinkType;
use crate::packet::{Layer, Malformed, Packet, Why};
use layout::Layout;

/// How many tunnels inside each other are opened; what a deeper one carries is data, and `malformed` says so.
pub const MAX_TUNNELS: u8 = 8;

/// Declares the modules and the protocols: Wireshark's name for the stack, the decoder, and the fields.
macro_rules! protocols {
    (mod $($module:ident)*; $($variant:ident $name:literal $file:ident::$decode:ident $view:ident::$layout:ident;)*) => {
        $(mod $module;)*

        /// Every protocol that can stand in a stack.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[repr(u8)]
        pub enum Proto { $(#[doc = concat!("`", $name, "`")] $variant,)* }

        const NAMES: &[&str] = &[$($name),*];
        const ALL: &[Proto] = &[$(Proto::$variant),*];

        impl Proto {
            #[inline(always)]
            fn decode(self, at: &mut Cursor<'_>, packet: &mut Packet) -> Decoded {
                match self { $(Proto::$variant => $file::$decode(at, packet),)* }
            }

            /// Its fields.
            #[must_use]
            pub fn layout(self) -> &'static Layout {
                match self { $(Proto::$variant => &$view::$layout,)* }
            }
        }
    };
}

// The one table that a new decoder adds its line to, at the end: unfinished data sets hold numbers of lines.
protocols! {
    mod ah arp chdlc erspan eth etherip geneve gre gtp icmp icmpv6 igmp ip ipv6 ipv6ext l2tp leaf llc mpls netlink null ppp pppoe raw
        sctp sll sll2 tcp teredo udp udpencap vlan vxlan vxlan_gpe;
    Eth              "eth"               eth::decode         eth::LAYOUT;
    Vlan             "vlan"              vlan::decode        vlan::LAYOUT;
    SVlan            "ieee8021ad"        vlan::decode        vlan::SERVICE;
    Llc              "llc"               llc::decode         llc::LAYOUT;
    Mpls             "mpls"              mpls::decode        mpls::LAYOUT;
    PppoeS           "pppoes"            pppoe::session      pppoe::LAYOUT;
    PppoeD           "pppoed"            leaf::decode        pppoe::LAYOUT;
    Ppp              "ppp"               ppp::decode         leaf::LAYOUT;
    PppHdlc          "ppp"               ppp::hdlc           leaf::LAYOUT;
    Chdlc            "chdlc"             chdlc::decode       chdlc::LAYOUT;
    Sll              "sll"               sll::decode         sll::LAYOUT;
    Sll2             "sll"               sll2::decode        sll2::LAYOUT;
    Null             "null"              null::decode        leaf::LAYOUT;
    Raw              "raw"               raw::decode         leaf::LAYOUT;
    Netlink          "netlink"           netlink::decode     netlink::LAYOUT;
    NetlinkRoute     "netlink-route"     leaf::decode        leaf::LAYOUT;
    NetlinkGeneric   "genl"              leaf::decode        leaf::LAYOUT;
    NetlinkNetfilter "netlink-netfilter" leaf::decode        leaf::LAYOUT;
    NetlinkSockDiag  "netlink-sock_diag" leaf::decode        leaf::LAYOUT;
    Arp              "arp"               arp::decode         arp::LAYOUT;
    Stp              "stp"               leaf::decode        leaf::LAYOUT;
    Lldp             "lldp"              leaf::decode        leaf::LAYOUT;
    Cdp              "cdp"               leaf::decode        leaf::LAYOUT;
    Dtp              "dtp"               leaf::decode        leaf::LAYOUT;
    Vtp              "vtp"               leaf::decode        leaf::LAYOUT;
    Udld             "udld"              leaf::decode        leaf::LAYOUT;
    Slow             "slow"              leaf::decode        leaf::LAYOUT;
    Eapol            "eapol"             leaf::decode        leaf::LAYOUT;
    Loop             "loop"              leaf::decode        leaf::LAYOUT;
    Ip               "ip"                ip::decode          ip::LAYOUT;
    Ipv6             "ipv6"              ipv6::decode        ipv6::LAYOUT;
    Ipv6HopOpts      "ipv6.hopopts"      ipv6ext::options    ipv6ext::HOPOPTS;
    Ipv6Routing      "ipv6.routing"      ipv6ext::options    ipv6ext::ROUTING;
    Ipv6DstOpts      "ipv6.dstopts"      ipv6ext::options    ipv6ext::DSTOPTS;
    Ipv6Frag         "ipv6.fraghdr"      ipv6ext::fragment   ipv6ext::FRAGMENT;
    Ah               "ah"                ah::decode          ah::LAYOUT;
    Esp              "esp"               leaf::some          leaf::LAYOUT;
    Mipv6            "mipv6"             leaf::some          leaf::LAYOUT;
    Icmp             "icmp"              icmp::decode        icmp::LAYOUT;
    Icmpv6           "icmpv6"            icmpv6::decode      icmpv6::LAYOUT;
    Igmp             "igmp"              igmp::decode        igmp::LAYOUT;
    Tcp              "tcp"               tcp::decode         tcp::LAYOUT;
    Udp              "udp"               udp::decode         udp::LAYOUT;
    Sctp             "sctp"              sctp::decode        sctp::LAYOUT;
    Dccp             "dccp"              leaf::some          leaf::LAYOUT;
    UdpLite          "udplite"           leaf::some          leaf::LAYOUT;
    Ospf             "ospf"              leaf::some          leaf::LAYOUT;
    Eigrp            "eigrp"             leaf::some          leaf::LAYOUT;
    Pim              "pim"               leaf::some          leaf::LAYOUT;
    Vrrp             "vrrp"              leaf::some          leaf::LAYOUT;
    Gre              "gre"               gre::decode         gre::LAYOUT;
    Erspan           "erspan"            erspan::decode      leaf::LAYOUT;
    Erspan1          "erspan"            erspan::type_one    leaf::LAYOUT;
    Vxlan            "vxlan"             vxlan::decode       vxlan::LAYOUT;
    VxlanGpe         "vxlan"             vxlan_gpe::decode   vxlan::LAYOUT;
    Geneve           "geneve"            geneve::decode      geneve::LAYOUT;
    Gtp              "gtp"               gtp::decode         gtp::LAYOUT;
    L2tp             "l2tp"              l2tp::decode        leaf::LAYOUT;
    L2tpIp           "l2tp"              l2tp::over_ip       leaf::LAYOUT;
    Teredo           "teredo"            teredo::decode      leaf::LAYOUT;
    UdpEncap         "udpencap"          udpencap::decode    leaf::LAYOUT;
    Data             "data"              leaf::decode        leaf::LAYOUT;
    Http             "http"              leaf::decode        leaf::LAYOUT;
    Dns              "dns"               leaf::decode        leaf::LAYOUT;
    Mdns             "mdns"              leaf::decode        leaf::LAYOUT;
    Llmnr            "llmnr"             leaf::decode        leaf::LAYOUT;
    Tls              "tls"               leaf::decode        leaf::LAYOUT;
    EtherIp          "etherip"           etherip::decode     etherip::LAYOUT;
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
    let Some(first) = link::first(link_type) else {
        packet.malformed = Some(Malformed { proto: Proto::Data, offset: 0, why: Why::LinkType(link_type.0) });
        return;
    };
    let mut stack = Stack { at: Cursor::new(frame, frame_len as usize), packet, layers: 0, last: first };
    stack.decode(first);
    let Stack { packet, layers, last, .. } = stack;
    packet.end_layers(layers, last);
}

/// The layers of a frame as far as they are decoded.
struct Stack<'a, 'b> {
    at: Cursor<'a>,
    packet: &'b mut Packet,
    layers: usize,
    last: Proto,
}

impl Stack<'_, '_> {
    /// Decodes a layer and all that follow, until [`Stack::layer`] says that nothing does.
    #[inline(always)]
    fn decode(&mut self, first: Proto) -> Option<()> {
        let mut next = first;
        // What most frames consist of, without a jump from layer to layer that no processor foresees.
        if next == Proto::Eth {
            next = self.layer(Proto::Eth)?;
        }
        if next == Proto::Vlan {
            next = self.layer(Proto::Vlan)?;
        }
        if next == Proto::Ip {
            next = self.layer(Proto::Ip)?;
        } else if next == Proto::Ipv6 {
            next = self.layer(Proto::Ipv6)?;
        }
        if next == Proto::Tcp {
            next = self.layer(Proto::Tcp)?;
        } else if next == Proto::Udp {
            next = self.layer(Proto::Udp)?;
        }
        loop {
            next = self.layer(next)?;
        }
    }

    /// Decodes a layer; what follows, unless nothing does.
    #[inline(always)]
    fn layer(&mut self, proto: Proto) -> Option<Proto> {
        let offset = self.at.pos();
        if !self.packet.put_layer(self.layers, Layer::new(proto, offset)) {
            self.packet.malformed = Some(Malformed { proto, offset, why: Why::Bad("too many layers") });
            return None;
        }
        self.layers += 1;
        self.last = proto;
        match proto.decode(&mut self.at, self.packet) {
            Ok(Next::Layer(Proto::Data)) if self.at.wire_rest() == 0 => None,
            Ok(Next::Layer(next)) => Some(next),
            Ok(Next::End) => None,
            Err(fault) => {
                self.fail(proto, offset, fault);
                None
            }
        }
    }

    #[cold]
    fn fail(&mut self, proto: Proto, offset: usize, fault: Fault) {
        let why = self.at.why(fault);
        // An ICMP error quotes an IP header and as little as 8 bytes of what that carries (RFC 792).
        let behind_quoted_ip = self.at.quoted && (self.packet.quoted_ip as usize) < offset;
        if !behind_quoted_ip || !matches!(why, Why::Short { cut: false, .. }) {
            self.packet.malformed = Some(Malformed { proto, offset, why });
        } else if self.at.pos() == offset && self.at.rest().is_empty() {
            // The header before announced what the quote has nothing of.
            self.layers -= 1;
            self.last = self.packet.take_back_layer(self.layers).unwrap_or(self.last);
        }
    }
}
