//! Bazel's HTTP cache protocol in a few lines: `GET`, `HEAD` and `PUT` of anything, kept in memory.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// What the server has, by path.
pub(crate) type Entries = Arc<Mutex<HashMap<String, Vec<u8>>>>;

/// A running server; it takes no more connections when dropped.
pub(crate) struct HttpCache {
    address: SocketAddr,
    pub(crate) entries: Entries,
    stop: Arc<AtomicBool>,
}

impl HttpCache {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let entries = Entries::default();
        let stop = Arc::new(AtomicBool::new(false));
        let (kept, stopped) = (Arc::clone(&entries), Arc::clone(&stop));
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let entries = Arc::clone(&kept);
                std::thread::spawn(move || connection.map(|connection| serve(&connection, &entries)));
            }
        });
        Self { address, entries, stop }
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

fn serve(connection: &TcpStream, entries: &Entries) -> std::io::Result<()> {
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
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            if header.trim().is_empty() {
                break;
            }
            if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
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
        let mut answer = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", content.len()).into_bytes();
        if method != "HEAD" {
            answer.extend_from_slice(&content);
        }
        (&mut &*connection).write_all(&answer)?;
    }
}
