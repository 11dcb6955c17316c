use super::*;

#[tokio::test(start_paused = true)]
async fn whoever_waits_after_a_suspension_wakes_the_refresher_before_the_tick() {
    let house = House::open(vec![], Act::Key(2 * HOUR), &RefreshSettings::default(), 17);
    House::passes(Duration::from_secs(61)).await;
    house.clock.suspend(3 * HOUR);
    let key = house.reader.wait(Duration::from_millis(200)).await.unwrap();
    assert_eq!(key.id.as_str(), "AKID0002");
    house.close().await;
}

#[tokio::test(start_paused = true)]
async fn a_step_that_made_a_key_look_expired_is_undone_for_those_who_wait() {
    let house = House::open(vec![], Act::Key(2 * HOUR), &RefreshSettings::default(), 18);
    House::passes(Duration::from_secs(61)).await;
    house.clock.observe(house.clock.now(), Duration::ZERO);
    house.clock.step(3 * 3600 * 1000);
    assert!(house.reader.current(house.clock.now()).is_err());
    let key = house.reader.wait(Duration::from_millis(200)).await.unwrap();
    assert_eq!((key.id.as_str(), house.calls().len()), ("AKID0001", 1));
    house.close().await;
}

#[tokio::test(start_paused = true)]
async fn the_first_attempts_of_a_fleet_are_spread() {
    let second = Duration::from_secs(1);
    let settings = RefreshSettings { startup_jitter: 10 * second, ..RefreshSettings::default() };
    let mut begun = Vec::new();
    for seed in 0..20 {
        let house = House::open(vec![], Act::Key(HOUR), &settings, seed);
        let began_at = Instant::now();
        house.reader.wait(11 * second).await.unwrap();
        begun.push(began_at.elapsed());
        assert_eq!(house.calls().len(), 1);
        house.close().await;
    }
    begun.sort();
    assert!(begun[0] < 3 * second && begun[19] > 7 * second, "{begun:?}");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_runs_out_troubles_more_and_more_until_the_next_one() {
    use crate::credential::Urgency::{Calm, Critical, Warn};
    let house = House::open(vec![Act::Key(HOUR)], away(), &RefreshSettings::default(), 19);
    let urgency = || house.reader.status(house.clock.now()).urgency;
    // Looked at once per tick; the key comes after 0.1 s.
    for (until, expected) in [(2515, Calm), (2527, Warn), (3235, Warn), (3247, Critical)] {
        let passed = house.clock.now().since(EPOCH);
        House::passes(Duration::from_secs(until).saturating_sub(passed)).await;
        assert_eq!(urgency(), expected, "after {until} s");
    }
    house.then(Act::Key(HOUR));
    House::passes(Duration::from_secs(61)).await;
    assert_eq!(urgency(), Calm);
    house.close().await;
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_another_key_are_not_kept_longer_than_it_is_worth() {
    let patience = Duration::from_secs(3);
    let not_one = |key: &Credential| key.id.as_str() != "AKID0001";
    // How the forced attempt ends, and whether a key comes of it in time.
    for (act, then, comes, waits) in [
        (Act::Key(HOUR), away(), true, false),
        (Act::Same, Act::Same, false, false),
        (refused("AuthFailure.SecretIdNotFound"), away(), false, false),
        (away(), Act::Key(HOUR), true, true),
    ] {
        let first = vec![Act::Key(HOUR), act.clone()];
        let house = House::open(first, then, &RefreshSettings::default(), 20);
        House::passes(Duration::from_secs(61)).await;
        let key = house.reader.current(house.clock.now()).unwrap();
        house.reader.note_rejected(&key, "InvalidAccessKeyId");
        let began_at = Instant::now();
        let found = house.reader.another(not_one, patience).await;
        assert_eq!(found.is_some(), comes, "{act:?}");
        let waited = began_at.elapsed();
        assert!(waited < patience && (waits || waited.as_millis() <= 100), "{act:?} {waited:?}");
        house.close().await;
    }
}
