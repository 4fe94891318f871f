//! Interpreters: finding them, asking them for facts, remembering what they said, having them
//! compile.

pub mod probe;
pub mod probe_cache;

pub mod discover;

pub mod compile;
