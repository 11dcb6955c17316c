//! The stand of the tests of key sources: servers that verify, and key sets that ask them.

#![allow(clippy::unwrap_used, reason = "a failure anywhere is the failure of the test")]
#![allow(dead_code, reason = "each test uses its own part of the stand")]

use std::time::Duration;

use cos_auth_proxy::{
    clock::Clock,
    credential::{
        self, AssumeRoleSettings, Endpoint, FederationTokenSettings, HttpSettings, KeyMetrics,
        KeyReader, KeySetSettings, ParentKey, RefreshError, RefreshSettings, RefresherHandle,
        RetryClass, SourceError, SourceSettings, StsSettings,
    },
    emulator::{
        accounts::{Account, Accounts, Role, Subject},
        faults::Faults,
        key_server::start_key_server,
        seen::SeenLog,
        sts::start_sts,
    },
    secret::{SecretId, SecretKey},
    shutdown::Shutdown,
};

pub(crate) const SECRET_ID: &str = "AKIDEXAMPLEEXAMPLEEXAMPLEEXAMPLE0001";
pub(crate) const SECRET_KEY: &str = "ExampleSecretKeyExampleSecretKey01";
pub(crate) const BUCKET: &str = "examplebucket-1250000000";
pub(crate) const ROLE: &str = "qcs::cam::uin/100000000001:roleName/cos-sidecar";
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// An STS and a key server that know one account and one role.
pub(crate) struct Stand {
    pub(crate) accounts: Accounts,
    pub(crate) faults: Faults,
    pub(crate) seen: SeenLog,
    pub(crate) sts: Endpoint,
    pub(crate) key_server: String,
    pub(crate) clock: Clock,
    pub(crate) shutdown: Shutdown,
}

impl Stand {
    pub(crate) async fn open() -> Self {
        let (accounts, faults, seen) = (Accounts::new(), Faults::new(), SeenLog::new());
        accounts.add_account(Account::example(SECRET_ID, SECRET_KEY));
        accounts.add_role(Role::unlimited(ROLE));
        let (clock, shutdown) = (Clock::system(), Shutdown::new());
        let any = "127.0.0.1:0".parse().unwrap();
        let shared = || (accounts.clone(), faults.clone(), seen.clone(), Clock::system());
        let (who, wrong, log, time) = shared();
        let sts = start_sts(who, wrong, log, time, any, &shutdown).await.unwrap();
        let (who, wrong, log, time) = shared();
        let key_server = start_key_server(who, wrong, log, time, any, &shutdown).await.unwrap();
        Self {
            sts: Endpoint::new(&format!("http://{sts}")).unwrap(),
            key_server: format!("http://{key_server}/sts"),
            accounts,
            faults,
            seen,
            clock,
            shutdown,
        }
    }

    pub(crate) fn sts_settings(&self) -> StsSettings {
        StsSettings { endpoint: self.sts.clone(), ..StsSettings::default() }
    }

    pub(crate) fn federation(&self) -> FederationTokenSettings {
        FederationTokenSettings {
            sts: self.sts_settings(),
            parent: permanent_key(),
            session_name: "cos-auth-proxy".to_owned(),
            policy: credential::bucket_policy("ap-guangzhou", BUCKET),
            duration: Duration::from_secs(7200),
        }
    }

    pub(crate) fn role(&self) -> AssumeRoleSettings {
        AssumeRoleSettings {
            sts: self.sts_settings(),
            parent: permanent_key().into(),
            role_arn: ROLE.to_owned(),
            session_name: "pod/7 of reports".to_owned(),
            duration: Duration::from_secs(7200),
            policy: None,
            external_id: None,
            tags: Vec::new(),
        }
    }

    pub(crate) fn http(&self, query: &str) -> HttpSettings {
        HttpSettings::get(Endpoint::new(&format!("{}{query}", self.key_server)).unwrap())
    }

    pub(crate) fn start(&self, source: SourceSettings) -> (KeyReader, RefresherHandle) {
        let settings = KeySetSettings {
            refresh: RefreshSettings {
                attempt_timeout: Duration::from_secs(2),
                forced_burst: 1000,
                ..RefreshSettings::default()
            },
            ..KeySetSettings::new("default", source)
        };
        let metrics = KeyMetrics::default();
        credential::start(&settings, &self.clock, &metrics, &self.shutdown).unwrap()
    }

    pub(crate) async fn once(
        &self,
        source: SourceSettings,
    ) -> Result<credential::Credential, RefreshError> {
        credential::once(&KeySetSettings::new("default", source), &self.clock).await
    }

    pub(crate) async fn close(self) {
        self.shutdown.begin();
        assert!(self.shutdown.finished(PATIENCE).await, "every task ends");
    }
}

pub(crate) fn permanent_key() -> ParentKey {
    ParentKey::new(SecretId::new(SECRET_ID).unwrap(), SecretKey::new(SECRET_KEY).unwrap(), None)
}

pub(crate) fn refused_code(result: Result<credential::Credential, RefreshError>) -> String {
    let fault = result.unwrap_err();
    let RefreshError::Source(SourceError::Refused { code, .. }) = fault else { panic!("{fault}") };
    code
}

/// Waits until `look` finds something.
pub(crate) async fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.expect("it does not happen")
}

pub(crate) fn class(fault: &RefreshError) -> RetryClass {
    fault.retry()
}

pub(crate) fn other_role() -> String {
    ROLE.replace("cos-sidecar", "other")
}

pub(crate) fn session_arn(stand: &Stand) -> String {
    match &stand.accounts.latest().unwrap().subject {
        Subject::RoleSession { arn, .. } => arn.clone(),
        Subject::Federated(name) => panic!("{name}"),
    }
}
