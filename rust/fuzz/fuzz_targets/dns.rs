//! A DNS message: read without panic, and nothing in it is longer than it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sniffkit_core::app::dns::Message;

fuzz_target!(|input: &[u8]| {
    let Some(message) = Message::parse(input) else { return };
    assert!(message.questions.len() * 5 <= input.len());
    assert!(message.answers.len() * 11 <= input.len());
    assert!(message.answers.iter().all(|answer| answer.name.len() <= 255 * 4));
});
