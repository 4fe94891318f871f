//! Putting a tree that is known in its place, out of the store and the remote cache.
//!
//! Part of the engine. Files that the store has are linked, others downloaded into it first; where
//! it cannot be written, they pass through one that goes away again.

use std::os::fd::{AsFd as _, BorrowedFd};

use camino::Utf8Path;

use crate::effects::caches::blob::BlobError;
use crate::effects::caches::store::area::{Area, Counts, LinkMode};
use crate::effects::caches::store::states::States;
use crate::effects::caches::store::{Access, Store};
use crate::effects::caches::transfer::{self, RemoteCache, Told};
use crate::effects::host::fs;
use crate::effects::host::notes::Notes;
use crate::effects::host::replaceable::Replaceable;
use crate::effects::host::staging::{self, Staging};
use crate::effects::sink::publish::Unfinished;
use crate::effects::sink::tree::{self as tree_sink, Manner, TreeWriteError};
use crate::engine::find::note;
use crate::engine::output::{Output, Way};
use crate::engine::report::{Outcome, Source};
use crate::engine::session::{Caches, Session};
use crate::error::Error;
use crate::model::digest::DigestFunction;
use crate::model::tree::Tree;

/// What trees are placed with.
pub(super) struct Placing<'a> {
    /// What commands share.
    pub session: &'a Session,
    pub caches: &'a Caches,
    /// The local store, where there is one.
    pub store: Option<&'a Store>,
    /// The time of everything.
    pub mtime: u64,
    /// The place.
    pub output: &'a Output<'a>,
}

/// How a tree came to its place.
pub(super) struct Placed {
    /// How that ended.
    pub outcome: Outcome,
    /// How files came out of the store.
    pub links: Counts,
}

/// Whether the files of a tree could be had. A directory that is half written is of no use.
enum Had {
    /// All; how the entries look, where that is to be known.
    All(Option<States>),
    NotAll,
}

impl Placing<'_> {
    /// Puts a tree that `source` knew in its place; nothing where its files cannot be had.
    ///
    /// # Errors
    /// The place is taken or cannot be written.
    pub fn place(&self, tree: &Tree, source: Source) -> Result<Option<Placed>, Error> {
        let old = match self.output.way(tree)? {
            Way::Done => {
                let links = Counts::default();
                return Ok(Some(Placed { outcome: Outcome::UpToDate, links }));
            }
            Way::Free(old) => old,
        };
        let remote = self.caches.readable();
        if source == Source::Store || remote.is_none() {
            let placed = self.link(tree, old.as_ref())?;
            if placed.is_some() {
                return Ok(placed);
            }
        }
        match remote {
            Some(remote) => self.download(tree, remote, old.as_ref()),
            None => Ok(None),
        }
    }

    /// The store's linkable files for a destination.
    fn area<'s>(&'s self, destination: BorrowedFd<'s>) -> Option<Area<'s>> {
        let store = self.store?;
        Some(store.area(signed(self.mtime), self.caches.link_mode, destination))
    }

    /// Writes the tree out of some areas.
    fn write(
        &self,
        tree: &Tree,
        areas: &[&Area<'_>],
        unfinished: &Unfinished,
    ) -> Result<Had, Error> {
        let look = self.output.is_remembered();
        let manner = Manner { mtime: self.mtime, threads: self.session.threads(), look };
        match tree_sink::write(tree, areas, unfinished.directory(), manner) {
            Ok(states) => Ok(Had::All(states)),
            Err(TreeWriteError::Missing(_)) => Ok(Had::NotAll),
            Err(error) => Err(error.into()),
        }
    }

    /// Puts a directory that was written in its place, if it is whole.
    fn publish(
        &self,
        (unfinished, had): (Unfinished, Had),
        tree: &Tree,
        old: Option<&Replaceable>,
        links: Counts,
    ) -> Result<Option<Placed>, Error> {
        let Had::All(states) = had else { return Ok(None) };
        let outcome = self.output.publish((unfinished, states), tree, old)?;
        Ok(Some(Placed { outcome, links }))
    }

    /// Puts the tree in its place out of the store alone.
    fn link(&self, tree: &Tree, old: Option<&Replaceable>) -> Result<Option<Placed>, Error> {
        let unfinished = Unfinished::new(self.output.path())?;
        let area = self.area(unfinished.directory().handle().as_fd());
        let areas: Vec<&Area<'_>> = area.iter().collect();
        let had = self.write(tree, &areas, &unfinished)?;
        let links = area.as_ref().map(Area::counts).unwrap_or_default();
        drop(area);
        self.publish((unfinished, had), tree, old, links)
    }

    /// Downloads what the store lacks, then writes the tree.
    fn download(
        &self,
        tree: &Tree,
        remote: &dyn RemoteCache,
        old: Option<&Replaceable>,
    ) -> Result<Option<Placed>, Error> {
        let notes = &self.caches.notes;
        let unfinished = Unfinished::new(self.output.path())?;
        let destination = unfinished.directory().handle().as_fd();
        let own = self.area(destination);
        let told = Told { place: remote.place(), notes, progress: &self.session.progress };
        let fetched = match own.as_ref().zip(self.store) {
            Some((area, store)) if store.is_writable() => {
                match transfer::fetch(remote, tree, &[area], told) {
                    Ok(complete) => Some(complete),
                    Err(error @ BlobError::Io { .. }) => {
                        store.attempt(|| Err(error));
                        None
                    }
                    Err(error) => {
                        note(notes, &error);
                        Some(false)
                    }
                }
            }
            _ => None,
        };
        if fetched == Some(false) {
            return Ok(None);
        }
        // Without a store that can be written, downloads pass through one that goes away again.
        let scratch = match fetched {
            Some(_) => None,
            None => Some(Scratch::new(self.output.path(), tree.function(), notes)?),
        };
        let scratch_area = scratch
            .as_ref()
            .map(|scratch| scratch.store.area(signed(self.mtime), LinkMode::Auto, destination));
        let areas: Vec<&Area<'_>> = own.iter().chain(scratch_area.iter()).collect();
        if scratch_area.is_some() {
            match transfer::fetch(remote, tree, &areas, told) {
                Ok(true) => {}
                Ok(false) => return Ok(None),
                Err(error) => {
                    note(notes, &error);
                    return Ok(None);
                }
            }
        }
        let had = self.write(tree, &areas, &unfinished)?;
        let links = own.as_ref().map(Area::counts).unwrap_or_default();
        drop((own, scratch_area));
        self.publish((unfinished, had), tree, old, links)
    }
}

/// A store for one build.
struct Scratch {
    store: Store,
    _staging: Staging,
}

impl Scratch {
    fn new(out: &Utf8Path, function: DigestFunction, notes: &Notes) -> Result<Self, Error> {
        let parent =
            out.parent().filter(|parent| !parent.as_str().is_empty()).unwrap_or(Utf8Path::new("."));
        staging::sweep(parent);
        let staging = Staging::create(parent, staging::DOWNLOADS)
            .map_err(fs::failed("create a directory in", parent))?;
        let store =
            Store::open(staging.path().to_owned(), function, Access::Scratch, notes.clone());
        Ok(Self { store, _staging: staging })
    }
}

/// A time as file systems count it.
pub(super) fn signed(mtime: u64) -> i64 {
    i64::try_from(mtime).unwrap_or(i64::MAX)
}
