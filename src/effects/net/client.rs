//! What makes requests over HTTP, for whoever needs it: TLS, proxies and limits for waiting.
//!
//! Effects layer. Redirects are never followed here: only who asked knows where one may lead.
//! Proxies and their exceptions come from the environment (`HTTPS_PROXY`, `NO_PROXY`), as do roots
//! of trust other than the system's (`SSL_CERT_FILE`).

use std::time::Duration;

use camino::{Utf8Path, Utf8PathBuf};
use ureq::Agent;
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig};
use ureq::unversioned::transport::DefaultConnector;

use crate::effects::host::fs;
use crate::effects::net::resolver;
use crate::effects::net::retry::Verdict;
use crate::model::explain::{ErrorKind, Explain, Explanation};

/// Files for TLS, in PEM. Nothing means the system's roots, and no client certificate.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TlsFiles {
    /// The authorities to trust, in place of the system's.
    pub authorities: Option<Utf8PathBuf>,
    /// The client's certificate, and its key.
    pub client: Option<(Utf8PathBuf, Utf8PathBuf)>,
}

/// Why no requests can be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A file for TLS cannot be read.
    #[error("cannot read `{path}`")]
    File {
        /// The file.
        path: Utf8PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file for TLS holds something else.
    #[error("`{path}` has no {what} in PEM")]
    Pem {
        /// The file.
        path: Utf8PathBuf,
        /// What was expected in it.
        what: &'static str,
    },
}

impl Explain for ClientError {
    fn explain(&self) -> Explanation {
        ErrorKind::Remote.no_hint()
    }
}

/// What makes requests, on so many connections to a host at a time. `timeout` is how long to wait
/// for each part of an answer.
pub(in crate::effects) fn agent(
    tls: &TlsFiles,
    timeout: Duration,
    connections: usize,
) -> Result<Agent, ClientError> {
    let config = Agent::config_builder()
        .tls_config(tls_config(tls)?)
        .http_status_as_error(false)
        .user_agent(concat!("venvtree/", env!("CARGO_PKG_VERSION")))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_resolve(Some(timeout))
        .timeout_connect(Some(timeout.min(Duration::from_secs(20))))
        .timeout_send_request(Some(timeout))
        .timeout_recv_response(Some(timeout))
        .timeout_per_read(Some(timeout))
        .timeout_per_write(Some(timeout))
        .max_idle_connections_per_host(connections)
        .max_idle_connections(connections)
        .build();
    Ok(Agent::with_parts(config, DefaultConnector::default(), resolver::Timed))
}

fn tls_config(files: &TlsFiles) -> Result<TlsConfig, ClientError> {
    let read = |path: &Utf8Path| {
        fs::read_document(path)
            .map_err(|error| ClientError::File { path: path.to_owned(), source: error.source })
    };
    let unfit = |path: &Utf8Path, what| ClientError::Pem { path: path.to_owned(), what };
    let mut tls = TlsConfig::builder();
    match &files.authorities {
        Some(path) => {
            let certificates = certificates(&read(path)?);
            if certificates.is_empty() {
                return Err(unfit(path, "certificate"));
            }
            tls = tls.root_certs(RootCerts::new_with_certs(&certificates));
        }
        None => tls = tls.root_certs(RootCerts::PlatformVerifier),
    }
    if let Some((certificate, key)) = &files.client {
        let chain = certificates(&read(certificate)?);
        if chain.is_empty() {
            return Err(unfit(certificate, "certificate"));
        }
        let key = PrivateKey::from_pem(&read(key)?).map_err(|_| unfit(key, "private key"))?;
        tls = tls.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
    }
    Ok(tls.build())
}

/// All certificates in a PEM file.
fn certificates(pem: &[u8]) -> Vec<Certificate<'static>> {
    ureq::tls::parse_pem(pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect()
}

/// What a request without an answer says about another attempt.
pub(in crate::effects) fn judge(error: &ureq::Error) -> Verdict {
    match error {
        ureq::Error::Io(_)
        | ureq::Error::Timeout(_)
        | ureq::Error::ConnectionFailed
        | ureq::Error::HostNotFound
        | ureq::Error::Protocol(_) => Verdict::Retry,
        _ => Verdict::Fail,
    }
}

/// An error without what it says of the request: an address may hold a secret.
pub(in crate::effects) fn in_words(error: &ureq::Error) -> String {
    match error {
        ureq::Error::BadUri(_) | ureq::Error::RequireHttpsOnly(_) => {
            "the address cannot be used".to_owned()
        }
        ureq::Error::Timeout(kind) => format!("timed out ({kind})"),
        ureq::Error::HostNotFound => "the host is not known".to_owned(),
        other => other.to_string(),
    }
}
