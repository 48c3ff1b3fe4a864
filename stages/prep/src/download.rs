//! A file from the network: resumed where it was cut off, verified, unpacked, kept. Nothing that is not verified ever
//! bears a final name.

use std::fs::{self, OpenOptions};
use std::io::{Cursor, Read, Write};
use std::path::Path;
use std::time::Duration;

use cli::{Fault, Progress, Terminal};
use ureq::Agent;
use zip::ZipArchive;

use crate::digest::Expected;

/// How often one place is asked again after it cut off what it sent.
const ATTEMPTS: usize = 5;

/// A file that lies, zipped, in several places.
#[derive(Clone, Debug)]
pub struct Download {
    /// Its name, and its only name in the archive.
    pub name: String,
    /// Where the archive is, in the order in which the places are asked.
    pub urls: Vec<String>,
    /// What the archive's bytes must be.
    pub zip: Expected,
    /// What the file's bytes must be.
    pub plain: Expected,
}

/// The bytes of a file: from `<folder>/<name>` if it is there, else from `<folder>/<name>.zip`, else from the network. They
/// are verified in every case, and end as `<folder>/<name>`.
///
/// # Errors
/// What is wrong with a file that is there; or why no place delivered it. What has arrived stays in
/// `<folder>/<name>.zip.part`, and the next call goes on from there.
pub fn obtain(download: &Download, folder: &Path, terminal: &Terminal) -> Result<Vec<u8>, Fault> {
    let name = &download.name;
    let plain = folder.join(name);
    if plain.exists() {
        return verified(&plain, &download.plain, "or put the right one there");
    }
    fs::create_dir_all(folder)
        .map_err(|error| unwritable(format!("cannot create {}: {error}", folder.display()), download))?;
    let zip = folder.join(format!("{name}.zip"));
    let part = folder.join(format!("{name}.zip.part"));
    let packed = if zip.exists() {
        verified(&zip, &download.zip, "and it will be downloaded")?
    } else {
        fetch(download, &part, terminal)?
    };
    let bytes = unpack(&packed, download)?;
    drop(packed);
    atomic_file::write(&plain, &bytes).map_err(|error| unwritable(error, download))?;
    // It has served; where it cannot be removed it does no harm.
    let _ = fs::remove_file(&part);
    terminal.say(format!("{} is verified and kept", plain.display()));
    Ok(bytes)
}

/// The bytes of a file that is there.
pub(crate) fn verified(path: &Path, expected: &Expected, else_do: &str) -> Result<Vec<u8>, Fault> {
    let bytes = fs::read(path).map_err(|error| Fault::input(format!("cannot read {}: {error}", path.display())))?;
    let wrong = |reason| Fault::input(format!("{} {reason}: delete it, {else_do}", path.display()));
    expected.check(&bytes).map_err(wrong)?;
    Ok(bytes)
}

/// Why nothing more arrives.
enum Stop {
    /// The place's fault: another may do better, and so may this one if it sent something.
    Place { reason: String, sent: bool },
    /// The disk's fault.
    Disk(std::io::Error),
}

/// Asks each place for the archive until one has delivered it whole and right.
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
    let mut refusals = String::new();
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
                    // The damage may lie in what was there before this place was asked.
                    if !(resumed && attempts > 0) {
                        break format!("what it sent {reason}");
                    }
                }
                Err(Stop::Disk(error)) => return Err(disk(error)),
                Err(Stop::Place { sent: true, .. }) if attempts > 0 => {}
                Err(Stop::Place { reason, .. }) => break reason,
            }
        };
        refusals.push_str(&format!("\n  {url}: {reason}"));
    }
    let kept = match length(part) {
        0 => String::new(),
        kept => format!(" (it goes on after the {kept} bytes that are in {})", part.display()),
    };
    let by_hand = part.with_file_name(format!("{}.zip", download.name));
    Err(Fault::input(format!(
        "{}.zip could not be downloaded:{refusals}\nCheck the network and run this again{kept}, or download it elsewhere \
         and put it there as {}",
        download.name,
        by_hand.display()
    )))
}

/// Receives what is not there yet.
fn receive(agent: &Agent, url: &str, part: &Path, size: u64, progress: &Progress) -> Result<(), Stop> {
    let refused = |reason: String| Stop::Place { reason, sent: false };
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
        206 => return Err(refused("it sent another part than was asked for".to_owned())),
        status => return Err(refused(format!("it answered with status {status}"))),
    }
    if let Some(left) = response.body().content_length().filter(|left| have + left != size) {
        return Err(refused(format!("it has a file of {} bytes where {size} are expected", have + left)));
    }
    let mut file = OpenOptions::new().create(true).append(true).open(part).map_err(Stop::Disk)?;
    if have == 0 {
        file.set_len(0).map_err(Stop::Disk)?;
    }
    let before = have;
    let mut body = response.body_mut().as_reader();
    let mut buffer = vec![0; 1 << 16];
    progress.reach(kilobytes(have));
    while have < size {
        let cut = |reason: String| Stop::Place { reason, sent: have > before };
        match body.read(&mut buffer) {
            Ok(0) => return Err(cut(format!("it stopped after {have} of {size} bytes"))),
            Ok(received) => {
                let received = received.min((size - have) as usize);
                file.write_all(&buffer[..received]).map_err(Stop::Disk)?;
                have += received as u64;
                progress.reach(kilobytes(have));
            }
            Err(error) => return Err(cut(format!("it stopped after {have} of {size} bytes ({error})"))),
        }
    }
    file.sync_all().map_err(Stop::Disk)
}

/// Whether a `Content-Range` such as `bytes 100-199/200` starts there.
fn starts_at(range: Option<&ureq::http::HeaderValue>, start: u64) -> bool {
    let range = range.and_then(|range| range.to_str().ok()).and_then(|range| range.strip_prefix("bytes "));
    range.and_then(|range| range.split('-').next()?.parse().ok()) == Some(start)
}

/// The file in an archive whose hash was right.
fn unpack(packed: &[u8], download: &Download) -> Result<Vec<u8>, Fault> {
    let Download { name, plain, .. } = download;
    let mut bytes = Vec::with_capacity(plain.size as usize);
    let unpacked = ZipArchive::new(Cursor::new(packed)).map_err(|error| error.to_string()).and_then(|mut archive| {
        let file = archive.by_name(name).map_err(|error| error.to_string())?;
        file.take(plain.size + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        plain.check(&bytes)
    });
    let wrong = |reason| Fault::input(format!("the file {name} in {name}.zip is not what it should be: {reason}"));
    unpacked.map_err(wrong)?;
    Ok(bytes)
}

fn unwritable(error: impl std::fmt::Display, download: &Download) -> Fault {
    let megabytes = (download.zip.size + download.plain.size).div_ceil(1_000_000);
    Fault::input(format!(
        "{error}: `{}` needs {megabytes} MB there; free space or choose another folder with --data, then run this again",
        download.name
    ))
}

/// The length of a file, 0 where there is none.
fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

fn kilobytes(bytes: u64) -> u64 {
    bytes.div_ceil(1000)
}
