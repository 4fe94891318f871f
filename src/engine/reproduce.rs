//! Whether bytecode is the same however often it is made.
//!
//! Part of the engine. Everything is compiled twice: in order by interpreters that have just
//! started, and in another order, with other hashes, by some that have imported a good part of the
//! standard library. The two are compared with each other, and with what an environment has.

use camino::{Utf8Path, Utf8PathBuf};

use crate::effects::host::fs::Directory;
use crate::effects::interpreters::compile::{Compiled, Compilers, History, Job};
use crate::effects::work::progress::{Amount, Phase};
use crate::engine::bytecode;
use crate::engine::inputs::Inputs;
use crate::engine::places::Places;
use crate::engine::session::Session;
use crate::error::Error;
use crate::model::bytecode::overlay::Recipe;
use crate::model::digest::Digest;
use crate::model::explain::{ErrorKind, Explain, Explanation};
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
            "is the compiler the one that made it? Else it is a bug: report it, with the file",
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
        let Module { name, content, sha256, size, .. } = &modules[index];
        let digest = Digest { hash: *sha256, size: *size };
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
            let compilers = Compilers::start(python, recipe.compiler, history, session.threads)?;
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
fn in_tree(tree: &Directory, recipe: &Recipe, module: &Module) -> Option<Vec<u8>> {
    let path = recipe.cached_path(&module.path)?;
    let (folder, name) = path.as_str().rsplit_once('/')?;
    let mut file = tree.open_below(folder).ok()?.open_file(name).ok()?;
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut file, &mut bytes).ok()?;
    Some(bytes)
}
