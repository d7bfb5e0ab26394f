//! Segments as raw frames.

/// A segment between client 10.0.0.1:`port` and server 10.0.0.2:80 as a raw frame.
pub fn tcp(port: u16, from_client: bool, flags: u8, seq: u32, ack: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 0, 0, 1, 0, 0, 64, 6, 0, 0];
    let len = (40 + payload.len()) as u16;
    packet[2..4].copy_from_slice(&len.to_be_bytes());
    let (client, server) = ([10, 0, 0, 1], [10, 0, 0, 2]);
    let (ends, ports) = if from_client { ([client, server], [port, 80]) } else { ([server, client], [80, port]) };
    packet.extend(ends.concat());
    packet.extend(ports[0].to_be_bytes());
    packet.extend(ports[1].to_be_bytes());
    packet.extend(seq.to_be_bytes());
    packet.extend(ack.to_be_bytes());
    packet.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    packet.extend(payload);
    packet
}
