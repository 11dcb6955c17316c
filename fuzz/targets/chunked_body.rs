//! See `cos_auth_proxy_fuzz::chunked_body`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cos_auth_proxy_fuzz::chunked_body::check(bytes));
