//! Values and the functions between them: what a spec means, where files go, what a tree's digest
//! is.
//!
//! The lowest layer. Nothing here knows files, the environment, clocks, threads, processes or
//! networks; a test enforces it. Modules use only those listed above them.

pub(crate) mod every;

pub mod nearest;

pub mod compression;

pub mod address;
pub mod explain;
pub mod moment;

pub mod digest;
pub mod file_kind;
pub mod path;
pub mod portable;
pub mod reserved;
pub mod workers;

pub mod finding;

pub mod tree;

pub mod action;

pub mod name;

pub mod interpreter;
pub mod python_request;
pub mod target;

pub mod requirements;

pub mod wheel;

pub mod preference;

pub mod script;

pub mod activate;

pub mod json;

pub mod bytecode;

pub mod layout;

pub mod relocate;

pub mod spec;

pub mod lock;

pub mod plan;

pub mod layers;

pub mod image;

pub mod request;

pub mod manifest;

pub mod proof;

pub mod verify;
