//! Downloads from a server that answers anything.

use std::collections::VecDeque;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use cli::Terminal;
use prep::download::{Download, obtain};
use zip::CompressionMethod;

use crate::archive::{NAME, TEXT, expected, packed};
use crate::{Target, empty, nothing_outside, scratch};

/// The first byte of an input is how much of the archive is there already; the rest are the bytes that the server answers to
/// one request after the other.
pub const TARGET: Target = Target { read, seeds };

/// Between two answers.
const SEPARATOR: &[u8] = b"\n---\n";

static ANSWERS: Mutex<VecDeque<Vec<u8>>> = Mutex::new(VecDeque::new());

fn read(data: &[u8]) {
    let Some((&have, answers)) = data.split_first() else { return };
    let zip = packed(&[NAME], CompressionMethod::Deflated);
    empty();
    if have > 0 {
        let kept: Vec<u8> = zip.iter().copied().cycle().take(usize::from(have)).collect();
        fs::write(scratch().join("text.zip.part"), kept).expect("a scratch file");
    }
    *ANSWERS.lock().expect("no thread panics") = split(answers).into();
    let download =
        Download { name: NAME.to_owned(), urls: vec![server().to_owned()], zip: expected(&zip), plain: expected(TEXT) };
    if let Ok(text) = obtain(&download, scratch(), &Terminal::silent()) {
        assert!(text == TEXT, "another text was taken for the right one");
    }
    nothing_outside();
    let part = fs::metadata(scratch().join("text.zip.part")).map_or(0, |metadata| metadata.len());
    assert!(part <= (zip.len() as u64).max(have.into()), "the partial download outgrew the archive: {part} bytes");
}

fn split(answers: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = vec![Vec::new()];
    let mut rest = answers;
    while let Some((&byte, after)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(SEPARATOR) {
            parts.push(Vec::new());
            rest = after;
        } else {
            parts.last_mut().expect("there is one").push(byte);
            rest = after;
        }
    }
    parts
}

/// The URL of the server, which a thread runs until the process ends.
fn server() -> &'static str {
    static URL: OnceLock<String> = OnceLock::new();
    URL.get_or_init(|| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        thread::spawn(move || listener.incoming().flatten().for_each(|stream| drop(answer(stream))));
        format!("http://{address}/text.zip")
    })
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read(&mut buffer)? {
            0 => break,
            read => request.extend(&buffer[..read]),
        }
    }
    let answer = ANSWERS.lock().expect("no thread panics").pop_front().unwrap_or_default();
    stream.write_all(&answer)?;
    stream.shutdown(Shutdown::Write)
}

fn seeds() -> Vec<Vec<u8>> {
    let zip = packed(&[NAME], CompressionMethod::Deflated);
    let size = zip.len();
    let whole = |have: u8, head: String, body: &[u8]| [&[have], head.as_bytes(), body].concat();
    let ok = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n");
    let rest = |from: usize| {
        let (last, left) = (size - 1, size - from);
        format!(
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {from}-{last}/{size}\r\nContent-Length: {left}\r\n\r\n"
        )
    };
    let chunked = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{size:x}\r\n");
    let moved = "HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n".to_owned();
    let cut = [ok.as_bytes(), &zip[..50], SEPARATOR, rest(50).as_bytes(), &zip[50..]].concat();
    vec![
        whole(0, ok.clone(), &zip),
        whole(0, ok.clone(), &zip[..40]),
        whole(20, rest(20), &zip[20..]),
        [&[0], cut.as_slice()].concat(),
        whole(0, chunked, &[&zip[..], b"\r\n0\r\n\r\n"].concat()),
        whole(0, moved, &[SEPARATOR, ok.as_bytes(), &zip].concat()),
        whole(0, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n".to_owned(), b""),
        whole(0, "HTTP/1.0 200 OK\r\n\r\n".to_owned(), &zip),
    ]
}
