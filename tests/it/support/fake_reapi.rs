//! A REAPI server that is strict about what it gets, and lies on demand.
//!
//! Strict: digests are checked, resource names parsed to the letter, offsets have to follow,
//! messages keep gRPC's default limit, the instance has to be the right one, and a result is taken
//! only when everything that it refers to is there. Lies are set between requests.

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bazel_remote_apis::build::bazel::remote::execution::v2 as reapi;
use bazel_remote_apis::google::bytestream as stream;
use bazel_remote_apis::google::rpc;
use prost::Message as _;
use reapi::action_cache_server::{ActionCache, ActionCacheServer};
use reapi::capabilities_server::{Capabilities, CapabilitiesServer};
use reapi::content_addressable_storage_server::{
    ContentAddressableStorage, ContentAddressableStorageServer,
};
use stream::byte_stream_server::{ByteStream, ByteStreamServer};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Code, Request, Response, Status, Streaming};
use venvtree::model::digest::{Digest, DigestFunction};

/// What happens to bytes on their way to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Corruption {
    /// Another byte, the same length.
    Flip,
    /// The last byte is missing.
    Truncate,
    /// A byte too many.
    Extend,
    /// The bytes are said to be zstd, and are not.
    NotZstd,
    /// Zstd that expands to far more than the blob's size.
    ZstdBomb,
    /// The server does not have the blob any more.
    Gone,
}

/// How the server misbehaves.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// What happens to files' and messages' bytes, by digest.
    pub(crate) corrupt: HashMap<Digest, Corruption>,
    /// Requests of a method that fail before one succeeds, and how.
    pub(crate) fail: HashMap<&'static str, (usize, Code)>,
    /// Streams that break off after so many bytes, and how many of them do.
    pub(crate) break_reads: Option<(usize, usize)>,
    /// The same for writes.
    pub(crate) break_writes: Option<(usize, usize)>,
    /// Reads that get this message again and again, with a pause before each, and no end.
    pub(crate) endless_reads: Option<(Vec<u8>, Duration)>,
    /// Every answer waits so long.
    pub(crate) delay: Duration,
    /// Requests after which the server answers nothing but UNAVAILABLE.
    pub(crate) gone_after: Option<usize>,
}

/// What the server offers and insists on.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    pub(crate) function: DigestFunction,
    pub(crate) instance: String,
    pub(crate) zstd: bool,
    pub(crate) batch_limit: i64,
    /// The limit that it really has.
    pub(crate) true_batch_limit: usize,
    pub(crate) capabilities: bool,
    pub(crate) updates: bool,
    pub(crate) header: Option<(&'static str, &'static str)>,
}

impl Default for Offer {
    fn default() -> Self {
        Self {
            function: DigestFunction::Sha256,
            instance: String::new(),
            zstd: true,
            batch_limit: 0,
            true_batch_limit: 4 << 20,
            capabilities: true,
            updates: true,
            header: None,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) blobs: HashMap<Digest, Vec<u8>>,
    pub(crate) results: HashMap<Digest, reapi::ActionResult>,
    pub(crate) faults: Faults,
    /// Requests by method.
    pub(crate) calls: BTreeMap<&'static str, usize>,
    /// What the client did that a strict server does not accept.
    pub(crate) complaints: Vec<String>,
    partial: HashMap<String, Vec<u8>>,
}

#[derive(Clone)]
struct Server {
    offer: Offer,
    state: Arc<Mutex<State>>,
}

/// How clients reach the server.
#[derive(Default)]
pub(crate) enum Listen {
    /// TCP, in the clear.
    #[default]
    Tcp,
    /// TLS: the server's certificate and key, and the authority that clients' certificates must be
    /// of.
    Tls { certificate: String, key: String, clients: String },
    /// A Unix domain socket at a path.
    Unix(camino::Utf8PathBuf),
}

/// A running server, stopped when dropped.
pub(crate) struct FakeReapi {
    url: String,
    state: Arc<Mutex<State>>,
    _runtime: tokio::runtime::Runtime,
}

impl FakeReapi {
    pub(crate) fn start(offer: Offer) -> Self {
        Self::start_on(offer, Listen::Tcp)
    }

    pub(crate) fn start_on(offer: Offer, listen: Listen) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let state = Arc::new(Mutex::new(State::default()));
        let server = Server { offer, state: Arc::clone(&state) };
        let mut builder = tonic::transport::Server::builder();
        if let Listen::Tls { certificate, key, clients } = &listen {
            let tls = tonic::transport::ServerTlsConfig::new()
                .identity(tonic::transport::Identity::from_pem(certificate, key))
                .client_ca_root(tonic::transport::Certificate::from_pem(clients));
            builder = builder.tls_config(tls).expect("certificates that fit");
        }
        let router = builder
            .add_service(CapabilitiesServer::new(server.clone()))
            .add_service(ActionCacheServer::new(server.clone()))
            .add_service(ContentAddressableStorageServer::new(server.clone()))
            .add_service(ByteStreamServer::new(server));
        let guard = runtime.enter();
        let url = if let Listen::Unix(path) = &listen {
            let listener = tokio::net::UnixListener::bind(path).expect("a socket");
            let incoming = tokio_stream::wrappers::UnixListenerStream::new(listener);
            runtime.spawn(async move {
                router.serve_with_incoming(incoming).await.expect("the server runs")
            });
            format!("unix:{path}")
        } else {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
            listener.set_nonblocking(true).expect("a listener");
            let address = listener.local_addr().expect("an address");
            let incoming = tonic::transport::server::TcpIncoming::from(
                tokio::net::TcpListener::from_std(listener).expect("a listener"),
            );
            runtime.spawn(async move {
                router.serve_with_incoming(incoming).await.expect("the server runs")
            });
            match listen {
                Listen::Tls { .. } => format!("grpcs://localhost:{}", address.port()),
                Listen::Tcp | Listen::Unix(_) => format!("grpc://{address}"),
            }
        };
        drop(guard);
        Self { url, state, _runtime: runtime }
    }

    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while locked")
    }
}

pub(crate) fn to_message(digest: Digest) -> reapi::Digest {
    reapi::Digest {
        hash: digest.hash.to_hex(),
        size_bytes: i64::try_from(digest.size).expect("small"),
    }
}

pub(crate) fn from_message(message: Option<&reapi::Digest>) -> Result<Digest, Status> {
    let message = message.ok_or_else(|| Status::invalid_argument("no digest"))?;
    Digest::parse(&format!("{}/{}", message.hash, message.size_bytes))
        .map_err(|error| Status::invalid_argument(error.to_string()))
}

/// 256 MiB of zeros.
fn bomb() -> Vec<u8> {
    static BOMB: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    BOMB.get_or_init(|| zstd::bulk::compress(&vec![0; 256 << 20], 1).expect("zstd works")).clone()
}

/// What a message says of the instance and the digest function, if it has fields for them.
trait Addressed {
    fn instance(&self) -> Option<&str> {
        None
    }

    fn function(&self) -> Option<i32> {
        None
    }
}

impl Addressed for stream::ReadRequest {}
impl Addressed for Streaming<stream::WriteRequest> {}
impl Addressed for stream::QueryWriteStatusRequest {}

impl Addressed for reapi::GetCapabilitiesRequest {
    fn instance(&self) -> Option<&str> {
        Some(&self.instance_name)
    }
}

macro_rules! addressed {
    ($($message:ident),+ $(,)?) => {$(
        impl Addressed for reapi::$message {
            fn instance(&self) -> Option<&str> {
                Some(&self.instance_name)
            }

            fn function(&self) -> Option<i32> {
                Some(self.digest_function)
            }
        }
    )+};
}

addressed!(
    GetActionResultRequest,
    UpdateActionResultRequest,
    FindMissingBlobsRequest,
    BatchUpdateBlobsRequest,
    BatchReadBlobsRequest,
);

impl Server {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while locked")
    }

    fn complain(&self, what: String) -> Status {
        self.lock().complaints.push(what.clone());
        Status::invalid_argument(what)
    }

    /// What every request goes through; returns its message.
    async fn enter<'r, T: Addressed>(
        &self,
        method: &'static str,
        request: &'r Request<T>,
    ) -> Result<&'r T, Status> {
        let delay = {
            let mut state = self.lock();
            *state.calls.entry(method).or_default() += 1;
            let total: usize = state.calls.values().sum();
            if state.faults.gone_after.is_some_and(|limit| total > limit) {
                return Err(Status::unavailable("gone"));
            }
            if let Some((left, code)) = state.faults.fail.get_mut(method)
                && *left > 0
            {
                *left -= 1;
                return Err(Status::new(*code, "as the test wants it"));
            }
            state.faults.delay
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        if request
            .metadata()
            .get_bin("build.bazel.remote.execution.v2.requestmetadata-bin")
            .is_none()
        {
            return Err(self.complain(format!("{method}: no request metadata")));
        }
        if let Some((name, value)) = self.offer.header
            && request.metadata().get(name).is_none_or(|found| found != value)
        {
            return Err(Status::unauthenticated("who are you?"));
        }
        let message = request.get_ref();
        if let Some(instance) = message.instance()
            && instance != self.offer.instance
        {
            return Err(self.complain(format!("{method}: the instance is {instance:?}")));
        }
        let expected = match self.offer.function {
            DigestFunction::Sha256 => reapi::digest_function::Value::Sha256,
            DigestFunction::Blake3 => reapi::digest_function::Value::Blake3,
        };
        if let Some(function) = message.function()
            && function != expected as i32
        {
            return Err(self.complain(format!("{method}: the digest function is {function}")));
        }
        Ok(message)
    }

    fn store(&self, digest: Digest, bytes: Vec<u8>) -> Result<(), Status> {
        if self.offer.function.digest(&bytes) != digest {
            return Err(self.complain(format!("the blob {digest} has other bytes")));
        }
        self.lock().blobs.insert(digest, bytes);
        Ok(())
    }

    /// A blob's bytes as the faults have them, and whether they go as zstd.
    fn load(&self, digest: Digest, zstd: bool) -> Result<(Vec<u8>, bool), Status> {
        let state = self.lock();
        let absent = || Status::not_found(digest.to_string());
        let mut bytes = state.blobs.get(&digest).cloned().ok_or_else(absent)?;
        let compress = |bytes: &[u8]| zstd::bulk::compress(bytes, 3).expect("zstd works");
        match state.faults.corrupt.get(&digest) {
            None => {}
            Some(Corruption::Flip) => bytes[0] ^= 1,
            Some(Corruption::Truncate) => {
                bytes.pop();
            }
            Some(Corruption::Extend) => bytes.push(b'!'),
            Some(Corruption::NotZstd) => return Ok((b"this is no zstd".to_vec(), true)),
            Some(Corruption::ZstdBomb) => return Ok((bomb(), true)),
            Some(Corruption::Gone) => return Err(absent()),
        }
        Ok(if zstd { (compress(&bytes), true) } else { (bytes, false) })
    }
}

#[tonic::async_trait]
impl Capabilities for Server {
    async fn get_capabilities(
        &self,
        request: Request<reapi::GetCapabilitiesRequest>,
    ) -> Result<Response<reapi::ServerCapabilities>, Status> {
        self.enter("GetCapabilities", &request).await?;
        if !self.offer.capabilities {
            return Err(Status::unimplemented("no capabilities"));
        }
        let function = match self.offer.function {
            DigestFunction::Sha256 => reapi::digest_function::Value::Sha256,
            DigestFunction::Blake3 => reapi::digest_function::Value::Blake3,
        };
        let compressors =
            if self.offer.zstd { vec![reapi::compressor::Value::Zstd as i32] } else { Vec::new() };
        Ok(Response::new(reapi::ServerCapabilities {
            cache_capabilities: Some(reapi::CacheCapabilities {
                digest_functions: vec![function as i32],
                action_cache_update_capabilities: Some(reapi::ActionCacheUpdateCapabilities {
                    update_enabled: self.offer.updates,
                }),
                max_batch_total_size_bytes: self.offer.batch_limit,
                supported_compressors: compressors.clone(),
                supported_batch_update_compressors: compressors,
                ..Default::default()
            }),
            ..Default::default()
        }))
    }
}

#[tonic::async_trait]
impl ActionCache for Server {
    async fn get_action_result(
        &self,
        request: Request<reapi::GetActionResultRequest>,
    ) -> Result<Response<reapi::ActionResult>, Status> {
        let message = self.enter("GetActionResult", &request).await?;
        let digest = from_message(message.action_digest.as_ref())?;
        let found = self.lock().results.get(&digest).cloned();
        found.map(Response::new).ok_or_else(|| Status::not_found("no result"))
    }

    async fn update_action_result(
        &self,
        request: Request<reapi::UpdateActionResultRequest>,
    ) -> Result<Response<reapi::ActionResult>, Status> {
        let message = self.enter("UpdateActionResult", &request).await?;
        let digest = from_message(message.action_digest.as_ref())?;
        let result =
            message.action_result.clone().ok_or_else(|| self.complain("no result".to_owned()))?;
        let has = |digest: Digest| digest.size == 0 || self.lock().blobs.contains_key(&digest);
        if !result.stdout_raw.is_empty() || !result.stderr_raw.is_empty() {
            return Err(self.complain("raw output".to_owned()));
        }
        let action = self.lock().blobs.get(&digest).cloned();
        let Some(action) = action.and_then(|bytes| reapi::Action::decode(bytes.as_slice()).ok())
        else {
            return Err(self.complain("the result came before its action".to_owned()));
        };
        for part in [&action.command_digest, &action.input_root_digest] {
            if !has(from_message(part.as_ref())?) {
                return Err(
                    self.complain("the result came before its command or inputs".to_owned())
                );
            }
        }
        for directory in &result.output_directories {
            let tree = from_message(directory.tree_digest.as_ref())?;
            let message = self.lock().blobs.get(&tree).cloned();
            let Some(tree) = message.and_then(|bytes| reapi::Tree::decode(bytes.as_slice()).ok())
            else {
                return Err(self.complain("the result came before its tree".to_owned()));
            };
            for directory in tree.root.iter().chain(&tree.children) {
                let own = self.offer.function.digest(&directory.encode_to_vec());
                let files = directory.files.iter().map(|file| file.digest.as_ref());
                let below = directory.directories.iter().map(|below| below.digest.as_ref());
                for digest in files.chain(below) {
                    let digest = from_message(digest)?;
                    if !has(digest) {
                        return Err(
                            self.complain(format!("the result came before the blob {digest}"))
                        );
                    }
                }
                if !has(own) {
                    return Err(self.complain(format!("the directory {own} is no blob of its own")));
                }
            }
        }
        self.lock().results.insert(digest, result.clone());
        Ok(Response::new(result))
    }
}

#[tonic::async_trait]
impl ContentAddressableStorage for Server {
    type GetChunkMappingStream =
        Pin<Box<dyn Stream<Item = Result<reapi::GetChunkMappingResponse, Status>> + Send>>;
    type GetTreeStream = Pin<Box<dyn Stream<Item = Result<reapi::GetTreeResponse, Status>> + Send>>;

    async fn find_missing_blobs(
        &self,
        request: Request<reapi::FindMissingBlobsRequest>,
    ) -> Result<Response<reapi::FindMissingBlobsResponse>, Status> {
        let message = self.enter("FindMissingBlobs", &request).await?;
        let mut missing = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for digest in &message.blob_digests {
            let digest = from_message(Some(digest))?;
            if !seen.insert(digest) {
                return Err(self.complain(format!("{digest} is asked for twice")));
            }
            if !self.lock().blobs.contains_key(&digest) {
                missing.push(to_message(digest));
            }
        }
        Ok(Response::new(reapi::FindMissingBlobsResponse { missing_blob_digests: missing }))
    }

    async fn batch_update_blobs(
        &self,
        request: Request<reapi::BatchUpdateBlobsRequest>,
    ) -> Result<Response<reapi::BatchUpdateBlobsResponse>, Status> {
        let message = self.enter("BatchUpdateBlobs", &request).await?;
        if message.encoded_len() > self.offer.true_batch_limit {
            return Err(Status::resource_exhausted("the batch is too large"));
        }
        let mut responses = Vec::new();
        for part in &message.requests {
            let digest = from_message(part.digest.as_ref())?;
            let bytes = if part.compressor == reapi::compressor::Value::Zstd as i32 {
                if !self.offer.zstd {
                    return Err(self.complain("zstd was not offered".to_owned()));
                }
                zstd::bulk::decompress(&part.data, 4 << 20)
                    .map_err(|error| self.complain(error.to_string()))?
            } else {
                part.data.clone()
            };
            self.store(digest, bytes)?;
            responses.push(reapi::batch_update_blobs_response::Response {
                digest: part.digest.clone(),
                status: Some(rpc::Status::default()),
            });
        }
        Ok(Response::new(reapi::BatchUpdateBlobsResponse { responses }))
    }

    async fn batch_read_blobs(
        &self,
        request: Request<reapi::BatchReadBlobsRequest>,
    ) -> Result<Response<reapi::BatchReadBlobsResponse>, Status> {
        let message = self.enter("BatchReadBlobs", &request).await?;
        let accepts =
            message.acceptable_compressors.contains(&(reapi::compressor::Value::Zstd as i32));
        let mut responses = Vec::new();
        for digest in &message.digests {
            let (data, zstd, status) = match self.load(from_message(Some(digest))?, accepts) {
                Ok((data, zstd)) => (data, zstd, rpc::Status::default()),
                Err(error) => (
                    Vec::new(),
                    false,
                    rpc::Status { code: error.code() as i32, ..Default::default() },
                ),
            };
            let compressor = if zstd {
                reapi::compressor::Value::Zstd
            } else {
                reapi::compressor::Value::Identity
            };
            responses.push(reapi::batch_read_blobs_response::Response {
                digest: Some(digest.clone()),
                data,
                compressor: compressor as i32,
                status: Some(status),
            });
        }
        let response = reapi::BatchReadBlobsResponse { responses };
        if response.encoded_len() > self.offer.true_batch_limit {
            return Err(Status::resource_exhausted("the batch is too large"));
        }
        Ok(Response::new(response))
    }

    async fn get_tree(
        &self,
        _request: Request<reapi::GetTreeRequest>,
    ) -> Result<Response<Self::GetTreeStream>, Status> {
        Err(Status::unimplemented("GetTree"))
    }

    async fn get_chunk_mapping(
        &self,
        _request: Request<reapi::GetChunkMappingRequest>,
    ) -> Result<Response<Self::GetChunkMappingStream>, Status> {
        Err(Status::unimplemented("GetChunkMapping"))
    }

    async fn register_chunk_mapping(
        &self,
        _request: Request<Streaming<reapi::RegisterChunkMappingRequest>>,
    ) -> Result<Response<reapi::RegisterChunkMappingResponse>, Status> {
        Err(Status::unimplemented("RegisterChunkMapping"))
    }

    async fn split_blob(
        &self,
        _request: Request<reapi::SplitBlobRequest>,
    ) -> Result<Response<reapi::SplitBlobResponse>, Status> {
        Err(Status::unimplemented("SplitBlob"))
    }

    async fn splice_blob(
        &self,
        _request: Request<reapi::SpliceBlobRequest>,
    ) -> Result<Response<reapi::SpliceBlobResponse>, Status> {
        Err(Status::unimplemented("SpliceBlob"))
    }
}

impl Server {
    /// `[INSTANCE/][uploads/UUID/](blobs|compressed-blobs/zstd)[/blake3]/HASH/SIZE`
    fn resource(&self, name: &str, upload: bool) -> Result<(Digest, bool), Status> {
        let wrong = || self.complain(format!("the resource name is {name:?}"));
        let rest = match self.offer.instance.as_str() {
            "" => name,
            instance => name
                .strip_prefix(instance)
                .and_then(|rest| rest.strip_prefix('/'))
                .ok_or_else(wrong)?,
        };
        let mut parts: Vec<&str> = rest.split('/').collect();
        if upload {
            if parts.len() < 2 || parts[0] != "uploads" || parts[1].len() != 36 {
                return Err(wrong());
            }
            parts.drain(..2);
        }
        let zstd = match parts.first() {
            Some(&"blobs") => false,
            Some(&"compressed-blobs") if parts.get(1) == Some(&"zstd") && self.offer.zstd => {
                parts.remove(0);
                true
            }
            _ => return Err(wrong()),
        };
        parts.remove(0);
        if self.offer.function == DigestFunction::Blake3 {
            if parts.first() != Some(&"blake3") {
                return Err(wrong());
            }
            parts.remove(0);
        }
        let digest = Digest::parse(&parts.join("/")).map_err(|_| wrong())?;
        Ok((digest, zstd))
    }
}

#[tonic::async_trait]
impl ByteStream for Server {
    type ReadStream = Pin<Box<dyn Stream<Item = Result<stream::ReadResponse, Status>> + Send>>;

    async fn read(
        &self,
        request: Request<stream::ReadRequest>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        let message = self.enter("Read", &request).await?;
        let (digest, zstd) = self.resource(&message.resource_name, false)?;
        if message.read_limit != 0 {
            return Err(self.complain("a read limit".to_owned()));
        }
        let offset = usize::try_from(message.read_offset)
            .map_err(|_| self.complain("a negative offset".to_owned()))?;
        let (bytes, _) = if offset == 0 {
            self.load(digest, zstd)?
        } else {
            // A new frame from the offset in the uncompressed bytes on.
            let (bytes, _) = self.load(digest, false)?;
            let rest = bytes.get(offset..).ok_or_else(|| Status::out_of_range("beyond the end"))?;
            (
                if zstd {
                    zstd::bulk::compress(rest, 3).expect("zstd works")
                } else {
                    rest.to_vec()
                },
                zstd,
            )
        };
        let endless = self.lock().faults.endless_reads.clone();
        if let Some((data, pause)) = endless {
            let messages =
                tokio_stream::iter(std::iter::repeat(data)).then(move |data| async move {
                    tokio::time::sleep(pause).await;
                    Ok(stream::ReadResponse { data })
                });
            return Ok(Response::new(Box::pin(messages)));
        }
        let limit = {
            let mut state = self.lock();
            match &mut state.faults.break_reads {
                Some((limit, times)) if *times > 0 => {
                    *times -= 1;
                    Some(*limit)
                }
                _ => None,
            }
        };
        let mut parts: Vec<Result<stream::ReadResponse, Status>> = Vec::new();
        let end = limit.map_or(bytes.len(), |limit| limit.min(bytes.len()));
        for chunk in bytes[..end].chunks(64 << 10) {
            parts.push(Ok(stream::ReadResponse { data: chunk.to_vec() }));
        }
        if limit.is_some() {
            parts.push(Err(Status::unavailable("the stream breaks off")));
        }
        Ok(Response::new(Box::pin(tokio_stream::iter(parts))))
    }

    async fn write(
        &self,
        request: Request<Streaming<stream::WriteRequest>>,
    ) -> Result<Response<stream::WriteResponse>, Status> {
        self.enter("Write", &request).await?;
        let mut messages = request.into_inner();
        let (mut name, mut bytes) = (String::new(), Vec::new());
        let (mut start, mut received, mut finished) = (0, 0, false);
        let limit = {
            let mut state = self.lock();
            match &mut state.faults.break_writes {
                Some((limit, times)) if *times > 0 => {
                    *times -= 1;
                    Some(*limit)
                }
                _ => None,
            }
        };
        while let Some(message) = messages.next().await {
            let message = message?;
            let offset = usize::try_from(message.write_offset)
                .map_err(|_| self.complain("a negative offset".to_owned()))?;
            if name.is_empty() {
                name = message.resource_name.clone();
                self.resource(&name, true)?;
                bytes = self.lock().partial.get(&name).cloned().unwrap_or_default();
                if offset > bytes.len() {
                    return Err(self.complain(format!(
                        "a write begins at {offset}, {} bytes are here",
                        bytes.len()
                    )));
                }
                bytes.truncate(offset);
                start = offset;
            } else if !message.resource_name.is_empty() && message.resource_name != name {
                return Err(self.complain("the resource name changes".to_owned()));
            }
            if offset != start + received || finished {
                return Err(
                    self.complain(format!("a message at {offset}, expected {}", start + received))
                );
            }
            received += message.data.len();
            bytes.extend_from_slice(&message.data);
            finished = message.finish_write;
            if limit.is_some_and(|limit| bytes.len() >= limit) {
                self.lock().partial.insert(name, bytes);
                return Err(Status::unavailable("the stream breaks off"));
            }
        }
        if !finished {
            return Err(self.complain("the stream ended without finish_write".to_owned()));
        }
        let (digest, zstd) = self.resource(&name, true)?;
        let committed = i64::try_from(bytes.len()).expect("small");
        let plain = if zstd {
            zstd::stream::decode_all(bytes.as_slice())
                .map_err(|error| self.complain(error.to_string()))?
        } else {
            bytes
        };
        self.store(digest, plain)?;
        Ok(Response::new(stream::WriteResponse { committed_size: committed }))
    }

    async fn query_write_status(
        &self,
        request: Request<stream::QueryWriteStatusRequest>,
    ) -> Result<Response<stream::QueryWriteStatusResponse>, Status> {
        let name = &self.enter("QueryWriteStatus", &request).await?.resource_name;
        let (digest, _) = self.resource(name, true)?;
        let state = self.lock();
        let complete = state.blobs.contains_key(&digest);
        let committed =
            if complete { digest.size } else { state.partial.get(name).map_or(0, Vec::len) as u64 };
        Ok(Response::new(stream::QueryWriteStatusResponse {
            committed_size: i64::try_from(committed).expect("small"),
            complete,
        }))
    }
}
