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
    /// Where a variable names a file that is read in place of the system's authorities: that file.
    pub variable: Option<Utf8PathBuf>,
}

/// The variable.
const AUTHORITIES: &str = "SSL_CERT_FILE";

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
    /// The file that the variable names cannot be read.
    #[error("the variable {AUTHORITIES} names `{path}`, which cannot be read")]
    Variable {
        /// The file.
        path: Utf8PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file that the variable names holds something else.
    #[error("the variable {AUTHORITIES} names `{path}`, which has no certificate in PEM")]
    VariablePem {
        /// The file.
        path: Utf8PathBuf,
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
        match self {
            Self::File { .. } | Self::Pem { .. } => ErrorKind::Io.no_hint(),
            Self::Variable { .. } | Self::VariablePem { .. } => ErrorKind::Io.hint(format!(
                "unset {AUTHORITIES} to trust the system's authorities, or let it name a file of certificates"
            )),
        }
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

impl TlsFiles {
    /// Refuses a file that is named in place of the system's authorities and has none: whoever reads
    /// it later only says that there are none.
    pub(in crate::effects) fn check_variable(&self) -> Result<(), ClientError> {
        let Some(path) = self.variable.as_ref().filter(|_| self.authorities.is_none()) else {
            return Ok(());
        };
        let path = || path.to_owned();
        match fs::read_document(&path()) {
            Err(error) => Err(ClientError::Variable { path: path(), source: error.source }),
            Ok(text) if certificates(&text).is_empty() => {
                Err(ClientError::VariablePem { path: path() })
            }
            Ok(_) => Ok(()),
        }
    }
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

/// An error in words, and which proxy was asked, where the environment names one: nobody else
/// refuses then, or is not there.
pub(in crate::effects) fn in_words_of(error: &ureq::Error, agent: &Agent, url: &str) -> String {
    let words = in_words(error);
    let reaches_nobody = judge(error) == Verdict::Retry
        || matches!(error, ureq::Error::ConnectProxyFailed(_) | ureq::Error::InvalidProxyUrl);
    let proxy = agent.config().proxy().filter(|proxy| {
        let is_direct = |url: ureq::http::Uri| proxy.is_no_proxy(&url);
        reaches_nobody && !url.parse().is_ok_and(is_direct)
    });
    match proxy {
        None => words,
        Some(proxy) => format!(
            "{words} (by the proxy {}:{}, which a variable such as HTTPS_PROXY names)",
            proxy.host(),
            proxy.port()
        ),
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

#[cfg(test)]
mod tests {
    use super::{Agent, TlsFiles, in_words, in_words_of};
    use crate::effects::host::folder::folder;
    use crate::model::explain::Explain as _;

    #[test]
    fn a_proxy_that_is_not_there_is_named_without_its_password() {
        let proxy = ureq::Proxy::builder(ureq::ProxyProtocol::Http)
            .host("proxy.example")
            .port(3128)
            .username("me")
            .password("secret")
            .no_proxy("inside.example");
        let config = Agent::config_builder().proxy(Some(proxy.build().unwrap())).build();
        let agent = Agent::new_with_config(config);
        let refused = ureq::Error::Io(std::io::ErrorKind::ConnectionRefused.into());
        let words = |url: &str| in_words_of(&refused, &agent, url);
        let said = words("https://files.example/a.whl");
        assert!(said.contains("(by the proxy proxy.example:3128, which"), "{said}");
        assert!(!said.contains("secret") && !said.contains("me:"), "{said}");
        assert_eq!(words("https://inside.example/a.whl"), in_words(&refused));
        let direct = Agent::new_with_config(Agent::config_builder().proxy(None).build());
        assert_eq!(in_words_of(&refused, &direct, "https://files.example/"), in_words(&refused));
    }

    #[test]
    fn a_variable_that_names_no_certificates_is_told_so() {
        let (_guard, folder) = folder();
        let check = |name: &str, authorities: Option<&str>| {
            let variable = Some(folder.join(name));
            let authorities = authorities.map(Into::into);
            TlsFiles { authorities, client: None, variable }.check_variable()
        };
        std::fs::write(folder.join("text"), "no certificate").unwrap();
        for (name, what) in [("gone", "cannot be read"), ("text", "no certificate in PEM")] {
            let error = check(name, None).unwrap_err();
            let said = error.to_string();
            assert!(said.contains("the variable SSL_CERT_FILE names `"), "{said}");
            assert!(said.contains(what) && error.hint().is_some(), "{said}");
            // What an option names is read in its place.
            assert!(check(name, Some("other")).is_ok());
        }
        assert!(TlsFiles::default().check_variable().is_ok());
    }
}
