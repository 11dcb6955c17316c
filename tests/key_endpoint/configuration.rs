//! What `[key_endpoint]` takes and what it refuses.

use std::{collections::BTreeMap, time::Duration};

use cos_auth_proxy::{
    config::{self, Inputs, Settings},
    key_endpoint::{KeyEndpoint, KeyEndpointError, KeyEndpointSettings, Shape},
    server::ListenAddress,
};

fn load(file: &str) -> Result<Settings, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, file).unwrap();
    let variables = [
        ("TENCENTCLOUD_SECRET_ID", "AKIDEXAMPLEEXAMPLEEXAMPLEEXAMPLE0001"),
        ("TENCENTCLOUD_SECRET_KEY", "PlantedSecretKey"),
        ("COS_AUTH_PROXY_UPSTREAM_BUCKET", "examplebucket-1250000000"),
        ("COS_AUTH_PROXY_UPSTREAM_REGION", "ap-guangzhou"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let environment = BTreeMap::from(variables);
    let inputs = Inputs { file: Some(path), flags: Vec::new(), environment: &environment };
    config::load(&inputs).map_err(|problems| problems.to_string())
}

const ON: &str = "[key_endpoint]\naddress = [\"127.0.0.1:9003\"]\n";

#[test]
fn it_is_off_unless_an_address_is_given() {
    assert!(load("").unwrap().key_endpoint.address.is_empty());
    assert!(load("[key_endpoint]\nkeys = [\"nobody\"]\n").unwrap().key_endpoint.address.is_empty());
    let on = load(ON).unwrap();
    assert_eq!(on.key_endpoint.shapes, [Shape::Metadata, Shape::Sts]);
    assert_eq!(
        (on.key_endpoint.keys.as_slice(), on.key_endpoint.margin.as_secs()),
        (&["default".to_owned()][..], 60)
    );
    let summary = config::summary(&on);
    assert!(summary.contains("every program of this host"), "{summary}");
    assert!(config::summary(&load("").unwrap()).lines().all(|line| !line.contains("hands keys")));
}

#[test]
fn what_would_hand_keys_to_others_or_never_work_is_a_configuration_error() {
    for (more, told) in [
        ("[key_endpoint]\naddress = \"0.0.0.0:9003\"\n", "key_endpoint.address must be loopback"),
        ("[key_endpoint]\naddress = \"10.0.0.1:9003\"\n", "key_endpoint.address must be loopback"),
        ("[key_endpoint]\naddress = \"[::]:9003\"\n", "whoever reaches it gets whole keys"),
        ("[key_endpoint]\naddress = \"127.0.0.1:9002\"\n", "is an address of control.address too"),
        ("shapes = [\"imds\"]\n", "key_endpoint.shapes must be a list of \"metadata\" and \"sts\""),
        ("socket_mode = \"0777\"\n", "key_endpoint.socket_mode must be one of"),
        ("socket_mode = \"0666\"\n", "lets every user of the host ask for keys"),
        ("shapes = []\n", "key_endpoint.shapes is empty"),
        ("keys = []\n", "key_endpoint.keys is empty"),
        (
            "keys = [\"reports\"]\n",
            "key_endpoint.keys names a key set that is not configured; there are: default",
        ),
        (
            "bearer_token_file = \"/does/not/exist\"\n",
            "key_endpoint.bearer_token_file names a file that cannot be read",
        ),
        ("[keys.default]\nsource = \"static\"\n", "permanent keys are not handed out"),
    ] {
        let file = if more.starts_with("[key_endpoint]") {
            more.to_owned()
        } else {
            format!("{ON}{more}")
        };
        let problems = load(&file).expect_err(more);
        assert!(problems.contains(told), "missing: {told}\nin: {problems}");
        assert!(!problems.contains("Planted"), "{problems}");
    }
}

#[test]
fn no_socket_is_opened_where_other_hosts_reach_it() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let settings = KeyEndpointSettings {
            address: vec![ListenAddress::Tcp(address.parse().unwrap())],
            socket_mode: 0o600,
            shapes: vec![Shape::Sts],
            keys: vec!["default".to_owned()],
            bearer_token_file: None,
            margin: Duration::from_secs(60),
            wait: Duration::from_secs(3),
        };
        let error = KeyEndpoint::bind(&settings).unwrap_err();
        assert!(matches!(error, KeyEndpointError::NotLocal { .. }), "{error}");
        assert!(error.to_string().contains("loopback"), "{error}");
    }
}
