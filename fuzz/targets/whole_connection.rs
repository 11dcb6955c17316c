//! See `cos_auth_proxy_fuzz::whole_connection`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cos_auth_proxy_fuzz::whole_connection::check(bytes));
