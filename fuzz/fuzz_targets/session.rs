#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ibga_fuzz::session(bytes));
