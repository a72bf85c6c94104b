//! A client and a server of ours, and any operations on both.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| symgate_fuzz::pair(input));
