//! Compression by several threads, whose bytes depend on none of that.
//!
//! Effects layer. A stream is cut into parts of one size, however its bytes come, and each is
//! compressed by whoever is free. Gzip stays one member, as every reader expects: a part knows the
//! end of the one before it, as in pigz, and ends at a whole byte. Of Zstandard, each part is a
//! frame. What is made depends on the bytes, the level and the release of the compressor.

use std::io::{self, Write};

use crc32fast::Hasher as Crc;
use flate2::{Compress, Compression as Deflate, FlushCompress, Status};

use crate::effects::work::in_order;
use crate::effects::work::pipeline::STAGES;
use crate::model::compression::Compression;

/// Bytes of a part of gzip: enough that the few bytes between two parts do not matter.
const GZIP_PART: usize = 512 << 10;
/// Bytes of a frame of Zstandard: twice what it looks back at most at usual levels.
const ZSTD_PART: usize = 4 << 20;
/// How far deflate looks back.
const WINDOW: usize = 32 << 10;
/// Gzip's header: deflate, no file name, no time, an unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

/// A part of the stream.
#[derive(Default)]
struct Part {
    bytes: Vec<u8>,
    /// What precedes it, as far as that helps.
    before: Vec<u8>,
    is_last: bool,
    compressed: Vec<u8>,
    /// Of the bytes, for gzip.
    crc: Crc,
    failed: Option<io::Error>,
}

/// Has `fill` write to what compresses into `out`, on at most `threads` threads; `fill` is told how
/// many it may have itself.
///
/// # Errors
/// Those of `fill`, or `out` refuses.
pub(in crate::effects::sink) fn through<E: From<io::Error>>(
    out: &mut dyn Write,
    compression: Compression,
    threads: usize,
    fill: impl FnOnce(&mut dyn Write, usize) -> Result<(), E>,
) -> Result<(), E> {
    let part = match compression {
        Compression::None => return fill(out, threads),
        Compression::Gzip(_) => GZIP_PART,
        Compression::Zstd(_) => ZSTD_PART,
    };
    // Of many threads, as many make the stream as can; of few, the one that also compresses.
    let makers = if threads > 2 * STAGES { STAGES } else { 1 };
    let (mut crc, mut size, mut is_first) = (Crc::new(), 0_u64, true);
    let take = |part: &mut Part| {
        if let Some(error) = part.failed.take() {
            return Err(error);
        }
        if let Compression::Gzip(_) = compression {
            if std::mem::take(&mut is_first) {
                out.write_all(&HEADER)?;
            }
            crc.combine(&part.crc);
            size += part.bytes.len() as u64;
        }
        out.write_all(&part.compressed)?;
        if part.is_last && matches!(compression, Compression::Gzip(_)) {
            out.write_all(&crc.clone().finalize().to_le_bytes())?;
            // Gzip's sizes are those of the bytes modulo 2^32.
            out.write_all(&(size as u32).to_le_bytes())?;
        }
        Ok(())
    };
    let mut failure = None;
    let passed = in_order::pass(
        threads - (makers - 1),
        |part| part.failed = compress(part, compression).err(),
        take,
        |hand_on| {
            let mut cutter = Cutter { part: Part::default(), size: part, hand_on };
            if let Err(error) = fill(&mut cutter, makers) {
                failure = Some(error);
                return Err(io::Error::other("the stream could not be made"));
            }
            cutter.finish()
        },
    );
    match failure {
        Some(error) => Err(error),
        None => Ok(passed?),
    }
}

/// Cuts what is written to it into parts.
struct Cutter<'a> {
    part: Part,
    size: usize,
    hand_on: &'a mut dyn FnMut(Part) -> io::Result<Part>,
}

impl Cutter<'_> {
    fn hand_on(&mut self, is_last: bool) -> io::Result<()> {
        let mut part = std::mem::take(&mut self.part);
        part.is_last = is_last;
        // What comes next may refer to the end of this one.
        let end = part.bytes[part.bytes.len().saturating_sub(WINDOW)..].to_vec();
        let mut next = (self.hand_on)(part)?;
        next.bytes.clear();
        next.before = end;
        self.part = next;
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        self.hand_on(true)
    }
}

impl Write for Cutter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A part is handed on when more comes: the last one has to be known as such.
        if self.part.bytes.len() == self.size {
            self.hand_on(false)?;
        }
        let taken = bytes.len().min(self.size - self.part.bytes.len());
        self.part.bytes.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Compresses a part with a coder of its own: what one has seen before can show in what it makes
/// (that of deflate does, though it is reset), and who works on which part is chance.
fn compress(part: &mut Part, compression: Compression) -> io::Result<()> {
    part.compressed.clear();
    match compression {
        Compression::None => Ok(()),
        Compression::Zstd(level) => {
            part.compressed.resize(zstd::zstd_safe::compress_bound(part.bytes.len()), 0);
            let mut coder = zstd::bulk::Compressor::new(i32::from(level))?;
            let written = coder.compress_to_buffer(&part.bytes, &mut part.compressed[..])?;
            part.compressed.truncate(written);
            Ok(())
        }
        Compression::Gzip(level) => {
            part.crc = Crc::new();
            part.crc.update(&part.bytes);
            let mut coder = Compress::new(Deflate::new(u32::from(level)), false);
            if !part.before.is_empty() {
                coder.set_dictionary(&part.before)?;
            }
            let end = if part.is_last { FlushCompress::Finish } else { FlushCompress::Sync };
            deflate(&mut coder, &part.bytes, end, &mut part.compressed)
        }
    }
}

/// Deflates bytes to a whole byte, or to the end of the stream.
fn deflate(
    coder: &mut Compress,
    mut bytes: &[u8],
    end: FlushCompress,
    out: &mut Vec<u8>,
) -> io::Result<()> {
    // More than deflate makes of what it cannot compress: then it comes to its end in one call, and
    // room that is left over says that it did.
    out.reserve(bytes.len() + bytes.len() / 1000 + 1024);
    loop {
        let before = coder.total_in();
        let status = coder.compress_vec(bytes, out, end)?;
        bytes = &bytes[usize::try_from(coder.total_in() - before).unwrap_or(bytes.len())..];
        let is_done = match end {
            FlushCompress::Finish => status == Status::StreamEnd,
            _ => bytes.is_empty() && out.len() < out.capacity(),
        };
        if is_done {
            return Ok(());
        }
        out.reserve(out.capacity());
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    /// Bytes that compress in part.
    fn sample(length: usize) -> Vec<u8> {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 16
        };
        let mut bytes = Vec::with_capacity(length + 300);
        while bytes.len() < length {
            if next() % 3 == 0 && bytes.len() > 100_000 {
                // As far away as another part.
                let start = bytes.len() - 1 - next() as usize % 90_000;
                let end = (start + 200).min(bytes.len());
                bytes.extend_from_within(start..end);
            } else {
                bytes.extend((0..1 + next() % 64).map(|_| (next() % 97) as u8));
            }
        }
        bytes.truncate(length);
        bytes
    }

    fn compressed(bytes: &[u8], by: Compression, threads: usize, chunk: usize) -> Vec<u8> {
        let mut out = Vec::new();
        through(&mut out, by, threads, |out, _| -> io::Result<()> {
            bytes.chunks(chunk).try_for_each(|chunk| out.write_all(chunk))
        })
        .unwrap();
        out
    }

    #[test]
    fn the_bytes_are_the_same_for_any_threads_and_chunks_and_come_back() {
        for by in [Compression::Gzip(6), Compression::Zstd(3), Compression::None] {
            let part = if by == Compression::Zstd(3) { ZSTD_PART } else { GZIP_PART };
            for length in [0, 1, part - 1, part, part + 1, 2 * part, 3 * part + 12_345] {
                let bytes = sample(length);
                let expected = compressed(&bytes, by, 1, usize::MAX);
                for (threads, chunk) in [(1, 1000), (2, 70_001), (3, part), (8, 7 * part)] {
                    let again = compressed(&bytes, by, threads, chunk);
                    assert!(again == expected, "{by:?} {length} {threads} {chunk}");
                }
                let mut back = Vec::new();
                match by {
                    // One member: a reader that knows no second one reads it all.
                    Compression::Gzip(_) => {
                        flate2::read::GzDecoder::new(&expected[..]).read_to_end(&mut back).unwrap();
                    }
                    Compression::Zstd(_) => {
                        zstd::stream::copy_decode(&expected[..], &mut back).unwrap()
                    }
                    Compression::None => back.clone_from(&expected),
                }
                assert!(back == bytes, "{by:?} {length}");
            }
        }
    }

    #[test]
    fn parts_cost_next_to_nothing() {
        let bytes = sample(3 << 20);
        let mut whole = flate2::write::GzEncoder::new(Vec::new(), Deflate::new(6));
        whole.write_all(&bytes).unwrap();
        let whole = whole.finish().unwrap().len();
        let parts = compressed(&bytes, Compression::Gzip(6), 2, 100_000).len();
        assert!(parts * 1000 < whole * 1005, "{parts} of {whole}");
    }

    #[test]
    fn what_cannot_be_compressed_comes_back_too() {
        // Every part is larger than its bytes.
        let bytes: Vec<u8> = (0_u64..400_000)
            .flat_map(|number| {
                number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23).to_le_bytes()
            })
            .collect();
        for level in [1, 9] {
            let gzip = compressed(&bytes, Compression::Gzip(level), 2, 4096);
            let mut back = Vec::new();
            flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut back).unwrap();
            assert!(back == bytes);
        }
    }

    #[test]
    fn errors_of_either_end_are_passed_on() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::Error::other("full"))
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        for by in [Compression::Gzip(6), Compression::Zstd(3), Compression::None] {
            for threads in [1, 3] {
                let full = through(&mut Full, by, threads, |out, _| out.write_all(&[0; 100]));
                assert_eq!(full.unwrap_err().to_string(), "full");
                let unmade = through(&mut Vec::new(), by, threads, |out, _| {
                    out.write_all(&sample(9 << 20))?;
                    Err(io::Error::other("unmade"))
                });
                assert_eq!(unmade.unwrap_err().to_string(), "unmade");
            }
        }
    }
}
