//! Where a model computes.

use declarations::Device;

use crate::Error;

/// Refuses a device that this build or this machine does not have, before Burn panics over it on another thread.
///
/// # Errors
/// [`Error::Device`] saying what is missing and what to do.
pub fn check_device(device: Device) -> Result<(), Error> {
    match device {
        Device::Cpu => Ok(()),
        #[cfg(feature = "cuda")]
        Device::Cuda => {
            require("cuda", &[&["libcuda.so.1", "libcuda.so"], &["libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12"]])?;
            must_answer::<burn::backend::Cuda>("cuda")
        }
        #[cfg(not(feature = "cuda"))]
        Device::Cuda => Err(not_built("cuda")),
        #[cfg(feature = "vulkan")]
        Device::Vulkan => {
            require("vulkan", &[&["libvulkan.so.1", "libvulkan.so"]])?;
            must_answer::<burn::backend::Vulkan>("vulkan")
        }
        #[cfg(not(feature = "vulkan"))]
        Device::Vulkan => Err(not_built("vulkan")),
    }
}

#[cfg(not(all(feature = "cuda", feature = "vulkan")))]
fn not_built(name: &str) -> Error {
    Error::Device(format!(
        "--device {name}: this build has no {name} support; build it with `cargo build --release --features {name}`, or use --device cpu"
    ))
}

/// One library of each group must load.
#[cfg(any(feature = "cuda", feature = "vulkan"))]
fn require(name: &str, groups: &[&[&str]]) -> Result<(), Error> {
    for group in groups {
        // SAFETY: loading runs the library's own initialisers; these are the drivers that Burn would load the same way.
        let loads = group.iter().any(|library| unsafe { libloading::Library::new(*library) }.is_ok());
        if !loads {
            let libraries = group.join(" or ");
            return Err(Error::Device(format!(
                "--device {name}: this machine has no {libraries}: install the GPU's driver and toolkit, or use --device cpu"
            )));
        }
    }
    Ok(())
}

/// A driver's library alone is no GPU: where there is none, Burn panics at the first tensor.
#[cfg(any(feature = "cuda", feature = "vulkan"))]
fn must_answer<B: burn::tensor::backend::Backend>(name: &str) -> Result<(), Error> {
    let said = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let answer =
        std::panic::catch_unwind(|| burn::tensor::Tensor::<B, 1>::ones([1], &B::Device::default()).into_data());
    std::panic::set_hook(said);
    answer.map(|_| ()).map_err(|_| {
        Error::Device(format!(
            "--device {name}: the driver is here, but no GPU answers it: see whether the system's own tools list one, or use --device cpu"
        ))
    })
}
