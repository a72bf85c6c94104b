//! metadata-key
