//! Downloads: resumed after an interruption, verified, unpacked and kept. Only verified files get their final name.

use std::fs::{self, OpenOptions};
use std::io::{Cursor, Read, Write};
use std::path::Path;
use std::time::Duration;

use cli::{Progress, Terminal};
use declarations::Fault;
use ureq::Agent;
use zip::ZipArchive;

use crate::digest::Expected;

/// Attempts per URL whose connection is interrupted.
const ATTEMPTS: usize = 5;

/// A zipped file at several URLs.
#[derive(Clone, Debug)]
pub struct Download {
    /// Its name, here and in the archive.
    pub name: String,
    /// The URLs of the archive, in the order in which they are tried.
    pub urls: Vec<String>,
    /// The size and hash of the archive.
    pub zip: Expected,
    /// The size and hash of the file.
    pub plain: Expected,
}

/// The verified bytes of a file: from `<folder>/<name>` if it exists, else from `<folder>/<name>.zip`, else from the network. The
/// file is kept as `<folder>/<name>`.
///
/// # Errors
/// An input fault if an existing file is not the expected one, a file cannot be written, or no URL delivers it; a partial download
/// stays in `<folder>/<name>.zip.part`, and the next call resumes it.
pub fn obtain(download: &Download, folder: &Path, terminal: &Terminal) -> Result<Vec<u8>, Fault> {
    let name = &download.name;
    let plain = folder.join(name);
    if plain.exists() {
        return verified(&plain, &download.plain, "or replace it by the right one");
    }
    fs::create_dir_all(folder)
        .map_err(|error| unwritable(format!("cannot create {}: {error}", folder.display()), download))?;
    let zip = folder.join(format!("{name}.zip"));
    let part = folder.join(format!("{name}.zip.part"));
    let packed = if zip.exists() {
        verified(&zip, &download.zip, "and it is downloaded again")?
    } else {
        fetch(download, &part, terminal)?
    };
    let bytes = unpack(&packed, download)?;
    drop(packed);
    atomic_file::write(&plain, &bytes).map_err(|error| unwritable(error, download))?;
    // It is no longer needed, and harmless if it cannot be removed.
    let _ = fs::remove_file(&part);
    terminal.say(format!("downloaded and verified {}", plain.display()));
    Ok(bytes)
}

/// The verified bytes of an existing file.
///
/// # Errors
/// An input fault if it cannot be read or is not the expected file: then the message says to delete it, and `or_else`.
fn verified(path: &Path, expected: &Expected, or_else: &str) -> Result<Vec<u8>, Fault> {
    let bytes = fs::read(path).map_err(|error| Fault::input(format!("cannot read {}: {error}", path.display())))?;
    let wrong = |reason| Fault::input(format!("{} {reason}: delete it, {or_else}", path.display()));
    expected.check(&bytes).map_err(wrong)?;
    Ok(bytes)
}

/// Why a transfer failed.
enum Failure {
    /// The server or the network; `received` says whether this attempt made progress, so that another is worthwhile.
    Network { reason: String, received: bool },
    /// The disk.
    Disk(std::io::Error),
}

/// Downloads the archive from the first URL that delivers it complete and correct.
fn fetch(download: &Download, part: &Path, terminal: &Terminal) -> Result<Vec<u8>, Fault> {
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(Duration::from_secs(20)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        .timeout_per_read(Some(Duration::from_secs(60)))
        .build()
        .into();
    let disk = |error: std::io::Error| unwritable(format!("cannot write {}: {error}", part.display()), download);
    let progress = terminal.progress(&format!("{}.zip (kB)", download.name), kilobytes(download.zip.size));
    let mut failures = String::new();
    for url in &download.urls {
        let mut attempts = ATTEMPTS;
        let reason = loop {
            let resumed = length(part) > 0;
            attempts -= 1;
            match receive(&agent, url, part, download.zip.size, &progress) {
                Ok(()) => {
                    let packed = fs::read(part).map_err(disk)?;
                    let Err(reason) = download.zip.check(&packed) else { return Ok(packed) };
                    fs::remove_file(part).map_err(disk)?;
                    // A resumed download may be corrupt because its first part was.
                    if !(resumed && attempts > 0) {
                        break format!("the archive {reason}");
                    }
                }
                Err(Failure::Disk(error)) => return Err(disk(error)),
                Err(Failure::Network { received: true, .. }) if attempts > 0 => {}
                Err(Failure::Network { reason, .. }) => break reason,
            }
        };
        failures.push_str(&format!("\n  {url}: {reason}"));
    }
    let kept = match length(part) {
        0 => String::new(),
        kept => format!(" (it resumes after {kept} bytes, kept in {})", part.display()),
    };
    let by_hand = part.with_file_name(format!("{}.zip", download.name));
    Err(Fault::input(format!(
        "{}.zip could not be downloaded:{failures}\nCheck the network and run this again{kept}, or download it elsewhere and \
         save it as {}",
        download.name,
        by_hand.display()
    )))
}

/// Appends the bytes that a partial download lacks.
fn receive(agent: &Agent, url: &str, part: &Path, size: u64, progress: &Progress) -> Result<(), Failure> {
    let refused = |reason: String| Failure::Network { reason, received: false };
    let mut have = length(part);
    if have == size {
        return Ok(());
    }
    if have > size {
        have = 0;
    }
    let mut request = agent.get(url);
    if have > 0 {
        request = request.header("Range", format!("bytes={have}-"));
    }
    let mut response = request.call().map_err(|error| refused(error.to_string()))?;
    match response.status().as_u16() {
        200 => have = 0,
        206 if starts_at(response.headers().get("Content-Range"), have) => {}
        206 => return Err(refused("the server sent another range than requested".to_owned())),
        status => return Err(refused(format!("HTTP status {status}"))),
    }
    if let Some(left) = response.body().content_length().filter(|left| have + left != size) {
        return Err(refused(format!("the file has {} bytes, expected {size}", have + left)));
    }
    let mut file = OpenOptions::new().create(true).append(true).open(part).map_err(Failure::Disk)?;
    if have == 0 {
        file.set_len(0).map_err(Failure::Disk)?;
    }
    let before = have;
    let mut body = response.body_mut().as_reader().take(size - have);
    let mut buffer = vec![0; 1 << 16];
    progress.reach(kilobytes(have));
    while have < size {
        let interrupted = |reason: String| Failure::Network { reason, received: have > before };
        match body.read(&mut buffer) {
            Ok(0) => return Err(interrupted(format!("interrupted after {have} of {size} bytes"))),
            Ok(received) => {
                file.write_all(&buffer[..received]).map_err(Failure::Disk)?;
                have += received as u64;
                progress.reach(kilobytes(have));
            }
            Err(error) => return Err(interrupted(format!("interrupted after {have} of {size} bytes ({error})"))),
        }
    }
    file.sync_all().map_err(Failure::Disk)
}

/// Whether a `Content-Range` such as `bytes 100-199/200` starts at this byte.
fn starts_at(range: Option<&ureq::http::HeaderValue>, start: u64) -> bool {
    let range = range.and_then(|range| range.to_str().ok()).and_then(|range| range.strip_prefix("bytes "));
    range.and_then(|range| range.split('-').next()?.parse().ok()) == Some(start)
}

/// The verified file in a verified archive.
fn unpack(packed: &[u8], download: &Download) -> Result<Vec<u8>, Fault> {
    let Download { name, plain, .. } = download;
    let mut bytes = Vec::with_capacity(usize::try_from(plain.size).unwrap_or_default());
    let unpacked = ZipArchive::new(Cursor::new(packed)).map_err(|error| error.to_string()).and_then(|mut archive| {
        let file = archive.by_name(name).map_err(|error| error.to_string())?;
        file.take(plain.size + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        plain.check(&bytes)
    });
    let wrong = |reason| Fault::input(format!("the file {name} in {name}.zip is not the expected one: {reason}"));
    unpacked.map_err(wrong)?;
    Ok(bytes)
}

/// The fault of a file that cannot be written, which says how much space the download needs.
fn unwritable(error: impl std::fmt::Display, download: &Download) -> Fault {
    let megabytes = (download.zip.size + download.plain.size).div_ceil(1_000_000);
    Fault::input(format!(
        "{error}: `{}` needs {megabytes} MB there; free space or choose another folder with --data, then run this again",
        download.name
    ))
}

/// The length of a file, 0 if it does not exist.
fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

fn kilobytes(bytes: u64) -> u64 {
    bytes.div_ceil(1000)
}
