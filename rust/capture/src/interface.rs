//! Interfaces as the kernel knows them: index, link type. Called inside the right namespace.
//!
//! Source: netdevice(7), packet(7), `linux/if_arp.h`

use crate::error::CaptureError;
use crate::rtnetlink;
use sniffkit_core::frame::LinkType;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// What a capture must know of an interface before it opens it.
#[derive(Clone, Debug)]
pub struct Interface {
    /// Its name; `any` for all of the namespace.
    pub name: String,
    /// Its index; 0 for `any`.
    pub index: i32,
    /// How its frames begin.
    pub link_type: LinkType,
    /// The link header is written from the packet's address, in place of the kernel's, if that has one (cooked).
    pub cooked: bool,
    /// Index of the loopback interface if its packets are among those that are captured: each would be seen twice.
    pub loopback: Option<i32>,
    /// Bytes of the largest frame that its offloads may make as it stands; 0 if that is not known.
    pub largest_frame: u32,
}

fn request(name: &str) -> libc::ifreq {
    // SAFETY: ifreq is plain data, for which all zeros is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (slot, byte) in request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1).zip(name.bytes()) {
        *slot = byte as libc::c_char;
    }
    request
}

fn ioctl(socket: &OwnedFd, code: libc::c_ulong, request: &mut libc::ifreq) -> io::Result<()> {
    // SAFETY: the descriptor is open, and the requests used here read and write one ifreq.
    match unsafe { libc::ioctl(socket.as_raw_fd(), code as _, std::ptr::from_mut(request)) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// The names of all interfaces of this thread's namespace.
#[must_use]
pub fn names() -> Vec<String> {
    let mut out = Vec::new();
    // SAFETY: if_nameindex returns an array that ends with index 0 and is freed once; names are NUL-terminated.
    unsafe {
        let list = libc::if_nameindex();
        let mut at = list;
        while !at.is_null() && (*at).if_index != 0 {
            out.push(std::ffi::CStr::from_ptr((*at).if_name).to_string_lossy().into_owned());
            at = at.add(1);
        }
        if !list.is_null() {
            libc::if_freenameindex(list);
        }
    }
    out
}

/// The index of an interface. `ENODEV` if it is not there.
fn index_of(socket: &OwnedFd, name: &str) -> io::Result<i32> {
    if name.len() >= libc::IFNAMSIZ || name.contains('\0') {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    let mut request = request(name);
    ioctl(socket, libc::SIOCGIFINDEX as libc::c_ulong, &mut request)?;
    // SAFETY: SIOCGIFINDEX filled this member of the union.
    Ok(unsafe { request.ifr_ifru.ifru_ifindex })
}

/// Looks an interface up.
///
/// # Errors
/// If it is not there, names those that are.
pub fn find(socket: &OwnedFd, name: &str, place: &str) -> Result<Interface, CaptureError> {
    if name == "any" {
        return Ok(Interface {
            name: name.into(),
            index: 0,
            link_type: LinkType::LINUX_SLL2,
            cooked: true,
            loopback: index_of(socket, "lo").ok(),
            largest_frame: names()
                .iter()
                .filter_map(|name| Some(rtnetlink::largest_frame(index_of(socket, name).ok()?)))
                .max()
                .unwrap_or(0),
        });
    }
    let failed = |error: io::Error| match error.raw_os_error() {
        Some(libc::ENODEV | libc::ENXIO) => {
            let known = names().join(" ");
            CaptureError::NoInterface(format!("no interface {name:?} in {place}; there are: any {known}"))
        }
        _ => CaptureError::system(&format!("interface {name:?}"), &error),
    };
    let index = index_of(socket, name).map_err(failed)?;
    let mut hardware = request(name);
    ioctl(socket, libc::SIOCGIFHWADDR as libc::c_ulong, &mut hardware).map_err(failed)?;
    // SAFETY: SIOCGIFHWADDR filled this member of the union.
    let family = unsafe { hardware.ifr_ifru.ifru_hwaddr.sa_family };
    const ARPHRD_RAWIP: u16 = 519;
    const ARPHRD_NETLINK: u16 = 824;
    let (link_type, cooked) = match family {
        libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK => (LinkType::ETHERNET, false),
        // tun, ipip, 6in4, "void": the frame is the IP packet. Not GRE over IP, which carries anything: cooked, as in libpcap
        libc::ARPHRD_NONE
        | libc::ARPHRD_TUNNEL
        | libc::ARPHRD_TUNNEL6
        | libc::ARPHRD_SIT
        | ARPHRD_RAWIP
        | libc::ARPHRD_VOID => (LinkType::RAW, false),
        // nlmon: which netlink family a message belongs to is only in the packet's address
        ARPHRD_NETLINK => (LinkType::NETLINK, true),
        _ => (LinkType::LINUX_SLL2, true),
    };
    Ok(Interface {
        name: name.into(),
        index,
        link_type,
        cooked,
        loopback: (family == libc::ARPHRD_LOOPBACK).then_some(index),
        largest_frame: rtnetlink::largest_frame(index),
    })
}

/// The netmask of its first IPv4 address, as tcpdump takes it (pcap_lookupnet(3PCAP)); `None` without one, and for `any`.
#[must_use]
pub fn netmask(socket: &OwnedFd, name: &str) -> Option<u32> {
    let mut request = request(name);
    ioctl(socket, libc::SIOCGIFNETMASK as libc::c_ulong, &mut request).ok()?;
    // SAFETY: SIOCGIFNETMASK filled this member of the union with a sockaddr_in: behind its port, the address.
    let address = unsafe { request.ifr_ifru.ifru_netmask.sa_data };
    Some(u32::from_be_bytes([address[2], address[3], address[4], address[5]].map(|byte| byte as u8)))
}

/// What the interface with this index is called in the namespace of the socket; `None` if it is not there.
#[must_use]
pub fn name(socket: &OwnedFd, index: i32) -> Option<String> {
    let mut request = request("");
    request.ifr_ifru.ifru_ifindex = index;
    ioctl(socket, libc::SIOCGIFNAME as libc::c_ulong, &mut request).ok()?;
    let name: Vec<u8> = request.ifr_name.iter().map(|byte| *byte as u8).take_while(|byte| *byte != 0).collect();
    Some(String::from_utf8_lossy(&name).into_owned())
}
