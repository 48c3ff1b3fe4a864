#![no_main]
libfuzzer_sys::fuzz_target!(init: fuzz::start(&fuzz::pipeline::TARGET), |data: &[u8]| fuzz::run(&fuzz::pipeline::TARGET, data));
