//! Opens the study's page, or one of what there is so far.

use std::io::{IsTerminal as _, stdout};
use std::path::{Path, absolute};
use std::process::{Command, Stdio};

use declarations::{Fault, StageName};

use crate::display::{print, print_error};
use crate::executor::Executor;
use crate::status::is_locked;

/// The page, below the folder of the tables.
const PAGE: &str = "report/index.html";
/// The page of what there is so far.
const SO_FAR: &str = "report/so_far.html";
/// What opens a file with the program that a desktop has for it.
const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };

impl Executor<'_> {
    /// Prints the path of the page and, from a terminal, asks the desktop to show it; without a desktop the path is enough. Where
    /// there is no page yet, or with `so_far`, one is made of what there is, which says what is missing.
    ///
    /// # Errors
    /// There is no page and nothing to make one of.
    pub(crate) fn view(&self, so_far: bool) -> Result<(), Fault> {
        let root = Path::new(&self.root);
        let page = root.join(PAGE);
        if page.is_file() && !so_far {
            if is_locked(root) {
                print_error(
                    "note: the pipeline is running, and this page is of an earlier run; `view --so-far` makes a page of what there is already",
                );
            }
            return open(&page);
        }
        self.draw_so_far()?;
        open(&root.join(SO_FAR))
    }

    /// Runs `plot` on what there is, which it says.
    fn draw_so_far(&self) -> Result<(), Fault> {
        let root = Path::new(&self.root);
        let job = self.jobs.iter().find(|job| job.stage == StageName::Plot);
        let job = job.ok_or_else(|| Fault::bug("the study has no job of the stage plot"))?;
        if !root.is_dir() {
            return Err(Fault::input(format!(
                "there is no page, and no folder {}: run the study first",
                root.display()
            )));
        }
        let program = Path::new(&self.programs).join(job.stage.word());
        let status = Command::new(&program).args(job.flags()).args(["--so-far", "true"]).stdin(Stdio::null()).status();
        let status = status.map_err(|error| {
            Fault::input(format!(
                "cannot start {}: {error}: build the pipeline by ./scripts/run_pipeline.sh",
                program.display()
            ))
        })?;
        // What was wrong it has said itself.
        match status.success() {
            true => Ok(()),
            false => Err(Fault::input("there is no page of what there is so far")),
        }
    }
}

/// Prints the path of a page, and asks the desktop to show it.
fn open(page: &Path) -> Result<(), Fault> {
    print(&absolute(page).unwrap_or_else(|_| page.to_owned()).display().to_string());
    if stdout().is_terminal() {
        let opened = Command::new(OPENER).arg(page).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !opened.is_ok_and(|status| status.success()) {
            print("open it in a browser");
        }
    }
    Ok(())
}
