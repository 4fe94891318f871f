//! Large blobs, one at a time: ByteStream with resumption, compressed where the server offers it.
//!
//! Effects layer. A read that breaks off goes on where it stopped, at an offset in the uncompressed
//! bytes; so does a write of uncompressed bytes, after asking how much arrived. A compressed write
//! starts again: what the specification says of offsets in it cannot be relied on across servers.

use std::io::{self, BufReader, Read};
use std::time::Instant;

use bazel_remote_apis::google::bytestream::{
    QueryWriteStatusRequest, ReadRequest, ReadResponse, WriteRequest, WriteResponse,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use crate::effects::caches::blob::{BlobError, BlobStore, Blobs, absent};
use crate::effects::caches::remote::grpc::{
    COMPRESSION_LEVEL, COMPRESSION_THRESHOLD, Capabilities, Grpc, LIE_RETRIES,
};
use crate::effects::host::random;
use crate::effects::net::pace::{LEAST_RATE, Pace, Paced};
use crate::effects::net::retry::{Attempts, Verdict, judge_grpc};
use crate::model::digest::{Digest, DigestFunction};

/// How much one message of a write carries.
const CHUNK: usize = 256 << 10;
/// Messages of a write that wait to be sent.
const QUEUE: usize = 4;
/// The largest window of zstd that is accepted, as a power of two: 64 MiB. It bounds what a stream
/// can make us allocate.
const WINDOW: u32 = 26;
/// The largest that is accepted for small blobs: 8 MiB, the default of zstd's highest ordinary
/// level.
const SMALL_WINDOW: u32 = 23;

impl Grpc {
    /// `[INSTANCE/](blobs|compressed-blobs/zstd)[/FUNCTION]/HASH/SIZE`; SHA-256 is known by the
    /// hash's length.
    fn resource(&self, prefix: &str, digest: Digest, zstd: bool) -> String {
        let instance = &self.context.config.instance;
        let instance = if instance.is_empty() { String::new() } else { format!("{instance}/") };
        let kind = if zstd { "compressed-blobs/zstd" } else { "blobs" };
        let function = match self.context.function {
            DigestFunction::Sha256 => "",
            DigestFunction::Blake3 => "/blake3",
        };
        format!("{instance}{prefix}{kind}{function}/{digest}")
    }

    /// The bytes of a blob as they come; nothing where the server does not have it.
    pub(super) fn read_stream(
        &self,
        digest: Digest,
    ) -> Result<Option<Box<dyn Read + Send + '_>>, BlobError> {
        let zstd = self.capabilities()?.zstd && digest.size >= COMPRESSION_THRESHOLD;
        let mut reader = StreamReader {
            client: self,
            digest,
            zstd,
            position: 0,
            attempts: Attempts::new(),
            source: None,
        };
        match reader.connect() {
            Ok(()) => Ok(Some(Box::new(reader))),
            Err(Failure::Absent) => Ok(None),
            Err(Failure::Error(error)) => Err(error),
        }
    }

    /// Receives a blob into `target`, which verifies; says whether it arrived. A lie is noted.
    pub(super) fn receive_stream(
        &self,
        digest: Digest,
        target: &dyn BlobStore,
    ) -> Result<bool, BlobError> {
        for _ in 0..=LIE_RETRIES {
            let Some(mut reader) = self.read_stream(digest)? else {
                return Ok(false);
            };
            match target.put(digest, &mut reader) {
                Ok(()) => {
                    self.context.meter.received(digest);
                    return Ok(true);
                }
                Err(BlobError::Mismatch { expected, actual, .. }) => {
                    self.context.lie(&BlobError::Mismatch {
                        place: self.context.place.clone(),
                        expected,
                        actual,
                    });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Sends a blob.
    pub(super) fn write_stream(
        &self,
        digest: Digest,
        source: &dyn Blobs,
        capabilities: &Capabilities,
    ) -> Result<(), BlobError> {
        let zstd = capabilities.zstd && digest.size >= COMPRESSION_THRESHOLD;
        let mut attempts = Attempts::new();
        let mut upload = format!("uploads/{}/", random::uuid());
        let mut offset = 0;
        loop {
            self.context.check()?;
            let name = self.resource(&upload, digest, zstd);
            let bytes = upload_of(source, digest, zstd, offset)?;
            let status = match self.write_once(&name, digest, bytes, offset)? {
                Ok(committed) => {
                    // -1: somebody else brought it meanwhile. A compressed write may also count
                    // compressed bytes.
                    let whole =
                        i64::try_from(digest.size) == Ok(committed) || committed == -1 || zstd;
                    if whole {
                        self.context.meter.sent(digest);
                        return Ok(());
                    }
                    Status::unavailable(format!(
                        "the server committed {committed} of {} bytes",
                        digest.size
                    ))
                }
                // It was there before.
                Err(status) if status.code() == Code::AlreadyExists => return Ok(()),
                Err(status) => status,
            };
            if !self.again(&status, &mut attempts) {
                return Err(self.fail_write("ByteStream.Write", &status));
            }
            offset = 0;
            if zstd {
                upload = format!("uploads/{}/", random::uuid());
            } else if let Some((committed, complete)) = self.write_status(&name)? {
                if complete {
                    self.context.meter.sent(digest);
                    return Ok(());
                }
                offset = if committed < digest.size { committed } else { 0 };
            }
        }
    }

    /// How much of an upload arrived, and whether that is all; nothing where the server does not
    /// know.
    fn write_status(&self, name: &str) -> Result<Option<(u64, bool)>, BlobError> {
        let mut client = self.streams()?;
        let mut request =
            self.request(QueryWriteStatusRequest { resource_name: name.to_owned() })?;
        request.set_timeout(self.context.config.timeout);
        let answer = self.wait(async { client.query_write_status(request).await })?;
        Ok(answer
            .ok()
            .map(tonic::Response::into_inner)
            .map(|status| (u64::try_from(status.committed_size).unwrap_or(0), status.complete)))
    }

    /// One attempt at a write, from an offset on.
    fn write_once(
        &self,
        name: &str,
        digest: Digest,
        mut reader: Box<dyn Read + '_>,
        offset: u64,
    ) -> Result<Result<i64, Status>, BlobError> {
        let failed = |error| BlobError::io("read", digest.to_string(), error);
        let (sender, receiver) = mpsc::channel::<WriteRequest>(QUEUE);
        let mut client = self.streams()?;
        let request = self.request(ReceiverStream::new(receiver))?;
        let runtime = self.runtime()?;
        let call = runtime.spawn(async move { client.write(request).await });
        let mut position = offset;
        let mut pace = Pace::new(self.context.config.timeout);
        let mut resource_name = name.to_owned();
        loop {
            let mut data = vec![0; CHUNK];
            let length = fill(&mut reader, &mut data).map_err(failed)?;
            data.truncate(length);
            let finish = length < CHUNK;
            let message = WriteRequest {
                resource_name: std::mem::take(&mut resource_name),
                write_offset: i64::try_from(position).unwrap_or(i64::MAX),
                finish_write: finish,
                data,
            };
            position += length as u64;
            let begun = Instant::now();
            let sent = runtime.block_on(async {
                tokio::time::timeout(self.context.config.timeout, sender.send(message)).await
            });
            let slow = match &sent {
                Ok(_) => pace.note(begun, length).err(),
                Err(_) => Some(format!(
                    "the server took nothing for {} s",
                    self.context.config.timeout.as_secs_f64()
                )),
            };
            if let Some(reason) = slow {
                call.abort();
                return Ok(Err(Status::deadline_exceeded(reason)));
            }
            // All was sent, or the server has answered early: both end the stream.
            if finish || !matches!(sent, Ok(Ok(()))) {
                break;
            }
        }
        drop(sender);
        let answer = self.wait(async {
            call.await
                .unwrap_or_else(|error| Err(Status::internal(error.to_string())))
                .map(tonic::Response::into_inner)
        })?;
        Ok(answer.map(|WriteResponse { committed_size }| committed_size))
    }
}

/// What is sent of a blob: its bytes from an offset on, compressed if that was agreed.
fn upload_of(
    source: &dyn Blobs,
    digest: Digest,
    zstd: bool,
    offset: u64,
) -> Result<Box<dyn Read + '_>, BlobError> {
    let failed = |error| BlobError::io("read", digest.to_string(), error);
    let mut plain = source.open(digest)?.ok_or_else(|| absent(digest))?;
    io::copy(&mut plain.by_ref().take(offset), &mut io::sink()).map_err(failed)?;
    if zstd {
        let encoder = zstd::stream::read::Encoder::new(plain, COMPRESSION_LEVEL);
        return Ok(Box::new(encoder.map_err(failed)?));
    }
    Ok(Box::new(plain))
}

/// A decoder of a blob of that size, which a stream cannot make allocate much: some run at once.
pub(super) fn decoder<R: io::BufRead>(
    reader: R,
    size: u64,
) -> io::Result<zstd::stream::read::Decoder<'static, R>> {
    let mut decoder = zstd::stream::read::Decoder::with_buffer(reader)?;
    // No compressor has use for a window that is larger than what it compresses.
    decoder.window_log_max(
        size.checked_next_power_of_two()
            .map_or(WINDOW, u64::trailing_zeros)
            .clamp(SMALL_WINDOW, WINDOW),
    )?;
    Ok(decoder)
}

/// Reads until the buffer is full or the source ends.
fn fill(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match reader.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

enum Failure {
    Absent,
    Error(BlobError),
}

/// A blob as it comes; goes on by itself after an error that may pass.
struct StreamReader<'a> {
    client: &'a Grpc,
    digest: Digest,
    zstd: bool,
    /// Uncompressed bytes handed out so far.
    position: u64,
    attempts: Attempts,
    source: Option<Box<dyn Read + Send + 'a>>,
}

impl StreamReader<'_> {
    /// Starts a stream at the position.
    fn connect(&mut self) -> Result<(), Failure> {
        loop {
            self.client.context.check().map_err(Failure::Error)?;
            match self.start().map_err(Failure::Error)? {
                Ok(()) => return Ok(()),
                Err(status) if status.code() == Code::NotFound => return Err(Failure::Absent),
                Err(status) => {
                    if !self.client.again(&status, &mut self.attempts) {
                        return Err(Failure::Error(self.client.fail("ByteStream.Read", &status)));
                    }
                }
            }
        }
    }

    fn start(&mut self) -> Result<Result<(), Status>, BlobError> {
        let client = self.client;
        let mut streams = client.streams()?;
        let message = ReadRequest {
            resource_name: client.resource("", self.digest, self.zstd),
            read_offset: i64::try_from(self.position).unwrap_or(i64::MAX),
            read_limit: 0,
        };
        let request = client.request(message)?;
        // The first message is waited for here, as some servers say only then that they do not have
        // the blob.
        let first = client.wait(async {
            let mut stream = streams.read(request).await?.into_inner();
            let first = stream.message().await?;
            Ok((stream, first))
        })?;
        let (stream, first) = match first {
            Ok(first) => first,
            Err(status) => return Ok(Err(status)),
        };
        let (current, patience) =
            (first.map(|message| message.data).unwrap_or_default(), client.context.config.timeout);
        let chunks =
            Chunks { client, stream, current, offset: 0, ended: false, pace: Pace::new(patience) };
        let chunks = Paced::new(chunks, patience, self.digest.size);
        self.source = Some(if self.zstd {
            match decoder(BufReader::with_capacity(CHUNK, chunks), self.digest.size) {
                Ok(decoder) => Box::new(decoder),
                Err(error) => return Ok(Err(Status::internal(error.to_string()))),
            }
        } else {
            Box::new(chunks)
        });
        Ok(Ok(()))
    }
}

impl Read for StreamReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let Some(source) = &mut self.source else {
                return Ok(0);
            };
            match source.read(buffer) {
                Ok(0) if self.position < self.digest.size && !buffer.is_empty() => {
                    // Too short; whether the stream was cut off or the blob is wrong shows when it
                    // is asked for again.
                    if self.attempts.retries > 0 || self.position == 0 {
                        self.source = None;
                        return Ok(0);
                    }
                    self.attempts.retries += 1;
                }
                Ok(count) => {
                    // A server that sends a byte now and then is not to be asked over and over for
                    // it.
                    if count as u64 >= LEAST_RATE {
                        self.attempts.went_on();
                    }
                    self.position += count as u64;
                    return Ok(count);
                }
                Err(error) => {
                    match error.get_ref().and_then(|inner| inner.downcast_ref::<Status>()) {
                        Some(status) if judge_grpc(status.code() as i32) == Verdict::Retry => {
                            let status = status.clone();
                            if !self.client.again(&status, &mut self.attempts) {
                                return Err(io::Error::other(
                                    self.client.fail("ByteStream.Read", &status),
                                ));
                            }
                        }
                        Some(status) => {
                            return Err(io::Error::other(
                                self.client.fail("ByteStream.Read", status),
                            ));
                        }
                        None => {
                            // What came is no zstd, or has no end.
                            let place = self.client.context.place.clone();
                            let actual = format!("bytes that cannot be used: {error}");
                            return Err(io::Error::new(
                                io::ErrorKind::InvalidData,
                                BlobError::Mismatch { place, expected: self.digest, actual },
                            ));
                        }
                    }
                }
            }
            match self.connect() {
                Ok(()) => {}
                Err(Failure::Absent) => return Err(io::Error::other(absent(self.digest))),
                Err(Failure::Error(error)) => return Err(io::Error::other(error)),
            }
        }
    }
}

/// The messages of a stream as bytes. Errors carry the [`Status`].
struct Chunks<'a> {
    client: &'a Grpc,
    stream: Streaming<ReadResponse>,
    current: Vec<u8>,
    offset: usize,
    ended: bool,
    /// Messages may be empty, and come for ever.
    pace: Pace,
}

impl Read for Chunks<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.offset == self.current.len() {
            if self.ended {
                return Ok(0);
            }
            let stream = &mut self.stream;
            let begun = Instant::now();
            match self
                .client
                .wait(async { stream.message().await })
                .map_err(io::Error::other)?
                .map_err(io::Error::other)?
            {
                Some(message) => (self.current, self.offset) = (message.data, 0),
                None => self.ended = true,
            }
            self.pace
                .note(begun, self.current.len())
                .map_err(|reason| io::Error::other(Status::deadline_exceeded(reason)))?;
        }
        let rest = &self.current[self.offset..];
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.offset += length;
        Ok(length)
    }
}
