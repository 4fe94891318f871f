//! Whether bytecode is the same however often it is made.
//!
//! Part of the engine. Everything is compiled twice: in order by interpreters that have just
//! started, and in another order, with other hashes, by some that have imported a good part of the
//! standard library. The two are compared with each other, and with what an environment has.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _};

use camino::{Utf8Path, Utf8PathBuf};

use crate::effects::host::fs::{self, Directory, FsError};
use crate::effects::interpreters::compile::{Compilers, History, Job};
use crate::effects::scan::{self, View};
use crate::effects::work::progress::{Amount, Phase};
use crate::engine::inputs::Inputs;
use crate::engine::jobs;
use crate::engine::overlays;
use crate::engine::places::Places;
use crate::engine::session::Session;
use crate::error::Error;
use crate::model::bytecode::modules::name_in_tree;
use crate::model::bytecode::overlay::{Outcome, Recipe};
use crate::model::bytecode::release::Compiler;
use crate::model::bytecode::{HEADER, Level, Validation, is_by_time, marshal, validation_of};
use crate::model::digest::{DigestFunction, Hash};
use crate::model::explain::{ErrorKind, Explain, Explanation};
use crate::model::path::TreePath;
use crate::model::quantity::list;
use crate::model::spec::Spec;
use crate::model::tree::Leaf;

/// Why bytecode is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It is not the same twice, or not what is there: which.
    #[error("bytecode is not what is made again: {}", list(.0, SHOWN))]
    Different(Vec<String>),
    /// An environment has none that could be compared.
    #[error("`{tree}` has no bytecode that {compiler} could have made")]
    Nothing {
        /// The environment.
        tree: Utf8PathBuf,
        /// Who would have made it.
        compiler: Compiler,
    },
}

/// So many modules are named.
const SHOWN: usize = 10;

impl Explain for CheckError {
    fn explain(&self) -> Explanation {
        ErrorKind::Verification.hint(match self {
            Self::Different(_) => {
                "was the module edited since, or the environment moved after that, or is the compiler another one than made it? Else it is a bug: report it, with the file"
            }
            Self::Nothing { .. } => {
                "give the version of Python that the environment is for; what Python itself wrote while it ran is not compared"
            }
        })
    }

    fn code(&self) -> Option<&'static str> {
        Some(match self {
            Self::Different(_) => "bytecode.unreproducible",
            Self::Nothing { .. } => "bytecode.unavailable",
        })
    }
}

/// What was compiled twice.
#[derive(Debug, Default)]
pub struct Reproduced {
    /// How many modules, each counted once for each level.
    pub modules: usize,
    /// How many files of overlays and of an environment were compared.
    pub compared: usize,
    /// What is different: paths of bytecode in the environment.
    pub different: Vec<String>,
}

/// Compiles the modules of a spec twice, and compares; with the environment at `tree`, too.
///
/// # Errors
/// Inputs cannot be read, there is no plan, or a module cannot be compiled.
pub fn check(
    session: &Session,
    spec: Spec,
    places: &Places,
    python: &Utf8Path,
    tree: Option<&Utf8PathBuf>,
) -> Result<Reproduced, Error> {
    let Some(wanted) = spec.bytecode.clone() else {
        let hint = "write `\"bytecode\": {}` into it, as docs/bytecode.md explains";
        return Err(Error::usage("the spec asks for no bytecode").hint(hint));
    };
    let inputs = Inputs::new(session, spec.clone(), places)?;
    let prepared = inputs.without_bytecode().load(None, None)?;
    let of_plan = prepared.modules(&wanted.excluded());
    let tree = tree.map(|tree| Directory::open(tree)).transpose()?;
    let given = overlays::given(&spec, &wanted.levels, places)?;
    let mut found = Reproduced::default();
    for overlay in given.values().flatten() {
        if !overlay.is_whole() {
            found.different.push(overlay.path().to_string());
        }
        let (compiler, validation) = (wanted.compiler, wanted.validation);
        let level = overlay.document.recipe.level;
        overlay.check_recipe(&Recipe { compiler, level, validation })?;
    }
    let supply = prepared.supply();
    let sizes: Vec<u64> = of_plan.iter().map(|module| module.size).collect();
    // As good as any other order.
    let shuffled: Vec<u64> =
        (0..sizes.len() as u64).map(|index| index.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
    for recipe in wanted.recipes() {
        let orders = [sizes.clone(), shuffled.clone()];
        let read = |index: usize| jobs::of_module(&supply, &spec, &of_plan[index]);
        let made = twice(session, python, recipe, orders, read)?;
        for (index, module) in of_plan.iter().enumerate() {
            let outcome = &made[0][index];
            // A name that no file system takes has no bytecode.
            let Some(path) = recipe.cached_path(module.path) else { continue };
            if *outcome != made[1][index] {
                found.different.push(path.to_string());
                continue;
            }
            if let Some(overlay) = overlays::of(&given, module.owner, recipe.level) {
                found.compared += 1;
                if overlay.find(module.name, module.sha256, 0)?.outcome() != *outcome {
                    found.different.push(format!("{path} in {}", overlay.path()));
                }
            }
            let Some(tree) = &tree else { continue };
            match (there(tree, &path)?, outcome) {
                (None, Outcome::Compiled { .. }) => {
                    found.different.push(format!("{path} (missing)"));
                }
                (None, Outcome::Skipped(_)) => {}
                (Some(bytes), outcome) => {
                    found.compared += 1;
                    if !is_of(&bytes, outcome) {
                        found.different.push(path.to_string());
                    }
                }
            }
        }
        found.modules += of_plan.len();
    }
    Ok(found)
}

/// Compiles modules in two orders, which sizes stand for, by interpreters with different pasts.
fn twice(
    session: &Session,
    python: &Utf8Path,
    recipe: Recipe,
    [clean, dirty]: [Vec<u64>; 2],
    read: impl Fn(usize) -> Result<Job, Error> + Sync,
) -> Result<[Vec<Outcome>; 2], Error> {
    let compile = |history, order: Vec<u64>| {
        let total = Amount { items: order.len() as u64, bytes: 0 };
        session.progress.begin(Phase::Compiling, total);
        let compilers = Compilers::start(python, recipe.compiler, history, session.staff())?;
        let read = |index: usize| {
            session.progress.advance(1, 0);
            read(index)
        };
        compilers.compile(recipe, order, read, |compiled| compiled.outcome())
    };
    Ok([compile(History::Clean, clean)?, compile(History::Dirty, dirty)?])
}

/// A file in an environment, if it is there.
fn there(tree: &Directory, path: &TreePath) -> Result<Option<Vec<u8>>, FsError> {
    match bytes_of(tree, path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error)
            if matches!(
                error.source.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// What the bytecode of a source is called.
fn file_of(recipe: &Recipe, source: &TreePath) -> String {
    recipe.cached_path(source).unwrap_or_else(|| source.clone()).to_string()
}

/// Whether these are the bytes of an outcome.
fn is_of(bytes: &[u8], outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Compiled { sha256, .. } => Hash::sha256(bytes) == *sha256,
        Outcome::Skipped(_) => false,
    }
}

/// The bytes of a file in an environment.
fn bytes_of(tree: &Directory, path: &TreePath) -> Result<Vec<u8>, FsError> {
    let (folder, name) = path.as_str().rsplit_once('/').unwrap_or(("", path.as_str()));
    let mut file = tree.open_below(folder)?.open_file(name)?;
    let mut bytes = Vec::new();
    let read = file.read_to_end(&mut bytes);
    read.map_err(fs::failed("read", &tree.path().join(path.as_str())))?;
    Ok(bytes)
}

/// Compiles again, twice, what has bytecode in the environment at `tree`, whatever spec it was made
/// of, and compares. What Python itself wrote there, by times of sources, is passed over.
///
/// # Errors
/// The environment cannot be read, or a module cannot be compiled.
pub fn check_tree(
    session: &Session,
    tree: &Utf8Path,
    python: &Utf8Path,
) -> Result<Reproduced, Error> {
    let compiler = Compilers::ask(python)?;
    let scanned = scan::scan(tree, DigestFunction::Sha256, View::Exact, session.threads())?;
    // What is linked to is looked at elsewhere.
    let files = scanned.tree.leaves().filter(|(_, leaf)| matches!(leaf, Leaf::File { .. }));
    let paths: BTreeSet<TreePath> = files.map(|(path, _)| path).collect();
    let directory = Directory::open(tree)?;
    let mut found = Reproduced::default();
    let mut recipes: BTreeMap<(Level, Validation), Vec<There<'_>>> = BTreeMap::new();
    for (source, name) in paths.iter().filter_map(|path| Some((path, name_in_tree(path.as_str())?)))
    {
        for level in Level::ALL {
            let recipe = Recipe { compiler, level, validation: Validation::Unchecked };
            let cached = recipe.cached_path(source).filter(|cached| paths.contains(cached));
            let Some(cached) = cached else { continue };
            let bytes = bytes_of(&directory, &cached)?;
            match validation_of(&bytes) {
                // What is no bytecode was not made by anybody.
                None if is_by_time(&bytes) => {}
                None => found.different.push(cached.to_string()),
                Some(validation) => {
                    let there = There { source, name, sha256: Hash::sha256(&bytes) };
                    recipes.entry((level, validation)).or_default().push(there);
                }
            }
        }
    }
    if recipes.is_empty() && found.different.is_empty() {
        return Err(CheckError::Nothing { tree: tree.to_owned(), compiler }.into());
    }
    for ((level, validation), there) in recipes {
        let recipe = Recipe { compiler, level, validation };
        // The order of one is not that of the other.
        let sizes: Vec<u64> = (0..there.len() as u64).collect();
        let reversed: Vec<u64> = sizes.iter().rev().copied().collect();
        let read = |index: usize| {
            let There { source, name, .. } = &there[index];
            let (name, owner) = ((*name).to_owned(), "the environment".to_owned());
            Ok(Job { name, owner, source: bytes_of(&directory, source)? })
        };
        let made = twice(session, python, recipe, [sizes, reversed], read)?;
        let mut others = Vec::new();
        for (index, There { source, sha256: there, .. }) in there.iter().enumerate() {
            let is_there = |outcome: &Outcome| matches!(outcome, Outcome::Compiled { sha256, .. } if sha256 == there);
            match made[0][index] == made[1][index] {
                true if is_there(&made[0][index]) => {}
                true if validation == Validation::Checked => others.push(*source),
                _ => found.different.push(file_of(&recipe, source)),
            }
        }
        found.different.extend(if others.is_empty() {
            Vec::new()
        } else {
            let compilers = Compilers::start(python, compiler, History::Clean, session.staff())?;
            not_pythons_own(&directory, &compilers, recipe, &others)?
        });
        found.modules += there.len();
        found.compared += there.len();
    }
    Ok(found)
}

/// The bytecode of sources that is not what Python itself writes where an edited source has some that
/// it checks: the same code, in which the source has its place for a name.
fn not_pythons_own(
    tree: &Directory,
    compilers: &Compilers,
    recipe: Recipe,
    sources: &[&TreePath],
) -> Result<Vec<String>, Error> {
    let read = |index: usize| {
        let name = tree.path().join(sources[index].as_str()).into_string();
        let owner = "the environment".to_owned();
        Ok::<_, Error>(Job { name, owner, source: bytes_of(tree, sources[index])? })
    };
    let sizes = vec![0; sources.len()];
    let made = compilers.compile(recipe, sizes, read, |compiled| compiled.outcome())?;
    let mut others = Vec::new();
    for (source, made) in sources.iter().zip(made) {
        let path = recipe.cached_path(source).expect("it was read before");
        let there = bytes_of(tree, &path)?;
        let code = there.split_at_checked(HEADER);
        let canonical = code.and_then(|(header, code)| marshal::module(header, code).ok());
        if !canonical.is_some_and(|canonical| is_of(&canonical, &made)) {
            others.push(path.to_string());
        }
    }
    Ok(others)
}

/// A module whose bytecode is in an environment.
struct There<'t> {
    source: &'t TreePath,
    name: &'t str,
    sha256: Hash,
}
