//! Wheels on disk: loaded as far as planning needs them, then read member by member.
//!
//! Effects layer. What the bytes mean is decided in `model::wheel`. Loading inflates the texts of
//! `.dist-info`, the beginnings of scripts and the members that RECORD has no SHA-256 for, and
//! nothing else; hashes are RECORD's claims until [`Wheel::stream`] or [`Wheel::read`] has the
//! bytes. A wheel is loaded by its path and its file name, which need not be the path's; one whose
//! manifest is known need not have a file until its bytes are asked for.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use camino::{Utf8Path, Utf8PathBuf};

use crate::effects::host::file_hash::FileHash;
use crate::effects::host::input::{InputError, InputFile};
use crate::effects::wheels::examine::{examine_members, examine_paths};
use crate::effects::wheels::inflate::{Inflater, is_small, with_inflater};
use crate::effects::wheels::member::{MemberError, MemberRef, Stop, ZipFile};
use crate::effects::wheels::reading::Reading;
use crate::effects::wheels::zip_file;
use crate::model::digest::Hash;
use crate::model::explain::{ErrorKind, Explain, Explanation};
use crate::model::finding::{Code, Finding, Findings};
use crate::model::wheel::draft::Draft;
use crate::model::wheel::filename::WheelFilename;
use crate::model::wheel::limits::Limits;
use crate::model::wheel::manifest::{HashOrigin, Member, WheelManifest};

/// Why a wheel could not be loaded, or a member of it not be read.
#[derive(Debug, thiserror::Error)]
pub enum WheelError {
    /// The file could not be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The wheel is not accepted.
    #[error(
        "the wheel `{wheel}` is not accepted:{}",
        findings.iter().map(|finding| format!("\n  {finding}")).collect::<String>()
    )]
    Refused {
        /// The wheel.
        wheel: Box<WheelFilename>,
        /// What was found, errors first.
        findings: Vec<Finding>,
    },
    /// The file is another one than the spec pins.
    #[error("the wheel `{path}` has the SHA-256 {actual}, expected {expected}")]
    Digest {
        /// The file.
        path: Utf8PathBuf,
        /// What the spec says.
        expected: Hash,
        /// What its bytes have.
        actual: Hash,
    },
    /// Only what the wheel holds is known, and its bytes are needed.
    #[error("the file of the wheel `{wheel}` is not at hand")]
    Absent {
        /// The wheel.
        wheel: Box<WheelFilename>,
    },
    /// A directory is nothing that can be checked.
    #[error(
        "the directory `{path}` holds {found}, expected wheels (`*.whl`), an environment or a \
         site-packages folder"
    )]
    Directory {
        /// The directory.
        path: Utf8PathBuf,
        /// What is in it.
        found: String,
    },
    /// A member is not what the archive says.
    #[error("in the wheel `{wheel}`")]
    Member {
        /// The wheel.
        wheel: Box<WheelFilename>,
        /// What is wrong.
        source: MemberError,
    },
}

impl Explain for WheelError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Directory { .. } => ErrorKind::Io.hint(
                "name the directory that the wheels lie in, as its subdirectories are not looked \
                 through; an environment has a `pyvenv.cfg`",
            ),
            Self::Input(_)
            | Self::Refused { .. }
            | Self::Digest { .. }
            | Self::Absent { .. }
            | Self::Member { .. } => ErrorKind::Io.no_hint(),
        }
    }
}

/// How wheels are judged.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoadOptions {
    /// How much they may hold.
    pub limits: Limits,
    /// Codes whose findings pass as warnings, where the code's allowance permits it.
    pub allow: BTreeSet<Code>,
    /// Codes whose findings are errors.
    pub deny: BTreeSet<Code>,
}

impl LoadOptions {
    /// An empty collection that judges by these options.
    pub fn findings(&self) -> Findings {
        Findings::with_policy(&self.allow, &self.deny)
    }
}

/// A wheel, loaded.
#[derive(Debug)]
pub struct Wheel {
    /// Nothing as long as only the manifest was needed.
    file: OnceLock<ZipFile>,
    /// Whether somebody asked for its bytes.
    asked: AtomicBool,
    /// What it holds.
    pub manifest: WheelManifest,
}

/// Codes that can be allowed and that come to light only with a member's local header.
const READ_LATER: [Code; 4] =
    [Code::ZipGap, Code::ZipExtraField, Code::ZipVersion, Code::ZipDescriptorStored];

/// Loads a wheel.
///
/// # Errors
/// The file cannot be read, or the wheel is not accepted: then everything that was found is listed.
pub fn load(
    path: &Utf8Path,
    filename: &WheelFilename,
    options: &LoadOptions,
) -> Result<Wheel, WheelError> {
    let mut findings = options.findings();
    let (file, entries) = zip_file::open(path, &options.limits, &mut findings)?;
    with_inflater(|inflater| {
        let mut reading = Reading::new(&file, inflater, findings);
        let names: Vec<Box<str>> = match options.deny.is_empty() {
            true => Vec::new(),
            false => entries.iter().map(|entry| entry.name.clone()).collect(),
        };
        reading.check_directories(&entries)?;
        let found = &mut reading.findings;
        let mut draft = Draft::new(filename.clone(), entries, &options.limits, found);
        reading.satisfy(&mut draft)?;
        if !options.deny.is_empty() {
            // What planning has no use for may be denied as well.
            examine_paths(&names, &mut reading.findings);
            examine_members(&draft, &mut reading);
        }
        if options.allow.contains(&Code::RecordHash) {
            // Claims that need not be true are no claims: each member's own hash is recorded.
            draft.want_claimed();
            reading.satisfy(&mut draft)?;
        }
        if READ_LATER.iter().any(|code| options.allow.contains(code)) {
            // What the escape hatch lets pass has to be in the manifest, so it cannot wait until
            // members are read.
            for entry in draft.entries() {
                match entry.location.has_stored_descriptor() {
                    true => reading.check(entry)?,
                    false => reading.check_header(entry)?,
                }
            }
        }
        let findings = reading.finish();
        file.input.check_unchanged()?;
        let refused =
            |findings| WheelError::Refused { wheel: Box::new(filename.clone()), findings };
        if findings.has_errors() {
            return Err(refused(findings.finish()));
        }
        draft.finish(findings.finish()).map_err(refused)
    })
    .map(|manifest| {
        let wheel = Wheel::known(manifest);
        wheel.file.get_or_init(|| file);
        wheel
    })
}

/// Opens a wheel whose file is known to be the one that a manifest was loaded from by the same
/// options.
///
/// # Errors
/// The file cannot be opened.
pub fn reopen(
    path: &Utf8Path,
    manifest: WheelManifest,
    options: &LoadOptions,
) -> Result<Wheel, WheelError> {
    let wheel = Wheel::known(manifest);
    wheel.open(path, options)?;
    Ok(wheel)
}

impl Wheel {
    /// A wheel of which nothing but its manifest was needed so far.
    pub fn known(manifest: WheelManifest) -> Self {
        Self { file: OnceLock::new(), asked: AtomicBool::new(false), manifest }
    }

    /// Whether its bytes are at hand.
    pub fn is_open(&self) -> bool {
        self.file.get().is_some()
    }

    /// Whether its bytes were asked for and are not at hand.
    pub fn is_wanted(&self) -> bool {
        !self.is_open() && self.asked.load(Ordering::Relaxed)
    }

    /// Opens the file of a wheel that was only known; it is to be the one that the manifest was
    /// loaded from by the same options. One that is open stays as it is.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(&self, path: &Utf8Path, options: &LoadOptions) -> Result<(), WheelError> {
        let input = InputFile::open(path)?;
        let allow = options.findings().allowed().clone();
        self.file.get_or_init(|| ZipFile { input, allow });
        Ok(())
    }

    fn file(&self) -> Result<&ZipFile, WheelError> {
        self.file.get().ok_or_else(|| {
            self.asked.store(true, Ordering::Relaxed);
            WheelError::Absent { wheel: Box::new(self.manifest.file.clone()) }
        })
    }

    /// The file.
    ///
    /// # Errors
    /// It is not at hand.
    pub fn input(&self) -> Result<&InputFile, WheelError> {
        Ok(&self.file()?.input)
    }

    /// Whether a member can be had by [`Wheel::read`].
    pub fn is_small(member: &Member) -> bool {
        is_small(&member.location)
    }

    /// The whole of a small member, in one read, checked by CRC-32 and size but not yet by its
    /// SHA-256.
    ///
    /// # Errors
    /// The file cannot be read, or the member is not sound.
    pub fn read<'inflater>(
        &self,
        inflater: &'inflater mut Inflater,
        member: &Member,
    ) -> Result<&'inflater [u8], WheelError> {
        inflater
            .read(self.reference(member)?, &mut Findings::new())
            .map_err(|source| self.member_error(source))
    }

    /// The bytes of a member of any size, in order, in one part or several.
    ///
    /// # Errors
    /// The file cannot be read, the member is not sound, or the sink fails.
    pub fn stream<E: From<WheelError>>(
        &self,
        inflater: &mut Inflater,
        member: &Member,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut sink = |bytes: &[u8]| sink(bytes).map_err(Stop::Sink);
        let done = inflater.stream(self.reference(member)?, &mut Findings::new(), &mut sink);
        match done {
            Ok(()) => Ok(()),
            Err(Stop::Sink(error)) => Err(error),
            Err(Stop::Member(source)) => Err(self.member_error(source).into()),
        }
    }

    /// Checks a member that is not going to be read, such as an excluded one: a wheel in which it
    /// hides something is not accepted either.
    ///
    /// # Errors
    /// The file cannot be read, or the member is not sound.
    pub fn check_unread(&self, member: &Member) -> Result<(), WheelError> {
        let member = self.reference(member)?;
        with_inflater(|inflater| inflater.check_unread(member, &mut Findings::new()))
            .map_err(|source| self.member_error(source))
    }

    /// Whether a member was read when the wheel was loaded.
    pub fn was_read(&self, index: usize) -> bool {
        self.manifest.members[index].origin == HashOrigin::Computed
            || self.manifest.contents.contains_key(&index)
    }

    /// Hashes what is left of the file and compares its SHA-256 with the one that is pinned. That
    /// the file did not change since it was opened is checked too, so that what was loaded is what
    /// was hashed.
    ///
    /// # Errors
    /// The file cannot be read, has changed, or has another digest.
    pub fn check_digest(&self, hash: &FileHash<'_>, expected: &Hash) -> Result<(), WheelError> {
        let actual = hash.finish()?;
        let input = self.input()?;
        input.check_unchanged()?;
        if actual == *expected {
            return Ok(());
        }
        Err(WheelError::Digest { path: input.path().to_owned(), expected: *expected, actual })
    }

    /// Whether the file is as it was when the wheel was loaded; to be asked when all members have
    /// been read.
    ///
    /// # Errors
    /// It is not, or its state cannot be read.
    pub fn check_unchanged(&self) -> Result<(), WheelError> {
        Ok(self.input()?.check_unchanged()?)
    }

    /// A member to be read. What the escape hatch lets pass in it was noted when the wheel was
    /// loaded, so nobody asks for it again.
    fn reference<'a>(&'a self, member: &'a Member) -> Result<MemberRef<'a>, WheelError> {
        let (file, name) = (self.file()?, member.path.as_str());
        Ok(MemberRef { file, name, location: &member.location })
    }

    fn member_error(&self, source: MemberError) -> WheelError {
        match source {
            MemberError::Input(error) => WheelError::Input(error),
            source @ MemberError::Unsound(_) => {
                WheelError::Member { wheel: Box::new(self.manifest.file.clone()), source }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write as _};

    use zip::ZipWriter;
    use zip::write::SimpleFileOptions;

    use super::*;
    use crate::model::wheel::HashOrigin;
    use crate::model::wheel::record::encode_base64url;

    const FILENAME: &str = "demo-1.0-py3-none-any.whl";
    const WHEEL: &str = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    const METADATA: &str = "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n";

    /// Packs members, each with what RECORD says of its bytes (nothing: no row).
    fn pack(members: &[(&str, &[u8], Option<String>)]) -> (tempfile::TempDir, Utf8PathBuf) {
        let mut record = String::new();
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes, hash) in members {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(bytes).unwrap();
            if let Some(hash) = hash {
                record.push_str(&format!("{name},{hash},{}\n", bytes.len()));
            }
        }
        writer.start_file("demo-1.0.dist-info/RECORD", SimpleFileOptions::default()).unwrap();
        writer.write_all(format!("{record}demo-1.0.dist-info/RECORD,,\n").as_bytes()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        // The path's name is not the wheel's.
        let path = Utf8PathBuf::from_path_buf(folder.path().join("blob")).unwrap();
        std::fs::write(&path, writer.finish().unwrap().into_inner()).unwrap();
        (folder, path)
    }

    fn sha256(bytes: &[u8]) -> Option<String> {
        Some(format!("sha256={}", encode_base64url(Hash::sha256(bytes).as_bytes())))
    }

    fn demo<'a>(more: &[(&'a str, &'a [u8], Option<String>)]) -> (tempfile::TempDir, Utf8PathBuf) {
        let mut members = more.to_vec();
        members.push(("demo-1.0.dist-info/WHEEL", WHEEL.as_bytes(), sha256(WHEEL.as_bytes())));
        members.push((
            "demo-1.0.dist-info/METADATA",
            METADATA.as_bytes(),
            sha256(METADATA.as_bytes()),
        ));
        pack(&members)
    }

    fn load_demo(path: &Utf8Path) -> Result<Wheel, WheelError> {
        load(path, &WheelFilename::parse(FILENAME).unwrap(), &LoadOptions::default())
    }

    #[test]
    fn a_wheel_is_loaded_with_claims_and_what_planning_reads() {
        let sha512 = {
            use sha2::Digest as _;
            format!("sha512={}", encode_base64url(&sha2::Sha512::digest(b"by another function")))
        };
        let (_folder, path) = demo(&[
            ("demo/__init__.py", b"claimed = True\n", sha256(b"claimed = True\n")),
            ("demo/other.py", b"by another function", Some(sha512)),
            ("demo/unlisted.py", b"unlisted", None),
            ("demo-1.0.data/scripts/run", b"#!python\nprint()\n", sha256(b"#!python\nprint()\n")),
            ("demo-1.0.data/scripts/binary", b"\x7fELF", sha256(b"\x7fELF")),
            ("demo-1.0.dist-info/entry_points.txt", b"[console_scripts]\ndemo = demo:main\n", None),
        ]);
        let wheel = load_demo(&path).unwrap();
        let manifest = &wheel.manifest;
        assert!(manifest.purelib);
        assert_eq!(
            (&*manifest.dist_info, &*manifest.data),
            ("demo-1.0.dist-info", "demo-1.0.data")
        );
        assert_eq!(manifest.entry_points.len(), 1);
        let kept: Vec<&str> =
            manifest.contents.keys().map(|&index| manifest.members[index].path.as_str()).collect();
        assert_eq!(
            kept,
            [
                "demo-1.0.data/scripts/run",
                "demo-1.0.dist-info/METADATA",
                "demo-1.0.dist-info/WHEEL",
                "demo-1.0.dist-info/entry_points.txt"
            ]
        );
        let origin = |path: &str| {
            manifest.member(path).map(|(_, member)| (member.origin, member.sha256)).unwrap()
        };
        assert_eq!(
            origin("demo/__init__.py"),
            (HashOrigin::Claimed, Hash::sha256(b"claimed = True\n"))
        );
        assert_eq!(
            origin("demo/other.py"),
            (HashOrigin::Computed, Hash::sha256(b"by another function"))
        );
        assert_eq!(origin("demo/unlisted.py"), (HashOrigin::Computed, Hash::sha256(b"unlisted")));
        let codes: Vec<(Code, Option<&str>)> = manifest
            .findings
            .iter()
            .map(|finding| (finding.code, finding.member.as_deref()))
            .collect();
        assert_eq!(
            codes,
            [
                (Code::RecordUnlisted, Some("demo-1.0.dist-info/entry_points.txt")),
                (Code::RecordUnlisted, Some("demo/unlisted.py"))
            ]
        );
        let mut inflater = Inflater::default();
        for member in &manifest.members {
            assert_eq!(
                Hash::sha256(wheel.read(&mut inflater, member).unwrap()),
                member.sha256,
                "{}",
                member.path
            );
        }
        manifest.members.iter().for_each(|member| wheel.check_unread(member).unwrap());
        let digest = Hash::sha256(&std::fs::read(&path).unwrap());
        let hash = FileHash::new(wheel.input().unwrap());
        wheel.check_digest(&hash, &digest).unwrap();
        assert!(matches!(
            wheel.check_digest(&hash, &Hash::sha256(b"")),
            Err(WheelError::Digest { .. })
        ));
        std::fs::write(&path, b"other").unwrap();
        assert!(matches!(
            wheel.check_unchanged(),
            Err(WheelError::Input(InputError::Changed { .. }))
        ));
    }

    #[test]
    fn all_that_is_wrong_is_listed() {
        let (_folder, path) = demo(&[
            (
                "demo-1.0.dist-info/entry_points.txt",
                b"[console_scripts]\n../x = demo:main\n",
                sha256(b"something else"),
            ),
            ("demo-1.0.data/data/bin/python3", b"", sha256(b"")),
            ("demo-1.0.data/other/x", b"", sha256(b"")),
            ("demo-1.0.data/x", b"", sha256(b"")),
            ("demo/missing.py", b"", Some("md5=xyz".to_owned())),
        ]);
        let Err(WheelError::Refused { findings, .. }) = load_demo(&path) else {
            panic!("accepted")
        };
        let codes: Vec<Code> = findings.iter().map(|finding| finding.code).collect();
        assert_eq!(
            codes,
            [
                Code::MetadataDataScheme,
                Code::MetadataDataFile,
                Code::MetadataReservedTarget,
                Code::RecordWeakHash,
                Code::RecordHash,
                Code::ScriptName
            ]
        );
    }
}
