//! Signing allocates nothing once its buffers have grown.
//!
//! A binary of its own, because `allocation_counter` replaces the global allocator.

use cos_auth_proxy::{
    secret::{SecretId, SecretKey},
    sign::cos::{Scratch, SigningKey, ToSign, Window},
};

#[test]
fn a_signature_allocates_nothing_in_the_steady_state() {
    let id = SecretId::new("AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q").unwrap();
    let secret = SecretKey::new("BQYIM75p8x0iWVFSIgqEKwFprpRSVHlz").unwrap();
    let key = SigningKey::derive(&secret, Window { start: 1_700_000_000, end: 1_700_003_600 });
    let token = vec![b'+'; 1200];
    let names: Vec<_> = (0..40).map(|i| format!("X-Cos-Meta-{}", (i * 17) % 40)).collect();
    let mut headers: Vec<(&[u8], &[u8])> =
        names.iter().map(|n| (n.as_bytes(), &b"v 1"[..])).collect();
    headers.push((b"x-cos-security-token", &token));
    let parameters: &[(&[u8], &[u8])] = &[(b"uploadId", b"a%2Fb+c"), (b"partNumber", b"1")];
    let path = b"/dir/%E6%B5%8B%20+.bin";
    let request = ToSign { method: "PUT", path, parameters, headers: &headers };
    let (mut scratch, mut out) = (Scratch::default(), Vec::new());

    let mut sign = || {
        out.clear();
        key.authorize(&id, &request, &mut scratch, &mut out);
    };
    let first = allocation_counter::measure(&mut sign);
    assert!(first.count_total > 0, "the counter counts nothing, so this test would prove nothing");
    let later = allocation_counter::measure(|| (0..100).for_each(|_| sign()));
    assert_eq!(later.count_total, 0);
}
