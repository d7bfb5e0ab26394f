//! DHCP messages of both versions: read without panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sniffkit_core::app::dhcp::Message;

fuzz_target!(|input: &[u8]| {
    let four = Message::parse_v4(input, false);
    let six = Message::parse_v6(input);
    for message in four.iter().chain(&six) {
        assert!(message.client_id.as_ref().is_none_or(|id| id.len() <= input.len()));
        let _ = message.kind_name();
    }
});
