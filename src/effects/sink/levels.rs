//! Directories by depth, those of one parent together: one depth can be worked on by many threads,
//! as what is above it is there already.
//!
//! Effects layer.

use std::collections::HashMap;

use crate::effects::host::fs::{Directory, FsError};
use crate::effects::work::parallel;
use crate::model::path::TreePath;

/// Directories by depth; of each depth, the names by parent.
pub(super) struct Levels<'a> {
    levels: Vec<Vec<(&'a str, Vec<&'a str>)>>,
}

impl<'a> Levels<'a> {
    pub(super) fn new(directories: &'a [TreePath]) -> Self {
        let mut levels: Vec<Vec<(&str, Vec<&str>)>> = Vec::new();
        let mut indexes: HashMap<&str, usize> = HashMap::new();
        for directory in directories {
            let (parent, name) =
                directory.as_str().rsplit_once('/').unwrap_or(("", directory.as_str()));
            let depth = directory.components().count() - 1;
            if levels.len() <= depth {
                levels.resize_with(depth + 1, Vec::new);
            }
            let level = &mut levels[depth];
            let index = *indexes.entry(parent).or_insert_with(|| {
                level.push((parent, Vec::new()));
                level.len() - 1
            });
            level[index].1.push(name);
        }
        Self { levels }
    }

    /// Does something to every directory, given its parent's and its name.
    pub(super) fn for_each_parent(
        &self,
        threads: usize,
        root: &Directory,
        action: impl Fn(&Directory, &str) -> Result<(), FsError> + Sync,
    ) -> Result<(), FsError> {
        for level in &self.levels {
            // A thread costs more than a few directories.
            let threads = threads.min(level.len().div_ceil(16)).max(1);
            parallel::map(threads, level.len(), |index| {
                let (parent, names) = &level[index];
                let parent = root.open_below(parent)?;
                names.iter().try_for_each(|name| action(&parent, name))
            })?;
        }
        Ok(())
    }
}
