//! What only rtnetlink knows of an interface: the other end of a veth pair, which namespace that is in, and how large frames
//! can be.
//!
//! Source: rtnetlink(7), `linux/if_link.h`, `linux/net_namespace.h`

use crate::netns::{self, Netns};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

const RTM_GETLINK: u16 = 18;
const RTM_GETNSID: u16 = 90;
const IFLA_LINK: u16 = 5;
const IFLA_LINKINFO: u16 = 18;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_LINK_NETNSID: u16 = 37;
/// IFLA_GSO_MAX_SIZE, IFLA_GRO_MAX_SIZE, IFLA_GSO_IPV4_MAX_SIZE, IFLA_GRO_IPV4_MAX_SIZE
const LARGEST: [u16; 4] = [41, 58, 63, 64];
const NETNSA_NSID: u16 = 1;
const NETNSA_FD: u16 = 3;

/// The other end of a veth pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its index in its own namespace.
    pub index: u32,
    /// `NS/IF`, or `IF` in the namespace of this process; `None` where neither has a name that is known here.
    pub name: Option<String>,
}

/// The attributes of a message: type and value each.
fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let len = usize::from(u16::from_ne_bytes(*bytes.first_chunk()?));
        let kind = u16::from_ne_bytes(*bytes.get(2..)?.first_chunk()?) & 0x3fff;
        let value = bytes.get(4..len)?;
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or(&[]);
        Some((kind, value))
    })
}

fn word(value: &[u8]) -> Option<u32> {
    value.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

/// Sends one request to this thread's namespace; the answer behind its message header.
fn ask(kind: u16, body: &[u8]) -> io::Result<Vec<u8>> {
    // SAFETY: plain system calls; the descriptor is checked before it is owned, and pointers and lengths describe
    // buffers that outlive the calls.
    unsafe {
        let fd = libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_ROUTE);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        let socket = OwnedFd::from_raw_fd(fd);
        let mut request = Vec::new();
        request.extend_from_slice(&(16 + body.len() as u32).to_ne_bytes());
        request.extend_from_slice(&kind.to_ne_bytes());
        request.extend_from_slice(&(libc::NLM_F_REQUEST as u16).to_ne_bytes());
        request.extend_from_slice(&[0; 8]);
        request.extend_from_slice(body);
        if libc::send(socket.as_raw_fd(), request.as_ptr().cast(), request.len(), 0) < 0 {
            return Err(io::Error::last_os_error());
        }
        let mut answer = vec![0u8; 32 << 10];
        let got = libc::recv(socket.as_raw_fd(), answer.as_mut_ptr().cast(), answer.len(), 0);
        let Ok(got) = usize::try_from(got) else { return Err(io::Error::last_os_error()) };
        answer.truncate(got);
        // NLMSG_ERROR: 2
        if got < 16 || answer[4..6] == 2u16.to_ne_bytes() {
            return Err(io::ErrorKind::NotFound.into());
        }
        answer.drain(..16);
        Ok(answer)
    }
}

/// The id that this thread's namespace has for another.
fn nsid(other: &Netns) -> Option<u32> {
    let mut body = vec![0; 4];
    body.extend_from_slice(&8u16.to_ne_bytes());
    body.extend_from_slice(&NETNSA_FD.to_ne_bytes());
    body.extend_from_slice(&other.fd().to_ne_bytes());
    let answer = ask(RTM_GETNSID, &body).ok()?;
    attributes(answer.get(4..)?).find(|(kind, _)| *kind == NETNSA_NSID).and_then(|(_, value)| word(value))
}

fn index_to_name(index: u32) -> Option<String> {
    let mut name = [0u8; libc::IFNAMSIZ];
    // SAFETY: the buffer has the size that if_indextoname(3) asks for.
    let found = unsafe { libc::if_indextoname(index, name.as_mut_ptr().cast()) };
    let text = name.split(|byte| *byte == 0).next().unwrap_or(&[]);
    (!found.is_null()).then(|| String::from_utf8_lossy(text).into_owned())
}

/// What the kernel says of the interface with this index, of this thread's namespace: attributes.
fn link(index: i32) -> Option<Vec<u8>> {
    // struct ifinfomsg: family, pad: u8; type: u16; index: i32; flags, change: u32
    let mut body = vec![0; 16];
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    let mut answer = ask(RTM_GETLINK, &body).ok().filter(|answer| answer.len() >= 16)?;
    answer.drain(..16);
    Some(answer)
}

/// Bytes of the largest frame that the offloads of the interface with this index may make; 0 if there is none.
#[must_use]
pub fn largest_frame(index: i32) -> u32 {
    let limits = link(index).unwrap_or_default();
    let limits = attributes(&limits).filter(|(kind, _)| LARGEST.contains(kind));
    limits.filter_map(|(_, value)| word(value)).max().unwrap_or(0)
}

/// The other end of the veth pair to which the interface with this index, of this thread's namespace `here`, belongs.
/// `home` is the namespace of the process.
#[must_use]
pub fn veth_peer(index: i32, here: Option<&Netns>, home: Option<&Netns>) -> Option<Peer> {
    let answer = link(index)?;
    let (mut link, mut id, mut is_veth) = (None, None, false);
    for (kind, value) in attributes(&answer) {
        match kind {
            IFLA_LINK => link = word(value),
            IFLA_LINK_NETNSID => id = word(value),
            IFLA_LINKINFO => {
                is_veth = attributes(value).any(|(kind, value)| kind == IFLA_INFO_KIND && value.starts_with(b"veth"));
            }
            _ => {}
        }
    }
    let index = link.filter(|_| is_veth)?;
    let in_netns = |label: Option<String>, name: Option<String>| {
        name.map(|name| label.map_or(name.clone(), |label| format!("{label}/{name}")))
    };
    let Some(id) = id else {
        return Some(Peer { index, name: in_netns(here.map(Netns::label), index_to_name(index)) });
    };
    let named = netns::names().into_iter().filter_map(|name| Netns::open(&name).ok());
    let name = match named.into_iter().find(|other| nsid(other) == Some(id)) {
        Some(other) => in_netns(Some(other.label()), other.run(|| index_to_name(index)).ok().flatten()),
        None => home
            .filter(|home| nsid(home) == Some(id))
            .and_then(|home| in_netns(None, home.run(|| index_to_name(index)).ok().flatten())),
    };
    Some(Peer { index, name })
}
