//! Limits on what a wheel may ask for, so that hostile ones are refused before they fill memory or
//! disk.
//!
//! Model layer. Each limit has a default far above what real wheels need, and an option that sets
//! it.

/// What a wheel may hold at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Entries of the central directory.
    pub entries: u64,
    /// Folders that the members lie in.
    pub folders: u64,
    /// Bytes of a member's name.
    pub name_length: usize,
    /// Components of a member's name.
    pub depth: usize,
    /// Bytes of one member, decompressed.
    pub member_size: u64,
    /// Bytes of all members together, decompressed.
    pub total_size: u64,
    /// How many times as large as the archive its members may be together, once they exceed
    /// `ratio_from` bytes.
    pub ratio: u64,
    /// The bytes from which `ratio` counts.
    pub ratio_from: u64,
    /// Bytes of a metadata file (WHEEL, METADATA, `entry_points.txt`), or of all scripts that are
    /// rewritten together: they are kept in memory.
    pub metadata_size: u64,
    /// Bytes of RECORD, besides 512 for every member.
    pub record_size: u64,
    /// Bytes of the central directory, besides 512 for every entry.
    pub directory_size: u64,
}

/// The bytes that every entry may add to the central directory, and every member to RECORD: room
/// for long names, not for padding.
const PER_ENTRY: u64 = 512;

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 500_000,
            folders: 50_000,
            name_length: 1024,
            depth: 64,
            member_size: 16 << 30,
            total_size: 64 << 30,
            ratio: 200,
            ratio_from: 64 << 20,
            metadata_size: 8 << 20,
            record_size: 4 << 20,
            directory_size: 4 << 20,
        }
    }
}

/// There is no limit of this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is no limit, expected one of {}", NAMES.map(|(name, _)| name).join(", "))]
pub struct UnknownLimit {
    /// The name.
    pub name: String,
}

/// The names of the limits and what they count, in the order of the fields.
pub const NAMES: [(&str, &str); 11] = [
    ("entries", "entries of the central directory"),
    ("folders", "folders that the members lie in"),
    ("name-length", "bytes of a member's name"),
    ("depth", "components of a member's name"),
    ("member-size", "bytes of one member, decompressed"),
    ("total-size", "bytes of all members together, decompressed"),
    (
        "ratio",
        "times that the members together may be as large as the archive, once they exceed `ratio-from`",
    ),
    ("ratio-from", "bytes from which `ratio` counts"),
    (
        "metadata-size",
        "bytes of WHEEL, METADATA, `entry_points.txt`, or all scripts that are rewritten together",
    ),
    ("record-size", "bytes of RECORD, besides 512 for every member"),
    ("directory-size", "bytes of the central directory, besides 512 for every entry"),
];

impl Limits {
    /// The value of a limit, by its name.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn get(&self, name: &str) -> Result<u64, UnknownLimit> {
        Ok(match name {
            "entries" => self.entries,
            "folders" => self.folders,
            "name-length" => self.name_length as u64,
            "depth" => self.depth as u64,
            "member-size" => self.member_size,
            "total-size" => self.total_size,
            "ratio" => self.ratio,
            "ratio-from" => self.ratio_from,
            "metadata-size" => self.metadata_size,
            "record-size" => self.record_size,
            "directory-size" => self.directory_size,
            _ => {
                return Err(UnknownLimit { name: name.to_owned() });
            }
        })
    }

    /// Changes a limit, by its name. A ratio of 0 counts as 1.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn set(&mut self, name: &str, value: u64) -> Result<(), UnknownLimit> {
        let length = usize::try_from(value).unwrap_or(usize::MAX);
        match name {
            "entries" => self.entries = value,
            "folders" => self.folders = value,
            "name-length" => self.name_length = length,
            "depth" => self.depth = length,
            "member-size" => self.member_size = value,
            "total-size" => self.total_size = value,
            "ratio" => self.ratio = value.max(1),
            "ratio-from" => self.ratio_from = value,
            "metadata-size" => self.metadata_size = value,
            "record-size" => self.record_size = value,
            "directory-size" => self.directory_size = value,
            _ => {
                return Err(UnknownLimit { name: name.to_owned() });
            }
        }
        Ok(())
    }

    /// The most bytes of a central directory with so many entries.
    pub fn directory_of(&self, entries: u64) -> u64 {
        self.directory_size.saturating_add(entries.saturating_mul(PER_ENTRY))
    }

    /// The most bytes of the RECORD of a wheel with so many members.
    pub fn record_of(&self, members: u64) -> u64 {
        self.record_size.saturating_add(members.saturating_mul(PER_ENTRY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_has_a_name_that_sets_it_alone() {
        for (name, _) in NAMES {
            let mut limits = Limits::default();
            limits.set(name, 7).unwrap();
            for (other, _) in NAMES {
                let expected =
                    if other == name { 7 } else { Limits::default().get(other).unwrap() };
                assert_eq!(limits.get(other), Ok(expected), "{name} {other}");
            }
        }
        assert!(
            Limits::default().set("size", 1).is_err() && Limits::default().get("size").is_err()
        );
    }
}
