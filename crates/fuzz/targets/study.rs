#![no_main]
libfuzzer_sys::fuzz_target!(init: fuzz::start(&fuzz::study::TARGET), |data: &[u8]| fuzz::run(&fuzz::study::TARGET, data));
