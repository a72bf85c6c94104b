//! Writes a few seeds for each target into `corpus`, from this folder.

use std::{fs, io, path::Path};

use symgate_fuzz::wire::{CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, HEADERS, PRIORITY, SETTINGS};

/// `:method: POST, :scheme: http, :path: /`, and a literal that enters the table.
const REQUEST: &[u8] = b"\x83\x86\x84\x40\x01x\x01y";
const RESPONSE: &[u8] = b"\x88\x40\x01x\x01y";
const TRAILERS: &[u8] = b"\x00\x0bgrpc-status\x010";

/// A frame and what the user does before it.
type Step<'a> = (Frame<'a>, [u8; 2]);

fn main() -> io::Result<()> {
    for (name, seed) in server() {
        write("frames", name, &seed)?;
    }
    for (name, seed) in client() {
        write("client", name, &seed)?;
    }
    write(
        "hpack",
        "blocks",
        b"\x80\x80\x08\x83\x86\x84\x40\x01x\x01y\x01\xbe\x04\x20\x3f\xe1\x1f\x07\x00\x82\x49\x50\x01a",
    )?;
    write("hpack", "lists", b"\x03\x00\x05/path\x03\x04\x00\x10\x83\x00\x03\xc3\x03\x85abcdef\xc8\x03\x04\x03\x05x")?;
    for (name, seed) in protobuf() {
        write("protobuf", name, seed)?;
    }
    // Windows, and then operations: open, carry, respond, send, carry, release, trailers, carry.
    let call = b"\x00\x02\x00\x00\x1d\x00\xff\x00\x05\x00\x01\x00\x09\x80\x40\x04\x1d\x80\xff\x01\x17\x00\xff\x00\x12\x80\x03\x00\x1d\x80\xff\x04";
    write("pair", "call", &[b"\x04\xff\x08\x60\x10", &call[..]].concat())?;
    write("pair", "small", &[b"\x01\x03\x00\x00\x01", &call.repeat(3)[..]].concat())?;
    write("pair", "broken", b"\x04\xff\x08\x60\x10\x00\x00\x02\x00\x1d\x00\xff\x00\x05\x00\x01\x00\x09\x80\xff\x09\x14\x00\x00\x00\x1d\x80\xff\x04")
}

fn protobuf() -> [(&'static str, &'static [u8]); 3] {
    [
        ("fields", b"\x03\x00\x0a\x05\x31min\x31\x22\x08BTC_USDT\x28\xe8\x07"),
        ("nested", b"\x02\x00\x1a\x05\x0a\x03BTC\x1a\x02\x10\x05\x21\0\0\0\0\0\0\0\0\x2d\0\0\0\0"),
        ("groups", b"\x00\x00\x13\x0a\x01X\x1b\x1c\x14\x0a\x01A\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
    ]
}

fn server() -> Vec<(&'static str, Vec<u8>)> {
    let request = |stream, flags| Frame { kind: HEADERS, flags, stream, payload: REQUEST };
    let window = |stream, payload| Frame { kind: 8, flags: 0, stream, payload };
    let small = Frame { kind: SETTINGS, flags: 0, stream: 0, payload: b"\x00\x04\x00\x00\x00\x0a" };
    let data = |stream, flags| Frame { kind: DATA, flags, stream, payload: b"\x00\x00\x00\x00\x01x" };
    let whole = END_HEADERS | END_STREAM;
    let call = [
        (request(1, END_HEADERS), [15, 0]),
        (data(1, END_STREAM), [15, 0]),
        (window(0, b"\0\0\0\x05"), [0, 0]),
        (window(1, b"\0\0\0\x05"), [1, 0x3f]),
        (window(1, b"\0\0\0\x05"), [3, 0]),
    ];
    let blocked = [
        (small, [15, 0]),
        (request(1, whole), [15, 0]),
        (request(3, whole), [0, 0]),
        (window(3, b"\0\0\0\x09"), [0x21, 0x3f]),
        (window(1, b"\0\0\0\x09"), [4, 0]),
        (Frame { kind: 3, flags: 0, stream: 3, payload: b"\0\0\0\x08" }, [10, 0]),
        (Frame { kind: 6, flags: 1, stream: 0, payload: b"draining" }, [15, 0]),
        (request(5, whole), [9, 0]),
    ];
    let odd = [
        (Frame { kind: HEADERS, flags: 0x28, stream: 1, payload: b"\x01\0\0\0\0\0\x83\0" }, [15, 0]),
        (Frame { kind: CONTINUATION, flags: END_HEADERS, stream: 1, payload: b"\x86\x84" }, [15, 0]),
        (Frame { kind: PRIORITY, flags: 0, stream: 9, payload: b"\0\0\0\0\0" }, [6, 0]),
        (Frame { kind: DATA, flags: 8, stream: 1, payload: b"\x02xyz\0\0" }, [7, 9]),
        (Frame { kind: 7, flags: 0, stream: 0, payload: b"\0\0\0\0\0\0\0\0" }, [5, 0]),
    ];
    let mut raw = vec![0x40, 0xff];
    for (frame, _) in [(small, [0, 0])].iter().chain(&call) {
        frame.write(&mut raw);
    }
    vec![("call", short(&call)), ("blocked", short(&blocked)), ("odd", short(&odd)), ("raw", raw)]
}

fn client() -> Vec<(&'static str, Vec<u8>)> {
    let response = |stream, flags| Frame { kind: HEADERS, flags, stream, payload: RESPONSE };
    let data = |stream, flags| Frame { kind: DATA, flags, stream, payload: b"\x00\x00\x00\x00\x01x" };
    let trailers = |stream| Frame { kind: HEADERS, flags: END_HEADERS | END_STREAM, stream, payload: TRAILERS };
    let call = [
        (response(1, END_HEADERS), [1, 0x80]),
        (data(1, 0), [7, 6]),
        (trailers(1), [15, 0]),
        (response(3, END_HEADERS | END_STREAM), [0, 0]),
    ];
    let leaves = [
        (response(5, END_HEADERS), [5, 1]),
        (Frame { kind: 7, flags: 0, stream: 0, payload: b"\0\0\0\x03\0\0\0\0" }, [6, 0]),
        (Frame { kind: 3, flags: 0, stream: 1, payload: b"\0\0\0\x07" }, [10, 0]),
        (data(3, END_STREAM), [15, 0]),
    ];
    let mut raw = vec![0x40, 0xff];
    call.iter().for_each(|(frame, _)| frame.write(&mut raw));
    vec![("call", short(&call)), ("leaves", short(&leaves)), ("raw", raw)]
}

/// The form in which the targets read frames.
fn short(steps: &[Step<'_>]) -> Vec<u8> {
    let mut seed = vec![1, 0xff];
    for (Frame { kind, flags, stream, payload }, act) in steps {
        seed.extend([*kind, *flags, *stream as u8, payload.len() as u8, act[0], act[1]]);
        seed.extend_from_slice(payload);
    }
    seed
}

fn write(target: &str, name: &str, seed: &[u8]) -> io::Result<()> {
    let folder = Path::new("corpus").join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), seed)
}
