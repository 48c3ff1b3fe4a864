#![no_main]
libfuzzer_sys::fuzz_target!(init: fuzz::start(&fuzz::archive::TARGET), |data: &[u8]| fuzz::run(&fuzz::archive::TARGET, data));
