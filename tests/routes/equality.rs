//! The proof: what the gate lets pass, COS lets pass with the key that signs it; what the gate
//! refuses, COS refuses too, whichever key set signs it.
//!
//! Where the gate is stricter than a policy can be is listed in `docs/SEMANTICS.md`: dot segments
//! and paths that collapse, form uploads beside prefixes, folders that are renamed or deleted
//! whole, data processing, custom domains and website names, and a multi-delete, which COS judges
//! key by key while the gate refuses it whole.

use std::cell::Cell;

use cos_auth_proxy::proxy::{Gate, ListForm, Reason, RouteSettings, route_policy};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};

use crate::{
    requests::{KEYS, Kind, ON_BUCKETS, ON_OBJECTS, PREFIXES, Request, request, route, routes},
    stand::{Fate, Stand, settings},
};

const SETS: usize = 3;

/// Judges each request at the gate and, past it, with the key of every key set. The number of
/// requests that passed and of those that did not.
async fn compare(
    stand: &Stand,
    routes: &[RouteSettings],
    lists: ListForm,
    requests: &[Request],
) -> (usize, usize) {
    let gate = Gate::new(&settings(routes));
    let sets: Vec<_> = (0..SETS).map(|keys| stand.key_set(routes, keys, lists)).collect();
    let (mut passed, mut refused) = (0, 0);
    for request in requests {
        let verdict = stand.spelled(request).admitted(&gate);
        match &verdict {
            Ok(keys) => {
                passed += 1;
                let set = sets[*keys].as_ref().unwrap_or_else(|| {
                    panic!("{request:?} is signed with keys that may do nothing: {routes:#?}")
                });
                let fate = stand.ask(request, set).await;
                assert_eq!(fate, Fate::Allowed, "only the gate allows {request:?}: {routes:#?}");
            }
            Err(why) => {
                refused += 1;
                assert_eq!(why.reason, Reason::RouteDenied, "{request:?}: {}", why.message);
                if request.is_stricter_here(routes) {
                    continue;
                }
                for (keys, set) in sets.iter().enumerate() {
                    let Some(set) = set else { continue };
                    let fate = stand.ask(request, set).await;
                    assert_eq!(
                        fate,
                        Fate::Refused,
                        "only the gate refuses {request:?} (key set {keys}): {}\n{routes:#?}",
                        why.message
                    );
                }
            }
        }
    }
    (passed, refused)
}

/// Every kind of request on every key, those with two keys with a choice of partners.
fn every_request() -> Vec<Request> {
    let mut kinds = vec![Kind::Service];
    for key in KEYS {
        for (method, query, action) in ON_OBJECTS {
            kinds.push(Kind::Object(method, query, action, key));
        }
        for from in KEYS.into_iter().step_by(3) {
            kinds.push(Kind::Copy(key, 0, from));
            kinds.push(Kind::CopyPart(key, 1, from));
            kinds.push(Kind::Linked("rename", from, key));
            kinds.push(Kind::Linked("symlink", from, key));
            kinds.push(Kind::DeleteMany(vec![key, from]));
        }
    }
    for (method, query, action) in ON_BUCKETS {
        kinds.push(Kind::Bucket(method, query, action));
    }
    for prefix in KEYS.iter().chain(&PREFIXES).map(|prefix| Some(*prefix)).chain([None]) {
        kinds.push(Kind::List("", "GetBucket", prefix));
        kinds.push(Kind::List("versions", "GetBucketObjectVersions", prefix));
        kinds.push(Kind::List("uploads", "ListMultipartUploads", prefix));
    }
    let in_bucket = |bucket| kinds.iter().cloned().map(move |kind| Request { bucket, kind });
    (0..2).flat_map(in_bucket).collect()
}

#[tokio::test]
async fn every_request_is_judged_alike_by_the_gate_and_by_the_policy() {
    let stand = Stand::open().await;
    let requests = every_request();
    let everything = ["read", "list", "write", "delete"];
    for routes in [
        vec![route(0, "", &everything, 0)],
        vec![route(0, "a/", &["read", "list"], 0), route(1, "c d+/", &everything, 0)],
        // An exception for nobody, one for other keys, and one that allows more.
        vec![
            route(0, "", &everything, 0),
            route(0, "a/", &[], 0),
            route(0, "ab/", &["read"], 1),
            route(0, "目/", &["read", "list", "write", "delete", "name/cos:PutObjectACL"], 0),
            route(1, "", &["read"], 1),
        ],
        // Two key sets below one prefix; copies between buckets.
        vec![
            route(0, "a", &["read"], 0),
            route(0, "a", &["read", "write"], 1),
            route(1, "", &["read"], 1),
            route(1, "", &["write", "name/cos:GetBucketACL"], 2),
        ],
        // An exception from an exception, with keys of its own.
        vec![
            route(0, "", &["read", "list"], 0),
            route(0, "a/", &["list"], 0),
            route(0, "a/b/", &["read"], 1),
            route(0, "a/b/c", &["name/cos:RenameObject", "read", "write"], 1),
        ],
        vec![route(0, "z", &["name/cos:GetService", "name/cos:HeadBucket"], 2)],
    ] {
        for lists in [ListForm::Prefix, ListForm::Condition] {
            let (passed, refused) = compare(&stand, &routes, lists, &requests).await;
            assert!(passed > 0 && refused > 0, "{passed} {refused}");
        }
    }
    stand.close().await;
}

#[test]
fn random_routes_and_requests_are_judged_alike_by_the_gate_and_by_the_policy() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stand = runtime.block_on(Stand::open());
    let lists = prop_oneof![Just(ListForm::Prefix), Just(ListForm::Condition)];
    let case = (routes(), lists, prop::collection::vec(request(), 30));
    let (passed, refused) = (Cell::new(0), Cell::new(0));
    let mut runner = TestRunner::new(Config { cases: 96, ..Config::default() });
    let outcome = runner.run(&case, |(routes, lists, requests)| {
        // Exceptions from exceptions are refused when the configuration is read.
        prop_assume!((0..SETS).all(|keys| route_policy(&routes, keys, lists).is_ok()));
        let (let_pass, kept) = runtime.block_on(compare(&stand, &routes, lists, &requests));
        passed.set(passed.get() + let_pass);
        refused.set(refused.get() + kept);
        Ok(())
    });
    outcome.unwrap();
    let (passed, refused) = (passed.get(), refused.get());
    assert!(passed > 100 && refused > 100, "{passed} passed, {refused} were refused");
    runtime.block_on(stand.close());
}
