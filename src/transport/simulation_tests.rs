//! The real driver in simulated worlds: in memory, on paused time, with everything that can happen
//! on both sides chosen by a seed. What must hold in every world is in `judge`, and, for every byte, in
//! `client` and `upstream`.
//!
//! A seed that fails is told with the line that runs it alone, with all that happened in it.

#![expect(clippy::wildcard_enum_match_arm, reason = "a step names the faults it is about")]
#![expect(clippy::disallowed_methods, reason = "seeds are chosen by the environment")]

mod client;
mod judge;
mod plan;
mod upstream;
mod world;

use std::{
    cell::Cell,
    rc::Rc,
    sync::{
        Mutex, Once,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    task::{JoinSet, spawn_local},
    time::{sleep, timeout},
};

use super::{
    in_memory::{House, HouseSettings},
    worker,
};
use plan::Plan;
use world::World;

/// How many seeds an ordinary run tries.
const SEEDS: u64 = 2000;
/// How many seeds that fail are told before the run is given up.
const TOLD: usize = 5;

/// What upstream says of a key that it does not know.
const KEY_REFUSED: &str = "<Error><Code>InvalidAccessKeyId</Code></Error>";

#[test]
fn every_world_keeps_the_promises_of_the_data_path() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    if let Some(seed) = number("COS_AUTH_PROXY_SEED") {
        let (_, report) = run(seed);
        return assert!(report.is_none(), "{}", report.unwrap());
    }
    let seeds = number("COS_AUTH_PROXY_SEEDS").unwrap_or(SEEDS);
    let first = number("COS_AUTH_PROXY_FIRST_SEED").unwrap_or(0);
    let (next, failed) = (AtomicU64::new(first), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, |n| n.get().min(4)) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + seeds || failed.lock().unwrap().len() >= TOLD {
                        return;
                    }
                    if let (_, Some(report)) = run(seed) {
                        failed.lock().unwrap().push((seed, report));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    let told = failed.iter().map(|(seed, report)| {
        format!("{report}COS_AUTH_PROXY_SEED={seed} cargo test --lib transport::simulation\n\n")
    });
    assert!(failed.is_empty(), "\n{}", told.collect::<String>());
}

#[test]
fn a_seed_makes_the_same_world_every_time() {
    for seed in (0..SEEDS).step_by(40) {
        assert_eq!(run(seed).0, run(seed).0, "seed {seed}");
    }
}

/// Runs one world: its fingerprint, and what went wrong in it.
fn run(seed: u64) -> (u64, Option<String>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build_local(tokio::runtime::LocalOptions::default())
        .unwrap();
    let panics = watch_panics();
    let world = runtime.block_on(live(Plan::draw(seed)));
    if watch_panics() > panics {
        world.flaw("a task panicked");
    }
    (world.fingerprint(), world.report())
}

/// No world lasts longer, as its own clock goes.
const LONGEST: Duration = Duration::from_secs(4 * 3600);

async fn live(plan: Plan) -> Rc<World> {
    let settings = HouseSettings { transport: plan.transport.clone(), budget: plan.budget };
    let (house, arriving, calls) = House::build(settings).unwrap();
    let worker = Rc::clone(&house.worker);
    let serving = spawn_local(worker::run(Rc::clone(&worker), arriving));
    let world = Rc::new(World::new(plan, house));
    let upstream = spawn_local(upstream::run(Rc::clone(&world), calls));
    let draining = spawn_local(drain(Rc::clone(&world)));
    let mut clients = JoinSet::new();
    for number in 0..world.plan.clients.len() {
        clients.spawn_local(client::run(Rc::clone(&world), number));
    }
    let all = async {
        while let Some(ended) = clients.join_next().await {
            ended.unwrap();
        }
        draining.abort();
        judge::the_end(&world).await;
        world.house.borrow_mut().close();
        serving.await.unwrap();
    };
    if timeout(LONGEST, all).await.is_err() {
        world.flaw("it does not end");
    }
    judge::requests(&world);
    draining.abort();
    upstream.abort();
    let _: (Result<_, _>, Result<_, _>) = (draining.await, upstream.await);
    // One here, one in the house.
    if Rc::strong_count(&worker) != 2 {
        world.flaw("a task outlives its connection");
    }
    world
}

async fn drain(world: Rc<World>) {
    let Some(at) = world.plan.drains_at else { return };
    sleep(at).await;
    world.note("drains", 0, 0);
    world.drained_at.set(Some(world.now()));
    let mut house = world.house.borrow_mut();
    house.worker.draining.cancel();
    house.close();
}

/// How many panics this thread has seen: tokio keeps those of tasks to itself.
fn watch_panics() -> usize {
    thread_local! {
        static PANICS: Cell<usize> = const { Cell::new(0) };
    }
    static WATCH: Once = Once::new();
    WATCH.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.set(PANICS.get() + 1);
            usual(panic);
        }));
    });
    PANICS.get()
}
