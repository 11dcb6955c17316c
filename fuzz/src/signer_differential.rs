//! Our signatures beside the emulator's verifiers, which are written from the documentation and
//! share no code with the signer.
//!
//! The input is text: a line `METHOD path?query`, then header lines; behind a blank line, a body.

use std::sync::LazyLock;

use cos_auth_proxy::{
    clock::Timestamp,
    emulator::{
        accounts::{Account, Accounts, Subject, TemporaryKey},
        tc3_check,
        verify::{self, Seen},
    },
    secret::{SecretId, SecretKey},
    sign::{
        cos::{Scratch, SigningKey, ToSign, Window},
        tc3,
    },
};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{
    cuts::Draw,
    gates::{self, BUCKET, ID, KEY_ENDS_AT, NOW, SECRET, TOKEN},
    plain::{is_token, split},
};

/// Shorter than a block of the hash, as long as real ones, longer than a block.
const SECRETS: [(&str, &str); 3] = [
    ("AKIDshort", "s"),
    ("AKIDusual", SECRET),
    ("AKIDlong", "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"),
];

/// Signs whatever can be signed in the text, in three ways.
pub fn check(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let request = Text::split(&text);
    // Others cannot be sent.
    if !is_token(request.method.as_bytes()) {
        return;
    }
    cos_signature(&request, Draw::from(bytes).below(3));
    api_signature(&request, &mut Draw::from(bytes));
    whole_request(&request);
}

/// The text in its parts.
struct Text<'t> {
    method: &'t str,
    path: &'t str,
    query: &'t str,
    headers: Vec<(&'t str, &'t str)>,
    body: &'t str,
}

impl<'t> Text<'t> {
    fn split(text: &'t str) -> Self {
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let mut lines = head.lines();
        let (method, target) = lines.next().and_then(|l| l.split_once(' ')).unwrap_or(("", ""));
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let headers = lines.filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(name, value)| (name, value.trim_matches([' ', '\t'])));
        Self { method, path, query, headers: headers.collect(), body }
    }

    /// The headers that can be sent besides those of the signature itself.
    fn sent(&self) -> Vec<(HeaderName, HeaderValue)> {
        let own = ["host", "authorization", "x-cos-security-token", "x-ci-security-token"];
        let sendable = |(name, value): &(&str, &str)| {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            let value = HeaderValue::from_bytes(value.as_bytes()).ok()?;
            (!own.contains(&name.as_str())).then_some((name, value))
        };
        self.headers.iter().filter_map(sendable).collect()
    }

    fn host(&self) -> &'t str {
        let host = self.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
        host.map_or(BUCKET, |(_, value)| value)
    }
}

static KNOWN: LazyLock<Accounts> = LazyLock::new(|| {
    let accounts = Accounts::new();
    for (id, secret) in SECRETS {
        accounts.add_account(Account::example(id, secret));
    }
    // Here any list of headers may be signed; whole requests are strict.
    accounts.set_strict(false);
    accounts
});

static STRICT: LazyLock<Accounts> = LazyLock::new(|| {
    let accounts = Accounts::new();
    accounts.add_temporary(TemporaryKey {
        secret_id: ID.to_owned(),
        secret_key: SECRET.to_owned(),
        token: TOKEN.to_owned(),
        issued_at: NOW.unix_seconds(),
        expires_at: KEY_ENDS_AT.unix_seconds(),
        policy: None,
        uin: "100000000001".to_owned(),
        appid: "1250000000".to_owned(),
        subject: Subject::Federated("fuzz".to_owned()),
    });
    accounts
});

/// Every header and parameter of the text, signed and verified; with another path it must fail.
fn cos_signature(request: &Text<'_>, which: u64) {
    let parameters = parameters(request.query);
    // A query that carries a signature of its own, and names that no list can hold.
    let own = |name: &[u8]| name.is_empty() || name.starts_with(b"q-") || name == b"sign";
    if parameters.iter().any(|(name, _)| own(&form_decoded(name)) || token_name(name)) {
        return;
    }
    let (id, secret) = SECRETS[usize::try_from(which).expect("one of three")];
    let sent = request.sent();
    let host = [(&b"Host"[..], request.host().as_bytes())];
    let others = sent.iter().map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes()));
    let headers: Vec<_> = host.into_iter().chain(others).collect();

    let window = Window::covering(NOW, None);
    let signing = SigningKey::derive(&SecretKey::new(secret).expect("a secret"), window);
    let to_sign = ToSign {
        method: request.method,
        path: request.path.as_bytes(),
        parameters: &parameters,
        headers: &headers,
    };
    let mut authorization = Vec::new();
    let id = SecretId::new(id).expect("an id");
    signing.authorize(&id, &to_sign, &mut Scratch::default(), &mut authorization);

    let mut map = HeaderMap::new();
    for (name, value) in &sent {
        map.append(name, value.clone());
    }
    map.insert(header::AUTHORIZATION, HeaderValue::from_bytes(&authorization).expect("a header"));
    let Text { method, path, query, .. } = *request;
    let seen = Seen { method, path, query, headers: &map, host: request.host() };
    if let Err(error) = verify::verify(&KNOWN, &seen, NOW.unix_seconds()) {
        panic!("{error:?} for {authorization}", authorization = authorization.escape_ascii());
    }
    let elsewhere = format!("{path}x");
    let other = Seen { path: &elsewhere, ..seen };
    let refused = verify::verify(&KNOWN, &other, NOW.unix_seconds()).expect_err("another path");
    assert_eq!(refused.code, "SignatureDoesNotMatch");
}

/// The text as a call of the key service.
fn api_signature(request: &Text<'_>, draw: &mut Draw) {
    let content_type = request.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case("content-type"));
    let content_type = content_type.map_or("application/json", |(_, value)| *value);
    let sendable =
        |text: &str| HeaderValue::from_bytes(text.as_bytes()).is_ok() && text == text.trim();
    if !sendable(content_type) || !sendable(request.host()) {
        return;
    }
    let (id, secret) = SECRETS[usize::try_from(draw.below(3)).expect("one of three")];
    // Up to the end of the year 9999.
    let at = Timestamp::from_unix_seconds(draw.below(253_402_300_800));
    let unsigned = draw.below(4) == 0;
    let post = draw.below(2) == 0;
    let (method, query, body) =
        if post { ("POST", "", request.body) } else { ("GET", request.query, "") };
    let payload =
        if unsigned { tc3::Payload::Unsigned } else { tc3::Payload::Signed(body.as_bytes()) };
    let call = tc3::Call {
        method,
        query,
        host: request.host(),
        content_type,
        payload,
        at,
        service: "sts",
    };
    let id = SecretId::new(id).expect("an id");
    let authorization = tc3::authorize(&id, &SecretKey::new(secret).expect("a secret"), &call);

    let seconds = at.unix_seconds().to_string();
    let mut headers = vec![
        ("authorization", authorization.as_str()),
        ("host", request.host()),
        ("content-type", content_type),
        ("x-tc-timestamp", &seconds),
    ];
    if unsigned {
        headers.push(("x-tc-content-sha256", tc3::UNSIGNED_PAYLOAD));
    }
    let headers = headers.into_iter().map(|(name, value)| {
        let value = HeaderValue::from_bytes(value.as_bytes()).expect("a header");
        (HeaderName::from_static(name), value)
    });
    let mut map: HeaderMap = headers.collect();
    let seen = tc3_check::ApiRequest { method, query, headers: &map, body: body.as_bytes() };
    if let Err(error) = tc3_check::check(&KNOWN, &seen, "sts", at.unix_seconds()) {
        panic!("{error:?} for {authorization}");
    }
    map.insert("content-type", HeaderValue::from_static("text/x-another"));
    let other = tc3_check::ApiRequest { method, query, headers: &map, body: body.as_bytes() };
    let refused = tc3_check::check(&KNOWN, &other, "sts", at.unix_seconds());
    assert_eq!(refused.expect_err("another type").code, "AuthFailure.SignatureFailure");
}

/// The text as a request that a client sends: what the proxy would send must be signed as a bucket
/// in strict mode wants it.
fn whole_request(request: &Text<'_>) {
    let Text { method, path, query, .. } = *request;
    let between = if query.is_empty() { "" } else { "?" };
    let mut raw =
        format!("{method} {path}{between}{query} HTTP/1.1\r\nHost: {}\r\n", request.host());
    for (name, value) in &request.headers {
        if !name.eq_ignore_ascii_case("host") {
            raw.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    raw.push_str("\r\n");
    let Ok(sent) = gates::send(gates::key_style(), raw.as_bytes()) else { return };

    let head = sent.head.strip_suffix(b"\r\n\r\n").expect("a whole head");
    let mut headers = HeaderMap::new();
    for line in split(head, b"\r\n").into_iter().skip(1) {
        let colon = line.iter().position(|&b| b == b':').expect("a header line");
        let name = HeaderName::from_bytes(&line[..colon]).expect("a name");
        let value = line[colon + 1..].trim_ascii();
        headers.append(name, HeaderValue::from_bytes(value).expect("a value"));
    }
    let target = std::str::from_utf8(&sent.target).expect("a target is UTF-8");
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    // A user's own `sign` is sent on; the emulator takes any of that name for a signature.
    let unclear = |name: &[u8]| name.is_empty() || name == b"sign";
    if parameters(query).iter().any(|(name, _)| unclear(&form_decoded(name))) {
        return;
    }
    let host = std::str::from_utf8(sent.wire.only("host")).expect("a host is text");
    let seen = Seen { method, path, query, headers: &headers, host };
    if let Err(error) = verify::verify(&STRICT, &seen, NOW.unix_seconds()) {
        panic!("{error:?} for {}", sent.head.escape_ascii());
    }
}

/// The pairs of a query, as on the wire.
fn parameters(query: &str) -> Vec<(&[u8], &[u8])> {
    let pieces = query.split('&').filter(|piece| !piece.is_empty());
    let pairs = pieces.map(|piece| piece.split_once('=').unwrap_or((piece, "")));
    pairs.map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect()
}

fn token_name(name: &[u8]) -> bool {
    [&b"x-cos-security-token"[..], b"x-ci-security-token"].contains(&name)
}

fn form_decoded(wire: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    cos_auth_proxy::sign::canonical::decode_form_into(wire, &mut out);
    out
}
