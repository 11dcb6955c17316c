use super::*;
use crate::{
    credential::{
        AssumeRoleSettings, FederationTokenSettings, HttpSettings, ParentKey, RoleParent,
        StsSettings, bucket_policy, endpoint::Endpoint,
    },
    emulator::{
        accounts::{Account, Accounts},
        faults::{Fault, Faults, Service},
        seen::SeenLog,
        sts::start_sts,
    },
    secret::{SecretId, SecretKey},
    shutdown::Shutdown,
};

const ID: &str = "AKIDEXAMPLEEXAMPLEEXAMPLEEXAMPLE0001";
const BUCKET: &str = "examplebucket-1250000000";

/// An STS, and a key set that asks it for keys of one bucket.
struct House {
    accounts: Accounts,
    faults: Faults,
    seen: SeenLog,
    clock: Clock,
    shutdown: Shutdown,
    narrowing: Arc<Narrowing>,
}

impl House {
    async fn open(refresh: RefreshSettings) -> Self {
        let (accounts, faults, seen) = (Accounts::new(), Faults::new(), SeenLog::new());
        accounts.add_account(Account::example(ID, "secret"));
        let (clock, shutdown) = (Clock::following_tokio(Clock::system().now()), Shutdown::new());
        let any = "127.0.0.1:0".parse().unwrap();
        let (who, wrong, log) = (accounts.clone(), faults.clone(), seen.clone());
        let sts = start_sts(who, wrong, log, clock.clone(), any, &shutdown).await.unwrap();
        let source = SourceSettings::FederationToken(FederationTokenSettings {
            sts: StsSettings {
                endpoint: Endpoint::new(&format!("http://{sts}")).unwrap(),
                ..StsSettings::default()
            },
            parent: parent(),
            session_name: "test".to_owned(),
            policy: bucket_policy("ap-guangzhou", BUCKET),
            duration: Duration::from_secs(7200),
        });
        let settings = KeySetSettings { refresh, ..KeySetSettings::new("default", source) };
        let narrowing = Narrowing::new(settings, None, clock.clone(), KeyMetrics::default());
        Self { accounts, faults, seen, clock, shutdown, narrowing: Arc::new(narrowing) }
    }

    fn calls(&self) -> u64 {
        self.seen.count(Service::Sts)
    }

    async fn close(self) {
        self.shutdown.begin();
        assert!(self.shutdown.finished(Duration::from_secs(20)).await);
    }
}

fn parent() -> ParentKey {
    ParentKey::new(SecretId::new(ID).unwrap(), SecretKey::new("secret").unwrap(), None)
}

fn below(prefix: &str) -> Vec<Permission> {
    vec![Permission {
        action: "name/cos:GetObject".to_owned(),
        resource: format!("qcs::cos:ap-guangzhou:uid/1250000000:{BUCKET}/{prefix}"),
    }]
}

#[tokio::test]
async fn a_scope_has_one_key_that_may_do_what_was_asked_and_nothing_else() {
    let house = House::open(RefreshSettings::default()).await;
    let key = house.narrowing.key(&below("a/*")).await.unwrap();
    let issued = house.accounts.latest().unwrap();
    assert_eq!(key.id.as_str(), issued.secret_id);
    let policy = issued.policy.clone().unwrap();
    let may = |action: &str, key: &str| policy.allows(action, &below(key)[0].resource);
    assert!(may("name/cos:GetObject", "a/x"));
    assert!(!may("name/cos:GetObject", "b/x") && !may("name/cos:PutObject", "a/x"));
    let again = house.narrowing.key(&below("a/*")).await.unwrap();
    assert!(Arc::ptr_eq(&key, &again) && house.calls() == 1);
    let mut two = [below("b/*"), below("a/*")].concat();
    let both = house.narrowing.key(&two).await.unwrap();
    assert_ne!(both.id, key.id);
    two.reverse();
    assert!(Arc::ptr_eq(&both, &house.narrowing.key(&two).await.unwrap()), "order does not count");
    assert_eq!((house.calls(), house.narrowing.held()), (2, 2));
    house.close().await;
}

#[tokio::test]
async fn more_than_the_key_set_may_is_refused_without_asking() {
    let house = House::open(RefreshSettings::default()).await;
    for (action, resource) in [
        ("name/cos:PutBucketPolicy", below("")[0].resource.clone()),
        ("name/cos:*", below("a/*")[0].resource.clone()),
        ("name/cos:GetObject", "*".to_owned()),
        ("name/cos:GetObject", below("*")[0].resource.replace(BUCKET, "other-1250000000")),
    ] {
        let wanted = [Permission { action: action.to_owned(), resource }];
        let told = house.narrowing.key(&[below("a/*").as_slice(), &wanted].concat()).await;
        assert!(matches!(told, Err(NotNarrowed::NotCovered(_))), "{told:?}");
    }
    assert_eq!((house.calls(), house.narrowing.held()), (0, 0));
    house.close().await;
}

#[tokio::test]
async fn a_source_without_a_policy_is_told_and_a_role_is_narrowed_by_sts() {
    let clock = Clock::system();
    let of = |source| {
        let settings = KeySetSettings::new("default", source);
        Narrowing::new(settings, None, clock.clone(), KeyMetrics::default())
    };
    let url = Endpoint::new("http://127.0.0.1:1/").unwrap();
    let http = of(SourceSettings::Http(HttpSettings::get(url.clone())));
    assert!(matches!(http.key(&below("a")).await, Err(NotNarrowed::Source { kind: "http" })));
    let role = of(SourceSettings::AssumeRole(AssumeRoleSettings {
        sts: StsSettings { endpoint: url, ..StsSettings::default() },
        parent: RoleParent::Key(parent()),
        role_arn: "qcs::cam::uin/100000000001:roleName/r".to_owned(),
        session_name: "test".to_owned(),
        duration: Duration::from_secs(7200),
        policy: None,
        external_id: None,
        tags: Vec::new(),
    }));
    assert_eq!(role.judge(&below("a")), Ok(()), "the role itself is the bound, and STS knows it");
}

#[tokio::test]
async fn a_herd_that_asks_for_the_same_makes_one_call() {
    let house = House::open(RefreshSettings::default()).await;
    house.faults.for_next(Service::Sts, 1, Fault::Slow(Duration::from_millis(100)));
    let mut herd = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let narrowing = Arc::clone(&house.narrowing);
        herd.spawn(async move { narrowing.key(&below("a/*")).await.unwrap().id.clone() });
    }
    let ids = herd.join_all().await;
    assert!(ids.iter().all(|id| *id == ids[0]));
    assert_eq!(house.calls(), 1);
    house.close().await;
}

#[tokio::test]
async fn ever_new_scopes_neither_fill_the_memory_nor_hammer_sts() {
    let house = House::open(RefreshSettings::default()).await;
    let (mut given, mut limited) = (0_u64, 0_u64);
    for number in 0..500 {
        match house.narrowing.key(&below(&format!("{number}/*"))).await {
            Ok(_) => given += 1,
            Err(NotNarrowed::Limited { retry_in }) => {
                assert!(retry_in <= INTERVAL, "{retry_in:?}");
                limited += 1;
            }
            Err(other) => panic!("{other}"),
        }
        assert!(house.narrowing.held() <= SCOPES);
    }
    assert_eq!((given + limited, house.calls()), (500, given));
    // A busy machine takes seconds for this, and one more call is allowed in each.
    assert!((u64::from(BURST)..u64::from(BURST) + 60).contains(&given), "{given} calls");
    house.close().await;
}

#[tokio::test]
async fn the_scope_that_was_not_used_for_longest_goes_first() {
    let house = House::open(RefreshSettings::default()).await;
    let first = house.narrowing.key(&below("first/*")).await.unwrap();
    for number in 0..SCOPES * 2 {
        // Without a key most of them; they count all the same.
        drop(house.narrowing.key(&below(&format!("{number}/*"))).await);
        house.clock.suspend(Duration::from_millis(10));
        let again = house.narrowing.key(&below("first/*")).await.unwrap();
        assert!(Arc::ptr_eq(&first, &again), "it is used all the time");
    }
    assert_eq!(house.narrowing.held(), SCOPES);
    house.close().await;
}

#[tokio::test]
async fn failures_are_remembered_and_a_good_key_outlives_them() {
    let refresh = RefreshSettings {
        refresh_floor: Duration::from_millis(10),
        refresh_from: 0.01,
        refresh_to: 0.02,
        operator_pause_without_key: Duration::from_secs(3600),
        ..RefreshSettings::default()
    };
    let house = House::open(refresh).await;
    house.accounts.set_key_life(Some(600));
    let key = house.narrowing.key(&below("a/*")).await.unwrap();
    house.faults.until_cleared(Service::Sts, Fault::ErrorCode("InvalidParameter.PolicyTooLong"));
    // Its refresh is due at 12 s at the latest; the clock is moved rather than waited for.
    house.clock.suspend(Duration::from_secs(30));
    for _ in 0..20 {
        let held = house.narrowing.key(&below("a/*")).await.unwrap();
        assert!(Arc::ptr_eq(&key, &held), "a failed refresh does not touch it");
    }
    assert_eq!(house.calls(), 2, "the failure is remembered");
    for _ in 0..20 {
        let told = house.narrowing.key(&below("b/*")).await.unwrap_err();
        let NotNarrowed::NoKey { reason, retry_in } = told else { panic!("{told}") };
        assert!(reason.contains("PolicyTooLong") && reason.contains("(request "), "{reason}");
        assert!(retry_in > Duration::from_secs(60), "{retry_in:?}");
    }
    assert_eq!(house.calls(), 3, "one for the other scope");
    house.close().await;
}

#[tokio::test]
async fn trouble_of_sts_stops_the_calls_of_all_scopes() {
    let refresh = RefreshSettings {
        transient_base: Duration::from_secs(3600),
        transient_cap_without_key: Duration::from_secs(3600),
        ..RefreshSettings::default()
    };
    let house = House::open(refresh).await;
    house.faults.until_cleared(Service::Sts, Fault::Status(500));
    for number in 0..20 {
        let told = house.narrowing.key(&below(&format!("{number}/*"))).await;
        assert!(matches!(told, Err(NotNarrowed::NoKey { .. })), "{told:?}");
    }
    assert_eq!(house.calls(), 1);
    house.close().await;
}

#[tokio::test]
async fn a_scope_that_nobody_uses_for_a_keys_life_is_forgotten_with_its_key() {
    let house = House::open(RefreshSettings::default()).await;
    house.accounts.set_key_life(Some(100));
    let key = Arc::downgrade(&house.narrowing.key(&below("a/*")).await.unwrap());
    assert!(key.upgrade().is_some());
    house.clock.suspend(Duration::from_secs(200));
    house.narrowing.key(&below("b/*")).await.unwrap();
    assert!(key.upgrade().is_none(), "it is wiped");
    house.clock.suspend(Duration::from_secs(700));
    house.narrowing.key(&below("c/*")).await.unwrap();
    assert_eq!(house.narrowing.held(), 1);
    house.close().await;
}
