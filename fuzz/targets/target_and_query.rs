//! See `cos_auth_proxy_fuzz::target_and_query`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cos_auth_proxy_fuzz::target_and_query::check(bytes));
