//! What a machine is like on which environments are made.

pub use crate::effects::host::file_hash::of as sha256_of;
pub use crate::effects::host::machine::{nearest, open_files, sharing, target, trouble_with};
