//! One AF_PACKET socket with its memory-mapped TPACKET_V3 ring.
//!
//! Source: packet(7), Linux `Documentation/networking/packet_mmap.rst`

use crate::error::CaptureError;
use crate::interface::Interface;
use sniffkit_core::bpf::{Instruction, Program};
use sniffkit_core::frame::{Direction, FrameBatch, FrameMeta};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

/// Size of one block, bytes: the kernel hands over whole blocks.
pub const BLOCK: usize = 1 << 20;

/// A block that is not full is handed over after this long, ms.
pub const RETIRE_MS: u32 = 50;

/// How to open a ring.
#[derive(Clone, Debug)]
pub struct RingOptions {
    /// Bytes of a frame to keep.
    pub snap_len: u32,
    /// Ring size, bytes; rounded up to whole blocks.
    pub buffer: usize,
    /// Promiscuous mode.
    pub promiscuous: bool,
}

/// Kernel counters of one socket since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelStats {
    /// Frames that passed the kernel filter, dropped ones included.
    pub received: u64,
    /// Frames that found the ring full.
    pub dropped: u64,
}

/// An open ring. Frames that were tagged get their tag back here.
pub struct Ring {
    socket: OwnedFd,
    map: *mut u8,
    blocks: usize,
    next: usize,
    /// What it listens on.
    pub interface: Interface,
    stats: KernelStats,
}

// SAFETY: the mapping belongs to this value alone and is only reached through `&mut self`.
unsafe impl Send for Ring {}

fn check(result: libc::c_int, what: &str) -> Result<libc::c_int, CaptureError> {
    if result < 0 { Err(CaptureError::system(what, &io::Error::last_os_error())) } else { Ok(result) }
}

fn set<T>(socket: &OwnedFd, level: i32, option: i32, value: &T, what: &str) -> Result<(), CaptureError> {
    // SAFETY: the pointer and length describe `value`, which outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            std::ptr::from_ref(value).cast(),
            std::mem::size_of::<T>() as libc::socklen_t,
        )
    };
    check(result, what).map(drop)
}

/// A packet socket that receives nothing until it is bound.
///
/// # Errors
/// Without CAP_NET_RAW.
pub fn socket(cooked: bool) -> Result<OwnedFd, CaptureError> {
    let kind = if cooked { libc::SOCK_DGRAM } else { libc::SOCK_RAW };
    // SAFETY: plain system call; the result is checked before it becomes an owned descriptor.
    let fd = unsafe { libc::socket(libc::AF_PACKET, kind | libc::SOCK_CLOEXEC, 0) };
    let fd = check(fd, "opening a packet socket")?;
    // SAFETY: a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn attach(socket: &OwnedFd, code: &[Instruction]) -> Result<(), CaptureError> {
    let mut raw: Vec<libc::sock_filter> =
        code.iter().map(|i| libc::sock_filter { code: i.code, jt: i.jt, jf: i.jf, k: i.k }).collect();
    let program = libc::sock_fprog { len: raw.len() as u16, filter: raw.as_mut_ptr() };
    set(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program, "attaching the filter")
}

const fn ret(k: u32) -> Instruction {
    Instruction { code: 6, jt: 0, jf: 0, k }
}

/// The kernel's filter for a socket. The kernel takes the outer VLAN tag off before the filter runs, so a tagged frame
/// would be judged without it; those all pass here and are judged again with their tag in place (`docs/decisions`).
fn kernel_program(filter: Option<&Program>, snap_len: u32, cooked: bool) -> Vec<Instruction> {
    /// Ancillary load: is there a tag? (`linux/filter.h`: SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT)
    const TAG_PRESENT: u32 = (-0x1000i32 + 48) as u32;
    let Some(filter) = filter.filter(|_| !cooked) else { return vec![ret(snap_len)] };
    let mut code = vec![
        Instruction { code: 0x20, jt: 0, jf: 0, k: TAG_PRESENT },
        Instruction { code: 0x15, jt: 0, jf: 1, k: 1 },
        ret(snap_len),
    ];
    code.extend(filter.instructions());
    code
}

impl Ring {
    /// Opens a ring on an interface of this thread's namespace. It is live when this returns.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn open(interface: Interface, options: &RingOptions, filter: Option<&Program>) -> Result<Self, CaptureError> {
        let socket = socket(interface.cooked)?;
        // Nothing may come in before the real filter is there: what does not match would be captured.
        attach(&socket, &[ret(0)])?;
        set(
            &socket,
            libc::SOL_PACKET,
            libc::PACKET_VERSION,
            &libc::tpacket_versions::TPACKET_V3,
            "choosing TPACKET_V3",
        )?;
        let mut blocks = options.buffer.div_ceil(BLOCK).max(2);
        loop {
            let request = libc::tpacket_req3 {
                tp_block_size: BLOCK as u32,
                tp_block_nr: blocks as u32,
                tp_frame_size: 2048,
                tp_frame_nr: (BLOCK / 2048 * blocks) as u32,
                tp_retire_blk_tov: RETIRE_MS,
                tp_sizeof_priv: 0,
                tp_feature_req_word: 0,
            };
            match set(&socket, libc::SOL_PACKET, libc::PACKET_RX_RING, &request, "making the ring") {
                Ok(()) => break,
                // Memory is short: half a ring is better than none.
                Err(_) if blocks > 2 => blocks /= 2,
                Err(error) => return Err(error),
            }
        }
        // SAFETY: maps the ring of an open socket in the size that the kernel just agreed to; checked below.
        let map = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                BLOCK * blocks,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                socket.as_raw_fd(),
                0,
            )
        };
        if map == libc::MAP_FAILED {
            return Err(CaptureError::system("mapping the ring", &io::Error::last_os_error()));
        }
        let mut ring = Self { socket, map: map.cast(), blocks, next: 0, interface, stats: KernelStats::default() };
        ring.bind()?;
        if options.promiscuous && ring.interface.index != 0 {
            let member = libc::packet_mreq {
                mr_ifindex: ring.interface.index,
                mr_type: libc::PACKET_MR_PROMISC as u16,
                mr_alen: 0,
                mr_address: [0; 8],
            };
            set(&ring.socket, libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &member, "promiscuous mode")?;
        }
        attach(&ring.socket, &kernel_program(filter, options.snap_len, ring.interface.cooked))?;
        ring.kernel_stats()?; // reading sets them back: counting starts with the real filter
        ring.stats = KernelStats::default();
        Ok(ring)
    }

    fn bind(&mut self) -> Result<(), CaptureError> {
        // SAFETY: sockaddr_ll is plain data, for which all zeros is a value.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = self.interface.index;
        // SAFETY: pointer and length describe `address`.
        let result = unsafe {
            libc::bind(
                self.socket.as_raw_fd(),
                std::ptr::from_ref(&address).cast(),
                std::mem::size_of::<libc::sockaddr_ll>() as libc::socklen_t,
            )
        };
        check(result, &format!("listening on {}", self.interface.name)).map(drop)
    }

    /// The descriptor to poll.
    #[must_use]
    pub fn fd(&self) -> i32 {
        self.socket.as_raw_fd()
    }

    /// Lets nothing more in; what is in the ring stays.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn close_gate(&self) -> Result<(), CaptureError> {
        attach(&self.socket, &[ret(0)])
    }

    /// The counters since opening.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn kernel_stats(&mut self) -> Result<KernelStats, CaptureError> {
        // SAFETY: plain data; pointer and length describe it.
        let (result, new) = unsafe {
            let mut new: libc::tpacket_stats_v3 = std::mem::zeroed();
            let mut len = std::mem::size_of::<libc::tpacket_stats_v3>() as libc::socklen_t;
            let result = libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                std::ptr::from_mut(&mut new).cast(),
                &mut len,
            );
            (result, new)
        };
        check(result, "reading the drop counters")?;
        self.stats.received += u64::from(new.tp_packets);
        self.stats.dropped += u64::from(new.tp_drops);
        Ok(self.stats)
    }

    /// Why the socket reported an error: `true` if its interface is gone for good.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        let mut error: libc::c_int = 0;
        let mut len = std::mem::size_of::<libc::c_int>() as libc::socklen_t;
        // SAFETY: pointer and length describe `error`. Reading SO_ERROR clears it, so that poll waits again.
        unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_ERROR,
                std::ptr::from_mut(&mut error).cast(),
                &mut len,
            );
        }
        self.interface.index != 0 && !crate::interface::exists(&self.socket, self.interface.index)
    }

    /// Copies the next finished block into `batch` and gives it back to the kernel; `false` if there is none.
    pub fn take_block(&mut self, batch: &mut FrameBatch, interface: u32) -> bool {
        // SAFETY: `next` is below `blocks`, so the block lies inside the mapping and is aligned to pages.
        let block = unsafe { self.map.add(self.next * BLOCK) };
        // SAFETY: the status word at offset 8 of the block is shared with the kernel; it is 4-aligned and only
        // accessed atomically while the kernel may write it.
        let status = unsafe { AtomicU32::from_ptr(block.add(8).cast()) };
        if status.load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
            return false;
        }
        // SAFETY: the kernel has given this block to us and does not write it until the status is set back below.
        let bytes = unsafe { std::slice::from_raw_parts(block, BLOCK) };
        parse_block(bytes, &self.interface, interface, batch);
        status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
        self.next = (self.next + 1) % self.blocks;
        true
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: unmaps what `open` mapped, once; nothing refers to it any more.
        unsafe { libc::munmap(self.map.cast(), BLOCK * self.blocks) };
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..at + 2).map_or(0, |b| u16::from_ne_bytes([b[0], b[1]]))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |b| u32::from_ne_bytes([b[0], b[1], b[2], b[3]]))
}

/// Reads the frames of a block: `struct tpacket_block_desc`, then a chain of `struct tpacket3_hdr`.
fn parse_block(block: &[u8], interface: &Interface, index: u32, batch: &mut FrameBatch) {
    let frames = u32_at(block, 12);
    let mut at = u32_at(block, 16) as usize;
    for _ in 0..frames {
        let Some(header) = block.get(at..) else { return };
        parse_frame(header, interface, index, batch);
        match u32_at(header, 0) as usize {
            0 => return,
            next => at += next,
        }
    }
}

fn parse_frame(header: &[u8], interface: &Interface, index: u32, batch: &mut FrameBatch) {
    // struct tpacket3_hdr: next, sec, nsec, snaplen, len, status: u32; mac, net: u16; hv1: rxhash, vlan_tci: u32,
    // vlan_tpid: u16 …; then, aligned to 16, struct sockaddr_ll at 48
    const ADDRESS: usize = 48;
    let (sec, nsec, snap, len) = (u32_at(header, 4), u32_at(header, 8), u32_at(header, 12), u32_at(header, 16));
    let status = u32_at(header, 20);
    let start = usize::from(u16_at(header, if interface.cooked { 26 } else { 24 }));
    let Some(bytes) = header.get(start..start + snap as usize) else { return };
    let address = header.get(ADDRESS..ADDRESS + 20).unwrap_or(&[]);
    let outgoing = address.get(10) == Some(&libc::PACKET_OUTGOING);
    let mut meta = FrameMeta {
        ts: i64::from(sec) * 1_000_000_000 + i64::from(nsec),
        number: 0,
        offset: 0,
        cap_len: snap,
        frame_len: len,
        interface: index,
        direction: if outgoing { Direction::Out } else { Direction::In },
        checksum_offloaded: status & libc::TP_STATUS_CSUMNOTREADY != 0,
        ts_missing: false,
    };
    if interface.cooked {
        let mut cooked = sll2(address);
        meta.frame_len += cooked.len() as u32;
        cooked.extend_from_slice(bytes);
        batch.push(meta, &cooked);
    } else if status & libc::TP_STATUS_VLAN_VALID != 0 && bytes.len() >= 12 {
        let tci = u32_at(header, 32) as u16;
        let tpid = if status & libc::TP_STATUS_VLAN_TPID_VALID != 0 { u16_at(header, 36) } else { 0x8100 };
        meta.frame_len += 4;
        let mut whole = Vec::with_capacity(bytes.len() + 4);
        whole.extend_from_slice(&bytes[..12]);
        whole.extend_from_slice(&tpid.to_be_bytes());
        whole.extend_from_slice(&tci.to_be_bytes());
        whole.extend_from_slice(&bytes[12..]);
        batch.push(meta, &whole);
    } else {
        batch.push(meta, bytes);
    }
}

/// A LINKTYPE_LINUX_SLL2 header from the packet's address.
///
/// Source: <https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL2.html>
fn sll2(address: &[u8]) -> Vec<u8> {
    let at = |i: usize| address.get(i).copied().unwrap_or(0);
    let mut out = vec![at(2), at(3), 0, 0];
    out.extend_from_slice(&u32_at(address, 4).to_be_bytes());
    out.extend_from_slice(&u16_at(address, 8).to_be_bytes());
    out.extend([at(10), at(11).min(8)]);
    out.extend((12..20).map(at));
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn offsets_are_those_of_the_kernel_structures() {
        use std::mem::offset_of;
        assert_eq!(offset_of!(libc::tpacket3_hdr, tp_sec), 4);
        assert_eq!(offset_of!(libc::tpacket3_hdr, tp_snaplen), 12);
        assert_eq!(offset_of!(libc::tpacket3_hdr, tp_len), 16);
        assert_eq!(offset_of!(libc::tpacket3_hdr, tp_status), 20);
        assert_eq!(offset_of!(libc::tpacket3_hdr, tp_mac), 24);
        assert_eq!(offset_of!(libc::tpacket3_hdr, tp_net), 26);
        assert_eq!(offset_of!(libc::tpacket3_hdr, hv1), 28);
        assert_eq!(offset_of!(libc::tpacket_hdr_variant1, tp_vlan_tci), 4);
        assert_eq!(offset_of!(libc::tpacket_hdr_variant1, tp_vlan_tpid), 8);
        assert_eq!(std::mem::size_of::<libc::tpacket3_hdr>().next_multiple_of(16), 48);
        assert_eq!(offset_of!(libc::sockaddr_ll, sll_pkttype), 10);
    }
}
