//! Where an HTTP cache sends a request instead: followed only where nothing can be lost by it.
//!
//! Effects layer, but pure. Requests carry secrets in headers of any name, so none goes to another
//! origin (scheme, host and port) than the one that was configured.

use std::fmt;

use ureq::http::Uri;

/// The most redirects that one request follows.
pub(in crate::effects) const LIMIT: usize = 5;

/// Why a redirect is not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::effects) enum Refusal {
    /// The answer does not say where to, or not as a URL.
    Nowhere,
    /// To another origin.
    Origin(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nowhere => write!(formatter, "without a place to go to"),
            Self::Origin(origin) => {
                write!(formatter, "to another origin, {origin}, which is not followed")
            }
        }
    }
}

/// The scheme, host and port of a URL.
#[derive(Debug, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    port: u16,
}

impl Origin {
    fn of(uri: &Uri) -> Option<Self> {
        let scheme = uri.scheme_str()?.to_ascii_lowercase();
        let port = match (uri.port_u16(), scheme.as_str()) {
            (Some(port), _) => port,
            (None, "http") => 80,
            (None, "https") => 443,
            (None, _) => return None,
        };
        Some(Self { scheme, host: uri.host()?.to_ascii_lowercase(), port })
    }
}

/// The URL that a redirect from `from` leads to.
pub(in crate::effects) fn target(from: &str, location: Option<&[u8]>) -> Result<String, Refusal> {
    let location = location
        .and_then(|location| std::str::from_utf8(location).ok())
        .ok_or(Refusal::Nowhere)?
        .trim();
    let from: Uri = from.parse().map_err(|_| Refusal::Nowhere)?;
    let text = absolute(&from, location).ok_or(Refusal::Nowhere)?;
    let to: Uri = text.parse().map_err(|_| Refusal::Nowhere)?;
    let here = Origin::of(&from).ok_or(Refusal::Nowhere)?;
    match Origin::of(&to) {
        Some(there)
            if there == here
                && !to.authority().is_some_and(|authority| authority.as_str().contains('@')) =>
        {
            Ok(text)
        }
        // The rest of the URL may be a secret, and is the server's text.
        Some(there) => {
            Err(Refusal::Origin(format!("{}://{}:{}", there.scheme, there.host, there.port)))
        }
        None => Err(Refusal::Origin(to.scheme_str().unwrap_or("unknown").to_owned() + ":")),
    }
}

/// A reference made absolute, as far as RFC 3986 is needed here.
fn absolute(from: &Uri, location: &str) -> Option<String> {
    let (scheme, authority) = (from.scheme_str()?, from.authority()?);
    let location = location.split('#').next().unwrap_or_default();
    if location.is_empty() {
        return None;
    }
    if location.starts_with("//") {
        return Some(format!("{scheme}:{location}"));
    }
    if location.starts_with('/') {
        return Some(format!("{scheme}://{authority}{location}"));
    }
    let has_scheme = location.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
    });
    if has_scheme {
        return Some(location.to_owned());
    }
    let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    Some(format!("{scheme}://{authority}{folder}/{location}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_origin_is_followed() {
        let check = |location: &str, expected: Result<&str, &str>| {
            let found = target("https://cache.example:443/a/cas/x", Some(location.as_bytes()));
            assert_eq!(
                found.as_deref().map_err(ToString::to_string),
                expected.map_err(str::to_owned),
                "{location}"
            );
        };
        check("/b", Ok("https://cache.example:443/b"));
        check("y", Ok("https://cache.example:443/a/cas/y"));
        check("https://CACHE.example/b?x", Ok("https://CACHE.example/b?x"));
        check("//cache.example/b", Ok("https://cache.example/b"));
        let other = |origin: &str| format!("to another origin, {origin}, which is not followed");
        check("http://cache.example/b", Err(&other("http://cache.example:80")));
        check("https://cache.example:444/b", Err(&other("https://cache.example:444")));
        check("https://evil.example/secret", Err(&other("https://evil.example:443")));
        check("//evil.example/secret", Err(&other("https://evil.example:443")));
        check("https://cache.example@evil.example/", Err(&other("https://evil.example:443")));
        check("https://evil@cache.example/", Err(&other("https://cache.example:443")));
        for location in [
            "",
            "#x",
            "http://",
            "https://a b/",
            "file:///etc/passwd",
            "ftp://x/",
            "javascript:alert(1)",
            "\u{1b}[31m",
        ] {
            assert!(
                target("https://cache.example/x", Some(location.as_bytes())).is_err(),
                "{location:?}"
            );
        }
        assert_eq!(target("https://cache.example/x", None), Err(Refusal::Nowhere));
        assert_eq!(target("https://cache.example/x", Some(b"\xff")), Err(Refusal::Nowhere));
    }
}
