//! Interpreters: finding them, asking them for facts, remembering what they said, having them
//! compile.

pub(crate) mod probe;
pub(crate) mod probe_cache;

pub(crate) mod discover;

pub(crate) mod compile;
