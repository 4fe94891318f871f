//! What every use of a network needs: addresses, credentials, limits for waiting and trying again.

pub mod headers;
pub mod url;

pub mod credentials;
pub mod netrc;
pub mod pace;
pub mod redirect;
pub mod resolver;
pub mod retry;

pub mod client;

pub mod download;
