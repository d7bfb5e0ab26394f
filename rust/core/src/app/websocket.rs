//! WebSocket frames, counted (RFC 6455, 5.2).

/// One direction: how many frames have begun.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frames {
    /// Data frames and control frames.
    pub count: u64,
    header: Vec<u8>,
    left: u64,
    lost: bool,
}

impl Frames {
    /// The next bytes.
    pub fn data(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.lost {
            if self.left > 0 {
                let skipped = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                self.left -= skipped as u64;
                bytes = &bytes[skipped..];
                continue;
            }
            self.header.push(bytes[0]);
            bytes = &bytes[1..];
            if let Some(left) = payload(&self.header) {
                self.count += 1;
                self.left = left;
                self.header.clear();
            }
        }
    }

    /// So many bytes are missing; inside a frame that does no harm.
    pub fn gap(&mut self, len: u64) {
        if len <= self.left {
            self.left -= len;
        } else {
            self.lost = true;
        }
    }
}

/// Length of the payload behind a whole header; `None` while the header goes on.
fn payload(header: &[u8]) -> Option<u64> {
    let second = *header.get(1)?;
    let mask = if second & 0x80 != 0 { 4 } else { 0 };
    let (extra, len) = match second & 0x7f {
        126 => (2, header.get(2..4).map(|b| u64::from(u16::from_be_bytes([b[0], b[1]])))),
        127 => (8, header.get(2..10).and_then(|b| b.try_into().ok()).map(u64::from_be_bytes)),
        short => (0, Some(u64::from(short))),
    };
    if header.len() < 2 + extra + mask { None } else { len }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_every_length_form() {
        let masked = [&[0x81, 0x83, 1, 2, 3, 4][..], &[0; 3]].concat();
        let medium = [&[0x82, 126, 0x01, 0x00][..], &[0; 256]].concat();
        let long = [&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0][..], &[0; 65536]].concat();
        let ping = [0x89, 0x00];
        let all = [masked, medium, long, ping.to_vec()].concat();
        for size in [1, 3, all.len()] {
            let mut frames = Frames::default();
            all.chunks(size).for_each(|piece| frames.data(piece));
            assert_eq!(frames.count, 4);
        }
    }
}
