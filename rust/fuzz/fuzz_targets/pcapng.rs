//! A pcapng file: whatever does not begin with a section header gets one, so that no input is wasted.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sniffkit_fuzz::capture_file;

const SECTION: &[u8; 28] =
    b"\x0a\x0d\x0d\x0a\x1c\0\0\0\x4d\x3c\x2b\x1a\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\x1c\0\0\0";

fuzz_target!(|input: &[u8]| {
    if input.starts_with(b"\x0a\x0d\x0d\x0a") || input.starts_with(b"\x1f\x8b") {
        capture_file(input);
    } else {
        capture_file(&[SECTION, input].concat());
    }
});
