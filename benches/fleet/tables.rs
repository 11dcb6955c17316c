//! The tables of `docs/FLEET.md`.

use std::{fmt::Write as _, ops::Range, time::Duration};

use cos_auth_proxy::credential::RefreshSettings;

use crate::{
    report::Report,
    simulation::Scenario,
    sts::{Counts, LimitedSts},
};

const SIDECARS: usize = 10_000;
const TWO_HOURS: Duration = Duration::from_secs(7200);
const LIMITS: [usize; 3] = [20, 80, 600];

/// All of them, as they stand in the page.
pub fn all() -> String {
    [
        ("Start-up", start_up()),
        ("Start-up when rejected calls count too", start_up_all_count()),
        ("Steady state", steady()),
        ("An outage of 30 minutes", outage()),
        ("Rolling rollout", rollout()),
        ("A broker per node", brokers()),
        ("All keys revoked at once", revoked()),
        ("Without jitter", without_jitter()),
    ]
    .into_iter()
    .fold(String::new(), |page, (title, table)| format!("{page}### {title}\n\n{table}\n"))
}

/// Waits in seconds and calls, by limit and by how the fleet begins.
fn start_up() -> String {
    let mut table = head(&["limit", "all at once", "within 60 s", "within 300 s"]);
    for limit in LIMITS {
        let cells = [0, 60, 300].map(|span| {
            let until = Duration::from_secs(3000);
            let fleet = Scenario::new(SIDECARS, seconds(span), until);
            let report = fleet.run(&mut LimitedSts::new(TWO_HOURS, Some(limit)));
            let all = report.served_at(0.99).map_or("never".to_owned(), shown);
            format!("{}; {all}; {}", waits(&report), thousands(report.total()))
        });
        row(&mut table, &[per_second(limit), cells.join(" | ")]);
    }
    table
}

fn start_up_all_count() -> String {
    let mut table =
        head(&["limit", "`throttled_cap_without_key`", "served in 2 h", "p50 / p99", "calls"]);
    for (limit, cap) in [(20, 60), (80, 60), (600, 60), (80, 300), (20, 1200)] {
        let mut fleet = Scenario::new(SIDECARS, seconds(0), TWO_HOURS);
        fleet.settings.throttled_cap_without_key = seconds(cap);
        let mut sts = LimitedSts::new(Duration::from_secs(43_200), Some(limit));
        sts.counts = Counts::All;
        let report = fleet.run(&mut sts);
        row(
            &mut table,
            &[
                per_second(limit),
                format!("{cap} s"),
                report.served().to_string(),
                waits(&report),
                thousands(report.total()),
            ],
        );
    }
    table
}

fn steady() -> String {
    let mut table = head(&[
        "L",
        "mean calls/s",
        "worst second, 1st cycle",
        "8th cycle",
        "longest without a key",
    ]);
    for life in [1800, 3600, 7200, 43_200] {
        let fleet = Scenario::new(SIDECARS, seconds(60), seconds(52 * life / 10));
        let report = fleet.run(&mut LimitedSts::new(seconds(life), None));
        let cells = [
            format!("{life} s"),
            format!("{:.1}", report.mean(cycle(life, 8))),
            report.worst(cycle(life, 1)).to_string(),
            report.worst(cycle(life, 8)).to_string(),
            shown(report.without(1.0)),
        ];
        row(&mut table, &cells);
    }
    table
}

fn outage() -> String {
    let mut table = head(&[
        "L",
        "limit",
        "ever without a key",
        "longest",
        "calls/s in the outage",
        "worst second of it",
        "worst second after it",
        "last one has a new key after",
    ]);
    for life in [1800, 3600, 7200, 14_400, 43_200] {
        for limit in [20, 600] {
            let begins = 6 * life;
            let ends = begins + 1800;
            let fleet = Scenario::new(SIDECARS, seconds(300), seconds(ends + 7200));
            let mut sts = LimitedSts::new(seconds(life), Some(limit));
            sts.outage = begins * 1000..ends * 1000;
            let report = fleet.run(&mut sts);
            let recovered = report.recovered_from(ends).saturating_sub(ends * 1000) as f64 / 1000.0;
            let cells = [
                format!("{life} s"),
                per_second(limit),
                report.ever_without().to_string(),
                shown(report.without(1.0)),
                format!("{:.0}", report.mean(begins..ends)),
                report.worst(begins..ends).to_string(),
                report.worst(ends..ends + 3600).to_string(),
                shown(recovered),
            ];
            row(&mut table, &cells);
        }
    }
    table
}

fn rollout() -> String {
    let mut table = head(&[
        "limit",
        "over",
        "new pods/s",
        "share of the limit",
        "p50 / p99",
        "slowest",
        "calls",
    ]);
    for (limit, minutes) in [(20, 5), (20, 9), (20, 17), (20, 30), (20, 60), (80, 2), (80, 5)] {
        let begins = 2 * 7200;
        let mut fleet = Scenario::new(SIDECARS, seconds(300), seconds(begins + 7200));
        fleet.replaced = Some((begins * 1000, seconds(minutes * 60)));
        let report = fleet.run(&mut LimitedSts::new(TWO_HOURS, Some(limit)));
        let rate = SIDECARS as f64 / (minutes * 60) as f64;
        let during = begins..begins + minutes * 60;
        let cells = [
            per_second(limit),
            format!("{minutes} min"),
            format!("{rate:.1}"),
            format!("{:.0} %", 100.0 * rate / limit as f64),
            waits(&report),
            report.waited(1.0).map_or("never".to_owned(), shown),
            thousands(calls_within(&report, during)),
        ];
        row(&mut table, &cells);
    }
    table
}

fn brokers() -> String {
    let mut table = head(&["pods per node", "callers", "start-up, all at once", "mean calls/s"]);
    for pods in [1, 10, 30, 100] {
        let callers = SIDECARS / pods;
        let fleet = Scenario::new(callers, seconds(0), seconds(4 * 7200));
        let report = fleet.run(&mut LimitedSts::new(TWO_HOURS, Some(20)));
        let cells = [
            pods.to_string(),
            callers.to_string(),
            format!("{}, {}", waits(&report), thousands(calls_within(&report, 0..3000))),
            format!("{:.2}", report.mean(7200..3 * 7200)),
        ];
        row(&mut table, &cells);
    }
    table
}

fn revoked() -> String {
    let mut table =
        head(&["limit", "p50 / p99", "last one has a new key after", "worst second", "calls"]);
    for limit in LIMITS {
        let at = 6 * 7200;
        let mut fleet = Scenario::new(SIDECARS, seconds(300), seconds(at + 3600));
        fleet.revoked_at = Some(at * 1000);
        let report = fleet.run(&mut LimitedSts::new(TWO_HOURS, Some(limit)));
        let last = report.without(1.0);
        let after = at..at + last.ceil() as u64 + 2;
        let cells = [
            per_second(limit),
            format!("{} / {}", shown(report.without(0.5)), shown(report.without(0.99))),
            shown(last),
            report.worst(after.clone()).to_string(),
            thousands(calls_within(&report, after)),
        ];
        row(&mut table, &cells);
    }
    table
}

/// The same code with dice that always fall on the same side and a refresh at 90 % of the life: what
/// exponential waits without jitter do.
fn without_jitter() -> String {
    let settings = RefreshSettings {
        refresh_from: 0.9,
        refresh_to: 0.9,
        throttled_base: seconds(1),
        throttled_cap: seconds(30),
        throttled_cap_without_key: seconds(30),
        ..RefreshSettings::default()
    };
    let mut table = head(&["what", "p50 / p99", "slowest", "calls"]);
    for limit in LIMITS {
        let mut fleet = Scenario::new(SIDECARS, seconds(0), seconds(17_000));
        fleet.settings = settings.clone();
        fleet.stuck_dice = Some(1.0);
        let report = fleet.run(&mut LimitedSts::new(Duration::from_secs(43_200), Some(limit)));
        let cells = [
            format!("start-up at {}", per_second(limit)),
            waits(&report),
            report.waited(1.0).map_or("never".to_owned(), shown),
            thousands(report.total()),
        ];
        row(&mut table, &cells);
    }
    let mut fleet = Scenario::new(SIDECARS, seconds(60), seconds(9 * 6480));
    fleet.settings = settings;
    fleet.stuck_dice = Some(1.0);
    let report = fleet.run(&mut LimitedSts::new(TWO_HOURS, None));
    let worst = |number: u64| {
        let middle = number * 6480;
        report.worst(middle - 1800..middle + 1800)
    };
    table
        + &format!(
            "\nSteady state at 90 % of 7200 s: worst second {} in the first cycle, {} in the eighth.\n",
            worst(1),
            worst(8)
        )
}

/// The seconds of a cycle, which is 0.6 of a life in the mean.
pub fn cycle(life: u64, number: u64) -> Range<u64> {
    let middle = life * 6 * number / 10;
    middle - life * 3 / 10..middle + life * 3 / 10
}

fn calls_within(report: &Report, seconds: Range<u64>) -> u64 {
    let length = (seconds.end - seconds.start) as f64;
    (report.mean(seconds) * length).round() as u64
}

fn waits(report: &Report) -> String {
    let wait = |share| report.waited(share).map_or("never".to_owned(), shown);
    format!("{} / {}", wait(0.5), wait(0.99))
}

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn shown(seconds: f64) -> String {
    match seconds {
        0.0 => "–".to_owned(),
        s if s < 1.0 => "< 1 s".to_owned(),
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 3600.0 => format!("{s:.0} s"),
        s => format!("{:.1} h", s / 3600.0),
    }
}

fn per_second(limit: usize) -> String {
    format!("{limit}/s")
}

fn thousands(calls: u64) -> String {
    match calls {
        0..1000 => format!("{calls} calls"),
        1000..1_000_000 => format!("{} k calls", (calls + 500) / 1000),
        _ => format!("{:.1} M calls", calls as f64 / 1e6),
    }
}

fn head(names: &[&str]) -> String {
    format!("| {} |\n|{}\n", names.join(" | "), "---|".repeat(names.len()))
}

fn row(table: &mut String, cells: &[String]) {
    writeln!(table, "| {} |", cells.join(" | ")).unwrap();
}
