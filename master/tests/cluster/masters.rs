//! Two masters, and three, on shared stores: one leads, all serve; when the leader goes, at once or in
//! order, another one goes on with what runs.

use crate::pair::{Gone, PROBE, Pair, Setup};
use std::collections::BTreeMap;

/// One interface: jobs side by side that take a while, and one after all of them.
fn mesh(pair: &Pair, name: &str, count: u32, seconds: u32) -> String {
    let journal = pair.masters[0].path("journal");
    let journal = journal.display();
    let job = |job: &str, after: &str, seconds: u32| {
        format!(
            "  - name: {job}\n    kind: shell\n    fields:\n      use_shell: true\n      script: |\n        \
             echo \"begin $HCNDC_RUN $HCNDC_JOB\" >> {journal}\n        sleep {seconds}\n        \
             echo \"end $HCNDC_RUN $HCNDC_JOB\" >> {journal}\n    after: [{after}]\n"
        )
    };
    let names: Vec<String> = (0..count).map(|at| format!("j{at}")).collect();
    let mut jobs: String = names.iter().map(|name| job(name, "", seconds)).collect();
    jobs.push_str(&job("last", &names.join(", "), 0));
    format!("kind: interface\nname: {name}\nspec: {{granularity: day, zone: UTC}}\njobs:\n{jobs}")
}

/// Each began once and ended once, and none is missing.
#[track_caller]
fn judge(pair: &Pair, count: usize) {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for line in pair.journal() {
        *seen.entry(line).or_default() += 1;
    }
    assert!(seen.values().all(|times| *times == 1), "{seen:?}\n{}", pair.logs());
    assert_eq!(seen.len(), 2 * count, "{seen:?}");
}

#[test]
fn one_leads_both_serve_and_the_other_goes_on() {
    let mut pair = Pair::start();
    let leader = pair.leader().unwrap();
    let other = 1 - leader;
    assert!(!pair.masters[other].ready_text().contains("\"leads\":true"), "one leads");
    // Definitions through one, the command through the other; who is logged in there is so here.
    let yaml = format!("{}---\n{PROBE}", mesh(&pair, "first", 6, 3));
    pair.masters[0].apply(&yaml);
    pair.masters[other].must(&["run", "first", "--period", "2026-11-20"]);
    let cookie = pair.masters[0].log_in();
    for master in &pair.masters {
        let page = master.page("/execute/flow/", &cookie);
        assert!(page.starts_with("HTTP/1.0 200") && page.contains("2026-11-20"), "{page}");
    }
    pair.until("the jobs have begun", |pair| pair.journal().len() >= 6);

    // Killed: the lease has to run out.
    println!("killed: {:?}", pair.take_over(leader, Gone::Killed));
    pair.until("both executions have ended", |pair| pair.states(other) == ["succeeded"; 2]);
    judge(&pair, 7);

    // Told to stop: the lease is given back, and jobs go on.
    pair.masters[leader].start_master(&[]);
    pair.masters[leader].master_is_ready();
    pair.masters[leader].must(&["run", "first", "--period", "2026-11-21"]);
    pair.until("the jobs have begun", |pair| pair.journal().len() >= 14 + 6);
    println!("stopped: {:?}", pair.take_over(other, Gone::Stopped));
    pair.until("all four have ended", |pair| pair.states(leader) == ["succeeded"; 4]);
    judge(&pair, 14);
}

/// All three serve pages and take commands; whoever leads is killed, and then the next one too.
#[test]
fn of_three_masters_the_leader_is_killed_twice_in_a_row() {
    let mut pair = Pair::of(Setup { masters: 3, ..Setup::default() });
    let leader = pair.leader().unwrap();
    let says = |at: &usize| pair.masters[*at].ready_text().contains("\"leads\":true");
    assert_eq!((0..3).filter(says).count(), 1, "one leads");
    let yaml = format!("{}---\n{PROBE}", mesh(&pair, "first", 4, 8));
    pair.masters[0].apply(&yaml);
    for (at, period) in ["2026-11-20", "2026-11-21", "2026-11-22"].iter().enumerate() {
        pair.masters[at].must(&["run", "first", "--period", period]);
    }
    let cookie = pair.masters[0].log_in();
    for master in &pair.masters {
        let page = master.page("/execute/flow/", &cookie);
        assert!(page.starts_with("HTTP/1.0 200") && page.contains("2026-11-22"), "{page}");
    }
    pair.until("the jobs have begun", |pair| pair.journal().len() >= 12);

    println!("first: {:?}", pair.take_over(leader, Gone::Killed));
    pair.until("the next one says that it leads", |pair| pair.leader().is_some());
    let next = pair.leader().unwrap();
    println!("second: {:?}", pair.take_over(next, Gone::Killed));
    let last = 3 - leader - next;
    pair.until("all have ended", |pair| pair.states(last) == ["succeeded"; 5]);
    assert_eq!(pair.leader(), Some(last));
    judge(&pair, 15);
}
