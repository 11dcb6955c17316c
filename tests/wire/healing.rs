//! Answers that blame the key: sent again where that is safe, and otherwise passed as they came.

use std::time::Duration;

use cos_auth_proxy::{
    clock::{Clock, Timestamp},
    credential::Credential,
    secret::SecretId,
};

use super::house::{House, PATIENCE, Plan, background, example_key, field, status};

const GET: &str = "GET /a.txt HTTP/1.1\r\nHost: localhost:9000\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn key(id: &str) -> Credential {
    Credential { id: SecretId::new(id).unwrap(), ..example_key(&Clock::system()) }
}

fn document(code: &str, message: &str) -> String {
    format!(
        "<?xml version='1.0' encoding='utf-8' ?>\n<Error>\n\t<Code>{code}</Code>\n\
         \t<Message>{message}</Message>\n\t<Resource>x/a.txt</Resource>\n</Error>"
    )
}

/// An error as COS sends it, `ahead` seconds ahead of this machine's clock.
fn error_at(status: u16, code: &str, message: &str, ahead: i64) -> String {
    let body = document(code, message);
    let now = Clock::system().now().unix_seconds().saturating_add_signed(ahead);
    let date = httpdate::fmt_http_date(Timestamp::from_unix_seconds(now).to_system_time());
    format!(
        "HTTP/1.1 {status} No\r\nContent-Type: application/xml\r\nContent-Length: {}\r\n\
         Date: {date}\r\nx-cos-request-id: R1\r\n\r\n{body}",
        body.len()
    )
}

fn error(status: u16, code: &str, message: &str) -> String {
    error_at(status, code, message, 0)
}

/// The id that a request was signed with, and where its window starts.
fn signer(head: &str) -> (String, i64) {
    let authorization = field(head, "authorization").unwrap();
    let part = |name: &str| {
        let found = authorization.split('&').find_map(|part| part.strip_prefix(name));
        found.unwrap().to_owned()
    };
    let (start, _) =
        part("q-sign-time=").split_once(';').map(|(s, e)| (s.to_owned(), e.to_owned())).unwrap();
    (part("q-ak="), start.parse().unwrap())
}

fn signed_by(head: &str) -> String {
    signer(head).0
}

impl House {
    fn publish(&self, id: &str) {
        self.writer.as_ref().unwrap().publish(key(id));
    }

    fn retries(&self, reason: &str) -> u64 {
        self.counter(&format!("upstream_retries_total{{reason=\"{reason}\"}}"))
    }

    fn all_retries(&self) -> u64 {
        ["stale_connection", "key_rejected", "previous_key", "clock"]
            .map(|r| self.retries(r))
            .iter()
            .sum()
    }

    fn rejections(&self) -> u64 {
        let metrics = self.registry.encode();
        let lines = metrics.lines().filter(|line| line.contains("key_rejections_total{"));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }
}

/// A house with one key, `AKIDone`, whose requests wait for another as long as a test lasts.
async fn patient() -> House {
    patiently(|_| {}).await
}

async fn patiently(change: impl FnOnce(&mut Plan)) -> House {
    let mut plan = Plan::usual();
    plan.with_key = false;
    plan.transport.key_patience = PATIENCE;
    change(&mut plan);
    let house = plan.open().await;
    house.publish("AKIDone");
    house
}

#[tokio::test]
async fn which_answers_are_healed_and_which_pass_untouched() {
    let out_of_time = "Request has expired";
    for (status_code, code, message, healed) in [
        (400, "ExpiredToken", "x", true),
        (403, "ExpiredToken", "x", true),
        (403, "InvalidAccessKeyId", "x", true),
        (400, "InvalidToken", "x", true),
        (401, "InvalidSecurityToken", "x", true),
        (404, "InvalidAccessKeyId", "x", true),
        (403, "AccessDenied", out_of_time, true),
        (403, "AccessDenied", "Access Denied.", false),
        (403, "SignatureDoesNotMatch", "x", false),
        (403, "AccessForbidden", out_of_time, false),
        (404, "NoSuchKey", "x", false),
        (412, "PreconditionFailed", "x", false),
        (500, "InternalError", "x", false),
        (503, "InvalidAccessKeyId", "x", false),
        (302, "InvalidAccessKeyId", "x", false),
        (200, "InvalidAccessKeyId", "x", false),
    ] {
        let house = patient().await;
        let mut client = house.client().await;
        client.write(GET).await;
        let mut upstream = house.upstream().await;
        assert_eq!(signed_by(&upstream.head().await), "AKIDone");
        // Swapped while the request was under way: nobody needs to be rung.
        house.publish("AKIDtwo");
        upstream.write(error(status_code, code, message)).await;
        let case = format!("{status_code} {code} {message}");
        if healed {
            assert_eq!(signed_by(&upstream.head().await), "AKIDtwo", "{case}");
            upstream.write(OK).await;
        }
        let (head, body) = client.message().await;
        let expected =
            if healed { (200, "ok".to_owned()) } else { (status_code, document(code, message)) };
        assert_eq!((status(&head), String::from_utf8(body).unwrap()), expected, "{case}");
        assert_eq!(
            (house.retries("key_rejected"), house.rejections()),
            (healed.into(), healed.into()),
            "{case}"
        );
        assert!(!house.upstream_is_called().await, "the connection served both: {case}");
    }
}

#[tokio::test]
async fn the_code_is_found_however_the_body_arrives() {
    let body = document("InvalidAccessKeyId", "x");
    let (first, second) = body.split_at(70);
    let plain = [
        format!("HTTP/1.1 403 No\r\nContent-Length: {}\r\n\r\n{first}", body.len()),
        second.to_owned(),
    ];
    let chunked = [
        format!(
            "HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{first}\r\n",
            first.len()
        ),
        format!("{:x}\r\n{second}\r\n0\r\n\r\n", second.len()),
    ];
    let bytewise = [
        "HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
        body.chars().map(|c| format!("1\r\n{c}\r\n")).collect::<String>() + "0\r\n\r\n",
    ];
    for pieces in [plain, chunked, bytewise] {
        let house = patient().await;
        let mut client = house.client().await;
        client.write(GET).await;
        let mut upstream = house.upstream().await;
        upstream.head().await;
        house.publish("AKIDtwo");
        for piece in &pieces {
            upstream.write(piece).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(signed_by(&upstream.head().await), "AKIDtwo", "{pieces:?}");
        upstream.write(OK).await;
        assert_eq!(client.message().await.1, b"ok");
    }
}

#[tokio::test]
async fn an_answer_that_ends_with_its_connection_is_judged_too() {
    let house = patient().await;
    let mut client = house.client().await;
    client.write(GET).await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    house.publish("AKIDtwo");
    upstream.write(format!("HTTP/1.1 403 No\r\n\r\n{}", document("InvalidToken", "x"))).await;
    drop(upstream);
    let mut upstream = house.upstream().await;
    assert_eq!(signed_by(&upstream.head().await), "AKIDtwo");
    upstream
        .write(format!("HTTP/1.1 403 No\r\n\r\n{}", document("AccessDenied", "Access Denied.")))
        .await;
    drop(upstream);
    let head = client.head().await;
    assert_eq!((status(&head), field(&head, "transfer-encoding")), (403, Some("chunked")));
    let body = document("AccessDenied", "Access Denied.");
    let framed = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    assert_eq!(String::from_utf8(client.exactly(framed.len()).await).unwrap(), framed);
}

#[tokio::test]
async fn a_request_waits_for_the_key_that_comes() {
    let house = patient().await;
    let mut client = house.client().await;
    client.write(GET).await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    upstream.write(error(403, "InvalidAccessKeyId", "x")).await;
    while house.rejections() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    house.publish("AKIDtwo");
    assert_eq!(signed_by(&upstream.head().await), "AKIDtwo");
    upstream.write(OK).await;
    assert_eq!(client.message().await.1, b"ok");
}

#[tokio::test]
async fn if_no_key_comes_the_answer_passes_as_it_came() {
    let house = patiently(|plan| plan.transport.key_patience = Duration::from_millis(50)).await;
    let mut client = house.client().await;
    client.write(GET).await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    let answer = error(403, "InvalidAccessKeyId", "x");
    upstream.write(&answer).await;
    let passed = client.exactly(answer.len()).await;
    assert_eq!(String::from_utf8(passed).unwrap(), answer);
    client.write(GET).await;
    upstream.head().await;
    upstream.write(OK).await;
    assert_eq!(client.message().await.1, b"ok", "both connections go on");
    assert_eq!(house.all_retries(), 0);
}

#[tokio::test]
async fn a_key_too_new_to_be_known_is_replaced_by_the_one_before() {
    let house = patient().await;
    house.publish("AKIDtwo");
    let mut client = house.client().await;
    client.write(GET).await;
    let mut upstream = house.upstream().await;
    assert_eq!(signed_by(&upstream.head().await), "AKIDtwo");
    upstream.write(error(403, "InvalidAccessKeyId", "x")).await;
    assert_eq!(signed_by(&upstream.head().await), "AKIDone");
    upstream.write(OK).await;
    assert_eq!(client.message().await.1, b"ok");
    assert_eq!((house.retries("previous_key"), house.retries("key_rejected")), (1, 0));
    assert!(house.counter("key_requests_on_previous_total") >= 1);
}

#[tokio::test]
async fn at_most_the_previous_key_and_one_fresh_one_are_tried() {
    let house = patient().await;
    house.publish("AKIDtwo");
    let mut client = house.client().await;
    client.write(GET).await;
    let mut upstream = house.upstream().await;
    for id in ["AKIDtwo", "AKIDone"] {
        assert_eq!(signed_by(&upstream.head().await), id);
        upstream.write(error(403, "InvalidAccessKeyId", "x")).await;
    }
    while house.rejections() < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    house.publish("AKIDthree");
    assert_eq!(signed_by(&upstream.head().await), "AKIDthree");
    house.publish("AKIDfour");
    upstream.write(error(400, "ExpiredToken", "the last word")).await;
    let (head, body) = client.message().await;
    assert_eq!(
        (status(&head), body),
        (400, document("ExpiredToken", "the last word").into_bytes())
    );
    assert_eq!((house.retries("previous_key"), house.retries("key_rejected")), (1, 1));
    assert_eq!(house.rejections(), 3);
}

/// How a request carries its body, and whether it may be sent again after `AKIDone` was refused.
struct Case {
    name: &'static str,
    head: String,
    body: Vec<u8>,
    replay_body_bytes: usize,
    healed: bool,
}

fn cases() -> Vec<Case> {
    let case = |name, head: &str, body: &[u8], replay_body_bytes, healed| Case {
        name,
        head: format!("{head} HTTP/1.1\r\nHost: localhost\r\n"),
        body: body.to_vec(),
        replay_body_bytes,
        healed,
    };
    let with = |mut case: Case, line: &str| {
        case.head.push_str(line);
        case
    };
    let kilobyte: Vec<u8> = (0..1024_u32).map(|i| (i * 7) as u8).collect();
    let length = "Content-Length: 1024\r\n";
    let delete = b"<Delete><Object><Key>a</Key></Object></Delete>";
    vec![
        case("no body", "DELETE /a", b"", 0, true),
        case("post without a body", "POST /a?uploads", b"", 0, true),
        with(case("no length to speak of", "PUT /a", b"", 0, true), "Content-Length: 0\r\n"),
        with(case("an upload", "PUT /a", &kilobyte, 0, false), length),
        with(case("a held upload", "PUT /a", &kilobyte, 1024, true), length),
        with(case("one byte too long to be held", "PUT /a", &kilobyte, 1023, false), length),
        with(
            case("chunked is never held", "PUT /a", b"5\r\nhello\r\n0\r\n\r\n", 1024, false),
            "Transfer-Encoding: chunked\r\n",
        ),
        with(
            case("held for its digest", "POST /?delete", delete, 0, true),
            &format!("Content-Length: {}\r\n", delete.len()),
        ),
    ]
}

#[tokio::test]
async fn only_what_was_not_sent_or_is_held_is_sent_again() {
    for Case { name, head, body, replay_body_bytes, healed } in cases() {
        let house = patiently(|plan| plan.transport.replay_body_bytes = replay_body_bytes).await;
        let mut client = house.client().await;
        client.write(format!("{head}\r\n")).await;
        client.write(&body).await;
        let mut upstream = house.upstream().await;
        let first = upstream.head().await;
        assert_eq!(upstream.exactly(body.len()).await, body, "{name}");
        house.publish("AKIDtwo");
        upstream.write(error(403, "InvalidAccessKeyId", "x")).await;
        if healed {
            let second = upstream.head().await;
            assert_eq!(signed_by(&second), "AKIDtwo", "{name}");
            assert_eq!(upstream.exactly(body.len()).await, body, "{name}");
            for line in ["content-length", "content-md5", "transfer-encoding"] {
                assert_eq!(field(&first, line), field(&second, line), "{name}");
            }
            upstream.write(OK).await;
        }
        let (answer, text) = client.message().await;
        assert_eq!(status(&answer), if healed { 200 } else { 403 }, "{name}");
        assert_eq!(house.all_retries(), u64::from(healed), "{name}");
        assert!(healed || text == document("InvalidAccessKeyId", "x").as_bytes(), "{name}");
        assert_eq!(house.rejections(), 1, "{name}");
        let held_upload = replay_body_bytes == 1024 && head.contains("Content-Length");
        assert!(!held_upload || field(&first, "content-md5").is_none(), "{name}: {first}");
        client.write(GET).await;
        upstream.head().await;
        upstream.write(OK).await;
        assert_eq!(client.message().await.1, b"ok", "{name}: the connections go on");
    }
}

#[tokio::test]
async fn a_body_that_the_client_still_keeps_is_sent_once_with_the_second_key() {
    for (expect, body) in [("Expect: 100-continue\r\n", "hello"), ("", "hello")] {
        let house = patient().await;
        let mut client = house.client().await;
        client
            .write(format!(
                "PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n{expect}\r\n"
            ))
            .await;
        let mut upstream = house.upstream().await;
        upstream.head().await;
        if !expect.is_empty() {
            assert_eq!(status(&client.head().await), 100);
        }
        house.publish("AKIDtwo");
        upstream.write(error(403, "InvalidAccessKeyId", "x")).await;
        // The first connection waits for a body that will not come: it is not used again.
        assert!(upstream.is_closed().await);
        let mut upstream = house.upstream().await;
        let head = upstream.head().await;
        assert_eq!(
            (signed_by(&head).as_str(), field(&head, "content-length")),
            ("AKIDtwo", Some("5"))
        );
        client.write(body).await;
        assert_eq!(upstream.exactly(5).await, b"hello");
        upstream.write(OK).await;
        let (head, _) = client.message().await;
        assert_eq!(status(&head), 200, "100 is said once");
    }
}

#[tokio::test]
async fn a_body_that_has_begun_is_not_sent_again() {
    let house = patient().await;
    let mut client = house.client().await;
    client.write("PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhe").await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    assert_eq!(upstream.exactly(2).await, b"he");
    house.publish("AKIDtwo");
    upstream.write(error(403, "InvalidAccessKeyId", "x")).await;
    let (head, body) = client.message().await;
    assert_eq!((status(&head), field(&head, "connection")), (403, Some("close")));
    assert_eq!(body, document("InvalidAccessKeyId", "x").as_bytes());
    assert!(!house.upstream_is_called().await);
}

#[tokio::test]
async fn errors_that_are_cut_or_endless_pass_untouched() {
    let code = document("InvalidAccessKeyId", "x");
    let (half, _) = code.split_at(60);
    let long = format!("<!--{}-->{code}", "x".repeat(20_000));
    let house = patient().await;
    house.publish("AKIDtwo");

    // Cut inside the code.
    let mut client = house.client().await;
    client.write(GET).await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    upstream.write(format!("HTTP/1.1 403 No\r\nContent-Length: 500\r\n\r\n{half}")).await;
    drop(upstream);
    assert_eq!(status(&client.head().await), 403);
    assert_eq!(client.exactly(half.len()).await, half.as_bytes());
    assert!(client.is_reset().await);

    // The same by a reset, with nothing but the end of the connection to tell the body's end.
    let mut client = house.client().await;
    client.write(GET).await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    upstream.write(format!("HTTP/1.1 403 No\r\n\r\n{half}")).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    socket2::SockRef::from(&upstream.stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(upstream);
    assert!(!client.rest().await.ends_with(b"0\r\n\r\n"), "a cut body looks cut");

    // The code comes too late.
    let mut client = house.client().await;
    client.write(GET).await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    upstream
        .write(format!("HTTP/1.1 403 No\r\nContent-Length: {}\r\n\r\n{long}", long.len()))
        .await;
    assert!(client.message().await.1 == long.as_bytes());
    assert_eq!((house.all_retries(), house.rejections()), (0, 0));
}

#[tokio::test]
async fn an_error_that_stalls_is_not_kept_back_for_ever() {
    let house = patiently(|plan| plan.transport.stall_timeout = Duration::from_millis(100)).await;
    let mut client = house.client().await;
    client.write(GET).await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    upstream.write("HTTP/1.1 403 No\r\nContent-Length: 500\r\n\r\n<Error>").await;
    assert_eq!(status(&client.head().await), 403);
    assert_eq!(client.exactly(7).await, b"<Error>");
    assert!(client.is_reset().await);
}

#[tokio::test]
async fn a_client_that_leaves_while_its_answer_is_kept_back_ends_the_request() {
    let whole = error(403, "InvalidAccessKeyId", "x");
    let half = whole.split_at(whole.len() / 2).0.to_owned();
    for sent in [half, whole] {
        let house = patient().await;
        let mut client = house.client().await;
        client.write(GET).await;
        let mut upstream = house.upstream().await;
        upstream.head().await;
        upstream.write(&sent).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        drop(client);
        assert!(upstream.is_closed().await, "{sent}");
        house.publish("AKIDtwo");
        assert!(!house.upstream_is_called().await);
    }
}

#[tokio::test]
async fn a_drain_waits_for_the_key_that_a_request_waits_for() {
    let mut house = patient().await;
    let mut client = house.client().await;
    client.write(GET).await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    upstream.write(error(403, "InvalidAccessKeyId", "x")).await;
    while house.rejections() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let writer = house.writer.take().unwrap();
    let running = house.running.take().unwrap();
    let drain = background(running.drain(PATIENCE));
    tokio::time::sleep(Duration::from_millis(20)).await;
    writer.publish(key("AKIDtwo"));
    assert_eq!(signed_by(&upstream.head().await), "AKIDtwo");
    upstream.write(OK).await;
    assert_eq!(client.message().await.1, b"ok");
    assert!(drain.await.unwrap(), "nothing was cut");
}

#[tokio::test]
async fn head_has_no_code_so_its_key_must_have_been_refused_a_moment_ago() {
    const HEAD: &str = "HEAD /a.txt HTTP/1.1\r\nHost: localhost:9000\r\n\r\n";
    const REFUSAL: &str =
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nx-cos-request-id: R\r\n\r\n";
    let house = patiently(|plan| plan.transport.key_patience = Duration::from_millis(50)).await;
    let mut client = house.client().await;
    client.write(HEAD).await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    house.publish("AKIDtwo");
    upstream.write(REFUSAL).await;
    assert_eq!(status(&client.head().await), 403, "it may be a matter of policy");

    client.write(GET).await;
    for id in ["AKIDtwo", "AKIDone"] {
        assert_eq!(signed_by(&upstream.head().await), id);
        upstream.write(error(400, "InvalidToken", "x")).await;
    }
    assert_eq!(status(&client.message().await.0), 400);

    client.write(HEAD).await;
    assert_eq!(signed_by(&upstream.head().await), "AKIDtwo");
    house.publish("AKIDthree");
    upstream.write(REFUSAL).await;
    assert_eq!(signed_by(&upstream.head().await), "AKIDthree", "the same key was refused");
    upstream.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n").await;
    assert_eq!(status(&client.head().await), 200);

    for answer in [REFUSAL, "HTTP/1.1 404 Not Found\r\n\r\n"] {
        client.write(HEAD).await;
        assert_eq!(signed_by(&upstream.head().await), "AKIDthree");
        upstream.write(answer).await;
        assert!(status(&client.head().await) >= 403, "this key was not");
    }
    assert_eq!((house.rejections(), house.all_retries()), (3, 2));
}

#[tokio::test]
async fn a_refused_time_is_corrected_by_coss_own_and_tried_once() {
    const HOUR: i64 = 3600;
    let out_of_time = ("AccessDenied", "Request has expired");
    for (code, message) in [("RequestTimeTooSkewed", "x"), out_of_time] {
        let house = patient().await;
        let mut client = house.client().await;
        client.write(GET).await;
        let mut upstream = house.upstream().await;
        let (_, first) = signer(&upstream.head().await);
        upstream.write(error_at(403, code, message, HOUR)).await;
        let (id, second) = signer(&upstream.head().await);
        assert_eq!(id, "AKIDone", "the key is not blamed");
        assert!((HOUR - 120..=HOUR + 120).contains(&(second - first)), "{first} {second}");
        // Another time would help no more: now it is COS's own.
        upstream.write(error_at(403, "RequestTimeTooSkewed", "the last word", HOUR)).await;
        let (_, body) = client.message().await;
        assert_eq!(body, document("RequestTimeTooSkewed", "the last word").into_bytes());
        assert_eq!((house.retries("clock"), house.rejections()), (1, 0));

        client.write(GET).await;
        let (_, third) = signer(&upstream.head().await);
        assert!((second..=second + 60).contains(&third), "the next request knows: {third}");
        upstream.write(OK).await;
        assert_eq!(client.message().await.1, b"ok");
    }
}

#[tokio::test]
async fn a_date_that_is_not_coss_own_is_not_believed() {
    let house = patient().await;
    let mut client = house.client().await;
    client.write(GET).await;
    let mut upstream = house.upstream().await;
    upstream.head().await;
    let answer =
        error_at(403, "RequestTimeTooSkewed", "x", 3600).replace("x-cos-request", "x-request");
    upstream.write(&answer).await;
    assert_eq!(client.message().await.1, document("RequestTimeTooSkewed", "x").into_bytes());
    assert_eq!(house.all_retries(), 0);
}
