//! Findings: what was noticed about an input, as stable codes with a severity and an explanation.
//!
//! Model layer. One table holds every code; the documentation's table is made from it. A finding
//! names the code, the member it concerns and what was found; whether it stops a build is its
//! severity's (and the escape hatch's) business.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::model::every::{every, shown};
use crate::model::nearest;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing has to change.
    Information,
    /// Odd, but understood by everybody in the same way, or made canonical.
    Warning,
    /// Not accepted.
    Error,
}

impl Severity {
    /// Every severity, the mildest first.
    pub const ALL: [Self; 3] = every!(Severity: Information, Warning, Error);

    /// The name, as reports write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Information => "information",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

shown!(Severity: name());

/// Whether the escape hatch (`--allow CODE`) may let a finding of a code pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    /// The input can still be read in one way, which is then the way taken.
    Possible,
    /// Never: there is nothing that could be read.
    Unreadable,
    /// Never: two readers see different things.
    Ambiguous,
    /// Never: the bytes are not those that were packed.
    Damaged,
    /// Never: something would be written outside of its place, or run that nobody asked for.
    Escape,
    /// Never: it would not be what was asked for.
    Identity,
    /// Never: what to install, or where, is not known.
    Unknown,
    /// Never: no file system could hold it.
    Unstorable,
    /// Not by its code: the limit can be raised.
    Limit,
}

impl Allowance {
    /// Whether the escape hatch applies.
    pub fn is_possible(self) -> bool {
        self == Self::Possible
    }

    /// Why it does not, if it does not.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Self::Possible => None,
            Self::Unreadable => Some("there is nothing that could be read"),
            Self::Ambiguous => Some("readers differ in what they see"),
            Self::Damaged => Some("the bytes are not those that were packed"),
            Self::Escape => Some("it could reach what is not the wheel's"),
            Self::Identity => Some("it would not be what was asked for"),
            Self::Unknown => Some("what to install, or where, is not known"),
            Self::Unstorable => Some("no file system could hold it"),
            Self::Limit => {
                Some("the limit protects memory and disk; `--limit` raises those that have a name")
            }
        }
    }
}

impl Code {
    /// Whether findings of it can be accepted: how, or why not.
    pub fn hint(self) -> Cow<'static, str> {
        let hint = match self.allowance().reason() {
            None => format!(
                "if you have looked at it, `--allow {self}` (in a spec: `\"flags\": {{\"allow\": [\"{self}\"]}}`) accepts it"
            ),
            Some(reason) => format!("`{self}` cannot be allowed: {reason}"),
        };
        Cow::Owned(hint)
    }

    /// What to do about findings of this code that are errors of a spec. Where they are no errors
    /// by themselves, the spec denies them, and to allow them as well would contradict it.
    pub fn hint_where_error(self) -> Cow<'static, str> {
        let other_way = match self {
            _ if self.severity() == Severity::Error => return self.hint(),
            Self::BytecodeUncompilable => {
                "leave the module out with the spec's `bytecode.exclude`, or "
            }
            _ => "the spec denies it: if you have looked at it, ",
        };
        Cow::Owned(format!("{other_way}take `{self}` out of `flags.deny`"))
    }
}

/// The text is no code of a finding.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no code of a finding, expected one such as `zip.duplicate-name`{}", nearest::question(text, Code::ALL.iter().map(|code| code.text())))]
pub struct UnknownCode {
    /// The text.
    pub text: String,
}

macro_rules! codes {
    ($($variant:ident = $text:literal, $severity:ident, $allowance:ident, $explanation:literal;)*) => {
        /// What was found: a closed set, whose texts never change their meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $explanation] $variant,)*
        }

        impl Code {
            /// Every code, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The stable text: a namespace, a full stop and words joined by `-`.
            pub fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The severity unless something asks for another one.
            pub fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }

            /// Whether the escape hatch applies.
            pub fn allowance(self) -> Allowance {
                match self { $(Self::$variant => Allowance::$allowance,)* }
            }

            /// One sentence: what the code means and why it matters.
            pub fn explanation(self) -> &'static str {
                match self { $(Self::$variant => $explanation,)* }
            }
        }
    };
}

codes! {
    ZipNoEndRecord = "zip.no-end-record", Error, Unreadable, "No end record was found where a zip archive must have one: the file is empty, cut short or no zip archive.";
    ZipEmpty = "zip.empty", Error, Unreadable, "The archive has no members.";
    ZipTrailingBytes = "zip.trailing-bytes", Error, Possible, "Bytes follow the end record and its comment; some readers look for another end record there.";
    ZipPrefixBytes = "zip.prefix-bytes", Error, Ambiguous, "Bytes come before the first member; readers disagree on whether offsets count from there.";
    ZipComment = "zip.comment", Information, Possible, "The archive or a member has a comment, which nothing reads.";
    ZipCommentSignature = "zip.comment-signature", Error, Possible, "A comment holds a signature of a zip record, so that some readers would find another archive in it.";
    ZipMultiDisk = "zip.multi-disk", Error, Unreadable, "The archive claims to be spread over several disks.";
    ZipZip64End = "zip.zip64-end", Error, Ambiguous, "The zip64 end record, its locator and the end record do not agree, or one of them is missing.";
    ZipDirectoryBounds = "zip.directory-bounds", Error, Unreadable, "The end record's offset and size of the central directory do not lead to one that ends where the end record begins.";
    ZipDirectoryDamaged = "zip.directory-damaged", Error, Unreadable, "The central directory is cut short or holds something that is no entry.";
    ZipEntryCount = "zip.entry-count", Error, Ambiguous, "The end record counts other entries than the central directory holds.";
    ZipDuplicateName = "zip.duplicate-name", Error, Ambiguous, "Two members have one name; readers differ in which of them wins.";
    ZipOverlap = "zip.overlap", Error, Ambiguous, "The bytes of two members, or of a member and the directory, overlap.";
    ZipGap = "zip.gap", Error, Possible, "Bytes between two members, or before the directory, belong to no member; a reader that streams could find one there that the directory hides.";
    ZipLocalHeader = "zip.local-header", Error, Unreadable, "The central directory points to a place where there is no local header.";
    ZipNameConflict = "zip.name-conflict", Error, Ambiguous, "The local header and the central directory give one member two names.";
    ZipHeaderConflict = "zip.header-conflict", Error, Ambiguous, "The local header or data descriptor and the central directory disagree on a member's flags, method, checksum or sizes.";
    ZipDescriptor = "zip.descriptor", Error, Ambiguous, "The data descriptor behind a member's bytes is missing, has a wrong length or disagrees with the central directory.";
    ZipDescriptorStored = "zip.descriptor-stored", Error, Possible, "A stored member has a data descriptor, and its bytes hold a descriptor's signature: a reader that streams would end the member there.";
    ZipNameEncoding = "zip.name-encoding", Error, Ambiguous, "A member's name is not UTF-8, or it is not ASCII and the flag that declares UTF-8 is missing; readers would guess different names.";
    ZipNameEmpty = "zip.name-empty", Error, Unreadable, "A member has an empty name.";
    ZipUnicodePath = "zip.unicode-path", Error, Ambiguous, "An extra field gives the member another name than its header.";
    ZipExtraField = "zip.extra-field", Error, Possible, "The extra fields of a member are cut short or have left-over bytes.";
    ZipZip64Extra = "zip.zip64-extra", Error, Ambiguous, "The zip64 extra field of a member is repeated, too long or too short, or there is none where a header needs it.";
    ZipEncrypted = "zip.encrypted", Error, Unreadable, "A member is encrypted.";
    ZipMethod = "zip.method", Error, Unreadable, "A member is compressed by another method than stored, deflate or zstd.";
    ZipFlags = "zip.flags", Error, Possible, "A member has general purpose flags that are reserved or that no wheel needs.";
    ZipVersion = "zip.version", Error, Possible, "A member asks for a newer version of the zip format than readers know; some refuse it.";
    ZipChecksum = "zip.checksum", Error, Damaged, "The CRC-32 of a member's bytes is not the one that the archive gives.";
    ZipSize = "zip.size", Error, Damaged, "A member's bytes are more or fewer than the archive says.";
    ZipCompressedData = "zip.compressed-data", Error, Unreadable, "The compressed bytes of a member cannot be decompressed.";
    ZipCompressedSize = "zip.compressed-size", Error, Unreadable, "The compressed bytes of a member end before or after the place that the archive gives.";
    ZipLink = "zip.link", Error, Escape, "A member is a symbolic link; wheels hold files only, and a link could lead out of the tree.";
    ZipSpecialFile = "zip.special-file", Error, Escape, "A member is a device, a named pipe or a socket.";
    ZipDirectoryMismatch = "zip.directory-mismatch", Error, Ambiguous, "A member's name says file and its attributes say folder, or the other way round, or a folder has bytes.";
    ZipSpecialBits = "zip.special-bits", Warning, Possible, "A member has the setuid, setgid or sticky bit, which is dropped.";
    ZipLimitEntries = "zip.limit-entries", Error, Limit, "The archive has more entries than the limit, or its members lie in more folders.";
    ZipLimitDirectory = "zip.limit-directory", Error, Limit, "The central directory has more bytes than the limit for its number of entries.";
    ZipLimitSize = "zip.limit-size", Error, Limit, "A member, or all members together, would write more bytes than the limit.";
    ZipLimitRatio = "zip.limit-ratio", Error, Limit, "The members together are too many times as large as the archive: a decompression bomb.";
    ZipChanged = "zip.changed", Error, Damaged, "The file changed while it was being read.";

    PathAbsolute = "path.absolute", Error, Escape, "A path starts at a root, a drive or a network share.";
    PathTraversal = "path.traversal", Error, Escape, "A path has a component `.` or `..`, which could lead out of the tree.";
    PathBackslash = "path.backslash", Error, Ambiguous, "A path holds a backslash, which is a separator on Windows and a character elsewhere.";
    PathControl = "path.control", Error, Ambiguous, "A path holds NUL or another control character, or a line separator (U+2028, U+2029): readers cut, drop or keep them, and Python reads the installed RECORD's rows as others.";
    PathEmptyComponent = "path.empty-component", Error, Ambiguous, "A path has an empty component (two slashes in a row).";
    PathComponentLength = "path.component-length", Error, Unstorable, "A component of a path is longer than the 255 bytes that common file systems can store.";
    PathLength = "path.length", Error, Limit, "A path is longer than the limit.";
    PathDepth = "path.depth", Error, Limit, "A path has more components than the limit.";
    PathFileAndDirectory = "path.file-and-directory", Error, Unstorable, "One path is a file and also a folder that holds other files.";
    PathCaseCollision = "path.case-collision", Warning, Possible, "Paths differ only in upper and lower case: an error for targets whose file systems do not tell them apart.";
    PathUnicodeCollision = "path.unicode-collision", Warning, Possible, "Paths differ only in their Unicode normal form: an error for targets whose file systems do not tell them apart.";
    PathWindowsName = "path.windows-name", Information, Possible, "Windows cannot store a name (a device's name, a reserved character, a full stop or space at the end): an error for Windows targets.";
    PathWindowsLength = "path.windows-length", Information, Possible, "A path is so long that Windows without long paths may not store it.";
    PathBytecode = "path.bytecode", Information, Possible, "Compiled bytecode in `__pycache__`, which is dropped: it belongs to another interpreter or time.";

    MetadataFilename = "metadata.filename", Error, Identity, "The file's name is not a wheel's: NAME-VERSION(-BUILD)-PYTHON-ABI-PLATFORM.whl.";
    MetadataVariant = "metadata.variant", Error, Unknown, "The file's name is that of a wheel variant (PEP 817), made for some machines of its platform only; variants are not chosen yet.";
    MetadataDistInfoMissing = "metadata.dist-info-missing", Error, Unknown, "The wheel has no `.dist-info` folder.";
    MetadataDistInfoMultiple = "metadata.dist-info-multiple", Error, Ambiguous, "The wheel has more than one `.dist-info` folder; installers differ in which of them counts.";
    MetadataDistInfoName = "metadata.dist-info-name", Error, Identity, "The `.dist-info` folder names another distribution or version than the file's name.";
    MetadataWheelMissing = "metadata.wheel-missing", Error, Unknown, "The `.dist-info` folder has no WHEEL file.";
    MetadataMetadataMissing = "metadata.metadata-missing", Error, Unknown, "The `.dist-info` folder has no METADATA file.";
    MetadataEncoding = "metadata.encoding", Error, Ambiguous, "WHEEL or METADATA is not UTF-8.";
    MetadataByteOrderMark = "metadata.byte-order-mark", Error, Ambiguous, "WHEEL or METADATA begins with a byte order mark, which readers take for a part of the first name.";
    MetadataSyntax = "metadata.syntax", Error, Possible, "A line of WHEEL or METADATA is no header, no continuation and no end of the headers, so that some readers stop there; what stands above it counts.";
    MetadataMissingHeader = "metadata.missing-header", Error, Possible, "A header that installing needs is missing in WHEEL or METADATA; name and version are then those of the file name, the wheel's format is 1.0, and its files go to platlib.";
    MetadataRepeatedHeader = "metadata.repeated-header", Error, Possible, "A header that may be there once, and does not decide what is installed, is there again with another value; the first one counts.";
    MetadataSameHeader = "metadata.same-header", Warning, Possible, "A header that may be there once is there again and says the same.";
    MetadataContradiction = "metadata.contradiction", Error, Ambiguous, "WHEEL or METADATA has two different values of a header that decides what is installed, and where; readers differ in which of them counts.";
    MetadataAmbiguousHeader = "metadata.ambiguous-header", Error, Ambiguous, "A header that matters stands where some readers of WHEEL or METADATA see it and others do not.";
    MetadataFormatVersion = "metadata.format-version", Error, Unknown, "The version of a format is malformed, or its major number is newer than is known.";
    MetadataFormatForm = "metadata.format-form", Warning, Possible, "The version of a format is one number, or more than two (`1`, `2.1.0`); the first two count.";
    MetadataNewerFormat = "metadata.newer-format", Warning, Possible, "The minor version of a format is newer than is known; what is new in it is not used.";
    MetadataPurelib = "metadata.purelib", Error, Possible, "`Root-Is-Purelib` in WHEEL is neither true nor false; the wheel's files then go to platlib, as in pip and uv.";
    MetadataTag = "metadata.tag", Warning, Possible, "WHEEL lists no tags, or one that is malformed; those of the file name count.";
    MetadataBuild = "metadata.build", Warning, Possible, "The build tag in WHEEL is malformed; that of the file name counts.";
    MetadataName = "metadata.name", Error, Identity, "The name in METADATA is no name of a distribution.";
    MetadataVersion = "metadata.version", Error, Identity, "The version in METADATA is no version.";
    MetadataOtherName = "metadata.other-name", Error, Identity, "METADATA names another distribution than the file's name.";
    MetadataOtherVersion = "metadata.other-version", Error, Identity, "METADATA gives another version than the file's name.";
    MetadataLocalVersion = "metadata.local-version", Error, Possible, "The file's name has a local version (`+cu12`) that METADATA or the `.dist-info` folder does not have, or the other way round; the installed distribution has METADATA's.";
    MetadataOtherTags = "metadata.other-tags", Warning, Possible, "The tags in WHEEL are not those of the file's name.";
    MetadataOtherBuild = "metadata.other-build", Warning, Possible, "The build tag in WHEEL is not that of the file's name.";
    MetadataRequirement = "metadata.requirement", Warning, Possible, "A requirement in METADATA is not understood; a spec whose `requirements` are `error` is not built with it.";
    MetadataRequiresPython = "metadata.requires-python", Error, Possible, "The range of Python versions in METADATA is not understood; where that is allowed, every interpreter is in it.";
    MetadataLegacyRequirement = "metadata.legacy-requirement", Warning, Possible, "A requirement or a range of Python versions is written as no current specification has it, and is read as pip or uv read it.";
    MetadataDataScheme = "metadata.data-scheme", Error, Unknown, "The `.data` folder holds something that belongs to no known scheme (purelib, platlib, headers, scripts, data).";
    MetadataDataFile = "metadata.data-file", Error, Unknown, "A file lies directly in the `.data` folder, outside every scheme.";
    MetadataDataName = "metadata.data-name", Error, Possible, "A `.data` folder at the top has another name than the `.dist-info` folder; installers differ in whether its files are installed as data.";
    MetadataReservedTarget = "metadata.reserved-target", Error, Escape, "A member would be installed over a file that the environment itself needs: an interpreter, an activation script or `pyvenv.cfg`.";
    MetadataLimit = "metadata.limit", Error, Limit, "A metadata file has more bytes, headers or scripts than the limit, or the scripts that would be rewritten have more bytes.";

    RecordMissing = "record.missing", Error, Unknown, "The `.dist-info` folder has no RECORD.";
    RecordEncoding = "record.encoding", Error, Possible, "A row of RECORD is not UTF-8; it is dropped.";
    RecordByteOrderMark = "record.byte-order-mark", Error, Possible, "RECORD begins with a byte order mark, which readers take for a part of the first path; it is dropped.";
    RecordBlankRow = "record.blank-row", Warning, Possible, "RECORD has an empty row; it is dropped.";
    RecordColumns = "record.columns", Error, Possible, "A row of RECORD does not have the three columns path, hash and size; it is dropped.";
    RecordQuotes = "record.quotes", Error, Possible, "A row of RECORD has a quote where CSV has no place for one, or one that is never closed; it is dropped.";
    RecordPath = "record.path", Error, Possible, "A row of RECORD names an absolute or escaping path, or one that no member can have; it is dropped.";
    RecordContradiction = "record.contradiction", Error, Possible, "Two rows of RECORD give one path different hashes or sizes; neither of them counts.";
    RecordRepeatedRow = "record.repeated-row", Warning, Possible, "A row of RECORD is repeated identically; one is kept.";
    RecordAbsentFile = "record.absent-file", Warning, Possible, "A row of RECORD names a file that is not in the wheel; it is dropped.";
    RecordUnlisted = "record.unlisted", Warning, Possible, "A member has no row in RECORD; it is hashed and recorded.";
    RecordNoHash = "record.no-hash", Warning, Possible, "A member's row in RECORD has no hash; it is hashed and recorded.";
    RecordWeakHash = "record.weak-hash", Error, Possible, "A row's hash is made by an algorithm that wheels may not use (md5, sha1, sha224); it does not count.";
    RecordUnknownHash = "record.unknown-hash", Error, Possible, "A row's hash is made by an algorithm that is not known, so that it proves nothing; it does not count.";
    RecordBadHash = "record.bad-hash", Error, Possible, "A row's hash cannot be decoded, or has the wrong length for its algorithm; it does not count.";
    RecordPadding = "record.padding", Warning, Possible, "A row's hash is written with base64 padding; it is made canonical.";
    RecordAlphabet = "record.alphabet", Warning, Possible, "A row's hash is written in the ordinary base64 alphabet instead of the URL-safe one; it is made canonical.";
    RecordHexadecimal = "record.hexadecimal", Warning, Possible, "A row's hash is written in hexadecimal instead of base64; it is made canonical.";
    RecordAlgorithmName = "record.algorithm-name", Warning, Possible, "A row names its hash's algorithm otherwise than the specification (`SHA256`, `sha-256`); it is made canonical.";
    RecordSize = "record.size", Error, Possible, "A row's size is not a number, or not the size of its member; the true one is recorded.";
    RecordHash = "record.hash", Error, Possible, "A member's bytes do not have the hash that RECORD gives; where that is allowed, every member is hashed and the true hash is recorded.";
    RecordOwnHash = "record.own-hash", Error, Possible, "RECORD has a hash or size for itself, which cannot be right; it does not count.";
    RecordNoOwnRow = "record.no-own-row", Warning, Possible, "RECORD has no row for itself; it gets one.";
    RecordSignatureRow = "record.signature-row", Warning, Possible, "RECORD has a row for its signature, which is made after it; the row is dropped.";
    RecordSignature = "record.signature", Information, Possible, "The wheel holds a signature of its RECORD (RECORD.jws or RECORD.p7s), which is dropped as RECORD is rebuilt.";
    RecordLimit = "record.limit", Error, Limit, "RECORD has more bytes or rows than the limit for the wheel's number of members.";

    ScriptSyntax = "script.syntax", Error, Unknown, "`entry_points.txt` is not UTF-8 or a line of it is not understood.";
    ScriptName = "script.name", Error, Escape, "The name of an entry point is no file name, so that its script could lie outside `bin`.";
    ScriptReference = "script.reference", Error, Escape, "The object reference of an entry point is not a module and an attribute of plain identifiers; anything else could inject code.";
    ScriptReserved = "script.reserved", Error, Escape, "A script or entry point has a name that the environment itself needs, such as `python` or `activate`.";
    ScriptDuplicate = "script.duplicate", Error, Ambiguous, "An entry point is defined twice with different objects.";
    ScriptRepeated = "script.repeated", Warning, Possible, "An entry point is defined twice with the same object.";
    ScriptCaseCollision = "script.case-collision", Warning, Possible, "Two scripts have names that differ only in upper and lower case.";
    ScriptNested = "script.nested", Warning, Possible, "A script lies in a folder below the scripts of `.data`; installers differ in what they do with it.";
    ScriptForm = "script.form", Error, Unknown, "A script that begins with `#!python` cannot be rewritten so that it finds its environment.";
    ScriptInterpreter = "script.interpreter", Warning, Possible, "A script names an interpreter by its absolute path, which is not the environment's and may be on no machine but the wheel's builder; it is installed as it is.";

    StartupInterpreter = "startup.interpreter", Error, Escape, "A file lies where the interpreter looks for its settings or its own library before anything else (`python._pth`, `pyvenv.cfg` or `pybuilddir.txt` beside it, `lib/python312.zip`) and would take it over: no environment is built with it, unless `exclude` leaves it out.";
    StartupImport = "startup.import", Information, Possible, "A `.pth` file has lines that start with `import` and run whenever the interpreter starts, or is too large to be looked at whole.";
    StartupPath = "startup.path", Warning, Possible, "A `.pth` file adds an absolute path, which breaks a tree that is moved, one outside the tree, or an archive whose modules are not looked at.";
    StartupEncoding = "startup.encoding", Warning, Possible, "A `.pth` file is not plain UTF-8 without NUL and byte order mark; interpreters read it differently.";
    StartupFile = "startup.start-file", Information, Possible, "A `.start` file (PEP 829) names code that runs whenever the interpreter starts.";
    StartupCustomize = "startup.customize", Warning, Possible, "A `sitecustomize` or `usercustomize` module runs whenever the interpreter starts.";
    StartupShadow = "startup.shadow", Warning, Possible, "A top-level name is that of a module of the standard library.";

    BytecodeUncompilable = "bytecode.uncompilable", Information, Possible, "A module cannot be compiled by the Python that was asked to, nor could it be imported, so that it has no bytecode; whoever compiles notices it, `wheel check` does not.";
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.text())
    }
}

impl FromStr for Code {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.text() == text)
            .ok_or_else(|| UnknownCode { text: text.to_owned() })
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.text())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// One thing that was noticed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// What.
    pub code: Code,
    /// How bad, here.
    pub severity: Severity,
    /// Which member it concerns; none where it is the archive as a whole.
    pub member: Option<String>,
    /// What was found and what was expected: lower case, no final full stop.
    pub message: String,
    /// Whether the escape hatch let it pass: then its severity is at most a warning.
    #[serde(default)]
    pub allowed: bool,
    /// Where this stands for findings of its code that are not listed one by one: how many;
    /// otherwise 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub omitted: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Finding {
    /// How many findings it stands for.
    pub fn count(&self) -> u64 {
        self.omitted.max(1)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}[{}]: ", self.severity, self.code)?;
        if let Some(member) = &self.member {
            write!(formatter, "{member:?}: ")?;
        }
        formatter.write_str(&self.message)?;
        if self.allowed { formatter.write_str(" (allowed)") } else { Ok(()) }
    }
}

/// The most findings of one code that are kept one by one; what comes after is counted.
const KEPT_OF_A_CODE: u64 = 100;
/// The most characters of a member's name, and of a message, that a finding keeps.
const TEXT_LIMIT: usize = 512;

/// The beginning of a text that may be long.
fn shorten(text: String) -> String {
    match text.char_indices().nth(TEXT_LIMIT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Collects findings: applies the escape hatch and keeps hostile input from filling memory with
/// them.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    list: Vec<Finding>,
    counts: BTreeMap<Code, u64>,
    allow: BTreeSet<Code>,
    deny: BTreeSet<Code>,
}

impl Findings {
    /// Nothing found yet, nothing allowed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets findings of these codes pass as warnings, where the code's [`Allowance`] permits it,
    /// and makes findings of the codes in `deny` errors.
    pub fn with_policy(allow: &BTreeSet<Code>, deny: &BTreeSet<Code>) -> Self {
        Self { allow: allow.clone(), deny: deny.clone(), ..Self::default() }
    }

    /// Adds a finding about the archive as a whole.
    pub fn add(&mut self, code: Code, message: impl Into<String>) {
        self.push(code, None, message.into());
    }

    /// Adds a finding about a member.
    pub fn add_member(&mut self, code: Code, member: &str, message: impl Into<String>) {
        self.push(code, Some(member.to_owned()), message.into());
    }

    /// Adds that a module cannot be compiled, and why.
    pub fn add_uncompilable(&mut self, module: &str, reason: &str) {
        self.add_member(Code::BytecodeUncompilable, module, reason);
    }

    fn push(&mut self, code: Code, member: Option<String>, message: String) {
        let count = self.counts.entry(code).or_insert(0);
        *count += 1;
        if *count <= KEPT_OF_A_CODE {
            let (severity, allowed) = self.judge(code);
            let (member, message) = (member.map(shorten), shorten(message));
            self.list.push(Finding { code, severity, member, message, allowed, omitted: 0 });
        }
    }

    /// Counts further findings of a code of which there are some already.
    pub fn omit(&mut self, code: Code, count: u64) {
        *self.counts.entry(code).or_insert(0) += count;
    }

    fn judge(&self, code: Code) -> (Severity, bool) {
        let severity = if self.deny.contains(&code) { Severity::Error } else { code.severity() };
        let allowed = self.allow.contains(&code) && code.allowance().is_possible();
        (if allowed { severity.min(Severity::Warning) } else { severity }, allowed)
    }

    /// Takes over what another collection holds, judged by this one's policy.
    pub fn extend(&mut self, other: impl IntoIterator<Item = Finding>) {
        for finding in other {
            match finding.omitted {
                0 => self.push(finding.code, finding.member, finding.message),
                omitted => self.omit(finding.code, omitted),
            }
        }
    }

    /// The codes whose findings pass as warnings.
    pub fn allowed(&self) -> &BTreeSet<Code> {
        &self.allow
    }

    /// The findings so far, as they came.
    pub fn as_slice(&self) -> &[Finding] {
        &self.list
    }

    /// How many there are, those that are only counted included.
    pub fn count(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether one of them is an error.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// The list: errors first, then by code, member and message. Codes with more findings than are
    /// kept end with their number.
    pub fn finish(mut self) -> Vec<Finding> {
        let mut omitted = std::mem::take(&mut self.counts);
        for finding in &self.list {
            omitted.entry(finding.code).and_modify(|count| *count -= 1);
        }
        for (code, omitted) in omitted.into_iter().filter(|(_, omitted)| *omitted > 0) {
            let (severity, allowed) = self.judge(code);
            let message = match omitted {
                1 => "one more finding of this code is not listed".to_owned(),
                _ => format!("{omitted} more findings of this code are not listed"),
            };
            self.list.push(Finding { code, severity, member: None, message, allowed, omitted });
        }
        self.list.sort_by(|left, right| {
            right.severity.cmp(&left.severity).then_with(|| left.cmp(right))
        });
        self.list.dedup();
        self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_namespaced_unique_and_parse_back() {
        let mut texts = BTreeSet::new();
        for &code in Code::ALL {
            assert!(texts.insert(code.text()), "{code} is there twice");
            assert_eq!(code.text().parse(), Ok(code));
            let (namespace, name) = code.text().split_once('.').unwrap();
            assert!(
                ["zip", "path", "metadata", "record", "script", "startup", "bytecode"]
                    .contains(&namespace),
                "{code}"
            );
            assert!(
                name.bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'),
                "{code}"
            );
            assert!(
                code.explanation().ends_with('.')
                    && !code.explanation().trim_end_matches('.').contains(". "),
                "{code}"
            );
        }
        assert!("zip.nothing".parse::<Code>().is_err());
    }

    #[test]
    fn the_escape_hatch_never_lets_an_escape_pass() {
        let allow = BTreeSet::from([Code::PathTraversal, Code::ZipGap]);
        let mut findings = Findings::with_policy(&allow, &BTreeSet::from([Code::RecordUnlisted]));
        findings.add(Code::ZipGap, "a");
        findings.add_member(Code::PathTraversal, "../x", "b");
        findings.add_member(Code::RecordUnlisted, "x", "c");
        let list = findings.finish();
        let verdicts: Vec<_> =
            list.iter().map(|finding| (finding.code, finding.severity, finding.allowed)).collect();
        assert_eq!(
            verdicts,
            [
                (Code::PathTraversal, Severity::Error, false),
                (Code::RecordUnlisted, Severity::Error, false),
                (Code::ZipGap, Severity::Warning, true)
            ]
        );
    }

    #[test]
    fn a_flood_of_findings_is_counted_not_kept() {
        let mut findings = Findings::new();
        let long = "é".repeat(1_000_000);
        findings.add_member(Code::ZipGap, &long, long.clone());
        assert!(findings.as_slice()[0].to_string().len() < 5 * TEXT_LIMIT);
        let mut findings = Findings::new();
        for index in 0..100_000 {
            findings.add_member(Code::ZipGap, &index.to_string(), "gap");
        }
        let list = findings.finish();
        assert_eq!(list.len() as u64, KEPT_OF_A_CODE + 1);
        assert_eq!(
            (list[0].message.as_str(), list[0].omitted),
            ("99900 more findings of this code are not listed", 99_900)
        );
        assert_eq!(list.iter().map(Finding::count).sum::<u64>(), 100_000);
        // Nothing gets lost on the way through another collection.
        let mut outer = Findings::new();
        outer.extend(list);
        outer.add(Code::ZipComment, "one");
        outer.omit(Code::ZipComment, 1);
        assert_eq!(outer.count(), 100_002);
        let list = outer.finish();
        assert_eq!(list.iter().map(Finding::count).sum::<u64>(), 100_002);
        assert!(
            list.iter()
                .any(|finding| finding.message == "one more finding of this code is not listed"
                    && finding.omitted == 1)
        );
    }
}
