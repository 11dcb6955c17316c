//! Which route decides, and what a refusal says.

use cos_auth_proxy::proxy::{Gate, PathStyle, ProxySettings, Reason, RouteSettings};

use crate::{
    requests::{BUCKETS, Spelled, host_of, route},
    stand::settings,
};

/// The key set that signs `line`, such as `GET /a`; or why none does.
fn judge(gate: &Gate, line: &str, lines: &str, body: &str) -> Result<usize, String> {
    ask(gate, "localhost:9000", line, lines, body)
}

fn ask(gate: &Gate, host: &str, line: &str, lines: &str, body: &str) -> Result<usize, String> {
    let (method, target) = line.split_once(' ').unwrap();
    let methods = ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"];
    let spelled = Spelled {
        method: methods.into_iter().find(|known| *known == method).unwrap(),
        host: host.to_owned(),
        target: target.to_owned(),
        lines: lines.to_owned(),
        body: body.to_owned(),
    };
    spelled.admitted(gate).map_err(|refused| {
        assert_eq!(refused.reason, Reason::RouteDenied, "{line}: {}", refused.message);
        refused.message.into_owned()
    })
}

fn gate(routes: &[RouteSettings]) -> Gate {
    Gate::new(&settings(routes))
}

#[test]
fn the_longest_prefix_decides_and_within_it_the_first_route_that_allows() {
    let gate = gate(&[
        route(0, "", &["read"], 0),
        route(0, "a/", &["list"], 0),
        route(0, "a/", &["name/cos:GetObject"], 1),
        route(0, "a/", &["read", "write"], 2),
        route(0, "a/b", &[], 0),
    ]);
    for (line, expected) in [
        ("GET /x", Ok(0)),
        ("GET /a", Ok(0)),
        ("PUT /x", Err(())),
        ("GET /a/x", Ok(1)),
        ("GET /a%2Fx", Ok(1)),
        ("HEAD /a/x", Ok(2)),
        ("PUT /a/x", Ok(2)),
        ("PUT /a/x?partNumber=1&uploadId=u", Ok(2)),
        ("GET /a/x?uploadId=u", Ok(0)),
        ("DELETE /a/x", Err(())),
        ("GET /a/b", Err(())),
        ("GET /a/%62/c", Err(())),
        ("GET /a%252Fx", Ok(0)),
        ("GET /?prefix=a/", Ok(0)),
        ("GET /?prefix=a%2Fx&versions", Ok(0)),
        ("GET /?prefix=a/b", Err(())),
        ("GET /?prefix=a", Err(())),
        ("GET /", Err(())),
        ("HEAD /", Ok(0)),
    ] {
        assert_eq!(judge(&gate, line, "", "").map_err(drop), expected, "{line}");
    }
}

#[test]
fn buckets_are_matched_with_their_region_where_the_host_tells_one() {
    let gate = gate(&[route(0, "", &["read"], 0), route(1, "in/", &["read"], 1)]);
    let one = BUCKETS[0];
    for (host, target, expected) in [
        (host_of(0), "/k", Ok(0)),
        (host_of(1), "/in/k", Ok(1)),
        (host_of(1), "/k", Err(())),
        (format!("{}.localhost", BUCKETS[1]), "/in/k", Ok(1)),
        (format!("{one}.cos-internal.ap-guangzhou.tencentcos.cn"), "/k", Ok(0)),
        (format!("{one}.cos.accelerate.myqcloud.com"), "/k", Ok(0)),
        (format!("{one}.cos.ap-beijing.myqcloud.com"), "/k", Err(())),
        ("cos.ap-guangzhou.myqcloud.com".to_owned(), "/one-1250000000/k", Ok(0)),
        ("cos.ap-beijing.myqcloud.com".to_owned(), "/one-1250000000/k", Err(())),
        ("three-1250000000.cos.ap-guangzhou.myqcloud.com".to_owned(), "/k", Err(())),
    ] {
        let line = format!("GET {target}");
        assert_eq!(ask(&gate, &host, &line, "", "").map_err(drop), expected, "{host}{target}");
    }
    let by_path = ProxySettings {
        path_style: PathStyle::BucketKey,
        routes: vec![route(1, "in/", &["read"], 1)],
        ..settings(&[])
    };
    let gate = Gate::new(&by_path);
    assert_eq!(judge(&gate, "GET /two-1250000000/in/k", "", ""), Ok(1));
    assert!(judge(&gate, "GET /one-1250000000/in/k", "", "").is_err());
}

#[test]
fn the_configured_buckets_own_name_stands_for_it_whatever_the_endpoint() {
    let own = ProxySettings {
        endpoint: "http://{bucket}.cos.internal.example:8080".to_owned(),
        routes: vec![route(0, "in/", &["read", "write"], 0)],
        ..settings(&[])
    };
    let gate = Gate::new(&own);
    let host = format!("{}.cos.internal.example", BUCKETS[0]);
    assert_eq!(ask(&gate, &host, "GET /in/k", "", ""), Ok(0));
    assert!(ask(&gate, &host, "GET /out/k", "", "").is_err());
    let source = format!("x-cos-copy-source: /{}/in/k\r\n", BUCKETS[0]);
    assert_eq!(judge(&gate, "PUT /in/n", &source, ""), Ok(0));
    let source = format!("x-cos-copy-source: /{}/in/k\r\n", BUCKETS[1]);
    assert!(judge(&gate, "PUT /in/n", &source, "").is_err());
}

#[test]
fn what_a_request_does_besides_needs_the_same_key_set() {
    let gate = gate(&[
        route(0, "in/", &["read"], 0),
        route(0, "out/", &["read", "write", "name/cos:RenameObject"], 1),
        route(1, "", &["read"], 1),
        route(1, "a+b/", &[], 1),
    ]);
    let copy = |source: &str| format!("x-cos-copy-source: {source}\r\n");
    let two = host_of(1);
    for (line, lines, allowed) in [
        ("PUT /out/n", copy("/one-1250000000/out/a"), true),
        ("PUT /out/n", copy("one-1250000000.localhost/out/a?versionId=1"), true),
        ("PUT /out/n", copy(&format!("{two}/z")), true),
        ("PUT /out/n?partNumber=1&uploadId=u", copy(&format!("{two}/z")), true),
        ("PUT /out/n", copy("/one-1250000000/in/a"), false),
        ("PUT /out/n", copy("/one-1250000000/out/../in/a"), false),
        // COS may read the plus as a space, or not.
        ("PUT /out/n", copy(&format!("{two}/a+b/c")), false),
        ("PUT /out/n", copy(&format!("{two}/a%2Bb/c")), false),
        ("PUT /out/n?rename", "x-cos-rename-source: /out/a\r\n".to_owned(), true),
        ("PUT /out/n?rename", "x-cos-rename-source: /in/a\r\n".to_owned(), false),
        ("PUT /out/n?symlink", "x-cos-symlink-target: out/a\r\n".to_owned(), true),
        ("PUT /out/n?symlink", "x-cos-symlink-target: in/a\r\n".to_owned(), false),
        ("PUT /out/n", "pic-operations: {}\r\n".to_owned(), false),
    ] {
        let verdict = judge(&gate, line, &lines, "");
        assert_eq!(verdict.is_ok(), allowed, "{line} {lines} {verdict:?}");
    }
    let told = judge(&gate, "PUT /out/n", &copy("/one-1250000000/in/a"), "").unwrap_err();
    for part in
        ["One request is signed with one key set", "(set1)", "\"in/a\"", "name/cos:GetObject"]
    {
        assert!(told.contains(part), "{part} in {told}");
    }
}

#[test]
fn what_concerns_the_whole_bucket_needs_a_route_without_prefix() {
    let with_prefix = gate(&[route(0, "a/", &["read", "list", "write"], 0)]);
    let whole = gate(&[route(
        0,
        "",
        &["write", "name/cos:GetBucketACL", "name/cos:GetService", "name/ci:*"],
        0,
    )]);
    for line in ["GET /?acl", "POST /", "GET /a/k?ci-process=x", "GET /a/k?imageMogr2/rotate/90"] {
        assert!(judge(&with_prefix, line, "", "").is_err(), "{line}");
        assert_eq!(judge(&whole, line, "", ""), Ok(0), "{line}");
    }
    let pictures = "pic-operations: {}\r\n";
    assert!(judge(&with_prefix, "PUT /a/k", pictures, "").is_err());
    assert_eq!(judge(&whole, "PUT /a/k", pictures, ""), Ok(0));
    let ci = "one-1250000000.ci.ap-guangzhou.myqcloud.com";
    assert_eq!(ask(&whole, ci, "GET /a/k?ci-process=x", "", ""), Ok(0));
    assert_eq!(ask(&whole, "service.cos.myqcloud.com", "GET /", "", ""), Ok(0));
    assert!(ask(&with_prefix, "service.cos.myqcloud.com", "GET /", "", "").is_err());
}

#[test]
fn a_folder_is_not_deleted_or_renamed_over_an_exception() {
    let gate = gate(&[
        route(0, "", &["read", "delete", "name/cos:RenameObject"], 0),
        route(0, "a/keep/", &["read"], 0),
    ]);
    assert_eq!(judge(&gate, "DELETE /a/", "", ""), Ok(0));
    assert_eq!(judge(&gate, "DELETE /b/?recursive", "", ""), Ok(0));
    for (line, lines) in [
        ("DELETE /a/?recursive", ""),
        ("DELETE /a?recursive=", ""),
        ("PUT /b/?rename", "x-cos-rename-source: /a/\r\n"),
        ("PUT /a/?rename", "x-cos-rename-source: /b/\r\n"),
    ] {
        let told = judge(&gate, line, lines, "").unwrap_err();
        assert!(told.contains("a route with a longer prefix"), "{told}");
    }
}

#[test]
fn every_key_of_a_multi_delete_counts_also_without_the_blanks_around_it() {
    let gate = gate(&[route(0, "", &["delete"], 0), route(0, "keep/", &["read"], 0)]);
    let delete = |keys: &[&str]| {
        let objects: String =
            keys.iter().map(|key| format!("<Object><Key>{key}</Key></Object>")).collect();
        judge(&gate, "POST /?delete", "", &format!("<Delete>{objects}</Delete>"))
    };
    assert_eq!(delete(&["a", "b c"]), Ok(0));
    for keys in
        [&["a", "keep/x"][..], &[" keep/x"], &["\nkeep/x"], &["a/../keep/x"], &["&#107;eep/x"]]
    {
        assert!(delete(keys).is_err(), "{keys:?}");
    }
    let told = delete(&["a", "keep/x"]).unwrap_err();
    assert!(told.contains("\"keep/x\"") && told.contains("nothing was deleted"), "{told}");
}

#[test]
fn a_refusal_says_what_was_asked_what_there_is_and_what_to_do() {
    let gate = gate(&[route(0, "reports/", &["read", "list"], 0)]);
    let told = judge(&gate, "PUT /reports/x", "", "").unwrap_err();
    for part in [
        "name/cos:PutObject on \"reports/x\" in bucket one-1250000000",
        "Routes of one-1250000000: \"reports/\" allows read, list.",
        "[[route]]",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let told = judge(&gate, "GET /?prefix=rep", "", "").unwrap_err();
    assert!(told.contains("send the query parameter prefix=reports/"), "{told}");
    let told = ask(&gate, &host_of(1), "GET /k", "", "").unwrap_err();
    assert!(told.contains("Bucket two-1250000000 has no route"), "{told}");
    let other = "one-1250000000.cos.ap-beijing.myqcloud.com";
    let told = ask(&gate, other, "GET /reports/k", "", "").unwrap_err();
    assert!(told.contains("are for region ap-guangzhou") && told.contains("ap-beijing"), "{told}");
    let told = judge(&gate, "POST /reports/k?unknown", "", "").unwrap_err();
    assert!(told.contains("stands for no single action"), "{told}");
}

#[test]
fn without_routes_the_first_key_set_signs_everything() {
    let gate = gate(&[]);
    for line in ["GET /k", "GET /", "PUT /a/../b", "DELETE /k", "POST /k?unknown"] {
        assert_eq!(judge(&gate, line, "", ""), Ok(0), "{line}");
    }
}
