//! Downloads from a local server: complete, resumed and failed.

mod server;

use std::io::{Cursor, Write};
use std::path::Path;
use std::{fs, iter};

use cli::Terminal;
use declarations::{Fault, Kind};
use prep::digest::{Digest, Expected};
use prep::download::{Download, obtain};
use server::{Manner, Server};
use sha2::Digest as _;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

/// A text of 300 kB, and an archive of it.
fn packed() -> (Vec<u8>, Vec<u8>) {
    let noise = iter::successors(Some(1u32), |state| Some(state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)));
    let text: Vec<u8> = noise.take(300_000).map(|state| (state >> 24) as u8).collect();
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    archive.start_file("noise", SimpleFileOptions::default()).expect("a file in the archive");
    archive.write_all(&text).expect("the archive is in memory");
    (archive.finish().expect("the archive is in memory").into_inner(), text)
}

fn expected(bytes: &[u8]) -> Expected {
    let sha256 = sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    Expected { size: bytes.len() as u64, digest: Digest::Sha256(sha256) }
}

fn download(zip: &[u8], text: &[u8], servers: &[&Server]) -> Download {
    let urls = servers.iter().map(|server| server.url.clone()).collect();
    Download { name: "noise".to_owned(), urls, zip: expected(zip), plain: expected(text) }
}

fn obtained(download: &Download, folder: &Path) -> Result<Vec<u8>, Fault> {
    obtain(download, folder, &Terminal::silent())
}

fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_file_is_downloaded_once_and_kept() {
    let (zip, text) = packed();
    let server = Server::start(zip.clone(), &[Manner::Whole]);
    let folder = tempfile::tempdir().expect("a folder");
    let download = download(&zip, &text, &[&server]);
    for _ in 0..2 {
        assert!(obtained(&download, folder.path()).expect("a text") == text);
        assert_eq!(files(folder.path()), ["noise"]);
    }
    assert_eq!(server.ranges(), [None]);
}

#[test]
fn an_interrupted_download_is_resumed() {
    let (zip, text) = packed();
    let server = Server::start(zip.clone(), &[Manner::CutsAfter(100_000), Manner::CutsAfter(50_000), Manner::Whole]);
    let folder = tempfile::tempdir().expect("a folder");
    assert!(obtained(&download(&zip, &text, &[&server]), folder.path()).expect("a text") == text);
    assert_eq!(server.ranges(), [None, Some(100_000), Some(150_000)]);
    assert_eq!(files(folder.path()), ["noise"]);
}

#[test]
fn after_many_interruptions_the_download_fails_and_the_next_run_resumes_it() {
    let (zip, text) = packed();
    let server = Server::start(zip.clone(), &[Manner::CutsAfter(1000)]);
    let folder = tempfile::tempdir().expect("a folder");
    let fault = obtained(&download(&zip, &text, &[&server]), folder.path()).expect_err("it never sends all");
    let message = fault.to_string();
    assert_eq!(fault.kind(), Kind::Input);
    assert!(message.contains("interrupted after 5000 of") && message.contains("resumes after 5000 bytes"), "{message}");
    assert_eq!(files(folder.path()), ["noise.zip.part"]);
    let server = Server::start(zip.clone(), &[Manner::Whole]);
    assert!(obtained(&download(&zip, &text, &[&server]), folder.path()).expect("a text") == text);
    assert_eq!(server.ranges(), [Some(5000)]);
}

#[test]
fn a_server_that_ignores_the_range_sends_the_whole_file() {
    let (zip, text) = packed();
    let server = Server::start(zip.clone(), &[Manner::IgnoresRange]);
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("noise.zip.part"), &zip[..70_000]).expect("a start");
    assert!(obtained(&download(&zip, &text, &[&server]), folder.path()).expect("a text") == text);
    assert_eq!(server.ranges(), [Some(70_000)]);
}

#[test]
fn a_partial_download_of_another_file_is_discarded() {
    let (zip, text) = packed();
    for start in [vec![0; 70_000], vec![0; zip.len()], vec![0; zip.len() + 1]] {
        let server = Server::start(zip.clone(), &[Manner::Whole]);
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("noise.zip.part"), &start).expect("a start");
        assert!(obtained(&download(&zip, &text, &[&server]), folder.path()).expect("a text") == text);
    }
}

#[test]
fn other_bytes_of_the_same_length_are_refused() {
    let (zip, text) = packed();
    let mut other = zip.clone();
    other[1000] ^= 1;
    let server = Server::start(other, &[Manner::Whole]);
    let folder = tempfile::tempdir().expect("a folder");
    let fault = obtained(&download(&zip, &text, &[&server]), folder.path()).expect_err("the wrong bytes");
    assert!(fault.to_string().contains("SHA-256"), "{fault}");
    assert!(files(folder.path()).is_empty());
}

#[test]
fn an_archive_with_another_file_is_refused() {
    let (zip, text) = packed();
    let server = Server::start(zip.clone(), &[Manner::Whole]);
    let folder = tempfile::tempdir().expect("a folder");
    let mut download = download(&zip, &text, &[&server]);
    download.plain = expected(b"something else");
    let fault = obtained(&download, folder.path()).expect_err("the wrong file");
    assert!(fault.to_string().contains("noise in noise.zip"), "{fault}");
    assert!(!files(folder.path()).contains(&"noise".to_owned()));
}

#[test]
fn the_next_url_is_tried_and_every_failure_is_reported() {
    let (zip, text) = packed();
    let missing = Server::start(zip.clone(), &[Manner::Status(404)]);
    let page = Server::start(b"<html>Please log in</html>".to_vec(), &[Manner::Whole]);
    let right = Server::start(zip.clone(), &[Manner::Whole]);
    let folder = tempfile::tempdir().expect("a folder");
    assert!(obtained(&download(&zip, &text, &[&missing, &page, &right]), folder.path()).expect("a text") == text);

    let folder = tempfile::tempdir().expect("a folder");
    let mut offline = download(&zip, &text, &[&missing, &page]);
    offline.urls.push("http://127.0.0.1:9/noise.zip".to_owned());
    let message = obtained(&offline, folder.path()).expect_err("no server has it").to_string();
    for part in ["status 404", "the file has 26 bytes", "127.0.0.1:9", "download it elsewhere", "noise.zip"] {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
    assert!(files(folder.path()).is_empty());
}

#[test]
fn existing_files_are_verified_and_used() {
    let (zip, text) = packed();
    let download = download(&zip, &text, &[]);
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("noise.zip"), &zip).expect("the archive");
    assert!(obtained(&download, folder.path()).expect("a text") == text);
    assert_eq!(files(folder.path()), ["noise", "noise.zip"]);
    for name in ["noise", "noise.zip"] {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join(name), "something else").expect("a file");
        let message = obtained(&download, folder.path()).expect_err("the wrong file").to_string();
        assert!(message.contains("has 14 bytes") && message.contains("delete it"), "{message}");
        assert_eq!(files(folder.path()), [name]);
    }
}

/// `/dev/full` behaves as a full disk.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_and_leaves_nothing() {
    let (zip, text) = packed();
    let server = Server::start(zip.clone(), &[Manner::Whole]);
    for (name, archive) in [("noise.zip.part", false), ("noise.tmp", true)] {
        let folder = tempfile::tempdir().expect("a folder");
        std::os::unix::fs::symlink("/dev/full", folder.path().join(name)).expect("a link");
        if archive {
            fs::write(folder.path().join("noise.zip"), &zip).expect("the archive");
        }
        let message =
            obtained(&download(&zip, &text, &[&server]), folder.path()).expect_err("the disk is full").to_string();
        assert!(message.contains("free space") && message.contains("1 MB"), "{message}");
        assert!(!folder.path().join("noise").exists());
    }
}
