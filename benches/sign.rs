//! What one COS signature costs when the sign key is cached: the goal is under 1 µs.

use std::hint::black_box;

use cos_auth_proxy::{
    secret::{SecretId, SecretKey},
    sign::cos::{Scratch, SigningKey, ToSign, Window},
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const HOST: &[u8] = b"examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com";
const WINDOW: Window = Window { start: 1_699_999_980, end: 1_700_003_580 };

fn signatures(criterion: &mut Criterion) {
    let id = SecretId::new("AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q").expect("a valid id");
    let secret = SecretKey::new("BQYIM75p8x0iWVFSIgqEKwFprpRSVHlz").expect("a valid key");
    let key = SigningKey::derive(&secret, WINDOW);
    // As long as the tokens of STS, and of the same alphabet.
    let token: Vec<u8> = (0..600_u32).map(|i| b"abcXYZ019-_QRSTuvw"[i as usize * 7 % 18]).collect();
    let get = ToSign {
        method: "GET",
        path: b"/data/2026/part-00042.parquet",
        parameters: &[],
        headers: &[
            (b"Host", HOST),
            (b"Range", b"bytes=1048576-2097151"),
            (b"x-cos-security-token", &token),
        ],
    };
    let get_without_token = ToSign { headers: &get.headers[..2], ..get };
    let put = ToSign {
        method: "PUT",
        path: b"/dir/big%20file.bin",
        parameters: &[
            (b"uploadId", b"1585130821cbb7df1d11846c073ad648e8f33b087cec2381df437acdc833cf65"),
            (b"partNumber", b"1"),
        ],
        headers: &[
            (b"Host", HOST),
            (b"Content-Length", b"1048576"),
            (b"Content-Type", b"application/octet-stream"),
            (b"Content-MD5", b"1B2M2Y8AsgTpgAmY7PhCfg=="),
            (b"x-cos-storage-class", b"STANDARD_IA"),
            (b"x-cos-security-token", &token),
        ],
    };
    let mut group = criterion.benchmark_group("sign");
    group.throughput(Throughput::Elements(1));
    let (mut scratch, mut out) = (Scratch::default(), Vec::new());
    for (name, request) in [
        ("get, 600-byte token", &get),
        ("get, no token", &get_without_token),
        ("upload part, 600-byte token", &put),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                out.clear();
                key.authorize(&id, black_box(request), &mut scratch, &mut out);
                black_box(&out);
            });
        });
    }
    group.bench_function("derive a sign key", |bencher| {
        bencher.iter(|| SigningKey::derive(black_box(&secret), WINDOW));
    });
    group.finish();
}

criterion_group!(benches, signatures);
criterion_main!(benches);
