//! Admitting and signing allocate nothing once buffers have grown.
//!
//! A binary of its own, because `allocation_counter` replaces the global allocator.

use std::mem::MaybeUninit;

use cos_auth_proxy::{
    http1::{Limits, read_request},
    proxy::{Allow, Gate, ProxySettings, RouteSettings},
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

#[test]
fn a_request_is_admitted_without_allocating_with_routes_or_without() {
    let route = |prefix: &str, word| RouteSettings {
        bucket: "examplebucket-1250000000".to_owned(),
        region: "ap-guangzhou".to_owned(),
        prefix: prefix.to_owned(),
        allow: Allow::word(word).expect("a group"),
        keys: 0,
        keys_name: "default".to_owned(),
    };
    let limits = Limits { head_bytes: 65536, fields: 128, target_bytes: 16384 };
    for routes in [Vec::new(), vec![route("", "list"), route("dir/", "read"), route("x/", "write")]]
    {
        let gate = Gate::new(&ProxySettings {
            bucket: Some("examplebucket-1250000000".to_owned()),
            region: Some("ap-guangzhou".to_owned()),
            routes,
            ..ProxySettings::default()
        });
        let mut slots = [const { MaybeUninit::uninit() }; 128];
        let raw = b"GET /dir/%E6%B5%8B%20+.bin HTTP/1.1\r\nHost: localhost:9000\r\n\r\n";
        let head = read_request(raw, &mut slots, &limits).expect("a request");
        let admit = || drop(gate.admit(&head).expect("a route allows it"));
        admit();
        assert_eq!(allocation_counter::measure(admit).count_total, 0);
    }
}
