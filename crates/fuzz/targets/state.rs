#![no_main]
libfuzzer_sys::fuzz_target!(init: fuzz::start(&fuzz::state::TARGET), |data: &[u8]| fuzz::run(&fuzz::state::TARGET, data));
