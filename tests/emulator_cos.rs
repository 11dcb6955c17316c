//! The embedded object store, over real sockets: objects, ranges, conditions, lists, errors.

#![allow(clippy::unwrap_used, reason = "a failure anywhere is the failure of the test")]

#[path = "emulator_cos/client.rs"]
mod client;
#[path = "emulator_cos/permission.rs"]
mod permission;
#[path = "emulator_cos/uploads.rs"]
mod uploads;

use base64::Engine as _;
use client::{BUCKET, HOST, Stand};
use cos_auth_proxy::emulator::{
    EmulatorSettings,
    faults::{Fault, Service},
};
use md5::{Digest as _, Md5};
use tokio::io::AsyncWriteExt;

fn md5_hex(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn md5_base64(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(Md5::digest(bytes))
}

fn crc64(bytes: &[u8]) -> String {
    let mut digest = crc64fast::Digest::new();
    digest.write(bytes);
    digest.sum64().to_string()
}

#[tokio::test]
async fn an_object_comes_back_with_its_bytes_hashes_and_metadata() {
    let stand = Stand::open().await;
    let headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Cache-Control", ""),
        ("Content-Disposition", "attachment; filename=\"目.txt\""),
        ("x-cos-meta-author", "腾讯云  cloud"),
        ("x-cos-storage-class", "STANDARD_IA"),
    ];
    let put = stand.send("PUT /dir/a.txt", &headers, b"hello").await.ok();
    let etag = format!("\"{}\"", md5_hex(b"hello"));
    assert_eq!(put.header("etag"), Some(etag.as_str()));
    assert_eq!(put.header("x-cos-hash-crc64ecma"), Some(crc64(b"hello").as_str()));
    let get = stand.get("/dir/a.txt").await.ok();
    assert_eq!(get.body, b"hello");
    let head = stand.send("HEAD /dir/a.txt", &[], b"").await.ok();
    assert_eq!(head.body, b"");
    for answer in [&get, &head] {
        assert_eq!(answer.header("content-length"), Some("5"));
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(answer.header("cache-control"), None, "an empty header is not kept");
        assert_eq!(answer.header("content-disposition"), Some("attachment; filename=\"目.txt\""));
        assert_eq!(answer.header("x-cos-meta-author"), Some("腾讯云  cloud"));
        assert_eq!(answer.header("x-cos-storage-class"), Some("STANDARD_IA"));
        assert_eq!(answer.header("etag"), Some(etag.as_str()));
        assert_eq!(answer.header("x-cos-hash-crc64ecma"), Some(crc64(b"hello").as_str()));
        assert_eq!(answer.header("accept-ranges"), Some("bytes"));
        assert_eq!(answer.header("server"), Some("tencent-cos"));
        assert!(answer.header("x-cos-request-id").is_some());
        assert!(httpdate::parse_http_date(answer.header("date").unwrap()).is_ok());
        assert!(httpdate::parse_http_date(answer.header("last-modified").unwrap()).is_ok());
    }
    let overridden = "/dir/a.txt?response-content-type=text%2Fcsv&response-expires=x%0d%0ay:z";
    let overridden = stand.get(overridden).await.ok();
    assert_eq!(overridden.header("content-type"), Some("text/csv"));
    assert_eq!(overridden.header("y"), None, "no header can be smuggled in");
    assert_eq!(stand.send("DELETE /dir/a.txt", &[], b"").await.status, 204);
    stand.get("/dir/a.txt").await.refused(404, "NoSuchKey");
    assert_eq!(stand.send("DELETE /dir/a.txt", &[], b"").await.status, 204);
    let gone = stand.send("HEAD /dir/a.txt", &[], b"").await;
    assert_eq!((gone.status, gone.body.len()), (404, 0));
}

#[tokio::test]
async fn nasty_keys_are_kept_apart_and_come_back_byte_for_byte() {
    let stand = Stand::open().await;
    let mut connection = stand.connect().await;
    // Wire form, and the key it stands for. The raw ones are what some clients send.
    let keys = [
        ("/a%20b+c", "a b+c"),
        ("/a+b%20c", "a+b c"),
        ("/%2Flead%2F%2Fdbl%2F.%2Fx", "/lead//dbl/./x"),
        ("/lead//dbl/./x", "lead//dbl/./x"),
        ("/%E7%9B%AE%E5%BD%95/(1)*'!~", "目录/(1)*'!~"),
        ("/目录/raw|^{}\"<>`\\", "目录/raw|^{}\"<>`\\"),
        ("/100%25/a%252Fb%3Fc%23d%26e%3Df", "100%/a%2Fb?c#d&e=f"),
        ("/../../../../etc/passwd", "../../../../etc/passwd"),
        ("/%00%01%0a", "\0\u{1}\n"),
        ("/trailing/", "trailing/"),
        ("/%e7%9b%ae", "目"),
    ];
    for (wire, key) in keys {
        connection.send(&format!("PUT {wire}"), &[], key.as_bytes()).await.ok();
    }
    for (wire, key) in keys {
        let got = connection.send(&format!("GET {wire}"), &[], b"").await.ok();
        assert_eq!(got.body, key.as_bytes(), "{wire}");
    }
    let list = stand.get("/?encoding-type=url&max-keys=1000").await.ok();
    let mut listed: Vec<String> = list.all("Key").iter().map(|key| decoded(key)).collect();
    let mut expected: Vec<String> = keys.iter().map(|(_, key)| (*key).to_owned()).collect();
    listed.sort();
    expected.sort();
    assert_eq!(listed, expected);
    stand.get("/%ff").await.refused(400, "InvalidURI");
    stand.put(&format!("/{}", "k".repeat(851)), b"").await.refused(400, "KeyTooLong");
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first == b'%' {
            let (digits, tail) = rest.split_at(2);
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap());
            rest = tail;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn ranges_give_exactly_their_bytes() {
    let stand = Stand::open().await;
    let content: Vec<u8> = (0..300_000_u32).map(|at| (at % 251) as u8).collect();
    stand.put("/big", &content).await.ok();
    stand.put("/empty", b"").await.ok();
    for (range, start, end) in [
        ("bytes=0-0", 0, 1),
        ("bytes=131071-131073", 131_071, 131_074),
        ("bytes=299990-", 299_990, 300_000),
        ("bytes=-7", 299_993, 300_000),
        ("bytes=5-999999", 5, 300_000),
    ] {
        let got = stand.send("GET /big", &[("Range", range)], b"").await;
        assert_eq!(got.status, 206, "{range}");
        assert_eq!(got.body, content[start..end], "{range}");
        let stated = format!("bytes {start}-{}/300000", end - 1);
        assert_eq!(got.header("content-range"), Some(stated.as_str()));
    }
    for (target, range) in [("/big", "bytes=300000-"), ("/big", "bytes=-0"), ("/empty", "bytes=0-")]
    {
        let line = format!("GET {target}");
        stand.send(&line, &[("Range", range)], b"").await.refused(416, "InvalidRange");
    }
    assert_eq!(stand.get("/empty").await.ok().body, b"");
}

#[tokio::test]
async fn conditions_are_judged_in_the_order_of_http() {
    let stand = Stand::open().await;
    let etag = stand.put("/k", b"v").await.ok().header("etag").unwrap().to_owned();
    let (past, future) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Fri, 06 Nov 2093 08:49:37 GMT");
    for (headers, status) in [
        (vec![("If-Match", etag.as_str())], 200),
        (vec![("If-Match", "*")], 200),
        (vec![("If-Match", "\"x\"")], 412),
        (vec![("If-None-Match", etag.as_str())], 304),
        (vec![("If-None-Match", "\"x\"")], 200),
        (vec![("If-Modified-Since", future)], 304),
        (vec![("If-Modified-Since", past)], 200),
        (vec![("If-Unmodified-Since", past)], 412),
        (vec![("If-Unmodified-Since", future)], 200),
        (vec![("If-Match", etag.as_str()), ("If-Unmodified-Since", past)], 200),
        (vec![("If-None-Match", "\"x\""), ("If-Modified-Since", future)], 200),
        (vec![("If-Match", "\"x\""), ("If-None-Match", etag.as_str())], 412),
    ] {
        for method in ["GET", "HEAD"] {
            let got = stand.send(&format!("{method} /k"), &headers, b"").await;
            assert_eq!(got.status, status, "{method} {headers:?}");
            if status == 304 {
                assert_eq!((got.header("etag"), got.body.len()), (Some(etag.as_str()), 0));
                assert_eq!(got.header("content-length"), None);
            }
        }
    }
}

#[tokio::test]
async fn a_list_is_paged_grouped_and_encoded() {
    let stand = Stand::open().await;
    for key in ["a", "dir/1", "dir/2", "dir/sub/3", "e%20f%2Bg", "z%3C"] {
        stand.put(&format!("/{key}"), b"12").await.ok();
    }
    let all = stand.get("/").await.ok();
    assert_eq!(all.all("Key"), ["a", "dir/1", "dir/2", "dir/sub/3", "e f+g", "z&lt;"]);
    assert_eq!((all.one("Name"), all.one("IsTruncated")), (BUCKET, "false"));
    assert_eq!(all.all("Size")[0], "2");
    assert_eq!(all.all("ETag")[0], format!("&quot;{}&quot;", md5_hex(b"12")));
    let grouped = stand.get("/?delimiter=/&prefix=&marker=&max-keys=2").await.ok();
    assert_eq!(grouped.all("Key"), ["a"]);
    assert_eq!(grouped.all("Prefix"), ["", "dir/"]);
    assert_eq!((grouped.one("IsTruncated"), grouped.one("NextMarker")), ("true", "dir/"));
    let next = stand.get("/?delimiter=%2F&marker=dir%2F&encoding-type=url").await.ok();
    assert_eq!(next.all("Key"), ["e%20f%2Bg", "z%3C"]);
    assert_eq!(next.all("CommonPrefixes").len(), 0, "a group is not told twice");
    let below = stand.get("/?prefix=dir%2F&delimiter=%2F").await.ok();
    assert_eq!(below.all("Key"), ["dir/1", "dir/2"]);
    assert_eq!(below.all("Prefix"), ["dir/", "dir/sub/"]);
    assert_eq!(stand.get("/?prefix=e+f").await.ok().all("Key"), ["e f+g"]);
    stand.get("/?max-keys=x").await.refused(400, "InvalidArgument");
    let versions = stand.get("/?versions&prefix=dir/").await.ok();
    assert_eq!(versions.all("IsLatest"), ["true", "true", "true"]);
    assert_eq!(stand.get("/?versions").await.ok().all("Key").len(), 6);
    assert_eq!(stand.get("/./").await.ok().all("Key").len(), 6, "such a GET lists the bucket");
}

#[tokio::test]
async fn a_partial_upload_is_never_seen_and_leaves_the_old_object() {
    let stand = Stand::open().await;
    stand.put("/k", b"old").await.ok();
    let mut connection = stand.connect().await;
    let head = format!("PUT /k HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 1000\r\n\r\n");
    connection.write(head.as_bytes()).await;
    connection.write(&[b'x'; 900]).await;
    connection.stream.shutdown().await.unwrap();
    connection.answer(false).await.unwrap().refused(400, "IncompleteBody");
    let mut connection = stand.connect().await;
    let head = format!("PUT /k HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n");
    connection.write(head.as_bytes()).await;
    connection.write(b"5\r\nxxxxx\r\n").await;
    connection.stream.shutdown().await.unwrap();
    connection.answer(false).await.unwrap().refused(400, "IncompleteBody");
    assert_eq!(stand.get("/k").await.ok().body, b"old");
}

#[tokio::test]
async fn framing_is_taken_only_when_it_is_clear() {
    let stand = Stand::open().await;
    let mut connection = stand.connect().await;
    let chunked = [("Transfer-Encoding", "chunked")];
    let body = b"3;x=y\r\nabc\r\n0002\r\nde\r\n0\r\nTrailer: t\r\n\r\n";
    connection.send("PUT /chunked", &chunked, body).await.ok();
    let got = connection.send("GET /chunked", &[], b"").await.ok();
    assert_eq!(got.body, b"abcde", "and the connection is still in step");
    connection
        .send("POST /?delete", &chunked, b"0\r\n\r\n")
        .await
        .refused(411, "MissingContentLength");
    for bad in [
        "PUT /k HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n",
        "PUT /k HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "PUT /k HTTP/1.1\r\nContent-Length: +1\r\n",
        "PUT /k HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n",
        "GET /k HTTP/1.1\r\nHost: other\r\n",
        "GET /k HTTP/1.1\nX: y\r\n",
        "GET  /k HTTP/1.1\r\n",
    ] {
        let mut connection = stand.connect().await;
        connection.write(format!("{bad}Host: {HOST}\r\n\r\n").as_bytes()).await;
        let answer = connection.answer(false).await.unwrap();
        answer.refused(400, "InvalidRequest");
        assert_eq!(answer.header("connection"), Some("close"));
        assert!(connection.answer(false).await.is_err(), "{bad:?} must end the connection");
    }
    let mut connection = stand.connect().await;
    connection.write(format!("PUT /k HTTP/1.1\r\nHost: {HOST}\r\n\r\n").as_bytes()).await;
    connection.answer(false).await.unwrap().refused(411, "MissingContentLength");
}

#[tokio::test]
async fn a_waiting_client_is_told_to_continue_and_pipelined_requests_are_answered_in_order() {
    let stand = Stand::open().await;
    let mut connection = stand.connect().await;
    let head = format!(
        "PUT /k HTTP/1.1\r\nHost: {HOST}\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    );
    connection.write(head.as_bytes()).await;
    assert_eq!(connection.answer(false).await.unwrap().status, 100);
    connection.write(b"hi").await;
    connection.answer(false).await.unwrap().ok();
    let get = |key: &str| format!("GET /{key} HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    connection.write([get("k"), get("none"), get("k")].concat().as_bytes()).await;
    for status in [200, 404, 200] {
        assert_eq!(connection.answer(false).await.unwrap().status, status);
    }
}

#[tokio::test]
async fn a_digest_that_does_not_match_keeps_nothing() {
    let stand = Stand::open().await;
    let right = md5_base64(b"body");
    stand.send("PUT /k", &[("Content-MD5", &right)], b"body").await.ok();
    stand.send("PUT /k", &[("Content-MD5", &right)], b"b0dy").await.refused(400, "BadDigest");
    stand.send("PUT /k", &[("Content-MD5", "xx")], b"body").await.refused(400, "InvalidDigest");
    assert_eq!(stand.get("/k").await.ok().body, b"body");
    let forbid = [("x-cos-forbid-overwrite", "true")];
    assert_eq!(stand.send("PUT /k", &forbid, b"new").await.status, 409);
    stand.send("PUT /fresh", &forbid, b"new").await.ok();
    assert_eq!(stand.get("/k").await.ok().body, b"body");
}

#[tokio::test]
async fn a_host_that_names_no_bucket_of_that_region_is_refused() {
    let stand = Stand::open().await;
    let at = |host: &'static str| [("Host", host)];
    stand.put("/k", b"v").await.ok();
    for host in [
        "examplebucket-1250000000.cos.ap-guangzhou.tencentcos.cn",
        "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com:8080",
    ] {
        assert_eq!(stand.send("GET /k", &at(host), b"").await.ok().body, b"v");
    }
    for host in [
        "other-1250000000.cos.ap-guangzhou.myqcloud.com",
        "examplebucket-1250000000.cos.ap-beijing.myqcloud.com",
        "localhost",
    ] {
        stand.send("GET /k", &at(host), b"").await.refused(404, "NoSuchBucket");
    }
    let path_style = "GET /examplebucket-1250000000/k";
    let regional = at("cos.ap-guangzhou.myqcloud.com");
    stand.send(path_style, &regional, b"").await.refused(403, "PathStyleDomainForbidden");
    let list = stand.send("GET /", &at("service.cos.myqcloud.com"), b"").await.ok();
    assert_eq!((list.one("Name"), list.one("Location")), (BUCKET, "ap-guangzhou"));
    let elsewhere = stand.send("GET /", &at("cos.ap-beijing.myqcloud.com"), b"").await.ok();
    assert_eq!(elsewhere.all("Bucket").len(), 0);
    let head = stand.send("HEAD /", &[], b"").await.ok();
    assert_eq!(head.header("x-cos-bucket-region"), Some("ap-guangzhou"));
    assert_eq!(stand.get("/?location").await.ok().one("LocationConstraint"), "ap-guangzhou");
}

#[tokio::test]
async fn buckets_are_made_and_removed() {
    let stand = Stand::open().await;
    let host = [("Host", "new-1250000000.cos.ap-beijing.myqcloud.com")];
    stand.send("PUT /", &host, b"").await.ok();
    stand.send("PUT /", &host, b"").await.refused(409, "BucketAlreadyExists");
    stand.send("PUT /k", &host, b"v").await.ok();
    stand.send("DELETE /", &host, b"").await.refused(409, "BucketNotEmpty");
    stand.send("DELETE /k", &host, b"").await.ok();
    stand.send("DELETE /", &host, b"").await.ok();
    stand.send("GET /", &host, b"").await.refused(404, "NoSuchBucket");
    stand.get("/?lifecycle").await.refused(501, "NotImplemented");
}

#[tokio::test]
async fn a_folder_is_served_and_what_was_seen_is_told() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("目录/b")).unwrap();
    std::fs::write(folder.path().join("top.txt"), "top").unwrap();
    std::fs::write(folder.path().join("目录/b/deep |^.bin"), [0, 255, 10]).unwrap();
    let seed = Some(folder.path().to_owned());
    let stand = Stand::with(EmulatorSettings { verify: false, seed, ..Default::default() }).await;
    assert_eq!(stand.emulator.seeded(), 2);
    assert_eq!(stand.get("/top.txt").await.ok().body, b"top");
    assert_eq!(stand.get("/目录/b/deep%20|^.bin").await.ok().body, [0, 255, 10]);
    let seen = stand.emulator.seen().since(0);
    assert_eq!(seen[1].target, "/目录/b/deep%20|^.bin");
    assert_eq!((seen[1].action.as_str(), seen[1].verdict.as_str()), ("GetObject", "ok"));
    assert_eq!(stand.emulator.seen().count(Service::Cos), 2);
}

#[tokio::test]
async fn faults_are_done_to_the_requests_they_are_meant_for() {
    let stand = Stand::open().await;
    let body = vec![7; 100_000];
    stand.put("/k", &body).await.ok();
    let faults = stand.emulator.faults();
    let get = format!("GET /k HTTP/1.1\r\nHost: {HOST}\r\n\r\n");

    faults.for_next(Service::Cos, 1, Fault::Reset);
    let mut connection = stand.connect().await;
    connection.write(get.as_bytes()).await;
    let error = connection.answer(false).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);

    faults.for_next(Service::Cos, 1, Fault::Close);
    let mut connection = stand.connect().await;
    connection.write(get.as_bytes()).await;
    let error = connection.answer(false).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);

    faults.for_next(Service::Cos, 1, Fault::TruncateBody(50_000));
    let mut connection = stand.connect().await;
    connection.write(get.as_bytes()).await;
    assert_eq!(connection.answer(true).await.unwrap().header("content-length"), Some("100000"));
    assert_eq!(connection.rest().await, 50_000);

    faults.for_next(Service::Cos, 1, Fault::Status(500));
    faults.for_next(Service::Cos, 1, Fault::Throttle);
    faults.for_next(Service::Cos, 1, Fault::ErrorCode("ExpiredToken"));
    faults.for_next(Service::Cos, 1, Fault::Html200);
    let mut connection = stand.connect().await;
    connection.send("GET /k", &[], b"").await.refused(500, "InternalError");
    connection.send("GET /k", &[], b"").await.refused(503, "SlowDown");
    connection.send("GET /k", &[], b"").await.refused(400, "ExpiredToken");
    let page = connection.send("GET /k", &[], b"").await;
    assert_eq!((page.status, page.header("x-cos-request-id")), (200, None));
    assert_eq!(connection.send("GET /k", &[], b"").await.ok().body, body);
    let verdicts: Vec<_> =
        stand.emulator.seen().since(1).into_iter().map(|seen| seen.verdict).collect();
    let expected =
        ["reset", "close", "ok", "InternalError", "SlowDown", "ExpiredToken", "html200", "ok"];
    assert_eq!(verdicts, expected);
}

#[tokio::test]
async fn https_is_served_with_a_given_certificate() {
    let made = rcgen::generate_simple_self_signed(vec![HOST.to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    let tls = Some(std::sync::Arc::new(server));
    let stand = Stand::with(EmulatorSettings { verify: false, tls, ..Default::default() }).await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(client));
    let tcp = tokio::net::TcpStream::connect(stand.address()).await.unwrap();
    let name = rustls::pki_types::ServerName::try_from(HOST).unwrap();
    let mut stream = connector.connect(name, tcp).await.unwrap();
    let put = format!("PUT /k HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 2\r\n\r\nhi");
    let get = format!("GET /k HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n");
    stream.write_all(format!("{put}{get}").as_bytes()).await.unwrap();
    let mut answers = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut stream, &mut answers).await.unwrap();
    assert!(
        answers.starts_with("HTTP/1.1 200 OK\r\n") && answers.ends_with("\r\n\r\nhi"),
        "{answers}"
    );
}
