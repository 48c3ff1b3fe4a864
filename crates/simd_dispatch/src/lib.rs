//! Function multiversioning: loops over slices, compiled for several instruction sets and chosen at run time.
//!
//! [`InstructionSet`] is the one place that decides what the processor has. The features that are detected and those that a
//! function is compiled for are the same list, in [`features_of!`].
//!
//! AVX2 and AVX-512 both fuse multiplication and addition. So a loop whose sums go through a fixed number of lanes gives the same
//! bits on both; a processor with neither rounds in between.

use std::sync::atomic::{AtomicU8, Ordering};

/// An instruction set that functions are compiled for beside the target's own.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum InstructionSet {
    /// Vectors of 256 bits, fused multiplication and addition
    Avx2 = 1,
    /// Vectors of 512 bits, on all types
    Avx512 = 1 << 1,
    /// AVX-512 and sums of products of pairs of 16-bit integers
    Avx512Vnni = 1 << 2,
    /// AVX-512 and conversion to bfloat16
    Avx512Bf16 = 1 << 3,
}

impl InstructionSet {
    /// The target features of the set.
    pub const fn features(self) -> &'static [&'static str] {
        match self {
            Self::Avx2 => features_of!(Avx2 => list!()),
            Self::Avx512 => features_of!(Avx512 => list!()),
            Self::Avx512Vnni => features_of!(Avx512Vnni => list!()),
            Self::Avx512Bf16 => features_of!(Avx512Bf16 => list!()),
        }
    }

    /// Whether the processor and the system support every feature of the set. Detected once.
    #[inline]
    pub fn is_detected(self) -> bool {
        const UNKNOWN: u8 = u8::MAX;
        static DETECTED: AtomicU8 = AtomicU8::new(UNKNOWN);
        let mut detected = DETECTED.load(Ordering::Relaxed);
        if detected == UNKNOWN {
            detected = detect();
            DETECTED.store(detected, Ordering::Relaxed);
        }
        detected & self as u8 != 0
    }
}

#[cold]
fn detect() -> u8 {
    let sets = [
        (InstructionSet::Avx2, features_of!(Avx2 => all_detected!())),
        (InstructionSet::Avx512, features_of!(Avx512 => all_detected!())),
        (InstructionSet::Avx512Vnni, features_of!(Avx512Vnni => all_detected!())),
        (InstructionSet::Avx512Bf16, features_of!(Avx512Bf16 => all_detected!())),
    ];
    sets.into_iter().filter(|(_, detected)| *detected).fold(0, |sets, (set, _)| sets | set as u8)
}

/// Passes the target features of an [`InstructionSet`] to another macro of this crate, those included that the compiler enables
/// with them.
#[doc(hidden)]
#[macro_export]
macro_rules! features_of {
    (Avx2 => $macro:ident!($($rest:tt)*)) => {
        $crate::$macro!(["avx" "avx2" "fma"] $($rest)*)
    };
    (Avx512 => $macro:ident!($($rest:tt)*)) => {
        $crate::$macro!(["avx" "avx2" "fma" "f16c" "avx512f" "avx512bw" "avx512dq" "avx512vl"] $($rest)*)
    };
    (Avx512Vnni => $macro:ident!($($rest:tt)*)) => {
        $crate::$macro!(["avx" "avx2" "fma" "f16c" "avx512f" "avx512bw" "avx512dq" "avx512vl" "avx512vnni"] $($rest)*)
    };
    (Avx512Bf16 => $macro:ident!($($rest:tt)*)) => {
        $crate::$macro!(["avx" "avx2" "fma" "f16c" "avx512f" "avx512bw" "avx512dq" "avx512vl" "avx512bf16"] $($rest)*)
    };
}

/// The listed features as a slice.
#[doc(hidden)]
#[macro_export]
macro_rules! list {
    ([$($feature:tt)+]) => { &[$($feature),+] };
}

/// Whether every listed feature is detected.
#[doc(hidden)]
#[macro_export]
macro_rules! all_detected {
    ([$($feature:tt)+]) => {{
        #[cfg(target_arch = "x86_64")]
        {
            $(::std::arch::is_x86_feature_detected!($feature))&&+
        }
        #[cfg(not(target_arch = "x86_64"))]
        {
            false
        }
    }};
}

/// Calls a function that is compiled for an [`InstructionSet`], where that is detected: `Some` of its result, else `None`. What
/// it calls is compiled for the set too, if it is inlined.
///
/// ```
/// let squares = |x: &[f32]| x.iter().map(|x| x * x).sum::<f32>();
/// let x = &[1.0, 2.0][..];
/// let sum = simd_dispatch::call_with!(Avx2, fn(x: &[f32]) -> f32 { x.iter().map(|x| x * x).sum() });
/// assert_eq!(sum.unwrap_or_else(|| squares(x)), 5.0);
/// ```
#[macro_export]
macro_rules! call_with {
    ($set:ident, fn($($argument:ident: $kind:ty),* $(,)?) $(-> $result:ty)? $body:block) => {
        if $crate::InstructionSet::$set.is_detected() {
            Some($crate::features_of!($set => call_compiled!(fn($($argument: $kind),*) $(-> $result)? $body)))
        } else {
            None
        }
    };
}

/// Calls a function that is compiled for the listed features; [`call_with!`] has detected them.
#[doc(hidden)]
#[macro_export]
macro_rules! call_compiled {
    ([$($feature:tt)+] fn($($argument:ident: $kind:ty),*) $(-> $result:ty)? $body:block) => {{
        #[cfg_attr(target_arch = "x86_64", target_feature($(enable = $feature),+))]
        unsafe fn compiled($($argument: $kind),*) $(-> $result)? $body
        // SAFETY: the processor has every listed feature.
        unsafe { compiled($($argument),*) }
    }};
}

/// Compiles a function three times and calls the best version that the processor can run. In its body `FUSED` says whether it
/// has fused multiplication and addition, to be passed on to what the body calls; that must be inlined.
///
/// By hand, since no library makes less code of it. `pulp` passes a closure, whose slices the compiler no longer knows to be
/// distinct: on an AMD EPYC, AdamW over 4096 values took 3.5 µs in place of 1.2. `multiversion` was as fast (a softmax of 64
/// values 77 ns, AdamW 1.2 µs), but takes the list of features and the test for `FUSED` at every function.
///
/// ```
/// simd_dispatch::multiversion! {
///     /// `Σ a·b`.
///     pub fn dot<FUSED>(a: &[f64; 8], b: &[f64; 8]) -> f64 {
///         a.iter().zip(b).fold(0.0, |sum, (a, b)| if FUSED { a.mul_add(*b, sum) } else { a * b + sum })
///     }
/// }
/// assert_eq!(dot(&[0.5; 8], &[2.0; 8]), 8.0);
/// ```
#[macro_export]
macro_rules! multiversion {
    ($(
        $(#[doc = $doc:literal])*
        $visible:vis fn $name:ident<$fused:ident>($($argument:ident: $kind:ty),* $(,)?) $(-> $result:ty)? $body:block
    )+) => {$(
        $(#[doc = $doc])*
        $visible fn $name($($argument: $kind),*) $(-> $result)? {
            #[inline(always)]
            fn body<const $fused: bool>($($argument: $kind),*) $(-> $result)? $body

            if $crate::InstructionSet::Avx512.is_detected() {
                return $crate::features_of!(Avx512 => call_compiled!(fn($($argument: $kind),*) $(-> $result)? {
                    body::<true>($($argument),*)
                }));
            }
            if $crate::InstructionSet::Avx2.is_detected() {
                return $crate::features_of!(Avx2 => call_compiled!(fn($($argument: $kind),*) $(-> $result)? {
                    body::<true>($($argument),*)
                }));
            }
            body::<false>($($argument),*)
        }
    )+};
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETS: [InstructionSet; 4] =
        [InstructionSet::Avx2, InstructionSet::Avx512, InstructionSet::Avx512Vnni, InstructionSet::Avx512Bf16];

    /// A feature enables others; so a list that is detected must have them, too. From
    /// `rustc --print cfg -C target-feature=+avx512bf16` and the like; SSE4.2 and below come with AVX in every processor.
    #[test]
    fn every_feature_that_the_compiler_enables_is_detected() {
        for set in SETS {
            for feature in set.features() {
                let enabled: &[&str] = match *feature {
                    "avx" => &[],
                    "avx2" | "fma" | "f16c" => &["avx"],
                    "avx512f" => &["avx", "avx2", "f16c", "fma"],
                    "avx512bw" | "avx512dq" | "avx512vl" | "avx512vnni" => &["avx512f"],
                    "avx512bf16" => &["avx512f", "avx512bw"],
                    unknown => panic!("{unknown}: say what it enables"),
                };
                for feature in enabled {
                    assert!(set.features().contains(feature), "{set:?} enables {feature} without detecting it");
                }
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_set_is_detected_if_all_its_features_are() {
        let detected = |feature: &str| match feature {
            "avx" => is_x86_feature_detected!("avx"),
            "avx2" => is_x86_feature_detected!("avx2"),
            "fma" => is_x86_feature_detected!("fma"),
            "f16c" => is_x86_feature_detected!("f16c"),
            "avx512f" => is_x86_feature_detected!("avx512f"),
            "avx512bw" => is_x86_feature_detected!("avx512bw"),
            "avx512dq" => is_x86_feature_detected!("avx512dq"),
            "avx512vl" => is_x86_feature_detected!("avx512vl"),
            "avx512vnni" => is_x86_feature_detected!("avx512vnni"),
            "avx512bf16" => is_x86_feature_detected!("avx512bf16"),
            unknown => panic!("{unknown}: ask for it here"),
        };
        for set in SETS {
            let all = set.features().iter().all(|feature| detected(feature));
            assert_eq!([set.is_detected(), set.is_detected()], [all; 2], "{set:?}");
        }
    }

    #[test]
    fn a_function_is_called_where_its_set_is_detected() {
        let x = &[1, 2, 3][..];
        let called = call_with!(Avx512, fn(x: &[u32]) -> u32 { x.iter().sum() });
        assert_eq!(called, InstructionSet::Avx512.is_detected().then_some(6), "{called:?}");
    }
}
