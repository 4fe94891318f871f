//! Wheels as values: the texts they hold and what those say.
//!
//! Model layer. Each file holds one text format, read strictly: what two readers could understand
//! differently is an error here. Opening archives and reading members is an effect.

pub mod limits;

pub mod index;

pub mod tags;

pub mod filename;

mod tally;

pub mod entry_points;
pub mod headers;
pub mod wheel_file;

pub(crate) mod about;
pub mod metadata;

pub mod record;

mod standard_library;
pub mod startup;

pub(crate) mod manifest;
pub(crate) mod member_hash;

mod dist_info;
mod judgement;

pub(crate) mod draft;

pub mod kept;
pub(crate) mod known;

pub(crate) mod portability;

pub use manifest::{HashOrigin, Member, WheelManifest};
