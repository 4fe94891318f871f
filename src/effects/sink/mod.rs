//! Sinks: where a plan or a tree is written to.
//!
//! Effects layer.

mod schedule;

mod levels;
mod pinned;
mod spot;

mod layered;

pub mod publish;

pub mod directory;
pub mod tree;

pub mod archive;
pub mod layers;

pub mod overlay;
pub mod wheel;
