//! One AF_PACKET socket with its memory-mapped TPACKET_V3 ring.
//!
//! Source: packet(7), Linux `Documentation/networking/packet_mmap.rst`

use crate::block::parse_block;
use crate::error::CaptureError;
use crate::interface::Interface;
use sniffkit_core::bpf::{Instruction, Program};
use sniffkit_core::frame::{Direction, FrameBatch};
use sniffkit_core::write::SNAP_LEN;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

/// Largest size of a block, bytes: the kernel hands over whole blocks.
pub const BLOCK: usize = 1 << 20;

/// Smallest: room for any frame of an interface whose offloads have the usual limit of 64 KiB.
const MIN_BLOCK: usize = 1 << 17;

/// Blocks of a ring, if they are not too small then. One that holds a single frame is handed over after [`RETIRE_MS`] all
/// the same, so that a ring of two would be full as soon as its reader does not get to run for 100 ms.
const BLOCKS: usize = 16;

/// The kernel counts a ring's bytes in 32 bits.
pub const MAX_BLOCKS: usize = 4095;

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
    /// Only frames of this direction.
    pub direction: Option<Direction>,
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
    block: usize,
    blocks: usize,
    next: usize,
    /// What it listens on.
    pub interface: Interface,
    /// Bytes of a frame to keep.
    pub snap_len: u32,
    /// Bytes kept of a frame that is put together here, until its filter has seen it.
    put_together: u32,
    stats: KernelStats,
    /// The kernel did not take the filter: every frame is still to be judged.
    pub takes_all: bool,
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
pub fn socket() -> Result<OwnedFd, CaptureError> {
    // SAFETY: plain system call; the result is checked before it becomes an owned descriptor.
    let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
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

const fn op(code: u16, jt: u8, jf: u8, k: u32) -> Instruction {
    Instruction { code, jt, jf, k }
}

const fn ret(k: u32) -> Instruction {
    op(6, 0, 0, k)
}

/// Bytes of a frame that is judged once it is put together: what is to be kept, and what the filter may look at.
fn seen(filter: &Program, options: &RingOptions) -> u32 {
    options.snap_len.max(filter.reach().unwrap_or(SNAP_LEN))
}

/// Longest link header that a cooked one may take the place of, bytes: MAX_HEADER of `linux/netdevice.h` is hardly more.
const LINK_HEADER: u32 = 128;

/// The kernel's filter for a socket: direction, then the user's. The kernel takes the outer VLAN tag off before the
/// filter runs, so a tagged frame would be judged without it; those all pass here and are judged again with their tag
/// in place (`docs/decisions`). So are cooked frames, whose header is made here, and with `takes_all` all.
fn kernel_program(
    interface: &Interface,
    options: &RingOptions,
    filter: Option<&Program>,
    takes_all: bool,
) -> Vec<Instruction> {
    /// Ancillary loads: packet type, interface index, whether there is a tag (`linux/filter.h`, SKF_AD_OFF + …).
    const TYPE: Instruction = op(0x20, 0, 0, (-0x1000i32 + 4) as u32);
    const INDEX: Instruction = op(0x20, 0, 0, (-0x1000i32 + 8) as u32);
    const TAGGED: Instruction = op(0x20, 0, 0, (-0x1000i32 + 48) as u32);
    const OUT: u32 = libc::PACKET_OUTGOING as u32;
    let link = if interface.cooked { LINK_HEADER } else { 0 };
    let mut code = Vec::new();
    match options.direction {
        Some(Direction::In) => code.extend([TYPE, op(0x15, 0, 1, OUT), ret(0)]),
        Some(Direction::Out) => code.extend([TYPE, op(0x15, 1, 0, OUT), ret(0)]),
        _ => {}
    }
    // On loopback the same packet goes out and comes in: once is enough, as in tcpdump.
    if let Some(index) = interface.loopback {
        code.extend([TYPE, op(0x15, 0, 3, OUT), INDEX, op(0x15, 0, 1, index as u32), ret(0)]);
    }
    match filter {
        Some(filter) if !interface.cooked && !takes_all => {
            code.extend([TAGGED, op(0x15, 0, 1, 1), ret(seen(filter, options))]);
            code.extend(filter.instructions());
        }
        Some(filter) => code.push(ret(seen(filter, options) + link)),
        None => code.push(ret(options.snap_len + link)),
    }
    code
}

impl Ring {
    /// Opens a ring on an interface of this thread's namespace. It is live when this returns.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn open(interface: Interface, options: &RingOptions, filter: Option<&Program>) -> Result<Self, CaptureError> {
        let socket = socket()?;
        // Nothing may come in before the real filter is there: what does not match would be captured.
        attach(&socket, &[ret(0)])?;
        set(
            &socket,
            libc::SOL_PACKET,
            libc::PACKET_VERSION,
            &libc::tpacket_versions::TPACKET_V3,
            "choosing TPACKET_V3",
        )?;
        let kept = filter.map_or(options.snap_len, |filter| seen(filter, options));
        // With room for what the kernel puts before a frame.
        let least = (kept.min(interface.largest_frame) as usize + 4096).next_power_of_two().clamp(MIN_BLOCK, BLOCK);
        let block = (options.buffer.next_power_of_two() / BLOCKS).clamp(least, BLOCK);
        let blocks = options.buffer.div_ceil(block).clamp(2, MAX_BLOCKS);
        let request = libc::tpacket_req3 {
            tp_block_size: block as u32,
            tp_block_nr: blocks as u32,
            tp_frame_size: 2048,
            tp_frame_nr: (block / 2048 * blocks) as u32,
            tp_retire_blk_tov: RETIRE_MS,
            tp_sizeof_priv: 0,
            tp_feature_req_word: 0,
        };
        let what = format!("{}: a ring of {} KiB (-B)", interface.name, blocks * block / 1024);
        set(&socket, libc::SOL_PACKET, libc::PACKET_RX_RING, &request, &what)?;
        // SAFETY: maps the ring of an open socket in the size that the kernel just agreed to; checked below.
        let map = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                block * blocks,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                socket.as_raw_fd(),
                0,
            )
        };
        if map == libc::MAP_FAILED {
            return Err(CaptureError::system("mapping the ring", &io::Error::last_os_error()));
        }
        let mut ring = Self {
            socket,
            map: map.cast(),
            block,
            blocks,
            next: 0,
            interface,
            snap_len: options.snap_len,
            put_together: kept,
            stats: KernelStats::default(),
            takes_all: false,
        };
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
        ring.kernel_stats()?; // reading sets them back: counting starts with the real filter
        ring.stats = KernelStats::default();
        let program = |takes_all| kernel_program(&ring.interface, options, filter, takes_all);
        // Memory words that are read before they are written (`geneve or tcp`) are 0 for libpcap, and an error for the kernel.
        if attach(&ring.socket, &program(false)).is_err() {
            attach(&ring.socket, &program(true))?;
            ring.takes_all = filter.is_some();
        }
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

    /// How many blocks it has.
    #[must_use]
    pub fn blocks(&self) -> usize {
        self.blocks
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

    /// Whether its interface is gone for good, and not just down, which is an error of the socket too.
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
        let index = self.interface.index;
        index != 0 && (self.bound_to() != index || crate::interface::name(&self.socket, index).is_none())
    }

    /// The index of the interface that the kernel has bound the socket to: -1 some moments after that one has gone, and for
    /// good, even if another takes its name and index.
    fn bound_to(&self) -> i32 {
        // SAFETY: sockaddr_ll is plain data, for which all zeros is a value; pointer and length describe it.
        unsafe {
            let mut address: libc::sockaddr_ll = std::mem::zeroed();
            let mut len = std::mem::size_of::<libc::sockaddr_ll>() as libc::socklen_t;
            libc::getsockname(self.socket.as_raw_fd(), std::ptr::from_mut(&mut address).cast(), &mut len);
            address.sll_ifindex
        }
    }

    /// Status word and number of frames of the block that is next to be read.
    fn next_block(&self) -> (&AtomicU32, &AtomicU32) {
        // SAFETY: `next` is below `blocks`, so the block lies inside the mapping, which lives as long as `self`, and is
        // aligned to pages. Both words, at offsets 8 and 12, are shared with the kernel and only accessed atomically.
        unsafe {
            let block = self.map.add(self.next * self.block);
            (AtomicU32::from_ptr(block.add(8).cast()), AtomicU32::from_ptr(block.add(12).cast()))
        }
    }

    /// Whether the kernel has put no frame into the block that it is filling.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let (status, frames) = self.next_block();
        status.load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 && frames.load(Ordering::Relaxed) == 0
    }

    /// Copies the next finished block into `batch` and gives it back to the kernel; `false` if there is none.
    pub fn take_block(&mut self, batch: &mut FrameBatch, interface: u32) -> bool {
        let (status, frames) = self.next_block();
        if status.load(Ordering::Acquire) & libc::TP_STATUS_USER == 0 {
            return false;
        }
        // SAFETY: `next` is below `blocks`, so the block lies inside the mapping. The kernel has given it to us and
        // does not write it until the status is set back below.
        let bytes = unsafe { std::slice::from_raw_parts(self.map.add(self.next * self.block), self.block) };
        parse_block(bytes, &self.interface, interface, self.put_together as usize, batch);
        frames.store(0, Ordering::Relaxed); // until the kernel opens the block again: see `is_empty`
        status.store(libc::TP_STATUS_KERNEL, Ordering::Release);
        self.next = (self.next + 1) % self.blocks;
        true
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: unmaps what `open` mapped, once; nothing refers to it any more.
        unsafe { libc::munmap(self.map.cast(), self.block * self.blocks) };
    }
}
