//! What cargo-fuzz's targets share.

pub mod bodies;
