//! Making an existing environment relocatable, file by file.
//!
//! Effects layer. What each file becomes is decided in `model::relocate`. A file changes as a whole or not at all, keeps its mode, and is
//! left alone where it is right already, so that the same can be done again at any time. What names the environment's place and
//! cannot be helped is listed.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};

use crate::effects::fs::{self, FsError, failed};
use crate::effects::parallel;
use crate::model::activate::{self, ActivateVariables, Shell};
use crate::model::digest::Hash;
use crate::model::layout::is_interpreter_name;
use crate::model::path::{TreePath, relative_from};
use crate::model::relocate::{self, Roots};

/// What was done to an environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Relocation {
    /// The files that were rewritten, relative to the environment.
    pub changed: Vec<String>,
    /// What still leads to an absolute place, and why, by path.
    pub left: Vec<(String, String)>,
    /// Files of bytecode that name the place. That does no harm: Python puts the right path in when it loads them.
    pub bytecode: usize,
}

/// Why an environment could not be made relocatable.
#[derive(Debug, thiserror::Error)]
pub enum RelocateError {
    /// A file operation failed. What was rewritten until then stays so.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// It is for Windows.
    #[error("`{path}` is an environment for Windows, whose programs cannot be rewritten")]
    Windows {
        /// The environment.
        path: Utf8PathBuf,
    },
}

/// An entry of the environment.
struct Found {
    path: TreePath,
    link: Option<Utf8PathBuf>,
}

/// Makes the environment at `place` relocatable.
///
/// # Errors
/// A file cannot be read or written.
pub fn relocate(place: &Utf8Path, threads: usize) -> Result<Relocation, RelocateError> {
    if !place.join("bin").is_dir() && place.join("Scripts").is_dir() {
        return Err(RelocateError::Windows { path: place.to_owned() });
    }
    let mut found = Vec::new();
    let mut report = Relocation::default();
    visit(place, "", &mut found, &mut report)?;
    found.sort_by(|left, right| left.path.cmp(&right.path));
    let mut work = Work { place, roots: Roots::new(), report, changed: BTreeMap::new() };
    work.find_roots(&found)?;
    work.links(&found)?;
    work.configuration_and_activators(&found)?;
    work.scripts(&found)?;
    work.path_files(&found)?;
    work.records(&found)?;
    work.look_for_rest(&found, threads)?;
    work.report.changed.sort();
    work.report.changed.dedup();
    work.report.left.sort();
    work.report.left.dedup();
    Ok(work.report)
}

/// Lists files and links. What has no name that a tree may hold is only reported.
fn visit(place: &Utf8Path, below: &str, found: &mut Vec<Found>, report: &mut Relocation) -> Result<(), FsError> {
    let directory = place.join(below);
    let directory = if below.is_empty() { place } else { &directory };
    for entry in std::fs::read_dir(directory).map_err(failed("list", directory))? {
        let entry = entry.map_err(failed("list", directory))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let path = if below.is_empty() { name.into_owned() } else { format!("{below}/{name}") };
        let kind = entry.file_type().map_err(failed("look at", &place.join(&path)))?;
        if kind.is_dir() {
            visit(place, &path, found, report)?;
            continue;
        }
        let full = place.join(&path);
        let link = if kind.is_symlink() { full.read_link_utf8().ok() } else { None };
        match TreePath::parse(&path) {
            Ok(path) if kind.is_file() || link.is_some() => found.push(Found { path, link }),
            _ => report.left.push((path, "it is no file, or has a name that cannot be handled".to_owned())),
        }
    }
    Ok(())
}

struct Work<'a> {
    place: &'a Utf8Path,
    roots: Roots,
    report: Relocation,
    changed: BTreeMap<TreePath, (Hash, u64)>,
}

impl Work<'_> {
    fn read(&self, path: &TreePath) -> Result<Vec<u8>, FsError> {
        fs::read(&self.place.join(path.as_str()))
    }

    /// Writes a file, if its bytes change.
    fn write(&mut self, path: &TreePath, old: Option<&[u8]>, new: &[u8]) -> Result<(), FsError> {
        if old == Some(new) {
            return Ok(());
        }
        let full = self.place.join(path.as_str());
        let mode = full.metadata().map_or(0o644, |metadata| metadata.permissions().mode() & 0o7777);
        fs::write_atomically(&full, |out| out.write_all(new))?;
        if mode != 0o644 {
            std::fs::set_permissions(&full, std::fs::Permissions::from_mode(mode)).map_err(failed("set the mode of", &full))?;
        }
        self.changed.insert(path.clone(), (Hash::sha256(new), new.len() as u64));
        self.report.changed.push(path.to_string());
        Ok(())
    }

    /// Puts a link in the place of whatever file is there.
    fn link(&mut self, path: &TreePath, target: &str) -> Result<(), FsError> {
        let full = self.place.join(path.as_str());
        let temporary = full.with_file_name(format!(".venvtree-{}", path.name()));
        let _ = std::fs::remove_file(&temporary);
        std::os::unix::fs::symlink(target, &temporary).map_err(failed("create", &temporary))?;
        std::fs::rename(&temporary, &full).map_err(failed("write", &full))?;
        self.report.changed.push(path.to_string());
        Ok(())
    }

    fn leave(&mut self, path: &TreePath, reason: impl Into<String>) {
        self.report.left.push((path.to_string(), reason.into()));
    }

    /// Where the environment is and was: its path as given and as it is, what its activation script and configuration say, and where
    /// scripts look for an interpreter that is no longer there.
    fn find_roots(&mut self, found: &[Found]) -> Result<(), FsError> {
        let mut former = Roots::new();
        if let Ok(bytes) = fs::read(&self.place.join("bin/activate")) {
            former.add_activated(&String::from_utf8_lossy(&bytes));
        }
        let text = fs::read_text(&self.place.join("pyvenv.cfg"))?;
        if let Some(made_at) = relocate::configuration(&text, &Roots::new()).made_at {
            former.add(&made_at);
        }
        // An environment that was copied names one that is still there; nothing else that is there is ours.
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
        for entry in found.iter().filter(|entry| entry.link.is_none() && in_scripts(&entry.path).is_some()) {
            if let Some(root) = relocate::script_root(&self.head(&entry.path)?)
                && !Utf8Path::new(&root).exists()
            {
                self.roots.add(&root);
            }
        }
        Ok(())
    }

    /// The beginning of a file: enough for a line or two.
    fn head(&self, path: &TreePath) -> Result<Vec<u8>, FsError> {
        use std::io::Read as _;
        let full = self.place.join(path.as_str());
        let mut head = Vec::new();
        let file = std::fs::File::open(&full).map_err(failed("read", &full))?;
        file.take(16 << 10).read_to_end(&mut head).map_err(failed("read", &full))?;
        Ok(head)
    }

    /// Links into the environment become relative; those to the interpreter may lead out of it.
    fn links(&mut self, found: &[Found]) -> Result<(), FsError> {
        for Found { path, link } in found {
            let Some(target) = link else { continue };
            if !target.is_absolute() {
                continue;
            }
            let folder = path.parent();
            match self.roots.strip(target.as_str()).map(str::to_owned) {
                Some(inside) => {
                    let relative = relative_from(folder.as_ref().map_or("", TreePath::as_str), &inside);
                    self.link(path, &relative)?;
                }
                None if in_scripts(path).is_some_and(|name| is_interpreter_name(&name.to_ascii_lowercase())) => {}
                None => self.leave(path, format!("a link to {target}, outside of the environment")),
            }
        }
        Ok(())
    }

    fn configuration_and_activators(&mut self, found: &[Found]) -> Result<(), FsError> {
        let path = TreePath::parse("pyvenv.cfg").expect("a plain name");
        let text = fs::read_text(&self.place.join(path.as_str()))?;
        let configuration = relocate::configuration(&text, &self.roots);
        for key in &configuration.unknown {
            self.leave(&path, format!("the key `{key}` names the environment's place"));
        }
        if self.interpreter(found, &configuration.base)? {
            self.write(&path, Some(text.as_bytes()), configuration.text.as_bytes())?;
        } else {
            self.leave(&path, "`home` must stay, because bin/python is a copy of an interpreter that is not there");
        }
        let Some(site_packages) = site_packages(self.place) else { return Ok(()) };
        let variables =
            ActivateVariables { prompt: configuration.prompt.as_deref(), scripts: "bin", site_packages: site_packages.as_str() };
        for shell in Shell::ALL {
            let rendered: Vec<(TreePath, Vec<u8>)> = activate::render(shell, &variables)
                .into_iter()
                .filter_map(|(name, bytes)| Some((TreePath::parse(&format!("bin/{name}")).ok()?, bytes)))
                .collect();
            let mut baked = false;
            for (path, _) in &rendered {
                baked |= self.place.join(path.as_str()).is_file() && self.roots.named_in(&self.read(path)?);
            }
            if baked {
                for (path, bytes) in &rendered {
                    let old = self.read(path).ok();
                    self.write(path, old.as_deref(), bytes)?;
                }
            }
        }
        Ok(())
    }

    /// Copies of the interpreter become links to it: a copy cannot find its library without `home`. Returns whether `home` may be empty.
    fn interpreter(&mut self, found: &[Found], base: &(Option<String>, Option<String>)) -> Result<bool, FsError> {
        let copies: Vec<TreePath> = found
            .iter()
            .filter(|entry| {
                entry.link.is_none() && in_scripts(&entry.path).is_some_and(|name| is_interpreter_name(&name.to_ascii_lowercase()))
            })
            .map(|entry| entry.path.clone())
            .collect();
        let mut binaries = Vec::new();
        for path in copies {
            // A launcher is a script, and finds its way.
            if !self.head(&path)?.starts_with(b"#!") {
                binaries.push(path);
            }
        }
        if binaries.is_empty() {
            return Ok(true);
        }
        let is_base = |path: &Utf8PathBuf| path.is_absolute() && path.is_file() && self.roots.strip(path.as_str()).is_none();
        let beside = base.1.iter().flat_map(|home| binaries.iter().rev().map(move |path| Utf8Path::new(home).join(path.name())));
        let Some(target) = base.0.iter().map(Utf8PathBuf::from).chain(beside).find(is_base) else { return Ok(false) };
        for path in &binaries {
            let target = if path.name() == "python" || !self.place.join("bin/python").exists() { target.as_str() } else { "python" };
            self.link(path, target)?;
        }
        Ok(true)
    }

    fn scripts(&mut self, found: &[Found]) -> Result<(), FsError> {
        for entry in found.iter().filter(|entry| entry.link.is_none() && in_scripts(&entry.path).is_some()) {
            if relocate::script_root(&self.head(&entry.path)?).is_none() {
                continue;
            }
            let bytes = self.read(&entry.path)?;
            match relocate::script(&bytes, &self.roots) {
                Some(Ok(rewritten)) => self.write(&entry.path, Some(&bytes), &rewritten)?,
                Some(Err(error)) => self.leave(&entry.path, error.to_string()),
                None => {}
            }
        }
        Ok(())
    }

    fn path_files(&mut self, found: &[Found]) -> Result<(), FsError> {
        for entry in found.iter().filter(|entry| entry.link.is_none()) {
            let Some((folder, name)) = entry.path.as_str().rsplit_once('/') else { continue };
            if !folder.ends_with("/site-packages") {
                continue;
            }
            if name.ends_with(".egg-link") {
                self.leave(&entry.path, "an editable install, whose code lies outside of the environment");
            }
            if !name.ends_with(".pth") {
                continue;
            }
            let bytes = self.read(&entry.path)?;
            let path_file = relocate::path_file(&bytes, folder, &self.roots);
            self.write(&entry.path, Some(&bytes), &path_file.bytes)?;
            if name.starts_with("__editable__") && path_file.left.is_empty() {
                self.leave(&entry.path, "an editable install, whose code may lie outside of the environment");
            }
            for line in path_file.left {
                self.leave(&entry.path, format!("the line `{line}` leads to an absolute place"));
            }
        }
        Ok(())
    }

    /// Rows of what was rewritten.
    fn records(&mut self, found: &[Found]) -> Result<(), FsError> {
        if self.changed.is_empty() {
            return Ok(());
        }
        for entry in found.iter().filter(|entry| entry.link.is_none() && entry.path.as_str().ends_with(".dist-info/RECORD")) {
            let Some(site_packages) = entry.path.parent().and_then(|dist_info| dist_info.parent()) else { continue };
            let bytes = self.read(&entry.path)?;
            let changed = |path: &TreePath| self.changed.get(path).copied();
            if let Some(rewritten) = relocate::record(&bytes, &site_packages, changed) {
                self.write(&entry.path, Some(&bytes), &rewritten)?;
            }
        }
        Ok(())
    }

    /// Whatever else names the environment's place.
    fn look_for_rest(&mut self, found: &[Found], threads: usize) -> Result<(), FsError> {
        let files: Vec<&Found> = found.iter().filter(|entry| entry.link.is_none()).collect();
        let named = parallel::map(threads, files.len(), |index| -> Result<Option<bool>, FsError> {
            let bytes = self.read(&files[index].path)?;
            Ok(self.roots.named_in(&bytes).then(|| bytes.contains(&0)))
        })?;
        for (entry, binary) in files.into_iter().zip(named) {
            let path = entry.path.as_str();
            match binary {
                None => {}
                Some(true) if path.ends_with(".pyc") => self.report.bytecode += 1,
                // A line of it was named already.
                Some(_) if path.ends_with(".pth") || path == "pyvenv.cfg" => {}
                Some(true) => self.leave(&entry.path, "compiled code names the environment's place"),
                Some(false) => self.leave(&entry.path, "the text names the environment's place"),
            }
        }
        Ok(())
    }
}

/// The name of a file directly in `bin`.
fn in_scripts(path: &TreePath) -> Option<&str> {
    path.as_str().strip_prefix("bin/").filter(|name| !name.contains('/'))
}

/// The environment's `site-packages`, relative to it.
fn site_packages(place: &Utf8Path) -> Option<TreePath> {
    let versions = place.join("lib").read_dir_utf8().ok()?.flatten();
    let mut names: Vec<String> = versions.map(|entry| entry.file_name().to_owned()).collect();
    names.sort();
    let name = names.into_iter().find(|name| place.join("lib").join(name).join("site-packages").is_dir())?;
    TreePath::parse(&format!("lib/{name}/site-packages")).ok()
}
