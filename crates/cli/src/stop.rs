//! A request to stop by SIGINT (Ctrl-C) or SIGTERM, for work that can be saved and resumed.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use declarations::{Fault, Signal};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag::{register, register_conditional_default};
use signal_hook::low_level;

/// Whether a signal has asked the program to stop. The first one is only noted; the same one again ends the program at once,
/// as it ends a program that does not listen.
///
/// Each signal counts on its own: a service manager sends SIGTERM to all processes, and the driver, which it reaches too, asks
/// its stages by SIGINT. Together they are one request.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    signal: Arc<AtomicI32>,
}

impl Stop {
    /// Listens to the signals from now on.
    ///
    /// # Errors
    /// The operating system does not let the program handle a signal.
    pub(crate) fn on_signals() -> io::Result<Self> {
        let stop = Self::default();
        for number in [SIGINT, SIGTERM] {
            let seen = Arc::new(AtomicBool::new(false));
            // In this order: the first signal passes the condition and then sets it.
            register_conditional_default(number, Arc::clone(&seen))?;
            register(number, seen)?;
            let first = Arc::clone(&stop.signal);
            // SAFETY: a compare-exchange of an atomic is async-signal-safe.
            unsafe {
                low_level::register(number, move || {
                    let _ = first.compare_exchange(0, number, Ordering::Relaxed, Ordering::Relaxed);
                })
            }?;
        }
        Ok(stop)
    }

    /// The signal that asked first; none if none did.
    pub fn requested(&self) -> Option<Signal> {
        match self.signal.load(Ordering::Relaxed) {
            SIGINT => Some(Signal::Interrupt),
            SIGTERM => Some(Signal::Terminate),
            _ => None,
        }
    }
}

/// Listens to the signals.
pub(crate) fn listen() -> Result<Stop, Fault> {
    Stop::on_signals().map_err(|error| Fault::input(format!("SIGINT and SIGTERM cannot be handled: {error}")))
}
