//! Routes as the operator writes them: how they are read, what policies they make, what `check` shows.

#![expect(clippy::unwrap_used, reason = "a panic is how a test complains")]

#[path = "configuration/loading.rs"]
mod loading;

use cos_auth_proxy::{
    config::{self, Inputs, Settings, summary, warnings},
    credential::SourceSettings,
};
use loading::{Folder, Variables, enough, load, problems, with};

const TWO_SETS: &str = "\
[keys.reports]
source = \"federation-token\"
[keys.images]
source = \"assume-role\"
role_arn = \"qcs::cam::uin/100000000001:roleName/images\"
scope = \"routes\"
[[route]]
prefix = \"reports/\"
allow = [\"read\", \"list\"]
keys = \"reports\"
[[route]]
prefix = \"reports/2026/\"
allow = [\"read\", \"name/cos:PutObject\"]
keys = \"reports\"
[[route]]
bucket = \"pictures-1250000000\"
region = \"ap-beijing\"
allow = [\"read\", \"write\"]
keys = \"images\"
";

fn policy(settings: &Settings, set: &str) -> serde_json::Value {
    let note = settings.key_notes.iter().find(|note| note.set == set).unwrap();
    serde_json::from_str(note.policy.as_ref().unwrap()).unwrap()
}

#[test]
fn routes_name_key_sets_and_take_bucket_and_region_from_upstream() {
    let settings = load(Some(TWO_SETS), &enough()).unwrap();
    let routes: Vec<_> = settings
        .proxy
        .routes
        .iter()
        .map(|r| (r.bucket.as_str(), r.region.as_str(), r.prefix.as_str(), r.keys_name.as_str()))
        .collect();
    assert_eq!(
        routes,
        [
            ("examplebucket-1250000000", "ap-guangzhou", "reports/", "reports"),
            ("examplebucket-1250000000", "ap-guangzhou", "reports/2026/", "reports"),
            ("pictures-1250000000", "ap-beijing", "", "images"),
        ]
    );
    for route in &settings.proxy.routes {
        assert_eq!(settings.keys[route.keys].name, route.keys_name);
    }
}

#[test]
fn a_federation_token_is_narrowed_to_its_routes_and_a_role_if_told() {
    let settings = load(Some(TWO_SETS), &enough()).unwrap();
    let reports = policy(&settings, "reports");
    let text = reports.to_string();
    let resource = "qcs::cos:ap-guangzhou:uid/1250000000:examplebucket-1250000000/reports/";
    assert!(text.contains(&format!("{resource}*")) && text.contains(&format!("{resource}2026/*")));
    assert!(text.contains("\"deny\"") && !text.contains("pictures"), "{text}");
    assert!(policy(&settings, "images").to_string().contains("ap-beijing:uid/1250000000:pictures"));
    let SourceSettings::FederationToken(token) = &settings.keys[0].source else { panic!() };
    assert_eq!(token.policy, settings.key_notes[0].policy.clone().unwrap());

    let as_role = TWO_SETS.replace("scope = \"routes\"\n", "");
    let settings = load(Some(&as_role), &enough()).unwrap();
    assert_eq!(settings.key_notes[1].policy, None, "a role keeps its own rights");
    let by_hand =
        TWO_SETS.replace("\"federation-token\"\n", "\"federation-token\"\nscope = \"bucket\"\n");
    let settings = load(Some(&by_hand), &enough()).unwrap();
    assert!(policy(&settings, "reports").to_string().contains("examplebucket-1250000000/*"));
}

#[test]
fn a_permanent_key_that_was_found_is_narrowed_to_the_routes_too() {
    let routes = "[[route]]\nprefix = \"in/\"\nallow = [\"read\"]\n";
    let settings = load(Some(routes), &enough()).unwrap();
    assert!(settings.key_notes[0].chosen_by_auto);
    let text = policy(&settings, "default").to_string();
    assert!(text.contains("/in/*") && !text.contains("PutObject"), "{text}");
    let mut no_bucket = enough();
    no_bucket.remove("COS_AUTH_PROXY_UPSTREAM_BUCKET");
    let routes = format!("{routes}bucket = \"b-1250000000\"\n");
    assert!(load(Some(&routes), &no_bucket).is_ok(), "the routes name the buckets");
}

#[test]
fn lists_can_be_limited_by_a_condition() {
    let file = TWO_SETS
        .replace("\"federation-token\"\n", "\"federation-token\"\nlist_form = \"condition\"\n");
    let settings = load(Some(&file), &enough()).unwrap();
    assert!(policy(&settings, "reports").to_string().contains("\"cos:prefix\":[\"reports%2F*\"]"));
}

#[test]
fn what_cannot_be_meant_is_refused_with_the_fix() {
    let route = |lines: &str| format!("[[route]]\nallow = [\"read\"]\n{lines}");
    for (file, part) in [
        (route("prefix = \"/in/\"\n"), "route[0].prefix begins with /, and keys do not"),
        (route("prefix = \"in/${user}\"\n"), "mean more in a policy"),
        (route("bucket = \"short\"\n"), "route[0].bucket must be NAME-APPID"),
        (route("keys = \"defualt\"\n"), "there is: default; did you mean default?"),
        (
            "[[route]]\nprefix = \"in/\"\nallow = [\"name/cos:GetBucketACL\"]\n".to_owned(),
            "config.toml:3:1: route[0].allow[0] reaches the whole bucket",
        ),
        (
            "[[route]]\nprefix = \"in/\"\nallow = [\"name/ci:*\"]\n".to_owned(),
            "route[0].allow[0] reaches the whole bucket",
        ),
        (
            route("[[route]]\nallow = [\"read\"]\nregion = \"ap-beijing\"\n"),
            "config.toml:5:1: route[1].region is another one than that of a route of the same bucket",
        ),
        ("route = \"x\"\n".to_owned(), "must be written [[route]]"),
        (
            "[keys.default]\nsource = \"federation-token\"\n[keys.other]\nsource = \"federation-token\"\n"
                .to_owned() + &route(""),
            "keys.other.scope \"routes\" needs a [[route]] with keys = \"other\"",
        ),
        (
            "[keys.default]\nsource = \"federation-token\"\nscope = \"routes\"\n".to_owned(),
            "keys.default.scope \"routes\" needs a [[route]] with keys = \"default\"",
        ),
        (
            "[keys.default]\nsource = \"static\"\nscope = \"routes\"\n".to_owned() + &route(""),
            "source = \"assume-role\", via = \"default\"",
        ),
        (
            route("[[route]]\nprefix = \"a/\"\nallow = []\n[[route]]\nprefix = \"a/b/\"\nallow = [\"read\"]\n"),
            "Give the route of \"a/b/\" another key set",
        ),
        (
            "[keys.a]\nsource = \"static\"\n[keys.b]\nsource = \"static\"\n".to_owned(),
            "config.toml:4:1: [keys.b] is a second key set, and it is not clear which one signs",
        ),
    ] {
        let told = problems(&file);
        assert!(told.contains(part), "{part}\nin: {told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
}

#[test]
fn without_routes_the_key_set_named_default_signs() {
    let file = "[keys.a]\nsource = \"static\"\n[keys.default]\nsource = \"static\"\n";
    let environment = with(enough(), &[("TENCENTCLOUD_TOKEN", loading::TOKEN)]);
    let settings = load(Some(file), &environment).unwrap();
    assert_eq!(settings.keys[0].name, "default");
    assert!(summary(&settings).contains("a: static, unused"), "{}", summary(&settings));
    assert_eq!(warnings(&settings), ["keys.a: no request is signed with this key set"]);
}

#[test]
fn check_shows_the_routes_as_they_are_matched_and_every_policy() {
    let text = summary(&load(Some(TWO_SETS), &enough()).unwrap());
    let table: Vec<&str> = text
        .lines()
        .skip_while(|line| !line.starts_with("routes"))
        .take(4)
        .map(|line| line.trim_start_matches("routes").trim())
        .collect();
    assert_eq!(
        table,
        [
            "bucket                    region        prefix           allow                     keys",
            "examplebucket-1250000000  ap-guangzhou  \"reports/2026/\"  read, name/cos:PutObject  reports",
            "examplebucket-1250000000  ap-guangzhou  \"reports/\"       read, list                reports",
            "pictures-1250000000       ap-beijing    \"\"               read, write               images",
        ]
    );
    assert!(
        text.contains("\"qcs::cos:ap-beijing:uid/1250000000:pictures-1250000000/*\""),
        "{text}"
    );
    assert!(!text.contains("warning"), "{text}");
    assert!(!text.contains("Planted"), "{text}");
}

#[test]
fn routes_that_sign_nothing_and_long_policies_are_warned_about() {
    let mut file =
        "[[route]]\nallow = [\"read\", \"list\"]\n[[route]]\nallow = [\"list\"]\n".to_owned();
    let settings = load(Some(&file), &enough()).unwrap();
    assert!(
        warnings(&settings)[0].starts_with("route[1]: an earlier route"),
        "{:?}",
        warnings(&settings)
    );
    for number in 0..80 {
        file += &format!("[[route]]\nprefix = \"folder{number}/\"\nallow = [\"write\"]\n");
    }
    let settings = load(Some(&file), &enough()).unwrap();
    assert!(warnings(&settings)[0].contains("the policy has"), "{:?}", warnings(&settings));
}

#[test]
fn a_policy_written_by_hand_is_read_as_sts_will() {
    let folder = Folder::new();
    let with_policy = |text: &str| {
        let file = folder.file("policy.json", text);
        let file = format!(
            "[keys.default]\nsource = \"federation-token\"\npolicy_file = {:?}\n",
            file.to_str().unwrap()
        );
        load(Some(&file), &enough())
    };
    let statement = |action: &str, resource: &str| {
        format!(
            "{{\"version\": \"2.0\", \"statement\": [\n{{\"effect\": \"allow\", \"action\": [\"{action}\"],\n\"resource\": [\"{resource}\"]}}]}}"
        )
    };
    let good = "qcs::cos:ap-guangzhou:uid/1250000000:examplebucket-1250000000/*";
    let settings = with_policy(&statement("name/cos:GetObject", good)).unwrap();
    assert_eq!(warnings(&settings), [""; 0]);
    let settings = with_policy(&statement("*", "*")).unwrap();
    let told = warnings(&settings);
    assert!(
        told[0].starts_with("keys.default: the policy is wide: line 2: statement[0].action[0]"),
        "{told:?}"
    );
    assert!(
        told[1].contains("line 2: statement[0].resource[0]") || told[1].contains("line 3"),
        "{told:?}"
    );
    assert!(summary(&settings).contains("warning      keys.default: the policy is wide"));

    let foreign = "qcs::cos:ap-guangzhou:uid/1250000001:examplebucket-1250000000/*";
    let told = with_policy(&statement("name/cos:GetObject", foreign)).unwrap_err();
    assert!(
        told.contains(
            "keys.default.policy_file is wrong: line 3: statement[0].resource[0] names one APPID"
        ),
        "{told}"
    );
    assert!(!told.contains("1250000001"), "{told}");
    let told = with_policy("{\"version\": ").unwrap_err();
    assert!(told.contains("is not JSON"), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");
}

#[test]
fn what_is_printed_means_the_same() {
    let folder = Folder::new();
    let environment: Variables = enough();
    let file = folder.file("c.toml", TWO_SETS);
    let inputs = Inputs { file: Some(file), flags: Vec::new(), environment: &environment };
    for sources in [false, true] {
        let text = config::show(&config::read(&inputs).0, sources);
        let again = load(Some(&text), &environment).unwrap();
        let first = load(Some(TWO_SETS), &environment).unwrap();
        assert_eq!(format!("{again:?}"), format!("{first:?}"), "{text}");
    }
}
