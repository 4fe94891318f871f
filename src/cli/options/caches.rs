//! From arguments and variables to the caches of a command.

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum};

use crate::cli::io::Io;
use crate::cli::options::numbers;
use crate::cli::options::variables;
use crate::engine::Caches;
use crate::engine::environments::{Environments, PlaceError};
use crate::engine::remote::{self, Mode, RemoteCache, Settings};
use crate::engine::store::{DEFAULT_LIMIT, LinkMode, Naming, Notes, StorePlace};
use crate::error::Error;
use crate::model::digest::DigestFunction;

/// The most requests at once.
pub(super) const MOST_CONNECTIONS: u16 = 256;

/// The local store.
#[derive(Debug, Args)]
#[command(next_help_heading = "Caches")]
pub struct StoreArguments {
    /// The local store [default: the cache directory of the platform; variable: VENVTREE_STORE].
    #[arg(long, value_name = "DIR")]
    store: Option<Utf8PathBuf>,
    /// Use no local store [variable: VENVTREE_NO_STORE].
    #[arg(long, conflicts_with = "store")]
    no_store: bool,
}

/// The place where environments are shared.
#[derive(Debug, Args)]
#[command(next_help_heading = "Caches")]
pub struct EnvironmentsArguments {
    /// Where shared environments are [default: `environments` in the cache directory of the
    /// platform; variable: VENVTREE_ENVIRONMENTS].
    #[arg(long, value_name = "DIR")]
    environments: Option<Utf8PathBuf>,
}

impl ValueEnum for LinkMode {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self {
            Self::Auto => {
                "For `create` own, else the fastest that works: hardlinks, else reflinks, else copies"
            }
            Self::Hardlink => {
                "Hardlinks to read-only files of the store, but for those that tools edit in place, such as scripts"
            }
            Self::Reflink => "Copies that share blocks until they are changed (btrfs, xfs, ...)",
            Self::Copy => "Copies",
            Self::Own => {
                "Files of the environment's own, to be edited: reflinks where there are any, else copies"
            }
        };
        Some(PossibleValue::new(self.name()).help(help))
    }
}

/// How environments are made out of the store.
#[derive(Debug, Args)]
#[command(next_help_heading = "Caches")]
pub struct LinkArguments {
    /// How files come out of the store [default: auto; variable: VENVTREE_LINK_MODE].
    #[arg(long, value_enum, value_name = "MODE")]
    link_mode: Option<LinkMode>,
}

/// What may be done with the remote cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum RemoteModeArgument {
    /// Take and give entries.
    #[default]
    ReadWrite,
    /// Take entries only.
    Read,
    /// Give entries only.
    Write,
}

/// The remote cache.
#[derive(Debug, Args)]
#[command(next_help_heading = "Remote cache")]
pub struct RemoteArguments {
    /// The remote cache: grpc://HOST[:PORT], grpcs://..., unix:PATH, http://HOST[:PORT][/PATH] or
    /// https://... [variable: VENVTREE_REMOTE_CACHE].
    #[arg(long, value_name = "URL")]
    remote_cache: Option<String>,
    /// What may be done with it [variable: VENVTREE_REMOTE_MODE].
    #[arg(long, value_enum, value_name = "MODE")]
    remote_mode: Option<RemoteModeArgument>,
    /// The instance name [variable: VENVTREE_REMOTE_INSTANCE_NAME].
    #[arg(long, value_name = "NAME")]
    remote_instance_name: Option<String>,
    /// A header for every request; may be repeated [variable: VENVTREE_REMOTE_HEADERS, one a line].
    #[arg(long = "remote-header", value_name = "NAME=VALUE")]
    remote_headers: Vec<String>,
    /// A program that prints headers, like Bazel's --credential_helper [variable:
    /// VENVTREE_CREDENTIAL_HELPER].
    #[arg(long, value_name = "PROGRAM")]
    credential_helper: Option<Utf8PathBuf>,
    /// The certificates of authorities to trust instead of the system's, in PEM [variable:
    /// VENVTREE_TLS_CERTIFICATE].
    #[arg(long, value_name = "FILE")]
    tls_certificate: Option<Utf8PathBuf>,
    /// The client's certificate, in PEM [variable: VENVTREE_TLS_CLIENT_CERTIFICATE].
    #[arg(long, value_name = "FILE")]
    tls_client_certificate: Option<Utf8PathBuf>,
    /// The key of the client's certificate, in PEM [variable: VENVTREE_TLS_CLIENT_KEY].
    #[arg(long, value_name = "FILE")]
    tls_client_key: Option<Utf8PathBuf>,
    /// Wait at most SECONDS for an answer, or for its next part [default: 60; variable:
    /// VENVTREE_REMOTE_TIMEOUT].
    #[arg(long, value_name = "SECONDS", value_parser = numbers::wait)]
    remote_timeout: Option<Duration>,
    /// Repeat a request that failed up to N times [default: 5; variable: VENVTREE_REMOTE_RETRIES].
    #[arg(long, value_name = "N", value_parser = numbers::retries)]
    remote_retries: Option<u32>,
    /// Send at most N requests at once [default: 8; over HTTP up to 128 where the cache is far; variable:
    /// VENVTREE_REMOTE_CONNECTIONS].
    #[arg(long, value_name = "N", value_parser = |text: &str| numbers::count(text, MOST_CONNECTIONS))]
    remote_connections: Option<u16>,
    /// Do not compress blobs [variable: VENVTREE_NO_REMOTE_COMPRESSION].
    #[arg(long)]
    no_remote_compression: bool,
}

/// All caches: the store, how files come out of it, and the remote one.
#[derive(Debug, Args)]
pub struct CacheArguments {
    #[command(flatten)]
    pub(crate) store: StoreArguments,
    #[command(flatten)]
    pub(crate) links: LinkArguments,
    #[command(flatten)]
    pub(crate) remote: RemoteArguments,
}

/// Where the local store is; `None` if no store is to be used. A store that was named and cannot be
/// believed is an error, one that was not named is left alone, with a note.
pub(crate) fn store(
    arguments: &StoreArguments,
    notes: &Notes,
    io: &Io<'_>,
) -> Result<Option<StorePlace>, Error> {
    if arguments.store.is_none()
        && (arguments.no_store || variables::flag(io, variables::NO_STORE)?)
    {
        return Ok(None);
    }
    if let Some(path) =
        arguments.store.as_deref().or_else(|| io.variable(variables::STORE).map(Utf8Path::new))
    {
        return Ok(Some(StorePlace::check(io.resolve(path), Naming::Named)?));
    }
    let Some(path) = default_store(io) else {
        return Ok(None);
    };
    match StorePlace::check(path, Naming::Own) {
        Ok(place) => Ok(Some(place)),
        Err(untrusted) => {
            notes.add(untrusted.with_hint());
            Ok(None)
        }
    }
}

/// The local store, for a command that has no options for it and can do without.
pub(crate) fn usual_store(io: &Io<'_>) -> Option<StorePlace> {
    let arguments = StoreArguments { store: None, no_store: false };
    store(&arguments, &Notes::new(), io).ok().flatten()
}

/// How many bytes the store may take; `None` if there is to be no limit.
pub(super) fn limit(io: &Io<'_>) -> Result<Option<u64>, Error> {
    let given = variables::parsed(io, variables::STORE_LIMIT, |text| match text {
        "none" => Ok(None),
        text => numbers::size(text).map(Some),
    })?;
    Ok(given.unwrap_or(Some(DEFAULT_LIMIT)))
}

/// The platform's directory for caches.
pub(crate) fn default_store(io: &Io<'_>) -> Option<Utf8PathBuf> {
    let home = || io.home();
    let caches = if cfg!(target_os = "macos") {
        home()?.join("Library/Caches")
    } else {
        // A relative path is invalid by the XDG specification, and to be ignored.
        match io.variable("XDG_CACHE_HOME").map(Utf8PathBuf::from).filter(|path| path.is_absolute())
        {
            Some(path) => path,
            None => home()?.join(".cache"),
        }
    };
    Some(caches.join("venvtree"))
}

/// Where environments are shared.
pub(crate) fn environments(
    arguments: &EnvironmentsArguments,
    io: &Io<'_>,
) -> Result<Environments, PlaceError> {
    let named = arguments.environments.as_deref();
    let named = named.or_else(|| io.variable(variables::ENVIRONMENTS).map(Utf8Path::new));
    let usual = || default_store(io).map(|directory| directory.join("environments"));
    let place = named.map(|path| io.resolve(path)).or_else(usual);
    Environments::open(place.ok_or(PlaceError::Unknown)?)
}

/// Where the environments are that go with a store: those that are named, or those that lie in it.
pub(crate) fn environments_of(
    store: &StoreArguments,
    arguments: &EnvironmentsArguments,
    io: &Io<'_>,
) -> Result<Option<Environments>, Error> {
    if arguments.environments.is_some() || io.variable(variables::ENVIRONMENTS).is_some() {
        return Ok(Some(environments(arguments, io)?));
    }
    if store.store.is_some() || io.variable(variables::STORE).is_some() {
        return Ok(None);
    }
    Ok(environments(arguments, io).ok())
}

/// The directory where what interpreters say of themselves is remembered.
pub(crate) fn interpreters(io: &Io<'_>) -> Option<Utf8PathBuf> {
    default_store(io).map(|directory| directory.join("interpreters"))
}

/// The caches that a command uses.
pub(crate) fn caches(
    arguments: &CacheArguments,
    function: DigestFunction,
    io: &Io<'_>,
) -> Result<Caches, Error> {
    let local = local(&arguments.store, &arguments.links, io)?;
    let remote = remote(&arguments.remote, function, &local.notes, io)?;
    Ok(Caches { remote, ..local })
}

/// The store of a command that makes no environment.
pub(crate) fn of_store(arguments: &StoreArguments, io: &Io<'_>) -> Result<Caches, Error> {
    let notes = Notes::new();
    Ok(Caches {
        store: store(arguments, &notes, io)?,
        limit: limit(io)?,
        notes,
        ..Caches::default()
    })
}

/// The caches of a command that uses no remote one.
pub(crate) fn local(
    store_arguments: &StoreArguments,
    links: &LinkArguments,
    io: &Io<'_>,
) -> Result<Caches, Error> {
    let link_mode = match links.link_mode {
        Some(mode) => mode,
        None => variables::word(io, variables::LINK_MODE)?.unwrap_or_default(),
    };
    let notes = Notes::new();
    Ok(Caches {
        store: store(store_arguments, &notes, io)?,
        link_mode,
        remote: None,
        limit: limit(io)?,
        notes,
    })
}

/// Whether a remote cache is given.
pub(crate) fn has_remote(arguments: &RemoteArguments, io: &Io<'_>) -> bool {
    url(arguments, io).is_some()
}

fn url(arguments: &RemoteArguments, io: &Io<'_>) -> Option<String> {
    arguments
        .remote_cache
        .clone()
        .or_else(|| io.variable("VENVTREE_REMOTE_CACHE").map(str::to_owned))
}

/// What a variable says may be done with the remote cache.
pub(super) fn mode(io: &Io<'_>) -> Result<Option<RemoteModeArgument>, Error> {
    variables::word(io, "VENVTREE_REMOTE_MODE")
}

/// How long a variable says to wait for an answer.
pub(super) fn timeout(io: &Io<'_>) -> Result<Option<Duration>, Error> {
    variables::parsed(io, "VENVTREE_REMOTE_TIMEOUT", numbers::wait)
}

/// The headers for every request, with names in lower case.
fn headers(arguments: &RemoteArguments, io: &Io<'_>) -> Result<Vec<(String, String)>, Error> {
    let mut headers = Vec::new();
    let variable = "VENVTREE_REMOTE_HEADERS";
    let lines = io
        .variable(variable)
        .into_iter()
        .flat_map(str::lines)
        .filter(|line| !line.is_empty())
        .map(|line| (variable, line));
    let given = arguments.remote_headers.iter().map(|text| ("--remote-header", text.as_str()));
    for (origin, header) in lines.chain(given) {
        // The header may be a secret: messages name only what stands before the sign.
        let Some((name, value)) = header.split_once('=') else {
            return Err(Error::usage(format!("{origin}: found no `=`"))
                .hint("write a header as `NAME=VALUE`"));
        };
        headers.push((name.trim().to_ascii_lowercase(), value.to_owned()));
    }
    Ok(headers)
}

/// The remote cache, where one is given.
pub(crate) fn remote(
    arguments: &RemoteArguments,
    function: DigestFunction,
    notes: &Notes,
    io: &Io<'_>,
) -> Result<Option<Box<dyn RemoteCache>>, Error> {
    let text = |given: &Option<String>, name: &str| {
        given.clone().or_else(|| io.variable(name).map(str::to_owned))
    };
    let path = |given: &Option<Utf8PathBuf>, name: &str| {
        given
            .as_deref()
            .or_else(|| io.variable(name).map(Utf8Path::new))
            .map(|path| io.resolve(path))
    };
    let usage = |message: String, hint: &str| Error::usage(message).hint(hint);
    // What cannot be read is said although there is no cache that it would be for.
    let mode = match arguments.remote_mode {
        Some(mode) => mode,
        None => mode(io)?.unwrap_or_default(),
    };
    let certificate = path(&arguments.tls_client_certificate, "VENVTREE_TLS_CLIENT_CERTIFICATE");
    let key = path(&arguments.tls_client_key, "VENVTREE_TLS_CLIENT_KEY");
    let client = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => {
            return Err(usage(
                "a client's certificate and its key belong together".to_owned(),
                "give both files",
            ));
        }
    };
    let timeout = match arguments.remote_timeout {
        Some(timeout) => timeout,
        None => timeout(io)?.unwrap_or(Duration::from_secs(60)),
    };
    let retries = match arguments.remote_retries {
        Some(retries) => retries,
        None => variables::parsed(io, "VENVTREE_REMOTE_RETRIES", numbers::retries)?.unwrap_or(5),
    };
    let connections = match arguments.remote_connections {
        Some(connections) => Some(connections),
        None => variables::count(io, variables::REMOTE_CONNECTIONS, MOST_CONNECTIONS)?,
    };
    let compression =
        !arguments.no_remote_compression && !variables::flag(io, variables::NO_REMOTE_COMPRESSION)?;
    let Some(url) = url(arguments, io) else {
        return Ok(None);
    };
    let headers = headers(arguments, io)?;
    let settings = Settings {
        url,
        mode: match mode {
            RemoteModeArgument::ReadWrite => Mode::ReadWrite,
            RemoteModeArgument::Read => Mode::Read,
            RemoteModeArgument::Write => Mode::Write,
        },
        instance: text(&arguments.remote_instance_name, "VENVTREE_REMOTE_INSTANCE_NAME")
            .unwrap_or_default(),
        headers,
        helper: path(&arguments.credential_helper, "VENVTREE_CREDENTIAL_HELPER"),
        authorities: path(&arguments.tls_certificate, "VENVTREE_TLS_CERTIFICATE"),
        client,
        variable: authorities_variable(io),
        timeout,
        retries,
        connections: connections.map(usize::from),
        compression,
    };
    remote::connect(settings, function, notes).map(Some)
}

/// The file that a variable names in place of the system's authorities, where nothing else does. What
/// keeps certificates for a whole system reads no variable.
fn authorities_variable(io: &Io<'_>) -> Option<Utf8PathBuf> {
    let named = io.variable("SSL_CERT_FILE").map(|path| io.resolve(Utf8Path::new(path)));
    named.filter(|_| cfg!(target_os = "linux") && io.variable("SSL_CERT_DIR").is_none())
}

/// How files are fetched, as far as it is the same for the remote cache.
#[cfg(feature = "remote")]
pub(super) fn network(
    arguments: &RemoteArguments,
    io: &Io<'_>,
) -> Result<crate::engine::remote::NetworkConfig, Error> {
    use crate::engine::remote::{NetworkConfig, TlsFiles};
    let path = |given: &Option<Utf8PathBuf>, name: &str| {
        let given = given.as_deref().or_else(|| io.variable(name).map(Utf8Path::new));
        given.map(|path| io.resolve(path))
    };
    let timeout = match arguments.remote_timeout {
        Some(timeout) => Some(timeout),
        None => self::timeout(io)?,
    };
    let default = NetworkConfig::default();
    Ok(NetworkConfig {
        credential_helper: path(&arguments.credential_helper, "VENVTREE_CREDENTIAL_HELPER"),
        tls: TlsFiles {
            authorities: path(&arguments.tls_certificate, "VENVTREE_TLS_CERTIFICATE"),
            client: None,
            variable: authorities_variable(io),
        },
        timeout: timeout.unwrap_or(default.timeout),
        ..default
    })
}

/// Says what went less well, and what went over the wire; returns the notes for a report.
pub(crate) fn say(caches: &Caches, io: &mut Io<'_>) -> Vec<String> {
    let notes = say_notes(&caches.notes, io);
    if let Some(summary) = caches.remote.as_ref().and_then(|remote| remote.summary())
        && io.talks
    {
        io.say(&summary);
    }
    notes
}

/// Says what went less well, and returns it.
pub(crate) fn say_notes(notes: &Notes, io: &mut Io<'_>) -> Vec<String> {
    let notes = notes.take();
    for note in &notes {
        io.warn(note);
    }
    notes
}
