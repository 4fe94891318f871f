//! From arguments and variables to how wheels come to this machine.

#[cfg(feature = "remote")]
use camino::Utf8Path;
use camino::Utf8PathBuf;
use clap::Args;

use crate::cli::io::Io;
#[cfg(feature = "remote")]
use crate::cli::options::caches;
use crate::cli::options::caches::RemoteArguments;
use crate::cli::options::{numbers, variables};
use crate::engine::Caches;
use crate::engine::fetch::Fetching;
use crate::error::Error;
use crate::model::address::Address;

/// The most files at once.
pub(super) const MOST_CONNECTIONS: u16 = 64;

/// Where wheels with addresses come from.
#[derive(Debug, Args)]
#[command(next_help_heading = "Wheels that are fetched")]
pub struct FetchArguments {
    /// Look for wheels in this directory before anything is fetched; may be given many times.
    #[arg(long, value_name = "DIR")]
    pub(crate) wheels: Vec<Utf8PathBuf>,
    /// Ask TO in place of FROM, beginnings of addresses; may be given many times [variable:
    /// VENVTREE_MIRRORS, one a line].
    #[arg(long = "mirror", value_name = "FROM=TO")]
    mirrors: Vec<String>,
    /// Look wheels up in this index by their hashes, before their own addresses; may be given many
    /// times, and is asked in that order.
    #[arg(long = "index-url", value_name = "URL")]
    indexes: Vec<String>,
    /// Fetch nothing: what is missing is an error [variable: VENVTREE_OFFLINE].
    #[arg(long)]
    offline: bool,
    /// Fetch N wheels at once [default: 8; variable: VENVTREE_CONNECTIONS].
    #[arg(long, value_name = "N", value_parser = |text: &str| numbers::count(text, MOST_CONNECTIONS))]
    connections: Option<u16>,
    /// Fetch no more than SIZE of a wheel whose size nobody says [default: 4GiB; variable:
    /// VENVTREE_WHEEL_LIMIT].
    #[arg(long, value_name = "SIZE", value_parser = numbers::size)]
    wheel_limit: Option<u64>,
}

impl FetchArguments {
    /// An option that was given and says nothing where there is neither a lock nor a spec.
    pub(crate) fn for_a_lock(&self) -> Option<&'static str> {
        match (self.wheels.is_empty(), self.indexes.is_empty()) {
            (false, _) => Some("--wheels"),
            (true, false) => Some("--index-url"),
            (true, true) => None,
        }
    }
}

/// How wheels come to this machine.
pub(crate) fn fetching(
    arguments: &FetchArguments,
    remote: &RemoteArguments,
    kept: &Caches,
    io: &Io<'_>,
) -> Result<Fetching, Error> {
    let folders: Vec<Utf8PathBuf> =
        arguments.wheels.iter().map(|folder| io.resolve(folder)).collect();
    if let Some(folder) = folders.iter().find(|folder| !folder.is_dir()) {
        let message = format!("`{folder}` is no directory, expected one that wheels are in");
        return Err(Error::usage(message).into());
    }
    let given = arguments.mirrors.iter().map(|text| mirror("--mirror", text));
    let of_variable = lines(io, MIRRORS).map(|text| mirror(MIRRORS, text));
    let mirrors = given.chain(of_variable).collect::<Result<Vec<_>, Error>>()?;
    let offline = arguments.offline || variables::flag(io, variables::OFFLINE)?;
    let connections = match arguments.connections {
        Some(connections) => connections,
        None => variables::count(io, variables::CONNECTIONS, MOST_CONNECTIONS)?.unwrap_or(8),
    };
    let limit = match arguments.wheel_limit {
        Some(limit) => Some(limit),
        None => variables::parsed(io, variables::WHEEL_LIMIT, numbers::size)?,
    };
    let indexes = indexes(&arguments.indexes)?;
    let mut fetching = Fetching::new(kept.store.clone(), io.temporary(), kept.notes.clone());
    fetching.folders = folders;
    #[cfg(feature = "remote")]
    if !offline {
        let mut network = caches::network(remote, io)?;
        network.mirrors = mirrors;
        network.connections = usize::from(connections);
        network.limit = limit.unwrap_or(network.limit);
        fetching.network = Some(network);
        fetching.netrc = netrc(io);
        fetching.indexes = indexes;
    }
    #[cfg(not(feature = "remote"))]
    let _ = (remote, mirrors, offline, connections, limit, indexes);
    Ok(fetching)
}

fn lines<'i>(io: &'i Io<'_>, name: &str) -> impl Iterator<Item = &'i str> {
    io.variable(name).into_iter().flat_map(str::lines).filter(|line| !line.trim().is_empty())
}

/// The variable of mirrors, one a line.
const MIRRORS: &str = "VENVTREE_MIRRORS";

/// Reads `FROM=TO`, of an option or a variable. Either may hold a secret, so neither is repeated.
fn mirror(origin: &str, text: &str) -> Result<(Address, Address), Error> {
    let usage = |what: String| {
        Error::usage(format!("{origin}: {what}"))
            .hint("write a mirror as `https://FROM/=https://TO/`")
    };
    // An address may hold a `=` of its own; one that begins another does not.
    let at =
        ["=https://", "=http://", "=file://"].iter().filter_map(|begin| text.find(begin)).min();
    let (from, to) = match at {
        Some(at) => (&text[..at], &text[at + 1..]),
        None if has_other_scheme(text) => {
            let expected = "expected an address of https, http or file after the `=`";
            return Err(usage(format!("found one of another kind, {expected}")));
        }
        None => return Err(usage("found no `=` before an address".to_owned())),
    };
    let read = |text| Address::parse(text).map_err(|error| usage(error.to_string()));
    Ok((read(from)?, read(to)?))
}

/// Whether an address follows a `=`.
fn has_other_scheme(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let is_scheme = |text: &str| !text.is_empty() && text.bytes().all(is_letter);
    let mut after = text.match_indices('=').map(|(at, _)| &text[at + 1..]);
    after.any(|rest| rest.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme)))
}

/// Indexes as pip takes them. None is repeated in an error, since it may hold a secret.
fn indexes(texts: &[String]) -> Result<Vec<Address>, Error> {
    let read = |text: &String| {
        let unfit = |reason: String| {
            Error::usage(format!("--index-url: {reason}"))
                .hint("write `--index-url https://HOST/simple`")
        };
        let address = Address::parse(text).map_err(|error| unfit(error.to_string()))?;
        match address.file() {
            Some(_) => Err(unfit("found a file, expected an address of HTTP".to_owned())),
            None => Ok(address),
        }
    };
    texts.iter().map(read).collect()
}

/// How indexes are asked, for whoever fetches nothing.
#[cfg(feature = "remote")]
pub(crate) fn asking(
    texts: &[String],
    remote: &RemoteArguments,
    io: &Io<'_>,
) -> Result<Fetching, Error> {
    Ok(Fetching::asking(indexes(texts)?, caches::network(remote, io)?, netrc(io)))
}

/// The file of names and passwords, whether it is there or not.
#[cfg(feature = "remote")]
fn netrc(io: &Io<'_>) -> Option<Utf8PathBuf> {
    let named = io.variable("NETRC").filter(|path| !path.is_empty()).map(Utf8Path::new);
    let usual = || io.variable("HOME").map(|home| Utf8Path::new(home).join(".netrc"));
    named.map(|path| io.resolve(path)).or_else(usual)
}
