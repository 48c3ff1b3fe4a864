//! A local web server that serves one file, correctly or not.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// How the server answers a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Manner {
    /// The requested range.
    Whole,
    /// The whole file, whatever the range.
    IgnoresRange,
    /// At most so many bytes of the announced body.
    CutsAfter(usize),
    /// This status, without the file.
    Status(u16),
}

/// A running server; its thread ends with the process.
pub(crate) struct Server {
    /// The URL of its file.
    pub(crate) url: String,
    ranges: Arc<Mutex<Vec<Option<usize>>>>,
}

impl Server {
    /// Serves these bytes; the manners are those of the first, second, … request, the last one that of all later ones.
    pub(crate) fn start(bytes: Vec<u8>, manners: &[Manner]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let ranges = Arc::new(Mutex::new(Vec::new()));
        let (manners, seen) = (manners.to_vec(), Arc::clone(&ranges));
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let manner = manners[number.min(manners.len() - 1)];
                // A client may disconnect.
                let _ = stream.and_then(|stream| answer(stream, &bytes, manner, &seen));
            }
        });
        Self { url: format!("http://{address}/file.zip"), ranges }
    }

    /// The start of the range of each request.
    pub(crate) fn ranges(&self) -> Vec<Option<usize>> {
        self.ranges.lock().expect("no thread panics").clone()
    }
}

fn answer(
    mut stream: TcpStream,
    bytes: &[u8],
    manner: Manner,
    seen: &Mutex<Vec<Option<usize>>>,
) -> std::io::Result<()> {
    let mut start = None;
    for line in BufReader::new(stream.try_clone()?).lines() {
        let line = line?.to_lowercase();
        if let Some(range) = line.strip_prefix("range: bytes=") {
            start = range.split('-').next().and_then(|start| start.parse().ok());
        }
        if line.is_empty() {
            break;
        }
    }
    seen.lock().expect("no thread panics").push(start);
    if let Manner::Status(status) = manner {
        return write!(stream, "HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    let start = start.filter(|_| manner != Manner::IgnoresRange);
    let body = &bytes[start.unwrap_or(0)..];
    match start {
        None => write!(stream, "HTTP/1.1 200 OK\r\n")?,
        Some(start) => {
            let (last, size) = (bytes.len() - 1, bytes.len());
            write!(stream, "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {start}-{last}/{size}\r\n")?;
        }
    }
    write!(stream, "Content-Length: {}\r\nConnection: close\r\n\r\n", body.len())?;
    let sent = if let Manner::CutsAfter(most) = manner { most.min(body.len()) } else { body.len() };
    stream.write_all(&body[..sent])
}
