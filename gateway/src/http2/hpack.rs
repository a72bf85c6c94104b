//! HPACK, the header compression of HTTP/2 (RFC 7541): header blocks to and from header lists. It knows no frames and
//! no stream, and no field by its meaning.

mod decoder;
mod dynamic_table;
mod encoder;
mod huffman;
mod integer;
mod static_table;

pub use decoder::{Decoder, Error, Outcome};
pub use encoder::Encoder;

pub use super::fields::Malformed;

#[cfg(test)]
mod tests;
