//! The steps of a request as a user sees them: bytes of a request in, the signed head that COS
//! would get (or a refusal) out. Signatures are recomputed here from Tencent Cloud document
//! 436/7778, with none of the program's code.

#![allow(clippy::unwrap_used, reason = "a test may end at the first surprise")]

#[path = "steps/arbitrary.rs"]
mod arbitrary;
#[path = "steps/harness.rs"]
mod harness;
#[path = "steps/reference.rs"]
mod reference;

use std::{mem::MaybeUninit, sync::Arc};

use arbitrary::request;
use cos_auth_proxy::{
    clock::Timestamp,
    http1::{Body, Limits, read_request},
    proxy::{Composer, Gate, Operation, PathStyle, ProxySettings, Reason},
};
use harness::{
    COS, TOKEN, get, key_with, local, reason, send, send_held, with_bucket, without_bucket,
};
use proptest::prelude::*;
use reference::Wire;

#[test]
fn all_four_ways_in_lead_to_the_buckets_own_host() {
    let (with, without) = (with_bucket(), without_bucket());
    let absolute = format!("http://{COS}/a%2Fb?x=1");
    let absolute_port = format!("http://{COS}:80/k");
    let upper = COS.to_ascii_uppercase();
    for (settings, target, host, sent_target, sent_host) in [
        // R1: COS's own name, whatever port was dialled
        (&without, "/k", COS, "/k", COS),
        (&without, "/k", "test-1250000000.cos.ap-guangzhou.myqcloud.com:9000", "/k", COS),
        (&without, "/k", upper.as_str(), "/k", COS),
        (
            &with,
            "/",
            "other-1.cos.ap-beijing.tencentcos.cn",
            "/",
            "other-1.cos.ap-beijing.tencentcos.cn",
        ),
        (&without, "/b-1/k?acl", "cos.ap-x.myqcloud.com", "/k?acl", "b-1.cos.ap-x.myqcloud.com"),
        (&without, "/b-1", "cos.ap-x.myqcloud.com", "/", "b-1.cos.ap-x.myqcloud.com"),
        (&without, "/", "cos.ap-x.myqcloud.com", "/", "cos.ap-x.myqcloud.com"),
        (&with, "/", "service.cos.myqcloud.com", "/", "service.cos.myqcloud.com"),
        // R2: absolute form
        (&without, absolute.as_str(), COS, "/a%2Fb?x=1", COS),
        (&without, absolute_port.as_str(), COS, "/k", COS),
        (&with, "http://localhost:9000/k", "localhost:9000", "/k", COS),
        // R3: the bucket before localhost
        (&without, "/k", "test-1250000000.localhost:9000", "/k", COS),
        (&with, "/", "other-1.localhost", "/", "other-1.cos.ap-guangzhou.myqcloud.com"),
        // R4: bare localhost
        (&with, "/k", "localhost:9000", "/k", COS),
        (&with, "/other-1/k", "127.0.0.1:9000", "/other-1/k", COS),
        (&with, "/?prefix=a", "[::1]:9000", "/?prefix=a", COS),
        (&without, "/test-1250000000/k/x?versionId=1", "localhost", "/k/x?versionId=1", COS),
        (&without, "/test-1250000000?list-type=2", "localhost", "/?list-type=2", COS),
        (&without, "/test-1250000000//lead", "localhost", "//lead", COS),
        (&without, "/", "localhost", "/", "service.cos.myqcloud.com"),
    ] {
        let sent = get(settings, target, host).unwrap_or_else(|e| panic!("{target} {host}: {e:?}"));
        assert_eq!(sent.wire.target, sent_target.as_bytes(), "{target} {host}");
        assert_eq!(sent.wire.only("host"), sent_host.as_bytes(), "{target} {host}");
        assert_eq!(sent.dial, format!("{sent_host}:443"), "{target} {host}");
    }
}

#[test]
fn the_endpoint_gives_scheme_and_port_and_connect_to_the_address() {
    let settings = ProxySettings {
        endpoint: "http://{bucket}.cos.{region}.example:8080".to_owned(),
        connect_to: Some("127.0.0.1:7000".to_owned()),
        ..with_bucket()
    };
    let sent = get(&settings, "/k", "localhost").unwrap();
    assert_eq!(sent.wire.only("host"), b"test-1250000000.cos.ap-guangzhou.example:8080");
    assert_eq!(sent.dial, "127.0.0.1:7000");
    // The bucket's own name is known even though no family has it.
    let sent = get(&settings, "/k", "test-1250000000.cos.ap-guangzhou.example").unwrap();
    assert_eq!(sent.wire.only("host"), b"test-1250000000.cos.ap-guangzhou.example:8080");
    let sent = get(&settings, "/k", COS).unwrap();
    assert_eq!((sent.wire.only("host"), sent.dial.as_str()), (COS.as_bytes(), "127.0.0.1:7000"));
}

#[test]
fn a_custom_domain_is_called_by_its_own_name() {
    let settings =
        ProxySettings { domains: vec!["static.example.org".to_owned()], ..with_bucket() };
    let sent = get(&settings, "/k", "static.example.org:9000").unwrap();
    assert_eq!(sent.wire.only("host"), b"static.example.org");
}

#[test]
fn what_cannot_be_placed_is_refused_with_what_to_set() {
    let no_region = ProxySettings { region: None, ..with_bucket() };
    let key_style = ProxySettings { path_style: PathStyle::Key, ..without_bucket() };
    let without = without_bucket();
    for (settings, target, host, expected) in [
        (&no_region, "/k", "localhost", Reason::RegionMissing),
        (&no_region, "/k", "b-1.localhost", Reason::RegionMissing),
        (&key_style, "/k", "localhost", Reason::BucketMissing),
        (&without, "/favicon.ico", "localhost", Reason::BadBucket),
        (&without, "/b-1%2Fk", "localhost", Reason::BadBucket),
        (&without, "//k", "localhost", Reason::BucketMissing),
        (&without, "/k", "service.cos.myqcloud.com", Reason::BucketMissing),
        (&without, "/k", "evil.example", Reason::Misdirected),
        (&without, "http://evil.example/k", "evil.example", Reason::Misdirected),
        (&without, "http://localhost/k", "evil.example", Reason::HostMismatch),
        (&without, "http://localhost:9000/k", "localhost:9001", Reason::HostMismatch),
        (&without, "/k", "a b", Reason::BadHost),
        (&without, "/k", "", Reason::BadHost),
        (&without, "http://u:p@localhost/k", "localhost", Reason::BadTarget),
        (&without, "/b-1/100%", "localhost", Reason::BadEscape),
        (&without, "/b-1/k?a=1&A=2", "localhost", Reason::RepeatedParameter),
    ] {
        let (reason, message) = get(settings, target, host).err().expect("a refusal");
        assert_eq!(reason, expected, "{target} {host}: {message}");
    }
    let (_, message) = get(&no_region, "/k", "localhost").err().unwrap();
    assert!(message.contains("upstream.region"), "{message}");
    // The region is in the name.
    get(&no_region, "/k", COS).unwrap();
}

#[test]
fn methods_that_cos_does_not_have_get_one_clear_answer() {
    for (line, expected) in [
        ("CONNECT b-1.cos.ap-x.myqcloud.com:443", Reason::ConnectNotSupported),
        ("TRACE /", Reason::MethodNotAllowed),
        ("PATCH /k", Reason::MethodNotAllowed),
        ("get /k", Reason::MethodNotAllowed),
        ("OPTIONS *", Reason::BadTarget),
    ] {
        let raw = format!("{line} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(reason(send(&with_bucket(), raw.as_bytes())), expected, "{line}");
    }
}

#[test]
fn nasty_keys_and_queries_keep_their_bytes() {
    for target in [
        "/a%2Fb",
        "//lead//dbl",
        "/x/./y/../z",
        "/a+b%20c%2Bd",
        "/%e7%9b%ae%E5%BD%95",
        "/(1)*'!",
        "/a|b^c",
        "/目录/é",
        "/%2Flead%2F%2Fdbl%2F.%2Fx",
        "/100%25/a%252Fb%3Fc%23d%26e%3Df",
        "/trailing/",
        "/.%2Fx",
        "/~-_.",
        "/k?response-content-type=a%2Fb",
        "/?prefix=dir/&delimiter=/",
        "/?prefix=a+b%20c%2B&marker=&max-keys=1",
        "/k?uploadId=",
        "/?acl",
        "/k?",
        "/k?a&&b&",
        "/k?imageMogr2/thumbnail/!50p|imageView2/1",
        "/k?a=b=c",
    ] {
        let sent = local("GET", target, "").unwrap_or_else(|e| panic!("{target}: {e:?}"));
        assert_eq!(sent.wire.target, target.as_bytes(), "{target}");
    }
}

#[test]
fn a_get_or_delete_that_cos_would_read_as_the_buckets_is_refused_and_a_put_is_not() {
    for target in ["//", "/./", "/..", "/a/..", "/%2e/", "/%2F"] {
        for method in ["GET", "HEAD", "DELETE"] {
            assert_eq!(
                reason(local(method, target, "")),
                Reason::PathCollapses,
                "{method} {target}"
            );
        }
        assert_eq!(local("PUT", target, "").unwrap().wire.target, target.as_bytes());
    }
    assert_eq!(reason(get(&without_bucket(), "/b-1//", "localhost")), Reason::PathCollapses);
}

#[test]
fn a_clients_own_authority_never_leaves_the_proxy() {
    for lines in [
        "Authorization: \r\n",
        "authorization: q-sign-algorithm=sha1&q-ak=dummy&q-signature=f00\r\nx-cos-security-token: t\r\n",
        "Authorization: AWS4-HMAC-SHA256 Credential=dummy/20260101/x/s3/aws4_request,SignedHeaders=host,Signature=f00\r\nx-amz-date: 20260101T000000Z\r\nx-amz-content-sha256: UNSIGNED-PAYLOAD\r\nX-Amz-Security-Token: t\r\namz-sdk-invocation-id: 1\r\n",
        "Authorization: AWS dummy:f00=\r\n",
        "Authorization: Basic ZHVtbXk6ZHVtbXk=\r\nProxy-Authorization: Basic ZHVtbXk6ZHVtbXk=\r\n",
        "Authorization: one-dummy\r\nAUTHORIZATION: two-dummy\r\nX-CI-Security-Token: t\r\n",
    ] {
        let sent = local("GET", "/k", lines).unwrap_or_else(|e| panic!("{lines}: {e:?}"));
        assert_eq!(sent.wire.names(), ["host", "x-cos-security-token", "authorization"], "{lines}");
        assert_eq!(sent.wire.only("x-cos-security-token"), TOKEN.as_bytes());
    }
    for query in [
        "q-sign-algorithm=sha1&q-ak=dummy&q-sign-time=1%3B2&q-key-time=1%3B2&q-header-list=host&q-url-param-list=&q-signature=f00&x-cos-security-token=t",
        "sign=q-sign-algorithm%3Dsha1%26q-ak%3Ddummy%26q-signature%3Df00",
        "AWSAccessKeyId=dummy&Signature=f00%3D&Expires=1",
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=dummy&X-Amz-Date=1&X-Amz-Expires=1&X-Amz-SignedHeaders=host&X-Amz-Signature=f00",
    ] {
        let sent = local("GET", &format!("/k?{query}"), "").unwrap();
        assert_eq!(sent.wire.target, b"/k", "{query}");
        let sent = local("GET", &format!("/k?versionId=a+b&{query}"), "").unwrap();
        assert_eq!(sent.wire.target, b"/k?versionId=a+b", "{query}");
    }
}

#[test]
fn data_processing_hosts_get_the_token_in_their_own_header() {
    let host = "test-1250000000.ci.ap-guangzhou.myqcloud.com";
    let sent = get(&with_bucket(), "/k?ci-process=x", host).unwrap();
    assert_eq!(sent.operation, Operation::CiProcess);
    assert_eq!(sent.wire.names(), ["host", "x-ci-security-token", "authorization"]);
}

#[test]
fn what_belongs_to_one_hop_stays_there() {
    let sent = local(
        "GET",
        "/k",
        "Connection: close, X-Mine, Upgrade\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n\
         TE: trailers\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nAccept-Encoding: gzip\r\nUser-Agent: t\r\n",
    )
    .unwrap();
    assert_eq!(
        sent.wire.names(),
        ["host", "accept-encoding", "user-agent", "x-cos-security-token", "authorization"]
    );
    assert_eq!(sent.wire.signed_names(), "host;x-cos-security-token");
}

#[test]
fn empty_utf8_and_lower_case_headers_are_sent_and_signed_as_they_are() {
    let sent = local(
        "PUT",
        "/k",
        "cache-control:\r\nContent-Type:  \r\nx-cos-meta-name: 目录 a  b\r\nX-COS-ACL: private\r\ncontent-length: 0\r\n",
    )
    .unwrap();
    assert_eq!(sent.wire.only("cache-control"), b"");
    assert_eq!(sent.wire.only("x-cos-meta-name"), "目录 a  b".as_bytes());
    assert_eq!(
        sent.wire.signed_names(),
        "cache-control;content-length;content-type;host;x-cos-acl;x-cos-meta-name;x-cos-security-token"
    );
}

#[test]
fn a_signed_header_that_repeats_is_joined_where_it_is_a_list_and_refused_elsewhere() {
    let sent = local(
        "GET",
        "/k",
        "If-Match: \"a\"\r\nAccept: x\r\nif-match: \"b\"\r\nAccept: y\r\nIF-MATCH: \"c\"\r\n",
    )
    .unwrap();
    assert_eq!(sent.wire.only("if-match"), b"\"a\", \"b\", \"c\"");
    assert_eq!(
        sent.wire.names(),
        ["host", "if-match", "accept", "accept", "x-cos-security-token", "authorization"]
    );
    for lines in [
        "Range: bytes=0-1\r\nRange: bytes=2-3\r\n",
        "x-cos-meta-a: 1\r\nX-Cos-Meta-A: 1\r\n",
        "Content-Type: a\r\nContent-Type: b\r\n",
        "x-cos-copy-source: /b-1/k\r\nx-cos-copy-source: /b-1/l\r\n",
    ] {
        assert_eq!(reason(local("PUT", "/k", lines)), Reason::RepeatedHeader, "{lines}");
    }
}

#[test]
fn a_copy_source_that_names_the_proxy_names_cos_instead() {
    let (with, without) = (with_bucket(), without_bucket());
    let own = |rest: &str| format!("{COS}{rest}");
    for (settings, source, sent) in [
        (&with, "test-1250000000.localhost:9000/small.txt", own("/small.txt")),
        (&with, "localhost:9000/dir/%E7%9B%AE?versionId=1", own("/dir/%E7%9B%AE?versionId=1")),
        (&without, "localhost:9000/test-1250000000/k", own("/k")),
        (&with, "127.0.0.1/k", own("/k")),
        (&with, "/test-1250000000/a%2Fb//c", own("/a%2Fb//c")),
        (&with, "test-1250000000/k", own("/k")),
        (
            &with,
            "other-1.cos.ap-beijing.myqcloud.com/~(1)*'!",
            "other-1.cos.ap-beijing.myqcloud.com/~(1)*'!".to_owned(),
        ),
        (
            &with,
            "other-1.cos.ap-beijing.myqcloud.com:9000/k",
            "other-1.cos.ap-beijing.myqcloud.com/k".to_owned(),
        ),
        (&with, "cos.ap-x.myqcloud.com/other-1/k", "other-1.cos.ap-x.myqcloud.com/k".to_owned()),
    ] {
        let raw = format!(
            "PUT /test-1250000000/n HTTP/1.1\r\nHost: localhost\r\nX-Cos-Copy-Source: {source}\r\n\r\n"
        );
        let got = send(settings, raw.as_bytes()).unwrap_or_else(|e| panic!("{source}: {e:?}"));
        assert_eq!(got.wire.only("x-cos-copy-source"), sent.as_bytes(), "{source}");
        assert_eq!(got.operation, Operation::PutObjectCopy);
    }
    for source in [
        "",
        "k",
        "/",
        "/b-1",
        "/b-1/",
        "/B/k",
        "evil.example/k",
        "localhost:9000/",
        "b-1.localhost:9000/",
        "http://localhost:9000/k",
        "service.cos.myqcloud.com/k",
        "b-1.cos.ap-x.myqcloud.com",
        "b-1%2Fk",
    ] {
        let lines = format!("x-cos-copy-source: {source}\r\n");
        assert_eq!(reason(local("PUT", "/n", &lines)), Reason::BadCopySource, "{source}");
    }
}

#[test]
fn bodies_pass_in_the_framing_that_cos_takes() {
    let chunked = "Transfer-Encoding: chunked\r\n";
    for (method, target, lines, expected) in [
        ("PUT", "/k", "Content-Length: 5\r\n", Body::Length(5)),
        ("PUT", "/k", "Content-Length: 0\r\n", Body::Length(0)),
        ("PUT", "/k", "", Body::Length(0)),
        ("POST", "/k?uploads", "", Body::Length(0)),
        ("PUT", "/k", chunked, Body::Chunked),
        ("PUT", "/k?partNumber=1&uploadId=x", chunked, Body::Chunked),
        ("POST", "/k?append&position=0", chunked, Body::Chunked),
        ("GET", "/k", "", Body::None),
        ("GET", "/k", "Content-Length: 0\r\n", Body::Length(0)),
        ("HEAD", "/k", "Content-Length: 0\r\n", Body::Length(0)),
        ("DELETE", "/k", "Content-Length: 0\r\n", Body::Length(0)),
        ("DELETE", "/k", "", Body::None),
    ] {
        let sent =
            local(method, target, lines).unwrap_or_else(|e| panic!("{method} {target}: {e:?}"));
        assert_eq!(sent.body, expected, "{method} {target} {lines}");
        match expected {
            Body::Length(n) => {
                assert_eq!(sent.wire.only("content-length"), n.to_string().as_bytes())
            }
            Body::Chunked => assert_eq!(sent.wire.only("transfer-encoding"), b"chunked"),
            Body::None | Body::UntilClose => {
                assert!(
                    !sent
                        .wire
                        .names()
                        .iter()
                        .any(|n| n == "content-length" || n == "transfer-encoding")
                );
            }
        }
    }
    for (method, target, lines, expected) in [
        ("GET", "/k", "Content-Length: 1\r\n", Reason::UnexpectedBody),
        ("DELETE", "/k", chunked, Reason::UnexpectedBody),
        ("POST", "/k?uploadId=x", chunked, Reason::LengthRequired),
        ("PUT", "/?cors", chunked, Reason::LengthRequired),
        (
            "PUT",
            "/k",
            "Content-Length: 9\r\nContent-Encoding: gzip, aws-chunked\r\n",
            Reason::AwsChunked,
        ),
        (
            "PUT",
            "/k",
            "Content-Length: 9\r\nx-amz-decoded-content-length: 1\r\n",
            Reason::AwsChunked,
        ),
        (
            "PUT",
            "/k",
            "Transfer-Encoding: chunked\r\nx-amz-trailer: x-amz-checksum-crc32\r\n",
            Reason::AwsChunked,
        ),
        (
            "PUT",
            "/k",
            "Content-Length: 9\r\nx-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\n",
            Reason::AwsChunked,
        ),
    ] {
        assert_eq!(reason(local(method, target, lines)), expected, "{method} {target} {lines}");
    }
}

#[test]
fn expect_is_never_forwarded() {
    let sent = local("PUT", "/k", "Content-Length: 5\r\nExpect: 100-continue\r\n").unwrap();
    assert_eq!(
        sent.wire.names(),
        ["host", "x-cos-security-token", "content-length", "authorization"]
    );
}

#[test]
fn a_document_without_a_digest_is_held_and_gets_one() {
    let body = b"<Delete/>";
    let raw = format!(
        "POST /?delete HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let sent = send_held(&with_bucket(), raw.as_bytes(), Some(body)).unwrap();
    assert!(sent.needs_digest);
    assert_eq!(sent.body, Body::Length(9));
    // From `printf '<Delete/>' | openssl md5 -binary | base64`.
    assert_eq!(sent.wire.only("content-md5"), b"ePbrFwvNFIRnzBrIv+T8Ag==");
    assert!(sent.wire.signed_names().contains("content-md5"));

    for (target, lines, held) in [
        ("/?delete", "Content-Length: 9\r\nContent-MD5: ePbrFwvNFIRnzBrIv+T8Ag==\r\n", false),
        ("/?delete", "Content-Length: 1048576\r\n", true),
        ("/k?restore", "Content-Length: 9\r\n", true),
        ("/k?uploadId=x", "Content-Length: 9\r\n", false),
        ("/?delete", "", false),
    ] {
        assert_eq!(local("POST", target, lines).unwrap().needs_digest, held, "{target} {lines}");
    }
    assert!(local("PUT", "/?tagging", "Content-Length: 9\r\n").unwrap().needs_digest);
    assert!(!local("PUT", "/?tagging", "Content-Length: 1048577\r\n").unwrap().needs_digest);
    assert!(!local("PUT", "/k", "Content-Length: 9\r\n").unwrap().needs_digest);
    let too_large = local("POST", "/?delete", "Content-Length: 1048577\r\n");
    assert_eq!(reason(too_large), Reason::HeldBodyTooLarge);
}

#[test]
fn pages_of_other_sites_are_refused() {
    for lines in [
        "Origin: http://evil.example\r\n",
        "Origin: null\r\n",
        "Origin: http://localhost:3000\r\n",
        "Origin: http://localhost:9000\r\nSec-Fetch-Site: cross-site\r\n",
        "sec-fetch-site: same-site\r\n",
    ] {
        assert_eq!(reason(local("PUT", "/k", lines)), Reason::CrossSite, "{lines}");
    }
    for lines in [
        "Origin: http://localhost:9000\r\n",
        "Sec-Fetch-Site: same-origin\r\n",
        "Sec-Fetch-Site: none\r\n",
    ] {
        local("GET", "/k", lines).unwrap();
    }
    let preflight = "Origin: http://a.example\r\nAccess-Control-Request-Method: GET\r\n";
    assert_eq!(local("OPTIONS", "/k", preflight).unwrap().operation, Operation::OptionsObject);
}

/// The sign key is kept between requests; it must never outlive its key or its window.
#[test]
fn every_request_is_signed_with_its_own_key_and_time() {
    let limits = Limits { head_bytes: 65536, fields: 128, target_bytes: 16384 };
    let gate = Gate::new(&with_bucket());
    let mut composer = Composer::default();
    let mut buffer = Vec::new();
    let lasting = key_with("lastingsecret", None);
    for round in 0..200_u64 {
        let mut slots = [const { MaybeUninit::uninit() }; 128];
        let head = read_request(b"GET /k HTTP/1.1\r\nHost: localhost\r\n\r\n", &mut slots, &limits)
            .unwrap();
        let admitted = gate.admit(&head).unwrap();
        // A new key each round, often at the address of the one just dropped.
        let secret = format!("secret{round}");
        let (key, secret) = if round % 3 == 0 {
            (Arc::clone(&lasting), "lastingsecret")
        } else {
            (key_with(&secret, Some(TOKEN)), secret.as_str())
        };
        let now = Timestamp::from_unix_seconds(1_700_000_000 + round * 4);
        let outbound = composer.compose(&admitted, &head, &key, None, buffer).unwrap();
        let signed = composer.sign(outbound, &key, now);
        let wire = Wire::parse(signed.head());
        wire.verify(secret, now.unix_seconds());
        assert_eq!(wire.names().contains(&"x-cos-security-token".to_owned()), round % 3 != 0);
        buffer = signed.into_buffer();
    }
}

#[test]
fn settings_that_cannot_work_are_all_told_at_once() {
    assert_eq!(with_bucket().problems(), []);
    let settings = ProxySettings {
        bucket: Some("NoAppId".to_owned()),
        region: Some("ap guangzhou".to_owned()),
        endpoint: "https://fixed.example".to_owned(),
        service_endpoint: "service".to_owned(),
        connect_to: Some("nowhere".to_owned()),
        domains: vec!["a/b".to_owned()],
        host_families: vec!["example.com".to_owned()],
        allowed_hosts: vec!["http://x".to_owned()],
        ..ProxySettings::default()
    };
    let keys: Vec<_> = settings.problems().into_iter().map(|p| p.key).collect();
    assert_eq!(
        keys,
        [
            "upstream.bucket",
            "upstream.region",
            "upstream.endpoint",
            "upstream.service_endpoint",
            "upstream.connect_to",
            "upstream.host_families",
            "upstream.domains",
            "listen.allowed_hosts",
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    /// `send` verifies the signature of everything that passes; here: whatever passes carries no
    /// authority of the client, and one line per line.
    #[test]
    fn whatever_is_admitted_is_signed_once_and_carries_no_other_authority(raw in request()) {
        let Ok(sent) = send(&with_bucket(), raw.as_bytes()) else { return Ok(()) };
        for name in ["host", "authorization", "x-cos-security-token"] {
            prop_assert_eq!(sent.wire.names().iter().filter(|n| *n == name).count(), 1, "{}", name);
        }
        let target = String::from_utf8_lossy(&sent.wire.target).into_owned();
        prop_assert!(!target.contains("DUMMYAUTHORITY"), "{}", target);
        prop_assert!(!sent.wire.only("authorization").windows(5).any(|w| w == b"DUMMY"));
        prop_assert!(!sent.wire.names().iter().any(|n| n == "expect" || n == "connection" || n.starts_with("proxy-")));
    }
}
