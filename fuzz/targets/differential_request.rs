//! See `cos_auth_proxy_fuzz::differential`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cos_auth_proxy_fuzz::differential::request(bytes));
