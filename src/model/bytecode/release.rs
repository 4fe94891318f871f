//! The versions of CPython whose bytecode is made: by which number and name each is known.
//!
//! Model layer. The number says whether an interpreter can run bytecode, not what its compiler
//! makes of a source: 3.12.1 and 3.12.10 have the same one and differ in every file. So a
//! [`Compiler`] is known by its full version.

use std::fmt;

/// A minor version of CPython 3 whose bytecode is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release {
    minor: u32,
    magic: u16,
    tag: &'static str,
}

impl Release {
    /// Every one, oldest first. Older ones have another marshal format.
    pub const ALL: [Self; 4] = [
        Self { minor: 11, magic: 3495, tag: "cpython-311" },
        Self { minor: 12, magic: 3531, tag: "cpython-312" },
        Self { minor: 13, magic: 3571, tag: "cpython-313" },
        Self { minor: 14, magic: 3627, tag: "cpython-314" },
    ];

    /// CPython 3.MINOR, if its bytecode is made.
    pub fn of(minor: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|release| release.minor == minor)
    }

    /// The minor version.
    pub fn minor(self) -> u32 {
        self.minor
    }

    /// What its bytecode begins with.
    pub fn magic(self) -> [u8; 4] {
        let [low, high] = self.magic.to_le_bytes();
        [low, high, b'\r', b'\n']
    }

    /// The number in what its bytecode begins with.
    pub fn magic_number(self) -> u16 {
        self.magic
    }

    /// What the names of its bytecode hold.
    pub fn tag(self) -> &'static str {
        self.tag
    }
}

/// What compiles: a CPython, to the patch level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Compiler {
    release: Release,
    patch: u32,
}

impl Compiler {
    /// The compiler of a version, which names its patch level: `3.12.10`. Nothing where no
    /// bytecode of that version is made.
    pub fn of_version(version: &str) -> Option<Self> {
        let number = |text: &str| {
            let plain = text == "0" || !text.starts_with(['0', '+']);
            text.parse::<u32>().ok().filter(|_| plain)
        };
        let (minor, patch) = version.strip_prefix("3.")?.split_once('.')?;
        Some(Self { release: Release::of(number(minor)?)?, patch: number(patch)? })
    }

    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        Self::of_version(text.strip_prefix("cpython ")?)
    }

    /// The minor version.
    pub fn release(self) -> Release {
        self.release
    }

    /// The version.
    pub fn version(self) -> String {
        format!("3.{}.{}", self.release.minor, self.patch)
    }
}

impl fmt::Display for Compiler {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "cpython {}", self.version())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_by_their_number() {
        for release in Release::ALL {
            assert_eq!(Release::of(release.minor()), Some(release));
            assert_eq!(release.tag(), format!("cpython-3{}", release.minor()));
            assert_eq!(
                u16::from_le_bytes([release.magic()[0], release.magic()[1]]),
                release.magic_number()
            );
        }
        assert_eq!((Release::of(10), Release::of(15)), (None, None));
    }

    #[test]
    fn compilers_are_known_to_the_patch_level() {
        let compiler = Compiler::of_version("3.12.10").unwrap();
        assert_eq!(compiler.to_string(), "cpython 3.12.10");
        assert_eq!(Compiler::parse("cpython 3.12.10"), Some(compiler));
        assert_ne!(Compiler::of_version("3.12.1"), Some(compiler));
        for text in ["3.12", "3.10.1", "3.12.1rc1", "3.12.01", "3.12.+1", "2.12.1", "3.12.1.0"] {
            assert_eq!(Compiler::of_version(text), None, "{text}");
        }
    }
}
