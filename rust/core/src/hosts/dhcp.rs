//! What a DHCP message says of its client (RFC 2131, 2; options: RFC 2132).

use super::names::printable;
use crate::neighbor::{Ip, Mac};

const COOKIE: [u8; 4] = [99, 130, 83, 99];
const PAD: u8 = 0;
const HOST_NAME: u8 = 12;
const MESSAGE_TYPE: u8 = 53;
const END: u8 = 255;
const ACK: u8 = 5;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Hardware address of the client.
    pub client: Mac,
    /// The name that the client gives itself, or that the server gives it.
    pub hostname: Option<String>,
    /// The address that the server has just confirmed.
    pub lease: Option<Ip>,
}

/// Reads a message from the payload of its UDP datagram; `None` for anything else.
#[must_use]
pub fn read(payload: &[u8]) -> Option<Message> {
    let (head, options) = payload.split_at_checked(240)?;
    // Ethernet, and an Ethernet address.
    if head[1] != 1 || head[2] != 6 || head[236..240] != COOKIE {
        return None;
    }
    let client = head[28..].first_chunk::<6>().copied()?;
    let mut kind = 0;
    let mut hostname = None;
    let mut rest = options;
    while let [code, after @ ..] = rest {
        match *code {
            PAD => rest = after,
            END => break,
            code => {
                let [length, body @ ..] = after else { break };
                let Some((value, next)) = body.split_at_checked(usize::from(*length)) else { break };
                match (code, value) {
                    (MESSAGE_TYPE, [value, ..]) => kind = *value,
                    (HOST_NAME, value) => hostname = printable(value),
                    _ => {}
                }
                rest = next;
            }
        }
    }
    let given = [head[16], head[17], head[18], head[19]];
    let lease = (head[0] == 2 && kind == ACK && given != [0; 4]).then(|| Ip::v4(given));
    Some(Message { client, hostname, lease })
}
