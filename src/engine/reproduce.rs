//! Whether bytecode is the same however often it is made.
//!
//! Part of the engine. Everything is compiled twice: in order by interpreters that have just
//! started, and in another order, with other hashes, by some that have imported a good part of the
//! standard library. The two are compared with each other, and with what an environment has.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};

use crate::effects::host::fs::Directory;
use crate::effects::interpreters::compile::{Compiled, Compilers, History, Job};
use crate::effects::scan::{self, View};
use crate::effects::work::progress::{Amount, Phase};
use crate::engine::bytecode;
use crate::engine::inputs::Inputs;
use crate::engine::places::Places;
use crate::engine::session::Session;
use crate::error::Error;
use crate::model::bytecode::overlay::Recipe;
use crate::model::bytecode::{Level, Validation, modules, validation_of};
use crate::model::digest::{Digest, DigestFunction};
use crate::model::explain::{ErrorKind, Explain, Explanation};
use crate::model::path::TreePath;
use crate::model::plan::bytecode::{self as planned, Module};
use crate::model::spec::Spec;

/// Bytecode that is not the same twice, or not the one that is there.
#[derive(Debug, thiserror::Error)]
#[error("the bytecode of {} is not what is made again: {}", count(.0.len()), .0.join(", "))]
pub struct Unreproducible(pub Vec<String>);

fn count(files: usize) -> String {
    if files == 1 { "1 module".to_owned() } else { format!("{files} modules") }
}

impl Explain for Unreproducible {
    fn explain(&self) -> Explanation {
        ErrorKind::Verification.hint(
            "was the module edited since, or is the compiler another one than made it? Else it is a bug: report it, with the file",
        )
    }

    fn code(&self) -> Option<&'static str> {
        Some("bytecode.unreproducible")
    }
}

/// What was compiled twice.
#[derive(Debug, Default)]
pub struct Reproduced {
    /// How many modules, each counted once for each level.
    pub modules: usize,
    /// How many files of an environment were compared.
    pub compared: usize,
    /// What is different: paths in the environment.
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
    let plain = Spec { bytecode: None, ..spec.clone() };
    let prepared = Inputs::new(session, plain, places)?.load(None, None)?;
    let modules = planned::modules(&prepared.plan, &spec);
    let tree = tree.map(|tree| Directory::open(tree)).transpose()?;
    let supply = prepared.supply();
    let read = |index: usize| {
        let Module { name, content, sha256, size, .. } = modules[index];
        let digest = Digest { hash: sha256, size };
        bytecode::read(&supply, content, digest)
            .map(|source| Job { name: name.to_string(), source })
    };
    let sizes: Vec<u64> = modules.iter().map(|module| module.size).collect();
    // As good as any other order.
    let shuffled: Vec<u64> =
        (0..sizes.len() as u64).map(|index| index.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
    let mut found = Reproduced::default();
    for recipe in wanted.recipes() {
        let mut made = Vec::new();
        for (history, order) in [(History::Clean, &sizes), (History::Dirty, &shuffled)] {
            let total = Amount { items: sizes.len() as u64, bytes: 0 };
            session.progress.begin(Phase::Compiling, total);
            let compilers = Compilers::start(python, recipe.compiler, history, session.threads())?;
            made.push(compilers.compile(&recipe, order, |index| {
                session.progress.advance(1, 0);
                read(index)
            })?);
        }
        for (index, module) in modules.iter().enumerate() {
            let same = made[0][index] == made[1][index];
            let there = tree.as_ref().and_then(|tree| in_tree(tree, &recipe, module));
            let fits = match (&there, &made[0][index]) {
                (None, _) => tree.is_none() || matches!(made[0][index], Compiled::Skipped(_)),
                (Some(bytes), Compiled::Bytecode(expected)) => bytes == expected,
                (Some(_), Compiled::Skipped(_)) => false,
            };
            found.compared += usize::from(there.is_some());
            if !same || !fits {
                found.different.push(module.path.to_string());
            }
        }
        found.modules += modules.len();
    }
    Ok(found)
}

/// The bytecode of a module in an environment.
fn in_tree(tree: &Directory, recipe: &Recipe, module: &Module<'_>) -> Option<Vec<u8>> {
    bytes_of(tree, &recipe.cached_path(module.path)?)
}

/// The bytes of a file in an environment.
fn bytes_of(tree: &Directory, path: &TreePath) -> Option<Vec<u8>> {
    let (folder, name) = path.as_str().rsplit_once('/')?;
    let mut file = tree.open_below(folder).ok()?.open_file(name).ok()?;
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut file, &mut bytes).ok()?;
    Some(bytes)
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
    let paths: BTreeSet<TreePath> = scanned.tree.leaves().map(|(path, _)| path).collect();
    let directory = Directory::open(tree)?;
    let mut recipes: BTreeMap<(Level, bool), Vec<There<'_>>> = BTreeMap::new();
    for (source, name) in
        paths.iter().filter_map(|path| Some((path, modules::name_in_tree(path.as_str())?)))
    {
        for level in Level::ALL {
            let recipe = Recipe { compiler, level, validation: Validation::Unchecked };
            let cached = recipe.cached_path(source).filter(|cached| paths.contains(cached));
            let bytes = cached.and_then(|cached| bytes_of(&directory, &cached));
            let Some(bytes) = bytes else { continue };
            if let Some(validation) = validation_of(&bytes) {
                let there = There { source, name, bytes };
                recipes.entry((level, validation == Validation::Checked)).or_default().push(there);
            }
        }
    }
    let mut found = Reproduced::default();
    for ((level, checked), there) in recipes {
        let validation = if checked { Validation::Checked } else { Validation::Unchecked };
        let recipe = Recipe { compiler, level, validation };
        // The order of one is not that of the other.
        let sizes: Vec<u64> = (0..there.len() as u64).collect();
        let reversed: Vec<u64> = sizes.iter().rev().copied().collect();
        let mut made = Vec::new();
        for (history, order) in [(History::Clean, &sizes), (History::Dirty, &reversed)] {
            let total = Amount { items: sizes.len() as u64, bytes: 0 };
            session.progress.begin(Phase::Compiling, total);
            let compilers = Compilers::start(python, compiler, history, session.threads())?;
            made.push(compilers.compile(&recipe, order, |index| {
                session.progress.advance(1, 0);
                let There { source, name, .. } = &there[index];
                let source = bytes_of(&directory, source).unwrap_or_default();
                Ok::<_, Error>(Job { name: (*name).to_owned(), source })
            })?);
        }
        for (index, There { source, bytes, .. }) in there.iter().enumerate() {
            let is_there =
                |compiled: &Compiled| matches!(compiled, Compiled::Bytecode(made) if made == bytes);
            if !made.iter().all(|made| is_there(&made[index])) {
                found.different.push(source.to_string());
            }
        }
        found.modules += there.len();
        found.compared += there.len();
    }
    Ok(found)
}

/// A module whose bytecode is in an environment.
struct There<'t> {
    source: &'t TreePath,
    name: &'t str,
    bytes: Vec<u8>,
}
