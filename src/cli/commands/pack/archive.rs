//! Formats of what is packed, and how they are tuned.

use crate::engine::archives::{ArchiveFormat, Owner, Packing};
use crate::error::Error;
use crate::model::compression::Compression;

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PackFormat {
    /// An archive.
    Archive(ArchiveFormat),
    /// An image.
    Oci,
}

impl PackFormat {
    /// The name of images' format.
    pub(super) const OCI: &'static str = "oci";

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let known = ArchiveFormat::ALL.into_iter().find(|format| format.name() == text);
        match known {
            Some(format) => Ok(Self::Archive(format)),
            None if text == Self::OCI => Ok(Self::Oci),
            None => Err(format!("expected one of {}", Self::names())),
        }
    }

    /// All names.
    pub(super) fn names() -> String {
        format!("{}, {}", ArchiveFormat::ALL.map(ArchiveFormat::name).join(", "), Self::OCI)
    }
}

/// What somebody wants otherwise than usual.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tuning {
    pub level: Option<u8>,
    pub owner: Option<Owner>,
}

impl Tuning {
    /// Whose everything is.
    pub(super) fn owner(self) -> Owner {
        self.owner.unwrap_or_default()
    }

    /// A way to compress, with the level that is wanted.
    pub(super) fn leveled(self, compression: Compression) -> Result<Compression, Error> {
        let Some(level) = self.level else {
            return Ok(compression);
        };
        compression.with_level(level).ok_or_else(|| match compression.levels() {
            Some(levels) => Error::usage(format!(
                "`--level {level}`: expected one from {} to {}",
                levels.start(),
                levels.end()
            ))
            .into(),
            None => Error::usage("`--level`: what is not compressed has none").into(),
        })
    }

    /// How an archive is packed.
    pub(super) fn packing(self, format: ArchiveFormat) -> Result<Packing, Error> {
        match format.compression() {
            Some(compression) => Ok(Packing::Tar(self.leveled(compression)?, self.owner())),
            None if self.level.is_some() => {
                Err(Error::usage("`--level` is for tar.gz and tar.zst").into())
            }
            None if self.owner.is_some() => {
                Err(Error::usage("`--owner`: zip archives say nothing of owners").into())
            }
            None => Ok(Packing::Zip),
        }
    }
}

/// Reads `UID:GID`.
pub(super) fn parse_owner(text: &str) -> Result<Owner, String> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.then(|| text.parse().ok()).flatten();
        number.filter(|&number| number <= Owner::LARGEST)
    };
    let pair = text
        .split_once(':')
        .and_then(|(user, group)| Some(Owner { user: number(user)?, group: number(group)? }));
    pair.ok_or_else(|| format!("expected UID:GID, numbers up to {}", Owner::LARGEST))
}
