//! The client of REAPI: capabilities, the action cache and the content-addressable storage. Batches
//! of small blobs are [`super::batch`]'s, single large ones [`super::bytestream`]'s.
//!
//! Effects layer. Async code ends in this folder: one runtime of two threads, started with the
//! first request, and every call from outside blocks.

use std::collections::HashSet;
use std::future::Future;
use std::io::Read;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bazel_remote_apis::build::bazel::remote::execution::v2 as reapi;
use bazel_remote_apis::google::bytestream::byte_stream_client::ByteStreamClient;
use prost::Message;
use tokio::runtime::{Runtime, RuntimeFlavor};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::{MetadataKey, MetadataValue};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic::{Code, Request, Status};

use crate::effects::caches::blob::{BlobError, BlobStore, Blobs};
use crate::effects::caches::remote::batch::{Batch, Job, MESSAGE_LIMIT, batch_limit, jobs};
use crate::effects::caches::remote::raw::{Method, RawCodec, missing_digests};
use crate::effects::caches::remote::{
    Context, Protocol, RESULT_LIMIT, RemoteError, RemoteUrl, for_each,
};
use crate::effects::host::fs;
use crate::effects::host::random;
use crate::effects::net::credentials::shortened;
use crate::effects::net::retry::{Attempts, Verdict, judge_grpc};
use crate::effects::work::parallel;
use crate::model::digest::{ActionDigest, Digest, DigestFunction};
use crate::model::explain::chain;

/// Digests per question of what is missing: about 0.8 MB.
const MISSING_CHUNK: usize = 10_000;
/// Below this, compressing costs more than it saves.
pub(super) const COMPRESSION_THRESHOLD: u64 = 100;
/// The quickest level of zstd: with others, compressing takes longer than sending on the networks
/// that caches are in.
pub(super) const COMPRESSION_LEVEL: i32 = 1;
/// Attempts at getting a blob that comes out wrong.
pub(super) const LIE_RETRIES: u32 = 1;
/// The most bytes of a message from the server.
pub(super) const DECODE_LIMIT: usize = 2 * MESSAGE_LIMIT as usize;
/// The most bytes of what the server says of itself.
const CAPABILITIES_LIMIT: usize = 64 << 10;
/// The most bytes of the headers, and of the trailers, of an answer.
const HEADERS_LIMIT: u32 = 64 << 10;

/// What the server offers.
#[derive(Debug, Clone)]
pub(super) struct Capabilities {
    /// The most bytes of a batch.
    pub(super) batch: u64,
    /// zstd in ByteStream and for reading batches.
    pub(super) zstd: bool,
    /// zstd for writing batches.
    pub(super) zstd_batch_update: bool,
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

/// The threads that work on calls.
const WORKERS: usize = 2;

/// Connects without another thread, which looking a name up beside other work would take.
async fn connect_here(
    authority: String,
) -> std::io::Result<hyper_util::rt::TokioIo<tokio::net::TcpStream>> {
    let addresses: Vec<std::net::SocketAddr> =
        std::net::ToSocketAddrs::to_socket_addrs(&authority)?.collect();
    let stream = tokio::net::TcpStream::connect(&addresses[..]).await?;
    stream.set_nodelay(true)?;
    Ok(hyper_util::rt::TokioIo::new(stream))
}

impl Grpc {
    pub(super) fn new(context: Context) -> Result<Self, RemoteError> {
        let setup = |error: tonic::transport::Error| RemoteError::Setup { reason: chain(&error) };
        let uri = match &context.config.url {
            RemoteUrl::Grpc { tls: true, authority } => format!("https://{authority}"),
            RemoteUrl::Grpc { tls: false, authority } | RemoteUrl::Http { authority, .. } => {
                format!("http://{authority}")
            }
            RemoteUrl::Unix { .. } => "http://localhost".to_owned(),
        };
        let timeout = context.config.timeout;
        let mut endpoint = Endpoint::from_shared(uri)
            .and_then(|endpoint| {
                endpoint.user_agent(concat!("venvtree/", env!("CARGO_PKG_VERSION")))
            })
            .map_err(setup)?
            .connect_timeout(timeout.min(Duration::from_secs(20)))
            .tcp_nodelay(true)
            .http2_adaptive_window(true)
            .http2_max_header_list_size(HEADERS_LIMIT)
            .http2_keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(timeout);
        if let RemoteUrl::Grpc { tls: true, .. } = &context.config.url {
            context.config.tls.check_variable()?;
            let read = |path: &camino::Utf8PathBuf| {
                fs::read_document(path)
                    .map_err(|error| RemoteError::File { path: path.clone(), source: error.source })
            };
            let mut tls = match &context.config.tls.authorities {
                Some(path) => {
                    ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(path)?))
                }
                None => ClientTlsConfig::new().with_native_roots(),
            };
            if let Some((certificate, key)) = &context.config.tls.client {
                tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
            }
            endpoint = endpoint.tls_config(tls).map_err(setup)?;
        }
        Ok(Self {
            context,
            runtime: OnceLock::new(),
            endpoint,
            channel: OnceLock::new(),
            capabilities: Mutex::new(None),
        })
    }

    pub(super) fn runtime(&self) -> Result<&Runtime, BlobError> {
        let start = || {
            // One of several threads panics if they cannot be started, or the one that looks names
            // up. Without them, whoever makes a call works on it.
            let mut builder = match parallel::are_to_be_had(WORKERS + 1) {
                true => tokio::runtime::Builder::new_multi_thread(),
                false => tokio::runtime::Builder::new_current_thread(),
            };
            builder
                .worker_threads(WORKERS)
                .thread_name("remote-cache")
                .enable_all()
                .build()
                .map_err(|error| error.to_string())
        };
        self.runtime
            .get_or_init(start)
            .as_ref()
            .map_err(|reason| self.context.error(reason.clone(), false))
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
                        async move {
                            tokio::net::UnixStream::connect(path)
                                .await
                                .map(hyper_util::rt::TokioIo::new)
                        }
                    }))
                }
                RemoteUrl::Grpc { authority, .. }
                    if runtime.handle().runtime_flavor() == RuntimeFlavor::CurrentThread =>
                {
                    let authority = authority.clone();
                    self.endpoint.connect_with_connector_lazy(tower::service_fn(move |_| {
                        connect_here(authority.clone())
                    }))
                }
                RemoteUrl::Grpc { .. } | RemoteUrl::Http { .. } => self.endpoint.connect_lazy(),
            }
        };
        Ok(self.channel.get_or_init(connect).clone())
    }

    pub(super) fn streams(&self) -> Result<ByteStreamClient<Channel>, BlobError> {
        Ok(ByteStreamClient::new(self.channel()?).max_decoding_message_size(DECODE_LIMIT))
    }

    /// A request with all headers.
    pub(super) fn request<T>(&self, message: T) -> Result<Request<T>, BlobError> {
        let mut request = Request::new(message);
        let metadata = request.metadata_mut();
        for (name, value) in self
            .context
            .credentials
            .headers()
            .map_err(|error| self.context.give_up(&error.to_string(), false))?
        {
            let unfit =
                || self.context.error(format!("the header `{name}` cannot be sent by gRPC"), false);
            let key = MetadataKey::from_bytes(name.as_bytes()).map_err(|_| unfit())?;
            metadata.append(key, MetadataValue::try_from(value).map_err(|_| unfit())?);
        }
        let details = reapi::ToolDetails {
            tool_name: "venvtree".to_owned(),
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
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
        metadata.insert_bin(
            "build.bazel.remote.execution.v2.requestmetadata-bin",
            MetadataValue::from_bytes(&about.encode_to_vec()),
        );
        Ok(request)
    }

    /// Waits for an answer, at most as long as configured. `Err(Status)` is the server's, or that
    /// of a broken connection.
    pub(super) fn wait<T>(
        &self,
        call: impl Future<Output = Result<T, Status>>,
    ) -> Result<Result<T, Status>, BlobError> {
        let limited = async {
            match tokio::time::timeout(self.context.config.timeout, call).await {
                Ok(result) => result,
                Err(_) => Err(Status::deadline_exceeded(format!(
                    "no answer within {} s",
                    self.context.config.timeout.as_secs_f64()
                ))),
            }
        };
        Ok(self.runtime()?.block_on(limited))
    }

    /// Makes a call until it succeeds or another attempt makes no sense; the answer's bytes, at
    /// most so many. Absence is no error.
    fn call<M: Message + Clone + 'static>(
        &self,
        method: Method,
        message: &M,
        limit: usize,
    ) -> Result<Result<Vec<u8>, Status>, BlobError> {
        self.call_unless(None, method, message, limit)
    }

    /// As [`Grpc::call`], but an error of the code `at_once` is not tried again: a batch that is
    /// too large is split instead, and a single blob goes by ByteStream.
    pub(super) fn call_unless<M: Message + Clone + 'static>(
        &self,
        at_once: Option<Code>,
        method: Method,
        message: &M,
        limit: usize,
    ) -> Result<Result<Vec<u8>, Status>, BlobError> {
        let mut attempts = Attempts::new();
        loop {
            self.context.check()?;
            let mut request = self.request(message.clone())?;
            request.set_timeout(self.context.config.timeout);
            let mut client =
                tonic::client::Grpc::new(self.channel()?).max_decoding_message_size(limit);
            let answer = self.wait(async {
                client.ready().await.map_err(|error| Status::unavailable(chain(&error)))?;
                client
                    .unary(request, PathAndQuery::from_static(method.path()), RawCodec::new())
                    .await
            })?;
            match answer {
                Ok(response) => return Ok(Ok(response.into_inner())),
                Err(status) => {
                    if Some(status.code()) == at_once || !self.again(&status, &mut attempts) {
                        return Ok(Err(status));
                    }
                }
            }
        }
    }

    /// The error for an answer that is no message.
    pub(super) fn unreadable(&self, method: Method, error: &dyn std::fmt::Display) -> BlobError {
        self.context.error(format!("{}: the answer cannot be read: {error}", method.name()), false)
    }

    /// Whether to try again after an error, having waited.
    pub(super) fn again(&self, status: &Status, attempts: &mut Attempts) -> bool {
        if status.code() == Code::Unauthenticated
            && attempts.retries == 0
            && self.context.credentials.forget()
        {
            attempts.retries = 1;
            return true;
        }
        judge_grpc(status.code() as i32) == Verdict::Retry && self.context.pause(attempts)
    }

    /// The error for a call that did not succeed. What would come again with the next call ends the
    /// use of this cache.
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
        let request = reapi::GetCapabilitiesRequest { instance_name: self.instance() };
        let answer = self.call(Method::GetCapabilities, &request, CAPABILITIES_LIMIT)?;
        let answer = match answer {
            Ok(answer) => reapi::ServerCapabilities::decode(&*answer)
                .map_err(|error| self.unreadable(Method::GetCapabilities, &error))?,
            // An old or small server: assume what version 2.0 requires.
            Err(status) if status.code() == Code::Unimplemented => {
                reapi::ServerCapabilities::default()
            }
            Err(status) => return Err(self.fail("GetCapabilities", &status)),
        };
        let capabilities =
            self.negotiate(&answer).map_err(|reason| self.context.give_up(&reason, false))?;
        *known = Some(capabilities.clone());
        Ok(capabilities)
    }

    fn negotiate(&self, answer: &reapi::ServerCapabilities) -> Result<Capabilities, String> {
        if let Some(low) = &answer.low_api_version
            && low.major > 2
        {
            return Err(format!(
                "the server speaks REAPI from version {}.{} on, venvtree speaks version 2",
                low.major, low.minor
            ));
        }
        let cache = answer.cache_capabilities.clone().unwrap_or_default();
        if !cache.digest_functions.is_empty()
            && !cache.digest_functions.contains(&self.function_value())
        {
            return Err(format!(
                "the server does not offer the digest function {}",
                self.context.function
            ));
        }
        let advertised = u64::try_from(cache.max_batch_total_size_bytes).unwrap_or(0);
        let zstd = reapi::compressor::Value::Zstd as i32;
        let compression = self.context.config.compression;
        Ok(Capabilities {
            batch: batch_limit(advertised),
            zstd: compression && cache.supported_compressors.contains(&zstd),
            zstd_batch_update: compression
                && cache.supported_batch_update_compressors.contains(&zstd),
            largest: u64::try_from(cache.max_cas_blob_size_bytes).unwrap_or(0),
            updates: cache
                .action_cache_update_capabilities
                .is_none_or(|update| update.update_enabled),
        })
    }
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
        for_each(self.context.connections(), &chunks, |chunk| {
            let request = reapi::FindMissingBlobsRequest {
                instance_name: self.instance(),
                blob_digests: chunk.iter().copied().map(to_message).collect(),
                digest_function: self.function_value(),
            };
            let answer = self.call(Method::FindMissingBlobs, &request, DECODE_LIMIT)?;
            let answer = answer.map_err(|status| self.fail("FindMissingBlobs", &status))?;
            let asked: HashSet<Digest> = chunk.iter().copied().collect();
            let missing: HashSet<Digest> = missing_digests(&answer)
                .filter(|digest| digest.as_ref().map_or(true, |digest| asked.contains(digest)))
                .collect::<Result<_, _>>()
                .map_err(|error| self.unreadable(Method::FindMissingBlobs, &error))?;
            found.lock().unwrap_or_else(PoisonError::into_inner).extend(missing);
            Ok(())
        })?;
        let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    fn asks_one_by_one(&self) -> bool {
        false
    }

    fn send(&self, digests: &[Digest], source: &dyn Blobs) -> Result<(), BlobError> {
        let capabilities = self.capabilities()?;
        if let Some(large) = digests
            .iter()
            .find(|digest| capabilities.largest != 0 && digest.size > capabilities.largest)
        {
            let reason = format!(
                "the blob {large} is larger than the {} bytes that the server takes",
                capabilities.largest
            );
            return Err(self.context.error(reason, false));
        }
        let jobs = jobs(digests, capabilities.batch);
        for_each(self.context.connections(), &jobs, |job| match job {
            Job::Stream(digest) => self.write_stream(*digest, source, &capabilities),
            Job::Batch(batch) => {
                for digest in self.send_batch(batch, source, &capabilities)? {
                    self.write_stream(digest, source, &capabilities)?;
                }
                Ok(())
            }
        })
    }

    fn receive(
        &self,
        digests: &[Digest],
        target: &dyn BlobStore,
    ) -> Result<Vec<Digest>, BlobError> {
        let capabilities = self.capabilities()?;
        let lacking = Mutex::new(Vec::new());
        let lack = |digest| lacking.lock().unwrap_or_else(PoisonError::into_inner).push(digest);
        let jobs = jobs(digests, capabilities.batch);
        for_each(self.context.connections(), &jobs, |job| {
            let (missing, single) = match job {
                Job::Stream(digest) => (Vec::new(), vec![*digest]),
                Job::Batch(batch) => {
                    let Batch { lacking, wrong } =
                        self.receive_batch(batch, target, &capabilities)?;
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
        let request = reapi::GetActionResultRequest {
            instance_name: self.instance(),
            action_digest: Some(to_message(action.0)),
            digest_function: self.function_value(),
            ..Default::default()
        };
        let answer = self.call(
            Method::GetActionResult,
            &request,
            usize::try_from(RESULT_LIMIT).expect("256 KiB"),
        )?;
        match answer {
            Ok(result) => Ok(Some(result)),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(self.fail("GetActionResult", &status)),
        }
    }

    fn set_result(&self, action: ActionDigest, result: &[u8]) -> Result<(), BlobError> {
        if !self.capabilities()?.updates {
            self.context.refuse_writes("the server says that its action cache takes no results");
            return Err(self.context.error("its action cache takes no results", false));
        }
        let result = reapi::ActionResult::decode(result)
            .map_err(|error| self.context.error(error.to_string(), false))?;
        let request = reapi::UpdateActionResultRequest {
            instance_name: self.instance(),
            action_digest: Some(to_message(action.0)),
            action_result: Some(result),
            digest_function: self.function_value(),
            ..Default::default()
        };
        let answer = self.call(Method::UpdateActionResult, &request, DECODE_LIMIT)?;
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

pub(super) fn to_message(digest: Digest) -> reapi::Digest {
    reapi::Digest {
        hash: digest.hash.to_hex(),
        size_bytes: i64::try_from(digest.size).unwrap_or(i64::MAX),
    }
}

/// A status in words.
pub(super) fn render(status: &Status) -> String {
    let words = shortened(status.message());
    let cause = std::error::Error::source(status)
        .map(|source| format!(" ({})", chain(source)))
        .unwrap_or_default();
    if words.is_empty() {
        format!("{}{cause}", status.code())
    } else {
        format!("{}: {words}{cause}", status.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::action::{Action, ActionResult};
    use crate::model::digest::DirectoryDigest;

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
            arguments: ["venvtree", "build", "--out", action.output(), "request.json"]
                .map(str::to_owned)
                .to_vec(),
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
        let result =
            ActionResult { tree: function.digest(b"tree"), root: Some(DirectoryDigest(root)) };
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
