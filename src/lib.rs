//! venvtree builds Python environment trees: deterministic, relocatable, with a digest for every
//! file and one for the whole.
//!
//! The layers, each of which uses only those above it:
//!
//! - [`model`]: values and the functions between them;
//! - [`effects`]: files, threads, interpreters, networks;
//! - [`engine`]: load, plan, tree, write;
//! - [`worker`]: Bazel's persistent workers;
//! - [`cli`]: the command line.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "unit tests need no doorways"))]

pub mod model;

pub mod effects;

pub mod error;

pub mod engine;

pub mod worker;

pub mod cli;
