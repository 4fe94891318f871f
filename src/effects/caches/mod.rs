//! Caches of trees and blobs: the local store and remote ones, behind one interface.

pub mod blob;
pub(crate) mod counted;
pub mod store;
pub mod transfer;

pub mod environments;

#[cfg(feature = "remote")]
pub mod remote;
