//! MariaDB and MongoDB away while jobs run: `wait` jobs end and keep what they have to tell, `retry`
//! jobs are ended as the banner has said before, and everything is caught up with when both are back.
//!
//! For `HCNDC_AWAY_S` seconds (20), with the timing of an installation from 60 on, and `HCNDC_AWAY_JOBS`
//! jobs (8); what was measured is added to the file `HCNDC_AWAY_RESULT`.

use crate::pair::{Pair, Setup};
use crate::proxy::{Link, Proxy};
use crate::server::{free_port, url};
use shared::ids::Millis;
use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

/// Jobs that end while the stores are away, one after the other.
#[derive(Clone, Copy)]
struct Night {
    away_s: u32,
    jobs: u32,
}

impl Night {
    fn new() -> Night {
        let number = |name, usual| {
            shared::config::env(name).map_or(usual, |text| text.parse().expect("a number"))
        };
        Night { away_s: number("HCNDC_AWAY_S", 20), jobs: number("HCNDC_AWAY_JOBS", 8) }
    }

    /// Milliseconds between two lines of a job: all of them together write at most 200 a second.
    fn pause_ms(self) -> u32 {
        (self.jobs * 5).max(500)
    }

    /// The last one ends well before the stores are back.
    fn lines(self, at: u32) -> u32 {
        let ends_ms = u64::from(at + 1) * u64::from(self.away_s) * 800 / u64::from(self.jobs);
        u32::try_from(ends_ms).expect("minutes") / self.pause_ms() + 4
    }

    fn count(self) -> usize {
        self.jobs as usize
    }
}

/// Seconds between two firings.
const BEAT_S: u32 = 2;
/// FENCE and LOST so that there is time to read the banner before, in a test.
pub const SHORT: &str = "[timing]\nwatch_ms = 1000\nfence_ms = 6000\nlost_ms = 9000\n";

/// Both stores behind links of ours.
struct Stores([Proxy; 2]);

impl Stores {
    fn new() -> (Stores, [String; 2]) {
        let (mysql, mongo) = (url("HCNDC_TEST_MYSQL"), url("HCNDC_TEST_MONGO"));
        let port = |url: &str| -> u16 {
            let digits = url.rsplit(':').next().unwrap().split('/').next().unwrap();
            digits.parse().unwrap()
        };
        let proxies = [&mysql, &mongo].map(|url| Proxy::to(port(url), free_port()));
        let through = [
            // The driver would go around us by the server's own socket.
            format!(
                "{}:{}/?prefer_socket=false",
                mysql.rsplit_once(':').unwrap().0,
                proxies[0].port
            ),
            format!("mongodb://127.0.0.1:{}/?directConnection=true", proxies[1].port),
        ];
        (Stores(proxies), through)
    }

    fn set(&self, link: Link) {
        self.0.iter().for_each(|proxy| proxy.set(link));
    }
}

/// `night`: what ends meanwhile, with lines of output all the time. `leased`: what is ended.
/// `beat`: what fires.
fn mesh(pair: &Pair, night: Night) -> String {
    let (journal, go) = (pair.masters[0].path("journal"), pair.masters[0].path("go"));
    let (journal, go) = (journal.display(), go.display());
    let job = |name: &str, after: &str, policy: &str, body: &str| {
        let known = "$HCNDC_JOB $HCNDC_ATTEMPT";
        format!(
            "  - name: {name}\n    kind: shell\n    fields:\n      use_shell: true\n      script: |\n        \
             echo \"begin {known}\" >> {journal}\n        {body}\n        \
             echo \"end {known}\" >> {journal}\n    after: [{after}]\n    policy: {policy}\n"
        )
    };
    let pause = f64::from(night.pause_ms()) / 1_000.0;
    let one = |at: u32| {
        let body = format!(
            "i=0; while [ $i -lt {} ]; do echo \"line $i\"; i=$((i+1)); sleep {pause}; done",
            night.lines(at)
        );
        job(&format!("w{at}"), "", "{on_lost: wait}", &body)
    };
    // One that waits for several, but not for more than a job may.
    let names: Vec<String> = (0..night.jobs.min(100)).map(|at| format!("w{at}")).collect();
    let nights: String = (0..night.jobs).map(one).collect();
    let last = job("last", &names.join(", "), "{}", "echo done");
    let body = format!(
        "until [ -e {go} ]; do echo \"alive $HCNDC_ATTEMPT\" >> {journal}; sleep 0.2; done"
    );
    let retry = "{on_lost: retry, attempts_max: 5, kill_grace_s: 1, backoff: {delay_s: 0, factor: 1, delay_max_s: 0}}";
    let leased = job("tender", "", retry, &body);
    let head = |name: &str| {
        format!("kind: interface\nname: {name}\nspec: {{granularity: day, zone: UTC}}\njobs:\n")
    };
    let beat = "  - {name: beat, kind: shell, fields: {use_shell: true, script: exit 0}}\n";
    let dispatch = format!(
        "kind: dispatch\ninterface: beat\nname: beat\nspec: {{cron: \"*/{BEAT_S} * * * * *\", zone: UTC}}\n"
    );
    let (night, tender) = (head("night"), head("leased"));
    format!("{night}{nights}{last}---\n{tender}{leased}---\n{}{beat}---\n{dispatch}", head("beat"))
}

fn count(pair: &Pair, start: &str) -> usize {
    pair.journal().iter().filter(|line| line.starts_with(start)).count()
}

/// Instants with a row, and those without one between the first and this date.
fn instants(pair: &Pair, until: Millis) -> (usize, Vec<Millis>) {
    let rows: Vec<Millis> = pair.rows("SELECT instant_ms FROM firing ORDER BY instant_ms");
    let first = rows.first().copied().unwrap_or(until);
    let due = (first..=until).step_by(BEAT_S as usize * 1_000);
    (rows.len(), due.filter(|at| rows.binary_search(at).is_err()).collect())
}

fn now(pair: &Pair) -> Millis {
    pair.rows("SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)")[0]
}

/// Of each attempt, stream by stream, what the store has; and how many have their end.
fn shipped(pair: &Pair) -> (BTreeMap<(i64, i64), String>, usize) {
    let (mut texts, mut ends) = (BTreeMap::<_, String>::new(), 0);
    for chunk in pair.chunks().iter().filter(|chunk| chunk.id.stream == 0 || chunk.end.is_some()) {
        ends += usize::from(chunk.end.is_some());
        if chunk.id.stream == 0 {
            let text = texts.entry((chunk.id.job, chunk.id.number)).or_default();
            assert_eq!(chunk.from(), text.len() as u64, "once, and in order");
            text.push_str(std::str::from_utf8(&chunk.bytes).unwrap());
        }
    }
    (texts, ends)
}

fn has_succeeded(night: Night, pair: &Pair) -> bool {
    let text = "SELECT job_run.state FROM job_run JOIN job ON job.id = job_run.job_id \
                WHERE job.name LIKE 'w%' OR job.name = 'last'";
    let states: Vec<String> = pair.rows(text);
    states.len() == night.count() + 1 && states.iter().all(|state| state == "succeeded")
}

#[test]
fn stores_are_away_while_jobs_run() {
    let night = Night::new();
    let away_s = night.away_s;
    let (stores, through) = Stores::new();
    let timing = if away_s < 60 { SHORT } else { "" };
    let mut pair = Pair::of(Setup { through: Some(through), timing, ..Setup::default() });
    let leader = pair.leader().unwrap();
    pair.masters[0].slots = night.jobs + 64;
    let yaml = mesh(&pair, night);
    pair.masters[0].apply(&yaml);
    for interface in ["night", "leased"] {
        pair.masters[0].must(&["run", interface, "--period", "2026-11-20"]);
    }
    pair.until("jobs have begun, and the dispatch has fired", |pair| {
        count(pair, "begin") == night.count() + 1 && instants(pair, 0).0 > 0
    });
    let cookie = format!("{}; lang=en", pair.masters[0].log_in());
    let page = |pair: &Pair, at: usize| pair.masters[at].page("/", &cookie);
    for at in 0..pair.masters.len() {
        assert!(!page(&pair, at).contains("id=\"away\""), "all is well");
    }

    // ---- away ----
    let gone = pair.clock.mono_ms();
    stores.set(Link::Cut);
    crate::real::facts::note("faults", 2);
    pair.until("the banner says which jobs are in danger", |pair| {
        let page = page(pair, leader);
        page.contains("will be ended at") && page.contains("leased / tender")
    });
    let banner_ms = pair.clock.mono_ms() - gone;
    let alive = count(&pair, "alive 1");
    pair.until("the job lives on after it was told", |pair| count(pair, "alive 1") > alive);
    pair.until("the other master tells it too", |pair| {
        page(pair, 1 - leader).contains("id=\"away\"")
    });
    pair.until("the job in danger was ended", |pair| {
        let alive = count(pair, "alive 1");
        std::thread::sleep(Duration::from_millis(900));
        count(pair, "alive 1") == alive
    });
    let fenced_ms = pair.clock.mono_ms() - gone - 900;
    let rest = Millis::from(away_s) * 1_000 - (pair.clock.mono_ms() - gone);
    std::thread::sleep(Duration::from_millis(rest.max(0).unsigned_abs()));
    let ended = count(&pair, "end w");
    assert_eq!(ended, night.count(), "jobs end while the stores are away: {}", pair.logs());
    assert!(!has_succeeded(night, &pair), "the fault: the database has heard of it");
    let (_, ends) = shipped(&pair);
    assert!(stores.0.iter().all(|proxy| proxy.faults() > 0), "the fault: both links were cut");
    let missed = instants(&pair, now(&pair)).1;
    assert!(missed.len() + 1 >= (away_s / BEAT_S) as usize, "the fault: {missed:?} are decided");

    let caught_up = comes_back(night, &mut pair, (&stores, ends));
    judge(night, &pair);
    let told = format!(
        "away for {away_s} s, {} jobs that ended meanwhile, {} instants that were due meanwhile; banner after \
         {banner_ms} ms, `retry` jobs ended by {fenced_ms} ms; after the return: {caught_up}",
        night.jobs,
        missed.len(),
    );
    println!("{told}");
    if let Some(file) = shared::config::env("HCNDC_AWAY_RESULT") {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.create(true).append(true).open(file).unwrap();
        writeln!(file, "- {told}").unwrap();
    }
}

/// Until all is caught up with; how long each part took. `ends`: of logs, that the store had before.
fn comes_back(night: Night, pair: &mut Pair, (stores, ends): (&Stores, usize)) -> String {
    let back = pair.clock.mono_ms();
    let until = now(pair);
    stores.set(Link::Whole);
    let (mut results, mut lines, mut firings) = (None, None, None);
    pair.until("everything is caught up with", |pair| {
        let since = pair.clock.mono_ms() - back;
        if firings.is_none() && instants(pair, until).1.is_empty() {
            firings = Some(since);
        }
        if results.is_none() && has_succeeded(night, pair) {
            results = Some(since);
        }
        // Those of the night, and the one that was ended.
        if lines.is_none() && shipped(pair).1 > ends + night.count() {
            lines = Some(since);
        }
        results.is_some() && lines.is_some() && firings.is_some()
    });
    std::fs::write(pair.masters[0].path("go"), "").unwrap();
    pair.until("the job that was ended has begun again and ended", |pair| {
        count(pair, "end tender") == 1
    });
    let [firings, results, lines] = [firings, results, lines].map(Option::unwrap);
    format!("firings {firings} ms, results {results} ms, log lines {lines} ms")
}

/// What jobs have written, what the store has of it, and how the instants were decided.
#[track_caller]
fn judge(night: Night, pair: &Pair) {
    let mut begun: BTreeMap<String, u32> = BTreeMap::new();
    for line in pair.journal().iter().filter(|line| !line.starts_with("alive")) {
        *begun.entry(line.clone()).or_default() += 1;
    }
    assert!(begun.values().all(|times| *times == 1), "each began and ended once: {begun:?}");
    assert!(
        begun.contains_key("begin tender 1") && !begun.contains_key("end tender 1"),
        "{begun:?}"
    );
    let (texts, _) = shipped(pair);
    let nights: Vec<&String> = texts.values().filter(|text| text.starts_with("line 0\n")).collect();
    assert_eq!(nights.len(), night.count(), "{texts:?}");
    for text in nights {
        let lines = text.lines().enumerate();
        assert!(lines.clone().count() >= 4 && text.ends_with('\n'), "{text}");
        lines.for_each(|(at, line)| assert_eq!(line, format!("line {at}")));
    }
    // The leader decided them in time and stored them late, or its successor decided them late.
    let other = "SELECT decision FROM firing WHERE decision <> 'fired'";
    assert!(pair.rows::<String>(other).is_empty(), "all instants were made good");
    let twice = "SELECT COUNT(*) FROM execution WHERE origin = 'cron' GROUP BY dispatch_id, instant_ms \
                 HAVING COUNT(*) > 1";
    assert!(pair.rows::<usize>(twice).is_empty(), "no instant is decided twice");
}
