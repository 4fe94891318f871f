//! Small blobs, many at a time: the batches of REAPI.
//!
//! Effects layer. A batch stays well below the limit that the server gives and that gRPC has
//! anyway, counted as the serialised message.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::Read;

use bazel_remote_apis::build::bazel::remote::execution::v2 as reapi;
use prost::Message;
use tonic::{Code, Status};

use crate::effects::caches::blob::{BlobError, BlobStore, Blobs, Checked, absent};
use crate::effects::caches::remote::bytestream::decoder;
use crate::effects::caches::remote::grpc::{
    COMPRESSION_LEVEL, COMPRESSION_THRESHOLD, Capabilities, DECODE_LIMIT, Grpc, to_message,
};
use crate::effects::caches::remote::raw::{Method, blob_answers};
use crate::effects::net::retry::{Verdict, judge_grpc};
use crate::model::digest::Digest;

/// The most bytes of a message that gRPC servers accept by default.
pub(super) const MESSAGE_LIMIT: u64 = 4 << 20;
/// What is left free of that: servers count differently, and headers count, too.
const HEADROOM: u64 = 1 << 20;
/// What one blob of a batch costs beyond its bytes: its digest, status and tags.
const BLOB_OVERHEAD: u64 = 160;

impl Grpc {
    /// Sends one batch; returns the blobs that have to go by themselves.
    pub(super) fn send_batch(
        &self,
        batch: &[Digest],
        source: &dyn Blobs,
        capabilities: &Capabilities,
    ) -> Result<Vec<Digest>, BlobError> {
        let mut requests = Vec::with_capacity(batch.len());
        for &digest in batch {
            let mut data = Vec::with_capacity(usize::try_from(digest.size).unwrap_or(0));
            let reader = source.open(digest)?.ok_or_else(|| absent(digest))?;
            reader
                .take(digest.size.saturating_add(1))
                .read_to_end(&mut data)
                .map_err(|error| BlobError::io("read", digest.to_string(), error))?;
            Checked::received(self.context.function, digest, &data, "the source")?;
            let mut compressor = reapi::compressor::Value::Identity;
            if capabilities.zstd_batch_update
                && digest.size >= COMPRESSION_THRESHOLD
                && let Ok(compressed) = zstd::bulk::compress(&data, COMPRESSION_LEVEL)
                && compressed.len() < data.len()
            {
                (data, compressor) = (compressed, reapi::compressor::Value::Zstd);
            }
            requests.push(reapi::batch_update_blobs_request::Request {
                digest: Some(to_message(digest)),
                data,
                compressor: compressor as i32,
            });
        }
        let request = reapi::BatchUpdateBlobsRequest {
            instance_name: self.instance(),
            requests,
            digest_function: self.function_value(),
        };
        let answer = self.call_batch(Method::BatchUpdateBlobs, &request)?;
        let answer = match answer {
            Ok(answer) => answer,
            // The limit was another one than advertised.
            Err(status) if status.code() == Code::ResourceExhausted && batch.len() > 1 => {
                let (left, right) = batch.split_at(batch.len() / 2);
                let mut single = self.send_batch(left, source, capabilities)?;
                single.extend(self.send_batch(right, source, capabilities)?);
                return Ok(single);
            }
            Err(status)
                if matches!(status.code(), Code::ResourceExhausted | Code::Unimplemented) =>
            {
                return Ok(batch.to_vec());
            }
            Err(status) => return Err(self.fail_write("BatchUpdateBlobs", &status)),
        };
        let mut open: HashSet<Digest> = batch.iter().copied().collect();
        let mut single = Vec::new();
        for response in blob_answers(&answer) {
            let response =
                response.map_err(|error| self.unreadable(Method::BatchUpdateBlobs, &error))?;
            let Some(digest) = response.digest.filter(|digest| open.remove(digest)) else {
                continue;
            };
            match judge_grpc(response.code) {
                _ if response.code == 0 => self.context.meter.sent(digest),
                Verdict::Retry => single.push(digest),
                _ => {
                    return Err(self.fail_write(
                        "BatchUpdateBlobs",
                        &Status::new(Code::from(response.code), response.message),
                    ));
                }
            }
        }
        // What the answer does not speak of was perhaps not stored.
        single.extend(open);
        single.sort_unstable();
        Ok(single)
    }

    /// Asks for a batch; that it is too large is known at once.
    fn call_batch<M: Message + Clone + 'static>(
        &self,
        method: Method,
        message: &M,
    ) -> Result<Result<Vec<u8>, Status>, BlobError> {
        self.call_unless(Some(Code::ResourceExhausted), method, message, DECODE_LIMIT)
    }

    /// Receives one batch into `target`; returns the blobs that did not come, or came out wrong.
    pub(super) fn receive_batch(
        &self,
        batch: &[Digest],
        target: &dyn BlobStore,
        capabilities: &Capabilities,
    ) -> Result<Batch, BlobError> {
        let mut acceptable = vec![reapi::compressor::Value::Identity as i32];
        if capabilities.zstd {
            acceptable.push(reapi::compressor::Value::Zstd as i32);
        }
        let request = reapi::BatchReadBlobsRequest {
            instance_name: self.instance(),
            digests: batch.iter().copied().map(to_message).collect(),
            acceptable_compressors: acceptable,
            digest_function: self.function_value(),
        };
        let answer = self.call_batch(Method::BatchReadBlobs, &request)?;
        let mut outcome = Batch::default();
        let answer = match answer {
            Ok(answer) => answer,
            Err(status)
                if matches!(status.code(), Code::ResourceExhausted | Code::OutOfRange)
                    && batch.len() > 1 =>
            {
                let (left, right) = batch.split_at(batch.len() / 2);
                for half in [left, right] {
                    let Batch { lacking, wrong } =
                        self.receive_batch(half, target, capabilities)?;
                    outcome.lacking.extend(lacking);
                    outcome.wrong.extend(wrong);
                }
                return Ok(outcome);
            }
            Err(status)
                if matches!(
                    status.code(),
                    Code::ResourceExhausted | Code::OutOfRange | Code::Unimplemented
                ) =>
            {
                outcome.wrong.extend_from_slice(batch);
                return Ok(outcome);
            }
            Err(status) => return Err(self.fail("BatchReadBlobs", &status)),
        };
        let mut open: HashSet<Digest> = batch.iter().copied().collect();
        for response in blob_answers(&answer) {
            let response =
                response.map_err(|error| self.unreadable(Method::BatchReadBlobs, &error))?;
            // An answer to another question is no answer.
            let Some(digest) = response.digest.filter(|digest| open.remove(digest)) else {
                continue;
            };
            if response.code != 0 {
                let list = if judge_grpc(response.code) == Verdict::Retry {
                    &mut outcome.wrong
                } else {
                    &mut outcome.lacking
                };
                list.push(digest);
                continue;
            }
            let data = match self.expand(response.data, response.compressor, digest) {
                Ok(data) => data,
                Err(error) => {
                    self.context.lie(&error);
                    outcome.wrong.push(digest);
                    continue;
                }
            };
            match Checked::received(self.context.function, digest, &data, &self.context.place) {
                Ok(_) => {
                    target.put(digest, &mut &*data)?;
                    self.context.meter.received(digest);
                }
                Err(error) => {
                    self.context.lie(&error);
                    outcome.wrong.push(digest);
                }
            }
        }
        outcome.wrong.extend(open);
        Ok(outcome)
    }

    /// Undoes the compression of a blob in a batch, never beyond its size.
    fn expand<'a>(
        &self,
        data: &'a [u8],
        compressor: i32,
        digest: Digest,
    ) -> Result<Cow<'a, [u8]>, BlobError> {
        if compressor == reapi::compressor::Value::Identity as i32 {
            return Ok(Cow::Borrowed(data));
        }
        let wrong = |actual: String| BlobError::Mismatch {
            place: self.context.place.clone(),
            expected: digest,
            actual,
        };
        if compressor != reapi::compressor::Value::Zstd as i32 {
            return Err(wrong(format!(
                "bytes compressed in a way that was not asked for ({compressor})"
            )));
        }
        let mut out = Vec::with_capacity(usize::try_from(digest.size).unwrap_or(0));
        let decoder = decoder(data, digest.size).map_err(|error| wrong(error.to_string()))?;
        decoder
            .take(digest.size.saturating_add(1))
            .read_to_end(&mut out)
            .map_err(|error| wrong(format!("bytes that are not zstd: {error}")))?;
        Ok(Cow::Owned(out))
    }
}

/// What became of the blobs of a batch that did not arrive.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// The server does not have them.
    pub(super) lacking: Vec<Digest>,
    /// They came out wrong, or not at all.
    pub(super) wrong: Vec<Digest>,
}

/// The most bytes that a batch may have: of what the server says (0 is nothing) and gRPC's own
/// limit the smaller, less some room.
pub(super) fn batch_limit(advertised: u64) -> u64 {
    let limit = if advertised == 0 { MESSAGE_LIMIT } else { advertised.min(MESSAGE_LIMIT) };
    limit.saturating_sub(HEADROOM).max(limit / 2)
}

/// A piece of work for one connection.
pub(super) enum Job<'a> {
    Batch(&'a [Digest]),
    Stream(Digest),
}

/// Small blobs in batches, large ones alone and first, so that no connection is left alone with one
/// at the end.
pub(super) fn jobs(digests: &[Digest], limit: u64) -> Vec<Job<'_>> {
    let mut jobs: Vec<Job<'_>> = digests
        .iter()
        .filter(|digest| digest.size.saturating_add(BLOB_OVERHEAD) > limit)
        .map(|digest| Job::Stream(*digest))
        .collect();
    let mut start = 0;
    let mut size = 0;
    for (index, digest) in digests.iter().enumerate() {
        let cost = digest.size.saturating_add(BLOB_OVERHEAD);
        if cost > limit || size + cost > limit {
            if start < index {
                jobs.push(Job::Batch(&digests[start..index]));
            }
            (start, size) = (index, 0);
        }
        if cost > limit {
            start = index + 1;
        } else {
            size += cost;
        }
    }
    if start < digests.len() {
        jobs.push(Job::Batch(&digests[start..]));
    }
    jobs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::DigestFunction;

    #[test]
    fn batches_keep_the_limit_and_large_blobs_go_alone() {
        let function = DigestFunction::Sha256;
        let sizes = [10, 500, 700, 10, 2000, 10, 10, 900];
        let digests: Vec<Digest> =
            sizes.iter().map(|&size| function.digest(&vec![b'x'; size])).collect();
        let limit = 1200;
        let jobs = jobs(&digests, limit);
        let mut seen = Vec::new();
        for job in &jobs {
            match job {
                Job::Stream(digest) => {
                    assert!(digest.size.saturating_add(BLOB_OVERHEAD) > limit);
                    seen.push(*digest);
                }
                Job::Batch(batch) => {
                    assert!(
                        batch
                            .iter()
                            .map(|digest| digest.size.saturating_add(BLOB_OVERHEAD))
                            .sum::<u64>()
                            <= limit
                            && !batch.is_empty()
                    );
                    seen.extend_from_slice(batch);
                }
            }
        }
        seen.sort_unstable();
        let mut expected = digests.clone();
        expected.sort_unstable();
        assert_eq!(seen, expected);
    }

    #[test]
    fn limits_leave_room() {
        assert_eq!(batch_limit(0), 3 << 20);
        assert_eq!(batch_limit(64 << 20), 3 << 20);
        assert_eq!(batch_limit(1 << 20), 1 << 19);
    }
}
