//! Interpreters: finding them, asking them for facts, remembering what they said.

pub mod probe;
pub mod probe_cache;

pub mod discover;
