//! Takes a head through all steps of a request, up to the signed head that would be sent.

use std::{
    mem::MaybeUninit,
    sync::{Arc, LazyLock},
};

use cos_auth_proxy::{
    clock::Timestamp,
    credential::Credential,
    http1::{Body, Limits, RequestHead, read_request},
    proxy::{Allow, Composer, Gate, Operation, ProxySettings, Reason, Refused, RouteSettings},
    secret::{SecretId, SecretKey, SessionToken},
};

use super::reference::Wire;

pub(crate) const NOW: Timestamp = Timestamp::from_unix_seconds(1_700_000_030);
pub(crate) const KEY_ENDS_AT: Timestamp = Timestamp::from_unix_seconds(1_700_001_000);
pub(crate) const ID: &str = "AKIDexample";
pub(crate) const SECRET: &str = "BQYIM75p8x0iWVFSIgqEKwFprpRSVHlz";
pub(crate) const TOKEN: &str = "TOKEN+abc/def==~x";
pub(crate) const BUCKET: &str = "test-1250000000";
/// What the keys under the route begin with.
pub(crate) const PREFIX: &str = "team/";

const ROOMY: Limits = Limits { head_bytes: 64 * 1024, fields: 128, target_bytes: 16 * 1024 };

static KEY_STYLE: LazyLock<Gate> = LazyLock::new(|| Gate::new(&settings(Some(BUCKET), vec![])));
static BUCKET_STYLE: LazyLock<Gate> = LazyLock::new(|| Gate::new(&settings(None, vec![])));
static ROUTED: LazyLock<Gate> = LazyLock::new(|| Gate::new(&settings(Some(BUCKET), routes())));

/// A bare path is a key of the bucket.
pub(crate) fn key_style() -> &'static Gate {
    &KEY_STYLE
}

/// A bare path begins with the bucket.
pub(crate) fn bucket_style() -> &'static Gate {
    &BUCKET_STYLE
}

/// As [`key_style`], and only keys under [`PREFIX`] may be touched.
pub(crate) fn routed() -> &'static Gate {
    &ROUTED
}

fn settings(bucket: Option<&str>, routes: Vec<RouteSettings>) -> ProxySettings {
    let settings = ProxySettings {
        bucket: bucket.map(str::to_owned),
        region: Some("ap-guangzhou".to_owned()),
        routes,
        ..ProxySettings::default()
    };
    assert_eq!(settings.problems(), []);
    settings
}

fn routes() -> Vec<RouteSettings> {
    let words = ["read", "list", "write", "delete"].map(|word| Allow::word(word).expect("a word"));
    vec![RouteSettings {
        bucket: BUCKET.to_owned(),
        region: "ap-guangzhou".to_owned(),
        prefix: PREFIX.to_owned(),
        allow: words.into_iter().reduce(Allow::with).expect("four words"),
        keys: 0,
        keys_name: "default".to_owned(),
    }]
}

/// A request that was let through, as it would be sent.
pub(crate) struct Sent {
    pub(crate) operation: Operation,
    pub(crate) head: Vec<u8>,
    pub(crate) wire: Wire,
    /// The target as it stands in the signed head.
    pub(crate) target: Vec<u8>,
}

/// Takes one raw head through all steps; `Err` is why it was refused. What is let through is checked
/// as any signed head must be: well-formed for our own strict reader, signed as the second reading
/// of the documentation wants it, and framed as we said.
pub(crate) fn send(gate: &Gate, raw: &[u8]) -> Result<Sent, Reason> {
    let mut slots = [const { MaybeUninit::uninit() }; 128];
    let head =
        read_request(raw, &mut slots, &ROOMY).map_err(|fault| Refused::from(fault).reason)?;
    send_head(gate, &head)
}

fn send_head(gate: &Gate, head: &RequestHead<'_, '_>) -> Result<Sent, Reason> {
    let admitted = gate.admit(head).map_err(|refused| refused.reason)?;
    let key = key();
    let mut composer = Composer::default();
    let composed = composer.compose(&admitted, head, &key, None, Vec::new());
    let outbound = composed.map_err(|refused| refused.reason)?;
    let signed = composer.sign(outbound, &key, NOW);
    let wire = Wire::parse(signed.head());
    wire.verify(SECRET, NOW.unix_seconds());

    let mut slots = [const { MaybeUninit::uninit() }; 128];
    let sent = read_request(signed.head(), &mut slots, &ROOMY);
    let sent = sent.unwrap_or_else(|fault| {
        panic!("what is sent is no clear head: {fault}: {}", signed.head().escape_ascii())
    });
    assert_eq!(sent.method, head.method);
    assert_eq!(sent.body, signed.body());
    let empty = |body| matches!(body, Body::None | Body::Length(0));
    assert!(sent.body == head.body || (empty(sent.body) && empty(head.body)), "{:?}", sent.body);
    let target = sent.target.to_vec();
    Ok(Sent { operation: admitted.operation, wire, target, head: signed.into_buffer() })
}

fn key() -> Arc<Credential> {
    Arc::new(Credential {
        id: SecretId::new(ID).expect("an id"),
        secret: SecretKey::new(SECRET).expect("a secret"),
        token: Some(SessionToken::new(TOKEN).expect("a token")),
        expires_at: Some(KEY_ENDS_AT),
        received_at: NOW,
    })
}
