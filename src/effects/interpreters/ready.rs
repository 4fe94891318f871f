//! Interpreters that are ready to compile, and those that wait for whoever compiles next.
//!
//! Effects layer. What an interpreter compiled before reaches no answer of it (that is what the
//! canonical form is for), so a process that serves many requests may hand it from one to the next.

use std::sync::{Arc, Mutex, PoisonError};

use camino::Utf8Path;

use crate::effects::host::child::Conversation;
use crate::effects::interpreters::identity::{Identity, identify};
use crate::model::bytecode::release::Compiler;

/// How many bytes of sources an interpreter compiles before another one takes its place: what it
/// once interned it keeps for ever.
const ENOUGH: u64 = 128 << 20;

/// An interpreter that has said who it is and has nothing to do.
#[derive(Debug)]
pub(super) struct Ready {
    pub(super) conversation: Conversation,
    /// How many bytes of sources it has compiled.
    compiled: u64,
}

impl Ready {
    /// One that has done nothing.
    pub(super) fn new(conversation: Conversation) -> Self {
        Self { conversation, compiled: 0 }
    }

    /// The same after it has compiled so many bytes; nothing where that is enough.
    pub(super) fn after(mut self, bytes: usize) -> Option<Self> {
        self.compiled += bytes as u64;
        (self.compiled < ENOUGH).then_some(self)
    }
}

/// The program that an interpreter was started from. It may lie at many places: each sandbox has a
/// link of its own to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program(Vec<Identity>);

impl Program {
    /// What lies there now; nothing where that is a script, which may start anything.
    pub(super) fn at(path: &Utf8Path) -> Option<Self> {
        identify(path).map(Self)
    }
}

/// An interpreter that waits, and what it is.
type Kept = (Program, Compiler, Ready);

/// Interpreters that wait for whoever compiles next in this process, which keeps at most so many:
/// none, unless it is said that it serves many.
#[derive(Debug, Clone, Default)]
pub struct Waiting {
    most: usize,
    known: Arc<Mutex<Vec<Kept>>>,
}

impl Waiting {
    /// Room for so many.
    pub fn at_most(most: usize) -> Self {
        Self { most, known: Arc::default() }
    }

    /// One that was started from this program and is this compiler.
    pub(super) fn take(&self, program: &Program, compiler: Compiler) -> Option<Ready> {
        let found = self.find(|one| one.0 == *program && one.1 == compiler);
        found.map(|(_, _, ready)| ready)
    }

    /// One that was started from this program, and which compiler it is.
    pub(super) fn take_any(&self, program: &Program) -> Option<(Compiler, Ready)> {
        self.find(|one| one.0 == *program).map(|(_, compiler, ready)| (compiler, ready))
    }

    fn find(&self, fits: impl Fn(&Kept) -> bool) -> Option<Kept> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.iter().rposition(fits)?;
        Some(known.remove(found))
    }

    /// Keeps some; those that have waited longest give way.
    pub(super) fn put(&self, program: &Program, compiler: Compiler, ready: Vec<Ready>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(ready.into_iter().map(|one| (program.clone(), compiler, one)));
        let surplus = known.len().saturating_sub(self.most);
        let gone: Vec<_> = known.drain(..surplus).collect();
        // To end one takes a moment.
        drop(known);
        drop(gone);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn ready() -> Ready {
        Ready::new(Conversation::start(&mut Command::new("cat")).unwrap())
    }

    #[test]
    fn only_the_same_program_and_compiler_are_handed_on() {
        let guard = tempfile::tempdir().unwrap();
        let path = Utf8Path::from_path(guard.path()).unwrap().join("python");
        std::fs::write(&path, "\x7fELF, say").unwrap();
        let program = Program::at(&path).unwrap();
        let [older, newer] =
            ["3.12.1", "3.12.10"].map(|version| Compiler::of_version(version).unwrap());
        let waiting = Waiting::at_most(2);
        waiting.put(&program, older, vec![ready(), ready(), ready()]);
        assert!(waiting.take(&program, newer).is_none());
        let link = path.with_extension("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(waiting.take(&Program::at(&link).unwrap(), older).is_some());
        std::fs::write(&path, "\x7fELF, another one").unwrap();
        assert!(waiting.take(&Program::at(&path).unwrap(), older).is_none());
        // Of three, two were kept.
        assert_eq!(waiting.take_any(&program).unwrap().0, older);
        assert!(waiting.take_any(&program).is_none());

        let none = Waiting::default();
        none.put(&program, older, vec![ready()]);
        assert!(none.take(&program, older).is_none());
        std::fs::write(&path, "#!/bin/sh\nexec another").unwrap();
        assert_eq!(Program::at(&path), None);
        assert_eq!(Program::at(&path.join("absent")), None);
    }

    #[test]
    fn who_has_compiled_enough_is_not_kept() {
        let half = usize::try_from(ENOUGH / 2).unwrap();
        assert!(ready().after(half).unwrap().after(half).is_none());
    }
}
