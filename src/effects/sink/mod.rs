//! Sinks: where a plan or a tree is written to.
//!
//! Effects layer.

pub mod archive;
pub mod directory;
mod pinned;
pub mod publish;
pub mod wheel;

mod even;
mod tar;
pub mod tree;
mod zip;
