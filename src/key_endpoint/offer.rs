//! Which key is handed out, and which end is told: an earlier one than the truth, so that whoever
//! uses the key to its told end never meets the real one.

use std::{sync::Arc, time::Duration};

use crate::{
    clock::{Clock, Timestamp},
    credential::{Credential, KeyReader},
};

use super::answer::{Refusal, Why};

/// How keys are handed out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) margin: Duration,
    pub(super) wait: Duration,
}

/// Keys that live minutes keep their proportions: no rule takes more than this share of a life.
const SHARE: u32 = 10;
/// With less told life than this a key is near its end: a newer one is waited for.
const NEAR: Duration = Duration::from_secs(60);
/// With less told life than this a key is of no use to anybody.
const LEAST: Duration = Duration::from_secs(5);

impl Terms {
    /// The current key of `keys`. Near its end the next one is waited for a moment; if it does not
    /// come, what is left is better than nothing, since the told end is still true.
    pub(super) async fn whole(
        &self,
        keys: &KeyReader,
        clock: &Clock,
    ) -> Result<(Arc<Credential>, Timestamp), Refusal> {
        let now = clock.now();
        let refuse = |text: String| {
            let next = keys.status(clock.now()).next_refresh_at;
            let retry_in = next.map_or(LEAST, |at| at.since(clock.now()));
            Refusal::later(Why::NoKey, text, retry_in)
        };
        let mut key = match keys.current(now) {
            Ok(key) => key,
            Err(_) => keys.wait(self.wait).await.map_err(|none| refuse(none.to_string()))?,
        };
        if self.left(&key, clock.now()).is_some_and(|left| left < share(&key, NEAR))
            && let Some(newer) = keys.another_than(&key.id, self.wait).await
        {
            key = newer;
        }
        let expires_at = self.told(&key, clock.now()).map_err(refuse)?;
        Ok((key, expires_at))
    }

    /// The end that is told of a key that was got for one scope.
    pub(super) fn narrowed(&self, key: &Credential, now: Timestamp) -> Result<Timestamp, Refusal> {
        self.told(key, now).map_err(|text| Refusal::later(Why::NoKey, text, LEAST))
    }

    /// The end that is told, or why `key` is not handed out.
    fn told(&self, key: &Credential, now: Timestamp) -> Result<Timestamp, String> {
        if key.token.is_none() {
            return Err("the key is permanent, and permanent keys are not handed out".to_owned());
        }
        let Some(end) = self.end(key) else {
            let text = "the end of the key is not known, so nobody could say when to ask again; \
                        such keys are not handed out";
            return Err(text.to_owned());
        };
        if end.since(now) < share(key, LEAST) {
            return Err(format!("the key ends at {end} and the next one has not come"));
        }
        Ok(end)
    }

    /// Whole seconds, and the same for the same key whoever asks when.
    fn end(&self, key: &Credential) -> Option<Timestamp> {
        let end = key.expires_at? - share(key, self.margin);
        Some(Timestamp::from_unix_seconds(end.unix_seconds()))
    }

    /// Told life left; `None` if the end is not known.
    fn left(&self, key: &Credential, now: Timestamp) -> Option<Duration> {
        Some(self.end(key)?.since(now))
    }
}

/// `span`, but not more than a tenth of the key's life.
fn share(key: &Credential, span: Duration) -> Duration {
    match key.expires_at {
        Some(end) => span.min(end.since(key.received_at) / SHARE),
        None => span,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        credential::{KeyWriter, channel_named},
        secret::{SecretId, SecretKey, SessionToken},
    };

    const EPOCH: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);
    const TERMS: Terms = Terms { margin: Duration::from_secs(60), wait: Duration::from_secs(3) };

    fn key(id: &str, life: Option<Duration>, received_at: Timestamp) -> Credential {
        Credential {
            id: SecretId::new(id).unwrap(),
            secret: SecretKey::new("secret").unwrap(),
            token: Some(SessionToken::new("token").unwrap()),
            expires_at: life.map(|life| received_at + life),
            received_at,
        }
    }

    fn house() -> (KeyWriter, KeyReader, Clock) {
        let clock = Clock::following_tokio(EPOCH);
        let (writer, reader) = channel_named("default", clock.clone());
        (writer, reader, clock)
    }

    const fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[tokio::test(start_paused = true)]
    async fn the_told_end_is_the_margin_before_the_real_one() {
        let (writer, reader, clock) = house();
        writer.publish(key("AKIDone", Some(seconds(7200)), EPOCH));
        let (_, told) = TERMS.whole(&reader, &clock).await.unwrap();
        assert_eq!(told, EPOCH + seconds(7140));
        tokio::time::advance(seconds(5000)).await;
        let (_, again) = TERMS.whole(&reader, &clock).await.unwrap();
        assert_eq!(told, again, "a reader that compares sees the same key");
    }

    #[tokio::test(start_paused = true)]
    async fn near_its_end_the_next_key_is_waited_for() {
        let (writer, reader, clock) = house();
        writer.publish(key("AKIDold", Some(seconds(7200)), EPOCH));
        tokio::time::advance(seconds(7100)).await;
        let publish = async {
            tokio::time::sleep(seconds(2)).await;
            writer.publish(key("AKIDnew", Some(seconds(7200)), clock.now()));
        };
        let (offered, ()) = tokio::join!(TERMS.whole(&reader, &clock), publish);
        assert_eq!(offered.unwrap().0.id.as_str(), "AKIDnew");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_left_is_handed_out_only_while_it_is_of_use() {
        let (writer, reader, clock) = house();
        writer.publish(key("AKIDold", Some(seconds(7200)), EPOCH));
        tokio::time::advance(seconds(7100)).await;
        let (_, told) = TERMS.whole(&reader, &clock).await.unwrap();
        assert_eq!(told.since(clock.now()), seconds(37), "3 s were waited");
        tokio::time::advance(seconds(34)).await;
        let refusal = TERMS.whole(&reader, &clock).await.unwrap_err();
        assert_eq!(refusal.why, Why::NoKey);
        assert!(reader.current(clock.now()).is_ok(), "the key itself lives for another minute");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_key_it_is_waited_and_then_refused() {
        let (writer, reader, clock) = house();
        writer.fail("sts is away");
        let refusal = TERMS.whole(&reader, &clock).await.unwrap_err();
        assert_eq!((refusal.why, clock.now()), (Why::NoKey, EPOCH + TERMS.wait));
        assert!(refusal.text.contains("sts is away"), "{}", refusal.text);
        let publish = async {
            tokio::time::sleep(seconds(1)).await;
            writer.publish(key("AKIDone", Some(seconds(7200)), clock.now()));
        };
        let (offered, ()) = tokio::join!(TERMS.whole(&reader, &clock), publish);
        assert!(offered.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn permanent_keys_and_keys_without_a_known_end_stay_inside() {
        let (writer, reader, clock) = house();
        writer.publish(key("AKIDone", None, EPOCH));
        assert!(TERMS.whole(&reader, &clock).await.unwrap_err().text.contains("not known"));
        writer.publish(Credential { token: None, ..key("AKIDtwo", None, EPOCH) });
        assert!(TERMS.whole(&reader, &clock).await.unwrap_err().text.contains("permanent"));
    }

    proptest! {
        #[test]
        fn no_told_end_is_later_than_the_truth(
            life in 0_u64..200_000_000, margin in 0_u64..100_000, age in 0_u64..200_000_000,
        ) {
            let terms = Terms { margin: seconds(margin), ..TERMS };
            let key = key("AKIDone", Some(Duration::from_millis(life)), EPOCH);
            if let Ok(told) = terms.told(&key, EPOCH + Duration::from_millis(age)) {
                prop_assert!(told <= key.expires_at.unwrap());
                prop_assert!(key.is_usable(EPOCH + Duration::from_millis(age)));
            }
        }
    }
}
