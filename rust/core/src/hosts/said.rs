//! What DNS, mDNS, LLMNR and DHCP say of hosts: their messages are read by [`crate::app`].

use super::{Hosts, News, Source};
use crate::app::dns::{Answer, Exchange};
use crate::app::{Found, Row, dhcp};
use crate::neighbor::{Ip, is_station};
use crate::track::Points;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Record types (RFC 1035, 3.2.2; AAAA: RFC 3596).
const A: u16 = 1;
const CNAME: u16 = 5;
const PTR: u16 = 12;
const AAAA: u16 = 28;

impl Hosts {
    /// Takes what a flow said; `points` are those of its tracker.
    pub fn said(&mut self, row: &Row, points: &Points) {
        let netns = points.get(row.who.point).and_then(|point| point.netns.clone());
        let netns = self.netns_number(netns.as_ref());
        match &row.found {
            Found::Dns(exchange) => self.dns(exchange, netns),
            Found::Dhcp(message) => self.dhcp(message, netns, row.first.ts),
            _ => {}
        }
    }

    fn dns(&mut self, exchange: &Exchange, netns: u32) {
        let Some(response) = &exchange.response else { return };
        // A CNAME chain ends in the addresses of another name: the name that was asked for comes first.
        let asked = response.answers.iter().find(|answer| answer.rtype == CNAME).map(|answer| &answer.name);
        for answer in &response.answers {
            match answer.rtype {
                A | AAAA => self.name(netns, address(answer), asked.unwrap_or(&answer.name)),
                PTR => self.name(netns, reverse(&answer.name), &answer.data),
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

    fn dhcp(&mut self, message: &dhcp::Message, netns: u32, ts: i64) {
        // What the server confirms (RFC 2131, table 2; RFC 8415, 7.3).
        const ACK: u8 = 5;
        const REPLY: u8 = 7;
        let Some(client) = message.client_mac.filter(is_station) else { return };
        if let Some(name) = &message.host_name {
            if self.clients.len() >= self.limits.max_names && !self.clients.contains_key(&(netns, client)) {
                self.counters.evicted_names += self.clients.len() as u64;
                self.clients.clear();
            }
            self.clients.insert((netns, client), name.clone());
        }
        let confirms = message.kind == if message.version == 6 { REPLY } else { ACK };
        let lease = message.assigned_addr.filter(|_| confirms).map(Ip::from).filter(Ip::is_station);
        let Some(lease) = lease else { return };
        let slot = self.claim((netns, lease), client, ts);
        self.see(slot, ts, Source::Dhcp);
        let name = self.clients.get(&(netns, client)).map(|name| (name.clone(), Source::Dhcp));
        if name.is_some() && self.hosts[slot].hostname != name {
            self.hosts[slot].hostname = name;
            self.note(slot, News::Hostname);
        }
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
