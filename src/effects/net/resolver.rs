//! Looking up a host's addresses with a time limit.
//!
//! Effects layer. The system's call has no limit, so it runs on a thread that is left alone when
//! time is up. Where no thread can be had there is no limit: better than no answer.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc;

use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// Resolves within the time that is given.
#[derive(Debug)]
pub(in crate::effects) struct Timed;

impl Resolver for Timed {
    fn resolve(
        &self,
        uri: &Uri,
        _: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let (Some(scheme), Some(authority)) = (uri.scheme(), uri.authority()) else {
            return Err(ureq::Error::HostNotFound);
        };
        let name =
            DefaultResolver::host_and_port(scheme, authority).ok_or(ureq::Error::HostNotFound)?;
        let mut found = self.empty();
        for address in look_up(name, timeout)? {
            if found.try_push(address).is_err() {
                break;
            }
        }
        if found.is_empty() { Err(ureq::Error::HostNotFound) } else { Ok(found) }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "where no thread can be started, this one looks the name up"
)]
fn look_up(name: String, timeout: NextTimeout) -> Result<Vec<SocketAddr>, ureq::Error> {
    // A number needs no look-up.
    if let Ok(address) = name.parse() {
        return Ok(vec![address]);
    }
    let find = |name: &str| name.to_socket_addrs().map(Iterator::collect::<Vec<_>>);
    let (sender, receiver) = mpsc::sync_channel(1);
    let asked = name.clone();
    let thread = std::thread::Builder::new()
        .name("resolver".to_owned())
        .spawn(move || sender.send(find(&asked)));
    if thread.is_err() {
        return Ok(find(&name)?);
    }
    match receiver.recv_timeout(*timeout.after) {
        Ok(found) => Ok(found?),
        Err(_) => Err(ureq::Error::Timeout(timeout.reason)),
    }
}
