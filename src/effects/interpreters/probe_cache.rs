//! What interpreters answered earlier, so that only the first `create` on a machine has to start
//! one.
//!
//! Effects layer. One small file for each interpreter's path. An answer counts as long as the
//! executable is the same file (device, inode, size, times) and so is its dynamic loader, which
//! comes with the C library that the answer names. An executable that is a script may lead anywhere
//! and is asked every time. Whatever is wrong with a file of the cache, it is a miss; that nothing
//! can be written is no error either.

use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::effects::caches::store::place::{Untrusted, check_mode, check_owner};
use crate::effects::host::atomic;
use crate::effects::host::fs::{self, Directory, Permissions};
use crate::effects::host::notes::Notes;
use crate::effects::interpreters::identity::{Identity, identify};
use crate::effects::interpreters::probe::{self, Probe, ProbeError};
use crate::model::digest::Hash;

/// The version of the files; another one is a miss. To be raised with every change of the question.
const VERSION: u32 = 1;
/// No answer has more bytes.
const LARGEST: u64 = 1 << 16;

/// Answers of interpreters in a directory, or nowhere.
#[derive(Debug, Clone, Default)]
pub struct ProbeCache {
    directory: Option<Utf8PathBuf>,
    notes: Notes,
}

/// A file of the cache.
#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    version: u32,
    executable: String,
    identity: Vec<Identity>,
    /// As the interpreter printed it.
    answer: String,
}

impl ProbeCache {
    /// A cache in a directory, which is made when there is something to put into it.
    pub fn new(directory: Option<Utf8PathBuf>, notes: Notes) -> Self {
        Self { directory, notes }
    }

    /// What an interpreter is; it is run only where that is not known.
    ///
    /// # Errors
    /// It cannot be run, fails, or is none that environments can be built for.
    pub fn probe(&self, python: &Utf8Path) -> Result<Probe, ProbeError> {
        self.probe_within(python, probe::PATIENCE)
    }

    /// The same, where the interpreter has less time to answer.
    ///
    /// # Errors
    /// As [`Self::probe`].
    pub fn probe_within(&self, python: &Utf8Path, patience: Duration) -> Result<Probe, ProbeError> {
        let known = self
            .directory
            .as_ref()
            .and_then(|directory| Some((self.place(directory, python), identify(python)?)));
        let ask = || probe::read_from(python, &probe::ask(python, patience)?);
        let Some((place, identity)) = known else {
            return ask();
        };
        match read(&place, python, &identity) {
            Ok(Some(probe)) => return Ok(probe),
            Ok(None) => {}
            Err(untrusted) => {
                self.notes.add(untrusted.with_hint());
                return ask();
            }
        }
        let answer = probe::ask(python, patience)?;
        let probe = probe::read_from(python, &answer)?;
        // Asked again: it could have been replaced while it ran.
        if identify(python).is_some_and(|again| again == identity) {
            write(&place, python, identity, &answer);
        }
        Ok(probe)
    }

    fn place(&self, directory: &Utf8Path, python: &Utf8Path) -> Utf8PathBuf {
        directory.join(format!("{}.json", &Hash::sha256(python.as_str().as_bytes()).to_hex()[..32]))
    }
}

/// What is known of an interpreter. It decides what is run, so it counts only where nobody but this
/// user could have written it.
fn read(
    place: &Utf8Path,
    python: &Utf8Path,
    identity: &[Identity],
) -> Result<Option<Probe>, Untrusted> {
    let (Some(parent), Some(name)) = (place.parent(), place.file_name()) else {
        return Ok(None);
    };
    let Ok(directory) = Directory::open(parent) else {
        return Ok(None);
    };
    let check = |path: &Utf8Path, metadata: std::io::Result<std::fs::Metadata>| match metadata {
        Ok(metadata) => check_owner(path, &metadata)
            .and_then(|()| check_mode(path, path, metadata.mode(), 0o022))
            .map(|()| Some(metadata)),
        Err(_) => Ok(None),
    };
    let handle = directory.handle().try_clone().map(std::fs::File::from);
    check(parent, handle.and_then(|handle| handle.metadata()))?;
    let Ok(file) = directory.open_file(name) else {
        return Ok(None);
    };
    let Some(metadata) = check(place, file.metadata())? else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    if !metadata.is_file() || file.take(LARGEST).read_to_end(&mut bytes).is_err() {
        return Ok(None);
    }
    let Ok(entry) = serde_json::from_slice::<Entry>(&bytes) else {
        return Ok(None);
    };
    let fits = entry.version == VERSION
        && entry.executable == python.as_str()
        && entry.identity == identity;
    Ok(if fits { probe::read(entry.answer.as_bytes()).ok() } else { None })
}

fn write(place: &Utf8Path, python: &Utf8Path, identity: Vec<Identity>, answer: &[u8]) {
    let Ok(answer) = std::str::from_utf8(answer) else {
        return;
    };
    let entry = Entry {
        version: VERSION,
        executable: python.to_string(),
        identity,
        answer: answer.to_owned(),
    };
    let (Some(directory), Ok(bytes)) = (place.parent(), serde_json::to_vec(&entry)) else {
        return;
    };
    if fs::create_directories(directory, Permissions::PRIVATE).is_ok() {
        let _ = atomic::write_atomically(place, |out| out.write_all(&bytes));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::effects::host::folder::folder;

    const ANSWER: &[u8] = br#"{"implementation":"cpython","version":"3.12.1","soabi":null,"debug":false,"free_threaded":false,
        "platform":"linux","machine":"x86_64","pointer_size":8,"glibc":"2.36","musl":null,"executable":"/opt/python","platlibdir":"lib","bundled_wheels":null}"#;

    #[test]
    fn an_answer_counts_for_the_same_file_only() {
        let (_guard, folder) = folder();
        let python = folder.join("python");
        std::fs::write(&python, "no script").unwrap();
        let place = folder.join("cache/entry.json");
        let identity = identify(&python).unwrap();
        assert!(read(&place, &python, &identity).unwrap().is_none());
        write(&place, &python, identity.clone(), ANSWER);
        assert_eq!(read(&place, &python, &identity).unwrap().unwrap().executable, "/opt/python");
        assert!(read(&place, &folder.join("other"), &identity).unwrap().is_none());
        std::fs::write(&python, "another").unwrap();
        assert!(read(&place, &python, &identify(&python).unwrap()).unwrap().is_none());
        for damage in [&b""[..], b"{}", b"\xff", b"{\"version\":1}"] {
            std::fs::write(&place, damage).unwrap();
            assert!(read(&place, &python, &identity).unwrap().is_none());
        }
    }

    #[test]
    fn a_script_is_asked_every_time() {
        let (_guard, folder) = folder();
        let python = folder.join("python");
        std::fs::write(
            &python,
            format!("#!/bin/sh\necho run >> '{folder}/log'\nexec cat '{folder}/answer'\n"),
        )
        .unwrap();
        std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::write(folder.join("answer"), ANSWER).unwrap();
        let cache = ProbeCache::new(Some(folder.join("cache")), Notes::new());
        for expected in ["run\n", "run\nrun\n"] {
            assert_eq!(cache.probe(&python).unwrap().interpreter.version.as_str(), "3.12.1");
            assert_eq!(std::fs::read_to_string(folder.join("log")).unwrap(), expected);
        }
        assert!(!folder.join("cache").exists());
    }

    #[test]
    fn the_loader_of_this_very_program_is_found() {
        let own = Utf8PathBuf::from_path_buf(std::env::current_exe().unwrap()).unwrap();
        let identities = identify(&own).unwrap();
        let expected =
            if cfg!(all(target_os = "linux", not(target_feature = "crt-static"))) { 2 } else { 1 };
        assert_eq!(identities.len(), expected);
    }
}
