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

type OpenDead = unsafe extern "C" fn(c_int, c_int) -> *mut c_void;
type Compile = unsafe extern "C" fn(*mut c_void, *mut BpfProgram, *const c_char, c_int, u32) -> c_int;
type Handle = unsafe extern "C" fn(*mut c_void);
type FreeCode = unsafe extern "C" fn(*mut BpfProgram);
type GetError = unsafe extern "C" fn(*mut c_void) -> *const c_char;

/// The few functions of libpcap that are used.
struct Libpcap {
    open_dead: OpenDead,
    compile: Compile,
    close: Handle,
    freecode: FreeCode,
    geterr: GetError,
}

/// PCAP_NETMASK_UNKNOWN (`pcap/pcap.h`)
const NO_NETMASK: u32 = 0xffff_ffff;

/// What a filter is for.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    link_type: u32,
    snap_len: u32,
    netmask: u32,
}

impl Target {
    /// Frames of a file. As in tcpdump, `ip broadcast` has only the addresses of all ones and of all zeros there.
    #[must_use]
    pub fn file(link_type: u32) -> Self {
        Self { link_type, snap_len: 262_144, netmask: 0 }
    }

    /// Frames of an interface, which may have several addresses: pcap_compile(3PCAP) is told that the netmask is not known.
    #[must_use]
    pub fn live(link_type: u32, snap_len: u32) -> Self {
        Self { link_type, snap_len, netmask: NO_NETMASK }
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
                    compile: std::mem::transmute::<*mut c_void, Compile>(symbol(c"pcap_compile")?),
                    close: std::mem::transmute::<*mut c_void, Handle>(symbol(c"pcap_close")?),
                    freecode: std::mem::transmute::<*mut c_void, FreeCode>(symbol(c"pcap_freecode")?),
                    geterr: std::mem::transmute::<*mut c_void, GetError>(symbol(c"pcap_geterr")?),
                })
            }
        })
        .as_ref()
        .ok_or_else(|| CaptureError::System("filters need libpcap: sudo apt install libpcap0.8".into()))
}

/// Why an expression gives no program.
enum Refused {
    /// libpcap's message.
    Expression(String),
    /// Of the program that it made.
    Program(&'static str),
}

/// One call of the compiler. `optimise` takes most of the time of a long expression, and refuses none.
fn compile_once(expression: &str, target: Target, optimise: bool) -> Result<Result<Program, Refused>, CaptureError> {
    let pcap = libpcap()?;
    let text = CString::new(expression).map_err(|_| CaptureError::Filter("bad filter: it has a NUL byte".into()))?;
    // LINKTYPE_RAW is 101 in files and 12 in libpcap's own numbering (pcap/dlt.h).
    let dlt = if target.link_type == 101 { 12 } else { target.link_type };
    // SAFETY: the handle comes from pcap_open_dead and is closed once; `program` is written by pcap_compile and freed
    // by pcap_freecode after its instructions, `len` of them, were copied; geterr's string lives until the close.
    unsafe {
        let handle = (pcap.open_dead)(dlt as c_int, target.snap_len as c_int);
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
            Err(Refused::Expression(CStr::from_ptr((pcap.geterr)(handle)).to_string_lossy().into_owned()))
        };
        (pcap.close)(handle);
        Ok(result)
    }
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
                _ if target.netmask != NO_NETMASK => "",
                Some((at, end)) if &expression[at..end] == "ifindex" => ": name the interface with -i",
                _ => ": use -Q in or -Q out",
            };
            Err(CaptureError::Filter(format!("bad filter {expression:?}: {what}{instead} (at column {column})")))
        }
        Ok(program) => Ok(program),
        Err(Refused::Program(why)) => Err(CaptureError::Filter(format!("bad filter {expression:?}: {why}"))),
        Err(Refused::Expression(message)) => {
            let why = message.trim_start_matches("can't parse filter expression: ");
            let place = locate(expression, why, target)?;
            Err(CaptureError::Filter(format!("bad filter {expression:?}: {why}{place}")))
        }
    }
}

/// Whether the program loads something beside the frame's bytes (`inbound`, `outbound`): a filter means the same live
/// and on a file, and frames that were tagged are judged here.
fn asks_kernel(program: &Program) -> bool {
    /// SKF_AD_OFF (`linux/filter.h`)
    const ANCILLARY: u32 = -0x1000i32 as u32;
    program.instructions().iter().any(|i| i.code & 7 == 0 && i.code & 0xe0 == 0x20 && i.k >= ANCILLARY)
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
            if !matches!(compile_once(&whole, target, false)?, Err(Refused::Expression(_))) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
