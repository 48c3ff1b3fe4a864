//! Opens the study's page.

use std::io::{IsTerminal as _, stdout};
use std::path::{Path, absolute};
use std::process::{Command, Stdio};

use declarations::Fault;

use crate::display::print;

/// The page, below the folder of the tables.
const PAGE: &str = "report/index.html";
/// What opens a file with the program that a desktop has for it.
const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };

/// Prints the path of the page and, from a terminal, asks the desktop to show it; without a desktop the path is enough.
///
/// # Errors
/// There is no page yet.
pub(crate) fn view(root: &str) -> Result<(), Fault> {
    let page = Path::new(root).join(PAGE);
    if !page.is_file() {
        let page = page.display();
        return Err(Fault::input(format!(
            "there is no page {page}; the stage plot writes it when the study has been run"
        )));
    }
    print(&absolute(&page).unwrap_or_else(|_| page.clone()).display().to_string());
    if stdout().is_terminal() {
        let opened = Command::new(OPENER).arg(&page).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !opened.is_ok_and(|status| status.success()) {
            print("open it in a browser");
        }
    }
    Ok(())
}
