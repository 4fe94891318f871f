//! The system that this runs on: files, folders, other programs, signals.

#[cfg(test)]
pub(crate) mod folder;

pub(crate) mod random;
pub(crate) mod status;

pub mod fs;
pub(crate) mod state;

pub(crate) mod spare;

pub(crate) mod remove;

pub mod interrupt;

pub(crate) mod staging;

pub(crate) mod atomic;

pub(crate) mod input;
pub(crate) mod lock;

pub(crate) mod child;
pub mod file_hash;
pub(crate) mod hold;
pub mod machine;
pub mod notes;
pub(crate) mod output_file;
pub mod replaceable;
