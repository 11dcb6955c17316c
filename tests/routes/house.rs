//! The whole house, from its configuration file to COS: two key sets, each with a policy of its own.

use std::{collections::BTreeMap, time::Duration};

use cos_auth_proxy::{
    app::{App, ExitReason, Stop},
    clock::Clock,
    config::{self, Inputs},
    emulator::{Emulator, EmulatorSettings, accounts::Account, faults::Service},
    shutdown::Shutdown,
    transport::ListenAddress,
};
use tokio::sync::oneshot;

const PATIENCE: Duration = Duration::from_secs(20);

/// Stops when its sender is dropped.
struct Once(Option<oneshot::Receiver<()>>);

impl Stop for Once {
    async fn next(&mut self) {
        match self.0.take() {
            Some(stopped) => drop(stopped.await),
            None => std::future::pending().await,
        }
    }
}

fn file(cos: &str, sts: &str) -> String {
    format!(
        "[listen]\naddress = \"127.0.0.1:0\"\nthreads = 1\n\
         [telemetry]\naddress = \"127.0.0.1:0\"\n[control]\naddress = \"127.0.0.1:0\"\n\
         [upstream]\nbucket = \"examplebucket-1250000000\"\nregion = \"ap-guangzhou\"\n\
         endpoint = \"http://{{bucket}}.cos.{{region}}.myqcloud.com\"\nconnect_to = \"{cos}\"\n\
         [keys.in]\nsource = \"federation-token\"\nendpoint = \"http://{sts}\"\n\
         secret_id_env = \"ID_IN\"\nsecret_key_env = \"KEY\"\n\
         [keys.out]\nsource = \"federation-token\"\nendpoint = \"http://{sts}\"\n\
         secret_id_env = \"ID_OUT\"\nsecret_key_env = \"KEY\"\n\
         [[route]]\nprefix = \"in/\"\nallow = [\"read\", \"list\"]\nkeys = \"in\"\n\
         [[route]]\nprefix = \"out/\"\nallow = [\"read\", \"write\"]\nkeys = \"out\"\n"
    )
}

#[tokio::test]
async fn each_request_is_signed_by_its_key_set_and_a_broken_one_harms_no_other() {
    let (clock, shutdown) = (Clock::system(), Shutdown::new());
    let emulator =
        Emulator::start(EmulatorSettings::default(), clock.clone(), &shutdown).await.unwrap();
    // Only the key set `out` has a key that STS knows.
    emulator.accounts().add_account(Account::example("AKIDout", "secret"));
    let environment: BTreeMap<String, String> =
        [("ID_IN", "AKIDnobody"), ("ID_OUT", "AKIDout"), ("KEY", "secret")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    let text = file(&emulator.cos_address().to_string(), &emulator.sts_address().to_string());
    std::fs::write(&path, text).unwrap();
    let inputs = Inputs { file: Some(path), flags: Vec::new(), environment: &environment };
    let app = App::bind(config::load(&inputs).unwrap()).unwrap();
    let bound = app.bound();
    let [ListenAddress::Tcp(data)] = bound.data.as_slice() else { panic!("{:?}", bound.data) };
    let telemetry = bound.telemetry[0].to_string();
    let data = data.to_string();
    let (stop, stopped) = oneshot::channel();
    // Perhaps the house was first.
    let _: Result<_, _> = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let asking = async {
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
        let ask = async |method: &str, path: &str| {
            let method = method.parse().unwrap();
            let body = if method == "PUT" { "body" } else { "" };
            let asked = client.request(method, format!("http://{data}/{path}")).body(body);
            let answer = asked.send().await.unwrap();
            let reason = answer.headers().get("x-cos-auth-proxy-error");
            let reason = reason.map(|reason| reason.to_str().unwrap().to_owned());
            (answer.status().as_u16(), reason)
        };
        let told = |reason: &str| Some(reason.to_owned());
        // The first key of `out` may be on its way.
        assert_eq!(ask("PUT", "out/a").await, (200, None));
        assert_eq!(ask("GET", "out/a").await, (200, None));
        assert_eq!(ask("GET", "in/a").await, (503, told("no-key")));
        let ready = client.get(format!("http://{telemetry}/readyz")).send().await.unwrap();
        assert_eq!(ready.status(), 200, "one usable key is enough");
        let asked_of_cos = || emulator.seen().count(Service::Cos);
        let before = asked_of_cos();
        for (method, path) in
            [("DELETE", "out/a"), ("GET", "?prefix=out/"), ("PUT", "in/a"), ("GET", "elsewhere")]
        {
            assert_eq!(ask(method, path).await, (403, told("route-denied")), "{method} {path}");
        }
        assert_eq!(asked_of_cos(), before, "a refused request reached COS");
        assert_eq!(ask("GET", "out/a").await, (200, None));
        drop(stop);
    };
    let (ended, ()) = tokio::join!(app.run(clock, None, Once(Some(stopped))), asking);
    assert_eq!(ended.unwrap(), ExitReason::Clean);
    shutdown.begin();
    assert!(shutdown.finished(PATIENCE).await, "every task ends");
}
