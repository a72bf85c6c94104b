//! The protocols of this repository as Rust types, made at build time from the `.proto` files beside `src/`. Nothing is
//! written by hand here.

/// `demo/kline.proto`: the service that the demo and the tests route.
pub mod pb {
    #![expect(
        missing_docs,
        unused_qualifications,
        clippy::allow_attributes_without_reason,
        clippy::too_many_lines,
        reason = "generated"
    )]
    tonic::include_proto!("pb");
}
