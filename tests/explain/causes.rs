//! The table: what happened to a request, and what is said about it.

use cos_auth_proxy::{
    emulator::{CosError, accounts::ExpiredKeyAnswer},
    explain::{Cause, Explanation, Part, show},
};

use crate::signed::{Known, Request, accounts, evidence, explained, known, mismatch, named, xml};

/// Does the damage and explains what COS says to it.
fn after(id: &str, damage: impl FnOnce(&mut Request)) -> (Known, CosError, Explanation) {
    let known = named(id);
    let mut arrived = known.request.clone();
    damage(&mut arrived);
    let now = known.starts_at + 10;
    let error = arrived.refused(&known.accounts, now).expect("COS refuses it");
    let explanation = explained(&known.request, &error, now);
    (known, error, explanation)
}

#[test]
fn what_was_signed_is_recomputed_from_what_was_sent() {
    for known in known() {
        let error = CosError::new(403, "SignatureDoesNotMatch", "x");
        let evidence = evidence(&known.request, &xml(&error, 0));
        assert_eq!(
            evidence.signed.string_to_sign,
            known.string_to_sign,
            "{known:?}",
            known = known.request
        );
        let untouched = known.request.refused(&known.accounts, known.starts_at + 10);
        assert_eq!(untouched, None);
    }
}

/// What happened on the way, and where and as what it must be told.
struct Row {
    vector: &'static str,
    damage: fn(&mut Request),
    cause: Cause,
    part: Part,
    name: Option<&'static str>,
    /// The line up to the first byte that differs ends with this.
    before: &'static str,
}

fn row(
    vector: &'static str,
    damage: fn(&mut Request),
    cause: Cause,
    (part, name): (Part, Option<&'static str>),
    before: &'static str,
) -> Row {
    Row { vector, damage, cause, part, name, before }
}

fn change(text: &mut String, from: &str, to: &str) {
    assert!(text.contains(from), "{text} has no {from}");
    *text = text.replacen(from, to, 1);
}

const PATH: (Part, Option<&str>) = (Part::Path, None);

fn parameter(name: &'static str) -> (Part, Option<&'static str>) {
    (Part::Parameters, Some(name))
}

fn header(name: &'static str) -> (Part, Option<&'static str>) {
    (Part::Headers, Some(name))
}

fn rows() -> Vec<Row> {
    const METHOD: (Part, Option<&str>) = (Part::Method, None);
    let unicode = "py02-put-unicode-space-plus";
    vec![
        row("py17-head-bucket", |r| r.method = "GET".into(), Cause::MethodChanged, METHOD, ""),
        row("py01-get-plain", |r| r.method = "HEAD".into(), Cause::MethodChanged, METHOD, ""),
        row(unicode, |r| change(&mut r.path, "%2B", "%20"), Cause::PlusInPath, PATH, "试 a"),
        row(unicode, |r| change(&mut r.path, "%20", "+"), Cause::PlusInPath, PATH, "测试"),
        row(
            "py16-delete",
            |r| change(&mut r.path, "%20", "%2520"),
            Cause::DoubleEncoding,
            PATH,
            "/a",
        ),
        row(unicode, |r| r.path = r.path.replace('%', "%25"), Cause::DoubleEncoding, PATH, "/"),
        row(
            "py13-percent-in-key",
            |r| change(&mut r.path, "%252F", "%2F"),
            Cause::DoubleEncoding,
            PATH,
            "100%/a",
        ),
        row(
            "py13-percent-in-key",
            |r| change(&mut r.path, "%252F", "%252f"),
            Cause::EscapeCase,
            PATH,
            "/a%2",
        ),
        row(
            "py11-double-slash",
            |r| change(&mut r.path, "//", "/"),
            Cause::PathNormalised,
            PATH,
            "/a/",
        ),
        row(
            "py11-double-slash",
            |r| r.path = "/a//b///c".into(),
            Cause::PathNormalised,
            PATH,
            "///c",
        ),
        row(
            "py01-get-plain",
            |r| r.path = "/exampleobject/".into(),
            Cause::PathNormalised,
            PATH,
            "exampleobject",
        ),
        row(
            "py01-get-plain",
            |r| r.path = "/examplebucket-1250000000/exampleobject".into(),
            Cause::PathRewritten,
            PATH,
            "/example",
        ),
        row(
            "py04-get-acl",
            |r| {
                r.path = "/exampleobject%3Facl=".into();
                r.query.clear();
                r.query.push_str("acl=");
            },
            Cause::PathRewritten,
            PATH,
            "exampleobject",
        ),
        row("py01-get-plain", |r| r.path = "/ExampleObject".into(), Cause::PathChanged, PATH, "/"),
        row(
            "py05-post-uploads",
            |r| change(&mut r.path, "%20", "%0D%0A"),
            Cause::WhiteSpace,
            PATH,
            "/dir/big",
        ),
        row(
            "py06-put-part",
            |r| change(&mut r.query, "=1&", "=2&"),
            Cause::ParameterChanged,
            parameter("partnumber"),
            "partnumber=",
        ),
        row(
            "py08-list",
            |r| change(&mut r.query, "folder+", "folder%2B"),
            Cause::PlusInQuery,
            parameter("prefix"),
            "prefix=folder%2",
        ),
        row(
            "py08-list",
            |r| change(&mut r.query, "%2B", "+"),
            Cause::PlusInQuery,
            parameter("prefix"),
            "AD%90%2",
        ),
        row(
            "py08-list",
            |r| change(&mut r.query, "delimiter=%2F", "delimiter=%252F"),
            Cause::DoubleEncoding,
            parameter("delimiter"),
            "delimiter=%2",
        ),
        row(
            "py08-list",
            |r| change(&mut r.query, "marker=", "marker=%0a"),
            Cause::WhiteSpace,
            parameter("marker"),
            "marker=",
        ),
        row(
            "py04-get-acl",
            |r| change(&mut r.query, "acl=", "acl=1"),
            Cause::ParameterChanged,
            parameter("acl"),
            "acl=",
        ),
        row(
            "py01-get-plain",
            |r| change(r.header("host"), "ap-guangzhou", "ap-beijing"),
            Cause::WrongRegion,
            header("host"),
            "cos.ap-",
        ),
        row(
            "py01-get-plain",
            |r| *r.header("host") = "cdn.example.com".into(),
            Cause::WrongHost,
            header("host"),
            "host=",
        ),
        row(
            "py01-get-plain",
            |r| r.header("host").push_str(":443"),
            Cause::WrongHost,
            header("host"),
            "myqcloud.com",
        ),
        row(
            "py02-put-unicode-space-plus",
            |r| *r.header("content-type") = "application/octet-stream".into(),
            Cause::HeaderChanged,
            header("content-type"),
            "content-type=",
        ),
        row(
            "py09-range",
            |r| *r.header("range") = "bytes=0-99".into(),
            Cause::HeaderChanged,
            header("range"),
            "bytes%3D0-9",
        ),
        row(
            "py03-put-meta-utf8",
            |r| *r.header("content-length") = "10".into(),
            Cause::ContentLengthChanged,
            header("content-length"),
            "content-length=",
        ),
        row(
            "py03-put-meta-utf8",
            |r| change(r.header("x-cos-meta-note"), "héllo wörld", "héllo  wörld"),
            Cause::WhiteSpace,
            header("x-cos-meta-note"),
            "llo%20",
        ),
        row(
            "py03-put-meta-utf8",
            |r| change(r.header("x-cos-meta-note"), "é", "%C3%A9"),
            Cause::DoubleEncoding,
            header("x-cos-meta-note"),
            "note=h%",
        ),
        row(
            "py03-put-meta-utf8",
            |r| change(r.header("cache-control"), "max-age=600", "no-cache"),
            Cause::HeaderChanged,
            header("cache-control"),
            "cache-control=",
        ),
    ]
}

#[test]
fn every_change_on_the_way_is_named_at_its_first_byte() {
    for row in rows() {
        let (known, error, explanation) = after(row.vector, row.damage);
        let told = format!("{} {:?}", row.vector, explanation);
        assert_eq!(explanation.finding.cause, row.cause, "{told}");
        assert!(explanation.also.is_empty(), "{told}");
        let first = explanation.difference.as_ref().unwrap();
        assert_eq!((first.part, first.name.as_deref()), (row.part, row.name), "{told}");
        let theirs = error.format_string.unwrap();
        let equal = known.http_string.bytes().zip(theirs.bytes()).take_while(|(a, b)| a == b);
        assert_eq!(first.offset, equal.count(), "{told}");
        let ours = explanation.evidence.signed.http_string.as_bytes();
        let line = &ours[first.offset - first.column..first.offset];
        assert!(String::from_utf8_lossy(line).ends_with(row.before), "{told}");
        assert!(!format!("{explanation:?}").contains("TOKEN"), "{told}");
    }
}

/// The documentation does not say what COS tells when a listed name is missing: here it tells its
/// strings, as it does for every other difference.
#[test]
fn what_is_missing_or_too_much_is_named_from_strings() {
    let known = named("py03-put-meta-utf8");
    let strings = evidence(&known.request, &xml(&mismatch("", ""), 0)).signed;
    for (from, to, cause) in [
        ("cache-control=max-age%3D600&", "", Cause::HeaderMissing),
        ("content-length=0&", "", Cause::ContentLengthChanged),
        ("&host=", "&date=x&host=", Cause::HeaderAdded),
        ("\n\n", "\nacl=\n", Cause::ParameterAdded),
        (
            "cache-control=max-age%3D600&content-disposition",
            "content-disposition",
            Cause::HeaderMissing,
        ),
    ] {
        let theirs = strings.http_string.replacen(from, to, 1);
        assert_ne!(theirs, strings.http_string);
        let told = explained(&known.request, &mismatch(&theirs, &strings.string_to_sign), 0);
        assert_eq!(told.finding.cause, cause, "{told:?}");
    }
    let listing = named("py08-list");
    let strings = evidence(&listing.request, &xml(&mismatch("", ""), 0)).signed;
    let theirs = strings.http_string.replacen("marker=&", "", 1);
    let told = explained(&listing.request, &mismatch(&theirs, &strings.string_to_sign), 0);
    assert_eq!(told.finding.cause, Cause::ParameterMissing, "{told:?}");
    let swapped = strings.http_string.replacen("marker=&max-keys=10", "max-keys=10&marker=", 1);
    let told = explained(&listing.request, &mismatch(&swapped, &strings.string_to_sign), 0);
    assert_eq!(told.finding.cause, Cause::Order, "{told:?}");
    assert_eq!(told.difference.unwrap().part, Part::Parameters);
}

#[test]
fn what_is_missing_or_too_much_is_named_from_the_lists_and_the_message() {
    type Damage = fn(&mut Request);
    let table: [(&str, Damage, Cause, &str); 5] = [
        ("py08-list", |r| change(&mut r.query, "marker=&", ""), Cause::ParameterMissing, "marker"),
        ("py08-list", |r| r.query.push_str("&marker="), Cause::ParameterMissing, "marker"),
        ("py09-range", |r| r.without("range"), Cause::HeaderMissing, "range"),
        ("py09-range", |r| r.add("range", "bytes=0-9"), Cause::HeaderMissing, "range"),
        (
            "py03-put-meta-utf8",
            |r| r.without("content-length"),
            Cause::ContentLengthChanged,
            "content-length",
        ),
    ];
    for (id, damage, cause, name) in table {
        let (_, error, told) = after(id, damage);
        assert_eq!(error.format_string, None);
        assert_eq!(told.finding.cause, cause, "{told:?}");
        assert!(told.finding.what.contains(name), "{told:?}");
        // The same seen at the sender: it lists what it does not send.
        let mut sent = named(id).request;
        damage(&mut sent);
        let told = explained(&sent, &error, 0);
        assert_ne!(told.finding.cause, Cause::Unknown, "{told:?}");
        assert!(told.finding.what.contains(name), "{told:?}");
    }
}

#[test]
fn a_strict_bucket_names_what_is_not_signed_or_was_added() {
    let known = named("py08-list");
    known.accounts.set_strict(true);
    let now = known.starts_at + 10;
    let strict = |request: &Request| request.refused(&known.accounts, now).unwrap();
    let mut sent = known.request.clone();
    sent.add("x-cos-acl", "private");
    let told = explained(&sent, &strict(&sent), now);
    assert_eq!(told.finding.cause, Cause::HeaderNotSigned, "{told:?}");
    let told = explained(&known.request, &strict(&sent), now);
    assert_eq!(told.finding.cause, Cause::HeaderAdded, "{told:?}");
    let mut sent = known.request.clone();
    sent.query.push_str("&versions");
    let told = explained(&sent, &strict(&sent), now);
    assert_eq!(told.finding.cause, Cause::ParameterNotSigned, "{told:?}");
    assert!(told.finding.what.contains("versions"), "{told:?}");
}

#[test]
fn times_are_told_from_the_window_and_cos_s_clock() {
    let known = named("py01-get-plain");
    for (now, cause, words) in [
        (known.starts_at - 3600, Cause::ClockSkew, "1h after COS's time"),
        (known.starts_at - 60, Cause::ClockSkew, "1m after COS's time"),
        (known.ends_at + 90, Cause::WindowOver, "1m 30s before COS's time"),
    ] {
        let error = known.request.refused(&known.accounts, now).unwrap();
        let mut sent = evidence(&known.request, &xml(&error, now));
        let told = cos_auth_proxy::explain::explain(sent.clone());
        assert_eq!(told.finding.cause, cause, "{told:?}");
        assert!(told.finding.what.contains(words), "{told:?}");
        // The proxy signs right before it sends, so that an old window means a late clock.
        if cause == Cause::WindowOver {
            sent.failed_at = Some(known.starts_at + 70);
            let told = cos_auth_proxy::explain::explain(sent);
            assert_eq!(told.finding.cause, Cause::ClockSkew, "{told:?}");
            assert!(told.finding.what.contains("behind"), "{told:?}");
        }
    }
}

#[test]
fn the_end_of_a_key_is_not_taken_for_a_clock() {
    let known = named("py01-get-plain");
    let now = known.starts_at + 100;
    let mut ended = known.accounts.clone();
    for answer in [ExpiredKeyAnswer::ExpiredToken, ExpiredKeyAnswer::RequestHasExpired] {
        ended = accounts(&known.secret_id, "k", Some("TOKEN+abc/def==~x"));
        ended.set_expired_key_answer(answer);
        let cos_auth_proxy::emulator::accounts::KnownKey::Temporary(key) =
            ended.find(&known.secret_id).unwrap()
        else {
            panic!("a temporary key")
        };
        let mut key = (*key).clone();
        key.expires_at = now - 1;
        ended.add_temporary(key);
        let error = known.request.refused(&ended, now).unwrap();
        let told = explained(&known.request, &error, now);
        assert_eq!(told.finding.cause, Cause::KeyExpired, "{told:?}");
    }
    let mut without = known.request.clone();
    without.without("x-cos-security-token");
    let error = without.refused(&ended, now).unwrap();
    assert_eq!(error.code, "InvalidAccessKeyId");
    assert_eq!(explained(&without, &error, now).finding.cause, Cause::KeyUnknown);
    let id = known.secret_id.clone();
    let long = without.header("authorization").replace(&id, &format!("{id}{id}"));
    *without.header("authorization") = long;
    let error = without.refused(&ended, now).unwrap();
    assert_eq!(explained(&without, &error, now).finding.cause, Cause::TokenMissing);
}

#[test]
fn equal_strings_mean_another_secret() {
    let known = named("py01-get-plain");
    let other = accounts(&known.secret_id, "AnotherSecretKey", Some("TOKEN+abc/def==~x"));
    let now = known.starts_at + 10;
    let error = known.request.refused(&other, now).unwrap();
    let told = explained(&known.request, &error, now);
    assert_eq!((told.finding.cause, told.difference), (Cause::WrongSecret, None));
    // A time that was changed on the way is in StringToSign only.
    let mut arrived = known.request.clone();
    let changed = arrived.header("authorization").replace("1700000000", "1700000001");
    *arrived.header("authorization") = changed;
    let error = arrived.refused(&known.accounts, now).unwrap();
    let told = explained(&known.request, &error, now);
    assert_eq!(told.finding.cause, Cause::SignTimeChanged, "{told:?}");
}

#[test]
fn an_error_about_something_else_is_not_blamed_on_the_signature() {
    let known = named("py01-get-plain");
    for code in ["AccessDenied", "NoSuchKey", "SlowDown", "No\u{1b}[2J"] {
        let told = explained(&known.request, &CosError::new(403, code, "No\u{1b}[2J."), 0);
        assert_eq!(told.finding.cause, Cause::NotTheSignature, "{told:?}");
        assert!(!show(&told, 80).contains('\u{1b}'), "{told:?}");
    }
}

/// Strings that the production servers printed: they are read, and equal to themselves.
#[test]
fn strings_of_the_real_service_are_read() {
    let vectors = crate::signed::vectors();
    for observed in vectors["server_observed"].as_array().unwrap() {
        let text = |name: &str| observed[name].as_str().unwrap().to_owned();
        let known = named("nd01");
        let (format_string, to_sign) =
            (text("server_format_string"), text("server_string_to_sign"));
        let mut seen = evidence(&known.request, &xml(&mismatch(&format_string, &to_sign), 0));
        seen.signed.http_string = format_string;
        seen.signed.sign_time = to_sign.lines().nth(1).unwrap().to_owned();
        let told = cos_auth_proxy::explain::explain(seen);
        assert_eq!(told.finding.cause, Cause::WrongSecret, "{told:?}");
    }
}
