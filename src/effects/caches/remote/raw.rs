//! Answers of gRPC as bytes, read field by field.
//!
//! Effects layer. Generated code makes lists of whatever an answer holds, and a few bytes can be an
//! entry: eight megabytes would become hundreds. Here nothing is listed; of each entry only what is
//! needed is looked at, in place.

use std::marker::PhantomData;

use prost::Message;
use prost::bytes::Buf;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

use crate::model::digest::Digest;
use crate::model::tree::wire::{self, Fields, Value, WireError};

/// The methods whose answers are read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    GetCapabilities,
    GetActionResult,
    UpdateActionResult,
    FindMissingBlobs,
    BatchReadBlobs,
    BatchUpdateBlobs,
}

impl Method {
    /// For messages.
    pub(super) fn name(self) -> &'static str {
        self.path().rsplit('/').next().unwrap_or_default()
    }

    pub(super) fn path(self) -> &'static str {
        match self {
            Self::GetCapabilities => {
                "/build.bazel.remote.execution.v2.Capabilities/GetCapabilities"
            }
            Self::GetActionResult => "/build.bazel.remote.execution.v2.ActionCache/GetActionResult",
            Self::UpdateActionResult => {
                "/build.bazel.remote.execution.v2.ActionCache/UpdateActionResult"
            }
            Self::FindMissingBlobs => {
                "/build.bazel.remote.execution.v2.ContentAddressableStorage/FindMissingBlobs"
            }
            Self::BatchReadBlobs => {
                "/build.bazel.remote.execution.v2.ContentAddressableStorage/BatchReadBlobs"
            }
            Self::BatchUpdateBlobs => {
                "/build.bazel.remote.execution.v2.ContentAddressableStorage/BatchUpdateBlobs"
            }
        }
    }
}

/// Sends a message and receives bytes.
#[derive(Debug)]
pub(super) struct RawCodec<M>(PhantomData<M>);

impl<M> RawCodec<M> {
    pub(super) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<M: Message + 'static> Codec for RawCodec<M> {
    type Encode = M;
    type Decode = Vec<u8>;
    type Encoder = RawEncoder<M>;
    type Decoder = RawDecoder;

    fn encoder(&mut self) -> RawEncoder<M> {
        RawEncoder(PhantomData)
    }

    fn decoder(&mut self) -> RawDecoder {
        RawDecoder
    }
}

pub(super) struct RawEncoder<M>(PhantomData<M>);

impl<M: Message> Encoder for RawEncoder<M> {
    type Item = M;
    type Error = Status;

    fn encode(&mut self, message: M, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        message.encode(out).map_err(|error| Status::internal(error.to_string()))
    }
}

pub(super) struct RawDecoder;

impl Decoder for RawDecoder {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, source: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let mut bytes = vec![0; source.remaining()];
        source.copy_to_slice(&mut bytes);
        Ok(Some(bytes))
    }
}

/// What an answer says of one blob of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct BlobAnswer<'a> {
    /// Which blob; nothing where that is no digest.
    pub(super) digest: Option<Digest>,
    /// The code of its status, 0 is success, and the message.
    pub(super) code: i32,
    pub(super) message: &'a str,
    /// Its bytes, and how they are compressed.
    pub(super) data: &'a [u8],
    pub(super) compressor: i32,
}

/// The entries of a `BatchReadBlobsResponse` or `BatchUpdateBlobsResponse`, one after the other.
pub(super) fn blob_answers(
    answer: &[u8],
) -> impl Iterator<Item = Result<BlobAnswer<'_>, WireError>> {
    Fields::new(answer).filter_map(|field| match field {
        Ok((1, Value::Bytes(entry))) => Some(blob_answer(entry)),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    })
}

fn blob_answer(entry: &[u8]) -> Result<BlobAnswer<'_>, WireError> {
    let mut answer = BlobAnswer::default();
    for field in Fields::new(entry) {
        match field? {
            (1, Value::Bytes(digest)) => answer.digest = wire::decode_digest(digest).ok(),
            (2, Value::Bytes(data)) => answer.data = data,
            (3, Value::Bytes(status)) => {
                for field in Fields::new(status) {
                    match field? {
                        // An int32, written as 64 bits where it is negative.
                        (1, Value::Number(code)) => answer.code = code as i32,
                        (2, Value::Bytes(message)) => {
                            answer.message = std::str::from_utf8(message).unwrap_or_default()
                        }
                        _ => {}
                    }
                }
            }
            (4, Value::Number(compressor)) => answer.compressor = compressor as i32,
            _ => {}
        }
    }
    Ok(answer)
}

/// The digests of a `FindMissingBlobsResponse`, those that are none left out.
pub(super) fn missing_digests(answer: &[u8]) -> impl Iterator<Item = Result<Digest, WireError>> {
    Fields::new(answer).filter_map(|field| match field {
        Ok((2, Value::Bytes(digest))) => wire::decode_digest(digest).ok().map(Ok),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    })
}

#[cfg(test)]
mod tests {
    use bazel_remote_apis::build::bazel::remote::execution::v2 as reapi;

    use super::*;
    use crate::model::digest::DigestFunction;

    #[test]
    fn answers_are_read_as_generated_code_writes_them() {
        let digest = DigestFunction::Sha256.digest(b"hello");
        let message = reapi::Digest { hash: digest.hash.to_hex(), size_bytes: 5 };
        let entry = |code: i32| reapi::batch_read_blobs_response::Response {
            digest: Some(message.clone()),
            data: b"hello".to_vec(),
            compressor: 1,
            status: Some(bazel_remote_apis::google::rpc::Status {
                code,
                message: "why".to_owned(),
                details: vec![Default::default(); 3],
            }),
        };
        let read =
            reapi::BatchReadBlobsResponse { responses: vec![entry(0), entry(-1)] }.encode_to_vec();
        let expected = |code| BlobAnswer {
            digest: Some(digest),
            code,
            message: "why",
            data: b"hello",
            compressor: 1,
        };
        assert_eq!(
            blob_answers(&read).collect::<Result<Vec<_>, _>>().unwrap(),
            [expected(0), expected(-1)]
        );
        assert!(blob_answers(&read[..read.len() - 1]).any(|answer| answer.is_err()));
        let missing = reapi::FindMissingBlobsResponse {
            missing_blob_digests: vec![message, reapi::Digest::default()],
        }
        .encode_to_vec();
        assert_eq!(missing_digests(&missing).collect::<Result<Vec<_>, _>>().unwrap(), [digest]);
    }

    #[test]
    fn paths_are_those_of_generated_code() {
        assert_eq!(Method::GetCapabilities.name(), "GetCapabilities");
        for method in [Method::GetActionResult, Method::UpdateActionResult] {
            assert!(method.path().contains("v2.ActionCache/"));
        }
    }
}
