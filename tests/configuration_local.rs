//! Keys of this machine as an operator configures them: tools' files, watched files, commands, the
//! chain of `auto`, and the file that keeps a key over a restart.

#![expect(clippy::unwrap_used, reason = "a panic is how a test complains")]

#[path = "configuration/loading.rs"]
mod loading;

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use cos_auth_proxy::{
    config::{self, Inputs, Settings, summary},
    credential::{KeyFormat, KeyPlace, ParentKey, SourceSettings},
};
use loading::{Folder, PERMANENT_ID, SECRET_KEY, TOKEN, Variables, enough, load, variables, with};

const TEMPORARY_ID: &str = "AKIDtmpQ9x_kVb-3YzAAAAexampleexampleexampleexampleexampleexample0001";

/// A bucket, a home without a key, and nothing in the environment.
fn at_home(home: &Folder) -> Variables {
    variables(&[
        ("HOME", home.0.path().to_str().unwrap()),
        ("COS_AUTH_PROXY_UPSTREAM_BUCKET", "examplebucket-1250000000"),
        ("COS_AUTH_PROXY_UPSTREAM_REGION", "ap-guangzhou"),
    ])
}

fn put(home: &Folder, path: &str, text: &str) -> String {
    let path = home.0.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn static_source(extra: &str) -> String {
    format!("[keys.default]\nsource = \"static\"\n{extra}")
}

fn static_key(settings: &Settings) -> &ParentKey {
    let SourceSettings::Static(fixed) = &settings.keys[0].source else { panic!("not static") };
    &fixed.key
}

#[test]
fn the_files_of_every_tool_are_found_and_watched() {
    let ini = format!("[default]\nsecret_id = {TEMPORARY_ID}\nsecret_key = {SECRET_KEY}\n");
    for (path, text, section) in [
        (".tencentcloud/credentials", format!("{ini}token = {TOKEN}\n"), " [default]"),
        (
            ".tccli/default.credential",
            format!(
                r#"{{"secretId":"{TEMPORARY_ID}","secretKey":"{SECRET_KEY}","token":"{TOKEN}","expiresAt":4102444800}}"#
            ),
            "",
        ),
        (
            ".cos.conf",
            format!(
                "[common]\nsecret_id = {TEMPORARY_ID}\nsecret_key = {SECRET_KEY}\ntoken = {TOKEN}\nbucket = b-1\n"
            ),
            " [common]",
        ),
        (
            ".cos.yaml",
            format!(
                "cos:\n  base:\n    secretid: {TEMPORARY_ID}\n    secretkey: {SECRET_KEY}\n    \
                 sessiontoken: {TOKEN}\n    disableencryption: \"true\"\n"
            ),
            "",
        ),
    ] {
        let home = Folder::new();
        let path = put(&home, path, &text);
        for file in [Some(static_source("")), None] {
            let settings = load(file.as_deref(), &at_home(&home)).unwrap();
            assert_eq!(settings.key_notes[0].source, "static", "{path}");
            assert_eq!(settings.key_notes[0].found_in, [format!("{path}{section}")]);
            let key = static_key(&settings);
            assert_eq!(key.id.as_str(), TEMPORARY_ID);
            assert!(key.token.is_some(), "{path}");
            let Some(KeyPlace::Whole(file)) = key.place() else { panic!("{path} is not watched") };
            assert_eq!(file.path, Path::new(&path));
        }
    }
}

#[test]
fn a_profile_is_looked_for_by_name_and_a_named_file_comes_first() {
    let home = Folder::new();
    let text = format!("[reports]\nsecret_id = {PERMANENT_ID}\nsecret_key = {SECRET_KEY}\n");
    let path = put(&home, ".tencentcloud/credentials", &text);
    for name in ["TENCENTCLOUD_PROFILE", "TCCLI_PROFILE"] {
        let environment = with(at_home(&home), &[(name, "reports")]);
        let settings = load(None, &environment).unwrap();
        assert_eq!(settings.key_notes[0].found_in, [format!("{path} [reports]")]);
        assert_eq!(settings.key_notes[0].source, "federation-token", "a permanent key is narrowed");
    }
    let told = load(Some(&static_source("")), &at_home(&home)).unwrap_err();
    assert!(told.contains("credentials gives no key: it has no section [default]"), "{told}");
    let elsewhere = put(&home, "elsewhere", &text);
    let environment = with(
        at_home(&home),
        &[("TENCENTCLOUD_CREDENTIALS_FILE", &elsewhere), ("TCCLI_PROFILE", "reports")],
    );
    let settings = load(None, &environment).unwrap();
    assert_eq!(settings.key_notes[0].found_in, [format!("{elsewhere} [reports]")]);
    let two =
        with(at_home(&home), &[("TENCENTCLOUD_PROFILE", "reports"), ("TCCLI_PROFILE", "other")]);
    let told = load(None, &two).unwrap_err();
    assert!(told.contains("TENCENTCLOUD_PROFILE and TCCLI_PROFILE are both set"), "{told}");
}

#[test]
fn a_tools_file_that_is_half_filled_or_torn_is_a_problem_and_repeats_nothing() {
    for (path, text, expected) in [
        (
            ".tencentcloud/credentials",
            format!("[default]\nsecret_id = {PERMANENT_ID}\n"),
            "it has no secret key",
        ),
        (
            ".cos.conf",
            format!("[common]\nsecret_id = {TEMPORARY_ID}\nsecret_key = {SECRET_KEY}\n"),
            "it has no session token, and its secret id is that of a temporary key",
        ),
        (".tccli/default.credential", "{\"secretId\":\"Planted".to_owned(), "it is not JSON"),
    ] {
        let home = Folder::new();
        let path = put(&home, path, &text);
        let told = load(None, &at_home(&home)).unwrap_err();
        assert!(told.contains(&path) && told.contains(expected), "{told}");
        assert!(!told.contains("Planted") && !told.contains(TEMPORARY_ID), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
}

#[test]
fn what_coscli_hides_is_passed_over_and_the_way_out_is_told() {
    let home = Folder::new();
    let hidden =
        "cos:\n  base:\n    secretid: Planted\n    secretkey: Planted\n    mode: SecretKey\n";
    put(&home, ".cos.yaml", hidden);
    let told = load(Some(&static_source("")), &at_home(&home)).unwrap_err();
    assert!(told.contains("coscli hides its values in it"), "{told}");
    assert!(told.contains("name another source") && !told.contains("Planted"), "{told}");
    assert!(told.contains(".tencentcloud/credentials"), "the others are named too: {told}");
}

#[test]
fn the_environment_beats_the_files() {
    let home = Folder::new();
    put(&home, ".tencentcloud/credentials", "[default]\nsecret_id = broken\n");
    let environment = with(enough(), &[("HOME", home.0.path().to_str().unwrap())]);
    let settings = load(None, &environment).unwrap();
    assert_eq!(
        settings.key_notes[0].found_in,
        ["TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY"]
    );
    assert!(settings.key_notes[0].passed_over.is_empty());
}

#[test]
fn a_variable_and_its_file_are_not_both_taken() {
    let folder = Folder::new();
    let id = folder.file("id", PERMANENT_ID);
    let two = with(enough(), &[("TENCENTCLOUD_SECRET_ID_FILE", id.to_str().unwrap())]);
    let told = load(None, &two).unwrap_err();
    let text = "TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_ID_FILE are both set: keep one";
    assert!(told.contains(text), "{told}");
}

#[test]
fn in_a_function_the_key_that_was_written_by_hand_is_taken_without_the_functions_token() {
    let own = with(
        enough(),
        &[
            ("TENCENTCLOUD_SECRETID", "AKIDofTheFunction"),
            ("TENCENTCLOUD_SECRETKEY", "x"),
            ("TENCENTCLOUD_SESSIONTOKEN", TOKEN),
        ],
    );
    let settings = load(None, &own).unwrap();
    assert_eq!(settings.key_notes[0].source, "federation-token");
    assert_eq!(
        settings.key_notes[0].found_in,
        ["TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY"]
    );
}

#[test]
fn keys_from_files_remember_their_files() {
    let folder = Folder::new();
    let id = folder.file("id", PERMANENT_ID);
    let key = folder.file("key", SECRET_KEY);
    let file = static_source(&format!("secret_id_file = {id:?}\nsecret_key_file = {key:?}\n"));
    let settings = load(Some(&file), &Variables::new()).unwrap();
    let expected = KeyPlace::Parts { id: Some(id), secret: Some(key), token: None };
    assert_eq!(static_key(&settings).place(), Some(&expected));
    assert_eq!(static_key(&load(Some(&static_source("")), &enough()).unwrap()).place(), None);
}

#[test]
fn auto_says_which_source_won_and_why_the_others_did_not() {
    let home = Folder::new();
    let settings = load(None, &at_home(&home)).unwrap();
    let note = &settings.key_notes[0];
    assert_eq!((note.source, note.chosen_by_auto), ("instance-role", true));
    let reasons = note.passed_over.join("\n");
    for text in [
        "TENCENTCLOUD_SECRET_ID is not set",
        ".tencentcloud/credentials",
        "/etc/tencentcloud/credentials",
        ".tccli/default.credential",
        ".cos.conf",
        ".cos.yaml",
        "TKE_REGION, TKE_PROVIDER_ID, TKE_WEB_IDENTITY_TOKEN_FILE, TKE_ROLE_ARN are not set",
    ] {
        assert!(reasons.contains(text), "missing: {text}\nin:\n{reasons}");
        assert!(summary(&settings).contains(text), "missing in check: {text}");
    }
    assert_eq!(settings.keys[0].passed_over, note.passed_over, "told while it gives no key");

    let token = home.file("token", "header.payload.signature");
    let webhook = [
        ("TKE_REGION", "ap-guangzhou"),
        ("TKE_PROVIDER_ID", "cls-example"),
        ("TKE_WEB_IDENTITY_TOKEN_FILE", token.to_str().unwrap()),
        ("TKE_ROLE_ARN", "qcs::cam::uin/100000000001:roleName/pod"),
    ];
    let settings = load(None, &with(at_home(&home), &webhook)).unwrap();
    assert_eq!(settings.key_notes[0].source, "web-identity");
    let settings = load(None, &with(at_home(&home), &webhook[..3])).unwrap();
    let note = &settings.key_notes[0];
    assert_eq!(note.source, "instance-role", "one variable is missing");
    assert!(note.passed_over.contains(&"TKE_ROLE_ARN is not set".to_owned()), "{note:?}");
    let settings = load(None, &with(enough(), &webhook)).unwrap();
    assert_eq!(settings.key_notes[0].source, "federation-token", "what is explicit wins");
}

#[test]
fn auto_narrows_a_permanent_key_as_it_is_told_to() {
    let folder = Folder::new();
    let by_hand = r#"{"version":"2.0","statement":[{"effect":"allow","action":["name/cos:GetObject"],"resource":["qcs::cos:ap-guangzhou:uid/1250000000:examplebucket-1250000000/a/*"]}]}"#;
    let policy = folder.file("policy.json", by_hand);
    let file = format!("[keys.default]\nduration = \"30m\"\npolicy_file = {policy:?}\n");
    let settings = load(Some(&file), &enough()).unwrap();
    let SourceSettings::FederationToken(federation) = &settings.keys[0].source else {
        panic!("not a federation token")
    };
    assert_eq!(federation.policy, by_hand);
    assert_eq!(federation.duration.as_secs(), 1800);
    let settings = load(Some("[keys.default]\nduration = \"40m\"\n"), &enough()).unwrap();
    let SourceSettings::FederationToken(federation) = &settings.keys[0].source else {
        panic!("not a federation token")
    };
    assert_eq!(federation.duration.as_secs(), 2400);
    let told = load(Some(&file), &at_home(&folder)).unwrap_err();
    assert!(told.contains("instance-role, which takes no policy"), "{told}");
}

#[test]
fn a_watched_file_may_come_later_and_is_warned_about() {
    let folder = Folder::new();
    let path = folder.0.path().join("key.json");
    let file = format!("[keys.default]\nsource = \"file\"\npath = {path:?}\nformat = \"json\"\n");
    let settings = load(Some(&file), &Variables::new()).unwrap();
    let SourceSettings::File(watched) = &settings.keys[0].source else { panic!("not a file") };
    assert_eq!((&watched.path, watched.format), (&path, KeyFormat::Json));
    let warnings = settings.key_notes[0].warnings.join("\n");
    assert!(warnings.contains("key.json is not there; it is watched"), "{warnings}");
    let key = format!(r#"{{"secretId":"{PERMANENT_ID}","secretKey":"{SECRET_KEY}"}}"#);
    fs::write(&path, key).unwrap();
    let settings = load(Some(&file), &Variables::new()).unwrap();
    assert!(settings.key_notes[0].warnings.is_empty());
    let told = load(Some("[keys.default]\nsource = \"file\"\n"), &enough()).unwrap_err();
    assert!(told.contains("config.toml:2:1: keys.default.path is not set"), "{told}");
    let told = load(Some("[keys.default]\npath = \"/x\"\n"), &enough()).unwrap_err();
    assert!(told.contains("path is for file, and the source of this key set is auto"), "{told}");
}

#[test]
fn a_command_is_an_absolute_path_that_may_be_run_and_holds_no_secret() {
    let folder = Folder::new();
    let script = folder.file("cos-key", "#!/bin/sh\n");
    let exec = |command: &str| {
        let file = format!("[keys.default]\nsource = \"exec\"\ncommand = {command}\n");
        load(Some(&file), &variables(&[("PATH", "/bin"), ("HOME", "/root"), ("MINE", "x")]))
    };
    let told = exec(&format!("[{script:?}]")).unwrap_err();
    assert!(told.contains("names a program that may not be run"), "{told}");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let settings = exec(&format!("[{script:?}, \"--bucket\", \"b 1\"]")).unwrap();
    let SourceSettings::Exec(command) = &settings.keys[0].source else { panic!("no command") };
    assert_eq!(command.arguments, ["--bucket", "b 1"]);
    assert_eq!(command.timeout.as_secs(), 30);
    let names: Vec<_> = command.environment.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["PATH", "HOME"]);
    for (command, expected) in [
        ("[\"cos-key\"]", "must begin with the absolute path of a program"),
        ("[\"/does/not/exist\"]", "names a program that is not there"),
        ("[\"/\"]", "names a program that may not be run"),
        ("[\"/bin/sh\", \"--secret-key=Planted\"]", "would put a secret into this file"),
        ("[]", "command is not set"),
    ] {
        let told = exec(command).unwrap_err();
        assert!(told.contains(expected) && !told.contains("Planted"), "{told}");
    }
}

#[test]
fn what_a_command_is_told_is_not_printed() {
    let folder = Folder::new();
    let text = "[keys.default]\nsource = \"exec\"\ncommand = [\"/bin/sh\", \"-c\", \"Planted\"]\n";
    let file = Some(folder.file("c.toml", text));
    let inputs = Inputs { file, flags: Vec::new(), environment: &Variables::new() };
    let shown = config::show(&config::read(&inputs).0, true);
    assert!(shown.contains("/bin/sh") && !shown.contains("Planted"), "{shown}");
    let settings = format!("{:?}", config::load(&inputs).unwrap());
    assert!(!settings.contains("Planted"), "{settings}");
}

#[test]
fn a_kept_key_needs_a_folder_a_file_of_its_own_and_a_source_that_fetches() {
    let folder = Folder::new();
    let path = folder.0.path().join("key.cache");
    let set = |name: &str, path: &Path| {
        format!("[keys.{name}]\nsource = \"federation-token\"\ncache_file = {path:?}\n")
    };
    let settings = load(Some(&set("default", &path)), &enough()).unwrap();
    assert_eq!(settings.keys[0].cache_file.as_deref(), Some(path.as_path()));
    assert!(summary(&settings).contains("key.cache"));
    let told =
        load(Some(&set("default", Path::new("/does/not/exist/key"))), &enough()).unwrap_err();
    assert!(told.contains("is in a folder that does not exist"), "{told}");
    let both = format!("{}{}", set("default", &path), set("other", &path));
    let told = load(Some(&both), &enough()).unwrap_err();
    assert!(told.contains("is that of [keys.other] too"), "{told}");
    let fixed = static_source(&format!("cache_file = {path:?}\n"));
    let told = load(Some(&fixed), &enough()).unwrap_err();
    assert!(told.contains("cache_file is wrong: a static key is at hand"), "{told}");
}
