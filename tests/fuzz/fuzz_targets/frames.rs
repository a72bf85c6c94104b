//! A server, and whatever a client may send behind its preface.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| symgate_fuzz::peer::server(input));
