//! Work in parallel, and how far it has come.

pub mod parallel;

pub mod in_order;
pub mod pipeline;
pub mod progress;
