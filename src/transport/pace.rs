//! How slow a client may be with a body: its patience is used up by waiting and earned by bytes.
//!
//! Only the time that is spent waiting for this client counts, so that a slow upstream is never
//! the client's fault; and it is measured only where there is something to wait for.

use std::{pin::pin, time::Duration};

use tokio::time::{Instant, timeout_at};

use super::{TransportSettings, deadline::at_once};

/// The patience of this client is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooSlow;

/// The patience with one client during one body: full at first, and never more than full.
#[derive(Debug)]
pub(super) struct Pace {
    left: Duration,
    full: Duration,
    /// Bytes that earn a second; 0: every byte earns all of it.
    rate: u64,
}

impl Pace {
    pub(super) fn of(settings: &TransportSettings) -> Self {
        Self::new(settings.stall_timeout, settings.body_min_rate)
    }

    pub(super) fn new(full: Duration, rate: u64) -> Self {
        Self { left: full, full, rate }
    }

    /// Waits for the client; cancel-safe as far as `step` is.
    pub(super) async fn wait<T>(&mut self, step: impl Future<Output = T>) -> Result<T, TooSlow> {
        let mut step = pin!(step);
        if let Some(done) = at_once(step.as_mut()).await {
            return Ok(done);
        }
        let began_at = Instant::now();
        let done = timeout_at(began_at + self.left, step).await;
        self.left = self.left.saturating_sub(began_at.elapsed());
        done.map_err(|_elapsed| TooSlow)
    }

    /// The client sent or took `bytes`.
    pub(super) fn moved(&mut self, bytes: usize) {
        let earned = match (bytes, self.rate) {
            (0, _) => return,
            (_, 0) => self.full,
            (bytes, rate) => {
                Duration::from_nanos((bytes as u64).saturating_mul(1_000_000_000) / rate)
            }
        };
        self.left = self.left.saturating_add(earned).min(self.full);
    }
}

#[cfg(test)]
mod tests {
    use std::{future, pin::Pin};

    use proptest::prelude::*;
    use tokio::time::sleep;

    use super::*;

    const FULL: Duration = Duration::from_secs(60);

    fn pace(rate: u64) -> Pace {
        Pace::new(FULL, rate)
    }

    /// How long a client lasts that moves `bytes` after every `pause`; at most a day.
    async fn lasts(mut pace: Pace, bytes: usize, pause: Duration) -> Option<Duration> {
        let began_at = Instant::now();
        while began_at.elapsed() < Duration::from_secs(24 * 3600) {
            if pace.wait(sleep(pause)).await.is_err() {
                return Some(began_at.elapsed());
            }
            pace.moved(bytes);
        }
        None
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_lasts_as_long_as_it_keeps_the_rate() {
        let second = Duration::from_secs(1);
        for (rate, bytes, pause, expected) in [
            (256, 256, second, None),
            (256, 256 * 59, 59 * second, None),
            // Half the rate: every second of waiting gives half of it back.
            (256, 128, second, Some(119 * second)),
            (256, 1, second, Some(60 * second)),
            (256, 1 << 20, 61 * second, Some(60 * second)),
            // Switched off: one byte now and then is enough, none is not.
            (0, 1, 59 * second, None),
            (0, 1, 61 * second, Some(60 * second)),
        ] {
            let got = lasts(pace(rate), bytes, pause).await;
            let fits = match (got, expected) {
                (Some(got), Some(expected)) => got.abs_diff(expected) <= second,
                (got, expected) => got == expected,
            };
            assert!(fits, "{rate} B/s, {bytes} B after {pause:?}: {got:?}, not {expected:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_that_is_not_spent_waiting_for_the_client_costs_it_nothing() {
        let mut pace = pace(256);
        for _ in 0..100 {
            sleep(FULL).await; // upstream's time
            pace.wait(future::ready(())).await.unwrap();
        }
        assert_eq!(pace.left, FULL);
    }

    proptest! {
        /// Whatever a client does: it never has more patience than the full one, and it lasts no
        /// longer than that plus what its bytes earned.
        #[test]
        fn patience_is_bounded_by_what_was_earned(
            rate in 1_u64..10_000,
            steps in prop::collection::vec((0_u64..90_000, 0_usize..100_000), 1..50),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time().start_paused(true).build().unwrap();
            runtime.block_on(async {
                let mut pace = pace(rate);
                let (mut waited, mut earned) = (Duration::ZERO, 0.0);
                for (pause, bytes) in steps {
                    let pause = Duration::from_millis(pause);
                    let before = pace.left;
                    let step: Pin<Box<dyn Future<Output = ()>>> = Box::pin(sleep(pause));
                    let done = pace.wait(step).await;
                    assert_eq!(done.is_err(), pause > before);
                    if done.is_err() {
                        break;
                    }
                    waited += pause;
                    assert!(waited.as_secs_f64() <= FULL.as_secs_f64() + earned + 0.1);
                    pace.moved(bytes);
                    earned += bytes as f64 / rate as f64;
                    assert!(pace.left <= FULL);
                }
            });
        }
    }
}
