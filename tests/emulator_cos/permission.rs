//! The same store with signatures and policies checked. The signer here is written from Tencent
//! Cloud doc 436/7778 for this test alone.

use cos_auth_proxy::emulator::{
    EmulatorSettings,
    accounts::{Account, Grant, Subject, TemporaryKey},
    policy::Policy,
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::{Digest as _, Sha1};

use crate::{
    client::{Answer, HOST, Stand},
    md5_base64,
};

struct Key<'a> {
    id: &'a str,
    secret: &'a str,
    token: Option<&'a str>,
}

impl<'a> Key<'a> {
    fn of(key: &'a TemporaryKey) -> Self {
        Self { id: &key.secret_id, secret: &key.secret_key, token: Some(&key.token) }
    }

    /// Sends `method path?query` signed: everything that is sent is in the signature.
    async fn send(
        &self,
        stand: &Stand,
        line: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let (method, target) = line.split_once(' ').unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let length = body.len().to_string();
        let mut sent = vec![("host", HOST)];
        sent.extend(self.token.map(|token| ("x-cos-security-token", token)));
        if method.starts_with('P') {
            sent.push(("content-length", &length));
        }
        sent.extend(headers);
        let mut pairs: Vec<(String, String)> =
            sent.iter().map(|(name, value)| ((*name).to_owned(), encoded(value))).collect();
        pairs.sort();
        let mut parameters: Vec<(String, String)> = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (name.to_lowercase(), encoded(value)))
            .collect();
        parameters.sort();
        let now = humantime_now();
        let time = format!("{};{}", now - 60, now + 3);
        let http = format!(
            "{}\n{path}\n{}\n{}\n",
            method.to_lowercase(),
            joined(&parameters),
            joined(&pairs)
        );
        let to_sign = format!("sha1\n{time}\n{}\n", hex(&Sha1::digest(http.as_bytes())));
        let sign_key = hmac_hex(self.secret, &time);
        let authorization = format!(
            "q-sign-algorithm=sha1&q-ak={}&q-sign-time={time}&q-key-time={time}\
             &q-header-list={}&q-url-param-list={}&q-signature={}",
            self.id,
            names(&pairs),
            names(&parameters),
            hmac_hex(&sign_key, &to_sign)
        );
        let mut all: Vec<(&str, &str)> =
            sent.iter().copied().filter(|(name, _)| *name != "content-length").collect();
        all.push(("Authorization", &authorization));
        stand.send(line, &all, body).await
    }
}

fn joined(pairs: &[(String, String)]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join("&")
}

fn names(pairs: &[(String, String)]) -> String {
    let names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
    names.join(";")
}

/// Enough for what these tests send: nothing that is not ASCII.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hmac_hex(key: &str, message: &str) -> String {
    let mut hmac = Hmac::<Sha1>::new_from_slice(key.as_bytes()).unwrap();
    hmac.update(message.as_bytes());
    hex(&hmac.finalize().into_bytes())
}

fn humantime_now() -> u64 {
    cos_auth_proxy::clock::Clock::system().now().unix_seconds()
}

async fn stand() -> Stand {
    let stand = Stand::with(EmulatorSettings::default()).await;
    stand.emulator.accounts().add_account(Account::example("AKIDowner", "ownersecret"));
    stand
}

const OWNER: Key<'_> = Key { id: "AKIDowner", secret: "ownersecret", token: None };

#[tokio::test]
async fn only_signed_requests_are_served_and_a_refusal_explains_itself() {
    let stand = stand().await;
    OWNER.send(&stand, "PUT /k", &[("x-cos-meta-a", "b c")], b"v").await.ok();
    assert_eq!(OWNER.send(&stand, "GET /k", &[], b"").await.ok().body, b"v");
    let list = OWNER.send(&stand, "GET /?prefix=k&max-keys=5", &[], b"").await.ok();
    assert_eq!(list.one("Size"), "1");
    stand.get("/k").await.refused(403, "AccessDenied");
    let stranger = Key { id: "AKIDnobody", ..OWNER };
    stranger.send(&stand, "GET /k", &[], b"").await.refused(403, "InvalidAccessKeyId");
    let forger = Key { secret: "wrong", ..OWNER };
    let refused = forger.send(&stand, "GET /k?acl", &[], b"").await;
    refused.refused(403, "SignatureDoesNotMatch");
    assert_eq!(refused.one("FormatString"), format!("get\n/k\nacl=\nhost={HOST}\n"));
    assert!(refused.one("StringToSign").starts_with("sha1\n"));
    let head = forger.send(&stand, "HEAD /k", &[], b"").await;
    assert_eq!((head.status, head.body.len()), (403, 0));
    let verdicts: Vec<_> = stand.emulator.seen().since(5);
    assert_eq!(verdicts[0].verdict, "SignatureDoesNotMatch");
    assert_eq!(verdicts[0].secret_id.as_deref(), Some("AKIDowner"));
}

#[tokio::test]
async fn a_temporary_key_does_what_its_policy_allows_and_no_more() {
    let stand = stand().await;
    OWNER.send(&stand, "PUT /in/a", &[], b"a").await.ok();
    OWNER.send(&stand, "PUT /out/a", &[], b"a").await.ok();
    let policy = r#"{"version":"2.0","statement":[
        {"effect":"allow","action":["name/cos:GetObject","name/cos:PutObject","name/cos:DeleteObject"],
         "resource":["qcs::cos:ap-guangzhou:uid/1250000000:examplebucket-1250000000/in/*"]},
        {"effect":"allow","action":["name/cos:GetBucket"],
         "resource":["qcs::cos:ap-guangzhou:uid/1250000000:examplebucket-1250000000/in/*"]}]}"#;
    let key = stand.emulator.accounts().issue(
        Grant {
            uin: "100000000001",
            appid: "1250000000",
            policy: Some(Policy::parse(policy).unwrap()),
            duration: 1800,
            subject: Subject::Federated("test".into()),
        },
        humantime_now(),
    );
    let key = Key::of(&key);
    key.send(&stand, "GET /in/a", &[], b"").await.ok();
    key.send(&stand, "PUT /in/b", &[], b"b").await.ok();
    key.send(&stand, "GET /?prefix=in/", &[], b"").await.ok();
    let denied = key.send(&stand, "GET /out/a", &[], b"").await;
    denied.refused(403, "AccessDenied");
    assert_eq!(denied.one("Message"), "Access Denied.");
    assert!(humantime_like(denied.one("ServerTime")));
    key.send(&stand, "GET /", &[], b"").await.refused(403, "AccessDenied");
    key.send(&stand, "GET /?prefix=out/", &[], b"").await.refused(403, "AccessDenied");
    key.send(&stand, "POST /in/a?uploads", &[], b"").await.refused(403, "AccessDenied");
    // A copy needs the right to read its source.
    let source = format!("{HOST}/out/a");
    let source = [("x-cos-copy-source", source.as_str())];
    key.send(&stand, "PUT /in/c", &source, b"").await.refused(403, "AccessDenied");
    // Each key of a multi-delete is judged by itself.
    let document =
        b"<Delete><Object><Key>in/a</Key></Object><Object><Key>out/a</Key></Object></Delete>";
    let md5 = md5_base64(document);
    let digest = [("content-md5", md5.as_str())];
    let told = key.send(&stand, "POST /?delete", &digest, document).await.ok();
    assert_eq!(told.all("Code"), ["AccessDenied"]);
    assert_eq!(told.all("Key"), ["in/a", "out/a"]);
    OWNER.send(&stand, "GET /out/a", &[], b"").await.ok();
    OWNER.send(&stand, "GET /in/a", &[], b"").await.refused(404, "NoSuchKey");
    let foreign = Key { token: Some("other"), ..key };
    foreign.send(&stand, "GET /in/b", &[], b"").await.refused(403, "InvalidAccessKeyId");
}

#[tokio::test]
async fn a_key_of_another_account_is_denied() {
    let stand = stand().await;
    let stranger = Account {
        appid: "1259999999".into(),
        ..Account::example("AKIDstranger", "strangersecret")
    };
    stand.emulator.accounts().add_account(stranger);
    let stranger = Key { id: "AKIDstranger", secret: "strangersecret", token: None };
    stranger.send(&stand, "GET /", &[], b"").await.refused(403, "AccessDenied");
}

fn humantime_like(text: &str) -> bool {
    humantime::parse_rfc3339(text).is_ok()
}
