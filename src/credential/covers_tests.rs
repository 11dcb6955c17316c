use proptest::prelude::*;

use super::*;
use crate::emulator::policy::Policy;

const B: &str = "qcs::cos:ap-guangzhou:uid/1250000000:b-1250000000/";

fn permission(action: &str, resource: &str) -> Permission {
    Permission { action: action.to_owned(), resource: resource.to_owned() }
}

fn policy(statements: &Value) -> String {
    serde_json::json!({"version": "2.0", "statement": statements}).to_string()
}

fn allow(action: &str, resource: &str) -> Value {
    serde_json::json!({"effect": "allow", "action": [action], "resource": [resource]})
}

#[test]
fn what_lies_inside_is_covered_and_what_does_not_is_not() {
    let key = |path: &str| format!("{B}{path}");
    for (own_action, own_resource, action, resource, expected) in [
        ("name/cos:GetObject", key("*"), "name/cos:GetObject", key("a/b"), true),
        ("name/cos:GetObject", key("*"), "cos:GetObject", key("a/*"), true),
        ("name/cos:*", key("a/*"), "name/cos:PutObject", key("a/b/*"), true),
        ("*", "*".to_owned(), "name/cos:PutObject", key("*"), true),
        ("name/cos:Get*", key("a/*"), "name/cos:GetObject", key("a/"), true),
        ("name/cos:Get*", key("a/*"), "name/cos:Get*", key("a/*"), true),
        ("name/cos:GetObject", key("a"), "name/cos:GetObject", key("a"), true),
        ("name/cos:GetObject", key("a/*"), "name/cos:GetObject", key("*"), false),
        ("name/cos:GetObject", key("a/*"), "name/cos:GetObject", key("ab"), false),
        ("name/cos:GetObject", key("a/*"), "name/cos:GetObject", key("a*"), false),
        ("name/cos:GetObject", key("a"), "name/cos:GetObject", key("a*"), false),
        ("name/cos:GetObject", key("a/*"), "name/cos:PutObject", key("a/b"), false),
        ("name/cos:GetObject", key("a/*"), "name/cos:Get*", key("a/b"), false),
        ("name/cos:GetObject", key("a/*"), "*", key("a/b"), false),
        ("name/cos:GetObject", key("a/*"), "name/cos:GetObject", "*".to_owned(), false),
        // A star inside is not understood, unless it is asked for in the same words.
        ("name/cos:GetObject", key("*/x"), "name/cos:GetObject", key("a/x"), false),
        ("name/cos:GetObject", key("a*b*"), "name/cos:GetObject", key("axb"), false),
        ("name/cos:GetObject", key("*/x"), "name/cos:GetObject", key("*/x"), true),
        // Another region, account, bucket or service.
        ("cos:GetObject", key("*"), "cos:GetObject", key("*").replace("guang", "shang"), false),
        ("cos:GetObject", key("*"), "cos:GetObject", key("*").replace("uid/125", "uid/126"), false),
        ("cos:GetObject", key("*"), "cos:GetObject", key("*").replace("b-125", "c-125"), false),
        ("cos:GetObject", key("*"), "cos:GetObject", key("*").replace("::cos", "::ci"), false),
        // Empty region and account are all of them; the older form of the path is known.
        ("cos:GetObject", "qcs::cos:::b-1250000000/*".to_owned(), "cos:GetObject", key("a"), true),
        (
            "cos:GetObject",
            "qcs::cos:ap-guangzhou:uid/1250000000:prefix//1250000000/b/a/*".to_owned(),
            "cos:GetObject",
            key("a/b"),
            true,
        ),
    ] {
        let own = policy(&serde_json::json!([allow(own_action, &own_resource)]));
        let covered = covers(&own, &[permission(action, &resource)]).is_ok();
        assert_eq!(covered, expected, "{own_action} {own_resource} over {action} {resource}");
    }
}

#[test]
fn a_deny_that_may_touch_it_refuses_whatever_else_is_allowed() {
    let wide = allow("name/cos:*", &format!("{B}*"));
    let deny = |action: &str, resource: &str| {
        let mut statement = allow(action, resource);
        statement["effect"] = "deny".into();
        policy(&serde_json::json!([wide, statement]))
    };
    for (own, denied) in [
        (deny("name/cos:DeleteObject", &format!("{B}*")), false),
        (deny("name/cos:GetObject", &format!("{B}secret/*")), false),
        (deny("name/cos:GetObject", &format!("{B}a/secret/*")), true),
        (deny("name/cos:GetObject", &format!("{B}*/secret")), true),
        (deny("name/cos:getobject", &format!("{B}A/*")), true),
        (deny("name/cos:Get*", "*"), true),
        (deny("*", "qcs::cos:::b-1250000000/a/b"), true),
        (deny("name/cos:GetObject", "qcs::cos:ap-beijing:uid/1250000000:b-1250000000/*"), false),
        (deny("name/cos:GetObject", "not a resource"), true),
        (deny("name/cos:GetObject", &format!("{B}%61/*")), true),
    ] {
        let told = covers(&own, &[permission("name/cos:GetObject", &format!("{B}a/*"))]);
        let refused = matches!(told, Err(NotCovered::Denied { .. }));
        assert_eq!((refused, told.is_ok()), (denied, !denied), "{own}");
    }
}

#[test]
fn what_cannot_be_judged_is_not_counted() {
    let wanted = [permission("name/cos:GetObject", &format!("{B}a"))];
    let mut conditional = allow("name/cos:GetObject", &format!("{B}*"));
    conditional["condition"] = serde_json::json!({"ip_equal": {"qcs:ip": "10.0.0.0/8"}});
    let own = policy(&serde_json::json!([conditional]));
    assert!(matches!(covers(&own, &wanted), Err(NotCovered::NotAllowed { .. })));
    conditional["effect"] = "deny".into();
    let own = policy(&serde_json::json!([allow("*", "*"), conditional]));
    assert!(matches!(covers(&own, &wanted), Err(NotCovered::Denied { .. })));
    let mut unknown = allow("name/cos:GetObject", &format!("{B}*"));
    unknown["not_action"] = "name/cos:GetObject".into();
    let own = policy(&serde_json::json!([unknown]));
    assert!(matches!(covers(&own, &wanted), Err(NotCovered::NotAllowed { .. })));
    unknown["effect"] = "deny".into();
    let own = policy(&serde_json::json!([allow("*", "*"), unknown]));
    assert!(matches!(covers(&own, &wanted), Err(NotCovered::Denied { .. })));
    for own in ["", "{}", "[]", r#"{"statement": 3}"#, r#"{"statement": [3]}"#] {
        assert_eq!(covers(own, &wanted), Err(NotCovered::Unreadable), "{own}");
    }
    let empty = policy(&serde_json::json!({"effect": "allow", "action": [], "resource": "*"}));
    assert!(matches!(covers(&empty, &wanted), Err(NotCovered::NotAllowed { .. })));
}

/// Few names, so that they often meet.
fn one_of(names: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    proptest::sample::select(names)
}

const ACTIONS: &[&str] = &["a", "b", "ab", "a*", "*", "*b"];
const PATHS: &[&str] = &["", "a", "a/", "a/*", "*", "a/b", "a/b*", "*b", "a*b", "b/*"];

proptest! {
    /// The oracle is the emulator's own judge: whatever a narrowed key may do, the wide one may too.
    #[test]
    fn a_covered_scope_never_does_more_than_the_policy(
        own in proptest::collection::vec(
            (any::<bool>(), one_of(ACTIONS), one_of(PATHS)), 1..4,
        ),
        wanted in (one_of(ACTIONS), one_of(PATHS)),
        tried in (one_of(&["a", "b", "ab"]), one_of(&["a", "a/", "a/b", "a/bb", "ab", "b", "b/a"])),
    ) {
        let statement = |(denies, action, path): &(bool, &str, &str)| {
            let mut statement = allow(&format!("name/cos:{action}"), &format!("{B}{path}"));
            if *denies {
                statement["effect"] = "deny".into();
            }
            statement
        };
        let own = policy(&own.iter().map(statement).collect());
        let (action, resource) = (format!("name/cos:{}", wanted.0), format!("{B}{}", wanted.1));
        if covers(&own, &[permission(&action, &resource)]).is_ok() {
            let narrow = policy(&serde_json::json!([allow(&action, &resource)]));
            let judge = |text: &str| {
                let policy = Policy::parse(&text.replace('%', "%25").replace('+', "%2B")).unwrap();
                policy.allows(&format!("name/cos:{}", tried.0), &format!("{B}{}", tried.1))
            };
            prop_assert!(!judge(&narrow) || judge(&own), "{own} {action} {resource} {tried:?}");
        }
    }
}
