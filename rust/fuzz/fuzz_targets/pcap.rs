//! A pcap file, plain or compressed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sniffkit_fuzz::capture_file;

fuzz_target!(|input: &[u8]| capture_file(input));
