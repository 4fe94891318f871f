//! Decompressing a member piece by piece, with every byte counted.
//!
//! Effects layer.

use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::raw::{DParameter, Decoder, Operation as _};

use crate::effects::wheels::member::{MemberError, MemberRef};
use crate::model::finding::Code;
use crate::model::wheel::index;

/// How many bytes of a large member are handed on at once.
pub(super) const CHUNK_OUT: usize = 512 << 10;
/// The largest window that a zstd member may ask for: what RFC 8878 asks every decoder to support.
const ZSTD_WINDOW_LOG: u32 = 23;

/// Decompresses the whole of a member into a buffer of its size.
pub(super) fn decode_whole(
    engine: Engine<'_>,
    member: MemberRef<'_>,
    input: &[u8],
    output: &mut [u8],
) -> Result<(), MemberError> {
    let mut chunk = vec![0; output.len().clamp(1, CHUNK_OUT)];
    let mut at = 0;
    let mut decoder = Decoding::new(engine, member);
    decoder.push(input, &mut chunk, &mut |bytes: &[u8]| -> Result<(), MemberError> {
        // `Decoding` never hands on more than the member's size.
        output[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
        Ok(())
    })?;
    decoder.finish()
}

/// What turns compressed bytes into bytes.
pub(super) enum Engine<'a> {
    Stored,
    Deflate(&'a mut Decompress),
    Zstd(Box<Decoder<'static>>),
}

impl<'a> Engine<'a> {
    pub(super) fn deflate(stream: &'a mut Decompress) -> Self {
        stream.reset(false);
        Self::Deflate(stream)
    }

    pub(super) fn zstd(member: MemberRef<'_>) -> Result<Self, MemberError> {
        let failed =
            |error: std::io::Error| member.unsound(Code::ZipCompressedData, error.to_string());
        let mut decoder = Decoder::new().map_err(failed)?;
        decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG)).map_err(failed)?;
        Ok(Self::Zstd(Box::new(decoder)))
    }

    /// Decompresses as much as there is room for: how many bytes went in and came out, and whether
    /// the member has ended.
    fn step(
        &mut self,
        input: &[u8],
        chunk: &mut [u8],
        member: MemberRef<'_>,
    ) -> Result<(usize, usize, bool), MemberError> {
        let broken = |what: &str, error: &dyn std::fmt::Display| {
            member.unsound(Code::ZipCompressedData, format!("the bytes are no {what}: {error}"))
        };
        match self {
            Self::Stored => Ok((input.len(), 0, true)),
            Self::Deflate(stream) => {
                let (before_in, before_out) = (stream.total_in(), stream.total_out());
                let status = stream
                    .decompress(input, chunk, FlushDecompress::None)
                    .map_err(|error| broken("deflate stream", &error))?;
                Ok((
                    usize::try_from(stream.total_in() - before_in).unwrap_or(input.len()),
                    usize::try_from(stream.total_out() - before_out).unwrap_or(chunk.len()),
                    status == Status::StreamEnd,
                ))
            }
            Self::Zstd(decoder) => {
                let status = decoder
                    .run_on_buffers(input, chunk)
                    .map_err(|error| broken("zstd frame", &error))?;
                Ok((status.bytes_read, status.bytes_written, status.remaining == 0))
            }
        }
    }
}

/// A member being decompressed: counts and checks what goes in and comes out.
pub(super) struct Decoding<'a> {
    engine: Engine<'a>,
    member: MemberRef<'a>,
    checksum: crc32fast::Hasher,
    written: u64,
    ended: bool,
    /// The last bytes of a stored member's previous chunk, for a signature that lies across two.
    seam: Vec<u8>,
}

impl<'a> Decoding<'a> {
    pub(super) fn new(engine: Engine<'a>, member: MemberRef<'a>) -> Self {
        Self {
            engine,
            member,
            checksum: crc32fast::Hasher::new(),
            written: 0,
            ended: false,
            seam: Vec::new(),
        }
    }

    /// Takes the next compressed bytes, `chunk` being room for what comes out of them.
    pub(super) fn push<E: From<MemberError>>(
        &mut self,
        mut input: &[u8],
        chunk: &mut [u8],
        sink: &mut dyn FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let (member, location) = (self.member, self.member.location);
        if let Engine::Stored = self.engine {
            self.seam.extend_from_slice(&input[..input.len().min(3)]);
            let tolerated = member.file.allow.contains(&Code::ZipDescriptorStored);
            if !tolerated
                && (index::descriptor_in_stored(input, location)
                    || index::descriptor_in_stored(&self.seam, location))
            {
                return Err(member
                    .unsound(
                        Code::ZipDescriptorStored,
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
                    Err(member
                        .unsound(
                            Code::ZipCompressedSize,
                            "compressed bytes are left over where the member has ended",
                        )
                        .into())
                };
            }
            let (read, written, ended) = self.engine.step(input, chunk, member)?;
            self.ended = ended;
            input = &input[read..];
            self.put(&chunk[..written], sink)?;
            let stuck = read == 0 && written == 0;
            if input.is_empty() && !ended && (stuck || written < chunk.len()) {
                return Ok(());
            }
            if stuck && !ended {
                return Err(member
                    .unsound(Code::ZipCompressedData, "the compressed bytes lead nowhere")
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
        if self.written > self.member.location.size {
            let message = format!(
                "more bytes come out than the {} that the archive says",
                self.member.location.size
            );
            return Err(self.member.unsound(Code::ZipSize, message).into());
        }
        self.checksum.update(bytes);
        if bytes.is_empty() { Ok(()) } else { sink(bytes) }
    }

    pub(super) fn finish(self) -> Result<(), MemberError> {
        if !self.ended && !matches!(self.engine, Engine::Stored) {
            return Err(self.member.unsound(
                Code::ZipCompressedSize,
                "the compressed bytes end before the member does",
            ));
        }
        if self.written != self.member.location.size {
            let message = format!(
                "{} bytes came out, the archive says {}",
                self.written, self.member.location.size
            );
            return Err(self.member.unsound(Code::ZipSize, message));
        }
        self.member.check_checksum(self.checksum.finalize())
    }
}
