//! The devices that a model can run on.

use declarations::Device;

use crate::Error;

/// Checks that this build and this machine have a device: Burn would panic at the first tensor.
///
/// # Errors
/// [`Error::Device`] saying what is missing and what to do.
pub fn check_device(device: Device) -> Result<(), Error> {
    device.check_built().map_err(|reason| Error::Device(format!("--device {reason}")))?;
    match device {
        #[cfg(feature = "cuda")]
        Device::Cuda => cuda::check(),
        #[cfg(feature = "vulkan")]
        Device::Vulkan => vulkan::check(),
        _ => Ok(()),
    }
}

/// Evaluates an expression, a `Result`, in which a name stands for the type of a device's backend.
///
/// # Errors
/// As [`check_device`], and those of the expression.
macro_rules! on_backend {
    ($device:expr, $backend:ident => $result:expr) => {{
        $crate::check_device($device)?;
        match $device {
            $crate::Device::Cpu => {
                type $backend = burn::backend::flex::Flex;
                $result
            }
            #[cfg(feature = "cuda")]
            $crate::Device::Cuda => {
                type $backend = burn::backend::Cuda;
                $result
            }
            #[cfg(feature = "vulkan")]
            $crate::Device::Vulkan => {
                type $backend = burn::backend::Vulkan;
                $result
            }
            #[cfg(not(all(feature = "cuda", feature = "vulkan")))]
            _ => unreachable!("check_device refuses what is not built"),
        }
    }};
}
pub(crate) use on_backend;

#[cfg(any(feature = "cuda", feature = "vulkan"))]
fn no_library(name: &str, libraries: &[&str]) -> Error {
    let libraries = libraries.join(" or ");
    Error::Device(format!(
        "--device {name}: this machine has no {libraries}: install the GPU's driver and toolkit, or use --device cpu"
    ))
}

#[cfg(any(feature = "cuda", feature = "vulkan"))]
fn no_gpu(name: &str) -> Error {
    Error::Device(format!(
        "--device {name}: the driver finds no GPU: check that the system's own tools list one, or use --device cpu"
    ))
}

/// The first library of several that can be loaded. It stays loaded, since Burn uses it.
#[cfg(any(feature = "cuda", feature = "vulkan"))]
fn load(name: &str, libraries: &[&str]) -> Result<&'static libloading::Library, Error> {
    // SAFETY: loading runs a library's initialisers; these are drivers that Burn loads in the same way.
    let loaded = libraries.iter().find_map(|library| unsafe { libloading::Library::new(*library) }.ok());
    loaded.map(|library| &*Box::leak(Box::new(library))).ok_or_else(|| no_library(name, libraries))
}

#[cfg(feature = "cuda")]
mod cuda {
    use std::ffi::{c_int, c_uint};

    use libloading::Symbol;

    use super::{Error, load, no_gpu};

    const NAME: &str = "cuda";
    const SUCCESS: c_int = 0;

    pub(super) fn check() -> Result<(), Error> {
        let driver = load(NAME, &["libcuda.so.1", "libcuda.so"])?;
        load(NAME, &["libnvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12"])?;
        if device_count(driver).is_some_and(|count| count > 0) { Ok(()) } else { Err(no_gpu(NAME)) }
    }

    /// The number of GPUs, or none if the driver does not work.
    fn device_count(driver: &libloading::Library) -> Option<c_int> {
        // SAFETY: the signatures are those of the CUDA driver API, and the count is written to a live integer.
        unsafe {
            let initialise: Symbol<unsafe extern "C" fn(c_uint) -> c_int> = driver.get(b"cuInit\0").ok()?;
            let count_devices: Symbol<unsafe extern "C" fn(*mut c_int) -> c_int> =
                driver.get(b"cuDeviceGetCount\0").ok()?;
            let mut count = 0;
            (initialise(0) == SUCCESS && count_devices(&raw mut count) == SUCCESS).then_some(count)
        }
    }
}

#[cfg(feature = "vulkan")]
mod vulkan {
    use ash::vk;

    use super::{Error, load, no_gpu};

    const NAME: &str = "vulkan";

    pub(super) fn check() -> Result<(), Error> {
        load(NAME, &["libvulkan.so.1", "libvulkan.so"])?;
        if device_count().is_some_and(|count| count > 0) { Ok(()) } else { Err(no_gpu(NAME)) }
    }

    /// The number of GPUs, or none if the driver does not work.
    fn device_count() -> Option<usize> {
        // SAFETY: the entry is alive while the instance is, which is destroyed once, after its last use.
        unsafe {
            let entry = ash::Entry::load().ok()?;
            let instance = entry.create_instance(&vk::InstanceCreateInfo::default(), None).ok()?;
            let devices = instance.enumerate_physical_devices();
            instance.destroy_instance(None);
            Some(devices.ok()?.len())
        }
    }
}
