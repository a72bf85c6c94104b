//! Builds the demo's protocol in pure Rust: no `protoc` is needed.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=demo");
    let files = protox::compile(["demo/kline.proto"], ["demo"])?;
    tonic_prost_build::configure().bytes(".").compile_fds(files)?;
    Ok(())
}
