//! What touches the world: files read and written, threads, networks.
//!
//! The layer above `model`: as little as possible happens here, and what is decided comes from there.

pub mod parallel;
pub mod pipeline;
pub mod progress;

pub mod fs;

mod child;
pub mod interrupt;
pub mod notes;
pub mod output_file;
pub mod random;
pub mod remove;
pub mod replaceable;
pub mod staging;

pub mod blob;
mod counted;
pub mod exchange;
#[cfg(feature = "remote")]
pub mod remote;
pub mod store;

pub mod archive;
mod examine;
pub mod file_hash;
pub mod inflate;
pub mod input;
pub mod inspect;
pub mod wheels;

pub mod launchers;
pub mod listing;
pub mod machine;

pub mod supply;

pub mod bytecode;
pub mod scan;

pub mod discover;
pub mod probe;
pub mod probe_cache;
pub mod relocate;
pub mod seeds;

pub mod sink;
