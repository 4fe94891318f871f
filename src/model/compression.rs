//! How a stream is compressed.
//!
//! Model layer: the choice alone. What is made of it depends on the bytes, on the level and on the
//! release of venvtree, and on nothing else.

/// A way to compress, with its level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// By gzip; the level is one of [`Compression::GZIP_LEVELS`].
    Gzip(u8),
    /// By Zstandard; the level is one of [`Compression::ZSTD_LEVELS`].
    Zstd(u8),
}

impl Compression {
    /// The levels of gzip.
    pub const GZIP_LEVELS: std::ops::RangeInclusive<u8> = 1..=9;
    /// The levels of Zstandard that need no more memory to decompress than others.
    pub const ZSTD_LEVELS: std::ops::RangeInclusive<u8> = 1..=19;
    /// Gzip as it is usual.
    pub const GZIP: Self = Self::Gzip(6);
    /// Zstandard as it is usual.
    pub const ZSTD: Self = Self::Zstd(3);

    /// The same way with another level; nothing where it has no such level.
    pub fn with_level(self, level: u8) -> Option<Self> {
        match self {
            Self::Gzip(_) if Self::GZIP_LEVELS.contains(&level) => Some(Self::Gzip(level)),
            Self::Zstd(_) if Self::ZSTD_LEVELS.contains(&level) => Some(Self::Zstd(level)),
            Self::None | Self::Gzip(_) | Self::Zstd(_) => None,
        }
    }

    /// The levels that there are.
    pub fn levels(self) -> Option<std::ops::RangeInclusive<u8>> {
        match self {
            Self::None => None,
            Self::Gzip(_) => Some(Self::GZIP_LEVELS),
            Self::Zstd(_) => Some(Self::ZSTD_LEVELS),
        }
    }

    /// The extension of a tar archive that is compressed so.
    pub fn extension(self) -> &'static str {
        match self {
            Self::None => "tar",
            Self::Gzip(_) => "tar.gz",
            Self::Zstd(_) => "tar.zst",
        }
    }

    /// The media type of an image's layer that is compressed so.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::None => "application/vnd.oci.image.layer.v1.tar",
            Self::Gzip(_) => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::Zstd(_) => "application/vnd.oci.image.layer.v1.tar+zstd",
        }
    }
}
