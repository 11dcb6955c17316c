//! `keys once`: one key, from the configured source, in the form that was asked for.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io::{self, Write},
    process::{Command, Output},
    sync::{Arc, Mutex},
    time::Duration,
};

use cos_auth_proxy::{
    cli::{self, Terminal},
    emulator::{
        accounts::Subject,
        faults::{Fault, Service},
    },
};

use crate::house::{House, SECRET_ID, SECRET_KEY};

const HOUR: Duration = Duration::from_secs(3600);

fn written(house: &House, more: &str) -> String {
    let file = house.path("once.toml");
    std::fs::write(&file, house.file(more)).unwrap();
    file.display().to_string()
}

/// The program's own process, off the test's thread, which serves the emulator.
async fn once(house: &House, more: &[&str]) -> Output {
    let file = written(house, &house.federation());
    let mut command = Command::new(env!("CARGO_BIN_EXE_cos-auth-proxy"));
    command.args(["keys", "once", "--config", &file]).args(more).env_clear();
    command.env("TENCENTCLOUD_SECRET_ID", SECRET_ID).env("TENCENTCLOUD_SECRET_KEY", SECRET_KEY);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn each_format_is_what_its_readers_expect() {
    let house = House::open(HOUR).await;
    for more in [&[][..], &["--format", "json"], &["default", "--format", "json"]] {
        let done = once(&house, more).await;
        assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
        let key: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
        let issued = house.emulator.accounts().latest().unwrap();
        assert_eq!(key["credentials"]["tmpSecretKey"], issued.secret_key.as_str());
        assert_eq!(key["expiredTime"], issued.expires_at);
        assert_eq!(text(&done.stderr), "");
    }
    let done = once(&house, &["--format", "credential-process"]).await;
    let key: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    let issued = house.emulator.accounts().latest().unwrap();
    assert_eq!(
        (&key["Version"], &key["AccessKeyId"]),
        (&1.into(), &issued.secret_id.as_str().into())
    );

    let done = once(&house, &["--format=env"]).await;
    let issued = house.emulator.accounts().latest().unwrap();
    let script =
        format!("{}printf %s \"$TENCENTCLOUD_SECRET_ID $TENCENTCLOUD_TOKEN\"", text(&done.stdout));
    let shown = Command::new("/bin/sh").args(["-c", &script]).output().unwrap();
    assert_eq!(text(&shown.stdout), format!("{} {}", issued.secret_id, issued.token));
    house.close().await;
}

#[tokio::test]
async fn without_a_key_nothing_is_printed_but_the_reason() {
    let house = House::open(HOUR).await;
    house
        .emulator
        .faults()
        .until_cleared(Service::Sts, Fault::ErrorCode("AuthFailure.SecretIdNotFound"));
    let done = once(&house, &["--format", "env"]).await;
    assert_eq!((done.status.code(), text(&done.stdout).as_str()), (Some(69), ""));
    let told = text(&done.stderr);
    assert!(
        told.contains("keys once: no key from default: ") && told.contains("(request "),
        "{told}"
    );
    assert!(!told.contains(SECRET_KEY), "{told}");
    let done = once(&house, &["reports"]).await;
    assert_eq!((done.status.code(), text(&done.stdout).as_str()), (Some(64), ""));
    assert!(text(&done.stderr).contains("there are: default"), "{}", text(&done.stderr));
    let done = once(&house, &["--format", "xml"]).await;
    assert_eq!(done.status.code(), Some(64));
    assert!(text(&done.stderr).contains("must be one of env, json, credential-process"));
    house.close().await;
}

#[tokio::test]
async fn a_chain_of_key_sets_gives_the_last_ones_key_and_any_by_its_name() {
    let house = House::open(HOUR).await;
    let file = written(&house, &house.chain());
    for (name, is_role) in [(None, true), (Some("default"), true), (Some("base"), false)] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cos-auth-proxy"));
        command.args(["keys", "once", "--config", &file]).args(name).env_clear();
        let done = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
        let issued = house.emulator.accounts().latest().unwrap();
        assert!(text(&done.stdout).contains(&issued.secret_id));
        assert_eq!(matches!(issued.subject, Subject::RoleSession { .. }), is_role, "{name:?}");
    }
    house.close().await;
}

/// Where a terminal shows things.
#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_terminal_gets_a_key_only_by_force() {
    let house = House::open(HOUR).await;
    let file = written(&house, &house.federation());
    let environment = BTreeMap::from([
        ("TENCENTCLOUD_SECRET_ID".to_owned(), SECRET_ID.to_owned()),
        ("TENCENTCLOUD_SECRET_KEY".to_owned(), SECRET_KEY.to_owned()),
    ]);
    for (force, code) in [(None, 64), (Some("--force"), 0)] {
        let (out, err) = (Screen::default(), Screen::default());
        let (shown, told) = (out.clone(), err.clone());
        let arguments = ["cos-auth-proxy", "keys", "once", "--config", &file];
        let arguments: Vec<OsString> =
            arguments.into_iter().chain(force).map(OsString::from).collect();
        let environment = environment.clone();
        let ended = tokio::task::spawn_blocking(move || {
            // Not Send, so it is made where it is used.
            let mut terminal =
                Terminal { out: Box::new(out), out_is_terminal: true, err: Box::new(err) };
            cli::main(arguments, &environment, &mut terminal)
        });
        assert_eq!(ended.await.unwrap(), code);
        let (shown, told) = (text(&shown.0.lock().unwrap()), text(&told.0.lock().unwrap()));
        assert_eq!(shown.contains("tmpSecretKey"), force.is_some(), "{shown}");
        assert_eq!(told.contains("--force"), force.is_none(), "{told}");
    }
    house.close().await;
}
