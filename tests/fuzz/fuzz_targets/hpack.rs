//! Header blocks that nobody encoded, and header lists there and back.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    symgate_fuzz::codec::decode(input);
    symgate_fuzz::codec::round_trip(input);
});
