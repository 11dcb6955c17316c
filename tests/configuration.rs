//! What the operator writes, in its three spellings, and how mistakes are told.

#![expect(clippy::unwrap_used, reason = "a panic is how a test complains")]

#[path = "configuration/loading.rs"]
mod loading;

use std::{path::PathBuf, time::Duration};

use cos_auth_proxy::config::{
    self, FlagText, Inputs, Kind, Origin, Value,
    keys::{self, SETTINGS, Setting},
};
use loading::{
    Folder, PERMANENT_ID, SECRET_KEY, TOKEN, Variables, enough, load, problems, variables, with,
};
use proptest::prelude::*;

/// The file as shipped with every optional line switched on.
fn everything() -> String {
    let optional = |line: &&str| line.starts_with('#') && !line.starts_with("# ") && *line != "#";
    let lines = include_str!("../config.toml").lines();
    let on = |line: &str| if optional(&line) { line.replacen('#', "", 1) } else { line.to_owned() };
    lines.map(on).collect::<Vec<_>>().join("\n")
}

fn paths(table: &toml::Table) -> Vec<String> {
    let mut paths = Vec::new();
    for (section, value) in table {
        let tables: Vec<(String, &toml::Table)> = match value.as_array() {
            Some(routes) => {
                routes.iter().map(|r| (format!("{section}[]"), r.as_table().unwrap())).collect()
            }
            None => vec![(section.clone(), value.as_table().unwrap())],
        };
        for (prefix, table) in tables {
            for (key, value) in table {
                match value.as_table() {
                    Some(set) => paths.extend(set.keys().map(|k| format!("{prefix}.*.{k}"))),
                    None => paths.push(format!("{prefix}.{key}")),
                }
            }
        }
    }
    paths.sort();
    paths
}

#[test]
fn the_shipped_file_changes_nothing() {
    let from_file = load(Some(include_str!("../config.toml")), &enough()).unwrap();
    let from_nothing = load(None, &enough()).unwrap();
    assert_eq!(format!("{from_file:#?}"), format!("{from_nothing:#?}"));
}

#[test]
fn the_shipped_file_and_the_program_know_the_same_keys() {
    let table: toml::Table = everything().parse().unwrap();
    let mut known: Vec<_> = SETTINGS.iter().map(|s| s.path.to_owned()).collect();
    known.sort();
    assert_eq!(paths(&table), known);
}

#[test]
fn every_optional_line_of_the_shipped_file_is_of_the_right_kind() {
    let told = problems(&everything());
    for line in told.lines() {
        let expected = ["are both set", "cannot be read"];
        let also = ["\"Bearer", "that is not set", " is for ", "folder that does not exist"];
        let known = expected.iter().chain(&also).any(|text| line.contains(text));
        assert!(known, "an optional line is wrong: {line}");
    }
}

#[test]
fn a_file_is_read_only_when_it_is_named() {
    let folder = Folder::new();
    let file = folder.file("config.toml", "[log]\nlevel = \"debug\"\n");
    let named = with(enough(), &[("COS_AUTH_PROXY_CONFIG", file.to_str().unwrap())]);
    assert_eq!(load(None, &named).unwrap().log.level, "debug");
    assert_eq!(load(None, &enough()).unwrap().log.level, "info");
    let missing = with(enough(), &[("COS_AUTH_PROXY_CONFIG", "/does/not/exist.toml")]);
    let told = load(None, &missing).unwrap_err();
    assert!(told.contains("/does/not/exist.toml: the configuration file cannot be read"), "{told}");
}

/// Two values that differ from each other and from the default, as text and as TOML.
fn samples(setting: &Setting) -> Option<[(String, String); 3]> {
    let quoted = |text: &str| (text.to_owned(), format!("{text:?}"));
    let plain = |text: &str| (text.to_owned(), text.to_owned());
    let samples = match setting.kind {
        Kind::Flag => return None,
        Kind::Text | Kind::Variable => [quoted("A"), quoted("B"), quoted("C")],
        Kind::Path => [quoted("/a"), quoted("/b"), quoted("/c")],
        Kind::Choice(words) if words.len() < 3 => return None,
        Kind::Choice(words) => [quoted(words[0]), quoted(words[1]), quoted(words[2])],
        Kind::Span => [quoted("11s"), quoted("12s"), quoted("13s")],
        Kind::Size(..) => [quoted("2KiB"), quoted("3KiB"), quoted("4KiB")],
        Kind::Count(..) => [plain("11"), plain("12"), plain("13")],
        Kind::Share => [plain("0.11"), plain("0.12"), plain("0.13")],
        Kind::Addresses => [quoted("[::1]:1"), quoted("[::1]:2"), quoted("[::1]:3")],
        Kind::List => return None,
    };
    Some(samples)
}

#[test]
fn each_scalar_has_three_spellings_and_the_stronger_one_wins() {
    let mut tried = 0;
    for setting in SETTINGS.iter().filter(|s| s.is_scalar()) {
        let Some([(_, in_file), (in_environment, _), (in_flag, _)]) = samples(setting) else {
            continue;
        };
        let path = setting.own_path();
        let (section, key) = path.rsplit_once('.').unwrap();
        let folder = Folder::new();
        let file = folder.file("c.toml", &format!("[{section}]\n{key} = {in_file}\n"));
        let variable = variables(&[(&setting.variable(), &in_environment)]);
        let nothing = Variables::new();
        let flag = FlagText {
            path: path.clone(),
            spelling: format!("--{}", setting.flag()),
            text: in_flag.clone(),
        };
        let held = |file: Option<&PathBuf>, environment: &Variables, flags: Vec<FlagText>| {
            let (layers, problems) =
                config::read(&Inputs { file: file.cloned(), flags, environment });
            assert!(problems.is_empty(), "{path}: {problems}");
            layers.held(&path)
        };
        let default = held(None, &nothing, Vec::new());
        assert_eq!(default.origin, Origin::Default);
        let from_file = held(Some(&file), &nothing, Vec::new());
        let is_file = matches!(from_file.origin, Origin::File { line: 2, column: 1, .. });
        assert!(is_file, "{path}: {:?}", from_file.origin);
        let from_environment = held(Some(&file), &variable, Vec::new());
        assert_eq!(from_environment.origin, Origin::Environment(setting.variable()), "{path}");
        let from_flag = held(Some(&file), &variable, vec![flag.clone()]);
        assert_eq!(from_flag.origin, Origin::Flag(flag.spelling), "{path}");
        assert_eq!(setting.kind.read_text(&in_environment), Some(from_environment.value.clone()));
        assert_eq!(setting.kind.read_text(&in_flag), Some(from_flag.value.clone()), "{path}");
        assert_ne!(from_file.value, from_environment.value, "{path}");
        assert_ne!(from_environment.value, from_flag.value, "{path}");
        tried += 1;
    }
    assert!(tried > 60, "only {tried} settings were tried");
}

#[test]
fn the_three_spellings_are_one_name() {
    let setting = keys::setting("upstream.region").unwrap();
    assert_eq!(setting.flag(), "upstream-region");
    assert_eq!(setting.variable(), "COS_AUTH_PROXY_UPSTREAM_REGION");
    let mut variables: Vec<_> = SETTINGS.iter().map(Setting::variable).collect();
    let all = variables.len();
    variables.sort();
    variables.dedup();
    assert_eq!(variables.len(), all, "two settings share a variable");
}

#[test]
fn all_problems_are_told_at_once_each_with_its_place() {
    let environment = with(
        enough(),
        &[
            ("COS_AUTH_PROXY_UPSTREAM_REGOIN", "x"),
            ("COS_AUTH_PROXY_LISTEN_THREADS", "many"),
            ("COS_AUTH_PROXY_UPSTREAM_REGION", "AP Guangzhou"),
        ],
    );
    let file = "\
[upstream]
regoin = \"ap-guangzhou\"
  connect_timeout = \"2 parsecs\"
[lisetn]
address = \"127.0.0.1:9000\"
[limits]
fields = 1000
[keys.default]
source = \"exec\"
[listen]
address = [\"0.0.0.0:9000\"]
region = \"here\"
[[route]]
bucket = \"b\"
perfix = \"x\"
allow = [\"reed\", \"name/cos:*\", \"name/cos:RestoreObject\"]
keys = \"reports\"
[[route]]
prefix = \"/a*\"
";
    let told = load(Some(file), &environment).unwrap_err();
    let expected = [
        "config.toml:2:1: upstream.regoin is not a key; did you mean upstream.region?",
        "config.toml:3:3: upstream.connect_timeout must be a time with its unit",
        "config.toml:4:2: [lisetn] is not a section; did you mean [listen]?",
        "config.toml:7:1: limits.fields must be a whole number from 8 to 128",
        "config.toml:9:1: keys.default.command is not set: exec needs",
        "config.toml:11:1: listen.address is not loopback",
        "config.toml:12:1: listen.region is not a key; did you mean upstream.region?",
        "config.toml:14:1: route[0].bucket must be NAME-APPID",
        "config.toml:16:1: route[0].allow[0] names no group and no action; did you mean read?",
        "config.toml:16:1: route[0].allow[1] holds a wildcard",
        "config.toml:16:1: route[0].allow[2] is judged as name/cos:PostObjectRestore: write that",
        "config.toml:17:1: route[0].keys names no key set; there is: default",
        "route[1].allow is not set",
        "config.toml:19:1: route[1].prefix must be the beginning of keys as they are",
        "config.toml:15:1: route[0].perfix is not a key; did you mean route[0].prefix?",
        "environment: COS_AUTH_PROXY_UPSTREAM_REGOIN is not a setting; did you mean \
         COS_AUTH_PROXY_UPSTREAM_REGION?",
        "environment: COS_AUTH_PROXY_LISTEN_THREADS must be a whole number from 0 to 1024",
        "environment: COS_AUTH_PROXY_UPSTREAM_REGION must be a region such as ap-guangzhou",
    ];
    for text in expected {
        assert!(told.contains(text), "missing: {text}\nin:\n{told}");
    }
    assert_eq!(told.lines().count(), expected.len(), "{told}");
}

#[test]
fn broken_toml_is_told_with_its_place_and_without_its_text() {
    let told = problems("[log]\nlevel = \"info\nformat = \"json\"\n[upstream]\nregoin = \"x\"\n");
    assert!(told.contains("config.toml:2:"), "{told}");
    assert!(told.contains("this is not TOML"), "{told}");
    assert!(!told.contains("info"), "{told}");
    let told = problems("[log]\nlevel = \"info\"\nlevel = \"warn\"\n");
    assert!(told.contains("config.toml:3:1: the same key or table stands in the file"), "{told}");
}

#[test]
fn no_message_repeats_a_value() {
    for setting in SETTINGS {
        let path = setting.own_path().replace("route[]", "route");
        let (section, key) = path.rsplit_once('.').unwrap();
        let header =
            if section == "route" { "[[route]]".to_owned() } else { format!("[{section}]") };
        for value in [format!("{SECRET_KEY:?}"), format!("[{SECRET_KEY:?}]"), "0x5ec12e7".into()] {
            let file = format!("{header}\n{key} = {value}\n");
            let Err(told) = load(Some(&file), &enough()) else { continue };
            assert!(!told.contains("Planted") && !told.contains("5ec12e7"), "{path}: {told}");
            assert!(!told.contains("98701031"), "{path}: {told}");
        }
        if setting.is_scalar() {
            let environment = with(enough(), &[(&setting.variable(), SECRET_KEY)]);
            let Err(told) = load(None, &environment) else { continue };
            assert!(!told.contains("Planted"), "{path}: {told}");
        }
    }
}

#[test]
fn a_secret_in_the_file_is_refused_and_not_repeated() {
    for (key, instead) in [
        ("secret_id", "secret_id_env or secret_id_file"),
        ("secret_key", "secret_key_env or secret_key_file"),
        ("SecretKey", "secret_key_env or secret_key_file"),
        ("token", "token_env or token_file"),
        ("session_token", "token_env or token_file"),
    ] {
        for section in ["[keys.default]\n", "[upstream]\n", "[keys]\n", ""] {
            let told = problems(&format!("{section}{key} = \"{SECRET_KEY}\"\n"));
            assert!(told.contains("would put a secret into this file"), "{key}: {told}");
            assert!(told.contains(instead), "{key}: {told}");
            assert!(!told.contains("Planted"), "{told}");
        }
    }
    let told = problems(&format!(
        "[keys.default]\nsource = \"http\"\nendpoint = \"http://127.0.0.1/\"\n\
         headers = [\"Authorization: {SECRET_KEY}\"]\n"
    ));
    assert!(told.contains("bearer_token_file") && !told.contains("Planted"), "{told}");
}

#[test]
fn settings_and_their_debug_form_hold_no_secret_in_clear() {
    let environment = with(enough(), &[("TENCENTCLOUD_TOKEN", TOKEN)]);
    let settings = load(None, &environment).unwrap();
    let shown = format!("{settings:?}");
    assert!(!shown.contains(SECRET_KEY) && !shown.contains(TOKEN), "{shown}");
}

#[test]
fn a_wide_data_or_control_address_is_refused_and_a_wide_telemetry_address_is_not() {
    for wide in ["0.0.0.0:9000", "[::]:9000", "192.0.2.1:9000"] {
        let told = problems(&format!("[listen]\naddress = \"{wide}\"\n"));
        assert!(told.contains("listen.address is not loopback"), "{told}");
        assert!(told.contains("--allow-remote-clients"), "{told}");
        let allowed = format!("[listen]\naddress = \"{wide}\"\nallow_remote_clients = true\n");
        assert!(load(Some(&allowed), &enough()).is_ok());
        let told = problems(&format!("[control]\naddress = \"{wide}\"\n"));
        assert!(told.contains("control.address must be loopback"), "{told}");
        let wide = wide.replace("9000", "9009");
        assert!(load(Some(&format!("[telemetry]\naddress = \"{wide}\"\n")), &enough()).is_ok());
    }
    for near in ["127.0.0.2:9000", "[::ffff:127.0.0.1]:9000", "unix:/run/cos.sock"] {
        assert!(load(Some(&format!("[listen]\naddress = \"{near}\"\n")), &enough()).is_ok());
    }
}

#[test]
fn one_address_cannot_serve_two_purposes() {
    let told = problems("[control]\naddress = \"127.0.0.1:9001\"\n");
    assert!(told.contains("control.address is an address of telemetry.address too"), "{told}");
    let free = "[listen]\naddress = \"127.0.0.1:0\"\n[control]\naddress = \"127.0.0.1:0\"\n";
    assert!(load(Some(free), &enough()).is_ok());
}

#[test]
fn kubernetes_variables_of_a_service_with_our_name_are_not_ours() {
    let environment = with(
        enough(),
        &[
            ("COS_AUTH_PROXY_SERVICE_HOST", "10.0.0.1"),
            ("COS_AUTH_PROXY_SERVICE_PORT", "9000"),
            ("COS_AUTH_PROXY_SERVICE_PORT_DATA", "9000"),
            ("COS_AUTH_PROXY_PORT", "tcp://10.0.0.1:9000"),
            ("COS_AUTH_PROXY_PORT_9000_TCP", "tcp://10.0.0.1:9000"),
            ("COS_AUTH_PROXY_PORT_9000_TCP_ADDR", "10.0.0.1"),
        ],
    );
    assert!(load(None, &environment).is_ok());
}

#[test]
fn a_permanent_key_becomes_a_federation_token_for_exactly_the_bucket() {
    let settings = load(None, &enough()).unwrap();
    let note = &settings.key_notes[0];
    assert_eq!((note.source, note.chosen_by_auto), ("federation-token", true));
    assert_eq!(note.found_in, ["TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY"]);
    let policy: serde_json::Value = serde_json::from_str(note.policy.as_ref().unwrap()).unwrap();
    let resources = policy["statement"][0]["resource"].as_array().unwrap();
    for resource in resources {
        let wanted = "qcs::cos:ap-guangzhou:uid/1250000000:examplebucket-1250000000/";
        assert!(resource.as_str().unwrap().starts_with(wanted), "{resource}");
    }
}

#[test]
fn a_permanent_key_without_a_bucket_or_region_is_refused_with_the_fix() {
    let mut environment = enough();
    environment.remove("COS_AUTH_PROXY_UPSTREAM_BUCKET");
    let told = load(None, &environment).unwrap_err();
    assert!(told.contains("--bucket"), "{told}");
    let mut environment = enough();
    environment.remove("COS_AUTH_PROXY_UPSTREAM_REGION");
    let told = load(None, &environment).unwrap_err();
    assert!(told.contains("--region"), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
}

#[test]
fn every_spelling_of_the_token_is_found() {
    for name in [
        "TENCENTCLOUD_TOKEN",
        "TENCENTCLOUD_SESSION_TOKEN",
        "TENCENTCLOUD_SECURITY_TOKEN",
        "QCLOUD_SECRET_TOKEN",
        "TENCENTCLOUD_SESSIONTOKEN",
    ] {
        let settings = load(None, &with(enough(), &[(name, TOKEN)])).unwrap();
        assert_eq!(settings.key_notes[0].source, "static", "{name}");
        assert!(settings.key_notes[0].found_in.contains(&name.to_owned()), "{name}");
    }
    let two = [("TENCENTCLOUD_TOKEN", TOKEN), ("QCLOUD_SECRET_TOKEN", "PlantedOther")];
    let told = load(None, &with(enough(), &two)).unwrap_err();
    assert!(told.contains("both set and differ"), "{told}");
    assert!(!told.contains("Planted"), "{told}");
}

#[test]
fn the_spelling_of_scf_and_files_are_found() {
    let scf = variables(&[
        ("TENCENTCLOUD_SECRETID", "AKIDtemporary"),
        ("TENCENTCLOUD_SECRETKEY", SECRET_KEY),
        ("TENCENTCLOUD_SESSIONTOKEN", TOKEN),
    ]);
    assert_eq!(load(None, &scf).unwrap().key_notes[0].source, "static");
    let folder = Folder::new();
    let id = folder.file("id", &format!("{PERMANENT_ID}\n"));
    let key = folder.file("key", &format!("{SECRET_KEY}\n"));
    let files = variables(&[
        ("TENCENTCLOUD_SECRET_ID_FILE", id.to_str().unwrap()),
        ("TENCENTCLOUD_SECRET_KEY_FILE", key.to_str().unwrap()),
        ("COS_AUTH_PROXY_UPSTREAM_BUCKET", "examplebucket-1250000000"),
        ("COS_AUTH_PROXY_UPSTREAM_REGION", "ap-guangzhou"),
    ]);
    let settings = load(None, &files).unwrap();
    let found = &settings.key_notes[0].found_in;
    assert_eq!(found, &["TENCENTCLOUD_SECRET_ID_FILE", "TENCENTCLOUD_SECRET_KEY_FILE"]);
    let gone = with(files, &[("TENCENTCLOUD_SECRET_KEY_FILE", "/does/not/exist")]);
    let told = load(None, &gone).unwrap_err();
    assert!(
        told.contains("TENCENTCLOUD_SECRET_KEY_FILE names a file that cannot be read"),
        "{told}"
    );
}

#[test]
fn a_temporary_key_that_lost_its_token_is_loud() {
    let id = "AKID".repeat(17);
    let environment = with(enough(), &[("TENCENTCLOUD_SECRET_ID", &id)]);
    let told = load(None, &environment).unwrap_err();
    assert!(told.contains("token is missing"), "{told}");
    let told = load(Some("[keys.default]\nsource = \"static\"\n"), &environment).unwrap_err();
    assert!(told.contains("without its token"), "{told}");
    assert!(!told.contains(&id), "{told}");
}

#[test]
fn half_a_key_and_no_key_are_told_apart() {
    let mut environment = enough();
    environment.remove("TENCENTCLOUD_SECRET_KEY");
    let told = load(None, &environment).unwrap_err();
    assert!(
        told.contains("TENCENTCLOUD_SECRET_ID is set, TENCENTCLOUD_SECRET_KEY is not"),
        "{told}"
    );
    environment.remove("TENCENTCLOUD_SECRET_ID");
    let told = load(Some("[keys.default]\nsource = \"static\"\n"), &environment).unwrap_err();
    assert!(told.contains("no key was found: set TENCENTCLOUD_SECRET_ID"), "{told}");
    assert!(told.contains("HOME is not set, so no file below it was looked for"), "{told}");
}

#[test]
fn key_sets_name_variables_and_files() {
    let folder = Folder::new();
    let key = folder.file("key", SECRET_KEY);
    let file = format!(
        "[keys.reports]\nsource = \"assume-role\"\nsecret_id_env = \"MY_ID\"\n\
         secret_key_file = {:?}\nrole_arn = \"qcs::cam::uin/1:roleName/reports\"\n\
         duration = \"30m\"\nendpoint = \"http://127.0.0.1:8443\"\n",
        key.to_str().unwrap()
    );
    let environment = variables(&[("MY_ID", PERMANENT_ID)]);
    let settings = load(Some(&file), &environment).unwrap();
    assert_eq!(settings.keys[0].name, "reports");
    assert_eq!(settings.key_notes[0].source, "assume-role");
    assert_eq!(settings.key_notes[0].endpoint.as_deref(), Some("http://127.0.0.1:8443"));
    let told = load(Some(&file), &Variables::new()).unwrap_err();
    let text = "config.toml:3:1: keys.reports.secret_id_env names an environment variable that is \
                not set";
    assert!(told.contains(text), "{told}");
}

#[test]
fn limits_of_sts_are_told_before_the_first_call() {
    let told = problems("[keys.default]\nsource = \"federation-token\"\nduration = \"37h\"\n");
    assert!(told.contains("config.toml:3:1: keys.default.duration is wrong: must be"), "{told}");
    let told = problems("[refresh]\nfrom = 0.9\n");
    assert!(told.contains("config.toml:2:1: refresh.from is wrong"), "{told}");
    let role = "[keys.default]\nsource = \"assume-role\"\n";
    let told = problems(role);
    assert!(told.contains("keys.default.role_arn is not set"), "{told}");
}

#[test]
fn what_is_said_about_replays_expired_keys_and_the_clock_reaches_its_room() {
    let file = "[keys]\non_expired = \"try\"\n[limits]\nreplay_body_bytes = \"1MiB\"\n\
                [clock]\nsamples = 3\nignore_below = \"1s\"\nlongest = \"2h\"\n\
                [refresh]\nnear_expiry = \"9s\"\nstartup_jitter = \"2s\"\n";
    let settings = load(Some(file), &enough()).unwrap();
    assert!(settings.transport.try_expired_keys);
    assert_eq!(settings.transport.replay_body_bytes, 1 << 20);
    let seconds = Duration::from_secs;
    let clock = &settings.clock;
    assert_eq!((clock.samples, clock.ignore_below), (3, seconds(1)));
    assert_eq!(clock.longest, seconds(7200));
    let refresh = &settings.keys[0].refresh;
    assert_eq!((refresh.near_expiry, refresh.startup_jitter), (seconds(9), seconds(2)));

    let told = problems("[clock]\nlongest = \"1s\"\n");
    assert!(told.contains("config.toml:2:1: clock.longest must be more than"), "{told}");
    let told = problems("[refresh]\nwarn_share = 0.05\n");
    assert!(told.contains("0 <= critical_share <= warn_share < 1"), "{told}");
    let told = problems("[limits]\nreplay_body_bytes = \"2MiB\"\n");
    assert!(told.contains("limits.replay_body_bytes"), "{told}");
}

#[test]
fn what_is_printed_is_a_configuration_that_means_the_same() {
    let environment = with(enough(), &[("COS_AUTH_PROXY_KEYS_DEFAULT_DURATION", "90m")]);
    let inputs = Inputs { file: None, flags: Vec::new(), environment: &environment };
    let (layers, problems) = config::read(&inputs);
    assert!(problems.is_empty(), "{problems}");
    for sources in [false, true] {
        let text = config::show(&layers, sources);
        assert!(!text.contains("Planted"), "{text}");
        let only_key = variables(&[
            ("TENCENTCLOUD_SECRET_ID", PERMANENT_ID),
            ("TENCENTCLOUD_SECRET_KEY", SECRET_KEY),
        ]);
        let again = load(Some(&text), &only_key).unwrap();
        let first = load(None, &environment).unwrap();
        assert_eq!(format!("{again:?}"), format!("{first:?}"));
        assert_eq!(text.contains("# environment variable COS_AUTH_PROXY_UPSTREAM_BUCKET"), sources);
    }
}

#[test]
fn what_could_hide_a_secret_is_not_printed() {
    let file = "[keys.default]\nsource = \"http\"\nendpoint = \"https://sts.example/a?t=Planted\"\n\
                headers = [\"X-App: Planted\"]\nmethod = \"POST\"\nbody = \"Planted\"\n";
    let folder = Folder::new();
    let path = folder.file("c.toml", file);
    let environment = Variables::new();
    let inputs = Inputs { file: Some(path), flags: Vec::new(), environment: &environment };
    let text = config::show(&config::read(&inputs).0, true);
    assert!(text.contains("https://sts.example") && text.contains("X-App: …"), "{text}");
    assert!(!text.contains("Planted"), "{text}");
}

proptest! {
    #[test]
    fn no_file_makes_it_panic(text in "(\\[[a-z_.]{0,12}\\]\n|[a-z_]{1,8} ?= ?[\"\\[\\]{}0-9a-z.-]{0,12}\n){0,12}") {
        let _ = load(Some(&text), &enough());
    }

    #[test]
    fn times_are_read_as_they_are_printed(seconds in 1_u64..1_000_000) {
        let text = config::span_text(Duration::from_secs(seconds));
        let file = format!("[upstream]\nstall_timeout = \"{text}\"\n");
        let settings = load(Some(&file), &enough()).unwrap();
        prop_assert_eq!(settings.transport.stall_timeout, Duration::from_secs(seconds));
        prop_assert_eq!(Value::Span(Duration::from_secs(seconds)).toml(Kind::Span), format!("\"{text}\""));
    }
}
