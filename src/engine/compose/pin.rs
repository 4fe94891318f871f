//! Asks indexes where the files of requirements are.

use std::collections::BTreeMap;

use camino::Utf8Path;

use crate::effects::host::fs;
use crate::effects::net::download::{Network, NetworkConfig};
use crate::effects::net::netrc::Netrc;
use crate::effects::work::parallel;
use crate::engine::compose::lock::LockFile;
use crate::error::{Error, Wanting, WantingWheels};
use crate::model::address::Address;
use crate::model::lock::pin::{self, ACCEPT, Offer, Sought};

/// The most bytes of an index's page: the largest of today have some tens of megabytes.
const MOST_BYTES: u64 = 256 << 20;

/// The text of a `pylock.toml` for requirements. Indexes are asked in their order, each once for a
/// project, until every hash of it is known.
///
/// # Errors
/// The file is no such requirements, an index cannot be asked, or none has a hash.
pub fn pin(
    file: &LockFile,
    indexes: &[String],
    mut config: NetworkConfig,
    netrc: Option<&Utf8Path>,
) -> Result<String, Error> {
    let sought = pin::sought(&file.lock).map_err(|error| file.error(error))?;
    if let Some(Ok(text)) = netrc.map(fs::read_text) {
        config.netrc = Netrc::parse(&text);
    }
    let connections = config.connections;
    let network = Network::new(config)?;
    let ask =
        |index: usize| Ok::<_, std::convert::Infallible>(ask(&network, &sought[index], indexes));
    let answers = parallel::map(connections, sought.len(), ask);
    let answers = answers.unwrap_or_else(|never| match never {});
    let (mut offers, mut failed) = (BTreeMap::new(), Vec::new());
    for (project, answer) in sought.iter().zip(answers) {
        match answer {
            Ok(found) => {
                offers.insert(project.name.clone(), found);
            }
            Err(reason) => failed.push(Wanting {
                wheel: project.name.normalized().to_owned(),
                reasons: vec![reason],
                is_other: false,
            }),
        }
    }
    if !failed.is_empty() {
        return Err(WantingWheels(failed).into());
    }
    pin::pin(&file.lock, &offers).map_err(|error| file.error(error))
}

fn ask(network: &Network, sought: &Sought, indexes: &[String]) -> Result<Vec<Offer>, String> {
    let mut offers = Vec::new();
    for index in indexes {
        let page = format!("{}/{}/", index.trim_end_matches('/'), sought.name.normalized());
        let address = Address::parse(&page).map_err(|error| format!("an index: {error}"))?;
        let at = |reason: String| format!("{address}: {reason}");
        let Some(document) = network.read(&address, ACCEPT, MOST_BYTES).map_err(at)? else {
            continue;
        };
        let found = pin::read_page(&document.content_type, &document.bytes, &document.url);
        let found = found.map_err(|error| at(error.to_string()))?;
        offers.extend(found.into_iter().filter(|offer| sought.hashes.contains(&offer.sha256)));
        let missing =
            sought.hashes.iter().any(|hash| offers.iter().all(|offer| offer.sha256 != *hash));
        if !missing {
            break;
        }
    }
    Ok(offers)
}
