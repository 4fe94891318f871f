//! What kinds of files an environment has.
//!
//! Model layer. The one thing that trees, plans, wheels and stores know of a file's mode.

use serde::{Deserialize, Serialize};

use crate::model::every::every;

/// Whether a file may be executed. Where it is written down, it is the answer to that question.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(from = "bool", into = "bool")]
pub enum FileKind {
    /// Everybody may read it.
    #[default]
    Plain,
    /// Everybody may execute it, too.
    Executable,
}

impl FileKind {
    /// Both.
    pub const ALL: [Self; 2] = every!(FileKind: Plain, Executable);

    /// The kind of a file that has these permissions, where some of them are counted.
    pub fn of_mode(mode: u32, counted: u32) -> Self {
        Self::from(mode & counted != 0)
    }

    /// The kind of a file that begins with these bytes, four if it has them, where nobody knows its
    /// permissions: programs and libraries of Linux and macOS, and scripts that name their
    /// interpreter, are executable.
    pub fn of_bytes(start: &[u8]) -> Self {
        const ELF: [u8; 4] = *b"\x7fELF";
        const MACH: [[u8; 4]; 3] =
            [[0xcf, 0xfa, 0xed, 0xfe], [0xce, 0xfa, 0xed, 0xfe], [0xca, 0xfe, 0xba, 0xbe]];
        let machine = start == ELF || MACH.iter().any(|magic| start == magic);
        Self::from(machine || start.starts_with(b"#!"))
    }

    /// Whether it may be executed.
    pub fn is_executable(self) -> bool {
        self == Self::Executable
    }

    /// The permissions that it has in an environment.
    pub fn mode(self) -> u16 {
        match self {
            Self::Plain => 0o644,
            Self::Executable => 0o755,
        }
    }
}

impl From<bool> for FileKind {
    fn from(executable: bool) -> Self {
        if executable { Self::Executable } else { Self::Plain }
    }
}

impl From<FileKind> for bool {
    fn from(kind: FileKind) -> Self {
        kind.is_executable()
    }
}
