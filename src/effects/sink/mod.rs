//! Sinks: where a plan or a tree is written to.
//!
//! Effects layer.

mod even;
mod pinned;

pub mod publish;

pub mod directory;
pub mod tree;

pub mod archive;

mod tar;
mod zip;

pub mod wheel;
