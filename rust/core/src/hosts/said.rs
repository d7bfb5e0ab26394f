//! What DNS, mDNS, LLMNR and DHCP say of hosts: their messages are read by [`crate::app`].

use super::{Hosts, News, Source};
use crate::app::dns::{Answer, Exchange};
use crate::app::{Found, Row, Who, dhcp};
use crate::neighbor::{Ip, Mac, is_station};
use crate::track::Points;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

/// Record types (RFC 1035, 3.2.2; AAAA: RFC 3596).
const A: u16 = 1;
const CNAME: u16 = 5;
const PTR: u16 = 12;
const AAAA: u16 = 28;

/// Octets of a DUID at most (RFC 8415, 11.1).
const MAX_DUID: usize = 130;

/// Who a DHCP client is. A DUID is only compared: the hardware address in it may be of another card (RFC 8415, 11).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Client {
    Mac(Mac),
    Duid(Vec<u8>),
}

impl Client {
    fn of(message: &dhcp::Message) -> Option<Self> {
        if message.version == 6 {
            return message.client_id.clone().filter(|duid| duid.len() <= MAX_DUID).map(Self::Duid);
        }
        message.client_mac.filter(is_station).map(Self::Mac)
    }
}

/// What a DHCP client said of itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    name: Option<String>,
    /// For IPv6: the station that it was heard from.
    mac: Option<Mac>,
}

impl Hosts {
    /// Takes what a flow said; `points` are those of its tracker.
    pub fn said(&mut self, row: &Row, points: &Points) {
        let netns = points.get(row.who.point).and_then(|point| point.netns.clone());
        let netns = self.netns_number(netns.as_ref());
        match &row.found {
            Found::Dns(exchange) => self.dns(exchange, netns),
            Found::Dhcp(message) => self.dhcp(message, &row.who, netns, row.first.time()),
            _ => {}
        }
    }

    fn dns(&mut self, exchange: &Exchange, netns: u32) {
        let Some(response) = &exchange.response else { return };
        // A CNAME chain ends in the addresses of another name: what counts is the name that was asked for, wherever in the
        // answer it stands, else the first.
        let question = exchange.asking().and_then(|message| message.questions.first());
        let aliases = || response.answers.iter().filter(|answer| answer.rtype == CNAME).map(|answer| &answer.name);
        let is_asked = |name: &&Arc<str>| question.is_some_and(|question| question.name.eq_ignore_ascii_case(name));
        let asked = aliases().find(is_asked).or_else(|| aliases().next());
        for answer in &response.answers {
            match answer.rtype {
                A | AAAA => self.name(netns, address(answer), asked.unwrap_or(&answer.name)),
                PTR => self.name(netns, reverse(asked.unwrap_or(&answer.name)), &answer.data),
                _ => {}
            }
        }
        for answer in &response.addresses {
            self.name(netns, address(answer), &answer.name);
        }
    }

    fn name(&mut self, netns: u32, ip: Option<Ip>, name: &str) {
        let Some(ip) = ip.filter(Ip::is_station) else { return };
        let key = (netns, ip);
        if name == "." || self.names.contains_key(&key) {
            return;
        }
        if self.names.len() >= self.limits.max_names {
            self.counters.evicted_names += self.names.len() as u64;
            self.names.clear();
        }
        self.names.insert(key, name.to_owned());
        for slot in self.rows.get(&key).cloned().unwrap_or_default() {
            self.note(slot as usize, News::Hostname);
        }
    }

    fn dhcp(&mut self, message: &dhcp::Message, who: &Who, netns: u32, ts: Option<i64>) {
        // What the server confirms (RFC 2131, table 2; RFC 8415, 7.3).
        const ACK: u8 = 5;
        const REPLY: u8 = 7;
        let Some(client) = Client::of(message) else { return };
        let heard = if message.version == 6 { self.heard_from(message, who, netns) } else { None };
        let own = if let Client::Mac(mac) = client { Some(mac) } else { None };
        let client = (netns, client);
        if message.host_name.is_some() || heard.is_some() {
            if self.clients.len() >= self.limits.max_names && !self.clients.contains_key(&client) {
                self.counters.evicted_names += self.clients.len() as u64;
                self.clients.clear();
            }
            let said = self.clients.entry(client.clone()).or_default();
            said.name = message.host_name.clone().or(said.name.take());
            said.mac = heard.or(said.mac);
        }
        let confirms = message.kind == if message.version == 6 { REPLY } else { ACK };
        // Who only informs has its address already (RFC 2131, 4.4.3).
        let lease = message.assigned_addr.or(message.client_addr).map(Ip::from).filter(Ip::is_station);
        let Some(lease) = lease.filter(|_| confirms && message.lease_time != Some(0)) else { return };
        let Said { name, mac } = self.clients.get(&client).cloned().unwrap_or_default();
        let slot = match own.or(mac) {
            Some(mac) => self.claim((netns, lease), mac),
            None => self.slot((netns, lease), None),
        };
        self.hosts[slot].see(ts, Source::Dhcp);
        let name = name.map(|name| (name, Source::Dhcp));
        if name.is_some() && self.hosts[slot].hostname != name {
            self.hosts[slot].hostname = name;
            self.note(slot, News::Hostname);
        }
    }

    /// The station of a DHCPv6 client: as its relay heard it, else the one that speaks from its link-local address.
    fn heard_from(&self, message: &dhcp::Message, who: &Who, netns: u32) -> Option<Mac> {
        const CLIENT: u16 = 546;
        let address = match (who.orig_p, who.resp_p) {
            (CLIENT, _) => who.orig,
            (_, CLIENT) => who.resp,
            _ => return message.relayed_mac.filter(is_station),
        };
        let ip = Ip::v6(address);
        let slots = self.rows.get(&(netns, ip)).filter(|_| ip.is_link_local())?;
        slots.iter().map(|slot| &self.hosts[*slot as usize]).find_map(|host| host.sent_by.or(host.mac))
    }
}

fn address(answer: &Answer) -> Option<Ip> {
    answer.data.parse::<IpAddr>().ok().map(Ip::from)
}

/// The address that a name of reverse look-up stands for (RFC 1035, 3.5; RFC 3596, 2.5).
fn reverse(name: &str) -> Option<Ip> {
    let lower = name.to_ascii_lowercase();
    if let Some(octets) = lower.strip_suffix(".in-addr.arpa") {
        let octets: Vec<&str> = octets.split('.').rev().collect();
        return octets.join(".").parse::<Ipv4Addr>().ok().map(|v4| IpAddr::V4(v4).into());
    }
    let nibbles: Vec<&str> = lower.strip_suffix(".ip6.arpa")?.split('.').rev().collect();
    if nibbles.len() != 32 || nibbles.iter().any(|nibble| nibble.len() != 1) {
        return None;
    }
    let bits = u128::from_str_radix(&nibbles.concat(), 16).ok()?;
    Some(IpAddr::V6(Ipv6Addr::from(bits)).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_reverse_lookup() {
        assert_eq!(reverse("2.0.0.10.IN-ADDR.arpa"), Some(Ip::v4([10, 0, 0, 2])));
        let nibbles = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa";
        assert_eq!(reverse(nibbles), "fd00::1".parse::<IpAddr>().ok().map(Ip::from));
        for other in ["0.10.in-addr.arpa", "www.test", "x.ip6.arpa", &nibbles[2..], "+1.0.0.10.in-addr.arpa"] {
            assert_eq!(reverse(other), None, "{other}");
        }
    }
}
