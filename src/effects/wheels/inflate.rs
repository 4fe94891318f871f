//! The bytes of members: read, decompressed and checked in one go.
//!
//! Effects layer. A small member costs one read, which brings its local header and data descriptor
//! along, so that they are checked for the price of the same read; it is inflated at once into a
//! buffer that is used again. A large one is streamed in chunks of a fixed size, which takes a
//! quarter longer for a byte: so a few inflaters have room for members of middling size. Whatever
//! comes out has the size and CRC-32 that the archive says, and its compressed bytes were used up.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use flate2::{Decompress, FlushDecompress};
use zstd::stream::raw::Operation as _;

use crate::effects::wheels::decode::{CHUNK_OUT, Decoding, Engine, decode_whole};
use crate::effects::wheels::member::{MemberError, MemberRef};
use crate::model::finding::{Code, Findings};
use crate::model::wheel::index::{Location, Method};

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

const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
const GZIP_FOOTER_LENGTH: usize = 8;

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

/// Decompresses members, with buffers that are used again: one for each thread. It remembers
/// nothing of them: what the escape hatch lets pass in one is added to the notes of whoever asked.
pub struct Inflater {
    room: Room,
    input: Vec<u8>,
    output: Vec<u8>,
    at_once: libdeflater::Decompressor,
    stream: Option<Decompress>,
}

impl Default for Inflater {
    fn default() -> Self {
        Self {
            room: Room::take(),
            input: Vec::new(),
            output: Vec::new(),
            at_once: libdeflater::Decompressor::new(),
            stream: None,
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

impl Inflater {
    /// Reads and checks a member's local header and descriptor, and none of its bytes.
    ///
    /// # Errors
    /// Reading fails, or the header is not sound.
    pub fn check_header(
        &mut self,
        member: MemberRef<'_>,
        notes: &mut Findings,
    ) -> Result<(), MemberError> {
        let (start, descriptor) = member.read_header(notes)?;
        member.read_descriptor(start, descriptor, notes)
    }

    /// Checks a member that is not going to be read: its local header says where it ends, unless
    /// there is a descriptor: then its bytes do.
    ///
    /// # Errors
    /// Reading fails, or the member is not sound.
    pub fn check_unread(
        &mut self,
        member: MemberRef<'_>,
        notes: &mut Findings,
    ) -> Result<(), MemberError> {
        match member.location.has_descriptor() {
            true => self.stream::<MemberError>(member, notes, &mut |_| Ok(())),
            false => self.check_header(member, notes),
        }
    }

    /// The whole of a small member.
    ///
    /// # Errors
    /// Reading fails, or header, descriptor, size, checksum or compressed bytes are not sound. A
    /// member for which [`is_small`] is false is refused as well.
    pub fn read(
        &mut self,
        member: MemberRef<'_>,
        notes: &mut Findings,
    ) -> Result<&[u8], MemberError> {
        let location = member.location;
        if !is_small(location) {
            let message = format!("{} bytes are too many to be read in one go", location.size);
            return Err(member.unsound(Code::ZipLimitSize, message));
        }
        self.whole(member, notes)
    }

    fn whole(&mut self, member: MemberRef<'_>, notes: &mut Findings) -> Result<&[u8], MemberError> {
        let location = member.location;
        let length = usize::try_from(location.end - location.offset).unwrap_or(usize::MAX);
        let size = usize::try_from(location.size).unwrap_or(usize::MAX);
        // Room for what is put in front of and behind the bytes; see `gzip`.
        grow(&mut self.input, length + GZIP_FOOTER_LENGTH);
        member.file.input.read_at(&mut self.input[..length], location.offset)?;
        let bytes = member.check_surroundings(&self.input[..length], notes)?;
        let engine = match location.method {
            Method::Stored => {
                let bytes = &self.input[bytes];
                member.check_bytes(bytes)?;
                return Ok(bytes);
            }
            Method::Deflate => {
                grow(&mut self.output, size);
                if self.gzip(bytes.clone(), size, location) {
                    return Ok(&self.output[..size]);
                }
                // Slower, and says what is wrong.
                Engine::deflate(self.stream.get_or_insert_with(|| Decompress::new(false)))
            }
            Method::Zstd => {
                grow(&mut self.output, size);
                Engine::zstd(member)?
            }
        };
        decode_whole(engine, member, &self.input[bytes], &mut self.output[..size])?;
        Ok(&self.output[..size])
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
        member: MemberRef<'_>,
        notes: &mut Findings,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let location = member.location;
        if fits(location, self.room.limit) {
            return sink(self.whole(member, notes)?);
        }
        let (start, descriptor) = member.read_header(notes)?;
        grow(&mut self.input, CHUNK_IN);
        grow(&mut self.output, CHUNK_OUT);
        let engine = match location.method {
            Method::Stored => Engine::Stored,
            Method::Deflate => {
                Engine::deflate(self.stream.get_or_insert_with(|| Decompress::new(false)))
            }
            Method::Zstd => Engine::zstd(member)?,
        };
        let mut decoder = Decoding::new(engine, member);
        let mut at = start;
        let end = start + location.compressed;
        while at < end {
            let length = usize::try_from(end - at).unwrap_or(CHUNK_IN).min(CHUNK_IN);
            member.file.input.read_at(&mut self.input[..length], at).map_err(MemberError::from)?;
            decoder.push(&self.input[..length], &mut self.output[..CHUNK_OUT], sink)?;
            at += length as u64;
        }
        decoder.finish()?;
        Ok(member.read_descriptor(start, descriptor, notes)?)
    }

    /// The first bytes of a member, `limit` or fewer, without checking any more of it than its
    /// local header.
    ///
    /// # Errors
    /// Reading fails, the local header is not sound, or the first bytes cannot be decompressed.
    pub fn peek(
        &mut self,
        member: MemberRef<'_>,
        notes: &mut Findings,
        limit: usize,
    ) -> Result<&[u8], MemberError> {
        let location = member.location;
        if is_small(location) {
            let bytes = self.read(member, notes)?;
            return Ok(&bytes[..bytes.len().min(limit)]);
        }
        let (start, _) = member.read_header(notes)?;
        let length = usize::try_from(location.compressed).unwrap_or(CHUNK_IN).min(CHUNK_IN);
        grow(&mut self.input, length);
        grow(&mut self.output, limit);
        member.file.input.read_at(&mut self.input[..length], start)?;
        let output = &mut self.output[..limit];
        let damaged =
            |_| member.unsound(Code::ZipCompressedData, "the first bytes cannot be decompressed");
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
                let Engine::Zstd(mut decoder) = Engine::zstd(member)? else {
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
