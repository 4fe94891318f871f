//! What the integration tests share: peers to compare with, interpreters and shells to run things
//! with.

pub(crate) mod commands;
pub(crate) mod containers;
pub(crate) mod download;
pub(crate) mod fake_reapi;
#[cfg(feature = "remote")]
pub(crate) mod file_server;
#[cfg(feature = "remote")]
pub(crate) mod http_cache;
pub(crate) mod malformed;
pub(crate) mod mount;
pub(crate) mod pages;
pub(crate) mod peers;
pub(crate) mod programs;
pub(crate) mod project;
pub(crate) mod random;
pub(crate) mod sessions;
pub(crate) mod terminal;

pub(crate) use programs::{
    Python, Shell, copy_executable, copy_venvtree, fake_interpreter, interpreters, newest,
    posix_shells, write_executable,
};
