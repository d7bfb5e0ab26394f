//! The flows that ICMP errors speak of.

use super::Tracker;
use super::key::{self, FlowKey};
use crate::decode::cursor::be16;
use crate::decode::decode;
use crate::frame::LinkType;
use crate::packet::Packet;

impl Tracker {
    /// Notes the flow of the packet that an ICMP error quotes, if it is open.
    #[inline(never)]
    pub(super) fn note_parent(&mut self, slot: u32, packet: &Packet, frame: &[u8]) {
        let Some(parent) = self.parent(self.flows[slot as usize].key.point, packet, frame) else { return };
        let uid = self.uid_of(&self.flows[parent as usize]);
        self.flows[slot as usize].keep_parent(uid);
    }

    fn parent(&mut self, point: u32, packet: &Packet, frame: &[u8]) -> Option<u32> {
        let quoted = quoted(packet, frame, point, &mut self.scratch)?;
        self.find(&quoted)
    }
}

/// The key of the flow whose packet an ICMP error quotes. A tunnel's packet has its tunnel in the key, and what stands in it
/// or, if that cannot be read, its own ends.
pub(super) fn quoted(packet: &Packet, frame: &[u8], point: u32, scratch: &mut Packet) -> Option<FlowKey> {
    let plain = key::quoted(packet, frame, point)?.key;
    let whole = frame.get(packet.quoted_ip as usize..)?;
    let wire_len = if plain.family == 4 { be16(whole, 2) } else { be16(whole, 4).saturating_add(40) };
    decode(whole, u32::from(wire_len).max(whole.len() as u32), LinkType::RAW, scratch);
    if scratch.depth == 0 {
        return Some(plain);
    }
    let own = key::of_packet(scratch, whole, point)?.key;
    Some(FlowKey { vlans: key::pack_vlans(&[packet.vlans(), scratch.vlans()].concat()), ..own })
}
