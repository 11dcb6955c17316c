//! One raw request through all steps, checked against the reference on its way out.

use std::{mem::MaybeUninit, sync::Arc};

use cos_auth_proxy::{
    clock::Timestamp,
    credential::Credential,
    http1::{Body, Limits, read_request},
    proxy::{Composer, Gate, Operation, ProxySettings, Reason, Refused},
    secret::{SecretId, SecretKey, SessionToken},
};

use crate::reference::Wire;

pub(crate) const NOW: Timestamp = Timestamp::from_unix_seconds(1_700_000_030);
pub(crate) const SECRET: &str = "BQYIM75p8x0iWVFSIgqEKwFprpRSVHlz";
pub(crate) const TOKEN: &str = "TOKEN+abc/def==~x";
pub(crate) const COS: &str = "test-1250000000.cos.ap-guangzhou.myqcloud.com";

pub(crate) fn key() -> Arc<Credential> {
    key_with(SECRET, Some(TOKEN))
}

pub(crate) fn key_with(secret: &str, token: Option<&str>) -> Arc<Credential> {
    Arc::new(Credential {
        id: SecretId::new("AKIDexample").unwrap(),
        secret: SecretKey::new(secret).unwrap(),
        token: token.map(|t| SessionToken::new(t).unwrap()),
        expires_at: Some(Timestamp::from_unix_seconds(1_700_001_000)),
        received_at: NOW,
    })
}

/// A bucket and a region are configured: bare paths are keys.
pub(crate) fn with_bucket() -> ProxySettings {
    ProxySettings {
        bucket: Some("test-1250000000".to_owned()),
        region: Some("ap-guangzhou".to_owned()),
        ..ProxySettings::default()
    }
}

/// Only a region is configured: bare paths begin with the bucket.
pub(crate) fn without_bucket() -> ProxySettings {
    ProxySettings { bucket: None, ..with_bucket() }
}

pub(crate) struct Sent {
    pub(crate) wire: Wire,
    pub(crate) body: Body,
    pub(crate) operation: Operation,
    pub(crate) needs_digest: bool,
    pub(crate) dial: String,
}

/// Takes one raw head through all steps; `Err` is the reason and message of a refusal.
pub(crate) fn send(settings: &ProxySettings, raw: &[u8]) -> Result<Sent, (Reason, String)> {
    send_held(settings, raw, None)
}

pub(crate) fn send_held(
    settings: &ProxySettings,
    raw: &[u8],
    held: Option<&[u8]>,
) -> Result<Sent, (Reason, String)> {
    let limits = Limits { head_bytes: 65536, fields: 128, target_bytes: 16384 };
    let mut slots = [const { MaybeUninit::uninit() }; 128];
    let told = |refused: Refused| (refused.reason, refused.message.into_owned());
    let head = read_request(raw, &mut slots, &limits).map_err(|fault| told(fault.into()))?;
    let gate = Gate::new(settings);
    let admitted = gate.admit(&head).map_err(told)?;
    let key = key();
    let mut composer = Composer::default();
    let outbound = composer.compose(&admitted, &head, &key, held, Vec::new()).map_err(told)?;
    let signed = composer.sign(outbound, &key, NOW);
    let wire = Wire::parse(signed.head());
    wire.verify(SECRET, NOW.unix_seconds());
    Ok(Sent {
        wire,
        body: signed.body(),
        operation: admitted.operation,
        needs_digest: admitted.needs_digest,
        dial: format!("{}:{}", admitted.origin.dial.host, admitted.origin.dial.port),
    })
}

pub(crate) fn get(
    settings: &ProxySettings,
    target: &str,
    host: &str,
) -> Result<Sent, (Reason, String)> {
    send(settings, format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())
}

/// A request to bare localhost with further header lines.
pub(crate) fn local(method: &str, target: &str, lines: &str) -> Result<Sent, (Reason, String)> {
    let raw = format!("{method} {target} HTTP/1.1\r\nHost: localhost:9000\r\n{lines}\r\n");
    send(&with_bucket(), raw.as_bytes())
}

pub(crate) fn reason<T>(result: Result<T, (Reason, String)>) -> Reason {
    result.err().expect("a refusal").0
}
