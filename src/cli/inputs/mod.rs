//! What several commands read, and what they must not write to.
//!
//! Each file uses only those above it.

pub(crate) mod apart;

pub(crate) mod destination;

pub(crate) mod named;

pub(crate) mod spec;

pub(crate) mod bill;

pub(crate) mod subject;

pub(crate) mod target;

pub(crate) mod launchers;

pub(crate) mod compiler;

pub(crate) mod lock;
