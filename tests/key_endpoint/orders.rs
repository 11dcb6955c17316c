//! `refresh` and `status` of a running proxy, down to the words.

use std::{process::Output, time::Duration};

use cos_auth_proxy::emulator::faults::{Fault, Service};

use crate::house::{House, Proxy};

const HOUR: Duration = Duration::from_secs(3600);

async fn program(proxy: &Proxy, words: &[&str]) -> Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_cos-auth-proxy"));
    command.args(words).arg("--control-address").arg(proxy.control().to_string()).env_clear();
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn refresh_waits_for_the_outcome_and_tells_it() {
    let house = House::open(HOUR).await;
    let proxy = house.proxy(&house.federation(), HOUR).await;
    let before = proxy.until("a key", |keys| keys.usable).await;

    let done = program(&proxy, &["refresh"]).await;
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let issued = house.emulator.accounts().latest().unwrap();
    let short = issued.secret_id.get(..8).unwrap();
    assert_ne!(before.secret_id.as_deref(), Some(short), "it waited until the new key was in use");
    let said = text(&done.stdout);
    assert!(said.starts_with(&format!("default: a new key, {short}…, expires in ")), "{said}");
    assert!(said.contains("next refresh in "), "{said}");

    house.emulator.faults().until_cleared(Service::Sts, Fault::ErrorCode("InternalError.DbError"));
    let done = program(&proxy, &["refresh", "default"]).await;
    assert_eq!((done.status.code(), text(&done.stdout).as_str()), (Some(69), ""));
    let told = text(&done.stderr);
    for words in
        ["default: no new key: ", "InternalError.DbError (request ", "in use: ", "next try in "]
    {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(proxy.keys().usable, "the key that was held still is");
    let status = program(&proxy, &["status"]).await;
    let shown = text(&status.stdout);
    for words in ["AGE", "NEXT REFRESH", short, "default: last attempt failed at ", "(request "] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    house.emulator.faults().clear(Service::Sts);

    // Two may be asked for at once, and these were they.
    let done = program(&proxy, &["refresh"]).await;
    assert_eq!(done.status.code(), Some(75), "{}", text(&done.stdout));
    let told = text(&done.stderr);
    assert!(told.contains("refresh.forced_interval") && told.contains("possible in "), "{told}");
    let json = program(&proxy, &["status", "--json"]).await;
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let keys = &json["keys"][0];
    assert_eq!((&keys["forced_refreshes"], &keys["swaps"]), (&2.into(), &2.into()), "{keys}");
    for instant in ["received_at", "expires_at", "next_refresh_at", "last_error_at"] {
        assert!(keys[instant].as_str().unwrap().ends_with('Z'), "{instant}: {keys}");
    }
    for seconds in ["age_seconds", "expires_in_seconds", "next_refresh_in_seconds"] {
        assert!(keys[seconds].is_i64(), "{seconds}: {keys}");
    }
    assert_eq!(keys["last_error_class"], "transient");
    assert!(keys["last_error_request_id"].as_str().unwrap().len() > 8);
    drop(proxy);
    house.close().await;
}

#[tokio::test]
async fn a_key_set_that_fails_harms_no_other() {
    let house = House::open(HOUR).await;
    let proxy = house.proxy(&house.chain(), HOUR).await;
    proxy.until("a key", |keys| keys.usable).await;
    house.emulator.faults().until_cleared(Service::KeyServer, Fault::Status(500));
    let done = program(&proxy, &["refresh"]).await;
    assert_eq!(done.status.code(), Some(69), "{}", text(&done.stdout));
    let (said, told) = (text(&done.stdout), text(&done.stderr));
    assert!(said.contains("default: a new key, ") && said.contains("mid: a new key, "), "{said}");
    assert!(told.starts_with("base: no new key: ") && told.lines().count() == 1, "{told}");
    let done = program(&proxy, &["refresh", "mid"]).await;
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let forced: Vec<_> =
        proxy.all_keys().iter().map(|keys| (keys.name.clone(), keys.forced_refreshes)).collect();
    let expected = [("default", 1), ("mid", 2), ("base", 1)];
    assert_eq!(forced, expected.map(|(name, forced)| (name.to_owned(), forced)));
    drop(proxy);
    house.close().await;
}
