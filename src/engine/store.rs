//! The local store as a whole: what it holds, making it smaller, and checking it.

use std::time::SystemTime;

use camino::Utf8Path;

use crate::effects::caches::store::{Access, Store};
use crate::effects::work::progress::{Amount, Phase, Progress};
use crate::error::Error;
use crate::model::digest::DigestFunction;

pub use crate::effects::caches::store::area::{Counts, LinkMode};
pub use crate::effects::caches::store::bound::DEFAULT_LIMIT;
pub use crate::effects::caches::store::gc::{CollectionReport, Limits};
pub use crate::effects::caches::store::place::{Naming, StorePlace, check_contents};
pub use crate::effects::caches::store::usage::{StoreReport, Usage};
pub use crate::effects::caches::store::verify::VerifyReport;
pub use crate::effects::host::notes::Notes;

/// The store once for each digest function: they share one directory.
fn parts(place: &StorePlace, access: Access) -> impl Iterator<Item = Store> {
    let place = place.clone();
    DigestFunction::ALL
        .into_iter()
        .map(move |function| Store::open(place.clone(), function, access, Notes::new()))
}

/// What a store holds, by digest function.
///
/// # Errors
/// It cannot be read.
pub fn report(place: &StorePlace) -> Result<Vec<(DigestFunction, StoreReport)>, Error> {
    parts(place, Access::Write).map(|store| Ok((store.function(), store.report()?))).collect()
}

/// What a store holds altogether; it is not written to.
///
/// # Errors
/// It cannot be read.
pub fn total(root: &Utf8Path, function: DigestFunction) -> Result<Usage, Error> {
    let store = Store::open(root.to_owned(), function, Access::Read, Notes::new());
    Ok(store.report()?.total)
}

/// Removes what was used least recently.
///
/// # Errors
/// The store cannot be read.
pub fn collect(
    place: &StorePlace,
    mut limits: Limits,
    now: SystemTime,
    progress: &Progress,
) -> Result<CollectionReport, Error> {
    let mut sum = CollectionReport::default();
    // The limit is for all together: what one function's part leaves of it is the next one's.
    for store in parts(place, Access::Write) {
        progress.begin(Phase::Collecting, Amount::default());
        let found = store.collect_garbage(limits, now)?;
        limits.bytes = limits.bytes.map(|bytes| bytes.saturating_sub(found.left.unwrap_or(0)));
        add(&mut sum.before, found.before);
        add(&mut sum.linked, found.linked);
        sum.left = sum.left.map_or(found.left, |left| Some(left + found.left.unwrap_or(0)));
        sum.removed += found.removed;
        sum.environments += found.environments;
        sum.temporaries += found.temporaries;
        sum.failed.extend(found.failed);
    }
    Ok(sum)
}

fn add(sum: &mut Option<Usage>, found: Option<Usage>) {
    if let Some(found) = found {
        *sum.get_or_insert_default() += found;
    }
}

/// Reads everything again, repairs and removes.
///
/// # Errors
/// The store cannot be read.
pub fn verify(place: &StorePlace, progress: &Progress) -> Result<VerifyReport, Error> {
    let mut sum = VerifyReport::default();
    for store in parts(place, Access::Write) {
        progress.begin(Phase::Checking, Amount::default());
        let found = store.verify()?;
        sum.checked += found.checked;
        sum.damaged.extend(found.damaged);
    }
    Ok(sum)
}
