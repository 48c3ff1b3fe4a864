//! Embeds the text of Tiny Shakespeare: extracts it from the sources of a crate that contains it, restores the four spaces that
//! the crate lacks, and verifies the result against the canonical file.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use sha2::{Digest, Sha256};

const CRATE: &str = "femto-gpt";

/// The platform for which the manifest names that crate. Metadata for it alone needs no crates of other platforms.
const PLATFORM: &str = "x86_64-unknown-none";

const SIZE: usize = 1_115_394;
const SHA256: &str = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed";

/// A passage of the crate's text and of the canonical one, in which two lines end in two spaces each.
const LOST: (&str, &str) = ("\nAnd\nTwice being\n", "\nAnd  \nTwice being  \n");

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("shakespeare_char.txt");
    let written = text().and_then(|text| fs::write(&target, text).map_err(|error| error.to_string()));
    if let Err(reason) = written {
        println!("cargo::error=the text of shakespeare_char: {}", reason.replace('\n', " "));
    }
}

fn text() -> Result<String, String> {
    let path = crate_folder()?.join("dataset.txt");
    println!("cargo::rerun-if-changed={}", path.display());
    let carried = fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let text = carried.replacen(LOST.0, LOST.1, 1);
    let sha256: String = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
    if text.len() == SIZE && sha256 == SHA256 {
        return Ok(text);
    }
    Err(format!(
        "{}, with its spaces restored, has {} bytes and SHA-256 {sha256}, expected {SIZE} and {SHA256}: the copy in cargo's \
         registry is corrupt, delete its folder and build again",
        path.display(),
        text.len()
    ))
}

/// The folder of the sources of [`CRATE`] in cargo's registry. It is never compiled, so a build may not have fetched it: the
/// network is used only if it is not on disk.
fn crate_folder() -> Result<PathBuf, String> {
    metadata(&["--offline"]).or_else(|_| metadata(&[])).and_then(|metadata| {
        let packages = metadata["packages"].as_array().into_iter().flatten();
        let package = packages.filter(|package| package["name"] == CRATE).find_map(|it| it["manifest_path"].as_str());
        let folder = package.and_then(|manifest| Path::new(manifest).parent());
        folder.map(Path::to_owned).ok_or_else(|| format!("cargo metadata does not list the crate {CRATE}"))
    })
}

fn metadata(network: &[&str]) -> Result<serde_json::Value, String> {
    let cargo = env::var_os("CARGO").expect("cargo sets CARGO");
    let manifest =
        Path::new(&env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", PLATFORM, "--manifest-path"])
        .arg(manifest)
        .args(network)
        .output()
        .map_err(|error| format!("cannot run cargo metadata: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("`cargo metadata` failed; run `cargo fetch --locked` with a network first: {said}"));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("the output of cargo metadata is not JSON: {error}"))
}
