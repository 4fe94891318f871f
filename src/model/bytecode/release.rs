//! The versions of CPython whose bytecode is made: by which number and name each is known.
//!
//! Model layer. The number says whether an interpreter can run bytecode, not what its compiler
//! makes of a source: 3.12.1 and 3.12.10 have the same one and differ in every file.

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
}
