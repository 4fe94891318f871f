//! Where the bytes of a planned tree come from: wheels, folders, launchers.

pub(crate) mod launchers;
pub(crate) mod listing;
pub(crate) mod overlay;
pub(crate) mod supply;

pub(crate) mod entry;
