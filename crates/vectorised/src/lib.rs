//! Loops over slices, compiled for the instruction sets that processors have and chosen when they run.
//!
//! AVX2 and AVX-512 both fuse multiplication and addition. So a loop whose sums go through lanes of a fixed number gives the
//! same bits on both; a processor with neither rounds in between.

/// Compiles a function three times and picks the best that the processor can run. `FUSED` says in its body whether it has
/// fused multiplication and addition, to be handed on to what the body calls; that must be inlined.
///
/// ```
/// vectorised::vectorised! {
///     /// `Σ a·b`.
///     pub fn dot<FUSED>(a: &[f64; 8], b: &[f64; 8]) -> f64 {
///         a.iter().zip(b).fold(0.0, |sum, (a, b)| if FUSED { a.mul_add(*b, sum) } else { a * b + sum })
///     }
/// }
/// assert_eq!(dot(&[0.5; 8], &[2.0; 8]), 8.0);
/// ```
#[macro_export]
macro_rules! vectorised {
    ($(
        $(#[doc = $doc:literal])*
        $visible:vis fn $name:ident<$fused:ident>($($argument:ident: $kind:ty),* $(,)?) $(-> $result:ty)? $body:block
    )+) => {$(
        $(#[doc = $doc])*
        $visible fn $name($($argument: $kind),*) $(-> $result)? {
            #[inline(always)]
            fn body<const $fused: bool>($($argument: $kind),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                fn avx512($($argument: $kind),*) $(-> $result)? {
                    body::<true>($($argument),*)
                }

                #[target_feature(enable = "avx2,fma")]
                fn avx2($($argument: $kind),*) $(-> $result)? {
                    body::<true>($($argument),*)
                }

                if is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512dq") && is_x86_feature_detected!("avx512vl") {
                    // SAFETY: the processor has what the function is compiled for; AVX-512 implies AVX2 and FMA.
                    return unsafe { avx512($($argument),*) };
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    // SAFETY: the processor has what the function is compiled for.
                    return unsafe { avx2($($argument),*) };
                }
            }
            body::<false>($($argument),*)
        }
    )+};
}
