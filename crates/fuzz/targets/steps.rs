#![no_main]
libfuzzer_sys::fuzz_target!(init: fuzz::start(&fuzz::steps::TARGET), |data: &[u8]| fuzz::run(&fuzz::steps::TARGET, data));
