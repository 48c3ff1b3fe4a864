#![no_main]
libfuzzer_sys::fuzz_target!(init: fuzz::start(&fuzz::download::TARGET), |data: &[u8]| fuzz::run(&fuzz::download::TARGET, data));
