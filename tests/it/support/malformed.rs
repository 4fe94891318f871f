//! Wheels made to order from recipes, sound or damaged in one place: the corpus of
//! `testdata/malformed`.
//!
//! A recipe lists what differs from a small sound wheel called `demo` 1.0; everything else
//! (offsets, sizes, checksums, RECORD) is computed. Numbers may be written as text with a sign, and
//! are then added to the right value.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use serde::Deserialize;
use sha2::Digest as _;

/// A file of `testdata/malformed`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Corpus {
    /// What its cases have in common.
    #[expect(dead_code, reason = "for readers of the corpus")]
    pub(crate) about: String,
    /// The cases.
    pub(crate) cases: Vec<Recipe>,
}

/// One archive and what has to be found in it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Recipe {
    /// What is odd about it.
    pub(crate) name: String,
    /// The codes of all findings, sorted, each once.
    pub(crate) expect: Vec<String>,
    /// The file's name, if not demo's.
    pub(crate) filename: Option<String>,
    /// The name of the `.dist-info` folder, if not demo's.
    dist_info: Option<String>,
    /// Whether the members of demo are left out.
    bare: bool,
    /// Files of demo's `.dist-info` that are left out.
    without: Vec<String>,
    /// METADATA, if not demo's.
    metadata: Option<Content>,
    /// WHEEL, if not demo's.
    wheel: Option<Content>,
    /// RECORD, if not computed.
    record: Option<Content>,
    /// Rows added to RECORD.
    rows: Vec<String>,
    /// `entry_points.txt`.
    entry_points: Option<Content>,
    /// More members, before those of `.dist-info`.
    members: Vec<MemberRecipe>,
    /// Bytes before the first member; offsets count from behind them unless `shifted`.
    prefix: Content,
    /// Whether offsets count from the file's start.
    shifted: bool,
    /// Bytes between the last member and the directory.
    before_directory: Content,
    /// Bytes between the directory and the end records.
    after_directory: Content,
    /// The end records.
    end: EndRecipe,
    /// Bytes after the end record.
    suffix: Content,
    /// How many bytes are cut off at the end.
    cut: usize,
    /// The whole file, if nothing above matters.
    file: Option<Content>,
}

/// Bytes, as text, in hexadecimal, or many zeros.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub(crate) enum Content {
    /// UTF-8.
    Text(String),
    /// Hexadecimal digits.
    Hex {
        /// The digits.
        hex: String,
    },
    /// Zeros.
    Zeros {
        /// How many.
        zeros: usize,
    },
    /// A text, repeated.
    Repeat {
        /// The text.
        repeat: String,
        /// How often.
        times: usize,
    },
}

impl Default for Content {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl Content {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.as_bytes().to_vec(),
            Self::Hex { hex } => {
                let digits: Vec<u8> =
                    hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
                digits
                    .chunks(2)
                    .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
                    .collect()
            }
            Self::Zeros { zeros } => vec![0; *zeros],
            Self::Repeat { repeat, times } => repeat.repeat(*times).into_bytes(),
        }
    }
}

/// A number instead of the right one, or what is added to that.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Number {
    Value(u64),
    Difference(String),
}

fn number(change: Option<&Number>, right: u64) -> u64 {
    match change {
        None => right,
        Some(Number::Value(value)) => *value,
        Some(Number::Difference(text)) => {
            right.wrapping_add_signed(text.parse().expect("a number with a sign"))
        }
    }
}

/// A member.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct MemberRecipe {
    name: Content,
    content: Content,
    /// 0 stored, 8 deflate, 93 zstd; stored bytes for other numbers. The default is deflate.
    method: Option<u16>,
    /// The Unix mode.
    mode: Option<u32>,
    /// The lower half of the attributes.
    dos_attributes: u16,
    flags: u16,
    /// The compressed bytes, if not what the content gives.
    compressed: Option<Content>,
    /// What both headers say, if not the truth.
    both: HeaderRecipe,
    local: HeaderRecipe,
    central: HeaderRecipe,
    /// A descriptor of so many bytes: 12, 16, 20 or 24 (others are zeros).
    descriptor: Option<usize>,
    descriptor_crc32: Option<Number>,
    /// Bytes after the member.
    gap: Content,
    /// The columns after the path in RECORD; `none`: no row.
    row: Option<String>,
    /// The path in RECORD, if not the name.
    row_path: Option<String>,
    /// The same offset as the member before.
    same_offset: bool,
}

/// What a header says, if not the truth.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct HeaderRecipe {
    omit: bool,
    signature: Option<Content>,
    version: Option<Number>,
    name: Option<Content>,
    flags: Option<Number>,
    method: Option<Number>,
    crc32: Option<Number>,
    compressed: Option<Number>,
    size: Option<Number>,
    offset: Option<Number>,
    disk: Option<Number>,
    extra: Vec<ExtraRecipe>,
    extra_length: Option<Number>,
    comment: Content,
}

/// An extra field.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum ExtraRecipe {
    /// A field of 64-bit values: numbers, or `size`, `compressed`, `offset`.
    Values { id: u16, values: Vec<serde_json::Value> },
    /// A Unicode path: the CRC-32 of a name and another name.
    UnicodePath { unicode_path: String, of: String },
    /// Any bytes.
    Raw { raw: Content },
}

/// The end records.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct EndRecipe {
    omit: bool,
    twice: bool,
    comment: Content,
    comment_length: Option<Number>,
    disk: Option<Number>,
    directory_disk: Option<Number>,
    disk_entries: Option<Number>,
    entries: Option<Number>,
    size: Option<Number>,
    offset: Option<Number>,
    zip64: Option<Zip64Recipe>,
}

/// The zip64 end records; the end record's own fields are saturated unless they are given.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Zip64Recipe {
    omit_record: bool,
    omit_locator: bool,
    length: Option<Number>,
    extensible: Content,
    disk: Option<Number>,
    disk_entries: Option<Number>,
    entries: Option<Number>,
    size: Option<Number>,
    offset: Option<Number>,
    locator_offset: Option<Number>,
    locator_disks: Option<Number>,
    between: Content,
}

/// Every case of `testdata/malformed`, with the file that it is in.
pub(crate) fn corpus() -> Vec<(String, Recipe)> {
    // The fuzz crate, a folder below, uses this file too.
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = if root.ends_with("fuzz") {
        root.parent().expect("fuzz lies in the project")
    } else {
        root
    };
    let folder = root.join("testdata/malformed");
    let mut files: Vec<_> = folder
        .read_dir()
        .expect("the corpus is there")
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        let corpus: Corpus = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        cases.extend(corpus.cases.into_iter().map(|case| (name.clone(), case)));
    }
    cases
}

/// The row of RECORD for some bytes, without the path.
fn row(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let hash = sha2::Sha256::digest(bytes);
    let mut text = String::new();
    for chunk in hash.chunks(3) {
        let value = chunk.iter().fold(0_u32, |value, byte| value << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for index in 0..=chunk.len() {
            text.push(char::from(ALPHABET[(value >> (18 - 6 * index)) as usize & 63]));
        }
    }
    format!("sha256={text},{}", bytes.len())
}

impl Recipe {
    /// The name under which the wheel is published.
    pub(crate) fn filename(&self) -> &str {
        self.filename.as_deref().unwrap_or("demo-1.0-py3-none-any.whl")
    }

    /// The texts in it, each with the name of the parser's fuzz target.
    pub(crate) fn texts(&self) -> Vec<(&'static str, Vec<u8>)> {
        let members = self.all_members();
        let target = |name: &str| match name.rsplit('/').next() {
            Some("RECORD") => Some("record"),
            Some("WHEEL") => Some("wheel_headers"),
            Some("METADATA") => Some("metadata"),
            Some("entry_points.txt") => Some("entry_points"),
            _ => name.ends_with(".pth").then_some("startup_files"),
        };
        members
            .iter()
            .filter_map(|member| {
                Some((
                    target(&String::from_utf8_lossy(&member.name.bytes()))?,
                    member.content.bytes(),
                ))
            })
            .collect()
    }

    /// The archive.
    pub(crate) fn build(&self) -> Vec<u8> {
        if let Some(file) = &self.file {
            return file.bytes();
        }
        let prefix = self.prefix.bytes();
        let base = if self.shifted { prefix.len() } else { 0 };
        let mut archive = prefix.clone();
        let mut directory = Vec::new();
        let mut count = 0;
        let mut previous = 0;
        for member in self.all_members() {
            let offset = if member.same_offset {
                previous
            } else {
                (archive.len() - prefix.len() + base) as u64
            };
            previous = offset;
            count += u64::from(!member.central.omit);
            member.write(offset, &mut archive, &mut directory);
        }
        archive.extend(self.before_directory.bytes());
        let start = (archive.len() - prefix.len() + base) as u64;
        archive.extend(&directory);
        archive.extend(self.after_directory.bytes());
        let end = (archive.len() - prefix.len() + base) as u64;
        self.end.write(start, directory.len() as u64, count, end, &mut archive);
        archive.extend(self.suffix.bytes());
        archive.truncate(archive.len() - self.cut);
        archive
    }

    fn all_members(&self) -> Vec<MemberRecipe> {
        let folder = self.dist_info.as_deref().unwrap_or("demo-1.0.dist-info");
        let text = |name: &str, content: &Content| MemberRecipe {
            name: Content::Text(name.to_owned()),
            content: content.clone(),
            ..MemberRecipe::default()
        };
        let mut members = Vec::new();
        if !self.bare {
            members.push(text("demo/__init__.py", &Content::Text("answer = 42\n".to_owned())));
        }
        members.extend(self.members.iter().cloned());
        let wheel =
            "Wheel-Version: 1.0\nGenerator: recipe\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
                .to_owned();
        let metadata = "Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n".to_owned();
        let files = [
            ("WHEEL", Some(self.wheel.clone().unwrap_or(Content::Text(wheel)))),
            ("METADATA", Some(self.metadata.clone().unwrap_or(Content::Text(metadata)))),
            ("entry_points.txt", self.entry_points.clone()),
        ];
        let wanted = |name: &str| !self.bare && !self.without.iter().any(|without| without == name);
        for (name, content) in files {
            if let Some(content) = content.filter(|_| wanted(name)) {
                members.push(text(&format!("{folder}/{name}"), &content));
            }
        }
        if wanted("RECORD") {
            let own = format!("{folder}/RECORD");
            let content = self
                .record
                .clone()
                .unwrap_or_else(|| Content::Text(self.compute_record(&members, &own)));
            members.push(text(&own, &content));
        }
        members
    }

    fn compute_record(&self, members: &[MemberRecipe], own: &str) -> String {
        let mut rows = BTreeMap::new();
        for member in members {
            let name = member
                .row_path
                .clone()
                .unwrap_or_else(|| String::from_utf8_lossy(&member.name.bytes()).into_owned());
            let columns = member.row.clone().unwrap_or_else(|| row(&member.content.bytes()));
            if columns != "none" && !name.ends_with('/') {
                let quoted = if name.contains([',', '"', '\n']) {
                    format!("\"{}\"", name.replace('"', "\"\""))
                } else {
                    name
                };
                rows.entry(quoted).or_insert(columns);
            }
        }
        let mut text: String =
            rows.iter().map(|(name, columns)| format!("{name},{columns}\n")).collect();
        for row in &self.rows {
            text.push_str(row);
            text.push('\n');
        }
        text + own + ",,\n"
    }
}

fn put16(bytes: &mut Vec<u8>, value: u64) {
    bytes.extend(&(value as u16).to_le_bytes());
}

fn put32(bytes: &mut Vec<u8>, value: u64) {
    bytes.extend(&(value as u32).to_le_bytes());
}

fn put64(bytes: &mut Vec<u8>, value: u64) {
    bytes.extend(&value.to_le_bytes());
}

/// The truth about a member, for headers.
struct Truth {
    flags: u64,
    method: u64,
    crc32: u64,
    compressed: u64,
    size: u64,
    offset: u64,
}

impl MemberRecipe {
    fn write(&self, offset: u64, archive: &mut Vec<u8>, directory: &mut Vec<u8>) {
        let content = self.content.bytes();
        let method = self.method.unwrap_or(8);
        let compressed =
            self.compressed.as_ref().map_or_else(|| compress(&content, method), Content::bytes);
        let mut crc32 = flate2::Crc::new();
        crc32.update(&content);
        let name = self.name.bytes();
        let utf8 = if name.is_ascii() { 0 } else { 1 << 11 };
        let truth = Truth {
            flags: u64::from(self.flags ^ utf8 | if self.descriptor.is_some() { 8 } else { 0 }),
            method: method.into(),
            crc32: crc32.sum().into(),
            compressed: compressed.len() as u64,
            size: content.len() as u64,
            offset,
        };
        if !self.same_offset {
            if !self.local.omit {
                let header = archive.len();
                archive.extend(
                    self.local.signature.as_ref().map_or(b"PK\x03\x04".to_vec(), Content::bytes),
                );
                put16(archive, number(self.local.version.as_ref(), 20));
                self.write_fields(&self.local, &truth, &name, archive);
                assert!(archive.len() >= header + 26);
            }
            archive.extend(&compressed);
            self.write_descriptor(&truth, archive);
            archive.extend(self.gap.bytes());
        }
        if !self.central.omit {
            self.write_central(&truth, &name, directory);
        }
    }

    /// The fields that both headers have.
    fn write_fields(&self, header: &HeaderRecipe, truth: &Truth, name: &[u8], out: &mut Vec<u8>) {
        let both = &self.both;
        put16(out, number(header.flags.as_ref().or(both.flags.as_ref()), truth.flags));
        put16(out, number(header.method.as_ref().or(both.method.as_ref()), truth.method));
        // 1980-01-01.
        put32(out, 0x0021_0000);
        put32(out, number(header.crc32.as_ref().or(both.crc32.as_ref()), truth.crc32));
        put32(
            out,
            number(header.compressed.as_ref().or(both.compressed.as_ref()), truth.compressed),
        );
        put32(out, number(header.size.as_ref().or(both.size.as_ref()), truth.size));
        let own_name = header.name.as_ref().map(Content::bytes);
        let name = own_name.as_deref().unwrap_or(name);
        let extra = header.extra(truth);
        put16(out, name.len() as u64);
        put16(out, number(header.extra_length.as_ref(), extra.len() as u64));
        if std::ptr::eq(header, &self.local) {
            out.extend(name);
            out.extend(extra);
        }
    }

    fn write_descriptor(&self, truth: &Truth, archive: &mut Vec<u8>) {
        let Some(length) = self.descriptor else {
            return;
        };
        if matches!(length, 16 | 24) {
            archive.extend(b"PK\x07\x08");
        }
        let crc32 = number(self.descriptor_crc32.as_ref(), truth.crc32);
        match length {
            12 | 16 => {
                put32(archive, crc32);
                put32(archive, truth.compressed);
                put32(archive, truth.size);
            }
            20 | 24 => {
                put32(archive, crc32);
                put64(archive, truth.compressed);
                put64(archive, truth.size);
            }
            other => archive.extend(vec![0; other]),
        }
    }

    fn write_central(&self, truth: &Truth, name: &[u8], directory: &mut Vec<u8>) {
        let header = &self.central;
        directory.extend(header.signature.as_ref().map_or(b"PK\x01\x02".to_vec(), Content::bytes));
        // Made by Unix, version 2.0; needs version 2.0.
        put16(directory, 3 << 8 | 20);
        put16(directory, number(header.version.as_ref(), 20));
        self.write_fields(header, truth, name, directory);
        let comment = header.comment.bytes();
        put16(directory, comment.len() as u64);
        put16(directory, number(header.disk.as_ref(), 0));
        put16(directory, 0);
        let mode = self.mode.unwrap_or(if name.ends_with(b"/") { 0o040_755 } else { 0o100_644 });
        put32(directory, u64::from(mode) << 16 | u64::from(self.dos_attributes));
        put32(directory, number(header.offset.as_ref(), truth.offset));
        let own_name = header.name.as_ref().map(Content::bytes);
        directory.extend(own_name.as_deref().unwrap_or(name));
        directory.extend(header.extra(truth));
        directory.extend(comment);
    }
}

impl HeaderRecipe {
    fn extra(&self, truth: &Truth) -> Vec<u8> {
        let mut bytes = Vec::new();
        for field in &self.extra {
            match field {
                ExtraRecipe::Raw { raw } => bytes.extend(raw.bytes()),
                ExtraRecipe::Values { id, values } => {
                    put16(&mut bytes, (*id).into());
                    put16(&mut bytes, 8 * values.len() as u64);
                    for value in values {
                        let value = match value.as_str() {
                            Some("size") => truth.size,
                            Some("compressed") => truth.compressed,
                            Some("offset") => truth.offset,
                            _ => value.as_u64().expect("a number or the name of one"),
                        };
                        put64(&mut bytes, value);
                    }
                }
                ExtraRecipe::UnicodePath { unicode_path, of } => {
                    put16(&mut bytes, 0x7075);
                    put16(&mut bytes, 5 + unicode_path.len() as u64);
                    bytes.push(1);
                    let mut crc32 = flate2::Crc::new();
                    crc32.update(of.as_bytes());
                    put32(&mut bytes, crc32.sum().into());
                    bytes.extend(unicode_path.as_bytes());
                }
            }
        }
        bytes
    }
}

impl EndRecipe {
    fn write(&self, start: u64, size: u64, entries: u64, at: u64, archive: &mut Vec<u8>) {
        let saturated = |value: u64, mark: u64| if self.zip64.is_some() { mark } else { value };
        if let Some(zip64) = &self.zip64 {
            zip64.write(start, size, entries, at, archive);
        }
        if self.omit {
            return;
        }
        let first = archive.len();
        archive.extend(b"PK\x05\x06");
        put16(archive, number(self.disk.as_ref(), 0));
        put16(archive, number(self.directory_disk.as_ref(), 0));
        put16(
            archive,
            number(
                self.disk_entries.as_ref().or(self.entries.as_ref()),
                saturated(entries, 0xffff),
            ),
        );
        put16(archive, number(self.entries.as_ref(), saturated(entries, 0xffff)));
        put32(archive, number(self.size.as_ref(), saturated(size, 0xffff_ffff)));
        put32(archive, number(self.offset.as_ref(), saturated(start, 0xffff_ffff)));
        let comment = self.comment.bytes();
        put16(archive, number(self.comment_length.as_ref(), comment.len() as u64));
        archive.extend(comment);
        if self.twice {
            let again = archive[first..].to_vec();
            archive.extend(again);
        }
    }
}

impl Zip64Recipe {
    fn write(&self, start: u64, size: u64, entries: u64, at: u64, archive: &mut Vec<u8>) {
        let extensible = self.extensible.bytes();
        if !self.omit_record {
            archive.extend(b"PK\x06\x06");
            put64(archive, number(self.length.as_ref(), 44 + extensible.len() as u64));
            put16(archive, 45);
            put16(archive, 45);
            put32(archive, number(self.disk.as_ref(), 0));
            put32(archive, 0);
            put64(archive, number(self.disk_entries.as_ref().or(self.entries.as_ref()), entries));
            put64(archive, number(self.entries.as_ref(), entries));
            put64(archive, number(self.size.as_ref(), size));
            put64(archive, number(self.offset.as_ref(), start));
            archive.extend(extensible);
        }
        archive.extend(self.between.bytes());
        if !self.omit_locator {
            archive.extend(b"PK\x06\x07");
            put32(archive, 0);
            put64(archive, number(self.locator_offset.as_ref(), at));
            put32(archive, number(self.locator_disks.as_ref(), 1));
        }
    }
}

fn compress(bytes: &[u8], method: u16) -> Vec<u8> {
    match method {
        8 => {
            let mut encoder =
                flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        93 => zstd::encode_all(bytes, 3).unwrap(),
        _ => bytes.to_vec(),
    }
}
