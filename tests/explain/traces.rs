//! What people have in hand: curl's traces, files, our own log.

use std::process::{Command, Output, Stdio};

use cos_auth_proxy::explain::{Cause, Explanation, Input, Unusable, explain, show};

use proptest::prelude::*;

use crate::signed::{Known, Request, evidence, named, xml};

/// A request whose plus became a space on its way, and COS's answer.
fn failed() -> (Known, String) {
    let known = named("py02-put-unicode-space-plus");
    let mut arrived = known.request.clone();
    arrived.path = arrived.path.replace("%2B", "%20");
    let now = known.starts_at + 10;
    let error = arrived.refused(&known.accounts, now).unwrap();
    (known, xml(&error, now))
}

fn verbose(request: &Request, body: &str) -> String {
    format!(
        "*   Trying 127.0.0.1:80...\n* Connected\n{}* upload completely sent off\n\
         < HTTP/1.1 403 Forbidden\r\n< Content-Type: application/xml\r\n\
         < Date: Tue, 14 Nov 2023 22:13:30 GMT\r\n< x-cos-request-id: x\r\n< \r\n\
         {{ [700 bytes data]\n{body}* Connection #0 to host h left intact\n",
        request.text("> ")
    )
}

/// As `--trace` writes a block: sixteen bytes a line.
fn hexadecimal(title: &str, bytes: &[u8]) -> String {
    let mut text = format!("{title}, {} bytes (0x{:x})\n", bytes.len(), bytes.len());
    for (number, line) in bytes.chunks(16).enumerate() {
        let columns: String = line.iter().map(|byte| format!("{byte:02x} ")).collect();
        let shown: String = line.iter().map(|byte| printable(*byte)).collect();
        text.push_str(&format!("{:04x}: {columns:<48}{shown}\n", number * 16));
    }
    text
}

/// As `--trace-ascii` writes a block: 64 bytes a line, a line end wherever there is one.
fn ascii(title: &str, bytes: &[u8]) -> String {
    let mut text = format!("{title}, {} bytes (0x{:x})\n", bytes.len(), bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let line_end = rest.windows(2).position(|pair| pair == b"\r\n");
        let shown = line_end.unwrap_or(rest.len()).min(64);
        let line: String = rest[..shown].iter().map(|byte| printable(*byte)).collect();
        text.push_str(&format!("{at:04x}: {line}\n"));
        at += shown + if line_end == Some(shown) { 2 } else { 0 };
    }
    text
}

fn printable(byte: u8) -> char {
    if (0x20..0x7f).contains(&byte) { char::from(byte) } else { '.' }
}

fn trace(request: &Request, body: &str, block: fn(&str, &[u8]) -> String) -> String {
    let mut text = "== Info: Connected\n".to_owned();
    text += &block("=> Send header", request.text("").as_bytes());
    text += &block("=> Send data", b"hello");
    text += &block("<= Recv header", b"HTTP/1.1 403 Forbidden\r\n");
    text += &block("<= Recv header", b"Date: Tue, 14 Nov 2023 22:13:30 GMT\r\n");
    text += &block("<= Recv header", b"\r\n");
    text += &block("<= Recv data", body.as_bytes());
    text + "== Info: Connection #0 left intact\n"
}

#[track_caller]
fn told(text: &str) -> Explanation {
    explain(Input::read(text.as_bytes()).unwrap().evidence(None))
}

#[test]
fn every_form_of_a_curl_trace_leads_to_the_same_cause() {
    let (known, body) = failed();
    let offset = {
        let ours = evidence(&known.request, &body);
        explain(ours).difference.unwrap().offset
    };
    for text in [
        verbose(&known.request, &body),
        trace(&known.request, &body, hexadecimal),
        trace(&known.request, &body, ascii),
        known.request.text("") + "HTTP/1.1 403 Forbidden\r\n\r\n" + &body,
        known.request.text("").replace("\r\n", "\n") + &body,
    ] {
        let told = told(&text);
        let first = told.difference.as_ref().unwrap();
        assert_eq!((told.finding.cause, first.offset), (Cause::PlusInPath, offset), "{text}");
        assert!(!show(&told, 80).contains("TOKEN"), "{text}");
    }
}

#[test]
fn an_ascii_trace_says_that_bytes_are_missing_and_finds_the_others() {
    let (known, body) = failed();
    let told = told(&trace(&known.request, &body, ascii));
    assert!(told.notes.iter().any(|note| note.contains("curl --trace FILE")), "{told:?}");
    assert!(told.also.is_empty(), "{told:?}");
}

#[test]
fn the_last_request_of_a_trace_counts_and_its_date_is_the_clock() {
    let (known, _) = failed();
    let error = "<Error><Code>RequestTimeTooSkewed</Code><Message>m</Message></Error>";
    let first = verbose(&named("py01-get-plain").request, "<Error><Code>NoSuchKey</Code></Error>");
    let told = told(&(first + &verbose(&known.request, error)));
    assert_eq!(told.finding.cause, Cause::ClockSkew);
    assert!(told.finding.what.contains("2023-11-14T22:13:30Z"), "{told:?}");
    assert_eq!(told.evidence.refusal.status, 403);
}

#[test]
fn what_is_missing_is_said() {
    let (known, body) = failed();
    let head = |method: &str| Request { method: method.to_owned(), ..known.request.clone() };
    let mut unsigned = known.request.clone();
    unsigned.without("authorization");
    let mut without_list = known.request.clone();
    let value = without_list.header("authorization");
    *value = value.replace("q-url-param-list=", "q-list=");
    let own =
        verbose(&unsigned, &body).replace("x-cos-request-id: x", "x-cos-auth-proxy-error: no-key");
    let warning = r#"{"level":"WARN","target":"cos_auth_proxy::signature","request_id":"NjV","code":"SignatureDoesNotMatch"}"#;
    for (text, expected) in [
        (String::new(), Unusable::NoRequest),
        ("hello\n".to_owned(), Unusable::NoRequest),
        (body.clone(), Unusable::NoRequest),
        (verbose(&unsigned, &body), Unusable::NoSignature),
        (verbose(&without_list, &body), Unusable::BadSignature { field: "q-url-param-list" }),
        (verbose(&known.request, ""), Unusable::NoError),
        (verbose(&head("HEAD"), ""), Unusable::NoErrorToHead),
        (own, Unusable::OfTheProxy { reason: "no-key".to_owned() }),
        (warning.to_owned(), Unusable::OnlyWarning { request_id: "NjV".to_owned() }),
    ] {
        assert_eq!(Input::read(text.as_bytes()).unwrap_err(), expected, "{text}");
    }
}

#[test]
fn a_pre_signed_url_is_explained_too() {
    let vectors = crate::signed::vectors();
    for presigned in vectors["presigned"].as_array().unwrap() {
        let url = presigned["url"].as_str().unwrap().strip_prefix("https://").unwrap();
        let (host, target) = url.split_once('/').unwrap();
        let head = format!("GET /{target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let signed = presigned["http_string"].as_str().unwrap();
        let error = xml(&crate::signed::mismatch(&signed.replace("a+b", "a b"), ""), 0);
        let told = told(&(head + &error));
        assert_eq!(told.finding.cause, Cause::PlusInPath, "{told:?}");
        assert!(told.also.is_empty(), "{told:?}");
        assert!(!format!("{told:?}").contains("TOKEN"), "{told:?}");
    }
}

fn run(arguments: &[&str], input: &str) -> Output {
    use std::io::Write as _;
    let mut child = Command::new(env!("CARGO_BIN_EXE_cos-auth-proxy"))
        .args(arguments)
        .env_clear()
        .env("COLUMNS", "80")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that does not want the input closes the pipe.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_page_for_people_stays_as_it_is() {
    let (known, body) = failed();
    let output = run(&["explain-signature", "-"], &verbose(&known.request, &body));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let shown = text(&output.stdout);
    assert_eq!(shown, include_str!("golden/plus-in-path.txt"), "it is now:\n{shown}");
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    assert!(!shown.contains('\u{1b}'), "{shown}");
}

#[test]
fn files_and_json_are_for_programs() {
    let (known, body) = failed();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (request, error) = (file("request", &known.request.text("")), file("error", &body));
    let apart = ["explain-signature", "--request", &request, "--error", &error, "--json"];
    let output = run(&apart, "");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["finding"]["cause"], "plus-in-path");
    assert_eq!(json["difference"]["part"], "path");
    assert!(json["evidence"]["refusal"]["format_string"].as_str().unwrap().starts_with("put\n/"));
    assert!(!text(&output.stdout).contains("TOKEN"));
    let signature = known
        .request
        .clone()
        .header("authorization")
        .split("q-signature=")
        .last()
        .unwrap()
        .to_owned();
    assert!(!text(&output.stdout).contains(&signature));
}

#[test]
fn an_input_that_cannot_be_used_ends_with_64_and_says_what_is_missing() {
    let (known, _) = failed();
    let folder = tempfile::tempdir().unwrap();
    let request = folder.path().join("request");
    std::fs::write(&request, known.request.text("")).unwrap();
    let request = request.to_str().unwrap();
    for (arguments, input, expected) in [
        (&["explain-signature"][..], "", "nothing to explain: give --last"),
        (&["explain-signature", "--last", "-"], "", "give one of"),
        (&["explain-signature", "--request", request], "", "--request needs --error"),
        (&["explain-signature", "--error", request], "", "--error needs --request"),
        (&["explain-signature", "-"], "", "the trace is empty"),
        (&["explain-signature", "-"], "hello", "no request was found"),
        (&["explain-signature", "PlantedSecret"], "", "the trace cannot be read"),
        (&["explain-signature", "--request", request, "--error", request], "", "no error of COS"),
        (&["explain-signature", "--laast"], "", "did you mean --last?"),
    ] {
        let output = run(arguments, input);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{arguments:?} {said}");
        assert!(said.contains(expected), "{arguments:?} {said}");
        assert!(!said.contains("Planted"), "{said}");
    }
}

#[test]
fn the_configured_key_can_be_tried_and_is_never_shown() {
    let known = named("py21-no-token");
    let secret = crate::signed::vectors()["vectors"][0]["secret_key"].as_str().unwrap().to_owned();
    let now = known.starts_at + 10;
    let other = crate::signed::accounts(&known.secret_id, "AnotherSecretKey", None);
    let error = xml(&known.request.refused(&other, now).unwrap(), now);
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let trace = file("trace", &verbose(&known.request, &error));
    let (id, key) = (file("id", &known.secret_id), file("key", &secret));
    let mut arguments = vec!["explain-signature", &trace, "--check-key"];
    arguments.extend(["--bucket", "examplebucket-1250000000", "--region", "ap-guangzhou"]);
    arguments.extend(["--keys-default-source", "static"]);
    arguments.extend([
        "--keys-default-secret-id-file",
        &id,
        "--keys-default-secret-key-file",
        &key,
    ]);
    let output = run(&arguments, "");
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(shown.contains("COS knows another secret"), "{shown}");
    assert!(!shown.contains(&secret), "{shown}");
    // A log or the running proxy hold no signature that could be tested.
    let kept = serde_json::to_string(&evidence(&known.request, &error)).unwrap();
    let output = run(&["explain-signature", "-", "--check-key"], &kept);
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("--check-key needs"), "{}", text(&output.stderr));
}

#[test]
fn help_fits_a_screen() {
    let help = run(&["explain-signature", "--help"], "");
    let text = text(&help.stdout);
    assert_eq!(help.status.code(), Some(0));
    assert!(text.lines().count() <= 40, "{text}");
    for word in ["--last", "--request", "--error", "--check-key", "--json"] {
        assert!(text.contains(word), "{text}");
    }
}

const ESCAPE: char = '\u{1b}';

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn no_input_whatever_ends_in_a_panic_or_moves_the_cursor(
        form in 0..4_usize,
        cut in 0..6000_usize,
        at in 0..6000_usize,
        byte: u8,
        columns in 0..200_usize,
    ) {
        let (known, body) = failed();
        let text = match form {
            0 => verbose(&known.request, &body),
            1 => trace(&known.request, &body, hexadecimal),
            2 => trace(&known.request, &body, ascii),
            _ => serde_json::to_string(&evidence(&known.request, &body)).unwrap(),
        };
        let mut bytes = text.into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(cut.max(1));
        if let Ok(input) = Input::read(&bytes) {
            let told = explain(input.evidence(None));
            let shown = show(&told, columns);
            prop_assert!(!shown.contains(ESCAPE));
            prop_assert!(shown.contains("cause: "));
        }
    }
}
