//! A server of files that behaves as it is told, and knows what it was asked.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use super::http_cache::{HttpCache, HttpRequest};

/// What a server does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Behaviour {
    /// Answers with the file, or the part that was asked for.
    Serve,
    /// Answers with all of the file, and says of what type it is.
    Typed(&'static str),
    /// Answers with all of the file, whatever was asked for.
    ServeAll,
    /// Promises what is asked for, and breaks off after so many bytes.
    Cut(usize),
    /// Answers with a status, and header lines.
    Status(&'static str, Vec<String>),
    /// Answers with other bytes.
    Other(Vec<u8>),
    /// Sends the file in parts of so many bytes, with so many milliseconds between them.
    Slow(usize, u64),
}

/// A running server.
pub(crate) struct FileServer {
    server: HttpCache,
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

impl FileServer {
    pub(crate) fn start() -> Self {
        Self::start_with(|_, _| Behaviour::Serve)
    }

    /// A server that does what `behave` says of a request and its number, from 0, among those for
    /// the same path.
    pub(crate) fn start_with(
        behave: impl Fn(&HttpRequest, usize) -> Behaviour + Send + Sync + 'static,
    ) -> Self {
        let files: Arc<Mutex<BTreeMap<String, Vec<u8>>>> = Arc::default();
        let counts: Mutex<BTreeMap<String, usize>> = Mutex::default();
        let kept = Arc::clone(&files);
        let server = HttpCache::start_with(move |request, connection| {
            let count = {
                let mut counts = counts.lock().expect("no panic while locked");
                let count = counts.entry(request.path.clone()).or_insert(0);
                *count += 1;
                *count - 1
            };
            let file = kept.lock().expect("no panic while locked").get(&request.path).cloned();
            let _ = answer(request, connection, file.as_deref(), behave(request, count));
            true
        });
        Self { server, files }
    }

    /// Puts a file there; returns its address.
    pub(crate) fn add(&self, path: &str, bytes: &[u8]) -> String {
        self.files.lock().expect("no panic while locked").insert(path.to_owned(), bytes.to_vec());
        format!("http://{}{path}", self.server.authority())
    }

    pub(crate) fn authority(&self) -> String {
        self.server.authority()
    }

    /// What was asked so far.
    pub(crate) fn requests(&self) -> Vec<HttpRequest> {
        self.server.requests.lock().expect("no panic while locked").clone()
    }
}

impl HttpRequest {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }
}

fn answer(
    request: &HttpRequest,
    mut connection: &TcpStream,
    file: Option<&[u8]>,
    behaviour: Behaviour,
) -> std::io::Result<()> {
    let (status, headers, body, sent) = match (behaviour, file) {
        (Behaviour::Status(status, headers), _) => (status, headers, Vec::new(), None),
        (_, None) => ("404 Not Found", Vec::new(), Vec::new(), None),
        (Behaviour::Other(bytes), _) => ("200 OK", Vec::new(), bytes, None),
        (Behaviour::Typed(kind), Some(file)) => {
            ("200 OK", vec![format!("Content-Type: {kind}")], file.to_vec(), None)
        }
        (Behaviour::ServeAll, Some(file)) => ("200 OK", Vec::new(), file.to_vec(), None),
        (behaviour, Some(file)) => {
            let tag = format!("ETag: \"{}\"", file.len());
            let fits = request.header("if-range").is_none_or(|found| tag.ends_with(found));
            let range = request.header("range").filter(|_| fits);
            let begin = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'));
            let begin: Option<usize> = begin.map(|begin| begin.parse().expect("a number"));
            let (status, headers, body) = match begin {
                Some(begin) if begin < file.len() => {
                    let (last, length) = (file.len() - 1, file.len());
                    let range = format!("Content-Range: bytes {begin}-{last}/{length}");
                    ("206 Partial Content", vec![tag, range], file[begin..].to_vec())
                }
                Some(_) => ("416 Range Not Satisfiable", vec![tag], Vec::new()),
                None => ("200 OK", vec![tag], file.to_vec()),
            };
            match behaviour {
                Behaviour::Cut(count) => (status, headers, body, Some((count, 0, 0))),
                Behaviour::Slow(part, pause) => {
                    let all = body.len();
                    (status, headers, body, Some((all, part, pause)))
                }
                _ => (status, headers, body, None),
            }
        }
    };
    let mut head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n", body.len());
    for header in headers {
        head.push_str(&format!("{header}\r\n"));
    }
    head.push_str("Connection: close\r\n\r\n");
    connection.write_all(head.as_bytes())?;
    let (count, part, pause) = sent.unwrap_or((body.len(), 0, 0));
    let body = &body[..count.min(body.len())];
    for part in body.chunks(if part == 0 { body.len().max(1) } else { part }) {
        connection.write_all(part)?;
        std::thread::sleep(std::time::Duration::from_millis(pause));
    }
    Ok(())
}
