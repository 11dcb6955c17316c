//! Routes on the wire: nothing that they refuse reaches upstream, and each key set stands alone.

use std::time::Duration;

use cos_auth_proxy::{
    credential::Credential,
    proxy::{Allow, RouteSettings},
    secret::{SecretId, SecretKey},
};

use super::house::{House, Plan, field, reason, status};

const BUCKET: &str = "examplebucket-1250000000";

fn route(prefix: &str, words: &[&str], keys: usize) -> RouteSettings {
    let allow =
        words.iter().fold(Allow::default(), |all, word| all.with(Allow::word(word).unwrap()));
    RouteSettings {
        bucket: BUCKET.to_owned(),
        region: "ap-guangzhou".to_owned(),
        prefix: prefix.to_owned(),
        allow,
        keys,
        keys_name: format!("set{keys}"),
    }
}

async fn open(routes: Vec<RouteSettings>) -> House {
    let mut plan = Plan::usual();
    plan.proxy.routes = routes;
    plan.proxy.domains = vec!["files.example.org".to_owned()];
    plan.open().await
}

/// Request line, further header lines, body.
const REFUSED: &[(&str, &str, &str)] = &[
    ("GET /other/a", "", ""),
    ("HEAD /other/a", "", ""),
    ("GET /in/secret/a", "", ""),
    ("GET /in%2Fsecret%2Fa", "", ""),
    ("GET /in/%2e%2e/other/a", "", ""),
    ("GET /in/../in/a", "", ""),
    ("GET /in", "", ""),
    ("GET /", "", ""),
    ("GET /?prefix=", "", ""),
    ("GET /?prefix=i", "", ""),
    ("GET /?prefix=in%2Fsecret%2F", "", ""),
    ("GET /?Prefix=in/", "", ""),
    ("GET /?acl", "", ""),
    ("PUT /?acl", "x-cos-acl: private\r\n", ""),
    ("DELETE /", "", ""),
    ("GET /in/a?acl", "", ""),
    ("GET /in/a?imageMogr2/thumbnail/!50p", "", ""),
    ("PUT /in/a", "Pic-Operations: {}\r\n", ""),
    ("POST /in/a?unknown", "", ""),
    ("PUT /in/a", "x-cos-copy-source: /examplebucket-1250000000/other/a\r\n", ""),
    ("PUT /in/a", "x-cos-copy-source: /examplebucket-1250000000/in/secret%2Fa\r\n", ""),
    ("PUT /in/a", "x-cos-copy-source: /otherbucket-1250000000/in/a\r\n", ""),
    ("PUT /in/a", "x-cos-copy-source: files.example.org/in/a\r\n", ""),
    ("PUT /in/a?symlink", "x-cos-symlink-target: other/a\r\n", ""),
    ("PUT /in/a?rename", "x-cos-rename-source: /in/b\r\n", ""),
    ("DELETE /in/?recursive", "", ""),
    ("POST /", "Content-Type: multipart/form-data; boundary=x\r\n", "--x--"),
    (
        "POST /?delete",
        "Content-MD5: ePbrFwvNFIRnzBrIv+T8Ag==\r\n",
        "<Delete><Object><Key>other/a</Key></Object></Delete>",
    ),
    (
        "POST /?delete",
        "",
        "<Delete><Object><Key>in/a</Key></Object><Object><Key>in/secret/a</Key></Object></Delete>",
    ),
    ("POST /?delete", "", "<Delete><Object><Key>in/a</Key></Object><!-- --></Delete>"),
    ("POST /?delete", "", ""),
    ("GET /in/a", "Host: otherbucket-1250000000.localhost\r\n", ""),
    ("GET /in/a", "Host: examplebucket-1250000000.cos.ap-beijing.myqcloud.com\r\n", ""),
    ("GET /in/a", "Host: examplebucket-1250000000.cos-website.ap-guangzhou.myqcloud.com\r\n", ""),
    ("GET /in/a", "Host: examplebucket-1250000000.ci.ap-guangzhou.myqcloud.com\r\n", ""),
    ("GET /in/a", "Host: files.example.org\r\n", ""),
    ("GET /", "Host: service.cos.myqcloud.com\r\n", ""),
    ("GET /jobs", "Host: 100000000001.cos-control.ap-guangzhou.myqcloud.com\r\n", ""),
];

#[tokio::test]
async fn what_no_route_allows_is_refused_before_anything_is_dialled() {
    let routes =
        vec![route("in/", &["read", "list", "write", "delete"], 0), route("in/secret/", &[], 0)];
    let house = open(routes).await;
    let mut client = house.client().await;
    for (line, headers, body) in REFUSED {
        let host = if headers.starts_with("Host:") { "" } else { "Host: localhost\r\n" };
        let length = if body.is_empty() {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        client.write(format!("{line} HTTP/1.1\r\n{host}{headers}{length}\r\n{body}")).await;
        let head = client.head().await;
        let length = field(&head, "content-length").unwrap().parse().unwrap();
        let told = if line.starts_with("HEAD") { Vec::new() } else { client.exactly(length).await };
        let told = String::from_utf8(told).unwrap();
        assert_eq!(reason(&head), Some("route-denied"), "{line} {headers}\n{head}");
        assert_eq!(status(&head), 403);
        assert_eq!(field(&head, "connection"), None, "{line}: the connection stays");
        assert!(told.is_empty() || told.contains("<Code>AccessDenied</Code>"), "{told}");
    }
    assert!(!house.upstream_is_called().await, "something reached upstream");
}

#[tokio::test]
async fn a_path_that_collapses_is_refused_for_every_method() {
    let house = open(vec![route("", &["read", "write"], 0)]).await;
    let mut client = house.client().await;
    client.write("PUT //?acl HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let (head, _) = client.message().await;
    assert_eq!(reason(&head), Some("path-collapses"));
    assert!(!house.upstream_is_called().await);
}

#[tokio::test]
async fn the_keys_of_a_multi_delete_are_read_although_its_digest_is_there() {
    let house = open(vec![route("in/", &["delete"], 0)]).await;
    let mut client = house.client().await;
    let body = "<Delete><Object><Key>in/a&amp;b</Key></Object></Delete>";
    let head = format!(
        "POST /?delete HTTP/1.1\r\nHost: localhost\r\nContent-MD5: client+digest==\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    client.write(head.as_bytes()).await;
    let (first, rest) = body.split_at(20);
    client.write(first).await;
    client.write(rest).await;
    let mut upstream = house.upstream().await;
    let (sent, read) = upstream.message().await;
    assert_eq!(field(&sent, "content-md5"), Some("client+digest=="));
    assert_eq!(read, body.as_bytes());
    upstream.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(status(&client.message().await.0), 200);

    let large = "POST /?delete HTTP/1.1\r\nHost: localhost\r\nContent-MD5: x\r\nContent-Length: 1048577\r\n\r\n";
    client.write(large).await;
    let (head, told) = client.message().await;
    assert_eq!(reason(&head), Some("held-body-too-large"));
    assert!(String::from_utf8(told).unwrap().contains("Delete fewer keys at once"));
}

#[tokio::test]
async fn a_key_set_without_a_key_stops_no_request_of_another() {
    let routes = vec![
        route("one/", &["read"], 0),
        route("two/", &["read", "delete"], 1),
        route("both/", &["name/cos:PutObject"], 0),
        route("both/", &["name/cos:PutObject"], 1),
    ];
    let house = open(routes).await;
    let mut client = house.client().await;
    client.write("GET /two/a HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let (head, _) = client.message().await;
    assert_eq!((status(&head), reason(&head)), (503, Some("no-key")));
    assert!(!house.upstream_is_called().await);

    let signed_with = async |client: &mut super::house::Wire, request: &str| {
        client.write(request).await;
        let mut upstream = house.upstream().await;
        let head = upstream.head().await;
        upstream.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
        assert_eq!(status(&client.message().await.0), 200);
        let authorization = field(&head, "authorization").unwrap();
        authorization.split('&').find_map(|part| part.strip_prefix("q-ak=")).unwrap().to_owned()
    };
    let one = signed_with(&mut client, "GET /one/a HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(one.starts_with("AKIDwiretest"), "{one}");

    let now = cos_auth_proxy::clock::Clock::system().now();
    house.second.publish(Credential {
        id: SecretId::new("AKIDsecondsecondsecond").unwrap(),
        secret: SecretKey::new("anothersecret").unwrap(),
        token: None,
        expires_at: Some(now + Duration::from_secs(3600)),
        received_at: now,
    });
    let two = signed_with(&mut client, "GET /two/a HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert_eq!(two, "AKIDsecondsecondsecond");
    // The first route is of the first key set, which cannot read the source.
    let copy = "PUT /both/a HTTP/1.1\r\nHost: localhost\r\nx-cos-copy-source: /examplebucket-1250000000/two/a\r\n\r\n";
    assert_eq!(signed_with(&mut client, copy).await, "AKIDsecondsecondsecond");
    let body = "<Delete><Object><Key>two/a</Key></Object></Delete>";
    let delete = format!(
        "POST /?delete HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    assert_eq!(signed_with(&mut client, &delete).await, "AKIDsecondsecondsecond");
}
