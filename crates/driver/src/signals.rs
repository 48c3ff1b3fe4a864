//! Signals that ask the driver to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use declarations::Fault;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::process::is_ignored;

/// The signals that arrived so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signals {
    /// The number of the first one, 0 for none.
    first: Arc<AtomicUsize>,
    count: Arc<AtomicUsize>,
}

impl Signals {
    /// Counts SIGINT, SIGTERM and, unless nohup made this program ignore it, SIGHUP from now on.
    ///
    /// # Errors
    /// The system does not let them be handled.
    pub(crate) fn handle() -> Result<Self, Fault> {
        let signals = Self::default();
        for number in [SIGINT, SIGTERM, SIGHUP] {
            // Under nohup a closed terminal must not stop the run.
            if number == SIGHUP && is_ignored(number) {
                continue;
            }
            let Self { first, count } = signals.clone();
            let value = number.unsigned_abs() as usize;
            let note = move || {
                let _ = first.compare_exchange(0, value, Ordering::Relaxed, Ordering::Relaxed);
                count.fetch_add(1, Ordering::Relaxed);
            };
            // SAFETY: atomic operations are async-signal-safe.
            let registered = unsafe { signal_hook::low_level::register(number, note) };
            registered.map_err(|error| Fault::bug(format!("signal {number} cannot be handled: {error}")))?;
        }
        Ok(signals)
    }

    /// The number of the first signal; none if there was none.
    pub(crate) fn first(&self) -> Option<usize> {
        Some(self.first.load(Ordering::Relaxed)).filter(|number| *number != 0)
    }

    /// Whether the user insists: a second signal came.
    pub(crate) fn repeated(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 1
    }
}
