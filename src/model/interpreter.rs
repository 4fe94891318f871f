//! Facts about the interpreter that an environment is for.
//!
//! Model layer. Holds what wheels and layouts depend on; how the environment reaches the
//! interpreter is part of the spec, and asking a real interpreter (the probe) is an effect.

use std::fmt;

use crate::model::every::named;
use crate::model::name::PythonVersion;

/// Who made the interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Implementation {
    /// The reference implementation.
    CPython,
    /// PyPy.
    PyPy,
}

impl Implementation {
    named! {
        /// The name in specs, which is also the marker `implementation_name`.
        2,
        "cpython" => CPython,
        "pypy" => PyPy,
    }

    /// The marker `platform_python_implementation`.
    pub fn platform_name(self) -> &'static str {
        match self {
            Self::CPython => "CPython",
            Self::PyPy => "PyPy",
        }
    }

    /// The two letters that begin an interpreter tag.
    fn tag_prefix(self) -> &'static str {
        match self {
            Self::CPython => "cp",
            Self::PyPy => "pp",
        }
    }
}

/// An operating system that environments can be built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Os {
    /// Linux.
    Linux,
    /// macOS.
    MacOs,
    /// Windows.
    Windows,
}

impl Os {
    named! {
        /// The name in specs.
        3,
        "linux" => Linux,
        "macos" => MacOs,
        "windows" => Windows,
    }

    /// The marker `os_name`.
    pub fn os_name(self) -> &'static str {
        match self {
            Self::Linux | Self::MacOs => "posix",
            Self::Windows => "nt",
        }
    }

    /// The marker `sys_platform`.
    pub fn sys_platform(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::MacOs => "darwin",
            Self::Windows => "win32",
        }
    }

    /// The marker `platform_system`.
    pub fn platform_system(self) -> &'static str {
        match self {
            Self::Linux => "Linux",
            Self::MacOs => "Darwin",
            Self::Windows => "Windows",
        }
    }

    /// Whether names that differ only in case or Unicode form name one file there, by default.
    pub fn folds_names(self) -> bool {
        !matches!(self, Self::Linux)
    }
}

/// A processor architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Arch {
    /// 64-bit x86.
    X86_64,
    /// 32-bit x86.
    I686,
    /// 64-bit ARM.
    Aarch64,
    /// 32-bit ARM with hardware floating point.
    Armv7l,
    /// 64-bit little-endian POWER.
    Ppc64le,
    /// IBM Z.
    S390x,
    /// 64-bit RISC-V.
    Riscv64,
    /// 64-bit LoongArch.
    Loongarch64,
}

impl Arch {
    named! {
        /// The name in specs, as Linux's `uname -m` gives it.
        8,
        "x86_64" => X86_64,
        "i686" => I686,
        "aarch64" => Aarch64,
        "armv7l" => Armv7l,
        "ppc64le" => Ppc64le,
        "s390x" => S390x,
        "riscv64" => Riscv64,
        "loongarch64" => Loongarch64,
    }

    /// Whether addresses have 64 bits.
    pub fn is_64_bit(self) -> bool {
        !matches!(self, Self::I686 | Self::Armv7l)
    }

    /// Reads a name: the one of specs, or another system's for the same architecture (`AMD64`,
    /// `arm64`).
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "amd64" | "AMD64" => Some(Self::X86_64),
            "arm64" | "ARM64" => Some(Self::Aarch64),
            "i386" | "i586" | "x86" => Some(Self::I686),
            _ => Self::ALL.into_iter().find(|arch| arch.name() == text),
        }
    }

    /// The marker `platform_machine` on `os`.
    pub fn platform_machine(self, os: Os) -> &'static str {
        match (os, self) {
            (Os::MacOs, Self::Aarch64) => "arm64",
            (Os::Windows, Self::Aarch64) => "ARM64",
            (Os::Windows, Self::X86_64) => "AMD64",
            (Os::Windows, Self::I686) => "x86",
            _ => self.name(),
        }
    }
}

/// A C library of Linux and its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Libc {
    /// GNU libc: `glibc-2.36`.
    Glibc(u32, u32),
    /// musl: `musl-1.2`.
    Musl(u32, u32),
}

impl Libc {
    /// Reads `glibc-2.36` or `musl-1.2`.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, version) = text.split_once('-')?;
        let (major, minor) = parse_pair(version)?;
        match name {
            "glibc" => Some(Self::Glibc(major, minor)),
            "musl" => Some(Self::Musl(major, minor)),
            _ => None,
        }
    }
}

impl fmt::Display for Libc {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Glibc(major, minor) => write!(formatter, "glibc-{major}.{minor}"),
            Self::Musl(major, minor) => write!(formatter, "musl-{major}.{minor}"),
        }
    }
}

/// Reads `MAJOR.MINOR`.
pub fn parse_pair(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    let number =
        |part: &str| part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())?;
    Some((number(major)?, number(minor)?))
}

/// The platform that an environment is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Platform {
    /// Linux; without a C library only pure and `linux_*` wheels are compatible.
    Linux {
        /// The architecture.
        arch: Arch,
        /// The C library.
        libc: Option<Libc>,
    },
    /// macOS.
    MacOs {
        /// The architecture.
        arch: Arch,
        /// The oldest macOS that the environment must run on, such as 14.0.
        version: (u32, u32),
    },
    /// Windows.
    Windows {
        /// The architecture.
        arch: Arch,
    },
}

impl Platform {
    /// The operating system.
    pub fn os(&self) -> Os {
        match self {
            Self::Linux { .. } => Os::Linux,
            Self::MacOs { .. } => Os::MacOs,
            Self::Windows { .. } => Os::Windows,
        }
    }

    /// The architecture.
    pub fn arch(&self) -> Arch {
        match *self {
            Self::Linux { arch, .. } | Self::MacOs { arch, .. } | Self::Windows { arch } => arch,
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.os().name(), self.arch().name())?;
        match self {
            Self::Linux { libc: Some(libc), .. } => write!(formatter, " {libc}"),
            Self::MacOs { version: (major, minor), .. } => write!(formatter, " {major}.{minor}"),
            Self::Linux { libc: None, .. } | Self::Windows { .. } => Ok(()),
        }
    }
}

/// The facts about an interpreter that decide which wheels fit and where their files go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreter {
    /// Who made it.
    pub implementation: Implementation,
    /// Its version.
    pub version: PythonVersion,
    /// Its ABI tag: `cp311`, `cp313t` (free-threaded), `cp38d` (debug), `pypy311_pp73`.
    pub abi: Box<str>,
    /// The platform it runs on.
    pub platform: Platform,
}

impl Interpreter {
    /// Whether it is a free-threaded build (PEP 703).
    pub fn free_threaded(&self) -> bool {
        self.implementation == Implementation::CPython
            && self
                .abi
                .strip_prefix(&*self.interpreter_tag())
                .is_some_and(|flags| flags.contains('t'))
    }

    /// The interpreter tag: `cp311`, `pp311`.
    pub fn interpreter_tag(&self) -> String {
        format!("{}{}{}", self.implementation.tag_prefix(), self.version.major, self.version.minor)
    }

    /// The name of the library directory and of the versioned executable: `python3.11`,
    /// `python3.13t`, `pypy3.11`.
    pub fn versioned_name(&self) -> String {
        let stem = match self.implementation {
            Implementation::CPython => "python",
            Implementation::PyPy => "pypy",
        };
        let suffix = if self.free_threaded() { "t" } else { "" };
        format!("{stem}{}{suffix}", self.version.short())
    }
}

impl fmt::Display for Interpreter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} {} ({}) on {}",
            self.implementation.platform_name(),
            self.version,
            self.abi,
            self.platform
        )
    }
}
