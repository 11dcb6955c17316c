use proptest::prelude::*;
use serde_json::json;

use super::*;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);
const END: u64 = 1_700_007_200;
const END_TEXT: &str = "2023-11-15T00:13:20Z";

fn read(reply: &Value) -> Result<Fetched, ReplyError> {
    parse(reply.to_string().as_bytes(), NOW)
}

#[track_caller]
fn assert_key(reply: &Value, (id, secret, token): (&str, &str, &str)) {
    let fetched = read(reply).unwrap_or_else(|fault| panic!("{fault} in {reply}"));
    let key = fetched.credential;
    assert_eq!(key.id.as_str(), id, "{reply}");
    assert_eq!(key.secret.expose(), secret, "{reply}");
    assert_eq!(key.token.as_ref().map(SessionToken::expose), Some(token), "{reply}");
    assert_eq!(key.expires_at.map(Timestamp::unix_seconds), Some(END), "{reply}");
    assert_eq!(key.received_at, NOW);
}

/// Every documented shape of the same key.
fn shapes((id, secret, token): (&str, &str, &str)) -> Vec<Value> {
    let camel = json!({
        "credentials": { "tmpSecretId": id, "tmpSecretKey": secret, "sessionToken": token },
        "startTime": 1_700_000_000, "expiredTime": END, "expiration": END_TEXT, "requestId": "r",
    });
    let pascal = json!({
        "Credentials": { "TmpSecretId": id, "TmpSecretKey": secret, "Token": token },
        "ExpiredTime": END, "Expiration": null, "RequestId": "r",
    });
    let mut shapes = vec![
        // API, Go and .NET
        json!({
            "Credentials": { "TmpSecretId": id, "TmpSecretKey": secret, "SessionToken": token },
            "ExpiredTime": END, "StartTime": 1_700_000_000,
        }),
        // instance metadata
        json!({
            "TmpSecretId": id, "TmpSecretKey": secret, "Token": token, "ExpiredTime": END,
            "Expiration": END_TEXT, "Code": "Success",
        }),
        // JavaScript SDK callbacks
        json!({
            "TmpSecretId": id, "TmpSecretKey": secret, "SecurityToken": token,
            "ExpiredTime": END.to_string(),
        }),
        json!({ "data": {
            "TmpSecretId": id, "TmpSecretKey": secret, "XCosSecurityToken": token,
            "ExpiredTime": END * 1000,
        }}),
        // Vault
        json!({
            "data": { "secret_id": id, "secret_key": secret, "token": token, "expiration": END_TEXT },
            "lease_duration": 1, "renewable": false, "request_id": "r",
        }),
        json!({
            "data": { "secret_id": id, "secret_key": secret, "token": token },
            "lease_duration": 7200,
        }),
        // tccli
        json!({ "secretId": id, "secretKey": secret, "token": token, "expiresAt": END }),
        // AWS credential process
        json!({
            "Version": 1, "AccessKeyId": id, "SecretAccessKey": secret, "SessionToken": token,
            "Expiration": "2023-11-15T08:13:20+08:00",
        }),
        json!({ "code": 0, "message": "ok", "data": camel }),
        json!({ "code": 200, "data": camel }),
    ];
    for inner in [camel, pascal] {
        for wrapper in ["data", "Response", "result", "Result"] {
            shapes.push(json!({ wrapper: inner }));
        }
        shapes.push(inner);
    }
    shapes
}

#[test]
fn every_documented_shape_gives_the_same_key() {
    let parts = ("AKIDz8krbsJ5-_example", "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE/=", "tok+en/=");
    for shape in shapes(parts) {
        assert_key(&shape, parts);
    }
}

#[test]
fn an_error_with_status_200_is_an_error_and_keeps_its_code_and_request() {
    for (reply, code, request_id) in [
        (
            json!({"Response": {"Error": {"Code": "AuthFailure.SignatureFailure", "Message": "m"}, "RequestId": "r-1"}}),
            "AuthFailure.SignatureFailure",
            Some("r-1"),
        ),
        (
            json!({"Code": "InternalError", "Message": "m", "RequestId": "r-2"}),
            "InternalError",
            Some("r-2"),
        ),
        (
            json!({"code": 10000, "codeDesc": "ScopeNotAllowed", "message": "m"}),
            "ScopeNotAllowed",
            None,
        ),
        (json!({"code": -1}), "-1", None),
        (json!({"code": 200}), "200", None),
        (json!({"error": {"message": "no code"}}), "unknown", None),
        (json!({"error": {"code": "<script>\n"}}), "unknown", None),
    ] {
        let fault = read(&reply).unwrap_err();
        let ReplyError::Failed { code: got, request_id: id, .. } = fault else {
            panic!("{fault} from {reply}")
        };
        assert_eq!((got.as_str(), id.as_deref()), (code, request_id), "{reply}");
    }
}

#[test]
fn an_error_beside_a_key_is_an_error() {
    let parts = ("AKIDexample", "secret", "token");
    for mut shape in shapes(parts) {
        shape["error"] = json!({ "code": "Denied" });
        assert!(matches!(read(&shape), Err(ReplyError::Failed { .. })), "{shape}");
    }
}

#[test]
fn a_key_with_a_part_missing_is_refused_by_the_name_of_the_part() {
    let whole =
        json!({ "TmpSecretId": "i", "TmpSecretKey": "s", "Token": "t", "ExpiredTime": END });
    for (field, what) in [
        ("TmpSecretId", "secret id"),
        ("TmpSecretKey", "secret key"),
        ("Token", "session token"),
        ("ExpiredTime", "expiry that can be read"),
    ] {
        for broken in [None, Some(json!("")), Some(json!(null)), Some(json!([]))] {
            let mut reply = whole.clone();
            match &broken {
                None => drop(reply.as_object_mut().unwrap().remove(field)),
                Some(value) => reply[field] = value.clone(),
            }
            assert_eq!(read(&reply).unwrap_err(), ReplyError::Missing { what }, "{reply}");
        }
    }
    let mut torn = whole;
    torn["Token"] = json!("two words");
    assert!(matches!(read(&torn), Err(ReplyError::Bad { what: "session token", .. })));
}

#[test]
fn a_key_is_never_put_together_from_two_objects() {
    let reply = json!({
        "secretId": "outer", "secretKey": "outer", "ExpiredTime": END,
        "data": { "token": "inner", "secretId": "inner" },
    });
    assert!(matches!(read(&reply), Err(ReplyError::Missing { .. })));
}

#[test]
fn the_expiry_of_the_server_wins_over_texts_and_leases() {
    let key = |extra: Value| {
        let mut reply = json!({ "secretId": "i", "secretKey": "s", "token": "t" });
        reply.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        read(&reply).ok().and_then(|f| f.credential.expires_at).map(Timestamp::unix_seconds)
    };
    let late = "2262-04-11T23:47:16Z";
    assert_eq!(key(json!({ "expiredTime": END, "expiration": late })), Some(END));
    assert_eq!(key(json!({ "expiration": late, "lease_duration": 5 })), Some(9_223_372_036));
    assert_eq!(
        key(json!({ "expiration": "2023-11-15" , "lease_duration": 5 })),
        Some(1_700_000_005)
    );
    assert_eq!(key(json!({ "expiration": "soon" })), None);
    assert_eq!(key(json!({ "lease_duration": 0 })), None);
    assert_eq!(key(json!({ "expiration": "2023-11-14T23:13:20.5-01:00" })), Some(END));
    assert_eq!(key(json!({ "expiration": "2023-11-15 00:13:20" })), Some(END));
    assert_eq!(key(json!({ "expiredTime": 1_700_007_200.0 })), Some(END));
}

#[test]
fn what_is_not_json_is_refused_without_repeating_it() {
    for (body, position) in [
        ("<html><body>500 secretvalue</body></html>", "line 1, column 1"),
        ("", "line 1, column 0"),
        (r#"{"TmpSecretId":"secretvalue","TmpSec"#, "line 1, column 36"),
    ] {
        let shown = parse(body.as_bytes(), NOW).unwrap_err().to_string();
        assert!(shown.contains(position) && !shown.contains("secretvalue"), "{shown}");
    }
    assert_eq!(parse(b"[1]", NOW).unwrap_err(), ReplyError::NotObject);
}

fn any_json() -> impl Strategy<Value = Value> {
    let names = prop_oneof![
        Just("data"),
        Just("Response"),
        Just("credentials"),
        Just("result"),
        Just("Error"),
        Just("code"),
        Just("tmpSecretId"),
        Just("secret_key"),
        Just("Token"),
        Just("expiredTime"),
        Just("expiration"),
        Just("lease_duration"),
        Just("requestId"),
        Just("other"),
    ]
    .prop_map(str::to_owned);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        "[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9:]{8}[Zé+0-9:-]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 8, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((names.clone(), inner), 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_json_makes_the_parser_panic(reply in any_json()) {
        drop(read(&reply));
    }

    #[test]
    fn any_expiry_that_is_taken_can_be_written_as_a_date(end: u64, lease: u64) {
        for expiry in [
            json!({ "expiredTime": end }),
            json!({ "expiration": end.to_string() }),
            json!({ "lease_duration": lease }),
        ] {
            let mut reply = json!({ "secretId": "i", "secretKey": "s", "token": "t" });
            reply.as_object_mut().unwrap().extend(expiry.as_object().unwrap().clone());
            if let Ok(fetched) = read(&reply) {
                prop_assert!(!fetched.credential.expires_at.unwrap().to_string().is_empty());
            }
        }
    }

    #[test]
    fn no_bytes_make_the_parser_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        drop(parse(&body, NOW));
    }

    #[test]
    fn every_shape_gives_the_key_that_was_put_in(
        id in "[!-~]{1,80}", secret in "[!-~]{1,80}", token in "[!-~]{1,400}",
    ) {
        for shape in shapes((&id, &secret, &token)) {
            assert_key(&shape, (&id, &secret, &token));
        }
    }
}
