//! What lets a request in: what a credential helper says, the name and password of the address, or
//! those of a netrc file.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use camino::Utf8PathBuf;

use crate::effects::net::credentials::{CredentialError, Credentials};
use crate::effects::net::headers::Headers;
use crate::effects::net::netrc::Netrc;
use crate::model::address::Address;

/// Headers for requests, by the origin that they go to.
#[derive(Debug)]
pub(super) struct Access {
    helper: Option<Utf8PathBuf>,
    netrc: Netrc,
    asked: Mutex<BTreeMap<String, Arc<Credentials>>>,
}

impl Access {
    pub(super) fn new(helper: Option<Utf8PathBuf>, netrc: Netrc) -> Self {
        Self { helper, netrc, asked: Mutex::default() }
    }

    /// The headers of a request that goes to the address, and nowhere else.
    pub(super) fn headers(
        &self,
        address: &Address,
    ) -> Result<Vec<(String, String)>, CredentialError> {
        let mut headers = match self.helper_for(address) {
            Some(helper) => helper.headers()?,
            None => Vec::new(),
        };
        if !headers.iter().any(|(name, _)| name == "authorization")
            && let Some((name, password)) = self.user(address)
        {
            let pair = base64(format!("{name}:{password}").as_bytes());
            headers.push(("authorization".to_owned(), format!("Basic {pair}")));
        }
        Ok(headers)
    }

    /// Whether anything is sent to let a request in.
    pub(super) fn has(&self, address: &Address) -> bool {
        self.headers(address).is_ok_and(|headers| !headers.is_empty())
    }

    /// Drops what the helper said, and says whether it can be asked again.
    pub(super) fn forget(&self, address: &Address) -> bool {
        self.helper_for(address).is_some_and(|helper| helper.forget())
    }

    fn user(&self, address: &Address) -> Option<(String, String)> {
        let of_file = || {
            let (name, password) = self.netrc.find(address.host())?;
            Some((name.to_owned(), password.to_owned()))
        };
        address.user().or_else(of_file)
    }

    fn helper_for(&self, address: &Address) -> Option<Arc<Credentials>> {
        let (helper, origin) = self.helper.clone().zip(address.origin())?;
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Credentials::new(origin.clone(), Headers::default(), Some(helper)));
        Some(Arc::clone(asked.entry(origin.clone()).or_insert_with(new)))
    }
}

/// Text in base64 with padding, as `Basic` wants it.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for part in bytes.chunks(3) {
        let byte = |index: usize| u32::from(part.get(index).copied().unwrap_or(0));
        let number = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            let value = number >> (18 - 6 * digit) & 63;
            let character = DIGITS[value as usize] as char;
            text.push(if digit <= part.len() { character } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_passwords_are_those_of_the_host() {
        let access = Access::new(None, Netrc::parse("machine files.example login me password pw"));
        let check = |address: &str, expected: Option<&str>| {
            let headers = access.headers(&Address::parse(address).unwrap()).unwrap();
            let found = headers.first().map(|(name, value)| format!("{name}: {value}"));
            assert_eq!(found.as_deref(), expected, "{address}");
        };
        check("https://files.example/x", Some("authorization: Basic bWU6cHc="));
        check("https://other.example/x", None);
        check("https://a:b@files.example/x", Some("authorization: Basic YTpi"));
        check("https://a@files.example/x", Some("authorization: Basic YTo="));
        assert_eq!(base64(b"any carnal pleas"), "YW55IGNhcm5hbCBwbGVhcw==");
        assert_eq!(base64(b""), "");
    }
}
