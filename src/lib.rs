//! venvtree builds Python environment trees: deterministic, relocatable, with a digest for every file and one for the whole.
//!
//! The layers, each of which uses only those above it: [`model`], [`effects`].
#![forbid(unsafe_code)]

pub mod effects;
pub mod model;
