//! The client of REAPI: capabilities, the action cache and the content-addressable storage in batches. Single large blobs are
//! [`super::bytestream`]'s.
//!
//! Effects layer. Async code ends in this folder: one runtime of two threads, started with the first request, and every call from
//! outside blocks. A batch stays well below the limit that the server gives and that gRPC has anyway, counted as the serialised message.

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::io::Read;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bazel_remote_apis::build::bazel::remote::execution::v2 as reapi;
use bazel_remote_apis::google::bytestream::byte_stream_client::ByteStreamClient;
use prost::Message;
use reapi::action_cache_client::ActionCacheClient;
use reapi::capabilities_client::CapabilitiesClient;
use reapi::content_addressable_storage_client::ContentAddressableStorageClient;
use tokio::runtime::Runtime;
use tonic::metadata::{MetadataKey, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};

use crate::effects::blob::{BlobError, BlobStore, Blobs, Checked, absent};
use crate::effects::random;
use crate::effects::remote::retry::{Verdict, judge_grpc};
use crate::effects::remote::{Context, Protocol, RESULT_LIMIT, RemoteError, RemoteUrl, for_each};
use crate::model::digest::{ActionDigest, Digest, DigestFunction};

/// The most bytes of a message that gRPC servers accept by default.
const MESSAGE_LIMIT: u64 = 4 << 20;
/// What is left free of that: servers count differently, and headers count, too.
const HEADROOM: u64 = 1 << 20;
/// What one blob of a batch costs beyond its bytes: its digest, status and tags.
const BLOB_OVERHEAD: u64 = 160;
/// Digests per question of what is missing: about 0.8 MB.
const MISSING_CHUNK: usize = 10_000;
/// Below this, compressing costs more than it saves.
pub(super) const COMPRESSION_THRESHOLD: u64 = 100;
/// Attempts at getting a blob that comes out wrong.
pub(super) const LIE_RETRIES: u32 = 1;
/// The most bytes of a decoded message.
const DECODE_LIMIT: usize = 2 * MESSAGE_LIMIT as usize;

/// What the server offers.
#[derive(Debug, Clone)]
pub(super) struct Capabilities {
    /// The most bytes of a batch.
    batch: u64,
    /// zstd in ByteStream and for reading batches.
    pub(super) zstd: bool,
    /// zstd for writing batches.
    zstd_batch_update: bool,
    /// The largest blob that it takes; 0 is no limit.
    largest: u64,
    /// Whether the action cache takes results.
    updates: bool,
}

/// A client of one server.
#[derive(Debug)]
pub(super) struct Grpc {
    pub(super) context: Context,
    runtime: OnceLock<Result<Runtime, String>>,
    endpoint: Endpoint,
    channel: OnceLock<Channel>,
    capabilities: Mutex<Option<Capabilities>>,
}

impl Grpc {
    pub(super) fn new(context: Context) -> Result<Self, RemoteError> {
        let setup = |error: tonic::transport::Error| RemoteError::Setup { reason: describe(&error) };
        let uri = match &context.config.url {
            RemoteUrl::Grpc { tls: true, authority } => format!("https://{authority}"),
            RemoteUrl::Grpc { tls: false, authority } | RemoteUrl::Http { authority, .. } => format!("http://{authority}"),
            RemoteUrl::Unix { .. } => "http://localhost".to_owned(),
        };
        let timeout = context.config.timeout;
        let mut endpoint = Endpoint::from_shared(uri)
            .and_then(|endpoint| endpoint.user_agent(concat!("venvtree/", env!("CARGO_PKG_VERSION"))))
            .map_err(setup)?
            .connect_timeout(timeout.min(Duration::from_secs(20)))
            .tcp_nodelay(true)
            .http2_adaptive_window(true)
            .http2_keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(timeout);
        if let RemoteUrl::Grpc { tls: true, .. } = &context.config.url {
            let read = |path: &camino::Utf8PathBuf| std::fs::read(path).map_err(|source| RemoteError::File { path: path.clone(), source });
            let mut tls = match &context.config.tls.authorities {
                Some(path) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(path)?)),
                None => ClientTlsConfig::new().with_native_roots(),
            };
            if let Some((certificate, key)) = &context.config.tls.client {
                tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
            }
            endpoint = endpoint.tls_config(tls).map_err(setup)?;
        }
        Ok(Self { context, runtime: OnceLock::new(), endpoint, channel: OnceLock::new(), capabilities: Mutex::new(None) })
    }

    pub(super) fn runtime(&self) -> Result<&Runtime, BlobError> {
        let start = || {
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .thread_name("remote-cache")
                .enable_all()
                .build()
                .map_err(|error| error.to_string())
        };
        self.runtime.get_or_init(start).as_ref().map_err(|reason| self.context.error(reason.clone(), false))
    }

    fn channel(&self) -> Result<Channel, BlobError> {
        let runtime = self.runtime()?;
        let connect = || {
            let _guard = runtime.enter();
            match &self.context.config.url {
                RemoteUrl::Unix { path } => {
                    let path = path.clone();
                    self.endpoint.connect_with_connector_lazy(tower::service_fn(move |_| {
                        let path = path.clone();
                        async move { tokio::net::UnixStream::connect(path).await.map(hyper_util::rt::TokioIo::new) }
                    }))
                }
                RemoteUrl::Grpc { .. } | RemoteUrl::Http { .. } => self.endpoint.connect_lazy(),
            }
        };
        Ok(self.channel.get_or_init(connect).clone())
    }

    fn storage(&self) -> Result<ContentAddressableStorageClient<Channel>, BlobError> {
        Ok(ContentAddressableStorageClient::new(self.channel()?).max_decoding_message_size(DECODE_LIMIT))
    }

    pub(super) fn streams(&self) -> Result<ByteStreamClient<Channel>, BlobError> {
        Ok(ByteStreamClient::new(self.channel()?).max_decoding_message_size(DECODE_LIMIT))
    }

    /// A request with all headers.
    pub(super) fn request<T>(&self, message: T) -> Result<Request<T>, BlobError> {
        let mut request = Request::new(message);
        let metadata = request.metadata_mut();
        for (name, value) in self.context.credentials.headers().map_err(|error| self.context.error(error.to_string(), false))? {
            let unfit = || self.context.error(format!("the header `{name}` cannot be sent by gRPC"), false);
            let key = MetadataKey::from_bytes(name.as_bytes()).map_err(|_| unfit())?;
            metadata.append(key, MetadataValue::try_from(value).map_err(|_| unfit())?);
        }
        let details = reapi::ToolDetails { tool_name: "venvtree".to_owned(), tool_version: env!("CARGO_PKG_VERSION").to_owned() };
        let invocation = {
            static INVOCATION: OnceLock<String> = OnceLock::new();
            INVOCATION.get_or_init(random::uuid).clone()
        };
        let about = reapi::RequestMetadata {
            tool_details: Some(details),
            tool_invocation_id: invocation,
            action_mnemonic: "VenvTree".to_owned(),
            ..Default::default()
        };
        metadata.insert_bin("build.bazel.remote.execution.v2.requestmetadata-bin", MetadataValue::from_bytes(&about.encode_to_vec()));
        Ok(request)
    }

    /// Waits for an answer, at most as long as configured. `Err(Status)` is the server's, or that of a broken connection.
    pub(super) fn wait<T>(&self, call: impl Future<Output = Result<T, Status>>) -> Result<Result<T, Status>, BlobError> {
        let limited = async {
            match tokio::time::timeout(self.context.config.timeout, call).await {
                Ok(result) => result,
                Err(_) => Err(Status::deadline_exceeded(format!("no answer within {} s", self.context.config.timeout.as_secs_f64()))),
            }
        };
        Ok(self.runtime()?.block_on(limited))
    }

    /// Makes a call until it succeeds or another attempt makes no sense. Absence is no error.
    fn call<M: Clone, T, F>(&self, message: &M, send: impl Fn(Request<M>) -> F) -> Result<Result<T, Status>, BlobError>
    where
        F: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        self.call_unless(None, message, send)
    }

    /// As [`Grpc::call`], but an error of the code `at_once` is not tried again: a batch that is too large is split instead, and a single blob goes by ByteStream.
    fn call_unless<M: Clone, T, F>(
        &self,
        at_once: Option<Code>,
        message: &M,
        send: impl Fn(Request<M>) -> F,
    ) -> Result<Result<T, Status>, BlobError>
    where
        F: Future<Output = Result<tonic::Response<T>, Status>>,
    {
        let mut retry = 0;
        loop {
            self.context.check()?;
            let mut request = self.request(message.clone())?;
            request.set_timeout(self.context.config.timeout);
            match self.wait(send(request))? {
                Ok(response) => return Ok(Ok(response.into_inner())),
                Err(status) => {
                    if Some(status.code()) == at_once || !self.again(&status, &mut retry) {
                        return Ok(Err(status));
                    }
                }
            }
        }
    }

    /// Whether to try again after an error, having waited.
    pub(super) fn again(&self, status: &Status, retry: &mut u32) -> bool {
        if status.code() == Code::Unauthenticated && *retry == 0 && self.context.credentials.forget() {
            *retry = 1;
            return true;
        }
        if judge_grpc(status.code() as i32) != Verdict::Retry || !self.context.pause(*retry) {
            return false;
        }
        *retry += 1;
        true
    }

    /// The error for a call that did not succeed. What would come again with the next call ends the use of this cache.
    pub(super) fn fail(&self, operation: &str, status: &Status) -> BlobError {
        let reason = format!("{operation}: {}", render(status));
        let transient = judge_grpc(status.code() as i32) == Verdict::Retry;
        if transient || status.code() == Code::Unauthenticated {
            return self.context.give_up(&reason, transient);
        }
        self.context.error(reason, transient)
    }

    /// As [`Grpc::fail`], for a write: what the server does not allow is not tried again.
    pub(super) fn fail_write(&self, operation: &str, status: &Status) -> BlobError {
        if matches!(status.code(), Code::PermissionDenied | Code::Unimplemented) {
            self.context.refuse_writes(&format!("{operation}: {}", render(status)));
        }
        self.fail(operation, status)
    }

    pub(super) fn function_value(&self) -> i32 {
        let value = match self.context.function {
            DigestFunction::Sha256 => reapi::digest_function::Value::Sha256,
            DigestFunction::Blake3 => reapi::digest_function::Value::Blake3,
        };
        value as i32
    }

    pub(super) fn instance(&self) -> String {
        self.context.config.instance.clone()
    }

    /// What the server offers, asked once.
    pub(super) fn capabilities(&self) -> Result<Capabilities, BlobError> {
        let mut known = self.capabilities.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*known {
            return Ok(known.clone());
        }
        let client = CapabilitiesClient::new(self.channel()?).max_decoding_message_size(DECODE_LIMIT);
        let request = reapi::GetCapabilitiesRequest { instance_name: self.instance() };
        let answer = self.call(&request, |request| {
            let mut client = client.clone();
            async move { client.get_capabilities(request).await }
        })?;
        let answer = match answer {
            Ok(answer) => answer,
            // An old or small server: assume what version 2.0 requires.
            Err(status) if status.code() == Code::Unimplemented => reapi::ServerCapabilities::default(),
            Err(status) => return Err(self.fail("GetCapabilities", &status)),
        };
        let capabilities = self.negotiate(&answer).map_err(|reason| self.context.give_up(&reason, false))?;
        *known = Some(capabilities.clone());
        Ok(capabilities)
    }

    fn negotiate(&self, answer: &reapi::ServerCapabilities) -> Result<Capabilities, String> {
        if let Some(low) = &answer.low_api_version
            && low.major > 2
        {
            return Err(format!("the server speaks REAPI from version {}.{} on, venvtree speaks version 2", low.major, low.minor));
        }
        let cache = answer.cache_capabilities.clone().unwrap_or_default();
        if !cache.digest_functions.is_empty() && !cache.digest_functions.contains(&self.function_value()) {
            return Err(format!("the server does not offer the digest function {}", self.context.function));
        }
        let advertised = u64::try_from(cache.max_batch_total_size_bytes).unwrap_or(0);
        let zstd = reapi::compressor::Value::Zstd as i32;
        let compression = self.context.config.compression;
        Ok(Capabilities {
            batch: batch_limit(advertised),
            zstd: compression && cache.supported_compressors.contains(&zstd),
            zstd_batch_update: compression && cache.supported_batch_update_compressors.contains(&zstd),
            largest: u64::try_from(cache.max_cas_blob_size_bytes).unwrap_or(0),
            updates: cache.action_cache_update_capabilities.is_none_or(|update| update.update_enabled),
        })
    }

    /// Sends one batch; returns the blobs that have to go by themselves.
    fn send_batch(&self, batch: &[Digest], source: &dyn Blobs, capabilities: &Capabilities) -> Result<Vec<Digest>, BlobError> {
        let mut requests = Vec::with_capacity(batch.len());
        for &digest in batch {
            let mut data = Vec::with_capacity(usize::try_from(digest.size).unwrap_or(0));
            let reader = source.open(digest)?.ok_or_else(|| absent(digest))?;
            reader.take(digest.size + 1).read_to_end(&mut data).map_err(|error| BlobError::io("read", digest.to_string(), error))?;
            Checked::received(self.context.function, digest, &data, "the source")?;
            let mut compressor = reapi::compressor::Value::Identity;
            if capabilities.zstd_batch_update
                && digest.size >= COMPRESSION_THRESHOLD
                && let Ok(compressed) = zstd::bulk::compress(&data, 0)
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
        let request = reapi::BatchUpdateBlobsRequest { instance_name: self.instance(), requests, digest_function: self.function_value() };
        let client = self.storage()?;
        let answer = self.call_unless(Some(Code::ResourceExhausted), &request, |request| {
            let mut client = client.clone();
            async move { client.batch_update_blobs(request).await }
        })?;
        let answer = match answer {
            Ok(answer) => answer,
            // The limit was another one than advertised.
            Err(status) if status.code() == Code::ResourceExhausted && batch.len() > 1 => {
                let (left, right) = batch.split_at(batch.len() / 2);
                let mut single = self.send_batch(left, source, capabilities)?;
                single.extend(self.send_batch(right, source, capabilities)?);
                return Ok(single);
            }
            Err(status) if matches!(status.code(), Code::ResourceExhausted | Code::Unimplemented) => return Ok(batch.to_vec()),
            Err(status) => return Err(self.fail_write("BatchUpdateBlobs", &status)),
        };
        let mut open: HashSet<Digest> = batch.iter().copied().collect();
        let mut single = Vec::new();
        for response in answer.responses {
            let Some(digest) = response.digest.as_ref().and_then(from_message).filter(|digest| open.remove(digest)) else { continue };
            let status = response.status.unwrap_or_default();
            match judge_grpc(status.code) {
                _ if status.code == 0 => self.context.meter.sent(digest),
                Verdict::Retry => single.push(digest),
                _ => return Err(self.fail_write("BatchUpdateBlobs", &Status::new(Code::from(status.code), status.message))),
            }
        }
        // What the answer does not speak of was perhaps not stored.
        single.extend(open);
        single.sort_unstable();
        Ok(single)
    }

    /// Receives one batch into `target`; returns the blobs that did not come, or came out wrong.
    fn receive_batch(&self, batch: &[Digest], target: &dyn BlobStore, capabilities: &Capabilities) -> Result<Batch, BlobError> {
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
        let client = self.storage()?;
        let answer = self.call_unless(Some(Code::ResourceExhausted), &request, |request| {
            let mut client = client.clone();
            async move { client.batch_read_blobs(request).await }
        })?;
        let mut outcome = Batch::default();
        let answer = match answer {
            Ok(answer) => answer,
            Err(status) if matches!(status.code(), Code::ResourceExhausted | Code::OutOfRange) && batch.len() > 1 => {
                let (left, right) = batch.split_at(batch.len() / 2);
                for half in [left, right] {
                    let Batch { lacking, wrong } = self.receive_batch(half, target, capabilities)?;
                    outcome.lacking.extend(lacking);
                    outcome.wrong.extend(wrong);
                }
                return Ok(outcome);
            }
            Err(status) if matches!(status.code(), Code::ResourceExhausted | Code::OutOfRange | Code::Unimplemented) => {
                outcome.wrong.extend_from_slice(batch);
                return Ok(outcome);
            }
            Err(status) => return Err(self.fail("BatchReadBlobs", &status)),
        };
        let mut open: HashMap<Digest, ()> = batch.iter().map(|digest| (*digest, ())).collect();
        for response in answer.responses {
            // An answer to another question is no answer.
            let Some(digest) = response.digest.as_ref().and_then(from_message).filter(|digest| open.remove(digest).is_some()) else {
                continue;
            };
            let status = response.status.unwrap_or_default();
            if status.code != 0 {
                if judge_grpc(status.code) == Verdict::Retry {
                    outcome.wrong.push(digest)
                } else {
                    outcome.lacking.push(digest)
                }
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
                    target.put(digest, &mut data.as_slice())?;
                    self.context.meter.received(digest);
                }
                Err(error) => {
                    self.context.lie(&error);
                    outcome.wrong.push(digest);
                }
            }
        }
        outcome.wrong.extend(open.into_keys());
        Ok(outcome)
    }

    /// Undoes the compression of a blob in a batch, never beyond its size.
    fn expand(&self, data: Vec<u8>, compressor: i32, digest: Digest) -> Result<Vec<u8>, BlobError> {
        if compressor == reapi::compressor::Value::Identity as i32 {
            return Ok(data);
        }
        let wrong = |actual: String| BlobError::Mismatch { place: self.context.place.clone(), expected: digest, actual };
        if compressor != reapi::compressor::Value::Zstd as i32 {
            return Err(wrong(format!("bytes compressed in a way that was not asked for ({compressor})")));
        }
        let mut out = Vec::with_capacity(usize::try_from(digest.size).unwrap_or(0));
        let decoder = super::bytestream::decoder(data.as_slice()).map_err(|error| wrong(error.to_string()))?;
        decoder.take(digest.size + 1).read_to_end(&mut out).map_err(|error| wrong(format!("bytes that are not zstd: {error}")))?;
        Ok(out)
    }
}

/// What became of the blobs of a batch that did not arrive.
#[derive(Debug, Default)]
struct Batch {
    /// The server does not have them.
    lacking: Vec<Digest>,
    /// They came out wrong, or not at all.
    wrong: Vec<Digest>,
}

impl Protocol for Grpc {
    fn context(&self) -> &Context {
        &self.context
    }

    fn open(&self, digest: Digest) -> Result<Option<Box<dyn Read + Send + '_>>, BlobError> {
        self.read_stream(digest)
    }

    fn missing(&self, digests: &[Digest]) -> Result<Vec<Digest>, BlobError> {
        self.capabilities()?;
        let chunks: Vec<&[Digest]> = digests.chunks(MISSING_CHUNK).collect();
        let found = Mutex::new(Vec::new());
        for_each(self.context.config.connections, &chunks, |chunk| {
            let request = reapi::FindMissingBlobsRequest {
                instance_name: self.instance(),
                blob_digests: chunk.iter().copied().map(to_message).collect(),
                digest_function: self.function_value(),
            };
            let client = self.storage()?;
            let answer = self.call(&request, |request| {
                let mut client = client.clone();
                async move { client.find_missing_blobs(request).await }
            })?;
            let answer = answer.map_err(|status| self.fail("FindMissingBlobs", &status))?;
            let asked: HashSet<Digest> = chunk.iter().copied().collect();
            let missing = answer.missing_blob_digests.iter().filter_map(from_message).filter(|digest| asked.contains(digest));
            found.lock().unwrap_or_else(PoisonError::into_inner).extend(missing);
            Ok(())
        })?;
        let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    fn send(&self, digests: &[Digest], source: &dyn Blobs) -> Result<(), BlobError> {
        let capabilities = self.capabilities()?;
        if let Some(large) = digests.iter().find(|digest| capabilities.largest != 0 && digest.size > capabilities.largest) {
            let reason = format!("the blob {large} is larger than the {} bytes that the server takes", capabilities.largest);
            return Err(self.context.error(reason, false));
        }
        let jobs = jobs(digests, capabilities.batch);
        for_each(self.context.config.connections, &jobs, |job| match job {
            Job::Stream(digest) => self.write_stream(*digest, source, &capabilities),
            Job::Batch(batch) => {
                for digest in self.send_batch(batch, source, &capabilities)? {
                    self.write_stream(digest, source, &capabilities)?;
                }
                Ok(())
            }
        })
    }

    fn receive(&self, digests: &[Digest], target: &dyn BlobStore) -> Result<Vec<Digest>, BlobError> {
        let capabilities = self.capabilities()?;
        let lacking = Mutex::new(Vec::new());
        let lack = |digest| lacking.lock().unwrap_or_else(PoisonError::into_inner).push(digest);
        let jobs = jobs(digests, capabilities.batch);
        for_each(self.context.config.connections, &jobs, |job| {
            let (missing, single) = match job {
                Job::Stream(digest) => (Vec::new(), vec![*digest]),
                Job::Batch(batch) => {
                    let Batch { lacking, wrong } = self.receive_batch(batch, target, &capabilities)?;
                    (lacking, wrong)
                }
            };
            missing.into_iter().for_each(lack);
            for digest in single {
                if !self.receive_stream(digest, target)? {
                    lack(digest);
                }
            }
            Ok(())
        })?;
        let mut lacking = lacking.into_inner().unwrap_or_else(PoisonError::into_inner);
        lacking.sort_unstable();
        Ok(lacking)
    }

    fn result(&self, action: ActionDigest) -> Result<Option<Vec<u8>>, BlobError> {
        self.capabilities()?;
        let client = ActionCacheClient::new(self.channel()?).max_decoding_message_size(usize::try_from(RESULT_LIMIT).expect("16 MiB"));
        let request = reapi::GetActionResultRequest {
            instance_name: self.instance(),
            action_digest: Some(to_message(action.0)),
            digest_function: self.function_value(),
            ..Default::default()
        };
        let answer = self.call(&request, |request| {
            let mut client = client.clone();
            async move { client.get_action_result(request).await }
        })?;
        match answer {
            Ok(result) => Ok(Some(result.encode_to_vec())),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(self.fail("GetActionResult", &status)),
        }
    }

    fn set_result(&self, action: ActionDigest, result: &[u8]) -> Result<(), BlobError> {
        if !self.capabilities()?.updates {
            self.context.refuse_writes("the server says that its action cache takes no results");
            return Err(self.context.error("its action cache takes no results", false));
        }
        let result = reapi::ActionResult::decode(result).map_err(|error| self.context.error(error.to_string(), false))?;
        let client = ActionCacheClient::new(self.channel()?);
        let request = reapi::UpdateActionResultRequest {
            instance_name: self.instance(),
            action_digest: Some(to_message(action.0)),
            action_result: Some(result),
            digest_function: self.function_value(),
            ..Default::default()
        };
        let answer = self.call(&request, |request| {
            let mut client = client.clone();
            async move { client.update_action_result(request).await }
        })?;
        answer.map(|_| ()).map_err(|status| self.fail_write("UpdateActionResult", &status))
    }
}

impl Drop for Grpc {
    fn drop(&mut self) {
        if let Some(Ok(runtime)) = self.runtime.take() {
            // Nobody waits for what is still under way.
            runtime.shutdown_background();
        }
    }
}

/// The most bytes that a batch may have: of what the server says (0 is nothing) and gRPC's own limit the smaller, less some room.
fn batch_limit(advertised: u64) -> u64 {
    let limit = if advertised == 0 { MESSAGE_LIMIT } else { advertised.min(MESSAGE_LIMIT) };
    limit.saturating_sub(HEADROOM).max(limit / 2)
}

/// A piece of work for one connection.
enum Job<'a> {
    Batch(&'a [Digest]),
    Stream(Digest),
}

/// Small blobs in batches, large ones alone and first, so that no connection is left alone with one at the end.
fn jobs(digests: &[Digest], limit: u64) -> Vec<Job<'_>> {
    let mut jobs: Vec<Job<'_>> =
        digests.iter().filter(|digest| digest.size + BLOB_OVERHEAD > limit).map(|digest| Job::Stream(*digest)).collect();
    let mut start = 0;
    let mut size = 0;
    for (index, digest) in digests.iter().enumerate() {
        let cost = digest.size + BLOB_OVERHEAD;
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

fn to_message(digest: Digest) -> reapi::Digest {
    reapi::Digest { hash: digest.hash.to_hex(), size_bytes: i64::try_from(digest.size).unwrap_or(i64::MAX) }
}

fn from_message(message: &reapi::Digest) -> Option<Digest> {
    let hash = crate::model::digest::Hash::parse_hex(&message.hash).ok()?;
    Some(Digest { hash, size: u64::try_from(message.size_bytes).ok()? })
}

/// A status in words.
pub(super) fn render(status: &Status) -> String {
    let words: String = status.message().chars().filter(|character| !character.is_control()).take(300).collect();
    let cause = std::error::Error::source(status).map(|source| format!(" ({})", describe(source))).unwrap_or_default();
    if words.is_empty() { format!("{}{cause}", status.code()) } else { format!("{}: {words}{cause}", status.code()) }
}

/// An error with its causes: tonic's own texts say only "transport error".
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::action::{Action, ActionResult};
    use crate::model::digest::DirectoryDigest;

    #[test]
    fn batches_keep_the_limit_and_large_blobs_go_alone() {
        let function = DigestFunction::Sha256;
        let sizes = [10, 500, 700, 10, 2000, 10, 10, 900];
        let digests: Vec<Digest> = sizes.iter().map(|&size| function.digest(&vec![b'x'; size])).collect();
        let limit = 1200;
        let jobs = jobs(&digests, limit);
        let mut seen = Vec::new();
        for job in &jobs {
            match job {
                Job::Stream(digest) => {
                    assert!(digest.size + BLOB_OVERHEAD > limit);
                    seen.push(*digest);
                }
                Job::Batch(batch) => {
                    assert!(batch.iter().map(|digest| digest.size + BLOB_OVERHEAD).sum::<u64>() <= limit && !batch.is_empty());
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

    /// The messages written by hand are those that the generated code writes.
    #[test]
    fn actions_are_what_generated_code_encodes() {
        let function = DigestFunction::Sha256;
        let action = Action::new(function, b"{}".to_vec());
        let blobs = action.blobs();
        let input = reapi::Directory {
            files: vec![reapi::FileNode {
                name: "request.json".to_owned(),
                digest: Some(to_message(function.digest(b"{}"))),
                ..Default::default()
            }],
            ..Default::default()
        };
        assert_eq!(blobs[2].1, input.encode_to_vec());
        let command = reapi::Command {
            arguments: ["venvtree", "build", "--out", action.output(), "request.json"].map(str::to_owned).to_vec(),
            output_paths: vec![action.output().to_owned()],
            output_directory_format: reapi::command::OutputDirectoryFormat::TreeAndDirectory as i32,
            ..Default::default()
        };
        assert_eq!(blobs[1].1, command.encode_to_vec());
        let message = reapi::Action {
            command_digest: Some(to_message(blobs[1].0)),
            input_root_digest: Some(to_message(blobs[2].0)),
            salt: format!("venvtree {}", crate::model::action::FORMAT_VERSION).into_bytes(),
            ..Default::default()
        };
        assert_eq!(blobs[0].1, message.encode_to_vec());
        let root = function.digest(b"root");
        let result = ActionResult { tree: function.digest(b"tree"), root: Some(DirectoryDigest(root)) };
        let expected = reapi::ActionResult {
            output_directories: vec![reapi::OutputDirectory {
                path: action.output().to_owned(),
                tree_digest: Some(to_message(result.tree)),
                is_topologically_sorted: true,
                root_directory_digest: Some(to_message(root)),
            }],
            ..Default::default()
        };
        assert_eq!(result.encode(&action), expected.encode_to_vec());
    }
}
