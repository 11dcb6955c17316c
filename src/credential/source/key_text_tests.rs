use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);
const END: &str = "1700007200";
const ID: &str = "AKIDtmpQ9x_kVb-3YzAAAAexampleexampleexampleexampleexampleexample0001";
const SECRET: &str = "c2VjcmV0/c2VjcmV0+c2Vj=";
const TOKEN: &str = "tokenTOKENtoken0123456789tokenTOKENtoken";
const PERMANENT: &str = "AKIDEXAMPLEEXAMPLEEXAMPLEEXAMPLE0001";

fn about(format: KeyFormat) -> About<'static> {
    About { format, profile: None, finished: false, now: NOW, written_at: NOW }
}

fn read(text: &str, format: KeyFormat) -> Result<Credential, TextFault> {
    parse(text.as_bytes(), about(format))
}

/// Every way in which a whole temporary key may stand in a file.
fn written_forms() -> Vec<(&'static str, KeyFormat, String)> {
    let json = |text: String| (KeyFormat::Json, text);
    let env = |text: String| (KeyFormat::Env, text);
    let ini = |text: String| (KeyFormat::Ini, text);
    let forms = [
        (
            "sdk json",
            json(format!(
                r#"{{"credentials":{{"tmpSecretId":"{ID}","tmpSecretKey":"{SECRET}","sessionToken":"{TOKEN}"}},"expiredTime":{END}}}"#
            )),
        ),
        (
            "tccli",
            json(format!(
                r#"{{"secretId":"{ID}","secretKey":"{SECRET}","token":"{TOKEN}","expiresAt":{END},"type":"sso"}}"#
            )),
        ),
        (
            "credential process",
            json(format!(
                r#"{{"Version":1,"AccessKeyId":"{ID}","SecretAccessKey":"{SECRET}","SessionToken":"{TOKEN}","Expiration":"2023-11-15T00:13:20Z"}}"#
            )),
        ),
        (
            "vault read -format=json",
            json(format!(
                r#"{{"lease_duration":7199,"data":{{"secret_id":"{ID}","secret_key":"{SECRET}","token":"{TOKEN}","expiration":"2023-11-15T00:13:20Z"}}}}"#
            )),
        ),
        (
            "shell",
            env(format!(
                "# by hand\nexport TENCENTCLOUD_SECRET_ID=\"{ID}\"\nexport TENCENTCLOUD_SECRET_KEY='{SECRET}'\n\
                 TENCENTCLOUD_SECURITY_TOKEN={TOKEN}  # a comment\nEXPIRED_TIME={END}\n"
            )),
        ),
        (
            "scf",
            env(format!(
                "TENCENTCLOUD_SECRETID={ID}\r\nTENCENTCLOUD_SECRETKEY={SECRET}\r\nTENCENTCLOUD_SESSIONTOKEN={TOKEN}\r\nexpiration={END}\r\n"
            )),
        ),
        (
            "vault agent",
            env(format!(
                "secret_id: {ID}\nsecret_key: {SECRET}\ntoken: {TOKEN}\nexpiration: {END}\n"
            )),
        ),
        (
            "cosfs",
            ini(format!(
                "COSAccessKeyId={ID}\nCOSSecretKey={SECRET}\nCOSAccessToken={TOKEN}\nCOSAccessTokenExpire=2023-11-15T00:13:20Z\n"
            )),
        ),
        (
            "sdk profile",
            ini(format!(
                "[other]\nsecret_id = {PERMANENT}\nsecret_key = x\n\n[default]\nsecret_id = {ID}\n\
                 secret_key = {SECRET}\ntoken = {TOKEN}\nexpiration = {END}\n"
            )),
        ),
        (
            "coscmd",
            ini(format!(
                "[common]\naccess_id = {ID}\nsecret_key = {SECRET}\ntoken = {TOKEN}\nexpired_time = {END}\nbucket = b-1\n"
            )),
        ),
        (
            "coscli",
            (
                KeyFormat::CoscliYaml,
                format!(
                    "cos:\n  base:\n    secretid: {ID}\n    secretkey: {SECRET}\n    sessiontoken: \"{TOKEN}\"\n    \
                     protocol: https\n    mode: SecretKey\n    disableencryption: \"true\"\n    expiration: {END}\n  \
                     buckets:\n  - name: b-1\n    secretid: not-this\n"
                ),
            ),
        ),
    ];
    forms.map(|(name, (format, text))| (name, format, text)).into()
}

fn is_the_key(key: &Credential) -> bool {
    key.id.as_str() == ID
        && key.secret.expose() == SECRET
        && key.token.as_ref().is_some_and(|token| token.expose() == TOKEN)
}

#[test]
fn every_form_gives_the_whole_key() {
    for (name, format, text) in written_forms() {
        let formats = match format {
            KeyFormat::CoscliYaml => vec![format],
            KeyFormat::Auto | KeyFormat::Json | KeyFormat::Env | KeyFormat::Ini => {
                vec![format, KeyFormat::Auto]
            }
        };
        for format in formats {
            let key = read(&text, format).unwrap_or_else(|fault| panic!("{name}: {fault}"));
            assert!(is_the_key(&key), "{name}: {key:?}");
            assert_eq!(key.expires_at.unwrap().unix_seconds().to_string(), END, "{name}");
        }
    }
}

#[test]
fn no_beginning_of_a_file_gives_another_key() {
    for (name, format, text) in written_forms() {
        for end in 0..text.len() {
            let Some(prefix) = text.get(..end) else { continue };
            if let Ok(key) = read(prefix, format) {
                assert!(is_the_key(&key), "{name}, the first {end} bytes: {key:?}");
            }
        }
    }
}

#[test]
fn permanent_keys_and_keys_without_a_known_end_are_taken() {
    for text in [
        format!(
            r#"{{"secretId":"{PERMANENT}","secretKey":"{SECRET}","token":null,"expiresAt":0}}"#
        ),
        format!("secret_id={PERMANENT}\nsecret_key={SECRET}\ntoken=\n"),
        format!("[default]\nsecret_id={PERMANENT}\nsecret_key={SECRET}\n"),
        // A CAM user of Vault's engine: the lease is renewed.
        format!(
            r#"{{"lease_duration":2764800,"data":{{"secret_id":"{PERMANENT}","secret_key":"{SECRET}"}}}}"#
        ),
    ] {
        let key = read(&text, KeyFormat::Auto).unwrap();
        assert_eq!(key.id.as_str(), PERMANENT);
        assert!(key.token.is_none() && key.expires_at.is_none(), "{text}: {key:?}");
    }
}

#[test]
fn a_lease_counts_from_when_the_file_was_written() {
    let text = format!(
        r#"{{"lease_duration":7199,"data":{{"secret_id":"{ID}","secret_key":"{SECRET}","token":"{TOKEN}"}}}}"#
    );
    let written_at = Timestamp::from_unix_seconds(1_699_999_000);
    let about = About { written_at, ..about(KeyFormat::Auto) };
    let key = parse(text.as_bytes(), about).unwrap();
    assert_eq!(key.expires_at.unwrap().unix_seconds(), 1_699_999_000 + 7199);
}

#[test]
fn what_is_wrong_is_told_by_place_and_never_by_value() {
    let id_only = format!("secret_id={PERMANENT}\n");
    let half = format!("secret_id={ID}\nsecret_key={SECRET}\n");
    let two = format!("A_SECRET_ID=x\nsecret_id={ID}\nTENCENTCLOUD_SECRETID=Planted\n");
    let bad_end = format!("{half}token={TOKEN}\nexpiration=Planted\n");
    let bad_json_end = format!(
        r#"{{"secretId":"{ID}","secretKey":"{SECRET}","token":"{TOKEN}","expiresAt":"Planted"}}"#
    );
    let hidden = "cos:\n  base:\n    secretid: Planted\n    secretkey: Planted\n";
    let role = "cos:\n  base:\n    mode: CvmRole\n    secretid: \"\"\n";
    for (text, format, expected) in [
        ("", KeyFormat::Auto, "may be half written"),
        ("\n", KeyFormat::Auto, "it holds no key"),
        ("secret_key=x\n", KeyFormat::Auto, "it has no secret id"),
        (&id_only, KeyFormat::Auto, "it has no secret key"),
        (
            &half,
            KeyFormat::Auto,
            "it has no session token, and its secret id is that of a temporary",
        ),
        (&two, KeyFormat::Auto, "line 3 gives the secret id a second time, and another one"),
        (&bad_end, KeyFormat::Auto, "it has no expiry that can be read"),
        (&bad_json_end, KeyFormat::Auto, "it has no expiry that can be read"),
        ("Planted\n", KeyFormat::Auto, "line 1 is neither NAME=value nor a comment"),
        ("[default]\n", KeyFormat::Env, "line 1 begins a section"),
        ("secret_id=\"Planted\n", KeyFormat::Env, "line 1 is neither"),
        ("secret_id=Pla nted\nsecret_key=x\n", KeyFormat::Env, "has a character at position 3"),
        (hidden, KeyFormat::CoscliYaml, "coscli hides its values"),
        (role, KeyFormat::CoscliYaml, "source instance-role"),
        ("cos:\n  buckets: []\n", KeyFormat::CoscliYaml, "it holds no key"),
        (r#"{"secretId":"Planted""#, KeyFormat::Auto, "it is not JSON (line 1, column"),
    ] {
        let told = read(text, format).unwrap_err().to_string();
        assert!(told.contains(expected), "{text:?}: {told}");
        assert!(!told.contains("Planted") && !told.contains(SECRET), "{told}");
    }
}

#[test]
fn the_section_that_is_asked_for_counts_and_no_other() {
    let text = format!(
        "secret_id=a\n[default]\nsecret_id=b\n[reports]\nsecret_id={PERMANENT}\nsecret_key=c\n[x]\nnonsense\n"
    );
    let section = |profile| {
        let about = About { profile: Some(profile), ..about(KeyFormat::Ini) };
        parse(text.as_bytes(), about)
    };
    assert_eq!(section("reports").unwrap().id.as_str(), PERMANENT);
    let told = section("gone").unwrap_err().to_string();
    assert_eq!(told, "it has no section [gone]");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for format in [KeyFormat::Auto, KeyFormat::Json, KeyFormat::Env, KeyFormat::Ini, KeyFormat::CoscliYaml] {
            let _ = parse(&bytes, about(format));
        }
    }

    #[test]
    fn no_lines_make_it_panic(text in "(\\[?[a-z_]{0,9}\\]?[ =:\"'#]{0,3}[!-~ü]{0,8}\n){0,6}") {
        for format in [KeyFormat::Auto, KeyFormat::Env, KeyFormat::Ini, KeyFormat::CoscliYaml] {
            let _ = read(&text, format);
        }
    }

    #[test]
    fn any_key_that_is_written_as_lines_is_read_back_or_nothing(
        id in "AKID[0-9A-Za-z_-]{40,70}", secret in "[!-~]{1,60}", token in "[0-9A-Za-z+/=_-]{1,90}",
        cut in 0.0_f64..1.0,
    ) {
        let quote = if secret.contains('\'') { '"' } else { '\'' };
        prop_assume!(!secret.contains(quote));
        let text = format!("export SECRET_ID={id}\nSECRET_KEY={quote}{secret}{quote}\nTOKEN={token}\n");
        let whole = read(&text, KeyFormat::Auto).unwrap();
        prop_assert_eq!(whole.id.as_str(), &id);
        prop_assert_eq!(whole.secret.expose(), &secret);
        prop_assert_eq!(whole.token.as_ref().unwrap().expose(), &token);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a share of a short text")]
        let end = (text.len() as f64 * cut) as usize;
        // The text is ASCII.
        if let Ok(key) = read(text.get(..end).unwrap(), KeyFormat::Auto) {
            prop_assert!(key.secret == whole.secret && key.token == whole.token);
        }
    }
}
