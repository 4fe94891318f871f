//! Sinks: where a plan or a tree is written to.
//!
//! Effects layer.

mod schedule;

mod levels;
mod pinned;
mod spot;

mod layered;

pub(crate) mod publish;
pub(crate) mod seal;
pub(crate) mod times;

pub(crate) mod directory;
pub(crate) mod tree;

pub(crate) mod foreseen;

pub mod archive;
pub(crate) mod layers;

pub(crate) mod overlay;
pub(crate) mod wheel;
