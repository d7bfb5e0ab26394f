//! Capture filters in tcpdump's language, compiled by libpcap itself, loaded when first needed.
//!
//! Source: pcap-filter(7), pcap_compile(3PCAP)

use crate::error::CaptureError;
use sniffkit_core::bpf::{Instruction, Program};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::sync::OnceLock;

#[repr(C)]
struct BpfProgram {
    len: u32,
    instructions: *mut libc::sock_filter,
}

type OpenSaved = unsafe extern "C" fn(*mut libc::FILE, *mut c_char) -> *mut c_void;
type OpenDead = unsafe extern "C" fn(c_int, c_int) -> *mut c_void;
type Compile = unsafe extern "C" fn(*mut c_void, *mut BpfProgram, *const c_char, c_int, u32) -> c_int;
type Handle = unsafe extern "C" fn(*mut c_void);
type FreeCode = unsafe extern "C" fn(*mut BpfProgram);
type GetError = unsafe extern "C" fn(*mut c_void) -> *const c_char;
type DataLink = unsafe extern "C" fn(*mut c_void) -> c_int;
type Describe = unsafe extern "C" fn(c_int) -> *const c_char;

/// The few functions of libpcap that are used.
struct Libpcap {
    open_dead: OpenDead,
    open_saved: OpenSaved,
    compile: Compile,
    close: Handle,
    freecode: FreeCode,
    geterr: GetError,
    datalink: DataLink,
    describe: Describe,
}

/// PCAP_ERRBUF_SIZE (`pcap/pcap.h`)
const ERROR_SIZE: usize = 256;

/// PCAP_NETMASK_UNKNOWN (`pcap/pcap.h`)
const NO_NETMASK: u32 = 0xffff_ffff;

/// What a filter is for.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    link_type: u32,
    snap_len: u32,
    netmask: u32,
    of: Of,
}

/// Whose frames those are. libpcap compiles differently for files: an address family of IPv6 is that of any system there,
/// and in the byte order of the file's host.
#[derive(Clone, Copy, Debug)]
enum Of {
    File { big_endian: bool },
    Interface,
}

impl Target {
    /// Frames of a file. As in tcpdump, `ip broadcast` has only the addresses of all ones and of all zeros there.
    #[must_use]
    pub fn file(link_type: u32, big_endian: bool) -> Self {
        Self { link_type, snap_len: 262_144, netmask: 0, of: Of::File { big_endian } }
    }

    /// Frames of an interface. Without a netmask (of its IPv4 network, for `ip broadcast`) pcap_compile(3PCAP) is told that
    /// none is known.
    #[must_use]
    pub fn live(link_type: u32, snap_len: u32, netmask: Option<u32>) -> Self {
        Self { link_type, snap_len, netmask: netmask.unwrap_or(NO_NETMASK), of: Of::Interface }
    }
}

fn libpcap() -> Result<&'static Libpcap, CaptureError> {
    static LOADED: OnceLock<Option<Libpcap>> = OnceLock::new();
    LOADED
        .get_or_init(|| {
            // SAFETY: dlopen and dlsym take NUL-terminated strings; the library is never closed, so the functions stay
            // valid; the signatures are those of pcap.h, stable since libpcap 0.8.
            unsafe {
                let handle = libc::dlopen(c"libpcap.so.0.8".as_ptr(), libc::RTLD_NOW);
                let handle =
                    if handle.is_null() { libc::dlopen(c"libpcap.so.1".as_ptr(), libc::RTLD_NOW) } else { handle };
                if handle.is_null() {
                    return None;
                }
                let symbol = |name: &CStr| {
                    let address = libc::dlsym(handle, name.as_ptr());
                    (!address.is_null()).then_some(address)
                };
                Some(Libpcap {
                    open_dead: std::mem::transmute::<*mut c_void, OpenDead>(symbol(c"pcap_open_dead")?),
                    open_saved: std::mem::transmute::<*mut c_void, OpenSaved>(symbol(c"pcap_fopen_offline")?),
                    compile: std::mem::transmute::<*mut c_void, Compile>(symbol(c"pcap_compile")?),
                    close: std::mem::transmute::<*mut c_void, Handle>(symbol(c"pcap_close")?),
                    freecode: std::mem::transmute::<*mut c_void, FreeCode>(symbol(c"pcap_freecode")?),
                    geterr: std::mem::transmute::<*mut c_void, GetError>(symbol(c"pcap_geterr")?),
                    datalink: std::mem::transmute::<*mut c_void, DataLink>(symbol(c"pcap_datalink")?),
                    describe: std::mem::transmute::<*mut c_void, Describe>(symbol(
                        c"pcap_datalink_val_to_description",
                    )?),
                })
            }
        })
        .as_ref()
        .ok_or_else(|| CaptureError::System("filters need libpcap: sudo apt install libpcap0.8".into()))
}

/// Why an expression gives no program.
enum Refused {
    /// libpcap's message, and its name of the link type.
    Expression(String, Option<String>),
    /// Of the program that it made.
    Program(&'static str),
}

/// One call of the compiler. `optimise` takes most of the time of a long expression, and refuses none.
fn compile_once(expression: &str, target: Target, optimise: bool) -> Result<Result<Program, Refused>, CaptureError> {
    let pcap = libpcap()?;
    let text = CString::new(expression).map_err(|_| CaptureError::Filter("bad filter: it has a NUL byte".into()))?;
    let mut head: [u8; 24];
    // SAFETY: the handle comes from pcap_open_dead or pcap_fopen_offline and is closed once, with the stream over `head`,
    // which outlives it; `program` is written by pcap_compile and freed by pcap_freecode after its instructions, `len` of
    // them, were copied; geterr's string lives until the close, the description for ever.
    unsafe {
        let handle = match target.of {
            Of::Interface => {
                // LINKTYPE_RAW is 101 in files and 12 in libpcap's own numbering (pcap/dlt.h).
                let dlt = if target.link_type == 101 { 12 } else { target.link_type };
                (pcap.open_dead)(dlt as c_int, target.snap_len as c_int)
            }
            Of::File { big_endian } => {
                head = file_header(target, big_endian);
                let stream = libc::fmemopen(head.as_mut_ptr().cast(), head.len(), c"r".as_ptr());
                let mut why: [c_char; ERROR_SIZE] = [0; ERROR_SIZE];
                let handle =
                    if stream.is_null() { std::ptr::null_mut() } else { (pcap.open_saved)(stream, why.as_mut_ptr()) };
                if handle.is_null() && !stream.is_null() {
                    libc::fclose(stream);
                }
                handle
            }
        };
        if handle.is_null() {
            return Err(CaptureError::System("libpcap: out of memory".into()));
        }
        let mut program = BpfProgram { len: 0, instructions: std::ptr::null_mut() };
        let result = if (pcap.compile)(handle, &mut program, text.as_ptr(), c_int::from(optimise), target.netmask) == 0
        {
            let code = std::slice::from_raw_parts(program.instructions, program.len as usize);
            let code = code.iter().map(|i| Instruction { code: i.code, jt: i.jt, jf: i.jf, k: i.k }).collect();
            (pcap.freecode)(&mut program);
            Program::new(code).map_err(Refused::Program)
        } else {
            let why = CStr::from_ptr((pcap.geterr)(handle)).to_string_lossy().into_owned();
            let link = (pcap.describe)((pcap.datalink)(handle));
            let link = (!link.is_null()).then(|| CStr::from_ptr(link).to_string_lossy().into_owned());
            Err(Refused::Expression(why, link))
        };
        (pcap.close)(handle);
        Ok(result)
    }
}

/// The header of a pcap file (draft-ietf-opsawg-pcap, section 4), of which libpcap takes link type and byte order.
fn file_header(target: Target, big_endian: bool) -> [u8; 24] {
    // What OpenBSD calls raw IP, libpcap knows there alone.
    let link_type = if target.link_type == 14 { 101 } else { target.link_type };
    let words = [0xa1b2_c3d4, 0, 0, 0, target.snap_len, link_type].map(if big_endian {
        u32::to_be_bytes
    } else {
        u32::to_le_bytes
    });
    let version = [2, 4].map(if big_endian { u16::to_be_bytes } else { u16::to_le_bytes });
    let mut head = [0; 24];
    head.copy_from_slice(words.as_flattened());
    head[4..8].copy_from_slice(version.as_flattened());
    head
}

/// Compiles a filter.
///
/// # Errors
/// [`CaptureError::Filter`] with libpcap's words and the position in the expression.
pub fn compile(expression: &str, target: Target) -> Result<Program, CaptureError> {
    match compile_once(expression, target, true)? {
        Ok(program) if asks_kernel(&program) => {
            let asks = |(at, end): &(usize, usize)| {
                let word = &expression[*at..*end];
                word.ends_with("bound") || word == "ifindex"
            };
            let word = words(expression).into_iter().find(asks);
            let column = word.map_or(1, |(at, _)| expression[..at].chars().count() + 1);
            let what = "it asks what only the kernel knows of a frame, and no file holds";
            let instead = match word {
                _ if matches!(target.of, Of::File { .. }) => "",
                Some((at, end)) if &expression[at..end] == "ifindex" => ": name the interface with -i",
                _ => ": use -Q in or -Q out",
            };
            Err(CaptureError::Filter(format!("bad filter {expression:?}: {what}{instead} (at column {column})")))
        }
        Ok(program) => Ok(program),
        Err(Refused::Program(why)) => Err(CaptureError::Filter(format!("bad filter {expression:?}: {why}"))),
        Err(Refused::Expression(message, link)) => {
            let why = message.trim_start_matches("can't parse filter expression: ");
            if why.starts_with("unknown data link type") {
                return Err(CaptureError::Filter(format!("bad filter {expression:?}: {why}")));
            }
            let place = locate(expression, why, target)?;
            // What is wrong for one link type alone says for which.
            let link = link.filter(|link| target.link_type != 1 && !why.starts_with("syntax") && !why.contains(link));
            let link = link.map_or_else(String::new, |link| format!(", on {link}"));
            Err(CaptureError::Filter(format!("bad filter {expression:?}: {why}{place}{link}")))
        }
    }
}

/// Whether the program loads something beside the frame's bytes (`inbound`, `outbound`): a filter means the same live
/// and on a file, and frames that were tagged are judged here.
fn asks_kernel(program: &Program) -> bool {
    /// SKF_AD_OFF (`linux/filter.h`); behind its few words libpcap's -1 says that a link type has no such bytes.
    const ANCILLARY: std::ops::Range<u32> = -0x1000i32 as u32..-0xf00i32 as u32;
    program.instructions().iter().any(|i| i.code & 7 == 0 && i.code & 0xe0 == 0x20 && ANCILLARY.contains(&i.k))
}

/// Where the expression goes wrong, if that can be told; libpcap does not. An error that quotes a word is at that word; a
/// syntax error is at the first word with which no beginning of the expression can be completed any more.
fn locate(expression: &str, why: &str, target: Target) -> Result<String, CaptureError> {
    let column = |at: usize| expression[..at].chars().count() + 1;
    let words = words(expression);
    let is_syntax = why.starts_with("syntax error");
    if let Some(quoted) = why.split(['"', '\'']).nth(1).filter(|_| !is_syntax)
        && let Some((at, _)) = words.iter().find(|(at, end)| &expression[*at..*end] == quoted)
    {
        return Ok(format!(" at column {}", column(*at)));
    }
    // What cannot be completed cannot be when more stands behind it: so by halves.
    let (mut good, mut bad) = (0, words.len());
    while good < bad {
        let middle = good.midpoint(bad);
        if viable(&expression[..words[middle].1], target)? {
            good = middle + 1;
        } else {
            bad = middle;
        }
    }
    if let Some((at, end)) = words.get(good) {
        return Ok(format!(" at column {} ({:?})", column(*at), &expression[*at..*end]));
    }
    if !is_syntax {
        return Ok(String::new());
    }
    Ok(format!(" at column {}: it ends too early", column(expression.trim_end().len())))
}

/// Words and operators with their byte ranges.
fn words(expression: &str) -> Vec<(usize, usize)> {
    let mut out: Vec<(usize, usize)> = Vec::new();
    let mut joined = false;
    for (at, char) in expression.char_indices() {
        let end = at + char.len_utf8();
        let word = !char.is_whitespace() && !"()[]!&|=<>".contains(char);
        match out.last_mut() {
            Some(last) if word && joined => last.1 = end,
            _ if char.is_whitespace() => {}
            _ => out.push((at, end)),
        }
        joined = word;
    }
    out
}

/// `true` if something can follow this beginning so that the whole compiles.
fn viable(prefix: &str, target: Target) -> Result<bool, CaptureError> {
    const ENDS: &[&str] = &[
        "",
        " 80",
        " 1.2.3.4",
        " tcp",
        " host 1.2.3.4",
        " port 80",
        " 10.0.0.0/8",
        " 00:00:00:00:00:01",
        " 1-2",
        " = 1",
        "= 1",
        " 0] = 1",
        "] = 1",
        " mask 255.0.0.0",
        " proto 6",
        " 0 = 1",
        "& 1 = 1",
        "| tcp",
    ];
    let open = prefix.matches('(').count().saturating_sub(prefix.matches(')').count());
    for end in ENDS {
        for close in [0, open] {
            let whole = format!("{prefix}{end}{}", ")".repeat(close));
            if !matches!(compile_once(&whole, target, false)?, Err(Refused::Expression(..))) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
