//! Addresses that a file can be had from: `https://…`, `http://…`, `file:///…`.
//!
//! Model layer: text in, value out. A name, a password, a query or a folder may be a secret. So what
//! is shown of an address is its host and the name of the file; and what is written of it, for
//! others to read, holds no name or password.

use std::fmt;

/// An address.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    scheme: Scheme,
    /// `NAME:PASSWORD`, as written.
    user: Option<String>,
    /// `HOST` or `HOST:PORT`; empty for files.
    authority: String,
    /// From the first slash on, without what follows a `#`.
    path: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Scheme {
    Https,
    Http,
    File,
}

impl Scheme {
    const ALL: [(&'static str, Self); 3] =
        [("https", Self::Https), ("http", Self::Http), ("file", Self::File)];

    fn name(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
            Self::File => "file",
        }
    }
}

/// Why a text is no such address. Nothing of the text is repeated: it may hold secrets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It begins with something else.
    #[error("expected an address that begins with https://, http:// or file://")]
    Scheme,
    /// No host, one with characters that no host has, or a port that is none.
    #[error("found an address without a valid host and port")]
    Host,
    /// A character that has to be written as `%` and two digits.
    #[error(
        "found an address with the character {0:?}, which should be written in percent-encoding"
    )]
    Character(char),
    /// The address of a file names a host, or no absolute path.
    #[error("found the address of a file that is not on this machine, expected file:///PATH")]
    File,
}

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = text.split_once("://").ok_or(AddressError::Scheme)?;
        let scheme = Scheme::ALL
            .iter()
            .find(|(name, _)| scheme.eq_ignore_ascii_case(name))
            .map(|(_, scheme)| *scheme)
            .ok_or(AddressError::Scheme)?;
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let unfit = |character: &char| {
            !character.is_ascii_graphic()
                || matches!(character, '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}')
        };
        if let Some(character) = path.chars().find(unfit) {
            return Err(AddressError::Character(character));
        }
        if scheme == Scheme::File {
            let here = authority.is_empty() || authority.eq_ignore_ascii_case("localhost");
            let absolute = path.starts_with('/') && !path.contains('?');
            return if here && absolute && decoded(path).is_some() {
                let (user, authority) = (None, String::new());
                Ok(Self { scheme, user, authority, path: path.to_owned() })
            } else {
                Err(AddressError::File)
            };
        }
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user).filter(|user| !user.is_empty()), host),
            None => (None, authority),
        };
        if !is_host(host) || user.is_some_and(|user| user.chars().any(|found| unfit(&found))) {
            return Err(AddressError::Host);
        }
        Ok(Self {
            scheme,
            user: user.map(str::to_owned),
            authority: host.to_ascii_lowercase(),
            path: if path.starts_with('/') { path.to_owned() } else { format!("/{path}") },
        })
    }

    /// The whole address but name and password.
    pub fn public(&self) -> String {
        format!("{}://{}{}", self.scheme.name(), self.authority, self.path)
    }

    /// Scheme, host and port; nothing for files.
    pub fn origin(&self) -> Option<String> {
        (self.scheme != Scheme::File)
            .then(|| format!("{}://{}", self.scheme.name(), self.authority))
    }

    /// The host's name or number, without the port.
    pub fn host(&self) -> &str {
        let port = self.authority.rsplit_once(':').filter(|(_, port)| is_port(port));
        port.map_or(self.authority.as_str(), |(host, _)| host)
    }

    /// Name and password.
    pub fn user(&self) -> Option<(String, String)> {
        let (name, password) = match self.user.as_deref()?.split_once(':') {
            Some(parts) => parts,
            None => (self.user.as_deref()?, ""),
        };
        let plain = |text: &str| decoded(text).unwrap_or_else(|| text.to_owned());
        Some((plain(name), plain(password)))
    }

    /// The folder of that name within this one.
    pub fn below(&self, name: &str) -> Self {
        let path = self.path.split('?').next().unwrap_or_default();
        Self { path: format!("{}/{name}/", path.trim_end_matches('/')), ..self.clone() }
    }

    /// With the name and password of another address of the same origin, where it has none.
    pub fn with_user_of(mut self, other: &Self) -> Self {
        if self.user.is_none() && self.origin().is_some() && self.origin() == other.origin() {
            self.user.clone_from(&other.user);
        }
        self
    }

    /// The path of a file on this machine.
    pub fn file(&self) -> Option<String> {
        if self.scheme == Scheme::File { decoded(&self.path) } else { None }
    }

    /// The name of the file that is there: the last part of the path, decoded.
    pub fn file_name(&self) -> Option<String> {
        let path = self.path.split('?').next().unwrap_or_default();
        decoded(path.rsplit('/').next()?).filter(|name| !name.is_empty() && !name.contains('/'))
    }

    /// The address with one beginning in place of another; nothing where it does not begin so.
    pub fn mirrored(&self, from: &Self, to: &Self) -> Option<Self> {
        if (self.scheme, &self.authority) != (from.scheme, &from.authority) {
            return None;
        }
        let rest = self.path.strip_prefix(from.path.trim_end_matches('/'))?;
        if !rest.is_empty() && !rest.starts_with(['/', '?']) {
            return None;
        }
        let path = format!("{}{rest}", to.path.trim_end_matches('/'));
        Some(Self { path, ..to.clone() })
    }
}

/// Host and port, where there is no name and password any more.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((number, port)) if number.parse::<core::net::Ipv6Addr>().is_ok() => (number, port),
        Some(_) => return false,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
    !host.is_empty()
        && host.bytes().all(plain)
        && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// A text with `%` and two digits made the byte that they stand for.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first == b'%' {
            let (digits, after) = after.split_at_checked(2)?;
            let digits = std::str::from_utf8(digits).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = after;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = self.file() {
            return formatter.write_str(&path.escape_debug().to_string());
        }
        let path = self.path.split('?').next().unwrap_or_default();
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let folder = if folder.is_empty() { "" } else { "/…" };
        // A name that is none of a file may be a secret, too.
        let name = if name.ends_with(".whl") { name } else { "…" };
        write!(formatter, "{}://{}{folder}/{name}", self.scheme.name(), self.authority)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown_without_secrets() {
        let check = |text: &str, public: &str, shown: &str, name: Option<&str>| {
            let address = Address::parse(text).unwrap();
            assert_eq!(
                (address.public().as_str(), address.to_string().as_str()),
                (public, shown),
                "{text}"
            );
            assert_eq!(address.file_name().as_deref(), name, "{text}");
        };
        check(
            "https://files.example/a/b/six-1%2B0.whl#sha256=0",
            "https://files.example/a/b/six-1%2B0.whl",
            "https://files.example/…/six-1%2B0.whl",
            Some("six-1+0.whl"),
        );
        check(
            "HTTPS://me:s3cret@Files.example:8443/s3cret/x.whl?token=s3cret",
            "https://files.example:8443/s3cret/x.whl?token=s3cret",
            "https://files.example:8443/…/x.whl",
            Some("x.whl"),
        );
        check(
            "http://[::1]:80/x.whl",
            "http://[::1]:80/x.whl",
            "http://[::1]:80/x.whl",
            Some("x.whl"),
        );
        check("http://h?s3cret", "http://h/?s3cret", "http://h/…", None);
        check("file:///a%20b/x.whl", "file:///a%20b/x.whl", "/a b/x.whl", Some("x.whl"));
        let address = Address::parse("https://me%40x:p%3Aw@h:1/x").unwrap();
        assert_eq!(address.user(), Some(("me@x".to_owned(), "p:w".to_owned())));
        assert_eq!((address.host(), address.origin().as_deref()), ("h", Some("https://h:1")));
        assert_eq!(Address::parse("https://[::1]/x").unwrap().host(), "[::1]");
        let user = |text: &str| Address::parse(text).unwrap().with_user_of(&address).user;
        assert_eq!(user("https://h:1/y").as_deref(), Some("me%40x:p%3Aw"));
        assert_eq!(user("https://you@h:1/y").as_deref(), Some("you"));
        assert_eq!(["http://h:1/y", "https://h/y", "file:///y"].map(user), [None, None, None]);
    }

    #[test]
    fn other_texts_are_refused_without_repeating_them() {
        for text in [
            "",
            "s3cret",
            "ftp://s3cret@h/x",
            "https://",
            "https://s3cret@",
            "https:///s3cret",
            "https://h:s3cret/",
            "https://h/s3cret x",
            "https://h/s3cret\u{7f}",
            "https://s3 cret@h/",
            "file://s3cret/x",
            "file:s3cret",
            "file:///s3cret?x",
            "file:///s3cret%00",
            "file:///%zs3cret",
            "https://[s3cret]/",
            "https://h:99999/s3cret",
        ] {
            let error = Address::parse(text).expect_err(text);
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{text}: {error}");
        }
    }

    #[test]
    fn mirrors_take_the_place_of_beginnings() {
        let check = |from: &str, to: &str, expected: Option<&str>| {
            let read = |text| Address::parse(text).unwrap();
            let found =
                read("https://files.example/packages/a/x.whl").mirrored(&read(from), &read(to));
            assert_eq!(found.map(|found| found.public()).as_deref(), expected, "{from} {to}");
        };
        check("https://files.example", "http://m/p", Some("http://m/p/packages/a/x.whl"));
        check("https://files.example/packages/", "http://m/p/", Some("http://m/p/a/x.whl"));
        check("https://files.example/packages", "file:///srv", Some("file:///srv/a/x.whl"));
        check("https://files.example/pack", "http://m/", None);
        check("http://files.example/", "http://m/", None);
        check("https://files.example:444/", "http://m/", None);
    }
}
