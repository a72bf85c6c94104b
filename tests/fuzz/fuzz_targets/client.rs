//! A client with open streams, and whatever a server may send.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| symgate_fuzz::peer::client(input));
