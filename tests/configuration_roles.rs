//! Key sets that take roles, as the operator writes them: web identity, instance role, and roles taken
//! with the key of another key set.

#![expect(clippy::unwrap_used, reason = "a panic is how a test complains")]

#[path = "configuration/loading.rs"]
mod loading;

use cos_auth_proxy::{
    config::{Settings, summary},
    credential::{RoleParent, SourceSettings, WebIdentitySettings},
};
use loading::{Folder, Variables, enough, load, problems, variables, with};

const ROLE: &str = "qcs::cam::uin/100000000001:roleName/cos-sidecar";

/// What the webhook of TKE puts into a pod.
fn pod(token_file: &std::path::Path) -> Variables {
    variables(&[
        ("TKE_REGION", "ap-singapore"),
        ("TKE_PROVIDER_ID", "my-cluster"),
        ("TKE_WEB_IDENTITY_TOKEN_FILE", token_file.to_str().unwrap()),
        ("TKE_ROLE_ARN", ROLE),
        ("HOSTNAME", "reports-7d9f-x2x"),
    ])
}

fn web_identity(settings: &Settings) -> &WebIdentitySettings {
    let SourceSettings::WebIdentity(identity) = &settings.keys[0].source else { panic!() };
    identity
}

const WEB_IDENTITY: &str = "[keys.default]\nsource = \"web-identity\"\n";

#[test]
fn a_pod_of_tke_needs_one_line() {
    let folder = Folder::new();
    let token = folder.file("token", "PlantedJwt\n");
    let settings = load(Some(WEB_IDENTITY), &pod(&token)).unwrap();
    let identity = web_identity(&settings);
    assert_eq!(identity.provider_id, "my-cluster");
    assert_eq!(identity.role_arn, ROLE);
    assert_eq!(identity.token_file, token);
    assert_eq!(identity.session_name, "cos-auth-proxy-reports-7d9f-x2x");
    assert_eq!(identity.sts.region, "ap-singapore");
    assert_eq!(identity.sts.endpoint.to_string(), "https://sts.internal.tencentcloudapi.com");
    let found = ["TKE_PROVIDER_ID", "TKE_WEB_IDENTITY_TOKEN_FILE", "TKE_ROLE_ARN", "TKE_REGION"];
    assert_eq!(settings.key_notes[0].found_in, found);
    let text = summary(&settings);
    assert!(text.contains(ROLE) && text.contains("sts.internal"), "{text}");
    assert!(!text.contains("Planted"), "{text}");
}

#[test]
fn the_wrong_name_of_the_token_variable_works_and_is_named() {
    let folder = Folder::new();
    let token = folder.file("token", "jwt");
    let mut environment = pod(&token);
    let path = environment.remove("TKE_WEB_IDENTITY_TOKEN_FILE").unwrap();
    environment.insert("TKE_IDENTITY_TOKEN_FILE".to_owned(), path);
    let settings = load(Some(WEB_IDENTITY), &environment).unwrap();
    assert_eq!(web_identity(&settings).token_file, token);
    let told = "TKE_IDENTITY_TOKEN_FILE (its right name is TKE_WEB_IDENTITY_TOKEN_FILE)";
    assert!(summary(&settings).contains(told), "{}", summary(&settings));

    // `auto` counts it too, rather than take the role of the node that the pod is on.
    let by_itself = load(None, &environment).unwrap();
    assert_eq!(by_itself.key_notes[0].source, "web-identity", "{}", summary(&by_itself));

    // The right one wins.
    let other = folder.file("other", "jwt");
    let both = with(environment, &[("TKE_WEB_IDENTITY_TOKEN_FILE", other.to_str().unwrap())]);
    let settings = load(Some(WEB_IDENTITY), &both).unwrap();
    assert_eq!(web_identity(&settings).token_file, other);
    assert!(!summary(&settings).contains("TKE_IDENTITY"), "{}", summary(&settings));
}

#[test]
fn settings_beat_what_the_webhook_says() {
    let folder = Folder::new();
    let token = folder.file("token", "jwt");
    let own = folder.file("own", "jwt");
    let role = ROLE.replace("cos-sidecar", "other");
    let file = format!(
        "{WEB_IDENTITY}provider_id = \"p\"\nweb_identity_token_file = {own:?}\nregion = \"ap-x\"\n\
         role_arn = \"{role}\"\nsession_name = \"s-1\"\nduration = \"1h\"\n\
         endpoint = \"https://sts.example\"\n"
    );
    let settings = load(Some(&file), &pod(&token)).unwrap();
    let identity = web_identity(&settings);
    assert_eq!((identity.provider_id.as_str(), &identity.role_arn), ("p", &role));
    assert_eq!((&identity.token_file, identity.session_name.as_str()), (&own, "s-1"));
    assert_eq!((identity.sts.region.as_str(), identity.duration.as_secs()), ("ap-x", 3600));
    assert_eq!(identity.sts.endpoint.to_string(), "https://sts.example");
    assert!(settings.key_notes[0].found_in.is_empty(), "{:?}", settings.key_notes[0].found_in);
}

#[test]
fn what_the_webhook_did_not_say_is_told_all_at_once() {
    let told = load(Some(WEB_IDENTITY), &Variables::new()).unwrap_err();
    for name in ["TKE_PROVIDER_ID", "TKE_WEB_IDENTITY_TOKEN_FILE", "TKE_ROLE_ARN"] {
        assert!(told.contains(&format!("nor is the variable {name}")), "{told}");
    }
    assert!(told.lines().all(|line| line.starts_with("config.toml:2:1: keys.default.")), "{told}");
    let gone = pod(std::path::Path::new("/does/not/exist"));
    let told = load(Some(WEB_IDENTITY), &gone).unwrap_err();
    assert!(told.contains("TKE_WEB_IDENTITY_TOKEN_FILE names a file that cannot"), "{told}");
    let folder = Folder::new();
    let long =
        with(pod(&folder.file("t", "jwt")), &[("COS_AUTH_PROXY_KEYS_DEFAULT_DURATION", "13h")]);
    let told = load(Some(WEB_IDENTITY), &long).unwrap_err();
    assert!(told.contains("12h, the most STS gives a role's session"), "{told}");
}

#[test]
fn a_policy_for_a_source_that_takes_none_is_refused_with_the_way_out() {
    for source in ["web-identity", "instance-role", "http"] {
        for line in ["scope = \"bucket\"", "scope = \"routes\"", "policy_file = \"/p.json\""] {
            let told = problems(&format!("[keys.app]\nsource = \"{source}\"\n{line}\n"));
            let key = line.split(' ').next().unwrap();
            let text = format!("config.toml:3:1: keys.app.{key} cannot be used with {source}");
            assert!(told.contains(&text), "{told}");
            assert!(told.contains("via = \"app\""), "{told}");
        }
    }
    let all_it_may = "[keys.app]\nsource = \"instance-role\"\nscope = \"role\"\n";
    assert!(load(Some(all_it_may), &enough()).is_ok());
}

#[test]
fn an_instance_role_needs_nothing_and_takes_a_name_and_an_address() {
    let file = "[keys.default]\nsource = \"instance-role\"\n";
    let settings = load(Some(file), &enough()).unwrap();
    let SourceSettings::InstanceRole(role) = &settings.keys[0].source else { panic!() };
    assert_eq!(role.endpoint.to_string(), "http://metadata.tencentyun.com");
    assert_eq!(role.role, None);
    assert!(summary(&settings).contains("the one that is bound"), "{}", summary(&settings));
    let named =
        format!("{file}role = \"reports\"\nendpoint = \"http://127.0.0.1:2888/accesskey\"\n");
    let settings = load(Some(&named), &enough()).unwrap();
    let SourceSettings::InstanceRole(role) = &settings.keys[0].source else { panic!() };
    assert_eq!(role.role.as_deref(), Some("reports"));
    assert_eq!(role.endpoint.to_string(), "http://127.0.0.1:2888");
    let arn = format!("{file}role = \"{ROLE}\"\n");
    assert!(problems(&arn).contains("keys.default.role is wrong: must be the name of a role"));
}

#[test]
fn a_setting_of_another_source_is_not_ignored() {
    for (source, line, owner) in [
        ("http", "via = \"other\"", "assume-role"),
        ("federation-token", "tags = [\"a=b\"]", "assume-role"),
        ("assume-role", "role = \"reports\"", "instance-role"),
        ("static", "provider_id = \"p\"", "web-identity"),
    ] {
        let told = problems(&format!("[keys.default]\nsource = \"{source}\"\n{line}\n"));
        let key = line.split(' ').next().unwrap();
        let text = format!("config.toml:3:1: keys.default.{key} is for {owner}");
        assert!(told.contains(&text), "{told}");
    }
}

/// A role that is taken with the key of `via`.
fn role_via(name: &str, via: &str) -> String {
    format!("[keys.{name}]\nsource = \"assume-role\"\nrole_arn = \"{ROLE}\"\nvia = \"{via}\"\n")
}

#[test]
fn a_role_is_taken_with_the_key_of_another_key_set_and_signs_alone() {
    let base = "[keys.node]\nsource = \"instance-role\"\n";
    let (before, after) =
        (format!("{base}{}", role_via("app", "node")), role_via("app", "node") + base);
    for file in [before, after] {
        let settings = load(Some(&file), &Variables::new()).unwrap();
        let names: Vec<_> = settings.keys.iter().map(|set| set.name.as_str()).collect();
        assert_eq!(names, ["app", "node"], "the one that signs comes first");
        assert_eq!(settings.key_notes[0].via.as_deref(), Some("node"));
        let SourceSettings::AssumeRole(role) = &settings.keys[0].source else { panic!() };
        assert!(matches!(&role.parent, RoleParent::KeySet(name) if name == "node"));
        assert!(summary(&settings).contains("the key of node"), "{}", summary(&settings));
    }
    let three = format!("{base}{}{}", role_via("middle", "node"), role_via("app", "middle"));
    let settings = load(Some(&three), &Variables::new()).unwrap();
    assert_eq!(settings.keys[0].name, "app");
    let two = format!("{base}{}{}", role_via("one", "node"), role_via("two", "node"));
    assert!(problems(&two).contains("[keys.two] is a second key set"), "{}", problems(&two));
}

#[test]
fn circles_and_unknown_key_sets_are_refused() {
    let told = problems(&role_via("app", "app"));
    assert!(
        told.contains("config.toml:4:1: keys.app.via is wrong: names the key set itself"),
        "{told}"
    );
    let told = problems(&role_via("app", "nobody"));
    assert!(told.contains("keys.app.via is wrong: there is no key set [keys.nobody]"), "{told}");
    let told = problems(&(role_via("a", "b") + &role_via("b", "a")));
    assert!(
        told.contains("config.toml:4:1: keys.a.via is wrong: goes round in a circle"),
        "{told}"
    );
    assert!(
        told.contains("config.toml:8:1: keys.b.via is wrong: goes round in a circle"),
        "{told}"
    );
    let own = role_via("app", "app") + "secret_id_env = \"MY_ID\"\n";
    assert!(problems(&own).contains("keys.app.via and a key (secret_id_env"), "{}", problems(&own));
}

#[test]
fn tags_and_external_ids_are_checked_before_sts_is_asked() {
    let role = format!("[keys.default]\nsource = \"assume-role\"\nrole_arn = \"{ROLE}\"\n");
    let good = format!("{role}tags = [\"team=reports\", \"tier=a=b\"]\nexternal_id = \"me:7\"\n");
    let settings = load(Some(&good), &enough()).unwrap();
    let SourceSettings::AssumeRole(settings) = &settings.keys[0].source else { panic!() };
    let tags: Vec<_> = settings.tags.iter().map(|t| (t.key.as_str(), t.value.as_str())).collect();
    assert_eq!(tags, [("team", "reports"), ("tier", "a=b")]);
    for (line, text) in [
        ("tags = [\"a=1\", \"Planted\"]", "tags is wrong: number 2 is not of the form"),
        (
            "tags = [\"a=1\", \"b=2\", \"a=3\"]",
            "tags is wrong: number 3 has the name of one before",
        ),
        ("external_id = \"x\"", "external_id is wrong: must be 2 to 128"),
        ("external_id = \"Planted id\"", "external_id is wrong: must be 2 to 128"),
    ] {
        let told = problems(&format!("{role}{line}\n"));
        assert!(told.contains(&format!("config.toml:4:1: keys.default.{text}")), "{told}");
        assert!(!told.contains("Planted"), "{told}");
    }
}

#[test]
fn keys_that_live_very_shortly_are_warned_about() {
    let with_duration = |duration: &str| {
        let file =
            format!("[keys.default]\nsource = \"federation-token\"\nduration = \"{duration}\"\n");
        summary(&load(Some(&file), &enough()).unwrap())
    };
    assert!(with_duration("299s").contains("less than 5m"), "{}", with_duration("299s"));
    assert!(!with_duration("5m").contains("warning"), "{}", with_duration("5m"));
}

#[test]
fn the_name_of_the_session_tells_the_pod() {
    let role = format!("[keys.default]\nsource = \"assume-role\"\nrole_arn = \"{ROLE}\"\n");
    for (variables, expected) in [
        (vec![], "cos-auth-proxy"),
        (vec![("HOSTNAME", "host-1")], "cos-auth-proxy-host-1"),
        (vec![("HOSTNAME", "node-1"), ("POD_NAME", "pod-1")], "cos-auth-proxy-pod-1"),
    ] {
        let settings = load(Some(&role), &with(enough(), &variables)).unwrap();
        let SourceSettings::AssumeRole(settings) = &settings.keys[0].source else { panic!() };
        assert_eq!(settings.session_name, expected);
    }
}
