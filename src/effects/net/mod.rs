//! What every use of a network needs: addresses, credentials, limits for waiting and trying again.

pub(crate) mod headers;
pub(crate) mod url;

pub(crate) mod credentials;
pub mod netrc;
pub(crate) mod pace;
pub(crate) mod redirect;
pub(crate) mod resolver;
pub mod retry;

pub(crate) mod client;

pub mod download;
