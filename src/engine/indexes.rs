//! Asks indexes where files are that are known by their hashes.
//!
//! Part of the engine. Indexes are asked in their order, each once for a project, until every hash
//! of it is known. Nothing that an index says has to be trusted: the hash decides.

use std::collections::BTreeMap;

use crate::effects::net::download::Network;
use crate::effects::work::parallel;
use crate::model::address::Address;
use crate::model::digest::Hash;
use crate::model::lock::pin::{self, ACCEPT, Offer, Sought};
use crate::model::name::DistName;

/// The most bytes of an index's page: the largest of today have some tens of megabytes.
const MOST_BYTES: u64 = 256 << 20;

/// What indexes have of each project.
#[derive(Debug, Default)]
pub(super) struct Offers {
    /// The files.
    pub found: BTreeMap<DistName, Vec<Offer>>,
    /// Why nobody could be asked.
    pub failed: BTreeMap<DistName, String>,
}

/// Asks for projects, several at once.
pub(super) fn ask(
    network: &Network,
    connections: usize,
    indexes: &[Address],
    sought: &[Sought],
) -> Offers {
    let ask = |project: usize| {
        Ok::<_, std::convert::Infallible>(ask_for(network, &sought[project], indexes))
    };
    let answers = parallel::map(connections, sought.len(), ask);
    let mut offers = Offers::default();
    for (project, answer) in sought.iter().zip(answers.unwrap_or_else(|never| match never {})) {
        let name = project.name.clone();
        match answer {
            Ok(found) => drop(offers.found.insert(name, found)),
            Err(reason) => drop(offers.failed.insert(name, reason)),
        }
    }
    offers
}

fn ask_for(network: &Network, sought: &Sought, indexes: &[Address]) -> Result<Vec<Offer>, String> {
    let mut offers: Vec<Offer> = Vec::new();
    for index in indexes {
        let page = network.mirrored(&index.below(sought.name.normalized()));
        let at = |reason: String| format!("{page}: {reason}");
        let Some(document) = network.read(&page, ACCEPT, MOST_BYTES).map_err(at)? else {
            continue;
        };
        let found = pin::read_page(&document.content_type, &document.bytes, &document.url);
        let found = found.map_err(|error| at(error.to_string()))?;
        offers.extend(found.into_iter().filter(|offer| sought.hashes.contains(&offer.sha256)));
        let is_known = |hash: &Hash| offers.iter().any(|offer| offer.sha256 == *hash);
        if sought.hashes.iter().all(is_known) {
            break;
        }
    }
    Ok(offers)
}
