//! Values and the functions between them: what a spec means, where files go, what a tree's digest
//! is.
//!
//! The lowest layer. Nothing here knows files, the environment, clocks, threads, processes or
//! networks; a test enforces it. Modules use only those listed above them.

pub(crate) mod every;

pub(crate) mod nearest;
pub(crate) mod quantity;

pub(crate) mod compression;

pub mod address;
pub(crate) mod explain;
pub(crate) mod moment;

pub mod digest;
pub(crate) mod file_kind;
pub mod path;
pub mod portable;
pub mod reserved;
pub mod workers;

pub mod finding;

pub mod tree;

pub mod action;

pub mod name;

pub mod interpreter;
pub(crate) mod python_request;
pub(crate) mod target;

pub mod requirements;

pub mod wheel;

pub(crate) mod preference;

pub mod script;

pub mod activate;

pub(crate) mod json;

pub mod bytecode;

pub mod layout;

pub(crate) mod relocate;

pub mod spec;

pub mod lock;

pub(crate) mod plan;

pub(crate) mod layers;

pub(crate) mod image;

pub mod request;

pub mod manifest;

pub(crate) mod proof;

pub(crate) mod verify;
