//! Work in parallel, and how far it has come.

pub mod parallel;

pub(crate) mod in_order;
pub(crate) mod pipeline;
pub mod progress;
