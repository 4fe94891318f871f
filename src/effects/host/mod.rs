//! The system that this runs on: files, folders, other programs, signals.

#[cfg(test)]
pub(crate) mod folder;

pub mod random;

pub mod fs;
pub mod state;

pub mod spare;

pub mod remove;

pub mod interrupt;

pub mod staging;

pub mod atomic;

pub mod input;

pub mod child;
pub mod file_hash;
pub mod machine;
pub mod notes;
pub mod output_file;
pub mod replaceable;
