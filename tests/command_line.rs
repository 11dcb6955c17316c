//! The program as a user runs it: what it prints and how it exits.

#![expect(clippy::unwrap_used, reason = "a panic is how a test complains")]

use std::{
    fs,
    io::{Read, Write},
    net::TcpListener,
    process::{Command, Output},
    thread,
};

const SECRET_KEY: &str = "PlantedSecretKey0123456789abcdef";

fn program(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cos-auth-proxy"));
    command.args(arguments).env_clear().envs(variables.iter().copied());
    command.output().unwrap()
}

const KEY: [(&str, &str); 2] = [
    ("TENCENTCLOUD_SECRET_ID", "AKIDEXAMPLEEXAMPLEEXAMPLEEXAMPLE0001"),
    ("TENCENTCLOUD_SECRET_KEY", SECRET_KEY),
];

const BUCKET: [&str; 4] = ["--bucket", "examplebucket-1250000000", "--region", "ap-guangzhou"];

fn check(more: &[&str]) -> Output {
    let arguments: Vec<_> = ["check"].iter().chain(&BUCKET).chain(more).copied().collect();
    program(&arguments, &KEY)
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
fn refused(output: &Output, text: &str) {
    assert_eq!(output.status.code(), Some(64), "{}{}", out(output), err(output));
    assert!(err(output).contains(text), "missing: {text}\nin:\n{}", err(output));
    assert!(!err(output).contains("Planted") && !out(output).contains("Planted"));
}

#[test]
fn help_fits_a_screen() {
    for columns in ["80", "200"] {
        let help = program(&["--help"], &[("COLUMNS", columns)]);
        assert_eq!(help.status.code(), Some(0));
        let text = out(&help);
        assert!(text.lines().count() <= 40, "{} lines:\n{text}", text.lines().count());
        for word in ["--bucket", "--region", "--listen", "--config", "demo", "healthcheck"] {
            assert!(text.contains(word), "{word} is missing in\n{text}");
        }
    }
}

#[test]
fn help_all_lists_every_setting_that_can_be_a_flag() {
    let text = out(&program(&["--help-all"], &[]));
    for flag in ["--upstream-region", "--limits-head-bytes", "--keys-default-source", "--bucket"] {
        assert!(text.contains(flag), "{flag} is missing in\n{text}");
    }
    assert!(!text.contains("--route"), "{text}");
}

#[test]
fn version_is_a_command_and_a_flag() {
    for spelling in ["version", "--version"] {
        let output = program(&[spelling], &[]);
        assert_eq!(out(&output), concat!("cos-auth-proxy ", env!("CARGO_PKG_VERSION"), "\n"));
    }
}

#[test]
fn check_says_what_was_understood_and_no_secret() {
    let output = check(&["--listen", "127.0.0.1:9100,[::1]:9100"]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let text = out(&output);
    for part in [
        "127.0.0.1:9100, [::1]:9100",
        "https://examplebucket-1250000000.cos.ap-guangzhou.myqcloud.com",
        "default: federation-token (auto)",
        "TENCENTCLOUD_SECRET_ID, TENCENTCLOUD_SECRET_KEY",
        "qcs::cos:ap-guangzhou:uid/1250000000:examplebucket-1250000000/*",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    assert!(!text.contains("Planted"), "{text}");
}

#[test]
fn aliases_and_long_names_are_the_same_flag() {
    let long = program(
        &["check", "--upstream-bucket=b-1", "--upstream-region=ap-x", "--listen-address=[::1]:0"],
        &KEY,
    );
    let short = program(&["--bucket=b-1", "check", "--region=ap-x", "--listen=[::1]:0"], &KEY);
    assert_eq!(long.status.code(), Some(0), "{}", err(&long));
    assert_eq!(out(&long), out(&short));
    refused(&program(&["check", "--bucket", "b-1", "--upstream-bucket", "b-1"], &KEY), "--bucket");
}

#[test]
fn flags_of_all_settings_are_taken_before_and_after_the_command() {
    let output = program(
        &[
            "--log-level",
            "debug",
            "print-config",
            "--sources",
            "--limits-fields=64",
            "--log-access",
        ],
        &[("COS_AUTH_PROXY_LOG_FORMAT", "json")],
    );
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let text = out(&output);
    for (line, origin) in [
        ("level = \"debug\"", "# flag --log-level"),
        ("fields = 64", "# flag --limits-fields"),
        ("access = true", "# flag --log-access"),
        ("format = \"json\"", "# environment variable COS_AUTH_PROXY_LOG_FORMAT"),
        ("grace = \"25s\"", "# default"),
    ] {
        let found = text.lines().any(|l| l.starts_with(line) && l.ends_with(origin));
        assert!(found, "{line} {origin} is missing in\n{text}");
    }
}

#[test]
fn mistyped_flags_and_commands_get_a_suggestion() {
    refused(
        &check(&["--upstream-regoin=x"]),
        "--upstream-regoin does not exist; did you mean --upstream-region?",
    );
    refused(&check(&["--regon", "x"]), "did you mean --region?");
    refused(&program(&["chekc"], &[]), "did you mean check?");
    refused(&program(&["completions", "fisch"], &[]), "must be one of bash");
    refused(&program(&["demo", "--key-life", "soon"], &[]), "must be a time such as 60s");
    refused(
        &check(&["--upstream-connect-timeout", "2"]),
        "--upstream-connect-timeout must be a time",
    );
}

#[test]
fn a_secret_on_the_command_line_is_refused_and_not_repeated() {
    let joined = format!("--secret-key={SECRET_KEY}");
    refused(&check(&[&joined]), "every user of this host can read a command line");
    refused(&check(&["--secret-key", SECRET_KEY]), "--keys-default-secret-key-file");
    refused(&check(&["--keys-default-token", SECRET_KEY]), "--keys-default-token-env");
    refused(&check(&[SECRET_KEY]), "there is no such command or argument");
    refused(&program(&[SECRET_KEY], &[]), "there is no such command or argument");
    refused(&check(&["--keys-default-secret-key-env", SECRET_KEY]), "the name of an environment");
    refused(&check(&["--log-access", SECRET_KEY]), "there is no such command or argument");
    refused(&check(&["--limits-fields", SECRET_KEY]), "--limits-fields must be a whole number");
    refused(&program(&["completions", SECRET_KEY], &[]), "must be one of");
}

#[test]
fn configuration_errors_end_with_64_and_name_all_problems() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.toml");
    fs::write(
        &file,
        format!("[upstream]\nregoin = \"x\"\n[keys.default]\nsecret_key = \"{SECRET_KEY}\"\n"),
    )
    .unwrap();
    let file = file.to_str().unwrap();
    for command in ["run", "check", "status", "print-config"] {
        let output = program(&[command, "--config", file], &KEY);
        refused(
            &output,
            &format!("{file}:2:1: upstream.regoin is not a key; did you mean upstream.region?"),
        );
        refused(&output, &format!("{file}:4:1: keys.default.secret_key would put a secret"));
    }
    // `auto` would ask the instance's role in the end; this source needs a key.
    let source = [("COS_AUTH_PROXY_KEYS_DEFAULT_SOURCE", "federation-token")];
    let default = program(&["--listen", "0.0.0.0:0"], &source);
    refused(&default, "--listen is not loopback");
    refused(&default, "no key was found");
}

#[test]
fn a_wide_address_needs_to_be_said_out_loud() {
    refused(&check(&["--listen", "0.0.0.0:9000"]), "--allow-remote-clients");
    let allowed = check(&["--listen", "0.0.0.0:9000", "--allow-remote-clients"]);
    assert_eq!(allowed.status.code(), Some(0), "{}", err(&allowed));
}

#[test]
fn completions_are_made_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = program(&["completions", shell], &[]);
        assert_eq!(output.status.code(), Some(0));
        assert!(out(&output).contains("cos-auth-proxy"), "{shell}");
    }
}

/// An address at which nothing listens.
fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[test]
fn orders_to_nobody_say_so() {
    let nowhere = free_address();
    for command in ["status", "refresh", "quit"] {
        let output = program(&[command, "--control-address", &nowhere], &[]);
        assert_eq!(output.status.code(), Some(69), "{}", err(&output));
        let text =
            format!("no running proxy at {nowhere} (control.address): nothing listens there");
        assert!(err(&output).contains(&text), "{}", err(&output));
    }
    let output = program(&["healthcheck", "--telemetry-address", &nowhere], &[]);
    assert_eq!(output.status.code(), Some(69), "{}", err(&output));
    let output = program(&["wait", "--timeout", "1ms", "--telemetry-address", &nowhere], &[]);
    assert_eq!(output.status.code(), Some(75), "{}", err(&output));
    assert!(err(&output).contains("not ready within 1ms"), "{}", err(&output));
}

/// Answers `answers.len()` requests, one connection each; returns the requests' heads.
fn stand_in(answers: Vec<(u16, String)>) -> (String, thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let served = thread::spawn(move || {
        let serve = |(status, body): (u16, String)| {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
                head.push(byte[0]);
            }
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8(head).unwrap()
        };
        answers.into_iter().map(serve).collect()
    });
    (address, served)
}

#[test]
fn status_is_asked_with_the_control_header_and_shown_as_a_table() {
    let body = r#"{"version":"0.1.0","uptime_seconds":5,"listen":["127.0.0.1:9000"],"draining":false,
        "keys":[{"name":"default","source":"http","usable":true,"secret_id":"AKIDexam","swaps":3}]}"#;
    let (address, served) = stand_in(vec![(200, body.to_owned())]);
    // A proxy in the environment is for the internet, not for this host's own control.
    let output = program(
        &["status", "--control-address", &address],
        &[("HTTP_PROXY", "http://127.0.0.1:1"), ("http_proxy", "http://127.0.0.1:1")],
    );
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(out(&output).contains("default  http    yes     AKIDexam"), "{}", out(&output));
    let head = served.join().unwrap().remove(0);
    assert!(head.starts_with("GET /status HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("x-cos-auth-proxy-control: 1\r\n"), "{head}");
}

#[test]
fn refresh_names_the_key_set_and_says_what_became_of_it() {
    let refusal = r#"{"error":"no key set is named \"x\"; there are: default"}"#;
    let swapped = r#"{"keys":[{"name":"default","outcome":"swapped","usable":true,
        "secret_id":"AKIDexam","expires_in_seconds":7140,"next_refresh_in_seconds":3600}]}"#;
    let mixed = r#"{"keys":[
        {"name":"default","outcome":"swapped","usable":true,"secret_id":"AKIDexam"},
        {"name":"reports","outcome":"failed","usable":false,"next_refresh_in_seconds":30,
         "error":"https://sts.example refused with code AuthFailure (request r-1)"}]}"#;
    let limited = r#"{"keys":[{"name":"default","outcome":"limited","usable":true,
        "secret_id":"AKIDexam","error":"forced refreshes are limited; possible in 9 s"}]}"#;
    let answers = [(200, swapped), (502, mixed), (429, limited), (404, refusal)];
    let (address, served) = stand_in(answers.map(|(s, body)| (s, body.to_owned())).into());
    let refresh = |more: &[&str]| {
        let arguments = [&["refresh", "--control-address", &address], more].concat();
        program(&arguments, &[])
    };
    let good = refresh(&[]);
    assert_eq!(good.status.code(), Some(0), "{}", err(&good));
    assert!(
        out(&good).contains("default: a new key, AKIDexam…, expires in 1h 59m"),
        "{}",
        out(&good)
    );
    let failed = refresh(&[]);
    assert_eq!(failed.status.code(), Some(69));
    assert!(out(&failed).starts_with("default: a new key"), "{}", out(&failed));
    assert!(err(&failed).contains("(request r-1)") && err(&failed).contains("next try in 30s"));
    let limited = refresh(&[]);
    assert_eq!(limited.status.code(), Some(75));
    assert!(err(&limited).contains("possible in 9 s"), "{}", err(&limited));
    let unknown = refresh(&["x"]);
    assert_eq!(unknown.status.code(), Some(69), "{}", err(&unknown));
    assert!(err(&unknown).contains("there are: default"), "{}", err(&unknown));
    let heads = served.join().unwrap();
    assert!(heads[0].starts_with("POST /refresh HTTP/1.1"), "{}", heads[0]);
    assert!(heads[3].starts_with("POST /refresh?keys=x HTTP/1.1"), "{}", heads[3]);
}

#[test]
fn wait_asks_until_it_is_ready() {
    let not_yet = (503, "not ready: no key yet\n".to_owned());
    let (address, served) = stand_in(vec![not_yet.clone(), not_yet, (200, "ok\n".to_owned())]);
    let output = program(&["wait", "--telemetry-address", &address], &[]);
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(0), "ready\n"));
    assert!(served.join().unwrap().iter().all(|head| head.starts_with("GET /readyz ")));
    let (address, served) = stand_in(vec![(503, "not ready: draining\n".to_owned())]);
    let output = program(&["healthcheck", "--telemetry-address", &address], &[]);
    assert_eq!(output.status.code(), Some(69));
    assert!(err(&output).contains("not ready: draining"), "{}", err(&output));
    served.join().unwrap();
}

#[cfg(unix)]
#[test]
fn a_control_socket_is_asked_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let served = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 1024];
        let read = stream.read(&mut head).unwrap();
        stream.write_all(b"HTTP/1.1 202 X\r\ncontent-length: 2\r\n\r\n{}").unwrap();
        String::from_utf8_lossy(&head[..read]).into_owned()
    });
    let address = format!("unix:{}", path.display());
    let output = program(&["quit", "--control-address", &address], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(served.join().unwrap().starts_with("POST /quit HTTP/1.1\r\n"));
}
