//! Layers of an environment as files of a directory, several at a time, and what lies beside them.
//!
//! Effects layer.

use std::cmp::Reverse;
use std::io::{self, BufWriter, Read as _};
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

use camino::Utf8Path;

use crate::effects::host::fs::{Directory, FsError, Links, failed, open_regular};
use crate::effects::sink::archive::{self, ArchiveError, LayerOptions, PackedLayer};
use crate::effects::source::supply::Supply;
use crate::effects::work::parallel;
use crate::model::digest::{Digest, DigestFunction, Hasher};
use crate::model::file_kind::FileKind;
use crate::model::layers::Layer;
use crate::model::plan::Plan;

/// How much is written or copied at once.
const CHUNK: usize = 128 << 10;

/// What a layer costs apart from its bytes: as much as this many more of them.
const LAYER_COST: u64 = 64 << 10;

/// Packs layers of a plan into an empty directory, each as the file that `name` says by its
/// position, on at most `threads` threads. Returns what became of each.
///
/// # Errors
/// An input is not what it should be, or the file system refuses.
pub fn write(
    (plan, layers): (&Plan, &[Layer]),
    supply: &Supply<'_>,
    (directory, name): (&Directory, impl Fn(usize) -> String + Sync),
    options: LayerOptions<'_>,
    threads: usize,
) -> Result<Vec<PackedLayer>, ArchiveError> {
    let mut order: Vec<usize> = (0..layers.len()).collect();
    order.sort_by_key(|&index| Reverse(layers[index].size));
    let cost = |&index: &usize| layers[index].size + LAYER_COST;
    let costs: Vec<u64> = order.iter().map(cost).collect();
    let widths = parallel::widths(threads, threads, &costs, costs.iter().sum());
    let packed = Mutex::new(vec![None; layers.len()]);
    let outcome = parallel::run_wide(
        threads,
        order.len(),
        |turn| widths[turn],
        |turn| {
            let index = order[turn];
            let entries = layers[index].entries.iter().map(|&entry| &plan.entries[entry]);
            let file = File { directory, name: &name(index), mtime: options.mtime };
            let written =
                file.fill(|out| archive::pack_layer(entries, supply, out, options, widths[turn]));
            match written {
                Ok(layer) => {
                    packed.lock().unwrap_or_else(PoisonError::into_inner)[index] = Some(layer);
                    ControlFlow::Continue(())
                }
                Err(error) => ControlFlow::Break(error),
            }
        },
    );
    match outcome {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => {
            let packed = packed.into_inner().unwrap_or_else(PoisonError::into_inner);
            Ok(packed.into_iter().map(|layer| layer.expect("every layer was packed")).collect())
        }
    }
}

/// A file that is to be.
#[derive(Debug, Clone, Copy)]
pub struct File<'a> {
    /// Where.
    pub directory: &'a Directory,
    /// Under which name.
    pub name: &'a str,
    /// Its time.
    pub mtime: u64,
}

impl File<'_> {
    fn fill<T, E: From<FsError> + From<io::Error>>(
        &self,
        fill: impl FnOnce(&mut dyn io::Write) -> Result<T, E>,
    ) -> Result<T, E> {
        let file = self.directory.create_file(self.name, FileKind::Plain)?;
        let mut out = BufWriter::with_capacity(CHUNK, file);
        let filled = fill(&mut out)?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?.finish(self.mtime)?;
        Ok(filled)
    }

    /// Writes bytes.
    ///
    /// # Errors
    /// The name is taken, or the file system refuses.
    pub fn write(&self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.fill(|out| Ok(out.write_all(bytes)?))
    }

    /// Copies a file; returns the SHA-256 of what was copied.
    ///
    /// # Errors
    /// There is no such file, or the file system refuses.
    pub fn copy(&self, from: &Utf8Path) -> Result<Digest, ArchiveError> {
        let mut input = open_regular(from, Links::Follow).map_err(failed("open", from))?;
        let mut hasher = Hasher::new(DigestFunction::Sha256);
        self.fill(|out| {
            let mut buffer = vec![0; CHUNK];
            loop {
                match input.read(&mut buffer).map_err(failed("read", from))? {
                    0 => return Ok(hasher.finish()),
                    count => {
                        hasher.update(&buffer[..count]);
                        out.write_all(&buffer[..count])?;
                    }
                }
            }
        })
    }

    /// Gives the file another name.
    ///
    /// # Errors
    /// The file system refuses.
    pub fn rename(&self, name: &str) -> Result<(), FsError> {
        let directory = self.directory.handle();
        let place = self.directory.path().join(self.name);
        rustix::fs::renameat(directory, self.name, directory, name)
            .map_err(failed("rename", &place))
    }
}
