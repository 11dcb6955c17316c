//! Whether a key still signs what COS accepts: the product's own steps make the head, the emulator's
//! verifier reads it.

use std::{mem::MaybeUninit, sync::Arc};

use cos_auth_proxy::{
    clock::Clock,
    credential::Credential,
    emulator::{
        accounts::Accounts,
        verify::{self, Seen},
    },
    http1::{Limits, read_request},
    proxy::{Composer, Gate, ProxySettings},
};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::sources::{BUCKET, REGION};

/// Signs a GET with `key` and lets the emulator check it.
///
/// # Errors
/// The code with which COS would refuse it.
pub(crate) fn signs(
    key: &Arc<Credential>,
    accounts: &Accounts,
    clock: &Clock,
) -> Result<(), String> {
    let settings = ProxySettings {
        bucket: Some(BUCKET.to_owned()),
        region: Some(REGION.to_owned()),
        ..ProxySettings::default()
    };
    let raw = b"GET /a/b.txt HTTP/1.1\r\nHost: localhost:9000\r\n\r\n";
    let limits = Limits { head_bytes: 65536, fields: 128, target_bytes: 16384 };
    let mut slots = [const { MaybeUninit::uninit() }; 128];
    let head = read_request(raw, &mut slots, &limits).unwrap();
    let gate = Gate::new(&settings);
    let admitted = gate.admit(&head).unwrap();
    let mut composer = Composer::default();
    let outbound = composer.compose(&admitted, &head, key, None, Vec::new()).unwrap();
    let signed = composer.sign(outbound, key, clock.now());

    let text = std::str::from_utf8(signed.head()).unwrap();
    let mut lines = text.trim_end().split("\r\n");
    assert_eq!(lines.next(), Some("GET /a/b.txt HTTP/1.1"));
    let headers: HeaderMap = lines
        .map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
        })
        .collect();
    let host = headers["host"].to_str().unwrap();
    let seen = Seen { method: "GET", path: "/a/b.txt", query: "", headers: &headers, host };
    let checked = verify::verify(accounts, &seen, accounts.now_unix(clock));
    checked.map(drop).map_err(|error| format!("{error:?}"))
}
