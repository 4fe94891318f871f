//! Bytecode: the `.pyc` files that Python runs in place of sources.
//!
//! Model layer. What is here is their header and their name: how they are written, and whether a
//! file can be what running Python left behind. [`marshal`] has what follows the header,
//! [`release`] what distinguishes the versions of Python. Python takes a file of bytecode for that of a source by its header alone and runs
//! it in place of the source. So the header tells what would run: with the time and size of the
//! source that lies there, Python may have written the file after it read that source; with
//! anything else it has not, or would run the file whatever the source says. What a file's code
//! does cannot be told from its header: whoever can write into an environment can write a header
//! that fits as well.

pub mod marshal;

pub(crate) mod modules;

pub mod release;

pub(crate) mod overlay;

use crate::model::bytecode::release::Release;
use crate::model::every::every;

/// The bytes of a header.
pub const HEADER: usize = 16;

/// What is known of the source that a file of bytecode is named after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source<'a> {
    /// Its modification time, in seconds since 1970.
    pub mtime: i64,
    /// Its bytes, or only how many, where the header asks for no more.
    pub content: Content<'a>,
}

/// A source's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content<'a> {
    /// How many bytes.
    Size(u64),
    /// The bytes.
    Bytes(&'a [u8]),
}

/// Why bytecode is not what running Python leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// It is not named after a module.
    Name,
    /// Its source is not there.
    NoSource,
    /// It is no bytecode.
    Garbage,
    /// It is run whatever the source says.
    Unchecked,
    /// It was made of another source.
    OtherSource,
}

impl Foreign {
    /// Why it matters, in words.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Name => {
                "it is not named as Python names bytecode, so running Python did not leave it"
            }
            Self::NoSource => "bytecode without its source: nothing says what it was made of",
            Self::Garbage => "it is no bytecode that a Python writes",
            Self::Unchecked => {
                "bytecode that Python runs in place of its source without comparing them"
            }
            Self::OtherSource => "bytecode of another source than the one that lies there",
        }
    }
}

/// How Python knows whether bytecode is still that of its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Validation {
    /// It does not ask: the source is not even read.
    #[default]
    Unchecked,
    /// By a hash of the source, which it reads.
    Checked,
}

impl Validation {
    /// Every way with its name in specs.
    pub const ALL: [(&'static str, Self); 2] =
        every!(Validation: "unchecked" => Unchecked, "checked" => Checked);

    /// The name in specs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unchecked => "unchecked",
            Self::Checked => "checked",
        }
    }
}

/// How much is left out: nothing, assertions (`-O`), or docstrings as well (`-OO`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Level(u8);

impl Level {
    /// Every level.
    pub const ALL: [Self; 3] = [Self(0), Self(1), Self(2)];

    /// The level of that number, if there is one.
    pub fn new(number: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|level| u64::from(level.0) == number)
    }

    /// Its number.
    pub fn number(self) -> u8 {
        self.0
    }

    /// What names have for it: nothing for the lowest.
    pub(crate) fn suffix(self) -> &'static str {
        ["", ".opt-1", ".opt-2"][usize::from(self.0)]
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Where the bytecode of a source lies, whose path ends in `.py`.
///
/// ```
/// use venvtree::model::bytecode::{Level, cached_path, release::Release};
///
/// let release = Release::of(12).unwrap();
/// let level = Level::new(1).unwrap();
/// assert_eq!(
///     cached_path("pkg/x.py", release, level).unwrap(),
///     "pkg/__pycache__/x.cpython-312.opt-1.pyc"
/// );
/// ```
pub fn cached_path(source: &str, release: Release, level: Level) -> Option<String> {
    let name = source.rfind('/').map_or(0, |slash| slash + 1);
    let stem = source[name..].strip_suffix(".py")?;
    let parts = [&source[..name], "__pycache__/", stem, ".", release.tag(), level.suffix(), ".pyc"];
    Some(parts.concat())
}

/// The header of a source's bytecode. Python finds it valid as long as it has the magic number, and
/// where it is checked, as long as the source has the bytes that are hashed here.
pub fn header(release: Release, validation: Validation, source: &[u8]) -> [u8; HEADER] {
    let magic = release.magic();
    let flags = match validation {
        Validation::Unchecked => 1u32,
        Validation::Checked => 3,
    };
    let hash = siphash(u64::from(u32::from_le_bytes(magic)), source, 1, 3);
    let mut header = [0; HEADER];
    header[..4].copy_from_slice(&magic);
    header[4..8].copy_from_slice(&flags.to_le_bytes());
    header[8..].copy_from_slice(&hash.to_le_bytes());
    header
}

/// How much of a file of bytecode tells whether it begins as one.
pub const BEGINNING: usize = HEADER + 1;

/// Whether a file begins as bytecode of a release does, which Python validates in this way: with
/// such a header, and a code object after it.
pub fn begins(file: &[u8], release: Release, validation: Validation) -> bool {
    let expected = header(release, validation, &[]);
    file.len() >= BEGINNING && file[..8] == expected[..8] && marshal::is_code(file[HEADER])
}

/// The file name of the source that a file in `__pycache__` is named after.
pub fn source_name(name: &str) -> Option<String> {
    let stem = name.strip_suffix(".pyc")?;
    // `module.cpython-312.pyc`, with `.opt-1` or a tool's own tag after that.
    let tag = [".cpython-", ".pypy", ".graalpy"].iter().filter_map(|tag| stem.find(tag)).min()?;
    let digits = stem[tag + 1..].bytes().any(|byte| byte.is_ascii_digit());
    (tag > 0 && digits).then(|| format!("{}.py", &stem[..tag]))
}

/// Whether the header asks for the source's bytes, because it holds their hash.
pub fn is_checked_hash(header: &[u8]) -> bool {
    header.len() >= HEADER && word(header, 4) == 3
}

/// How Python knows whether bytecode with this header is still that of its source; nothing where it
/// goes by the source's time and size, or the header is none.
pub fn validation_of(header: &[u8]) -> Option<Validation> {
    let flags = header.get(4..8)?;
    match u32::from_le_bytes(flags.try_into().expect("four bytes")) {
        1 => Some(Validation::Unchecked),
        3 => Some(Validation::Checked),
        _ => None,
    }
}

/// Whether Python knows by the source's time and size whether this is still its bytecode.
pub fn is_by_time(header: &[u8]) -> bool {
    header.len() >= HEADER && word(header, 4) == 0
}

fn word(header: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes"))
}

/// Compares a header with the source.
///
/// # Errors
/// It is not the header of what running Python leaves behind.
pub fn judge(header: &[u8], source: Source<'_>) -> Result<(), Foreign> {
    // Every magic number ends so, that a copy which changed line feeds is noticed. CPython's begin
    // at 3000 since Python 3, PyPy's are small.
    if header.len() < HEADER || header[2..4] != *b"\r\n" || header[..2] == [0, 0] {
        return Err(Foreign::Garbage);
    }
    let fits = match word(header, 4) {
        0 => {
            let size = match source.content {
                Content::Size(size) => size,
                Content::Bytes(bytes) => bytes.len() as u64,
            };
            // Python compares the lowest 32 bits.
            let low = |number: u64| (number & 0xffff_ffff) as u32;
            word(header, 8) == low(source.mtime.cast_unsigned()) && word(header, 12) == low(size)
        }
        1 => return Err(Foreign::Unchecked),
        3 => {
            let Content::Bytes(bytes) = source.content else {
                return Err(Foreign::OtherSource);
            };
            let key = u64::from(word(header, 0));
            // Python 3.11 took another number of rounds.
            [1, 2].iter().any(|rounds| {
                siphash(key, bytes, *rounds, if *rounds == 1 { 3 } else { 4 }).to_le_bytes()
                    == header[8..16]
            })
        }
        _ => return Err(Foreign::Garbage),
    };
    if fits { Ok(()) } else { Err(Foreign::OtherSource) }
}

/// `SipHash`, by which Python compares sources with bytecode; the second half of the key is zero.
fn siphash(key: u64, bytes: &[u8], rounds: usize, last_rounds: usize) -> u64 {
    let mut v = [
        0x736f_6d65_7073_6575 ^ key,
        0x646f_7261_6e64_6f6d,
        0x6c79_6765_6e65_7261 ^ key,
        0x7465_6462_7974_6573,
    ];
    let round = |v: &mut [u64; 4]| {
        v[0] = v[0].wrapping_add(v[1]);
        v[1] = v[1].rotate_left(13) ^ v[0];
        v[0] = v[0].rotate_left(32);
        v[2] = v[2].wrapping_add(v[3]);
        v[3] = v[3].rotate_left(16) ^ v[2];
        v[0] = v[0].wrapping_add(v[3]);
        v[3] = v[3].rotate_left(21) ^ v[0];
        v[2] = v[2].wrapping_add(v[1]);
        v[1] = v[1].rotate_left(17) ^ v[2];
        v[2] = v[2].rotate_left(32);
    };
    let take = |v: &mut [u64; 4], word: u64| {
        v[3] ^= word;
        (0..rounds).for_each(|_| round(v));
        v[0] ^= word;
    };
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        take(&mut v, u64::from_le_bytes(word.try_into().expect("eight bytes")));
    }
    let mut last = [0; 8];
    last[..words.remainder().len()].copy_from_slice(words.remainder());
    last[7] = bytes.len() as u8;
    take(&mut v, u64::from_le_bytes(last));
    v[2] ^= 0xff;
    (0..last_rounds).for_each(|_| round(&mut v));
    v[0] ^ v[1] ^ v[2] ^ v[3]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timed(flags: u32, first: u32, second: u32) -> Vec<u8> {
        let mut header = vec![0xcb, 0x0d, b'\r', b'\n'];
        [flags, first, second].iter().for_each(|number| header.extend(number.to_le_bytes()));
        header
    }

    #[test]
    fn names_tell_the_source() {
        for (name, source) in [
            ("a.cpython-312.pyc", Some("a.py")),
            ("a.cpython-312.opt-2.pyc", Some("a.py")),
            ("a.pypy311.pyc", Some("a.py")),
            ("a.b.cpython-38.pyc", Some("a.b.py")),
            ("test_a.cpython-312-pytest-8.3.3.pyc", Some("test_a.py")),
            ("a.cpython-312.pyc.1403", None),
            (".cpython-312.pyc", None),
            ("a.pyc", None),
            ("a.cpython-x.pyc", None),
        ] {
            assert_eq!(source_name(name).as_deref(), source, "{name}");
        }
    }

    #[test]
    fn a_header_fits_its_source_or_says_why_not() {
        let source = Source { mtime: 315_619_200, content: Content::Size(10) };
        assert_eq!(judge(&timed(0, 315_619_200, 10), source), Ok(()));
        assert_eq!(judge(&timed(0, 315_619_201, 10), source), Err(Foreign::OtherSource));
        assert_eq!(judge(&timed(0, 315_619_200, 11), source), Err(Foreign::OtherSource));
        assert_eq!(judge(&timed(1, 315_619_200, 10), source), Err(Foreign::Unchecked));
        assert_eq!(judge(&timed(2, 315_619_200, 10), source), Err(Foreign::Garbage));
        assert_eq!(judge(&timed(0, 315_619_200, 10)[..15], source), Err(Foreign::Garbage));
        assert_eq!(judge(b"no bytecode at all", source), Err(Foreign::Garbage));
    }

    /// Measured: `_imp.source_hash(3531 | 0x0a0d0000, b"x = 1\n")` of CPython 3.12 and what 3.8
    /// gives for its own number.
    #[test]
    fn hashes_are_those_of_python() {
        for (magic, rounds, last, expected) in HASHES {
            assert_eq!(siphash(u64::from(magic), b"x = 1\n", rounds, last).to_le_bytes(), expected);
            let mut header = magic.to_le_bytes().to_vec();
            header.extend(3u32.to_le_bytes());
            header.extend(expected);
            let judge = |bytes| judge(&header, Source { mtime: 0, content: Content::Bytes(bytes) });
            assert_eq!(judge(b"x = 1\n"), Ok(()));
            assert_eq!(judge(b"x = 2\n"), Err(Foreign::OtherSource));
        }
    }

    #[test]
    fn what_is_written_is_sound() {
        let release = Release::of(12).unwrap();
        let checked = header(release, Validation::Checked, b"x = 1\n");
        let judge = |bytes| judge(&checked, Source { mtime: 0, content: Content::Bytes(bytes) });
        assert_eq!(judge(b"x = 1\n"), Ok(()));
        assert_eq!(judge(b"x = 2\n"), Err(Foreign::OtherSource));
        let unchecked = header(release, Validation::Unchecked, b"x = 1\n");
        assert_eq!((&unchecked[..4], &unchecked[8..]), (&checked[..4], &checked[8..]));
        assert_eq!((word(&unchecked, 4), word(&checked, 4)), (1, 3));
    }

    #[test]
    fn bytecode_is_named_after_its_source() {
        let release = Release::of(14).unwrap();
        for level in Level::ALL {
            let path = cached_path("a.b.py", release, level).unwrap();
            let name = path.strip_prefix("__pycache__/").unwrap();
            assert_eq!(source_name(name).as_deref(), Some("a.b.py"), "{name}");
            assert_eq!(Level::new(u64::from(level.number())), Some(level));
        }
        assert_eq!(cached_path("a/b.pyi", release, Level::default()), None);
        assert_eq!(Level::new(3), None);
        assert!(Validation::ALL.iter().all(|(name, way)| way.name() == *name));
    }

    const HASHES: [(u32, usize, usize, [u8; 8]); 2] = [
        (168_627_541, 2, 4, [21, 6, 240, 143, 50, 191, 63, 243]),
        (168_627_659, 1, 3, [21, 34, 86, 25, 23, 245, 223, 8]),
    ];
}
