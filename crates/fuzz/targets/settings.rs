#![no_main]
libfuzzer_sys::fuzz_target!(init: fuzz::start(&fuzz::settings::TARGET), |data: &[u8]| fuzz::run(&fuzz::settings::TARGET, data));
