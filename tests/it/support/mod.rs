//! What the integration tests share: peers to compare with.

pub(crate) mod peers;
