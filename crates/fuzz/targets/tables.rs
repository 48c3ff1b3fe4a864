#![no_main]
libfuzzer_sys::fuzz_target!(init: fuzz::start(&fuzz::tables::TARGET), |data: &[u8]| fuzz::run(&fuzz::tables::TARGET, data));
