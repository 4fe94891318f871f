//! Headers of requests: which may be sent.
//!
//! Effects layer, but pure.

/// Headers for requests; the names in lower case. Values may be secrets, and are not shown.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Headers(pub Vec<(String, String)>);

impl std::fmt::Debug for Headers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_map().entries(self.0.iter().map(|(name, _)| (name, "…"))).finish()
    }
}

/// What frames a request is not for others to say.
const FRAMING: [&str; 7] =
    ["connection", "content-length", "expect", "te", "trailer", "transfer-encoding", "upgrade"];

/// The most headers that are sent for one who asks for them, and their bytes. What makes requests
/// panics from some ten thousand on.
pub(in crate::effects) const MOST_HEADERS: usize = 256;
pub(in crate::effects) const HEADERS_LENGTH: usize = 64 << 10;

/// Whether these headers are not more than a request holds.
pub(in crate::effects) fn are_few(headers: &[(String, String)]) -> bool {
    headers.len() <= MOST_HEADERS
        && headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>()
            <= HEADERS_LENGTH
}

/// Whether a header can be sent as it is.
pub(in crate::effects) fn is_sendable(name: &str, value: &str) -> bool {
    let token = |byte: u8| {
        byte.is_ascii_graphic()
            && !byte.is_ascii_uppercase()
            && !b"\"(),/:;<=>?@[\\]{}".contains(&byte)
    };
    let named = !name.is_empty() && name.bytes().all(token) && !FRAMING.contains(&name);
    named && value.is_ascii() && !value.chars().any(char::is_control)
}
