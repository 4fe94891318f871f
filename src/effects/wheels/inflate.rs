//! The bytes of members: read, decompressed and checked in one go.
//!
//! Effects layer. A small member costs one read, which brings its local header and data descriptor
//! along, so that they are checked for the price of the same read; it is inflated at once into a
//! buffer that is used again. A large one is streamed in chunks of a fixed size, which takes a
//! quarter longer for a byte: so a few inflaters have room for members of middling size. Whatever
//! comes out has the size and CRC-32 that the archive says, and its compressed bytes were used up.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder, Operation as _};

use crate::effects::host::input::{InputError, InputFile};
use crate::model::finding::{Code, Finding, Findings};
use crate::model::wheel::index::{self, Location, Method};

/// Members of at most so many bytes, compressed and not, are read in one go by every inflater.
pub const SMALL: u64 = 1 << 20;
/// And of at most so many by those with room for it.
const MIDDLING: u64 = 4 << 20;
/// How many inflaters of a process have that room at the same time: however many threads there are,
/// buffers stay a few megabytes.
const ROOMY_INFLATERS: usize = 2;
/// The most bytes of local header and data descriptor that a small read may take along; few need
/// more than a hundred.
const SMALL_OVERHEAD: u64 = 128 << 10;
/// How many compressed bytes are read at once of a large member.
const CHUNK_IN: usize = 256 << 10;
/// How many bytes of a large member are handed on at once.
const CHUNK_OUT: usize = 512 << 10;
/// The largest window that a zstd member may ask for: what RFC 8878 asks every decoder to support.
const ZSTD_WINDOW_LOG: u32 = 23;

const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
const GZIP_FOOTER_LENGTH: usize = 8;

/// Why a member's bytes could not be had.
#[derive(Debug, thiserror::Error)]
pub enum MemberError {
    /// The archive could not be read.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The archive is not sound here.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Unsound(Vec<Finding>),
}

/// An archive that is open, and the codes that the escape hatch lets pass in it.
#[derive(Debug)]
pub struct ZipFile {
    /// The file.
    pub input: InputFile,
    /// Findings of these codes are no reason to refuse a member, where the code's allowance permits
    /// it.
    pub allow: BTreeSet<Code>,
}

impl ZipFile {
    fn findings(&self) -> Findings {
        Findings::with_policy(&self.allow, &BTreeSet::new())
    }

    /// Refuses a member for what was found, if it is an error; notes it otherwise.
    fn judge(findings: Findings, notes: &mut Findings) -> Result<(), MemberError> {
        if findings.has_errors() {
            return Err(MemberError::Unsound(findings.finish()));
        }
        if !findings.is_empty() {
            notes.extend(findings.finish());
        }
        Ok(())
    }
}

/// How large the members may be that an inflater reads in one go.
struct Room {
    limit: u64,
}

static ROOMY: AtomicUsize = AtomicUsize::new(0);

impl Room {
    fn take() -> Self {
        let taken = ROOMY.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
            (count < ROOMY_INFLATERS).then_some(count + 1)
        });
        Self { limit: if taken.is_ok() { MIDDLING } else { SMALL } }
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        if self.limit == MIDDLING {
            ROOMY.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Decompresses members, with buffers that are used again: one for each thread.
pub struct Inflater {
    room: Room,
    input: Vec<u8>,
    output: Vec<u8>,
    at_once: libdeflater::Decompressor,
    stream: Option<Decompress>,
    notes: Findings,
}

impl Default for Inflater {
    fn default() -> Self {
        Self {
            room: Room::take(),
            input: Vec::new(),
            output: Vec::new(),
            at_once: libdeflater::Decompressor::new(),
            stream: None,
            notes: Findings::new(),
        }
    }
}

thread_local! {
    static INFLATER: RefCell<Inflater> = RefCell::default();
}

/// Runs `action` with this thread's inflater; with a new one where `action` is already running in
/// another such call.
pub fn with_inflater<T>(action: impl FnOnce(&mut Inflater) -> T) -> T {
    INFLATER.with(|inflater| match inflater.try_borrow_mut() {
        Ok(mut inflater) => action(&mut inflater),
        Err(_) => action(&mut Inflater::default()),
    })
}

/// Whether [`Inflater::read`] may be used, rather than [`Inflater::stream`].
pub fn is_small(location: &Location) -> bool {
    fits(location, SMALL)
}

fn fits(location: &Location, limit: u64) -> bool {
    location.size <= limit && location.compressed <= limit && location.overhead() <= SMALL_OVERHEAD
}

fn unsound(code: Code, name: &str, message: impl Into<String>) -> MemberError {
    let mut findings = Findings::new();
    findings.add_member(code, name, message);
    MemberError::Unsound(findings.finish())
}

impl Inflater {
    /// What the escape hatch has let pass in the members read so far, since this was asked last.
    pub fn take_notes(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.notes).finish()
    }

    /// Reads and checks a member's local header and descriptor, and none of its bytes.
    ///
    /// # Errors
    /// Reading fails, or the header is not sound.
    pub fn check_header(
        &mut self,
        file: &ZipFile,
        name: &str,
        location: &Location,
    ) -> Result<(), MemberError> {
        let (start, descriptor) = read_header(file, name, location, &mut self.notes)?;
        let mut bytes = [0; 24];
        let bytes = &mut bytes[..descriptor];
        file.input.read_at(bytes, location.offset + start + location.compressed)?;
        check_descriptor(file, bytes, name, location, &mut self.notes)
    }

    /// The whole of a small member.
    ///
    /// # Errors
    /// Reading fails, or header, descriptor, size, checksum or compressed bytes are not sound. A
    /// member for which [`is_small`] is false is refused as well.
    pub fn read(
        &mut self,
        file: &ZipFile,
        name: &str,
        location: &Location,
    ) -> Result<&[u8], MemberError> {
        if !is_small(location) {
            return Err(unsound(
                Code::ZipLimitSize,
                name,
                format!("{} bytes are too many to be read in one go", location.size),
            ));
        }
        self.whole(file, name, location)
    }

    fn whole(
        &mut self,
        file: &ZipFile,
        name: &str,
        location: &Location,
    ) -> Result<&[u8], MemberError> {
        let length = usize::try_from(location.end - location.offset).unwrap_or(usize::MAX);
        let size = usize::try_from(location.size).unwrap_or(usize::MAX);
        // Room for what is put in front of and behind the bytes; see `gzip`.
        grow(&mut self.input, length + GZIP_FOOTER_LENGTH);
        file.input.read_at(&mut self.input[..length], location.offset)?;
        let bytes =
            check_surroundings(file, &self.input[..length], name, location, &mut self.notes)?;
        match location.method {
            Method::Stored => {
                let bytes = &self.input[bytes];
                check(bytes, name, location)?;
                Ok(bytes)
            }
            Method::Deflate => {
                grow(&mut self.output, size);
                if !self.gzip(bytes.clone(), size, location) {
                    // Slower, and says what is wrong.
                    let stream = self.stream.get_or_insert_with(|| Decompress::new(false));
                    let mut whole = Whole { output: &mut self.output[..size], at: 0 };
                    let mut decoder = Decoding::new(Engine::deflate(stream), file, name, location);
                    decoder.push(
                        &self.input[bytes],
                        &mut whole.chunk(),
                        &mut |chunk: &[u8]| whole.put(chunk),
                    )?;
                    decoder.finish()?;
                }
                Ok(&self.output[..size])
            }
            Method::Zstd => {
                grow(&mut self.output, size);
                let mut whole = Whole { output: &mut self.output[..size], at: 0 };
                let mut decoder = Decoding::new(Engine::zstd(name)?, file, name, location);
                decoder.push(&self.input[bytes], &mut whole.chunk(), &mut |chunk: &[u8]| {
                    whole.put(chunk)
                })?;
                decoder.finish()?;
                Ok(&self.output[..size])
            }
        }
    }

    /// Inflates `bytes` of the input at full speed; whether all was sound. A false answer needs a
    /// second, slower look.
    ///
    /// libdeflate says neither how many bytes a bare deflate stream took nor its checksum, but it
    /// checks both for gzip: the stream is followed by CRC-32 and size. So the bytes are dressed up
    /// as gzip, in place: the local header lies before them and may be overwritten. A stream that
    /// ends early passes only if those eight bytes also follow its end, some of which may be the
    /// member's and the others those that are put behind it.
    fn gzip(&mut self, bytes: Range<usize>, size: usize, location: &Location) -> bool {
        let mut footer = [0; GZIP_FOOTER_LENGTH];
        footer[..4].copy_from_slice(&location.crc32.to_le_bytes());
        footer[4..].copy_from_slice(&(location.size as u32).to_le_bytes());
        let start = bytes.start - GZIP_HEADER.len();
        let end = bytes.end + GZIP_FOOTER_LENGTH;
        self.input[bytes.end..end].copy_from_slice(&footer);
        if memchr::memmem::find(&self.input[bytes.start..end - 1], &footer).is_some() {
            return false;
        }
        let mut saved_front = [0; GZIP_HEADER.len()];
        saved_front.copy_from_slice(&self.input[start..bytes.start]);
        self.input[start..bytes.start].copy_from_slice(&GZIP_HEADER);
        let done = self.at_once.gzip_decompress(&self.input[start..end], &mut self.output[..size]);
        self.input[start..bytes.start].copy_from_slice(&saved_front);
        done == Ok(size)
    }

    /// Hands the bytes of a member of any size to `sink`, in order, in one part or in parts of at
    /// most 512 KiB. Size, checksum and descriptor are only known to be right when this returns:
    /// until then, what the sink has got is a claim.
    ///
    /// # Errors
    /// Reading fails, the member is not sound, or the sink fails.
    pub fn stream<E: From<MemberError>>(
        &mut self,
        file: &ZipFile,
        name: &str,
        location: &Location,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        if fits(location, self.room.limit) {
            return sink(self.whole(file, name, location)?);
        }
        let (start, descriptor) = read_header(file, name, location, &mut self.notes)?;
        grow(&mut self.input, CHUNK_IN);
        grow(&mut self.output, CHUNK_OUT);
        let engine = match location.method {
            Method::Stored => Engine::Stored,
            Method::Deflate => {
                Engine::deflate(self.stream.get_or_insert_with(|| Decompress::new(false)))
            }
            Method::Zstd => Engine::zstd(name)?,
        };
        let mut decoder = Decoding::new(engine, file, name, location);
        let mut at = location.offset + start;
        let end = at + location.compressed;
        while at < end {
            let length = usize::try_from(end - at).unwrap_or(CHUNK_IN).min(CHUNK_IN);
            file.input.read_at(&mut self.input[..length], at).map_err(MemberError::from)?;
            decoder.push(&self.input[..length], &mut self.output[..CHUNK_OUT], sink)?;
            at += length as u64;
        }
        decoder.finish()?;
        let mut bytes = [0; 24];
        let bytes = &mut bytes[..descriptor];
        file.input.read_at(bytes, end).map_err(MemberError::from)?;
        check_descriptor(file, bytes, name, location, &mut self.notes)?;
        Ok(())
    }

    /// The first bytes of a member, `limit` or fewer, without checking any more of it than its
    /// local header.
    ///
    /// # Errors
    /// Reading fails, the local header is not sound, or the first bytes cannot be decompressed.
    pub fn peek(
        &mut self,
        file: &ZipFile,
        name: &str,
        location: &Location,
        limit: usize,
    ) -> Result<&[u8], MemberError> {
        if is_small(location) {
            let bytes = self.read(file, name, location)?;
            return Ok(&bytes[..bytes.len().min(limit)]);
        }
        let (start, _) = read_header(file, name, location, &mut self.notes)?;
        let length = usize::try_from(location.compressed).unwrap_or(CHUNK_IN).min(CHUNK_IN);
        grow(&mut self.input, length);
        grow(&mut self.output, limit);
        file.input.read_at(&mut self.input[..length], location.offset + start)?;
        let output = &mut self.output[..limit];
        let damaged =
            |_| unsound(Code::ZipCompressedData, name, "the first bytes cannot be decompressed");
        let written = match location.method {
            Method::Stored => {
                let length = length.min(limit);
                output[..length].copy_from_slice(&self.input[..length]);
                length
            }
            Method::Deflate => {
                let mut stream = Decompress::new(false);
                stream
                    .decompress(&self.input[..length], output, FlushDecompress::None)
                    .map_err(|error| damaged(error.to_string()))?;
                usize::try_from(stream.total_out()).unwrap_or(limit)
            }
            Method::Zstd => {
                let Engine::Zstd(mut decoder) = Engine::zstd(name)? else {
                    return Ok(&[]);
                };
                decoder
                    .run_on_buffers(&self.input[..length], output)
                    .map_err(|error| damaged(error.to_string()))?
                    .bytes_written
            }
        };
        Ok(&self.output[..written])
    }
}

fn grow(buffer: &mut Vec<u8>, length: usize) {
    if buffer.len() < length {
        buffer.resize(length, 0);
    }
}

/// Checks the header in front of a small member's bytes and the descriptor behind them; where the
/// bytes are.
fn check_surroundings(
    file: &ZipFile,
    range: &[u8],
    name: &str,
    location: &Location,
    notes: &mut Findings,
) -> Result<Range<usize>, MemberError> {
    let mut findings = file.findings();
    let compressed = usize::try_from(location.compressed).unwrap_or(usize::MAX);
    let Some((start, descriptor)) = index::local_header(range, name, location, &mut findings)
    else {
        return Err(MemberError::Unsound(findings.finish()));
    };
    let bytes = start..start + compressed;
    index::descriptor(&range[bytes.end..bytes.end + descriptor], name, location, &mut findings);
    if index::descriptor_in_stored(&range[bytes.clone()], location) {
        findings.add_member(
            Code::ZipDescriptorStored,
            name,
            "the stored bytes hold a data descriptor's signature",
        );
    }
    ZipFile::judge(findings, notes)?;
    Ok(bytes)
}

/// Reads and checks the local header of a large member: where its bytes begin and how long the
/// descriptor behind them is.
fn read_header(
    file: &ZipFile,
    name: &str,
    location: &Location,
    notes: &mut Findings,
) -> Result<(u64, usize), MemberError> {
    let mut findings = file.findings();
    // Longer overheads cannot be headers; the index has said so.
    let longest = 2 * u64::from(u16::MAX) + 64;
    let mut header = vec![
        0;
        usize::try_from(
            location.overhead().min(longest).max(64).min(location.end - location.offset)
        )
        .unwrap_or(0)
    ];
    file.input.read_at(&mut header, location.offset)?;
    match index::local_header(&header, name, location, &mut findings) {
        Some((start, descriptor)) => {
            ZipFile::judge(findings, notes).map(|()| (start as u64, descriptor))
        }
        None => Err(MemberError::Unsound(findings.finish())),
    }
}

fn check_descriptor(
    file: &ZipFile,
    bytes: &[u8],
    name: &str,
    location: &Location,
    notes: &mut Findings,
) -> Result<(), MemberError> {
    let mut findings = file.findings();
    index::descriptor(bytes, name, location, &mut findings);
    ZipFile::judge(findings, notes)
}

fn check(bytes: &[u8], name: &str, location: &Location) -> Result<(), MemberError> {
    if bytes.len() as u64 != location.size {
        return Err(unsound(
            Code::ZipSize,
            name,
            format!("{} bytes are stored, the archive says {}", bytes.len(), location.size),
        ));
    }
    check_checksum(crc32fast::hash(bytes), name, location)
}

fn check_checksum(actual: u32, name: &str, location: &Location) -> Result<(), MemberError> {
    if actual == location.crc32 {
        return Ok(());
    }
    Err(unsound(
        Code::ZipChecksum,
        name,
        format!("the bytes have the CRC-32 {actual:08x}, expected {:08x}", location.crc32),
    ))
}

/// A buffer for the whole of a member, filled chunk by chunk.
struct Whole<'a> {
    output: &'a mut [u8],
    at: usize,
}

impl Whole<'_> {
    fn chunk(&self) -> Vec<u8> {
        vec![0; self.output.len().clamp(1, CHUNK_OUT)]
    }

    fn put(&mut self, chunk: &[u8]) -> Result<(), MemberError> {
        // `Decoding` never hands on more than the member's size.
        self.output[self.at..self.at + chunk.len()].copy_from_slice(chunk);
        self.at += chunk.len();
        Ok(())
    }
}

/// What turns compressed bytes into bytes.
enum Engine<'a> {
    Stored,
    Deflate(&'a mut Decompress),
    Zstd(Box<Decoder<'static>>),
}

impl<'a> Engine<'a> {
    fn deflate(stream: &'a mut Decompress) -> Self {
        stream.reset(false);
        Self::Deflate(stream)
    }

    fn zstd(name: &str) -> Result<Self, MemberError> {
        let failed =
            |error: std::io::Error| unsound(Code::ZipCompressedData, name, error.to_string());
        let mut decoder = Decoder::new().map_err(failed)?;
        decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG)).map_err(failed)?;
        Ok(Self::Zstd(Box::new(decoder)))
    }
}

/// A member being decompressed: counts and checks what goes in and comes out.
struct Decoding<'a> {
    engine: Engine<'a>,
    allow: &'a BTreeSet<Code>,
    name: &'a str,
    location: &'a Location,
    checksum: crc32fast::Hasher,
    written: u64,
    ended: bool,
    /// The last bytes of a stored member's previous chunk, for a signature that lies across two.
    seam: Vec<u8>,
}

impl<'a> Decoding<'a> {
    fn new(engine: Engine<'a>, file: &'a ZipFile, name: &'a str, location: &'a Location) -> Self {
        Self {
            engine,
            allow: &file.allow,
            name,
            location,
            checksum: crc32fast::Hasher::new(),
            written: 0,
            ended: false,
            seam: Vec::new(),
        }
    }

    /// Takes the next compressed bytes, `chunk` being room for what comes out of them.
    fn push<E: From<MemberError>>(
        &mut self,
        mut input: &[u8],
        chunk: &mut [u8],
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let (name, location) = (self.name, self.location);
        if let Engine::Stored = self.engine {
            self.seam.extend_from_slice(&input[..input.len().min(3)]);
            let tolerated = self.allow.contains(&Code::ZipDescriptorStored);
            if !tolerated
                && (index::descriptor_in_stored(input, location)
                    || index::descriptor_in_stored(&self.seam, location))
            {
                return Err(unsound(
                    Code::ZipDescriptorStored,
                    name,
                    "the stored bytes hold a data descriptor's signature",
                )
                .into());
            }
            self.seam.clear();
            self.seam.extend_from_slice(&input[input.len().saturating_sub(3)..]);
            return self.put(input, sink);
        }
        loop {
            if self.ended {
                return if input.is_empty() {
                    Ok(())
                } else {
                    Err(unsound(
                        Code::ZipCompressedSize,
                        name,
                        "compressed bytes are left over where the member has ended",
                    )
                    .into())
                };
            }
            let (read, written, ended) = match &mut self.engine {
                Engine::Stored => (input.len(), 0, true),
                Engine::Deflate(stream) => {
                    let (before_in, before_out) = (stream.total_in(), stream.total_out());
                    let status = stream.decompress(input, chunk, FlushDecompress::None).map_err(
                        |error| {
                            unsound(
                                Code::ZipCompressedData,
                                name,
                                format!("the bytes are no deflate stream: {error}"),
                            )
                        },
                    )?;
                    (
                        usize::try_from(stream.total_in() - before_in).unwrap_or(input.len()),
                        usize::try_from(stream.total_out() - before_out).unwrap_or(chunk.len()),
                        status == Status::StreamEnd,
                    )
                }
                Engine::Zstd(decoder) => {
                    let status = decoder.run_on_buffers(input, chunk).map_err(|error| {
                        unsound(
                            Code::ZipCompressedData,
                            name,
                            format!("the bytes are no zstd frame: {error}"),
                        )
                    })?;
                    (status.bytes_read, status.bytes_written, status.remaining == 0)
                }
            };
            self.ended = ended;
            input = &input[read..];
            self.put(&chunk[..written], sink)?;
            let stuck = read == 0 && written == 0;
            if input.is_empty() && !ended && (stuck || written < chunk.len()) {
                return Ok(());
            }
            if stuck && !ended {
                return Err(unsound(
                    Code::ZipCompressedData,
                    name,
                    "the compressed bytes lead nowhere",
                )
                .into());
            }
        }
    }

    fn put<E: From<MemberError>>(
        &mut self,
        bytes: &[u8],
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.written += bytes.len() as u64;
        if self.written > self.location.size {
            let message = format!(
                "more bytes come out than the {} that the archive says",
                self.location.size
            );
            return Err(unsound(Code::ZipSize, self.name, message).into());
        }
        self.checksum.update(bytes);
        if bytes.is_empty() { Ok(()) } else { sink(bytes) }
    }

    fn finish(self) -> Result<(), MemberError> {
        if !self.ended && !matches!(self.engine, Engine::Stored) {
            return Err(unsound(
                Code::ZipCompressedSize,
                self.name,
                "the compressed bytes end before the member does",
            ));
        }
        if self.written != self.location.size {
            let message =
                format!("{} bytes came out, the archive says {}", self.written, self.location.size);
            return Err(unsound(Code::ZipSize, self.name, message));
        }
        check_checksum(self.checksum.finalize(), self.name, self.location)
    }
}
