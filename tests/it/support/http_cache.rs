//! Bazel's HTTP cache protocol in a few lines: `GET`, `HEAD` and `PUT` of anything, kept in memory.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// What the server has, by path.
pub(crate) type Entries = Arc<Mutex<HashMap<String, Vec<u8>>>>;

/// A request without its body.
#[derive(Debug, Clone)]
pub(crate) struct HttpRequest {
    pub(crate) method: String,
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
}

/// Answers in another way than an honest cache would, and says so; the connection is closed then.
pub(crate) type Hook = dyn Fn(&HttpRequest, &TcpStream) -> bool + Send + Sync;

/// A running server; it takes no more connections when dropped.
pub(crate) struct HttpCache {
    address: SocketAddr,
    pub(crate) entries: Entries,
    /// What was asked.
    pub(crate) requests: Arc<Mutex<Vec<HttpRequest>>>,
    stop: Arc<AtomicBool>,
}

impl HttpCache {
    pub(crate) fn start() -> Self {
        Self::start_with(|_, _| false)
    }

    /// A server that looks at each request first.
    pub(crate) fn start_with(
        hook: impl Fn(&HttpRequest, &TcpStream) -> bool + Send + Sync + 'static,
    ) -> Self {
        let hook: Arc<Hook> = Arc::new(hook);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let entries = Entries::default();
        let requests: Arc<Mutex<Vec<HttpRequest>>> = Arc::default();
        let stop = Arc::new(AtomicBool::new(false));
        let (kept, seen, stopped) =
            (Arc::clone(&entries), Arc::clone(&requests), Arc::clone(&stop));
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let (entries, requests, hook) =
                    (Arc::clone(&kept), Arc::clone(&seen), Arc::clone(&hook));
                std::thread::spawn(move || {
                    connection.map(|connection| serve(&connection, &entries, &requests, &*hook))
                });
            }
        });
        Self { address, entries, requests, stop }
    }

    /// `HOST:PORT`.
    pub(crate) fn authority(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/prefix", self.address)
    }
}

impl Drop for HttpCache {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for the next connection.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(
    connection: &TcpStream,
    entries: &Entries,
    requests: &Mutex<Vec<HttpRequest>>,
    hook: &Hook,
) -> std::io::Result<()> {
    connection.set_nodelay(true)?;
    let mut reader = BufReader::new(connection);
    loop {
        let mut request = String::new();
        if reader.read_line(&mut request)? == 0 {
            return Ok(());
        }
        let mut words = request.split_whitespace();
        let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or("").to_owned());
        let mut length = 0;
        let mut headers = Vec::new();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            if header.trim().is_empty() {
                break;
            }
            let (name, value) = header.split_once(':').unwrap_or((&header, ""));
            let (name, value) = (name.to_ascii_lowercase(), value.trim().to_owned());
            if name == "content-length" {
                length = value.parse().unwrap_or(0);
            }
            headers.push((name, value));
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let request = HttpRequest { method: method.to_owned(), path: path.clone(), headers };
        requests.lock().expect("no panic while locked").push(request.clone());
        if hook(&request, connection) {
            return Ok(());
        }
        let entries = || entries.lock().expect("no panic while locked");
        let found = entries().get(&path).cloned();
        let (status, content) = match (method, found) {
            ("PUT", _) => {
                entries().insert(path, body);
                ("201 Created", Vec::new())
            }
            (_, Some(bytes)) => ("200 OK", bytes),
            (_, None) => ("404 Not Found", Vec::new()),
        };
        let mut answer =
            format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", content.len()).into_bytes();
        if method != "HEAD" {
            answer.extend_from_slice(&content);
        }
        (&mut &*connection).write_all(&answer)?;
    }
}
