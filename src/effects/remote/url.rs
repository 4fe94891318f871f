//! Addresses of remote caches: `grpc://HOST[:PORT]`, `grpcs://…`, `unix:PATH`, `http://HOST[:PORT][/PATH]`, `https://…`.
//!
//! Effects layer, but pure: text in, value out.

use std::fmt;
use std::str::FromStr;

use camino::Utf8PathBuf;

/// Where a remote cache is, and what it speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
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
        /// What stands before `/ac/` and `/cas/`: empty, or with a slash at the front and none at the end.
        prefix: String,
    },
}

/// Why a text is no such address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// No scheme, or one that is not spoken.
    #[error("`{text}` is no address of a remote cache: expected grpc://, grpcs://, unix:, http:// or https://")]
    Scheme {
        /// The text.
        text: String,
    },
    /// A name or password would end up in messages.
    #[error("the address of the remote cache holds a user name or password")]
    Credentials,
    /// No host, or one with characters that no host has.
    #[error("`{text}` has no valid host")]
    Host {
        /// The text.
        text: String,
    },
    /// Something after the host where nothing belongs.
    #[error("`{text}` has a path, which gRPC does not know")]
    Path {
        /// The text.
        text: String,
    },
}

impl UrlError {
    /// What to try.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Scheme { .. } => Some("for example grpc://localhost:9092 or https://cache.example/prefix"),
            Self::Credentials => Some("give them by `--remote-header authorization=…` or a credential helper"),
            Self::Host { .. } => None,
            Self::Path { .. } => Some("if it is an instance name, give it by `--remote-instance-name`"),
        }
    }
}

impl RemoteUrl {
    /// The address as a URI without path, as credential helpers get it.
    pub fn origin(&self) -> String {
        match self {
            Self::Grpc { authority, .. } => format!("https://{authority}"),
            Self::Unix { path } => format!("unix:{path}"),
            Self::Http { tls, authority, .. } => format!("{}://{authority}", if *tls { "https" } else { "http" }),
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
            if path.is_empty() {
                return Err(UrlError::Host { text: text.to_owned() });
            }
            return Ok(Self::Unix { path: Utf8PathBuf::from(path) });
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(|| UrlError::Scheme { text: text.to_owned() })?;
        let (authority, path) = match rest.find('/') {
            Some(index) => (&rest[..index], rest[index..].trim_end_matches('/')),
            None => (rest, ""),
        };
        let (grpc, tls) = match scheme.to_ascii_lowercase().as_str() {
            "grpc" => (true, false),
            "grpcs" => (true, true),
            "http" => (false, false),
            "https" => (false, true),
            _ => return Err(UrlError::Scheme { text: text.to_owned() }),
        };
        if authority.contains('@') {
            return Err(UrlError::Credentials);
        }
        let authority = with_port(authority, if tls { 443 } else { 80 }).ok_or_else(|| UrlError::Host { text: text.to_owned() })?;
        if grpc {
            return if path.is_empty() { Ok(Self::Grpc { tls, authority }) } else { Err(UrlError::Path { text: text.to_owned() }) };
        }
        let plain = |character: char| character.is_ascii_graphic() && !matches!(character, '?' | '#');
        if !path.chars().all(plain) {
            return Err(UrlError::Host { text: text.to_owned() });
        }
        Ok(Self::Http { tls, authority, prefix: path.to_owned() })
    }
}

/// A host with its port, filled in where it is missing; nothing where the text is none. IPv6 numbers stand in brackets.
fn with_port(authority: &str, default: u16) -> Option<String> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (number, port) = rest.split_once(']')?;
            number.parse::<std::net::Ipv6Addr>().ok()?;
            (&authority[..number.len() + 2], if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
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
            Self::Grpc { tls, authority } => write!(formatter, "{}://{authority}", if *tls { "grpcs" } else { "grpc" }),
            Self::Unix { path } => write!(formatter, "unix:{path}"),
            Self::Http { tls, authority, prefix } => write!(formatter, "{}://{authority}{prefix}", if *tls { "https" } else { "http" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let check = |text: &str, expected: &str| assert_eq!(text.parse::<RemoteUrl>().unwrap().to_string(), expected);
        check("grpc://localhost:8980", "grpc://localhost:8980");
        check("GRPCS://cache.example", "grpcs://cache.example:443");
        check("grpc://[::1]:80/", "grpc://[::1]:80");
        check("unix:/run/cas.sock", "unix:/run/cas.sock");
        check("unix:///run/cas.sock", "unix:/run/cas.sock");
        check("http://h/a/b/", "http://h:80/a/b");
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
        let error = "https://user:secret@host".parse::<RemoteUrl>().unwrap_err();
        assert!(!error.to_string().contains("secret"));
    }
}
