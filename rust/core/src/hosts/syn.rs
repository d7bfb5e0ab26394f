//! What kind of system sends a SYN: initial TTL, window, and the order of its TCP options.
//!
//! The method is p0f's, as its documentation describes it (version:ttl:olen:mss:window,scale:options); the table below is
//! our own, from what the systems' sources and documentation say of their defaults.

use crate::packet::{NONE, Packet};
use std::fmt::Write as _;

/// The option layout, as p0f writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Opt {
    Eol,
    Nop,
    Mss,
    Ws,
    Sok,
    Ts,
    Other,
}

impl Opt {
    fn name(self) -> &'static str {
        ["eol", "nop", "mss", "ws", "sok", "ts", "?"][self as usize]
    }
}

/// Options of a SYN looked at: 40 bytes are at most 40 options.
const MAX_OPTIONS: usize = 24;

/// A SYN's properties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Syn {
    version: u8,
    ttl: u8,
    window: u16,
    mss: Option<u16>,
    scale: Option<u8>,
    options: Vec<Opt>,
}

/// A guess at the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guess {
    /// Its name.
    pub name: &'static str,
    /// How sure, in percent: 90 for options, TTL and window of a known system, 70 without the window, 20 by TTL alone.
    pub confidence: u8,
}

/// What a system's SYN looks like.
struct System {
    name: &'static str,
    ttl: u8,
    options: &'static [Opt],
    /// Whether the window is one that the system is known to start with.
    window: fn(u16, u16) -> bool,
}

/// Confidence when options and TTL are a system's, and the window too; when the window is another; by TTL alone.
const SURE: u8 = 90;
const LIKELY: u8 = 70;
const TTL_ONLY: u8 = 20;

use Opt::{Eol, Mss, Nop, Sok, Ts, Ws};

/// Known systems. `window` gets window and MSS.
const SYSTEMS: &[System] = &[
    // tcp_output.c: MSS, SACK permitted, timestamps, NOP, window scale; the window is a multiple of the MSS, or the
    // largest without scaling (loopback and other long MTUs).
    System {
        name: "Linux",
        ttl: 64,
        options: &[Mss, Sok, Ts, Nop, Ws],
        window: |window, mss| {
            mss > 0 && (window.is_multiple_of(mss) || window.is_multiple_of(mss.saturating_add(12))) || window >= 64000
        },
    },
    System { name: "Linux without timestamps", ttl: 64, options: &[Mss, Nop, Nop, Sok, Nop, Ws], window: |_, _| true },
    System {
        name: "macOS or iOS",
        ttl: 64,
        options: &[Mss, Nop, Ws, Nop, Nop, Ts, Sok, Eol],
        window: |window, _| window == 65535,
    },
    System { name: "FreeBSD", ttl: 64, options: &[Mss, Nop, Ws, Sok, Ts], window: |window, _| window == 65535 },
    System {
        name: "OpenBSD",
        ttl: 64,
        options: &[Mss, Nop, Nop, Sok, Nop, Ws, Nop, Nop, Ts],
        window: |window, _| window == 16384,
    },
    System {
        name: "Windows",
        ttl: 128,
        options: &[Mss, Nop, Ws, Nop, Nop, Sok],
        window: |window, _| matches!(window, 8192 | 64240 | 65535),
    },
    System {
        name: "Windows XP or older",
        ttl: 128,
        options: &[Mss, Nop, Nop, Sok],
        window: |window, _| matches!(window, 16384 | 64240 | 65535),
    },
    System { name: "Cisco IOS", ttl: 255, options: &[Mss], window: |window, _| window == 4128 },
    // nmap's SYN scan: nothing but an MSS, window 1024 to 4096 in steps (scan_engine_raw.cc).
    System {
        name: "nmap scan",
        ttl: 64,
        options: &[Mss],
        window: |window, _| matches!(window, 1024 | 2048 | 3072 | 4096),
    },
];

/// Reads a SYN; `None` if its options are not all captured.
#[must_use]
pub fn read(packet: &Packet, frame: &[u8]) -> Option<Syn> {
    if packet.transport == NONE {
        return None;
    }
    let header = frame.get(packet.transport as usize..)?;
    let length = usize::from(header.get(12)? >> 4) * 4;
    let mut rest = header.get(20..length)?;
    let mut syn = Syn {
        version: packet.ip_version,
        ttl: packet.ip_ttl,
        window: packet.tcp_window,
        mss: None,
        scale: None,
        options: Vec::new(),
    };
    while let [kind, after @ ..] = rest {
        if syn.options.len() == MAX_OPTIONS {
            break;
        }
        match kind {
            0 => {
                syn.options.push(Eol);
                break;
            }
            1 => {
                syn.options.push(Nop);
                rest = after;
            }
            kind => {
                let length = usize::from(*after.first()?);
                if length < 2 {
                    syn.options.push(Opt::Other); // kind and length are two bytes (RFC 9293, 3.1): where it ends is not known
                    break;
                }
                let option = rest.get(..length)?;
                syn.options.push(match (kind, option) {
                    (2, [_, 4, high, low]) => {
                        syn.mss = Some(u16::from_be_bytes([*high, *low]));
                        Mss
                    }
                    (3, [_, 3, scale]) => {
                        syn.scale = Some(*scale);
                        Ws
                    }
                    (4, _) => Sok,
                    (8, _) => Ts,
                    _ => Opt::Other,
                });
                rest = &rest[length..];
            }
        }
    }
    Some(syn)
}

impl Syn {
    /// The TTL that the system begins with: the next usual one above.
    fn initial_ttl(&self) -> u8 {
        [32, 64, 128, 255].into_iter().find(|initial| self.ttl <= *initial).unwrap_or(255)
    }

    /// The system that sends SYNs like this.
    #[must_use]
    pub fn guess(&self) -> Guess {
        let initial = self.initial_ttl();
        let of = |system: &&System| {
            // nmap picks its TTL at random between 37 and 60, so 64 covers it.
            system.ttl == initial && system.options == self.options
        };
        let mut found = SYSTEMS.iter().filter(of);
        let first = found.clone().next();
        if let Some(system) = found.find(|system| (system.window)(self.window, self.mss.unwrap_or(0))) {
            return Guess { name: system.name, confidence: SURE };
        }
        if let Some(system) = first.filter(|system| system.options.len() > 1) {
            return Guess { name: system.name, confidence: LIKELY };
        }
        let name = match initial {
            64 => "Unix-like",
            128 => "Windows",
            255 => "network device",
            _ => "unknown",
        };
        Guess { name, confidence: TTL_ONLY }
    }

    /// The signature in p0f's order: version, TTL + hops, options' MSS, window and scale, option layout.
    pub fn write(&self, out: &mut String) {
        let initial = self.initial_ttl();
        let _ = write!(out, "{}:{initial}+{}:", self.version, initial - self.ttl.min(initial));
        match self.mss {
            Some(mss) if mss > 0 && self.window > 0 && self.window.is_multiple_of(mss) => {
                let _ = write!(out, "{mss}:mss*{}", self.window / mss);
            }
            Some(mss) => {
                let _ = write!(out, "{mss}:{}", self.window);
            }
            None => {
                let _ = write!(out, "*:{}", self.window);
            }
        }
        match self.scale {
            Some(scale) => {
                let _ = write!(out, ",{scale}:");
            }
            None => out.push_str(",*:"),
        }
        for (i, option) in self.options.iter().enumerate() {
            out.push_str(if i > 0 { "," } else { "" });
            out.push_str(option.name());
        }
    }
}
