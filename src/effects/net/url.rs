//! Addresses of remote caches: `grpc://HOST[:PORT]`, `grpcs://…`, `unix:PATH`,
//! `http://HOST[:PORT][/PATH]`, `https://…`.
//!
//! Effects layer, but pure: text in, value out. A path may be a secret, as a name or password may;
//! so neither what is shown of an address nor any error about one holds more than scheme, host and
//! port.

use std::fmt;
use std::str::FromStr;

use camino::Utf8PathBuf;

use crate::model::explain::{ErrorKind, Explain, Explanation};

/// Where a remote cache is, and what it speaks.
#[derive(Clone, PartialEq, Eq)]
pub enum RemoteUrl {
    /// REAPI over TCP.
    Grpc {
        /// With TLS or without.
        tls: bool,
        /// `HOST:PORT`.
        authority: String,
    },
    /// REAPI over a Unix domain socket.
    Unix {
        /// The socket.
        path: Utf8PathBuf,
    },
    /// Bazel's HTTP cache protocol.
    Http {
        /// With TLS or without.
        tls: bool,
        /// `HOST:PORT`.
        authority: String,
        /// What stands before `/ac/` and `/cas/`: empty, or with a slash at the front and none at
        /// the end.
        prefix: String,
    },
}

/// Why a text is no such address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// No scheme, or one that is not spoken.
    #[error("{} expected grpc://, grpcs://, unix:, http:// or https://", match .scheme {
        Some(scheme) => format!("the address of the remote cache has the scheme `{scheme}`,"),
        None => "the address of the remote cache has no scheme,".to_owned(),
    })]
    Scheme {
        /// The scheme, where it is one.
        scheme: Option<String>,
    },
    /// A name or password would end up in messages.
    #[error("the address of the remote cache holds a user name or password")]
    Credentials,
    /// Something after `?` or `#`.
    #[error(
        "the address of the remote cache holds a `{sign}` with something after it, expected no more than scheme, host, port and path"
    )]
    Query { sign: char },
    /// No host, or one with characters that no host has, or a port that is none.
    #[error("the address of the remote cache has no valid host and port")]
    Host,
    /// A path with characters that belong to no path.
    #[error("the address of the remote cache has a path with the character {character:?}")]
    Character {
        /// The first one.
        character: char,
    },
    /// Something after the host where nothing belongs.
    #[error("the address of the remote cache has a path, which gRPC does not know")]
    Path,
    /// `unix:` and nothing else.
    #[error("the address of the remote cache names no socket, expected unix:PATH")]
    Socket,
}

impl Explain for UrlError {
    fn explain(&self) -> Explanation {
        let usage = ErrorKind::Usage;
        match self {
            Self::Scheme { .. } | Self::Host => {
                usage.hint("for example grpc://localhost:9092 or https://cache.example/prefix")
            }
            Self::Credentials | Self::Query { .. } => usage
                .hint("give a secret by `--remote-header authorization=…` or a credential helper"),
            Self::Character { .. } => {
                usage.hint("write other characters as `%` and two hexadecimal digits")
            }
            Self::Socket => usage.no_hint(),
            Self::Path => {
                usage.hint("if it is an instance name, give it by `--remote-instance-name`")
            }
        }
    }
}

impl RemoteUrl {
    /// The address as a URI without path, as credential helpers get it.
    pub fn origin(&self) -> String {
        match self {
            Self::Grpc { authority, .. } => format!("https://{authority}"),
            Self::Unix { path } => format!("unix:{path}"),
            Self::Http { tls, authority, .. } => {
                format!("{}://{authority}", if *tls { "https" } else { "http" })
            }
        }
    }

    /// What the URLs of an HTTP cache begin with, path included: not for messages.
    pub(in crate::effects) fn for_requests(&self) -> String {
        match self {
            Self::Http { prefix, .. } => format!("{}{prefix}", self.origin()),
            Self::Grpc { .. } | Self::Unix { .. } => self.origin(),
        }
    }

    /// The host's name or number, without the port.
    pub fn host(&self) -> &str {
        match self {
            Self::Grpc { authority, .. } | Self::Http { authority, .. } => {
                let host = authority.rsplit_once(':').map_or(authority.as_str(), |(host, _)| host);
                host.trim_start_matches('[').trim_end_matches(']')
            }
            Self::Unix { .. } => "localhost",
        }
    }
}

impl FromStr for RemoteUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() {
                Err(UrlError::Socket)
            } else {
                Ok(Self::Unix { path: Utf8PathBuf::from(path) })
            };
        }
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::Scheme { scheme: None })?;
        let (grpc, tls) = match scheme.to_ascii_lowercase().as_str() {
            "grpc" => (true, false),
            "grpcs" => (true, true),
            "http" => (false, false),
            "https" => (false, true),
            other => {
                let plain = !other.is_empty()
                    && other.len() <= 12
                    && other.bytes().all(|byte| byte.is_ascii_alphanumeric());
                return Err(UrlError::Scheme { scheme: plain.then(|| other.to_owned()) });
            }
        };
        let (authority, path) = match rest.find(['/', '?', '#']) {
            Some(index) => rest.split_at(index),
            None => (rest, ""),
        };
        if authority.contains('@') {
            return Err(UrlError::Credentials);
        }
        let authority = with_port(authority, if tls { 443 } else { 80 }).ok_or(UrlError::Host)?;
        if let Some(sign) = path.chars().find(|character| matches!(character, '?' | '#')) {
            return Err(UrlError::Query { sign });
        }
        let path = path.trim_end_matches('/');
        if grpc {
            return if path.is_empty() {
                Ok(Self::Grpc { tls, authority })
            } else {
                Err(UrlError::Path)
            };
        }
        let unfit = |character: &char| {
            !character.is_ascii_graphic()
                || matches!(character, '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}')
        };
        match path.chars().find(unfit) {
            Some(character) => Err(UrlError::Character { character }),
            None => Ok(Self::Http { tls, authority, prefix: path.to_owned() }),
        }
    }
}

/// A host with its port, filled in where it is missing; nothing where the text is none. IPv6
/// numbers stand in brackets.
fn with_port(authority: &str, default: u16) -> Option<String> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (number, port) = rest.split_once(']')?;
            number.parse::<std::net::Ipv6Addr>().ok()?;
            (
                &authority[..number.len() + 2],
                if port.is_empty() { None } else { Some(port.strip_prefix(':')?) },
            )
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    if host.is_empty() || !(host.starts_with('[') || host.bytes().all(plain)) {
        return None;
    }
    let port = port.map_or(Some(default), |port| port.parse().ok())?;
    Some(format!("{host}:{port}"))
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grpc { tls, authority } => {
                write!(formatter, "{}://{authority}", if *tls { "grpcs" } else { "grpc" })
            }
            Self::Unix { path } => write!(formatter, "unix:{path}"),
            Self::Http { prefix, .. } => {
                formatter.write_str(&self.origin())?;
                formatter.write_str(if prefix.is_empty() { "" } else { "/…" })
            }
        }
    }
}

impl fmt::Debug for RemoteUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let check = |text: &str, expected: &str| {
            assert_eq!(text.parse::<RemoteUrl>().unwrap().to_string(), expected)
        };
        check("grpc://localhost:8980", "grpc://localhost:8980");
        check("GRPCS://cache.example", "grpcs://cache.example:443");
        check("grpc://[::1]:80/", "grpc://[::1]:80");
        check("unix:/run/cas.sock", "unix:/run/cas.sock");
        check("unix:///run/cas.sock", "unix:/run/cas.sock");
        check("http://h/a/b/", "http://h:80/…");
        check("http://h/", "http://h:80");
        assert_eq!("http://h/a/b/".parse::<RemoteUrl>().unwrap().for_requests(), "http://h:80/a/b");
        assert_eq!("grpc://[::1]:80".parse::<RemoteUrl>().unwrap().host(), "::1");
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "host:80",
            "ftp://host",
            "grpc://",
            "grpc://h:x",
            "grpc://h:99999",
            "grpc://h/instance",
            "http://h/a?b",
            "unix:",
            "http://h st",
        ] {
            assert!(text.parse::<RemoteUrl>().is_err(), "{text}");
        }
    }

    #[test]
    fn no_message_holds_a_secret() {
        let secret = "s3cr3t";
        for text in [
            "https://user:s3cr3t@host",
            "https://s3cr3t@host/x",
            "https://host/x?token=s3cr3t",
            "https://host?token=s3cr3t",
            "https://host#s3cr3t",
            "grpc://host?s3cr3t",
            "grpc://host/s3cr3t",
            "http://ho st/s3cr3t",
            "http://host:s3cr3t",
            "http://host/s3cr3t /x",
            "s3cr3t@host",
            "s3cr3t",
            "s3cr3t_s3cr3t://host",
            "http://host/s3cr3t",
            "https://host:8/a/s3cr3t/b",
        ] {
            let shown = match text.parse::<RemoteUrl>() {
                Ok(url) => format!("{url} {url:?}"),
                Err(error) => format!("{error} {error:?} {:?}", error.hint()),
            };
            assert!(!shown.contains(secret), "{text}: {shown}");
        }
        let check = |text: &str, expected: &str| {
            let error = text.parse::<RemoteUrl>().unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check("https://host/x?token=1", "holds a `?` with something after it");
        check("ftp://host", "has the scheme `ftp`, expected grpc://");
        check("host:80", "has no scheme, expected");
    }
}
