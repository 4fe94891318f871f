//! A `pylock.toml` of requirements with hashes, and of what indexes say of their files.
//!
//! Model layer. Requirements know files by their hashes only; an index says where those are, and how large. A page of an
//! index is JSON (PEP 691) or HTML (PEP 503). Nothing is chosen: each hash becomes one file, or is a problem.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::str::FromStr as _;

use serde::Deserialize;

use crate::model::digest::Hash;
use crate::model::lock::document::{last_component, public};
use crate::model::lock::problem::{LockError, Problem};
use crate::model::lock::{Artifact, Lock, LockKind, Package};
use crate::model::name::{DistName, Version};
use crate::model::requirements::parse_specifiers;
use crate::model::wheel::filename::WheelFilename;

/// What is asked for: JSON where there is any, since only that has sizes.
pub const ACCEPT: &str = "application/vnd.pypi.simple.v1+json, \
     application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1";

/// A file that an index has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Where it is, without names and passwords.
    pub url: String,
    /// What it is called.
    pub file_name: String,
    /// Its SHA-256.
    pub sha256: Hash,
    /// Its bytes, where the index says so.
    pub size: Option<u64>,
    /// The Pythons that it is for, where the index says so.
    pub requires_python: Option<String>,
}

/// Why a page of an index cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// It is no JSON of this kind.
    #[error("its JSON cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// It is of a version that is not known.
    #[error("its API version is {0}, expected 1")]
    Version(String),
    /// It is no text.
    #[error("is neither JSON nor HTML")]
    Foreign,
}

#[derive(Deserialize)]
struct Page {
    meta: Meta,
    files: Vec<PageFile>,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(rename = "api-version")]
    api_version: String,
}

#[derive(Deserialize)]
struct PageFile {
    filename: String,
    url: String,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
    size: Option<u64>,
    #[serde(rename = "requires-python")]
    requires_python: Option<String>,
}

/// Reads the page of a project, which came from `base`: the files that have a SHA-256.
///
/// # Errors
/// It is no such page.
pub fn read_page(content_type: &str, bytes: &[u8], base: &str) -> Result<Vec<Offer>, PageError> {
    let text = std::str::from_utf8(bytes).map_err(|_| PageError::Foreign)?;
    if content_type.contains("json") {
        return read_json(text, base);
    }
    if content_type.contains("html") { Ok(read_html(text, base)) } else { Err(PageError::Foreign) }
}

fn read_json(text: &str, base: &str) -> Result<Vec<Offer>, PageError> {
    let page: Page = serde_json::from_str(text)?;
    let version = page.meta.api_version;
    if version.split('.').next() != Some("1") {
        return Err(PageError::Version(version.chars().take(20).collect()));
    }
    let offer = |file: PageFile| {
        let digits = file.hashes.get("sha256")?.to_ascii_lowercase();
        Some(Offer {
            url: join(base, &file.url)?,
            file_name: file.filename,
            sha256: Hash::parse_hex(&digits).ok()?,
            size: file.size,
            requires_python: file.requires_python.filter(|text| !text.is_empty()),
        })
    };
    Ok(page.files.into_iter().filter_map(offer).collect())
}

fn read_html(text: &str, base: &str) -> Vec<Offer> {
    let mut base = base.to_owned();
    let mut offers = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once('<') {
        rest = after;
        let name = after.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(after.len());
        let element = &after[..name];
        if !element.eq_ignore_ascii_case("a") && !element.eq_ignore_ascii_case("base") {
            continue;
        }
        let (attributes, end) = attributes(&after[name..]);
        rest = end;
        let Some(href) = attributes.get("href") else {
            continue;
        };
        if element.eq_ignore_ascii_case("base") {
            base = join(&base, href).unwrap_or(base);
            continue;
        }
        let (address, fragment) = href.split_once('#').unwrap_or((href, ""));
        let digits = fragment.split('&').find_map(|part| part.strip_prefix("sha256="));
        let hash = digits.and_then(|digits| Hash::parse_hex(&digits.to_ascii_lowercase()).ok());
        if let Some((url, sha256)) = join(&base, address).zip(hash) {
            let file_name = last_component(&url, true);
            let requires_python = attributes.get("data-requires-python").cloned();
            offers.push(Offer { url, file_name, sha256, size: None, requires_python });
        }
    }
    offers
}

/// The attributes of an element, and what comes after it.
fn attributes(text: &str) -> (BTreeMap<String, String>, &str) {
    let mut found = BTreeMap::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        let end = rest
            .find(|c: char| c.is_ascii_whitespace() || matches!(c, '=' | '>'))
            .unwrap_or(rest.len());
        let name = rest[..end].to_ascii_lowercase();
        rest = rest[end..].trim_start();
        let Some(after) = rest.strip_prefix('=') else {
            if let Some(after) = rest.strip_prefix('>') {
                return (found, after);
            }
            if rest.is_empty() {
                return (found, rest);
            }
            continue;
        };
        let after = after.trim_start();
        let (value, after) = match after.chars().next() {
            Some(quote @ ('"' | '\'')) => after[1..].split_once(quote).unwrap_or((after, "")),
            _ => after.split_at(
                after.find(|c: char| c.is_ascii_whitespace() || c == '>').unwrap_or(after.len()),
            ),
        };
        found.entry(name).or_insert_with(|| unescape(value));
        rest = after;
    }
}

fn unescape(text: &str) -> String {
    let replaced = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    replaced
        .replace("&#39;", "'")
        .replace("&#x27;", "'")
        .replace("&#x3D;", "=")
        .replace("&amp;", "&")
}

/// A reference made absolute, without names and passwords; nothing where it is none of HTTP.
fn join(base: &str, reference: &str) -> Option<String> {
    let (scheme, after) = base.split_once("://")?;
    let path = after.find('/').unwrap_or(after.len());
    let (host, path) = after.split_at(path);
    let reference = reference.split('#').next().unwrap_or_default();
    let joined = if reference.split_once("://").is_some_and(|(scheme, _)| !scheme.contains('/')) {
        reference.to_owned()
    } else if let Some(reference) = reference.strip_prefix("//") {
        format!("{scheme}://{reference}")
    } else {
        let path = path.split('?').next().unwrap_or_default();
        let mut parts: Vec<&str> = Vec::new();
        let (above, reference) = match reference.strip_prefix('/') {
            Some(reference) => ("", reference),
            None => (path.rsplit_once('/').map_or("", |(above, _)| above), reference),
        };
        for part in above.split('/').filter(|part| !part.is_empty()).chain(reference.split('/')) {
            match part {
                "." => {}
                ".." => {
                    parts.pop();
                }
                part => parts.push(part),
            }
        }
        format!("{scheme}://{host}/{}", parts.join("/"))
    };
    let is_http = joined.starts_with("https://") || joined.starts_with("http://");
    (is_http && !joined.contains(|c: char| c.is_control() || c.is_whitespace()))
        .then(|| public(&joined))
}

/// What an index has to say for one project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sought {
    /// Its name.
    pub name: DistName,
    /// The files that have to be found.
    pub hashes: BTreeSet<Hash>,
}

/// What indexes have to be asked for.
///
/// # Errors
/// The lock has addresses, or other hashes than indexes have.
pub fn sought(lock: &Lock) -> Result<Vec<Sought>, LockError> {
    if lock.kind != LockKind::Requirements {
        return Err(LockError::Foreign {
            what: format!("is a {}, which has addresses already", lock.kind.name()),
            hint: Some("requirements with hashes are what can be pinned"),
        });
    }
    let mut found: BTreeMap<&DistName, BTreeSet<Hash>> = BTreeMap::new();
    let mut problems = Vec::new();
    for package in &lock.packages {
        if !package.other_hashes.is_empty() {
            let title = package.title();
            let message = format!("{title} has no SHA-256, by which indexes know files");
            problems.push(problem(package, message));
        } else if package.wheels.is_empty() {
            found.entry(&package.name).or_default().extend(&package.hashes);
        }
    }
    if !problems.is_empty() {
        return Err(LockError::Text(problems));
    }
    let sought = |(name, hashes): (&DistName, _)| Sought { name: name.clone(), hashes };
    Ok(found.into_iter().map(sought).collect())
}

fn problem(package: &Package, message: String) -> Problem {
    Problem { place: package.place, column: false, message }
}

/// A lock with addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pinned {
    /// The text of a `pylock.toml`.
    pub text: String,
    /// The hashes that nobody offers.
    pub missing: Vec<Problem>,
    /// The hashes of other versions.
    pub other: Vec<Problem>,
}

impl Pinned {
    /// Every problem, in the order of the lock.
    pub fn problems(self) -> Vec<Problem> {
        let mut all = [self.missing, self.other].concat();
        all.sort_by_key(|problem| problem.place);
        all
    }
}

/// Gives requirements the addresses of their files. Offers are by the names of their projects; `place` makes paths, which are
/// relative to the requirements, those of the new lock.
pub fn pin(
    lock: &Lock,
    offers: &BTreeMap<DistName, Vec<Offer>>,
    place: impl Fn(&str) -> String,
) -> Pinned {
    let mut text = "lock-version = \"1.0\"\ncreated-by = \"venvtree\"\n".to_owned();
    let (mut other, mut missing) = (Vec::new(), Vec::new());
    for package in &lock.packages {
        let _ = write!(text, "\n[[packages]]\nname = {}\n", quoted(package.name.normalized()));
        if let Some(version) = &package.version {
            let _ = writeln!(text, "version = {}", quoted(version));
        }
        if let Some(marker) = package.marker {
            let _ = writeln!(text, "marker = {}", quoted(lock.markers.text(marker)));
        }
        let mut files: Vec<File<'_>> =
            package.wheels.iter().filter_map(|wheel| File::given(wheel, &place)).collect();
        let offered = offers.get(&package.name).map_or(&[][..], Vec::as_slice);
        for hash in &package.hashes {
            match offered.iter().find(|offer| offer.sha256 == *hash) {
                None => missing.push(problem(
                    package,
                    format!("no index has a file of {} with sha256:{hash}", package.title()),
                )),
                Some(offer) if is_of(package, offer) => files.push(File::offered(offer)),
                Some(offer) => other.push(problem(
                    package,
                    format!("sha256:{hash} is {}, expected {}", offer.file_name, package.title()),
                )),
            }
        }
        files.sort_by_key(|file| file.file_name);
        write_files(&mut text, &files);
    }
    Pinned { text, missing, other }
}

/// A file as the lock will have it.
struct File<'a> {
    file_name: &'a str,
    /// `url` or `path`, and which.
    place: (&'static str, String),
    size: Option<u64>,
    /// The algorithm and the digits.
    hash: (String, String),
    requires_python: Option<&'a str>,
}

impl<'a> File<'a> {
    fn offered(offer: &'a Offer) -> Self {
        Self {
            file_name: &offer.file_name,
            place: ("url", offer.url.clone()),
            size: offer.size,
            hash: ("sha256".to_owned(), offer.sha256.to_hex()),
            requires_python: offer.requires_python.as_deref(),
        }
    }

    /// A wheel of which the requirements say where it is.
    fn given(wheel: &'a Artifact, place: impl Fn(&str) -> String) -> Option<Self> {
        let sha256 = wheel.sha256.map(|hash| ("sha256".to_owned(), hash.to_hex()));
        let place = match (&wheel.url, &wheel.path) {
            (Some(url), _) => ("url", url.clone()),
            (None, path) => ("path", place(path.as_deref()?)),
        };
        Some(Self {
            file_name: &wheel.file_name,
            place,
            size: wheel.size,
            hash: sha256.or_else(|| wheel.other_hash.clone())?,
            requires_python: None,
        })
    }
}

/// Whether a file is one of this package: wheels say so themselves.
fn is_of(package: &Package, offer: &Offer) -> bool {
    if !offer.file_name.ends_with(".whl") {
        return true;
    }
    let version = package.version.as_deref().and_then(|version| Version::from_str(version).ok());
    WheelFilename::parse(&offer.file_name).is_ok_and(|file| {
        let found = Version::from_str(&file.version.to_string()).ok();
        file.name == package.name && found == version
    })
}

fn write_files(text: &mut String, files: &[File<'_>]) {
    let line = |file: &File<'_>| {
        let size = file.size.map(|size| format!(", size = {size}")).unwrap_or_default();
        let (name, (key, place), (algorithm, digits)) =
            (quoted(file.file_name), &file.place, &file.hash);
        let place = quoted(place);
        format!(
            "{{ name = {name}, {key} = {place}{size}, hashes = {{ {algorithm} = \"{digits}\" }} }}"
        )
    };
    // An index has whatever somebody once wrote, and a lock may have only what is understood.
    let is_understood = |python: &&str| parse_specifiers(python).is_ok();
    let pythons: BTreeSet<_> =
        files.iter().map(|file| file.requires_python.filter(is_understood)).collect();
    // What only some files say is not true of the package.
    if let (1, Some(Some(python))) = (pythons.len(), pythons.first()) {
        let _ = writeln!(text, "requires-python = {}", quoted(python));
    }
    let (wheels, others): (Vec<&File<'_>>, Vec<&File<'_>>) =
        files.iter().partition(|file| file.file_name.ends_with(".whl"));
    if let Some(sdist) = others.first() {
        let _ = writeln!(text, "sdist = {}", line(sdist));
    }
    if !wheels.is_empty() {
        text.push_str("wheels = [\n");
        for wheel in wheels {
            let _ = writeln!(text, "    {},", line(wheel));
        }
        text.push_str("]\n");
    }
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            character if character.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(character));
            }
            character => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "https://index.example/simple/six/";

    #[test]
    fn references_are_made_absolute() {
        let check = |reference: &str, expected: Option<&str>| {
            assert_eq!(join(BASE, reference).as_deref(), expected, "{reference}");
        };
        check("six.whl", Some("https://index.example/simple/six/six.whl"));
        check("../../packages/six.whl#x", Some("https://index.example/packages/six.whl"));
        check("../../../../six.whl", Some("https://index.example/six.whl"));
        check("/six.whl?a=b", Some("https://index.example/six.whl?a=b"));
        check("//files.example/six.whl", Some("https://files.example/six.whl"));
        check("http://me:secret@files.example/six.whl", Some("http://files.example/six.whl"));
        check("file:///etc/passwd", None);
        check("a b", None);
    }

    #[test]
    fn pages_are_json_or_html() {
        let (one, two) = (Hash::sha256(b"1"), Hash::sha256(b"2"));
        let json = format!(
            "{{\"meta\": {{\"api-version\": \"1.3\"}}, \"name\": \"six\", \"files\": [\
             {{\"filename\": \"six-1.whl\", \"url\": \"six-1.whl\", \"hashes\": {{\"sha256\": \
             \"{one}\"}}, \"size\": 7, \"requires-python\": \">=3\"}}, {{\"filename\": \"old\", \
             \"url\": \"old\", \"hashes\": {{}}}}]}}"
        );
        let html = format!(
            "<html><BASE href='../'><body><br/><a class=x data-requires-python=\"&gt;=3\" \
             href=\"six%2D1.whl#sha256={one}\">six</a><A HREF=b.whl#sha256={two} >b</a><a href=c>"
        );
        let json = read_page("application/vnd.pypi.simple.v1+json", json.as_bytes(), BASE).unwrap();
        let html = read_page("text/html; charset=utf-8", html.as_bytes(), BASE).unwrap();
        assert_eq!(json.len(), 1);
        assert_eq!((json[0].size, json[0].sha256), (Some(7), one));
        assert_eq!(html.len(), 2);
        assert_eq!(html[0].url, "https://index.example/simple/six%2D1.whl");
        assert_eq!(html[0].file_name, "six-1.whl");
        assert_eq!(html[0].requires_python, json[0].requires_python);
        assert_eq!(
            (html[1].url.as_str(), html[1].sha256),
            ("https://index.example/simple/b.whl", two)
        );
        let wrong = |kind: &str, text: &[u8]| read_page(kind, text, BASE).unwrap_err().to_string();
        assert_eq!(wrong("text/plain", b""), "is neither JSON nor HTML");
        assert_eq!(wrong("text/html", b"\xff"), "is neither JSON nor HTML");
        let two = br#"{"meta": {"api-version": "2.0"}, "files": []}"#;
        assert_eq!(wrong("x/json", two), "its API version is 2.0, expected 1");
    }

    #[test]
    fn damaged_html_ends() {
        for text in
            ["<a", "<a href", "<a href=", "<a href='", "<a href=\"x", "<", "<a =", "<a / = >"]
        {
            assert_eq!(read_html(text, BASE), [], "{text}");
        }
    }

    #[test]
    fn each_hash_becomes_a_file_or_a_problem() {
        let (good, other, gone) = (Hash::sha256(b"1"), Hash::sha256(b"2"), Hash::sha256(b"3"));
        let offer = |file_name: &str, sha256, python: &str| Offer {
            url: format!("https://files.example/{file_name}"),
            file_name: file_name.to_owned(),
            sha256,
            size: Some(3),
            requires_python: Some(python.to_owned()),
        };
        let name = DistName::parse("six").unwrap();
        let offers =
            [("six-1.0-py3-none-any.whl", good, ">=3.8"), ("six-2.0-py3-none-any.whl", other, "3")];
        let offers = offers.map(|(file, hash, python)| offer(file, hash, python)).to_vec();
        let offers = BTreeMap::from([(name.clone(), offers)]);
        let lock = format!("Six==1.0 ; python_version > \"3\" --hash=sha256:{good}\n");
        let lock = Lock::read(&lock).unwrap();
        let hashes = BTreeSet::from([good]);
        assert_eq!(sought(&lock).unwrap(), [Sought { name, hashes }]);
        let pin = |lock: &Lock, offers: &BTreeMap<_, _>| {
            super::pin(lock, offers, |path| format!("in/{path}"))
        };
        let Pinned { text, missing, other: wrong } = pin(&lock, &offers);
        assert_eq!([missing, wrong], [[], []]);
        assert!(text.contains("requires-python = \">=3.8\""), "{text}");
        let again = Lock::read(&text).unwrap();
        assert_eq!((again.kind, again.len()), (LockKind::Pylock, 1));
        assert_eq!(again.packages[0].wheels[0].size, Some(3));
        assert!(sought(&again).is_err());
        let lock = format!("six==1.0 --hash=sha256:{other} --hash=sha256:{gone}\n");
        let lock = Lock::read(&lock).unwrap();
        let message = LockError::Text(pin(&lock, &offers).problems()).to_string();
        assert!(message.contains("six-2.0-py3-none-any.whl, expected six 1.0"), "{message}");
        let lock = format!("six==1.0 --hash=sha256:{good} --hash=sha256:{gone}\n");
        let pinned = pin(&Lock::read(&lock).unwrap(), &offers);
        assert_eq!(pinned.missing.len(), 1);
        assert!(pinned.missing[0].message.contains(&gone.to_hex()), "{:?}", pinned.missing);
        assert_eq!(Lock::read(&pinned.text).unwrap().packages[0].wheels.len(), 1);
        // What somebody once wrote is no reason to refuse the file.
        let two = Lock::read(&format!("six==2.0 --hash=sha256:{other}\n")).unwrap();
        assert!(!pin(&two, &offers).text.contains("requires-python"));
    }

    #[test]
    fn files_that_are_here_stay_where_they_are() {
        let hash = Hash::sha256(b"1");
        let long = "0".repeat(128);
        let lock = format!(
            "./v/a-1-py3-none-any.whl --hash=sha256:{hash}\n\
             b @ https://files.example/b-1-py3-none-any.whl --hash=sha512:{long}\n"
        );
        let lock = Lock::read(&lock).unwrap();
        assert_eq!(sought(&lock), Ok(Vec::new()));
        let Pinned { text, .. } = pin(&lock, &BTreeMap::new(), |path| format!("in/{path}"));
        for expected in [
            format!("path = \"in/./v/a-1-py3-none-any.whl\", hashes = {{ sha256 = \"{hash}\" }}"),
            format!(
                "url = \"https://files.example/b-1-py3-none-any.whl\", hashes = {{ sha512 = \"{long}\" }}"
            ),
        ] {
            assert!(text.contains(&expected), "{text}");
        }
        assert_eq!(Lock::read(&text).unwrap().packages.len(), 2);
    }
}
