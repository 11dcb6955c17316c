//! Sources of this machine against real files, links and processes.

#![allow(clippy::unwrap_used, reason = "a failure anywhere is the failure of the test")]

#[path = "sources/stand.rs"]
mod stand;

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    time::Duration,
};

use cos_auth_proxy::{
    clock::Clock,
    credential::{
        Endpoint, ExecSettings, InstanceRoleSettings, KeyFile, KeyFormat, KeyMetrics, KeyPlace,
        KeyReader, KeySetSettings, RefreshError, RefresherHandle, RetryClass, SourceError,
        SourceSettings, StaticSettings, once, start,
    },
    emulator::{accounts::Account, faults::Service},
    shutdown::Shutdown,
};
use stand::{PATIENCE, SECRET_ID, SECRET_KEY, Stand, permanent_key, until};

const LONG_ID: &str = "AKIDtmpQ9x_kVb-3YzAAAAexampleexampleexampleexampleexampleexample";

/// A temporary key as JSON, ending in two hours.
fn json(number: u32) -> String {
    let end = Clock::system().now().unix_seconds() + 7200;
    format!(
        r#"{{"secretId":"{LONG_ID}{number:04}","secretKey":"secret{number}","token":"token{number}","expiresAt":{end}}}"#
    )
}

fn id(number: u32) -> String {
    format!("{LONG_ID}{number:04}")
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn replace(&self, name: &str, text: &str) {
        fs::write(self.path("new"), text).unwrap();
        fs::rename(self.path("new"), self.path(name)).unwrap();
    }

    /// A command that is a shell script; the script itself is started without a shell.
    fn script(&self, text: &str) -> ExecSettings {
        let program = self.path("cos-key");
        fs::write(self.path("new"), format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(self.path("new"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(self.path("new"), &program).unwrap();
        ExecSettings {
            program,
            arguments: Vec::new(),
            environment: vec![
                ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
                ("HOME".to_owned(), "/nowhere".to_owned()),
            ],
            timeout: Duration::from_secs(20),
        }
    }
}

fn watched(path: PathBuf) -> SourceSettings {
    SourceSettings::File(KeyFile { path, format: KeyFormat::Auto, profile: None })
}

struct House {
    shutdown: Shutdown,
    reader: KeyReader,
    handle: RefresherHandle,
}

impl House {
    fn open(settings: &KeySetSettings) -> Self {
        let shutdown = Shutdown::new();
        let metrics = KeyMetrics::default();
        let (reader, handle) = start(settings, &Clock::system(), &metrics, &shutdown).unwrap();
        Self { shutdown, reader, handle }
    }

    fn of(source: SourceSettings) -> Self {
        Self::open(&KeySetSettings::new("default", source))
    }

    fn id(&self) -> Option<String> {
        let key = self.reader.current(Clock::system().now()).ok()?;
        Some(key.id.as_str().to_owned())
    }

    async fn holds(&self, wanted: &str) {
        until(|| (self.id().as_deref() == Some(wanted)).then_some(())).await;
    }

    fn last_error(&self) -> Option<String> {
        self.reader.status(Clock::system().now()).last_error
    }

    async fn close(self) {
        self.shutdown.begin();
        assert!(self.shutdown.finished(PATIENCE).await, "every task ends");
    }
}

async fn ask(source: SourceSettings) -> Result<String, RefreshError> {
    let key = once(&KeySetSettings::new("default", source), &Clock::system()).await?;
    Ok(key.id.as_str().to_owned())
}

#[tokio::test]
async fn a_file_that_is_replaced_by_a_rename_gives_its_new_key() {
    let folder = Folder::new();
    folder.replace("key", &json(1));
    let house = House::of(watched(folder.path("key")));
    house.holds(&id(1)).await;
    folder.replace("key", &json(2));
    house.holds(&id(2)).await;
    // What stands there is the key, even if the one before would have lived longer.
    let sooner = json(3).replace("expiresAt", "was").replace('}', r#","expiresAt":END}"#);
    let end = Clock::system().now().unix_seconds() + 600;
    folder.replace("key", &sooner.replace("END", &end.to_string()));
    house.holds(&id(3)).await;
    house.close().await;
}

#[tokio::test]
async fn kubernetes_swap_of_a_link_two_folders_up_gives_the_new_key() {
    let folder = Folder::new();
    for (name, number) in [("..2026_01", 1), ("..2026_02", 2)] {
        fs::create_dir(folder.path(name)).unwrap();
        fs::write(folder.path(name).join("key"), json(number)).unwrap();
    }
    symlink("..2026_01", folder.path("..data")).unwrap();
    symlink("..data/key", folder.path("key")).unwrap();
    let house = House::of(watched(folder.path("key")));
    house.holds(&id(1)).await;
    symlink("..2026_02", folder.path("..data_tmp")).unwrap();
    fs::rename(folder.path("..data_tmp"), folder.path("..data")).unwrap();
    fs::remove_dir_all(folder.path("..2026_01")).unwrap();
    house.holds(&id(2)).await;
    house.close().await;
}

#[tokio::test]
async fn a_torn_write_and_a_lost_file_keep_the_key() {
    let folder = Folder::new();
    let path = folder.path("key");
    folder.replace("key", &json(1));
    let house = House::of(watched(path.clone()));
    house.holds(&id(1)).await;
    let next = json(2);
    fs::write(&path, next.get(..next.len() / 2).unwrap()).unwrap();
    let told = until(|| house.last_error()).await;
    assert!(told.contains("it is not JSON") && !told.contains("secret2"), "{told}");
    assert_eq!(house.id().unwrap(), id(1));
    fs::remove_file(&path).unwrap();
    until(|| house.last_error().filter(|told| told.contains("not found"))).await;
    assert_eq!(house.id().unwrap(), id(1));
    fs::write(&path, &next).unwrap();
    house.holds(&id(2)).await;
    assert_eq!(house.last_error(), None);
    house.close().await;
}

#[tokio::test]
async fn a_key_of_unknown_end_is_used_and_a_mended_secret_is_a_new_key() {
    let folder = Folder::new();
    // As a template renders it: no line end at the end.
    folder.replace("key", &format!("SECRET_ID={SECRET_ID}\nSECRET_KEY=mistyped"));
    let house = House::of(watched(folder.path("key")));
    house.holds(SECRET_ID).await;
    let status = house.reader.status(Clock::system().now());
    assert!(status.usable && status.expires_at.is_none());
    assert!(status.next_refresh_at.is_some(), "it is polled too");
    folder.replace("key", &format!("SECRET_ID={SECRET_ID}\nSECRET_KEY={SECRET_KEY}\n"));
    until(|| (house.reader.status(Clock::system().now()).swaps == 2).then_some(())).await;
    house.close().await;
}

#[tokio::test]
async fn a_static_key_in_files_follows_its_files() {
    let folder = Folder::new();
    folder.replace("id", SECRET_ID);
    folder.replace("secret", "one");
    let place = KeyPlace::Parts {
        id: Some(folder.path("id")),
        secret: Some(folder.path("secret")),
        token: None,
    };
    let key = permanent_key().standing_at(place);
    let house = House::of(SourceSettings::Static(StaticSettings { key, expires_at: None }));
    house.holds(SECRET_ID).await;
    folder.replace("id", "AKIDanother");
    house.holds("AKIDanother").await;
    house.close().await;
}

#[tokio::test]
async fn the_key_that_asks_for_keys_is_read_again_at_each_call() {
    const OTHER_ID: &str = "AKIDEXAMPLEEXAMPLEEXAMPLEEXAMPLE0002";
    let stand = Stand::open().await;
    stand.accounts.add_account(Account::example(OTHER_ID, "another"));
    let folder = Folder::new();
    folder.replace("id", SECRET_ID);
    folder.replace("secret", SECRET_KEY);
    let place = KeyPlace::Parts {
        id: Some(folder.path("id")),
        secret: Some(folder.path("secret")),
        token: None,
    };
    let key = permanent_key().standing_at(place);
    let mut federation = stand.federation();
    federation.parent = key.clone();
    let mut role = stand.role();
    role.parent = key.into();
    let last_caller = || stand.seen.since(0).last().unwrap().secret_id.clone().unwrap();
    for source in [SourceSettings::FederationToken(federation), SourceSettings::AssumeRole(role)] {
        folder.replace("id", SECRET_ID);
        folder.replace("secret", SECRET_KEY);
        let (reader, handle) = stand.start(source);
        reader.wait(PATIENCE).await.unwrap();
        assert_eq!(last_caller(), SECRET_ID);
        folder.replace("id", OTHER_ID);
        folder.replace("secret", "another");
        handle.refresh_now().await.unwrap();
        assert_eq!(last_caller(), OTHER_ID);
        for broken in ["", "half a sec\nret"] {
            folder.replace("secret", broken);
            handle.refresh_now().await.unwrap();
            assert_eq!(last_caller(), OTHER_ID, "the last good one serves on");
        }
        fs::remove_file(folder.path("id")).unwrap();
        handle.refresh_now().await.unwrap();
    }
    stand.close().await;
}

#[tokio::test]
async fn a_command_gives_keys_in_every_shape_and_of_unknown_end() {
    let folder = Folder::new();
    let process = format!(
        r#"{{"Version":1,"AccessKeyId":"{LONG_ID}","SecretAccessKey":"s","SessionToken":"t","Expiration":"2099-01-01T00:00:00Z"}}"#
    );
    let far = once_of_script(&folder, &process).await.unwrap_err().to_string();
    assert!(far.contains("further away than any temporary key lives"), "{far}");
    let end = Clock::system().now().unix_seconds() + 3600;
    let metadata = format!(
        r#"{{"TmpSecretId":"{LONG_ID}","TmpSecretKey":"s","Token":"t","ExpiredTime":{end},"Code":"Success"}}"#
    );
    for text in [
        json(7).replace("0007", ""),
        metadata,
        format!(
            r#"{{"Version":1,"AccessKeyId":"{LONG_ID}","SecretAccessKey":"s","SessionToken":"t"}}"#
        ),
    ] {
        assert_eq!(once_of_script(&folder, &text).await.unwrap(), LONG_ID, "{text}");
    }
    let permanent = format!(r#"{{"secretId":"{SECRET_ID}","secretKey":"s"}}"#);
    assert_eq!(once_of_script(&folder, &permanent).await.unwrap(), SECRET_ID);
    for (text, expected) in [
        (format!(r#"{{"secretId":"{LONG_ID}","secretKey":"s"}}"#), "it has no session token"),
        (r#"{"Version":1,"AccessKeyId":"a"}"#.to_owned(), "it has no secret key"),
        ("no JSON".to_owned(), "it is not JSON"),
        (r#"{"code":10000,"codeDesc":"ScopeNotAllowed"}"#.to_owned(), "ScopeNotAllowed"),
    ] {
        let told = once_of_script(&folder, &text).await.unwrap_err().to_string();
        assert!(told.contains(expected) && told.contains("cos-key"), "{told}");
    }
}

async fn once_of_script(folder: &Folder, printed: &str) -> Result<String, RefreshError> {
    ask(SourceSettings::Exec(folder.script(&format!("cat <<'END'\n{printed}\nEND")))).await
}

#[tokio::test]
async fn a_command_finds_only_the_environment_that_it_is_given() {
    let folder = Folder::new();
    let seen = folder.path("seen");
    let text = format!("/usr/bin/env >{seen:?}; pwd >>{seen:?}\ncat <<'END'\n{}\nEND", json(1));
    ask(SourceSettings::Exec(folder.script(&text))).await.unwrap();
    let seen = fs::read_to_string(seen).unwrap();
    assert!(seen.contains("HOME=/nowhere\n") && seen.ends_with("/\n"), "{seen}");
    // Set in every process that cargo starts, this one too.
    assert!(std::env::vars_os().any(|(name, _)| name == "CARGO_MANIFEST_DIR"));
    assert!(!seen.contains("CARGO_"), "{seen}");
}

#[tokio::test]
async fn a_failing_command_is_told_by_its_last_words_and_never_by_its_output() {
    let folder = Folder::new();
    let text = "echo PlantedOutput; echo first >&2; \
                echo 'vault: denied for Gu5t9xGARNpq86cd98joQYCN3EXAMPLE' >&2; exit 3";
    let fault = ask(SourceSettings::Exec(folder.script(text))).await.unwrap_err();
    let told = fault.to_string();
    assert!(told.contains("exit status: 3: vault: denied for …"), "{told}");
    assert!(
        !told.contains("Planted") && !told.contains("first") && !told.contains("Gu5t"),
        "{told}"
    );
    assert_eq!(fault.retry(), RetryClass::Transient);
    let gone = ExecSettings { program: folder.path("gone"), ..folder.script("") };
    let fault = ask(SourceSettings::Exec(gone)).await.unwrap_err();
    assert_eq!(fault.retry(), RetryClass::Operator, "{fault}");
}

/// Whether the process whose number stands in `file` has ended. One that nobody has buried counts.
fn has_ended(file: &Path) -> bool {
    let Ok(number) = fs::read_to_string(file) else { return false };
    let Some(number) = number.strip_suffix('\n') else { return false };
    match fs::read_to_string(format!("/proc/{number}/stat")) {
        Ok(stat) => stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')),
        Err(_gone) => true,
    }
}

/// Starts a grandchild that sleeps, and notes the numbers of both.
fn with_a_grandchild(folder: &Folder, rest: &str) -> (String, [PathBuf; 2]) {
    let numbers = [folder.path("child"), folder.path("grandchild")];
    let [child, grandchild] = &numbers;
    let text = format!("echo $$ >{child:?}\nsleep 1000 &\necho $! >{grandchild:?}\n{rest}");
    (text, numbers)
}

async fn all_have_ended(numbers: &[PathBuf]) {
    until(|| numbers.iter().all(|file| has_ended(file)).then_some(())).await;
}

#[tokio::test]
async fn a_command_that_hangs_is_killed_with_all_it_started() {
    let folder = Folder::new();
    let (text, numbers) = with_a_grandchild(&folder, "wait");
    // Longer than it takes to start on a busy machine.
    let hanging = ExecSettings { timeout: Duration::from_secs(3), ..folder.script(&text) };
    let fault = ask(SourceSettings::Exec(hanging)).await.unwrap_err();
    let RefreshError::Source(SourceError::TimedOut { .. }) = fault else { panic!("{fault}") };
    all_have_ended(&numbers).await;
}

#[tokio::test]
async fn a_command_is_killed_with_all_it_started_when_the_process_ends() {
    let folder = Folder::new();
    let (text, numbers) = with_a_grandchild(&folder, "wait");
    let house = House::of(SourceSettings::Exec(folder.script(&text)));
    until(|| numbers.iter().all(|file| file.exists()).then_some(())).await;
    house.close().await;
    all_have_ended(&numbers).await;
}

#[tokio::test]
async fn a_command_that_floods_is_stopped() {
    let folder = Folder::new();
    let (text, numbers) = with_a_grandchild(&folder, "while :; do echo floodfloodflood; done");
    let told = ask(SourceSettings::Exec(folder.script(&text))).await.unwrap_err().to_string();
    assert!(told.contains("it printed more than 64 KiB") && !told.contains("flood"), "{told}");
    all_have_ended(&numbers).await;
    // Complaints have no end either, but only the last one counts.
    let text = "i=0; while [ $i -lt 3000 ]; do echo complaint $i >&2; i=$((i+1)); done; exit 1";
    let told = ask(SourceSettings::Exec(folder.script(text))).await.unwrap_err().to_string();
    assert!(told.contains("complaint 2999"), "{told}");
}

#[tokio::test]
async fn a_command_that_leaves_somebody_behind_gives_its_key_at_once() {
    let folder = Folder::new();
    let (text, numbers) = with_a_grandchild(&folder, &format!("cat <<'END'\n{}\nEND", json(5)));
    assert_eq!(ask(SourceSettings::Exec(folder.script(&text))).await.unwrap(), id(5));
    all_have_ended(&numbers).await;
}

#[tokio::test]
async fn the_last_resort_says_why_nothing_else_was_taken_until_it_gives_a_key() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let role = SourceSettings::InstanceRole(InstanceRoleSettings {
        endpoint: Endpoint::new(&format!("http://{closed}")).unwrap(),
        role: None,
        ca_file: None,
    });
    let why = "TENCENTCLOUD_SECRET_ID is not set".to_owned();
    let settings =
        KeySetSettings { passed_over: vec![why.clone()], ..KeySetSettings::new("default", role) };
    let house = House::open(&settings);
    let told = until(|| house.last_error()).await;
    assert!(told.contains(&closed.to_string()) && told.contains(&why), "{told}");
    let refused = house.reader.current(Clock::system().now()).unwrap_err().to_string();
    assert!(refused.contains(&why), "what a client is told: {refused}");
    house.close().await;
}

fn kept(stand: &Stand, path: &Path, session_name: &str) -> KeySetSettings {
    let mut federation = stand.federation();
    session_name.clone_into(&mut federation.session_name);
    KeySetSettings {
        cache_file: Some(path.to_owned()),
        ..KeySetSettings::new("default", SourceSettings::FederationToken(federation))
    }
}

#[tokio::test]
async fn a_kept_key_saves_the_call_at_the_next_start_for_the_same_source_only() {
    let stand = Stand::open().await;
    let folder = Folder::new();
    let path = folder.path("key.cache");
    let first = House::open(&kept(&stand, &path, "one"));
    let key = first.reader.wait(PATIENCE).await.unwrap().id.as_str().to_owned();
    until(|| path.exists().then_some(())).await;
    first.close().await;
    assert_eq!(stand.seen.count(Service::Sts), 1);

    let again = House::open(&kept(&stand, &path, "one"));
    again.holds(&key).await;
    let now = Clock::system().now();
    let status = again.reader.status(now);
    let (end, next) = (status.expires_at.unwrap(), status.next_refresh_at.unwrap());
    let share = next.since(now).as_secs_f64() / end.since(now).as_secs_f64();
    assert!((0.45..0.75).contains(&share), "its refresh is planned as of any key: {share}");
    assert_eq!(stand.seen.count(Service::Sts), 1, "nobody was asked");
    again.handle.refresh_now().await.unwrap();
    let renewed = again.id().unwrap();
    assert_ne!(renewed, key);
    until(|| fs::read_to_string(&path).unwrap().contains(&renewed).then_some(())).await;
    again.close().await;
    assert_eq!(stand.seen.count(Service::Sts), 2);

    let third = House::open(&kept(&stand, &path, "one"));
    third.holds(&renewed).await;
    third.close().await;
    let other = House::open(&kept(&stand, &path, "two"));
    other.reader.wait(PATIENCE).await.unwrap();
    assert_ne!(other.id().unwrap(), renewed);
    let mine = other.id().unwrap();
    until(|| fs::read_to_string(&path).unwrap().contains(&mine).then_some(())).await;
    assert_eq!(stand.seen.count(Service::Sts), 3, "another source asks for itself");
    let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    other.close().await;

    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let careless = House::open(&kept(&stand, &path, "two"));
    careless.reader.wait(PATIENCE).await.unwrap();
    assert_eq!(stand.seen.count(Service::Sts), 4, "a file that others may read is not used");
    careless.close().await;
    stand.close().await;
}
