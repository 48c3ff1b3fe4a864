//! Where a model computes.

use clap::ValueEnum;

use crate::Error;

/// A device to compute on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub enum DeviceChoice {
    /// The processor
    #[default]
    Cpu,
    /// An NVIDIA GPU (in builds with `--features cuda`)
    Cuda,
    /// A GPU through Vulkan (in builds with `--features vulkan`)
    Vulkan,
}

impl DeviceChoice {
    /// Refuses a device that this build or this machine does not have, before Burn panics over it on another thread.
    ///
    /// # Errors
    /// [`Error::Device`] saying what is missing and what to do.
    pub fn check(self) -> Result<(), Error> {
        match self {
            DeviceChoice::Cpu => Ok(()),
            DeviceChoice::Cuda if cfg!(feature = "cuda") => require(
                "--device cuda",
                &[&["libcuda.so.1", "libcuda.so"], &["libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12"]],
            ),
            DeviceChoice::Vulkan if cfg!(feature = "vulkan") => {
                require("--device vulkan", &[&["libvulkan.so.1", "libvulkan.so"]])
            }
            DeviceChoice::Cuda => Err(not_built("cuda")),
            DeviceChoice::Vulkan => Err(not_built("vulkan")),
        }
    }
}

fn not_built(feature: &str) -> Error {
    Error::Device(format!(
        "--device {feature}: this build has no {feature} support; build it with `cargo build --release --features {feature}`, or use --device cpu"
    ))
}

/// One library of each group must load.
fn require(flag: &str, groups: &[&[&str]]) -> Result<(), Error> {
    for group in groups {
        // SAFETY: loading runs the library's own initialisers; these are the drivers that Burn would load the same way.
        let loads = group.iter().any(|name| unsafe { libloading::Library::new(*name) }.is_ok());
        if !loads {
            let names = group.join(" or ");
            return Err(Error::Device(format!(
                "{flag}: this machine has no {names}: install the GPU's driver and toolkit, or use --device cpu"
            )));
        }
    }
    Ok(())
}
