//! Interpreters: finding them, asking them for facts, remembering what they said, having them
//! compile.

mod identity;

pub(crate) mod probe;
pub(crate) mod probe_cache;

pub(crate) mod discover;

pub mod ready;

pub(crate) mod compile;
