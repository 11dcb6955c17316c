use super::*;
use crate::{
    clock::Clock,
    credential::{KeyWriter, channel_named},
    secret::{SecretKey, SessionToken},
};

const EPOCH: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);
const SECOND: Duration = Duration::from_secs(1);

fn key(id: &str, life: u64) -> Credential {
    Credential {
        id: SecretId::new(id).unwrap(),
        secret: SecretKey::new("secret").unwrap(),
        token: Some(SessionToken::new("token").unwrap()),
        expires_at: Some(EPOCH + SECOND * u32::try_from(life).unwrap()),
        received_at: EPOCH,
    }
}

/// A store with `AKIDone`, which lives two hours.
fn store() -> (KeyWriter, KeyReader, Clock) {
    let clock = Clock::following_tokio(EPOCH);
    let (writer, reader) = channel_named("k", clock.clone());
    writer.publish(key("AKIDone", 7200));
    (writer, reader, clock)
}

fn not_one(key: &Credential) -> bool {
    key.id.as_str() != "AKIDone"
}

fn id(found: Option<Arc<Credential>>) -> Option<String> {
    found.map(|key| key.id.as_str().to_owned())
}

/// What came, and after how many whole seconds.
async fn timed<T>(waiting: impl Future<Output = T>) -> (T, u64) {
    let began_at = Instant::now();
    let came = waiting.await;
    (came, began_at.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn a_swap_that_came_first_needs_no_ring() {
    let (writer, reader, _clock) = store();
    writer.publish(key("AKIDtwo", 7200));
    let (found, seconds) = timed(reader.another(not_one, 3 * SECOND)).await;
    assert_eq!((id(found).as_deref(), seconds), (Some("AKIDtwo"), 0));
    assert_eq!(reader.rings(), 0);
}

#[tokio::test(start_paused = true)]
async fn another_key_is_waited_for_as_long_as_one_may_come_in_time() {
    // What the refresher says about its next try, in seconds, and how long that is waited for.
    for (asking, next_try, waited) in [
        (true, None, 3),
        (false, Some(1), 3),
        (false, Some(3), 3),
        (false, Some(4), 0),
        (false, None, 0),
    ] {
        let (writer, reader, _clock) = store();
        let outlook = |heard| Outlook {
            heard,
            asking,
            next_try_at: next_try.map(|seconds| Instant::now() + seconds * SECOND),
            ..Outlook::default()
        };
        writer.tell(outlook(1));
        let (found, seconds) = timed(reader.another(not_one, 3 * SECOND)).await;
        assert_eq!((id(found), seconds), (None, waited), "{asking} {next_try:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_said_before_the_ring_does_not_end_the_wait() {
    let (writer, reader, _clock) = store();
    let refresher = async {
        tokio::time::sleep(SECOND).await;
        assert_eq!(reader.rings(), 1);
        assert!(reader.take_rejection());
        writer.tell(Outlook { heard: 1, asking: true, ..Outlook::default() });
        tokio::time::sleep(SECOND).await;
        writer.publish(key("AKIDtwo", 7200));
    };
    let (found, ()) = tokio::join!(timed(reader.another(not_one, 3 * SECOND)), refresher);
    assert_eq!((id(found.0).as_deref(), found.1), (Some("AKIDtwo"), 2));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_in_vain_is_told_to_those_who_wait() {
    let (writer, reader, _clock) = store();
    let refresher = async {
        writer.tell(Outlook { heard: 1, asking: true, ..Outlook::default() });
        tokio::time::sleep(SECOND).await;
        let next_try_at = Some(Instant::now() + 60 * SECOND);
        writer.tell(Outlook { heard: 1, next_try_at, ..Outlook::default() });
    };
    let (found, ()) = tokio::join!(timed(reader.another(not_one, 3 * SECOND)), refresher);
    assert_eq!((id(found.0), found.1), (None, 1));
}

#[tokio::test(start_paused = true)]
async fn the_key_before_is_used_first_for_a_second_and_no_longer() {
    let (writer, reader, clock) = store();
    let signer = || id(reader.to_sign(clock.now()).ok()).unwrap();
    let one = reader.current(EPOCH).unwrap();
    writer.publish(key("AKIDtwo", 7200));
    assert_eq!(signer(), "AKIDtwo");
    reader.prefer_previous(&one, clock.now());
    assert_eq!(signer(), "AKIDone");
    assert_eq!(id(reader.current(clock.now()).ok()).unwrap(), "AKIDtwo", "the truth is another");
    tokio::time::advance(SECOND).await;
    assert_eq!(signer(), "AKIDtwo");

    reader.prefer_previous(&one, clock.now());
    clock.step(-3_600_000);
    assert_eq!(signer(), "AKIDtwo", "a clock that is set back does not make it an hour");
    clock.step(3_600_000);

    writer.publish(key("AKIDthree", 7200));
    assert_eq!(signer(), "AKIDthree", "that one is another matter");
    reader.prefer_previous(&one, clock.now());
    assert_eq!(signer(), "AKIDthree", "it is not the key before any more");
}

#[tokio::test(start_paused = true)]
async fn a_rejection_counts_against_its_own_key_for_half_a_minute() {
    let (writer, reader, _clock) = store();
    let one = reader.current(EPOCH).unwrap();
    assert!(!reader.was_rejected_lately(&one));
    reader.note_rejected(&one, "InvalidToken");
    writer.publish(key("AKIDtwo", 7200));
    let two = reader.current(EPOCH).unwrap();
    assert!(reader.was_rejected_lately(&one) && !reader.was_rejected_lately(&two));
    for number in 0..3 {
        reader.note_rejected(&key(&format!("AKIDother{number}"), 7200), "InvalidToken");
    }
    assert!(reader.was_rejected_lately(&one));
    tokio::time::advance(30 * SECOND).await;
    assert!(!reader.was_rejected_lately(&one));
    assert!(!reader.take_rejection(), "noted is not rung");
}

#[tokio::test(start_paused = true)]
async fn a_key_near_its_end_waits_only_for_one_that_is_late() {
    // An attempt is under way, one is late, the next one comes in so many seconds; the rest of the
    // key's life, and for how long the next key is waited for.
    for (asking, late, next_try, rest, waited) in [
        (true, false, None, 2, 2),
        (true, false, None, 4, 3),
        (false, true, Some(1), 4, 3),
        (false, true, Some(1), 2, 2),
        (false, true, Some(9), 4, 0),
        (false, false, Some(1), 4, 0),
        (false, false, None, 4, 0),
    ] {
        let (writer, reader, _clock) = store();
        let next_try_at = next_try.map(|seconds| Instant::now() + seconds * SECOND);
        let outlook = Outlook { asking, late, next_try_at, ..Outlook::default() };
        let ending = key("AKIDend", rest);
        writer.publish(key("AKIDend", rest));
        writer.tell(outlook);
        assert!(reader.is_nearly_over(&ending, EPOCH));
        let ((), seconds) = timed(reader.await_next(&ending, 3 * SECOND)).await;
        assert_eq!(seconds, waited, "{outlook:?}, {rest} s left");
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_key_ends_the_wait_for_it() {
    let (writer, reader, _clock) = store();
    let ending = key("AKIDone", 4);
    writer.tell(Outlook { asking: true, ..Outlook::default() });
    let refresher = async {
        tokio::time::sleep(SECOND).await;
        writer.publish(key("AKIDtwo", 7200));
    };
    let (waited, ()) = tokio::join!(timed(reader.await_next(&ending, 3 * SECOND)), refresher);
    assert_eq!(waited.1, 1);
    assert_eq!(reader.rings(), 0);
}

#[test]
fn a_key_is_nearly_over_below_five_seconds() {
    let (_writer, reader) = channel_named("k", Clock::system());
    for (life, expected) in [(5, false), (4, true), (0, true)] {
        assert_eq!(reader.is_nearly_over(&key("AKID", life), EPOCH), expected, "{life}");
    }
    let endless = Credential { expires_at: None, ..key("AKID", 0) };
    assert!(!reader.is_nearly_over(&endless, EPOCH));
}

#[tokio::test(start_paused = true)]
async fn an_expired_key_is_handed_out_only_to_those_who_ask_for_it() {
    let (writer, reader, clock) = store();
    tokio::time::advance(7200 * SECOND).await;
    assert!(reader.to_sign(clock.now()).is_err() && reader.current(clock.now()).is_err());
    assert_eq!(id(reader.expired()).as_deref(), Some("AKIDone"));
    writer.publish(key("AKIDtwo", 14_400));
    assert_eq!(id(reader.to_sign(clock.now()).ok()).as_deref(), Some("AKIDtwo"));
    let (_writer, empty) = channel_named("k", clock);
    assert!(empty.expired().is_none());
}
