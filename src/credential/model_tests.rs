//! The protocol of store, bell and refresher under a model checker: every order in which the threads
//! of a test can meet (with a bound where one is given), and every older value that the memory
//! model lets a reader see. What runs is the production code; only the primitives of `sync` are
//! others. A thread that nobody wakes is a deadlock to the checker, and fails the test.

use std::{
    future::poll_fn,
    mem::ManuallyDrop,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use loom::{future::block_on, model::Builder, thread};

use super::{
    Credential, Fetched, KeyMetrics, KeyReader, KeySource, KeyWriter, RefreshSettings, Refresher,
    RefresherHandle, SourceError, channel_named, source::Fetching, sync::InAModel,
    sync::modelled::Watched,
};
use crate::{
    clock::{Clock, Timestamp},
    secret::{SecretId, SecretKey, SessionToken},
};

const EPOCH: Timestamp = Timestamp::from_unix_seconds(1_700_000_000);
const HOUR: Duration = Duration::from_secs(3600);
/// Time stands still in a model: who waits is woken, or hangs.
const PATIENCE: Duration = Duration::from_secs(3);

/// In how many orders a test is run: in those in which at most so often a thread is stopped in the
/// midst of what it does, or in all.
#[derive(Clone, Copy)]
enum Stops {
    AtMost(usize),
    Any,
}

use Stops::{Any, AtMost};

/// Runs `test` in the orders of `usual`, or of `thorough` when that is asked for.
fn in_every_order(usual: Stops, thorough: Stops, test: impl Fn() + Send + Sync + 'static) {
    let thoroughly = std::env::var_os("COS_AUTH_PROXY_TEST_THOROUGH").is_some();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    // A test that fails leaves its timers where its threads were: then the runtime stays as well.
    let runtime = ManuallyDrop::new(runtime);
    // Time stands still: timers can be made and never end.
    let entered = runtime.enter();
    let in_a_model = InAModel::begin();
    let mut builder = Builder::new();
    builder.preemption_bound = match if thoroughly { thorough } else { usual } {
        AtMost(stops) => Some(stops),
        Any => None,
    };
    builder.max_branches = 10_000;
    let orders = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&orders);
    let test = Arc::new(test);
    builder.check(move || {
        counted.fetch_add(1, SeqCst);
        let test = Arc::clone(&test);
        // The first thread's stack is too small to fail on.
        in_a_thread(move || test()).join().unwrap();
    });
    let orders = orders.load(SeqCst);
    assert!(orders > 10, "only {orders} orders: the threads did not meet");
    println!("{orders} orders");
    drop((in_a_model, entered));
    drop(ManuallyDrop::into_inner(runtime));
}

fn key(number: u32) -> Credential {
    key_that_lives(number, HOUR)
}

fn key_that_lives(number: u32, life: Duration) -> Credential {
    Credential {
        id: SecretId::new(&format!("AKID{number}")).unwrap(),
        secret: SecretKey::new(&format!("secret{number}")).unwrap(),
        token: Some(SessionToken::new(&format!("token{number}")).unwrap()),
        expires_at: Some(EPOCH + life),
        received_at: EPOCH,
    }
}

/// The number of a key, all three parts of which must be of one key.
fn number(key: &Credential) -> u32 {
    let number = key.id.as_str().trim_start_matches("AKID").parse().unwrap();
    assert_eq!(key.secret.expose(), format!("secret{number}"));
    assert_eq!(key.token.as_ref().unwrap().expose(), format!("token{number}"));
    number
}

fn current(reader: &KeyReader) -> Option<u32> {
    reader.current(EPOCH).ok().map(|key| number(&key))
}

fn previous(reader: &KeyReader) -> Option<u32> {
    reader.previous(EPOCH).map(|key| number(&key))
}

fn report(reader: &KeyReader, key: &Credential) {
    reader.report_rejected(key, "InvalidAccessKeyId");
}

/// With the first key published.
fn store() -> (KeyWriter, KeyReader) {
    let (writer, reader) = channel_named("k", Clock::following_tokio(EPOCH));
    writer.publish(key(1));
    (writer, reader)
}

#[test]
fn whoever_sees_a_key_finds_its_fallback_and_never_an_older_key_again() {
    in_every_order(AtMost(2), Any, || {
        let (writer, reader) = store();
        let swaps = in_a_thread(move || {
            writer.publish(key(2));
            writer.forget_stale(EPOCH);
            writer.publish(key(3));
            writer
        });
        let mut newest = 1;
        for _ in 0..2 {
            let seen = current(&reader).expect("there is a key all the time");
            assert!(seen >= newest, "{seen} after {newest}");
            newest = seen;
            let fallback = previous(&reader).unwrap_or(0);
            assert!(fallback >= seen - 1, "{fallback} beside {seen}");
        }
        let _writer = swaps.join().unwrap();
        assert_eq!((current(&reader), previous(&reader)), (Some(3), Some(2)));
    });
}

#[test]
fn an_expired_key_is_never_current_and_never_a_fallback() {
    in_every_order(AtMost(2), Any, || {
        let (writer, reader) = store();
        let swaps = in_a_thread(move || {
            writer.publish(key_that_lives(2, Duration::ZERO));
            writer.publish(key(3));
            writer
        });
        for _ in 0..2 {
            assert_ne!(current(&reader), Some(2));
            assert_ne!(previous(&reader), Some(2));
        }
        let _writer = swaps.join().unwrap();
        assert_eq!((current(&reader), previous(&reader)), (Some(3), Some(1)));
    });
}

#[test]
fn whoever_waits_is_woken_by_the_first_key_that_can_be_used() {
    in_every_order(AtMost(2), AtMost(4), || {
        let (writer, reader) = channel_named("k", Clock::following_tokio(EPOCH));
        let publishes = in_a_thread(move || {
            writer.publish(key_that_lives(1, Duration::ZERO));
            writer.fail("STS is away");
            writer.publish(key(2));
            writer
        });
        let woken = block_on(reader.wait(PATIENCE)).unwrap();
        assert_eq!(number(&woken), 2);
        drop(publishes.join());
    });
}

#[test]
fn all_who_wait_are_woken_by_one_key() {
    in_every_order(AtMost(2), AtMost(3), || {
        let (writer, reader) = channel_named("k", Clock::following_tokio(EPOCH));
        let waits = |reader: KeyReader| {
            in_a_thread(move || number(&block_on(reader.wait(PATIENCE)).unwrap()))
        };
        let (one, two) = (waits(reader.clone()), waits(reader));
        writer.publish(key(1));
        assert_eq!((one.join().unwrap(), two.join().unwrap()), (1, 1));
    });
}

#[test]
fn a_rejection_is_kept_if_it_is_of_the_current_key_and_only_then() {
    in_every_order(Any, Any, || {
        let (writer, reader) = store();
        let swap = in_a_thread(move || {
            writer.publish(key(2));
            writer
        });
        let used = reader.current(EPOCH).unwrap();
        report(&reader, &used);
        let _writer = swap.join().unwrap();
        assert_eq!(reader.take_rejection(), number(&used) == 2);
    });
}

#[test]
fn a_late_rejection_of_the_old_key_does_not_hide_one_of_the_new_key() {
    in_every_order(AtMost(3), Any, || {
        let (writer, reader) = store();
        let uses = |reader: KeyReader| {
            in_a_thread(move || {
                let used = reader.current(EPOCH).unwrap();
                report(&reader, &used);
                number(&used)
            })
        };
        let (one, two) = (uses(reader.clone()), uses(reader.clone()));
        writer.publish(key(2));
        let newest_used = one.join().unwrap().max(two.join().unwrap());
        assert_eq!(reader.take_rejection(), newest_used == 2);
    });
}

#[test]
fn whoever_listens_for_rejections_hears_each_key_once() {
    in_every_order(AtMost(3), Any, || {
        let (writer, reader) = store();
        let uses = in_a_thread({
            let reader = reader.clone();
            move || {
                for _ in 0..2 {
                    report(&reader, &reader.current(EPOCH).unwrap());
                }
                current(&reader).unwrap()
            }
        });
        block_on(reader.rung());
        writer.publish(key(2));
        let seen_last = uses.join().unwrap();
        // Either both were of the first key, or the second one was of the second and rings again.
        let rung = reader.take_rejection();
        assert!(!rung || seen_last == 2);
        drop(writer);
    });
}

/// Gives keys with numbers, one call at a time.
struct Numbered {
    calls: Arc<Watched<u32>>,
    at_once: AtomicU32,
    /// The call that fails.
    fails: u32,
    /// Something to be interrupted at while a call is under way.
    step: loom::sync::atomic::AtomicU32,
}

impl KeySource for Numbered {
    fn kind(&self) -> &'static str {
        "numbered"
    }

    fn fetch(&self) -> Fetching<'_> {
        Box::pin(async {
            assert_eq!(self.at_once.fetch_add(1, SeqCst), 0, "two calls at once");
            let mut call = 0;
            self.calls.change(|calls| {
                *calls += 1;
                call = *calls;
                true
            });
            self.step.fetch_add(1, SeqCst);
            self.at_once.fetch_sub(1, SeqCst);
            if call == self.fails {
                return Err(SourceError::Refused {
                    endpoint: "https://sts.example".to_owned(),
                    code: "AuthFailure.UnauthorizedOperation".to_owned(),
                    request_id: "-".to_owned(),
                });
            }
            Ok(Fetched { credential: key(call), request_id: None })
        })
    }

    fn deadline(&self) -> Duration {
        HOUR
    }
}

/// A running refresher of numbered keys.
struct House {
    reader: KeyReader,
    handle: RefresherHandle,
    calls: Arc<Watched<u32>>,
    closing: Arc<Watched<bool>>,
    refresher: thread::JoinHandle<()>,
}

impl House {
    fn open(fails: u32, settings: &RefreshSettings) -> Self {
        let (calls, closing) = (Arc::new(Watched::new(0)), Arc::new(Watched::new(false)));
        let source = Numbered {
            calls: Arc::clone(&calls),
            at_once: AtomicU32::new(0),
            fails,
            step: loom::sync::atomic::AtomicU32::new(0),
        };
        let (mut refresher, reader, handle) = Refresher::new(
            "k",
            Box::new(source),
            settings.clone(),
            Clock::following_tokio(EPOCH),
            KeyMetrics::default(),
            fastrand::Rng::with_seed(1),
        );
        let mut told_to_close = closing.watch();
        let run = move || {
            block_on(async {
                let mut refreshing = pin!(refresher.keep_fresh());
                let mut closing = pin!(told_to_close.changed());
                poll_fn(|context| {
                    assert!(refreshing.as_mut().poll(context).is_pending());
                    let closing = closing.as_mut().poll(context);
                    if closing.is_ready() {
                        // It closes when nothing is left to do.
                        assert!(refreshing.as_mut().poll(context).is_pending());
                    }
                    closing
                })
                .await;
            });
        };
        Self { reader, handle, calls, closing, refresher: in_a_thread(run) }
    }

    /// With the first key in use.
    fn open_with_key(fails: u32, settings: &RefreshSettings) -> (Self, Arc<Credential>) {
        let house = Self::open(fails, settings);
        let key = block_on(house.reader.wait(PATIENCE)).unwrap();
        (house, key)
    }

    /// In a thread of its own, a request with this key is refused.
    fn is_refused(&self, key: &Arc<Credential>) -> thread::JoinHandle<()> {
        let (reader, key) = (self.reader.clone(), Arc::clone(key));
        in_a_thread(move || report(&reader, &key))
    }

    /// In a thread of its own, a request whose key was refused gets the number of another one.
    fn waits_for_another_than(&self, refused: &Arc<Credential>) -> thread::JoinHandle<Option<u32>> {
        let (reader, refused) = (self.reader.clone(), Arc::clone(refused));
        in_a_thread(move || {
            let other = block_on(reader.another(|key| key.id != refused.id, PATIENCE));
            other.map(|key| number(&key))
        })
    }

    /// Closes when all that was asked for and reported is done; returns the calls that were made.
    fn close(self) -> u32 {
        self.closing.change(|closing| {
            *closing = true;
            true
        });
        self.refresher.join().unwrap();
        assert!(!self.reader.take_rejection(), "a rejection was left");
        self.calls.value()
    }
}

fn in_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    thread::Builder::new().stack_size(1 << 17).spawn(work).unwrap()
}

#[test]
fn a_herd_that_meets_a_revoked_key_makes_one_call() {
    in_every_order(AtMost(1), AtMost(2), || {
        let (house, key) = House::open_with_key(0, &RefreshSettings::default());
        let herd = [house.is_refused(&key), house.is_refused(&key)];
        herd.into_iter().for_each(|request| request.join().unwrap());
        let reader = house.reader.clone();
        assert_eq!((house.close(), current(&reader)), (2, Some(2)));
    });
}

#[test]
fn a_request_whose_key_is_refused_gets_the_next_one_and_then_the_one_after() {
    in_every_order(AtMost(1), AtMost(2), || {
        let (house, one) = House::open_with_key(0, &RefreshSettings::default());
        let reader = house.reader.clone();
        let request = in_a_thread(move || {
            let two = block_on(reader.another(|key| key.id != one.id, PATIENCE)).unwrap();
            let new = |key: &Credential| ![&one.id, &two.id].contains(&&key.id);
            let three = block_on(reader.another(new, PATIENCE)).unwrap();
            assert_eq!((number(&one), number(&two), number(&three)), (1, 2, 3));
            assert_eq!(previous(&reader), Some(2));
        });
        request.join().unwrap();
        assert_eq!(house.close(), 3);
    });
}

#[test]
fn all_who_wait_for_another_key_get_the_same_one() {
    in_every_order(AtMost(1), AtMost(2), || {
        let (house, one) = House::open_with_key(0, &RefreshSettings::default());
        let waits = || house.waits_for_another_than(&one);
        let both = [waits(), waits()];
        assert_eq!(both.map(|request| request.join().unwrap()), [Some(2), Some(2)]);
        assert_eq!(house.close(), 2);
    });
}

#[test]
fn all_who_wait_in_vain_are_told_so() {
    in_every_order(AtMost(1), AtMost(2), || {
        let settings = RefreshSettings { forced_burst: 1, ..RefreshSettings::default() };
        let (house, one) = House::open_with_key(2, &settings);
        let waits = || house.waits_for_another_than(&one);
        let both = [waits(), waits()];
        assert_eq!(both.map(|request| request.join().unwrap()), [None, None]);
        assert_eq!(house.close(), 2);
    });
}

#[test]
fn a_key_that_comes_of_a_second_ring_reaches_the_one_who_rang() {
    in_every_order(AtMost(1), AtMost(2), || {
        let (house, one) = House::open_with_key(2, &RefreshSettings::default());
        let waits = || house.waits_for_another_than(&one);
        let both = [waits(), waits()].map(|request| request.join().unwrap());
        let calls = house.close();
        assert_eq!(both.contains(&Some(3)), calls == 3, "{both:?} after {calls} calls");
    });
}

#[test]
fn asking_and_rejections_make_one_call_at_a_time_and_all_are_answered() {
    in_every_order(AtMost(1), AtMost(2), || {
        let (house, key) = House::open_with_key(0, &RefreshSettings::default());
        let request = house.is_refused(&key);
        let handle = house.handle.clone();
        let asks = in_a_thread(move || block_on(handle.refresh_now()).unwrap().swaps);
        request.join().unwrap();
        let swaps = asks.join().unwrap();
        let reader = house.reader.clone();
        let calls = house.close();
        assert!((2..=3).contains(&calls) && swaps <= u64::from(calls), "{swaps} of {calls}");
        assert_eq!(current(&reader), Some(calls));
    });
}

#[test]
fn rejections_around_a_call_that_fails_do_not_get_around_the_limit() {
    in_every_order(AtMost(1), AtMost(2), || {
        let settings = RefreshSettings { forced_burst: 1, ..RefreshSettings::default() };
        let (house, key) = House::open_with_key(2, &settings);
        let herd = [house.is_refused(&key), house.is_refused(&key)];
        herd.into_iter().for_each(|request| request.join().unwrap());
        let reader = house.reader.clone();
        assert_eq!((house.close(), current(&reader)), (2, Some(1)));
    });
}
