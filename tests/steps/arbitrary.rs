//! Requests of all sorts, with dummy authority in many places.

use std::fmt::Write as _;

use proptest::prelude::*;

use crate::harness::COS;

fn field_line() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("Authorization".to_owned()),
        Just("x-cos-security-token".to_owned()),
        Just("X-Amz-Security-Token".to_owned()),
        Just("Connection".to_owned()),
        Just("Cache-Control".to_owned()),
        Just("If-None-Match".to_owned()),
        Just("Content-Type".to_owned()),
        Just("Expect".to_owned()),
        Just("x-cos-copy-source".to_owned()),
        Just("Proxy-Authorization".to_owned()),
        "[Xx]-[Cc]os-meta-[a-z]{1,3}",
        "[A-Za-z][A-Za-z0-9-]{0,9}",
    ];
    let value = prop_oneof![
        Just("DUMMYAUTHORITY".to_owned()),
        Just("100-continue".to_owned()),
        Just("/test-1250000000/k".to_owned()),
        "[ -~é目]{0,20}",
        Just(String::new()),
    ];
    (name, value).prop_map(|(name, value)| format!("{name}: {value}\r\n"))
}

fn target() -> impl Strategy<Value = String> {
    let path = "(/([a-z0-9.~+(|^é]|%[0-9A-Fa-f]{2}){0,6}){1,4}";
    let parameter = prop_oneof![
        "[a-zA-Z]{1,3}(=([a-z0-9+/|]|%[0-9a-fA-F]{2}){0,5})?",
        Just("q-signature=DUMMYAUTHORITY".to_owned()),
        Just("Q-ak=DUMMYAUTHORITY".to_owned()),
        Just("sign=q-signature%3DDUMMYAUTHORITY".to_owned()),
        Just("x-cos-security-token=DUMMYAUTHORITY".to_owned()),
        Just("X-Amz-Signature=DUMMYAUTHORITY".to_owned()),
        Just("acl".to_owned()),
    ];
    (path, prop::collection::vec(parameter, 0..5)).prop_map(|(path, parameters)| {
        if parameters.is_empty() { path } else { format!("{path}?{}", parameters.join("&")) }
    })
}

pub(crate) fn request() -> impl Strategy<Value = String> {
    let method = prop_oneof![Just("GET"), Just("PUT"), Just("POST"), Just("DELETE"), Just("HEAD")];
    let host = prop_oneof![
        Just("localhost:9000".to_owned()),
        Just("other-1.localhost".to_owned()),
        Just(COS.to_owned()),
        Just("cos.ap-x.myqcloud.com".to_owned()),
        "[a-z.:0-9]{1,12}",
    ];
    (method, target(), host, prop::collection::vec(field_line(), 0..8)).prop_map(
        |(method, target, host, lines)| {
            let mut raw = String::new();
            write!(raw, "{method} {target} HTTP/1.1\r\nHost: {host}\r\n{}\r\n", lines.concat())
                .unwrap();
            raw
        },
    )
}
