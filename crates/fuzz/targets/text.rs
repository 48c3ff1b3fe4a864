#![no_main]
libfuzzer_sys::fuzz_target!(init: fuzz::start(&fuzz::text::TARGET), |data: &[u8]| fuzz::run(&fuzz::text::TARGET, data));
