//! Compatibility tags: what a wheel was built for, and what an interpreter accepts.
//!
//! Model layer. A tag is an interpreter, an ABI and a platform (PEP 425). What an interpreter
//! accepts, and in which order of preference, follows PyPI's `packaging` library: PEP 600 for glibc
//! with the three names that came before it, PEP 656 for musl, PEP 384 and PEP 803 for the stable
//! ABIs. Nothing is asked of the machine: the interpreter's recorded facts decide.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::model::every::shown;
use crate::model::explain::{ErrorKind, Explain, Explanation};
use crate::model::interpreter::{Arch, Implementation, Interpreter, Libc, Platform};

/// The newest minor version of Python and of a C library, and the newest major version of macOS,
/// from which tags are counted down. Far above all that exist; a limit is needed because the facts
/// come from a spec, which could hold any number.
const NEWEST: u32 = 200;

/// The last minor version that an earlier major version of glibc is taken to have had; the same
/// guess as `packaging`'s.
const LAST_GLIBC_MINOR: u32 = 50;

/// One compatibility tag, in lower case: `cp311-cp311-manylinux_2_17_x86_64`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag {
    /// The interpreter: `cp311`, `py3`.
    pub interpreter: Box<str>,
    /// The ABI: `cp311`, `abi3`, `none`.
    pub abi: Box<str>,
    /// The platform: `any`, `linux_x86_64`.
    pub platform: Box<str>,
}

impl fmt::Display for Tag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}-{}", self.interpreter, self.abi, self.platform)
    }
}

/// The most tags that a compressed set may stand for; real ones have fewer than fifty.
const TAG_LIMIT: usize = 1000;
/// The most bytes of a set; file names have 255.
const LENGTH_LIMIT: usize = 4096;

/// Why a text is no tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TagError {
    /// There are not three components.
    #[error("the tag `{text}` has {found} parts, expected INTERPRETER-ABI-PLATFORM")]
    Parts {
        /// The text.
        text: String,
        /// The number of parts.
        found: usize,
    },
    /// A component, or one alternative in it, is empty.
    #[error("the tag `{text}` has an empty component")]
    Empty {
        /// The text.
        text: String,
    },
    /// A character that no tag holds.
    #[error(
        "the tag {text:?} holds the character {character:?}, expected ASCII letters, digits and `_`"
    )]
    Character {
        /// The text.
        text: String,
        /// The character.
        character: char,
    },
    /// A compressed set of very many tags.
    #[error("the tag set `{}…` stands for {found} tags, the limit is {TAG_LIMIT}", text.chars().take(60).collect::<String>())]
    TooMany {
        /// The text.
        text: String,
        /// The number of tags.
        found: usize,
    },
    /// A set that is too long: each of its tags would be as long.
    #[error("the tag set `{}…` has {} bytes, the limit is {LENGTH_LIMIT}", text.chars().take(60).collect::<String>(), text.len())]
    TooLong {
        /// The text.
        text: String,
    },
    /// An interpreter that begins with a digit.
    #[error("the tag `{text}` names the interpreter `{interpreter}`, which begins with a digit")]
    Interpreter {
        /// The text.
        text: String,
        /// The component.
        interpreter: String,
    },
}

/// A compressed tag set: `py2.py3-none-any` stands for `py2-none-any` and `py3-none-any`. Rendered
/// as it was written, in lower case.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TagSet {
    text: Box<str>,
}

impl TagSet {
    /// Reads a compressed tag set, or a single tag.
    ///
    /// # Errors
    /// Names the rule that the text breaks.
    pub fn parse(text: &str) -> Result<Self, TagError> {
        let found = text.split('-').count();
        if found != 3 {
            return Err(TagError::Parts { text: text.to_owned(), found });
        }
        if text.split(['-', '.']).any(str::is_empty) {
            return Err(TagError::Empty { text: text.to_owned() });
        }
        let allowed = |character: char| {
            character.is_ascii_alphanumeric() || matches!(character, '_' | '.' | '-')
        };
        if let Some(character) = text.chars().find(|&character| !allowed(character)) {
            return Err(TagError::Character { text: text.to_owned(), character });
        }
        if text.len() > LENGTH_LIMIT {
            return Err(TagError::TooLong { text: text.to_owned() });
        }
        let found = text
            .split('-')
            .map(|component| component.split('.').count())
            .fold(1, usize::saturating_mul);
        if found > TAG_LIMIT {
            return Err(TagError::TooMany { text: text.to_owned(), found });
        }
        let set = Self { text: text.to_ascii_lowercase().into() };
        if let Some(interpreter) = set
            .interpreters()
            .find(|interpreter| interpreter.starts_with(|first: char| first.is_ascii_digit()))
        {
            return Err(TagError::Interpreter {
                text: text.to_owned(),
                interpreter: interpreter.to_owned(),
            });
        }
        Ok(set)
    }

    /// The compressed form.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn component(&self, index: usize) -> impl Iterator<Item = &str> + Clone {
        self.text.split('-').nth(index).expect("parse() counted three parts").split('.')
    }

    /// The interpreters, as written.
    pub fn interpreters(&self) -> impl Iterator<Item = &str> + Clone {
        self.component(0)
    }

    /// The ABIs, as written.
    pub fn abis(&self) -> impl Iterator<Item = &str> + Clone {
        self.component(1)
    }

    /// The platforms, as written.
    pub fn platforms(&self) -> impl Iterator<Item = &str> + Clone {
        self.component(2)
    }

    /// Every tag that the set stands for, sorted, each once.
    pub fn expand(&self) -> BTreeSet<Tag> {
        let mut tags = BTreeSet::new();
        for interpreter in self.interpreters() {
            for abi in self.abis() {
                for platform in self.platforms() {
                    tags.insert(Tag {
                        interpreter: interpreter.into(),
                        abi: abi.into(),
                        platform: platform.into(),
                    });
                }
            }
        }
        tags
    }
}

shown!(TagSet: text);

impl fmt::Debug for TagSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, formatter)
    }
}

/// What an interpreter accepts, made once and asked for each wheel.
///
/// All tags with one interpreter and ABI share the list of platforms, so a question costs a few
/// look-ups, and making this costs one text for each platform and one for each pair, not one for
/// each of the thousand or more tags.
#[derive(Debug, Clone)]
pub struct Tags {
    /// Interpreter and ABI, the most specific first, each combined with every platform.
    pairs: Vec<(Box<str>, Box<str>)>,
    /// The platforms, the most specific first.
    platforms: Vec<Box<str>>,
    /// Where each platform stands in `platforms`.
    positions: BTreeMap<Box<str>, usize>,
    /// Interpreters of `*-none-any`, the most specific first; they come after all others.
    any: Vec<Box<str>>,
    platform: Platform,
}

/// Every tag that the interpreter accepts, the most specific first; a wheel with an earlier tag is
/// the better one.
pub fn supported(interpreter: &Interpreter) -> Vec<Tag> {
    Tags::new(interpreter).iter().collect()
}

impl Tags {
    /// Works out what an interpreter accepts.
    pub fn new(interpreter: &Interpreter) -> Self {
        let version = &interpreter.version;
        let own = interpreter.interpreter_tag();
        let minor = version.minor.min(NEWEST);
        let mut pairs: Vec<(Box<str>, Box<str>)> = Vec::new();
        let mut push = |interpreter: &str, abi: &str| pairs.push((interpreter.into(), abi.into()));
        push(&own, &interpreter.abi);
        match interpreter.implementation {
            Implementation::CPython => {
                if let Some(release) = without_debug(&own, &interpreter.abi) {
                    push(&own, &release);
                }
                // A free-threaded interpreter has a stable ABI of its own and cannot load the
                // other.
                let stable = if interpreter.free_threaded() { "abi3t" } else { "abi3" };
                push(&own, stable);
                push(&own, "none");
                for minor in (2..minor).rev() {
                    push(&format!("cp{}{minor}", version.major), stable);
                }
            }
            Implementation::PyPy => push(&own, "none"),
        }
        let generic: Vec<Box<str>> = std::iter::once(version.minor)
            .map(|minor| format!("py{}{minor}", version.major))
            .chain([format!("py{}", version.major)])
            .chain((0..minor).rev().map(|minor| format!("py{}{minor}", version.major)))
            .map(Into::into)
            .collect();
        for interpreter in &generic {
            push(interpreter, "none");
        }
        // PyPy's wheels without a platform name the language's version only.
        let own_any = match interpreter.implementation {
            Implementation::CPython => own.into(),
            Implementation::PyPy => format!("pp{}", version.major).into(),
        };
        let platforms = platforms(&interpreter.platform);
        let positions = platforms
            .iter()
            .enumerate()
            .map(|(index, platform)| (platform.clone(), index))
            .collect();
        let any = std::iter::once(own_any).chain(generic).collect();
        Self { pairs, platforms, positions, any, platform: interpreter.platform }
    }

    /// Every accepted tag, the most specific first.
    pub fn iter(&self) -> impl Iterator<Item = Tag> {
        let combined = self.pairs.iter().flat_map(|(interpreter, abi)| {
            self.platforms.iter().map(move |platform| Tag {
                interpreter: interpreter.clone(),
                abi: abi.clone(),
                platform: platform.clone(),
            })
        });
        let any = self.any.iter().map(|interpreter| Tag {
            interpreter: interpreter.clone(),
            abi: "none".into(),
            platform: "any".into(),
        });
        combined.chain(any)
    }

    /// The position of a tag in the order of preference: 0 is the most specific one.
    pub fn position(&self, interpreter: &str, abi: &str, platform: &str) -> Option<usize> {
        if platform == "any" {
            let index = (abi == "none")
                .then(|| self.any.iter().position(|own| &**own == interpreter))??;
            return Some(self.pairs.len() * self.platforms.len() + index);
        }
        let platform = *self.positions.get(platform)?;
        let pair = self
            .pairs
            .iter()
            .position(|(own, own_abi)| &**own == interpreter && &**own_abi == abi)?;
        Some(pair * self.platforms.len() + platform)
    }

    /// Whether the interpreter accepts one of the wheel's tags; if so, the best position among
    /// them, where less is better.
    ///
    /// # Errors
    /// No tag is accepted; the error lists both sides.
    pub fn compatible(&self, wheel: &TagSet) -> Result<usize, Incompatible> {
        self.best(wheel).ok_or_else(|| Incompatible {
            wheel: wheel.clone(),
            accepted: self.nearest(),
            mismatch: self.mismatch(wheel),
        })
    }

    /// The best position among a wheel's tags, if one of them is accepted.
    pub fn best(&self, wheel: &TagSet) -> Option<usize> {
        let mut best = None;
        for interpreter in wheel.interpreters() {
            for abi in wheel.abis() {
                for platform in wheel.platforms() {
                    if let Some(position) = self.position(interpreter, abi, platform) {
                        best = Some(best.map_or(position, |best: usize| best.min(position)));
                    }
                }
            }
        }
        best
    }

    /// The best tag that is accepted, and how many there are.
    fn nearest(&self) -> String {
        let count = self.iter().count();
        match self.iter().next() {
            Some(best) => format!("`{best}` (accepts {count} tags)"),
            None => "none that accepts a tag".to_owned(),
        }
    }

    /// What is accepted, in one line: interpreters with their ABIs, then platforms.
    pub fn summary(&self) -> String {
        let mut names: Vec<(&str, Vec<&str>)> = Vec::new();
        for (interpreter, abi) in &self.pairs {
            match names.iter_mut().find(|(name, _)| *name == &**interpreter) {
                Some((_, abis)) => abis.push(abi),
                None => names.push((interpreter, vec![abi])),
            }
        }
        let mut groups: Vec<(&str, &str, Vec<&str>)> = Vec::new();
        for (name, abis) in names {
            match groups.last_mut() {
                Some((_, last, known)) if *known == abis => *last = name,
                _ => groups.push((name, name, abis)),
            }
        }
        let mut parts: Vec<String> = groups
            .into_iter()
            .map(|(first, last, abis)| {
                let names =
                    if first == last { first.to_owned() } else { format!("{first}…{last}") };
                format!("{names}-{}", abis.join("|"))
            })
            .collect();
        let family = match (self.platforms.first(), self.platforms.get(1..)) {
            (Some(first), Some([])) => format!("any, {first}"),
            (Some(first), Some([.., last])) => {
                let newest = if matches!(self.platform, Platform::Linux { .. }) {
                    &self.platforms[1]
                } else {
                    first
                };
                if newest == first {
                    format!("any, {first}…{last}")
                } else {
                    format!("any, {first}, {newest}…{last}")
                }
            }
            _ => "any".to_owned(),
        };
        parts.push(format!("on {family}"));
        parts.join(", ")
    }

    fn mismatch(&self, wheel: &TagSet) -> Mismatch {
        let interpreters =
            || self.pairs.iter().map(|(interpreter, _)| interpreter).chain(&self.any);
        if !wheel.interpreters().any(|wanted| interpreters().any(|own| &**own == wanted)) {
            return Mismatch::Interpreter;
        }
        let pair = |interpreter: &str, abi: &str| {
            self.pairs.iter().any(|(own, own_abi)| &**own == interpreter && &**own_abi == abi)
        };
        if !wheel.interpreters().any(|interpreter| wheel.abis().any(|abi| pair(interpreter, abi))) {
            return Mismatch::Abi;
        }
        Mismatch::Platform
    }
}

/// Which part of a wheel's tags no accepted tag has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mismatch {
    /// No interpreter.
    Interpreter,
    /// An interpreter, but with none of the ABIs.
    Abi,
    /// Interpreter and ABI, but none of the platforms.
    Platform,
}

/// An interpreter accepts none of a wheel's tags.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the wheel is for {}, the interpreter is {accepted}", shorten(wheel))]
pub struct Incompatible {
    /// What the wheel is for.
    pub wheel: TagSet,
    /// The best tag that the interpreter accepts, and how many it accepts.
    pub accepted: String,
    /// The part that does not fit.
    pub mismatch: Mismatch,
}

impl Explain for Incompatible {
    fn explain(&self) -> Explanation {
        ErrorKind::Wheel.hint(match self.mismatch {
            Mismatch::Interpreter => "choose a wheel for this version of this interpreter",
            Mismatch::Abi => {
                "choose a wheel for this ABI: free-threaded, debug and ordinary builds load different ones"
            }
            Mismatch::Platform => {
                "choose a wheel for this platform, or check the platform's architecture and C library in the spec"
            }
        })
    }
}

/// A wheel's tags, shortened where there are many platforms.
fn shorten(tags: &TagSet) -> String {
    let platforms: Vec<&str> = tags.platforms().collect();
    match platforms.as_slice() {
        [first, _, _, ..] => {
            let others = platforms.len() - 1;
            let rest = tags.as_str().strip_suffix(platforms.join(".").as_str()).unwrap_or_default();
            format!("`{rest}{first}` and {others} other platforms")
        }
        _ => format!("`{tags}`"),
    }
}

/// The ABI of the release build, which a debug build can load too: `cp38` of `cp38d`, `cp313t` of
/// `cp313td`.
fn without_debug(own: &str, abi: &str) -> Option<String> {
    let flags = abi.strip_prefix(own)?;
    flags.contains('d').then(|| format!("{own}{}", flags.replace('d', "")))
}

fn platforms(platform: &Platform) -> Vec<Box<str>> {
    let mut tags = Vec::new();
    match *platform {
        Platform::Linux { arch, libc } => {
            let arch_name = arch.name();
            tags.push(format!("linux_{arch_name}"));
            match libc {
                Some(Libc::Glibc(major, minor)) => {
                    manylinux(arch, major.min(NEWEST), minor.min(NEWEST), &mut tags)
                }
                Some(Libc::Musl(major, minor)) => {
                    tags.extend(
                        (0..=minor.min(NEWEST))
                            .rev()
                            .map(|minor| format!("musllinux_{major}_{minor}_{arch_name}")),
                    );
                }
                None => {}
            }
        }
        Platform::MacOs { arch, version } => macos(arch, version, &mut tags),
        Platform::Windows { arch } => tags.push(
            match arch {
                Arch::X86_64 => "win_amd64",
                Arch::I686 => "win32",
                Arch::Aarch64 => "win_arm64",
                other => return vec![format!("win_{}", other.name()).into()],
            }
            .to_owned(),
        ),
    }
    tags.into_iter().map(Into::into).collect()
}

fn manylinux(arch: Arch, major: u32, minor: u32, tags: &mut Vec<String>) {
    let arch_name = arch.name();
    // CentOS 5 with glibc 2.5 existed for x86 only; for other architectures CentOS 7 with 2.17 was
    // the first.
    let oldest = if matches!(arch, Arch::X86_64 | Arch::I686) { 5 } else { 17 };
    let newest = std::iter::once((major, minor))
        .chain((2..major).rev().map(|earlier| (earlier, LAST_GLIBC_MINOR)));
    for (major, newest) in newest {
        let oldest = if major == 2 { oldest } else { 0 };
        for minor in (oldest..=newest).rev() {
            tags.push(format!("manylinux_{major}_{minor}_{arch_name}"));
            let legacy = match (major, minor) {
                (2, 17) => "manylinux2014",
                (2, 12) => "manylinux2010",
                (2, 5) => "manylinux1",
                _ => continue,
            };
            tags.push(format!("{legacy}_{arch_name}"));
        }
    }
}

fn macos(arch: Arch, (major, minor): (u32, u32), tags: &mut Vec<String>) {
    let formats: &[&str] = match arch {
        Arch::X86_64 => &["x86_64", "intel", "fat64", "fat3", "universal2", "universal"],
        Arch::Aarch64 => &["arm64", "universal2"],
        Arch::I686 => &["i386", "intel", "fat3", "fat", "universal"],
        _ => &[],
    };
    let mut push = |major: u32, minor: u32, formats: &[&str]| {
        // Intel binaries began with 10.4.
        if arch == Arch::Aarch64 || (major, minor) >= (10, 4) {
            tags.extend(formats.iter().map(|format| format!("macosx_{major}_{minor}_{format}")));
        }
    };
    if major == 10 {
        for minor in (0..=minor.min(NEWEST)).rev() {
            push(10, minor, formats);
        }
    } else if major > 10 {
        for major in (11..=major.min(NEWEST)).rev() {
            push(major, 0, formats);
        }
        // What was built for 10.x runs on later Intel systems; on others only the Intel half of a
        // universal2 binary is that old.
        let older = if arch == Arch::X86_64 { formats } else { &["universal2"] };
        for minor in (4..=16).rev() {
            push(10, minor, older);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::name::PythonVersion;

    fn interpreter(version: &str, abi: &str, platform: Platform) -> Interpreter {
        let implementation =
            if abi.starts_with("pypy") { Implementation::PyPy } else { Implementation::CPython };
        Interpreter {
            implementation,
            version: PythonVersion::parse(version).unwrap(),
            abi: abi.into(),
            platform,
        }
    }

    const DEBIAN: Platform = Platform::Linux { arch: Arch::X86_64, libc: Some(Libc::Glibc(2, 36)) };

    #[test]
    fn wheels_fit_interpreters() {
        let check = |version: &str,
                     abi: &str,
                     platform: Platform,
                     wheel: &str,
                     expected: Result<(), Mismatch>| {
            let found = Tags::new(&interpreter(version, abi, platform))
                .compatible(&TagSet::parse(wheel).unwrap());
            assert_eq!(
                found.map(|_| ()).map_err(|error| error.mismatch),
                expected,
                "{version} {abi} {platform}: {wheel}"
            );
        };
        let arm = |libc| Platform::Linux { arch: Arch::Aarch64, libc };
        let fits = Ok(());
        let debian = |wheel: &str, expected| check("3.11.7", "cp311", DEBIAN, wheel, expected);
        let pypy = |wheel: &str, expected| check("3.11.9", "pypy311_pp73", DEBIAN, wheel, expected);
        let threaded = |wheel: &str, expected| check("3.13.0", "cp313t", DEBIAN, wheel, expected);
        let newer =
            |platform, wheel: &str, expected| check("3.12.1", "cp312", platform, wheel, expected);
        debian("py3-none-any", fits);
        debian("py2.py3-none-any", fits);
        debian("py2-none-any", Err(Mismatch::Interpreter));
        check(
            "3.11",
            "cp311",
            DEBIAN,
            "cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64",
            fits,
        );
        debian("cp311-cp311-manylinux1_x86_64", fits);
        debian("cp311-cp311-manylinux_2_38_x86_64", Err(Mismatch::Platform));
        debian("cp311-cp311-musllinux_1_1_x86_64", Err(Mismatch::Platform));
        debian("cp37-abi3-linux_x86_64", fits);
        debian("cp312-abi3-linux_x86_64", Err(Mismatch::Interpreter));
        debian("cp311-abi3-any", Err(Mismatch::Platform));
        debian("cp310-cp310-linux_x86_64", Err(Mismatch::Abi));
        threaded("cp313-cp313t-linux_x86_64", fits);
        threaded("cp313-cp313-linux_x86_64", Err(Mismatch::Abi));
        threaded("cp39-abi3-linux_x86_64", Err(Mismatch::Abi));
        check("3.15.0", "cp315t", DEBIAN, "cp315-abi3.abi3t-linux_x86_64", fits);
        check("3.15.0", "cp315", DEBIAN, "cp315-abi3t-linux_x86_64", Err(Mismatch::Abi));
        check("3.8.1", "cp38d", DEBIAN, "cp38-cp38-linux_x86_64", fits);
        pypy("pp311-pypy311_pp73-manylinux_2_28_x86_64", fits);
        pypy("pp3-none-any", fits);
        pypy("cp311-abi3-linux_x86_64", Err(Mismatch::Interpreter));
        newer(arm(Some(Libc::Musl(1, 2))), "cp312-cp312-musllinux_1_1_aarch64", fits);
        newer(arm(None), "cp312-cp312-musllinux_1_1_aarch64", Err(Mismatch::Platform));
        newer(arm(Some(Libc::Glibc(2, 17))), "cp312-cp312-manylinux2014_aarch64", fits);
        newer(Platform::Windows { arch: Arch::X86_64 }, "cp312-cp312-win_amd64", fits);
        newer(
            Platform::Windows { arch: Arch::Aarch64 },
            "cp312-cp312-win_amd64",
            Err(Mismatch::Platform),
        );
        let mac = |arch| Platform::MacOs { arch, version: (14, 0) };
        newer(mac(Arch::Aarch64), "cp312-cp312-macosx_10_9_universal2", fits);
        newer(mac(Arch::Aarch64), "cp312-cp312-macosx_11_0_arm64", fits);
        newer(mac(Arch::Aarch64), "cp312-cp312-macosx_15_0_arm64", Err(Mismatch::Platform));
        newer(mac(Arch::X86_64), "cp312-cp312-macosx_10_9_x86_64", fits);
    }

    #[test]
    fn the_error_names_both_sides() {
        let tags = Tags::new(&interpreter("3.11.7", "cp311", DEBIAN));
        let error = tags
            .compatible(&TagSet::parse("cp312-cp312-manylinux_2_38_aarch64").unwrap())
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the wheel is for `cp312-cp312-manylinux_2_38_aarch64`, the interpreter is `cp311-cp311-linux_x86_64` (accepts 914 tags)"
        );
        let check = |abi: &str, platform: Platform, expected: &str| {
            assert_eq!(Tags::new(&interpreter("3.13.0", abi, platform)).summary(), expected);
        };
        check(
            "cp313t",
            Platform::Windows { arch: Arch::X86_64 },
            "cp313-cp313t|abi3t|none, cp312…cp32-abi3t, py313…py30-none, on any, win_amd64",
        );
        check(
            "cp313",
            Platform::MacOs { arch: Arch::Aarch64, version: (11, 0) },
            "cp313-cp313|abi3|none, cp312…cp32-abi3, py313…py30-none, on any, macosx_11_0_arm64…macosx_10_4_universal2",
        );
        check(
            "cp313",
            Platform::Linux { arch: Arch::Aarch64, libc: None },
            "cp313-cp313|abi3|none, cp312…cp32-abi3, py313…py30-none, on any, linux_aarch64",
        );
    }

    #[test]
    fn positions_are_those_of_the_list() {
        for (version, abi) in
            [("3.11.7", "cp311"), ("3.13.0", "cp313td"), ("3.11.9", "pypy311_pp73")]
        {
            let interpreter = interpreter(version, abi, DEBIAN);
            let tags = Tags::new(&interpreter);
            for (index, tag) in supported(&interpreter).iter().enumerate() {
                assert_eq!(
                    tags.position(&tag.interpreter, &tag.abi, &tag.platform),
                    Some(index),
                    "{tag}"
                );
            }
        }
    }

    #[test]
    fn the_best_of_several_tags_counts() {
        let tags = Tags::new(&interpreter("3.11.7", "cp311", DEBIAN));
        let position = |text: &str| tags.compatible(&TagSet::parse(text).unwrap()).unwrap();
        assert_eq!(position("cp311-cp311-linux_x86_64"), 0);
        assert_eq!(position("py3.cp311-none.cp311-any.linux_x86_64"), 0);
        assert!(position("cp311-cp311-manylinux1_x86_64") < position("cp311-abi3-linux_x86_64"));
        assert!(position("py3-none-linux_x86_64") < position("cp311-none-any"));
    }

    #[test]
    fn absurd_facts_do_not_make_absurd_lists() {
        for platform in [
            Platform::Linux { arch: Arch::X86_64, libc: Some(Libc::Glibc(u32::MAX, u32::MAX)) },
            Platform::Linux { arch: Arch::X86_64, libc: Some(Libc::Musl(u32::MAX, u32::MAX)) },
            Platform::MacOs { arch: Arch::X86_64, version: (u32::MAX, u32::MAX) },
            Platform::MacOs { arch: Arch::X86_64, version: (10, u32::MAX) },
        ] {
            assert!(platforms(&platform).len() < 20_000);
        }
        assert!(supported(&interpreter("3.4294967295", "cp34294967295", DEBIAN)).len() < 40_000);
    }

    #[test]
    fn texts_that_are_no_tags_are_refused() {
        for text in [
            "",
            "py3",
            "py3-none",
            "py3-none-any-x",
            "py3.-none-any",
            "-none-any",
            "py3-none-ä",
            "3py-none-any",
            "py3-no ne-any",
        ] {
            assert!(TagSet::parse(text).is_err(), "{text}");
        }
        let many = |count: usize| format!("{}-none-any", vec!["a"; count].join("."));
        assert!(TagSet::parse(&many(1000)).is_ok());
        assert!(matches!(TagSet::parse(&many(1001)), Err(TagError::TooMany { found: 1001, .. })));
        let long = |length: usize| format!("{}-none-any", "a".repeat(length));
        assert!(TagSet::parse(&long(LENGTH_LIMIT - "-none-any".len())).is_ok());
        assert!(matches!(TagSet::parse(&long(LENGTH_LIMIT)), Err(TagError::TooLong { .. })));
        assert_eq!(TagSet::parse("CP311-none-win_AMD64").unwrap().as_str(), "cp311-none-win_amd64");
        assert_eq!(TagSet::parse("py2.py3.py3-none-any").unwrap().expand().len(), 2);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*") {
            if let Ok(set) = TagSet::parse(&text) {
                prop_assert_eq!(TagSet::parse(set.as_str()), Ok(set.clone()));
                prop_assert!(!set.expand().is_empty());
            }
        }

        #[test]
        fn a_tag_set_is_read_as_it_is_rendered(text in "[a-z][a-z0-9_]{0,4}(\\.[a-z][a-z0-9_]{0,4}){0,3}-[a-z0-9_]{1,4}(\\.[a-z0-9_]{1,4}){0,3}-[a-z0-9_]{1,9}") {
            prop_assert_eq!(TagSet::parse(&text).unwrap().to_string(), text);
        }
    }
}
