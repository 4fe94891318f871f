//! Where a server sends a request instead: followed only where nothing can be lost by it.
//!
//! Effects layer, but pure. Requests carry secrets in headers of any name, so none goes to another
//! origin (scheme, host and port) than the one that was configured. What is known by its digest may
//! come from elsewhere: without secrets, and never from where everybody on the way could listen if
//! that was not so before.

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
    /// To one that is not reached by HTTPS, from one that is.
    Downgrade(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nowhere => write!(formatter, "without a place to go to"),
            Self::Origin(origin) => {
                write!(formatter, "to another origin, {origin}, which is not followed")
            }
            Self::Downgrade(origin) => {
                write!(formatter, "from https to {origin}, which is not followed")
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

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}:{}", self.scheme, self.host, self.port)
    }
}

/// The URL that a redirect from `from` leads to, within the same origin.
pub(in crate::effects) fn target(from: &str, location: Option<&[u8]>) -> Result<String, Refusal> {
    let (text, here, there) = follow(from, location)?;
    // The rest of the URL may be a secret, and is the server's text.
    if there == here { Ok(text) } else { Err(Refusal::Origin(there.to_string())) }
}

/// The URL that a redirect from `from` leads to, of a request for what is known by its digest; and
/// whether that is within the same origin.
pub(in crate::effects) fn of_download(
    from: &str,
    location: Option<&[u8]>,
) -> Result<(String, bool), Refusal> {
    let (text, here, there) = follow(from, location)?;
    if here.scheme == "https" && there.scheme != "https" {
        return Err(Refusal::Downgrade(there.to_string()));
    }
    Ok((text, there == here))
}

fn follow(from: &str, location: Option<&[u8]>) -> Result<(String, Origin, Origin), Refusal> {
    let location = location
        .and_then(|location| std::str::from_utf8(location).ok())
        .ok_or(Refusal::Nowhere)?
        .trim();
    let from: Uri = from.parse().map_err(|_| Refusal::Nowhere)?;
    let text = absolute(&from, location).ok_or(Refusal::Nowhere)?;
    // Other schemes need not have an authority, without which they are no URL here.
    let scheme = text.split(':').next().unwrap_or_default().to_ascii_lowercase();
    if !matches!(scheme.as_str(), "http" | "https") {
        return Err(Refusal::Origin(scheme + ":"));
    }
    let to: Uri = text.parse().map_err(|_| Refusal::Nowhere)?;
    let here = Origin::of(&from).ok_or(Refusal::Nowhere)?;
    let there = Origin::of(&to).ok_or(Refusal::Nowhere)?;
    if to.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(Refusal::Origin(there.to_string()));
    }
    Ok((text, here, there))
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

    #[test]
    fn downloads_may_come_from_elsewhere_but_not_openly() {
        let check = |from: &str, location: &str, expected: Result<(&str, bool), &str>| {
            let found = of_download(from, Some(location.as_bytes()));
            let found = found.as_ref().map(|(text, same)| (text.as_str(), *same));
            assert_eq!(found.map_err(ToString::to_string), expected.map_err(str::to_owned));
        };
        let index = "https://index.example/x";
        check(index, "https://cdn.example/y?s", Ok(("https://cdn.example/y?s", false)));
        check(index, "/y", Ok(("https://index.example/y", true)));
        check(
            "http://index.example/x",
            "http://cdn.example/y",
            Ok(("http://cdn.example/y", false)),
        );
        let refused = "from https to http://cdn.example:80, which is not followed";
        check(index, "http://cdn.example/y", Err(refused));
        let refused = "to another origin, file:, which is not followed";
        check(index, "file:///etc/passwd", Err(refused));
        let refused = "to another origin, https://cdn.example:443, which is not followed";
        check(index, "https://me:s3cret@cdn.example/", Err(refused));
    }
}
