//! Known answers: what the official documents, SDKs and the COS servers computed.
//!
//! `tests/vectors/PROVENANCE.md` says where each entry comes from.
#![expect(clippy::unwrap_used, reason = "a record that is not as expected fails the test")]

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use cos_auth_proxy::{
    clock::Timestamp,
    secret::{SecretId, SecretKey},
    sign::{
        canonical::{decode_form_into, split_query},
        cos::{Explanation, Scratch, SigningKey, ToSign, Window},
        strict, tc3,
    },
};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;

const SECRET_ID: &str = "AKIDQjz3ltompVjBni5LitkWHFlFpwkn9U5q";
const SECRET_KEY: &str = "BQYIM75p8x0iWVFSIgqEKwFprpRSVHlz";

fn cos() -> Value {
    serde_json::from_str(include_str!("vectors/cos.json")).unwrap()
}

fn sts() -> Value {
    serde_json::from_str(include_str!("vectors/tc3.json")).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}"))
}

fn entries<'a>(file: &'a Value, name: &str, count: usize) -> &'a [Value] {
    let entries = file[name].as_array().unwrap();
    assert_eq!(entries.len(), count, "{name}");
    entries
}

fn split_target(target: &str) -> (&str, &str) {
    target.split_once('?').unwrap_or((target, ""))
}

fn window(key_time: &str) -> Window {
    let (start, end) = key_time.split_once(';').unwrap();
    Window { start: start.parse().unwrap(), end: end.parse().unwrap() }
}

fn key(secret: &str, key_time: &str) -> SigningKey {
    SigningKey::derive(&SecretKey::new(secret).unwrap(), window(key_time))
}

fn authorize(key: &SigningKey, id: &str, request: &ToSign<'_>) -> String {
    let mut out = b"authorization: ".to_vec();
    key.authorize(&SecretId::new(id).unwrap(), request, &mut Scratch::default(), &mut out);
    let out = String::from_utf8(out).unwrap();
    out.strip_prefix("authorization: ").expect("what was there is kept").to_owned()
}

/// The recorded request, as the core takes it.
struct Recorded<'a> {
    method: &'a str,
    path: &'a str,
    parameters: Vec<(&'a [u8], &'a [u8])>,
    headers: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Recorded<'a> {
    fn new(method: &'a str, target: &'a str, headers: &[(&'a str, &'a str)]) -> Self {
        let (path, query) = split_target(target);
        let headers = headers.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
        Self { method, path, parameters: split_query(query.as_bytes()).collect(), headers }
    }

    fn of_vector(vector: &'a Value) -> Self {
        let headers: Vec<_> = vector["headers_to_sign"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pair| (text(&pair[0]), text(&pair[1])))
            .collect();
        let mut recorded =
            Self::new(text(&vector["method"]), text(&vector["wire_target"]), &headers);
        if vector["sign_query_params"] == false {
            recorded.parameters.clear();
        }
        recorded
    }

    fn to_sign(&self) -> ToSign<'_> {
        ToSign {
            method: self.method,
            path: self.path.as_bytes(),
            parameters: &self.parameters,
            headers: &self.headers,
        }
    }
}

#[test]
fn all_recorded_header_signatures_are_made_with_every_intermediate_value() {
    for vector in entries(&cos(), "vectors", 30) {
        let name = text(&vector["id"]);
        let expected = &vector["expected"];
        let recorded = Recorded::of_vector(vector);
        let key = key(text(&vector["secret_key"]), text(&vector["key_time"]));
        let Explanation {
            http_parameters,
            url_param_list,
            http_headers,
            header_list,
            http_string,
            http_string_sha1,
            string_to_sign,
            signature,
            ..
        } = key.explain(&recorded.to_sign());
        assert_eq!(http_parameters, expected["http_parameters"], "{name}");
        assert_eq!(url_param_list, expected["url_param_list"], "{name}");
        assert_eq!(http_headers, expected["http_headers"], "{name}");
        assert_eq!(header_list, expected["header_list"], "{name}");
        assert_eq!(str::from_utf8(&http_string).unwrap(), expected["http_string"], "{name}");
        assert_eq!(http_string_sha1, expected["http_string_sha1"], "{name}");
        assert_eq!(string_to_sign, expected["string_to_sign"], "{name}");
        assert_eq!(signature, expected["signature"], "{name}");
        let made = authorize(&key, text(&vector["secret_id"]), &recorded.to_sign());
        assert_eq!(made, expected["authorization"], "{name}");
    }
}

#[test]
fn of_the_headers_an_sdk_sent_the_strict_list_takes_those_the_sdk_signed() {
    let file = cos();
    let vectors = entries(&file, "vectors", 30).iter();
    let with_sent: Vec<_> = vectors.filter(|v| v["all_wire_headers"].is_array()).collect();
    assert_eq!(with_sent.len(), 18);
    for vector in with_sent {
        let names = |list: &str| -> Vec<String> {
            let pairs = vector[list].as_array().unwrap().iter();
            pairs.map(|pair| text(&pair[0]).to_ascii_lowercase()).collect()
        };
        let mut chosen = names("all_wire_headers");
        // The recorder sat above the layer that adds Host.
        chosen.push("host".into());
        chosen.retain(|name| strict::signs(name.as_bytes()));
        chosen.sort();
        let mut signed = names("headers_to_sign");
        signed.sort();
        assert_eq!(chosen, signed, "{}", vector["id"]);
    }
}

#[test]
fn recorded_pre_signed_urls_carry_the_signature_we_make_from_their_own_lists() {
    let form_decoded = |wire: &[u8]| {
        let mut out = Vec::new();
        decode_form_into(wire, &mut out);
        String::from_utf8(out).unwrap()
    };
    for entry in entries(&cos(), "presigned", 2) {
        let name = text(&entry["id"]);
        let (host, target) =
            text(&entry["url"]).strip_prefix("https://").unwrap().split_once('/').unwrap();
        let (path, query) = split_target(target);
        let path = format!("/{path}");
        let all: BTreeMap<_, _> = split_query(query.as_bytes())
            .map(|(n, v)| (form_decoded(n), form_decoded(v)))
            .collect();
        let listed: Vec<_> = all["q-url-param-list"].split(';').collect();
        let parameters: Vec<_> = split_query(query.as_bytes())
            .filter(|(n, _)| listed.contains(&form_decoded(n).to_ascii_lowercase().as_str()))
            .collect();
        assert_eq!(parameters.len(), listed.len(), "{name}");
        assert_eq!(all["q-header-list"], "host", "{name}");
        let headers: &[(&[u8], &[u8])] = &[(b"Host", host.as_bytes())];
        let request =
            ToSign { method: "GET", path: path.as_bytes(), parameters: &parameters, headers };
        let made = key(SECRET_KEY, &all["q-key-time"]).explain(&request);
        assert_eq!(str::from_utf8(&made.http_string).unwrap(), entry["http_string"], "{name}");
        assert_eq!(made.signature, entry["signature"], "{name}");
        assert_eq!(made.signature, all["q-signature"], "{name}");
        assert_eq!(made.url_param_list, all["q-url-param-list"], "{name}");
    }
}

#[test]
fn strings_that_the_server_printed_are_the_strings_we_sign() {
    let requests = [
        (
            "server-picgo-638",
            Recorded::new(
                "PUT",
                "/imagesresume-zh%20en_%E9%A1%B5%E9%9D%A2_1.png",
                &[("Host", "o2-1258123310.cos.ap-beijing.myqcloud.com")],
            ),
        ),
        ("server-ios-16", Recorded::new("PUT", "/38905642349559468_1.jpg", &[])),
        (
            "server-flutter-cors",
            Recorded::new(
                "PUT",
                "/?cors",
                &[
                    ("Host", "test-app-1251021022.cos.ap-guangzhou.myqcloud.com"),
                    ("Date", "Wed, 19 Oct 2022 05:49:28 GMT"),
                    ("Content-Type", "application/xml; charset=utf-8"),
                    ("Content-MD5", "DfuiC7IOBwIeiVanWPG/Kg=="),
                    ("Content-Length", "454"),
                ],
            ),
        ),
    ];
    let file = cos();
    let observed = entries(&file, "server_observed", requests.len());
    for (entry, (name, request)) in observed.iter().zip(requests) {
        assert_eq!(entry["id"], name);
        let string_to_sign = text(&entry["server_string_to_sign"]);
        let made =
            key(SECRET_KEY, string_to_sign.split('\n').nth(1).unwrap()).explain(&request.to_sign());
        assert_eq!(str::from_utf8(&made.http_string).unwrap(), entry["server_format_string"]);
        assert_eq!(made.http_string_sha1, entry["format_string_sha1"], "{name}");
        assert_eq!(made.string_to_sign, string_to_sign, "{name}");
    }
}

#[test]
fn where_sdks_disagree_we_sort_as_the_majority_and_keep_names_that_differ_in_case() {
    let file = cos();
    let host = "examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com";
    let key = key(SECRET_KEY, "1700000000;1700010060");
    let [brackets, odd_names, case] = entries(&file, "sdk_disagreements", 3) else {
        unreachable!()
    };
    for entry in [brackets, odd_names] {
        let target = text(&entry["wire_target"]);
        let recorded = Recorded::new(text(&entry["method"]), target, &[("Host", host)]);
        let made = key.explain(&recorded.to_sign());
        assert_eq!(made.http_parameters, entry["python_go_java_cpp_http_parameters"]);
        let made = authorize(&key, SECRET_ID, &recorded.to_sign());
        assert_eq!(made, entry["python_go_java_cpp_order_authorization"]);
        assert_ne!(made, entry["node_authorization"]);
    }
    let recorded = Recorded::new("GET", "/k?Prefix=B&prefix=a", &[("Host", host)]);
    let made = authorize(&key, SECRET_ID, &recorded.to_sign());
    assert_eq!(made, case["node_authorization"]);
    assert_ne!(made, case["python_authorization"]);
}

#[test]
fn all_recorded_tc3_signatures_are_made_with_every_intermediate_value() {
    for vector in entries(&sts(), "tc3", 8) {
        let (name, input, headers) = (&vector["name"], &vector["input"], &vector["headers"]);
        let call = tc3::Call {
            method: text(&input["method"]),
            query: vector["query_string"].as_str().unwrap_or_default(),
            host: text(&headers["Host"]),
            content_type: text(&headers["Content-Type"]),
            payload: if input["unsigned_payload"] == true {
                assert_eq!(headers["X-TC-Content-SHA256"], tc3::UNSIGNED_PAYLOAD);
                tc3::Payload::Unsigned
            } else {
                tc3::Payload::Signed(text(&vector["body"]).as_bytes())
            },
            at: Timestamp::from_unix_seconds(input["timestamp"].as_u64().unwrap()),
            service: text(&input["service"]),
        };
        let secret = SecretKey::new(text(&input["secret_key"])).unwrap();
        let made = tc3::explain(&secret, &call);
        assert_eq!(made.hashed_payload, vector["hashed_payload_sha256_hex"], "{name}");
        assert_eq!(made.canonical_request, vector["canonical_request"], "{name}");
        assert_eq!(made.hashed_canonical_request, vector["hashed_canonical_request"], "{name}");
        assert_eq!(made.credential_scope, vector["credential_scope"], "{name}");
        assert_eq!(made.string_to_sign, vector["string_to_sign"], "{name}");
        assert_eq!(made.signature, vector["signature"], "{name}");
        let id = SecretId::new(text(&input["secret_id"])).unwrap();
        assert_eq!(tc3::authorize(&id, &secret, &call), headers["Authorization"], "{name}");
    }
}

#[test]
fn the_published_tc3_example_gives_the_published_signature() {
    let example = &sts()["tc3_published_example"];
    let call = tc3::Call {
        method: "POST",
        query: "",
        host: text(&example["host"]),
        content_type: text(&example["content_type"]),
        payload: tc3::Payload::Signed(text(&example["body"]).as_bytes()),
        at: Timestamp::from_unix_seconds(example["timestamp"].as_u64().unwrap()),
        service: text(&example["service"]),
    };
    let secret = SecretKey::new(text(&example["secret_key"])).unwrap();
    let made = tc3::explain(&secret, &call);
    assert_eq!(made.signature, example["signature"]);
    assert_eq!(made.credential_scope, format!("{}/cvm/tc3_request", text(&example["date"])));
}

#[test]
fn a_call_with_a_proof_of_its_own_says_skip_and_carries_no_token() {
    for entry in entries(&sts(), "skip_sign", 1) {
        assert_eq!(entry["headers"]["Authorization"], tc3::SKIP);
        assert!(entry["headers"].get("X-TC-Token").is_none());
    }
}

/// The older signature is not made by this program; its records test the form decoder.
#[test]
fn form_bodies_of_old_sts_clients_decode_to_what_they_signed() {
    let file = sts();
    let old = [entries(&file, "v1_sdk", 2), entries(&file, "v1_cos_sts_sdk", 2)].concat();
    for entry in &old {
        let mut form = BTreeMap::new();
        for (name, value) in split_query(text(&entry["form_body"]).as_bytes()) {
            let [mut plain_name, mut plain_value] = [Vec::new(), Vec::new()];
            decode_form_into(name, &mut plain_name);
            decode_form_into(value, &mut plain_value);
            form.insert(
                String::from_utf8(plain_name).unwrap(),
                String::from_utf8(plain_value).unwrap(),
            );
        }
        let signature = form.remove("Signature").unwrap();
        let pairs: Vec<_> = form.iter().map(|(n, v)| format!("{n}={v}")).collect();
        let string_to_sign = format!("POSTsts.tencentcloudapi.com/?{}", pairs.join("&"));
        assert_eq!(string_to_sign, entry["string_to_sign"], "{}", entry["name"]);
        let secret = text(&entry["input"]["secret_key"]).as_bytes();
        let mac = match form.get("SignatureMethod").map(String::as_str) {
            Some("HmacSHA256") => mac::<Hmac<sha2::Sha256>>(secret, &string_to_sign),
            _ => mac::<Hmac<sha1::Sha1>>(secret, &string_to_sign),
        };
        assert_eq!(BASE64_STANDARD.encode(mac), signature, "{}", entry["name"]);
        assert_eq!(signature, entry["signature_base64"], "{}", entry["name"]);
    }
}

fn mac<M: Mac + KeyInit>(key: &[u8], message: &str) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(key).unwrap();
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}
