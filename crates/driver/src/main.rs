//! Runs the pipeline that `pipeline.yaml` describes.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match driver::run(&driver::Arguments::parse()) {
        Ok(code) => ExitCode::from(code),
        Err(fault) => {
            driver::display::print_error(&format!("error: {fault}"));
            ExitCode::from(fault.kind().code())
        }
    }
}
