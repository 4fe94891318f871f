//! Sinks: where a plan or a tree is written to.
//!
//! Effects layer.

pub mod directory;
pub mod publish;
