#![no_main]
libfuzzer_sys::fuzz_target!(init: fuzz::start(&fuzz::checkpoint::TARGET), |data: &[u8]| fuzz::run(&fuzz::checkpoint::TARGET, data));
