//! The walker that finds a field of a protobuf message, against prost.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| symgate_fuzz::fields::walk(input));
