//! Environments and wheels as one file: the values that front ends give.

pub use crate::effects::sink::archive::{ArchiveFormat, ArchiveOptions, Owner, Packing};
pub use crate::effects::sink::wheel::WheelContents;

use crate::effects::work::progress::{Amount, Phase};
use crate::engine::Session;

/// Says that packing begins.
pub fn begin(session: &Session) {
    session.progress.begin(Phase::Packing, Amount::default());
}
