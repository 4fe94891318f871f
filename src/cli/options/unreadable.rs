//! All variables that stand for options and whose values cannot be read.
//!
//! A command reads those of the options that it has; whoever wants to know what is wrong, all.

use crate::cli::io::Io;
use crate::cli::options::numbers::{self, MOST_THREADS};
use crate::cli::options::{caches, fetching, variables};
use crate::engine::store::LinkMode;
use crate::error::Error;

/// What is wrong with each of them.
pub(crate) fn all(io: &Io<'_>) -> Vec<Error> {
    let flag = |name| variables::flag(io, name).err();
    let count = |name, most| variables::count(io, name, most).err();
    [
        flag(variables::NO_STORE),
        variables::word::<LinkMode>(io, variables::LINK_MODE).err(),
        caches::limit(io).err(),
        count(variables::THREADS, MOST_THREADS),
        flag(variables::OFFLINE),
        count(variables::CONNECTIONS, fetching::MOST_CONNECTIONS),
        variables::parsed(io, variables::WHEEL_LIMIT, numbers::size).err(),
        caches::mode(io).err(),
        caches::timeout(io).err(),
        variables::parsed(io, "VENVTREE_REMOTE_RETRIES", numbers::retries).err(),
        count(variables::REMOTE_CONNECTIONS, caches::MOST_CONNECTIONS),
        flag(variables::NO_REMOTE_COMPRESSION),
    ]
    .into_iter()
    .flatten()
    .collect()
}
