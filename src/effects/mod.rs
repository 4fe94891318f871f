//! What touches the world: files read and written, threads, networks.
//!
//! The layer above `model`: as little as possible happens here, and what is decided comes from
//! there. Each wing, and each module in a wing, uses only those that are listed above it.

pub mod host;
pub mod work;

pub(crate) mod relocate;
pub mod scan;

#[cfg(feature = "remote")]
pub mod net;

pub mod wheels;

pub(crate) mod source;

pub mod caches;

pub(crate) mod interpreters;

pub mod sink;
