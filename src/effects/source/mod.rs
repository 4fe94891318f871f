//! Where the bytes of a planned tree come from: wheels, folders, launchers.

pub mod launchers;
pub mod listing;
pub mod overlay;
pub mod supply;

pub mod entry;
