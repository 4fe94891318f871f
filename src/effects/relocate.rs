//! Making an existing environment relocatable, file by file.
//!
//! Effects layer. What each file becomes is decided in `model::relocate`. All of it is decided
//! first, then written beside its place, and only then put into place; what is right already is
//! left alone, so that the same can be done again at any time. What names the environment's place
//! and cannot be helped is listed.

mod entries;
mod writing;

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::FlockOperation;

use self::entries::{Entry, EntryKind, Environment, Named, RECORD_LIMIT, TEXT_LIMIT, shown};
use self::writing::{Change, StageError, Turn, Writer};
use crate::effects::host::fs::{self, Directory, FsError};
use crate::effects::work::parallel;
use crate::model::activate::{self, ActivateVariables, Shell};
use crate::model::digest::Hash;
use crate::model::explain::{ErrorKind, Explain, Explanation};
use crate::model::path::{TreePath, relative_from};
use crate::model::relocate::{self, Roots};
use crate::model::reserved::is_interpreter_name;

/// What was done to an environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Relocation {
    /// The files that were rewritten, relative to the environment.
    pub changed: Vec<String>,
    /// What still leads to an absolute place, and why, by path.
    pub left: Vec<(String, String)>,
    /// Files of bytecode that name the place. That does no harm: Python puts the right path in when
    /// it loads them.
    pub bytecode: usize,
}

/// Why an environment could not be made relocatable.
#[derive(Debug, thiserror::Error)]
pub enum RelocateError {
    /// A file operation failed. Unless that was the last step, nothing has changed.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// It is for Windows.
    #[error("`{path}` is an environment for Windows, whose programs cannot be rewritten")]
    Windows {
        /// The environment.
        path: Utf8PathBuf,
    },
    /// It is no environment that can be read.
    #[error("`{path}` cannot be read as text of at most 16 MB")]
    Configuration {
        /// Its `pyvenv.cfg`.
        path: Utf8PathBuf,
    },
    /// Somebody else does the same.
    #[error("`{path}` is being made relocatable by another process")]
    Busy {
        /// The environment.
        path: Utf8PathBuf,
    },
}

impl Explain for RelocateError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Fs(error) => error.explain(),
            Self::Windows { .. } => ErrorKind::Usage.no_hint(),
            Self::Configuration { .. } | Self::Busy { .. } => ErrorKind::Io.no_hint(),
        }
    }
}

/// How often a lock is tried: a program that another thread is just starting holds every descriptor
/// until it runs.
const TRIES: u32 = 50;

/// Locks a directory, or finds out that another process has done so. Where locks do not work,
/// nobody is kept out.
fn is_locked_by_another(root: &Directory) -> bool {
    (0..TRIES).all(|_| {
        let outcome = rustix::fs::flock(root.handle(), FlockOperation::NonBlockingLockExclusive);
        let locked = outcome == Err(rustix::io::Errno::WOULDBLOCK);
        if locked {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        locked
    })
}

/// Makes the environment at `place` relocatable.
///
/// # Errors
/// A file cannot be read or written.
pub fn relocate(place: &Utf8Path, threads: usize) -> Result<Relocation, RelocateError> {
    if !place.join("bin").is_dir() && place.join("Scripts").is_dir() {
        return Err(RelocateError::Windows { path: place.to_owned() });
    }
    let environment = Environment::list(place, threads)?;
    if is_locked_by_another(&environment.root) {
        return Err(RelocateError::Busy { path: place.to_owned() });
    }
    let mut work = Work {
        place,
        environment: &environment,
        roots: Roots::new(),
        left: BTreeSet::new(),
        unreadable: BTreeSet::new(),
        changes: BTreeMap::new(),
    };
    for path in &environment.others {
        work.left.insert((
            path.clone(),
            "it is no file, or has a name that cannot be handled".to_owned(),
        ));
    }
    let configuration = work.configuration_text()?;
    work.find_roots(&configuration);
    work.links();
    work.configuration_and_activators(&configuration);
    work.scripts();
    work.path_files();
    work.kernels();
    let writer = work.stage()?;
    let bytecode = work.look_for_rest(threads);
    let changed: BTreeSet<String> =
        writer.commit()?.into_iter().map(|path| path.to_string()).collect();
    Ok(Relocation {
        changed: changed.into_iter().collect(),
        left: work.left.into_iter().collect(),
        bytecode,
    })
}

struct Work<'a> {
    place: &'a Utf8Path,
    environment: &'a Environment,
    roots: Roots,
    left: BTreeSet<(String, String)>,
    /// Files that could not be read, which are listed once.
    unreadable: BTreeSet<TreePath>,
    changes: BTreeMap<TreePath, (Turn, Change)>,
}

impl<'a> Work<'a> {
    fn leave(&mut self, path: &TreePath, reason: impl Into<String>) {
        self.left.insert((path.to_string(), reason.into()));
    }

    /// What was read, or a line in the list of what is left.
    fn or_leave<T>(&mut self, path: &TreePath, read: Result<T, FsError>) -> Option<T> {
        match read {
            Ok(read) => Some(read),
            Err(error) => {
                if self.unreadable.insert(path.clone()) {
                    self.leave(path, format!("it cannot be read: {}", error.source));
                }
                None
            }
        }
    }

    fn head(&mut self, path: &TreePath) -> Vec<u8> {
        let read = self.environment.head(path);
        self.or_leave(path, read).unwrap_or_default()
    }

    /// A whole text; nothing where it is none that is rewritten.
    fn text(&mut self, path: &TreePath, limit: u64) -> Option<Vec<u8>> {
        let read = self.environment.text(path, limit);
        let text = self.or_leave(path, read)?;
        if text.is_none() {
            self.leave(path, format!("it has more than {} MB", limit >> 20));
        }
        text
    }

    /// Changes a file, if its bytes change.
    fn write(&mut self, turn: Turn, path: &TreePath, old: Option<&[u8]>, new: Vec<u8>) {
        if old != Some(new.as_slice()) {
            self.changes.insert(path.clone(), (turn, Change::Bytes(new)));
        }
    }

    /// Puts a link in the place of whatever file is there.
    fn link(&mut self, path: &TreePath, target: &str) {
        self.changes.insert(path.clone(), (Turn::Rest, Change::Link(target.to_owned())));
    }

    /// The regular files directly in `bin`.
    fn in_scripts(&self) -> Vec<&'a Entry> {
        self.environment.files().filter(|entry| entry.in_scripts().is_some()).collect()
    }

    fn configuration_text(&self) -> Result<String, RelocateError> {
        let path = TreePath::parse("pyvenv.cfg").expect("a plain name");
        let text = self
            .environment
            .text(&path, TEXT_LIMIT)?
            .and_then(|bytes| String::from_utf8(bytes).ok());
        text.ok_or_else(|| RelocateError::Configuration { path: self.place.join(path.as_str()) })
    }

    /// Where the environment is and was: its path as given and as it is, what its activation script
    /// and configuration say, and where scripts look for an interpreter that is no longer there.
    fn find_roots(&mut self, configuration: &str) {
        let mut former = Roots::new();
        if let Some(entry) = self.environment.get("bin/activate").filter(|entry| entry.is_file())
            && let Some(bytes) = self.text(&entry.path, TEXT_LIMIT)
        {
            former.add_activated(&String::from_utf8_lossy(&bytes));
        }
        if let Some(made_at) = relocate::configuration(configuration, &Roots::new()).made_at {
            former.add(&made_at);
        }
        // An environment that was copied names one that is still there; nothing else that is there
        // is ours.
        for root in former.iter() {
            let other = Utf8Path::new(root);
            if !other.exists() || other.join("pyvenv.cfg").exists() {
                self.roots.add(root);
            }
        }
        self.roots.add(self.place.as_str());
        if let Ok(real) = self.place.canonicalize_utf8() {
            self.roots.add(real.as_str());
        }
        for entry in self.in_scripts() {
            if let Some(root) = relocate::script_root(&self.head(&entry.path))
                && (!Utf8Path::new(&root).exists() || self.is_copy(entry, Utf8Path::new(&root)))
            {
                self.roots.add(&root);
            }
        }
    }

    /// Whether another environment has the same script, so that this one was copied from there.
    fn is_copy(&self, script: &Entry, other: &Utf8Path) -> bool {
        if !other.join("pyvenv.cfg").exists() {
            return false;
        }
        let there = other.join("bin").join(script.path.name());
        let own = self.environment.text(&script.path, TEXT_LIMIT).ok().flatten();
        own.is_some_and(|own| fs::read(&there).is_ok_and(|there| there == own))
    }

    /// Links into the environment become relative; those to the interpreter may lead out of it.
    fn links(&mut self) {
        for entry in &self.environment.entries {
            let EntryKind::Link(target) = &entry.kind else {
                continue;
            };
            if !target.is_absolute() {
                continue;
            }
            let path = &entry.path;
            let folder = path.parent();
            match self.roots.strip(target.as_str()).map(str::to_owned) {
                Some(inside) => self.link(
                    path,
                    &relative_from(folder.as_ref().map_or("", TreePath::as_str), &inside),
                ),
                None if entry
                    .in_scripts()
                    .is_some_and(|name| is_interpreter_name(&name.to_ascii_lowercase())) => {}
                None => self.leave(path, format!("a link to {target}, outside of the environment")),
            }
        }
    }

    fn configuration_and_activators(&mut self, text: &str) {
        let path = TreePath::parse("pyvenv.cfg").expect("a plain name");
        let configuration = relocate::configuration(text, &self.roots);
        for key in &configuration.unknown {
            self.leave(&path, format!("the key `{key}` names the environment's place"));
        }
        if self.interpreter(&configuration.base) {
            self.write(
                Turn::Configuration,
                &path,
                Some(text.as_bytes()),
                configuration.text.clone().into_bytes(),
            );
        } else {
            self.leave(&path, "`home` must stay, because bin/python is a copy of an interpreter that is not there");
        }
        let Some(site_packages) = self.site_packages() else {
            return;
        };
        // Where `bin` is a link, activation scripts are not the environment's own.
        if self.environment.get("bin").is_some() {
            return;
        }
        let variables = ActivateVariables {
            prompt: configuration.prompt.as_deref(),
            scripts: "bin",
            site_packages: &site_packages,
        };
        for shell in Shell::ALL {
            let rendered: Vec<(TreePath, Vec<u8>)> = activate::render(shell, &variables)
                .into_iter()
                .filter_map(|(name, bytes)| {
                    Some((TreePath::parse(&format!("bin/{name}")).ok()?, bytes))
                })
                .collect();
            let mut olds = Vec::new();
            for (path, _) in &rendered {
                let there = self.environment.get(path.as_str());
                let old = if there.is_some_and(Entry::is_file) {
                    self.text(path, TEXT_LIMIT)
                } else {
                    None
                };
                olds.push((there.is_some(), old));
            }
            if !olds.iter().flat_map(|(_, old)| old).any(|old| self.roots.named_in(old)) {
                continue;
            }
            for ((path, bytes), (there, old)) in rendered.into_iter().zip(olds) {
                // What is there and could not be read is listed already.
                if old.is_some() || !there {
                    self.write(Turn::Activator, &path, old.as_deref(), bytes);
                }
            }
        }
    }

    /// Copies of the interpreter become links to it: a copy cannot find its library without `home`.
    /// Returns whether `home` may be empty.
    fn interpreter(&mut self, base: &(Option<String>, Option<String>)) -> bool {
        let mut binaries = Vec::new();
        for entry in self.in_scripts() {
            let is_interpreter = entry
                .in_scripts()
                .is_some_and(|name| is_interpreter_name(&name.to_ascii_lowercase()));
            // A launcher is a script, and finds its way.
            if is_interpreter && !self.head(&entry.path).starts_with(b"#!") {
                binaries.push(entry.path.clone());
            }
        }
        if binaries.is_empty() {
            return true;
        }
        let is_base = |path: &Utf8PathBuf| {
            path.is_absolute() && path.is_file() && self.roots.strip(path.as_str()).is_none()
        };
        let beside = base.1.iter().flat_map(|home| {
            binaries.iter().rev().map(move |path| Utf8Path::new(home).join(path.name()))
        });
        let Some(target) = base.0.iter().map(Utf8PathBuf::from).chain(beside).find(is_base) else {
            return false;
        };
        for path in &binaries {
            let first = path.name() == "python" || self.environment.get("bin/python").is_none();
            self.link(path, if first { target.as_str() } else { "python" });
        }
        true
    }

    fn scripts(&mut self) {
        for entry in self.in_scripts() {
            let Some(root) = relocate::script_root(&self.head(&entry.path)) else {
                continue;
            };
            let Some(bytes) = self.text(&entry.path, TEXT_LIMIT) else {
                continue;
            };
            match relocate::script(&bytes, &self.roots) {
                Some(Ok(rewritten)) => self.write(Turn::Rest, &entry.path, Some(&bytes), rewritten),
                Some(Err(error)) => self.leave(&entry.path, error.to_string()),
                None if Utf8Path::new(&root).join("pyvenv.cfg").exists() => self.leave(
                    &entry.path,
                    format!("it starts the interpreter of another environment, {root}"),
                ),
                None => {}
            }
        }
    }

    fn path_files(&mut self) {
        for entry in self.environment.files() {
            let Some((folder, name)) = entry.path.as_str().rsplit_once('/') else {
                continue;
            };
            if !folder.ends_with("/site-packages") {
                continue;
            }
            if name.ends_with(".egg-link") {
                self.leave(
                    &entry.path,
                    "an editable install, whose code lies outside of the environment",
                );
            }
            if !name.ends_with(".pth") {
                continue;
            }
            let Some(bytes) = self.text(&entry.path, TEXT_LIMIT) else {
                continue;
            };
            let path_file = relocate::path_file(&bytes, folder, &self.roots);
            if name.starts_with("__editable__") && path_file.left.is_empty() {
                self.leave(
                    &entry.path,
                    "an editable install, whose code may lie outside of the environment",
                );
            }
            for line in &path_file.left {
                self.leave(&entry.path, format!("the line `{line}` leads to an absolute place"));
            }
            self.write(Turn::Rest, &entry.path, Some(&bytes), path_file.bytes);
        }
    }

    /// Kernels of Jupyter, which start the environment's interpreter.
    fn kernels(&mut self) {
        for entry in
            self.environment.files().filter(|entry| relocate::is_kernel(entry.path.as_str()))
        {
            let Some(bytes) = self.text(&entry.path, TEXT_LIMIT) else {
                continue;
            };
            if let Some(rewritten) = relocate::kernel(&bytes, &self.roots) {
                self.write(Turn::Rest, &entry.path, Some(&bytes), rewritten);
            }
        }
    }

    /// Writes all changes beside their places, and the rows of RECORD that follow from them.
    fn stage(&mut self) -> Result<Writer<'a>, FsError> {
        let mut writer = Writer::new(self.environment);
        let changes: Vec<(TreePath, Turn)> =
            self.changes.iter().map(|(path, (turn, _))| (path.clone(), *turn)).collect();
        for (path, turn) in changes {
            self.stage_one(&mut writer, turn, &path)?;
        }
        let digest = |(path, (_, change)): (&TreePath, &(Turn, Change))| match change {
            Change::Bytes(bytes) => Some((path.clone(), (Hash::sha256(bytes), bytes.len() as u64))),
            Change::Link(_) => None,
        };
        let digests: BTreeMap<TreePath, (Hash, u64)> =
            self.changes.iter().filter_map(digest).collect();
        if digests.is_empty() {
            return Ok(writer);
        }
        for entry in self
            .environment
            .files()
            .filter(|entry| entry.path.as_str().ends_with(".dist-info/RECORD"))
        {
            let Some(site_packages) = entry.path.parent().and_then(|dist_info| dist_info.parent())
            else {
                continue;
            };
            let Some(bytes) = self.text(&entry.path, RECORD_LIMIT) else {
                continue;
            };
            if let Some(rewritten) =
                relocate::record(&bytes, &site_packages, |path| digests.get(path).copied())
                && rewritten != bytes
            {
                self.changes.insert(entry.path.clone(), (Turn::Record, Change::Bytes(rewritten)));
                self.stage_one(&mut writer, Turn::Record, &entry.path)?;
            }
        }
        Ok(writer)
    }

    fn stage_one(
        &mut self,
        writer: &mut Writer<'a>,
        turn: Turn,
        path: &TreePath,
    ) -> Result<(), FsError> {
        let Some((_, change)) = self.changes.get(path) else {
            return Ok(());
        };
        match writer.stage(turn, path, self.environment.get(path.as_str()), change) {
            Ok(()) => Ok(()),
            Err(StageError::Left(reason)) => {
                self.changes.remove(path);
                self.leave(path, reason);
                Ok(())
            }
            Err(StageError::Fatal(error)) => Err(error),
        }
    }

    /// Whatever else names the environment's place. Returns the number of files of bytecode that
    /// do.
    fn look_for_rest(&mut self, threads: usize) -> usize {
        let files: Vec<&Entry> = self.environment.files().collect();
        let (environment, roots, changes) = (self.environment, &self.roots, &self.changes);
        let odd = &environment.odd;
        let named = parallel::map(
            threads,
            files.len() + odd.len(),
            |index| -> Result<_, std::convert::Infallible> {
                Ok(match files.get(index) {
                    Some(entry) => match changes.get(&entry.path) {
                        Some((_, Change::Bytes(bytes))) => {
                            Ok(roots.named_in(bytes).then_some(Named::Text))
                        }
                        Some((_, Change::Link(_))) => Ok(None),
                        None => environment.search(&entry.path, roots),
                    },
                    None => environment.search_odd(&odd[index - files.len()], roots),
                })
            },
        )
        .unwrap_or_else(|never| match never {});
        let mut bytecode = 0;
        let mut named = named.into_iter();
        for (entry, outcome) in files.iter().zip(named.by_ref()) {
            let path = entry.path.as_str();
            match self.or_leave(&entry.path, outcome).flatten() {
                None => {}
                Some(Named::Binary) if path.ends_with(".pyc") => bytecode += 1,
                // A line of it was named already.
                Some(_) if path.ends_with(".pth") || path == "pyvenv.cfg" => {}
                Some(Named::Binary) => {
                    self.leave(&entry.path, "compiled code names the environment's place")
                }
                Some(Named::Text) => {
                    self.leave(&entry.path, "the text names the environment's place")
                }
            }
        }
        for (path, outcome) in odd.iter().zip(named) {
            let reason = match outcome {
                Ok(None) => continue,
                Ok(Some(_)) => {
                    "it names the environment's place, and has a name that cannot be handled"
                        .to_owned()
                }
                Err(error) => format!("it cannot be read: {}", error.source),
            };
            self.left.insert((shown(path), reason));
        }
        bytecode
    }

    /// The environment's `site-packages`, relative to it.
    fn site_packages(&self) -> Option<String> {
        let folder = |entry: &Entry| {
            let (folder, _) =
                entry.path.as_str().strip_prefix("lib/")?.split_once("/site-packages/")?;
            (!folder.contains('/')).then(|| format!("lib/{folder}/site-packages"))
        };
        let found = self.environment.entries.iter().find_map(folder);
        // An empty one is no entry.
        found.or_else(|| {
            let versions = self.place.join("lib").read_dir_utf8().ok()?.flatten();
            let mut folders: Vec<String> =
                versions.map(|entry| format!("lib/{}/site-packages", entry.file_name())).collect();
            folders.sort();
            folders.into_iter().find(|folder| self.place.join(folder).is_dir())
        })
    }
}
