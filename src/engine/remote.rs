//! The remote cache that a command names.

use std::time::Duration;

use camino::Utf8PathBuf;

use crate::effects::host::notes::Notes;
use crate::error::Error;
use crate::model::digest::DigestFunction;

pub use crate::effects::caches::transfer::RemoteCache;
#[cfg(feature = "remote")]
pub use crate::effects::net::client::TlsFiles;
#[cfg(feature = "remote")]
pub use crate::effects::net::download::NetworkConfig;

/// What may be done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Take and give entries.
    #[default]
    ReadWrite,
    /// Take entries only.
    Read,
    /// Give entries only.
    Write,
}

/// How it is reached.
#[cfg_attr(not(feature = "remote"), expect(dead_code, reason = "then nobody reaches any"))]
#[derive(Debug)]
pub struct Settings {
    /// The address.
    pub url: String,
    /// What may be done.
    pub mode: Mode,
    /// The instance name.
    pub instance: String,
    /// Headers for every request, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// A program that prints headers.
    pub helper: Option<Utf8PathBuf>,
    /// Certificates of authorities to trust instead of the system's.
    pub authorities: Option<Utf8PathBuf>,
    /// The client's certificate and its key.
    pub client: Option<(Utf8PathBuf, Utf8PathBuf)>,
    /// The file that a variable names in place of the system's authorities.
    pub variable: Option<Utf8PathBuf>,
    /// How long to wait for an answer.
    pub timeout: Duration,
    /// How often a request is repeated.
    pub retries: u32,
    /// How many requests are sent at once; as many as suit the protocol and the distance where
    /// nobody says.
    pub connections: Option<usize>,
    /// Whether blobs are compressed.
    pub compression: bool,
}

/// Connects to a remote cache.
///
/// # Errors
/// The address is none, or what is named for it cannot be used.
#[cfg(feature = "remote")]
pub fn connect(
    settings: Settings,
    function: DigestFunction,
    notes: &Notes,
) -> Result<Box<dyn RemoteCache>, Error> {
    use crate::effects::caches::remote::{Remote, RemoteConfig, RemoteMode, TlsFiles};
    use crate::effects::net::headers::Headers;
    use crate::effects::net::retry::Schedule;
    use crate::effects::net::url::RemoteUrl;
    let url: RemoteUrl = settings.url.parse()?;
    let config = RemoteConfig {
        mode: match settings.mode {
            Mode::ReadWrite => RemoteMode::ReadWrite,
            Mode::Read => RemoteMode::Read,
            Mode::Write => RemoteMode::Write,
        },
        instance: settings.instance,
        headers: Headers(settings.headers),
        credential_helper: settings.helper,
        tls: TlsFiles {
            authorities: settings.authorities,
            client: settings.client,
            variable: settings.variable,
        },
        timeout: settings.timeout,
        schedule: Schedule { retries: settings.retries, ..Schedule::default() },
        connections: settings.connections,
        compression: settings.compression,
        ..RemoteConfig::new(url)
    };
    Ok(Box::new(Remote::new(config, function, notes.clone())?))
}

/// Says that there is none in this program.
///
/// # Errors
/// Always.
#[cfg(not(feature = "remote"))]
pub fn connect(
    _settings: Settings,
    _function: DigestFunction,
    _notes: &Notes,
) -> Result<Box<dyn RemoteCache>, Error> {
    // The address may hold a secret, and is not taken apart without the feature.
    Err(Error::usage(
        "no remote cache can be used: this venvtree was built without the feature `remote`",
    )
    .into())
}
