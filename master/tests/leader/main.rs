//! The leader's shell on real ports: an embedded database and hosts inside this process, or a real
//! executor over TLS.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod etl;
mod hosts;
mod real;
mod rig;

use hosts::Hosts;
use master::db::faulty::{Fault, Faulty};
use master::db::params;
use master::leader::dial::{Caller, Dial};
use master::logs::{self, Logs, on_host::OnHost};
use master::store;
use rig::{CLUSTER, Rig, shell};
use shared::ids::*;
use shared::spec::JobSpec;
use shared::wire::Stream;
use std::sync::Arc;
use std::time::Duration;

/// Forty jobs, one after the other.
fn chain() -> Vec<(i64, &'static str, JobSpec)> {
    let before = |id: i64| if id > 1 { vec![id - 1] } else { Vec::new() };
    let name = |id: i64| -> &'static str { format!("j{id}").leak() };
    (1..=40).map(|id| (id, name(id), shell(&["true"], &before(id)))).collect()
}

const LONG: Duration = Duration::from_secs(20);

fn caller(hosts: &Arc<Hosts>) -> Caller {
    Caller::new(Dial::Inside(hosts.clone()), CLUSTER, "m1")
}

#[tokio::test]
async fn it_takes_the_lead_meets_its_hosts_and_gives_the_lease_back() {
    let rig = Rig::new().await;
    let hosts = Hosts::new(CLUSTER, 1, &rig.clock);
    let mut first = rig.lead(caller(&hosts));
    first.until(|status| status.leads && status.why == "no exec host is defined").await;
    assert_eq!(first.status.borrow().epoch, 1);
    rig.host(1, "h1", 4).await;
    rig.host(2, "nowhere", 4).await;
    first.until(|status| status.why.is_empty()).await;

    // A second one of another life does not get the lease while the first has it.
    let mut second = rig.lead(caller(&hosts));
    second.until(|status| status.another).await;

    // What pages see of the hosts, and the agent that was met.
    let seen = async {
        loop {
            let seen = store::host::statuses(&rig.db).await.unwrap();
            let state = |id: i64| seen.get(&id).map(|status| status.state.clone());
            if state(1).as_deref() == Some("live") && state(2).as_deref() == Some("silent") {
                return seen;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let seen = tokio::time::timeout(LONG, seen).await.expect("host_status is written");
    assert!(seen[&2].why.contains("nobody answers"), "{:?}", seen[&2]);
    let catalog = store::catalog::load(&rig.db).await.unwrap();
    assert_eq!(catalog.hosts[&HostId(1)].agent, "h1");

    first.stop().await;
    second.until(|status| status.leads && status.epoch == 2).await;
}

#[tokio::test]
async fn two_jobs_run_to_success_and_their_output_is_read() {
    let rig = Rig::new().await;
    let hosts = Hosts::new(CLUSTER, 1, &rig.clock);
    rig.host(1, "h1", 4).await;
    let jobs =
        [(1, "load", shell(&["true"], &[])), (2, "report", shell(&["true", "${period}"], &[1]))];
    rig.interface(1, "flights", &jobs).await;
    let mut leading = rig.lead(caller(&hosts));
    leading.until(|status| status.leads && status.why.is_empty()).await;
    let execution = rig.run_now(1, "2026-11-20").await;
    assert_eq!(rig.outcome(execution, LONG).await, "succeeded");
    let begun = hosts.get("h1").begun();
    assert_eq!(begun.iter().map(|start| start.attempt.job.0).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(begun[1].work.argv, ["true", "2026-11-20"]);

    let logs = Logs::OnHost(OnHost::new(rig.db.clone(), caller(&hosts), rig.clock.clone()));
    let attempt = begun[0].attempt;
    let part = logs.tail(attempt, Stream::Out, 100).await.unwrap();
    assert_eq!(String::from_utf8(part.bytes).unwrap(), format!("{attempt} on h1\n"));
    let nobody = AttemptId { number: 9, ..attempt };
    let none = logs.read(nobody, Stream::Out, 0, 100).await;
    assert_eq!(none.unwrap_err(), logs::Error::NoAttempt);
}

#[tokio::test]
async fn a_command_that_cannot_be_made_fails_in_words() {
    let rig = Rig::new().await;
    let hosts = Hosts::new(CLUSTER, 1, &rig.clock);
    rig.host(1, "h1", 4).await;
    let long = "x".repeat(30_000);
    let jobs = [
        (1, "fine", shell(&["true"], &[])),
        (2, "broken", shell(&["echo", "${no_such_parameter}"], &[])),
        (3, "large", shell(&["echo", &long, &long, &long, &long, &long], &[])),
        (4, "fails", shell(&["sh", "exit 3"], &[])),
    ];
    rig.interface(1, "i", &jobs).await;
    let mut leading = rig.lead(caller(&hosts));
    leading.until(|status| status.leads && status.why.is_empty()).await;
    let execution = rig.run_now(1, "2026-11-20").await;
    assert_eq!(rig.outcome(execution, LONG).await, "failed");
    let story = rig.story().await;
    assert!(story.contains("no_such_parameter"), "{story}");
    assert!(story.contains("put long texts into a file"), "{story}");
    assert!(story.contains("job 1 succeeded"), "{story}");
    let begun = hosts.get("h1").begun();
    let mut begun: Vec<_> = begun.iter().map(|start| start.attempt.job.0).collect();
    begun.sort_unstable();
    assert_eq!(begun, [1, 4]);
}

#[tokio::test]
async fn another_leader_goes_on_where_the_first_was_cut_off() {
    let rig = Rig::new().await;
    let hosts = Hosts::new(CLUSTER, 2, &rig.clock);
    rig.host(1, "h1", 4).await;
    rig.host(2, "h2", 4).await;
    rig.interface(1, "chain", &chain()).await;
    let mut first = rig.lead(caller(&hosts));
    first.until(|status| status.leads && status.why.is_empty()).await;
    let execution = rig.run_now(1, "2026-11-20").await;
    while hosts.spawned() < 5 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    drop(first);
    let mut second = rig.lead(caller(&hosts));
    second.until(|status| status.leads).await;
    assert_eq!(rig.outcome(execution, LONG).await, "succeeded");
    assert_eq!(hosts.spawned(), 40, "each once");
}

/// Commits whose answers are lost, commits that never arrive, a database that is away: all in the
/// middle of a run, and nothing is done twice or left out.
#[tokio::test]
async fn a_link_that_breaks_at_the_commit_doubles_nothing() {
    let mut rig = Rig::new().await;
    let faulty = Faulty::new(rig.db.clone());
    let hosts = Hosts::new(CLUSTER, 1, &rig.clock);
    rig.host(1, "h1", 4).await;
    rig.interface(1, "chain", &chain()).await;
    let plain = std::mem::replace(&mut rig.db, faulty.db());
    let mut leading = rig.lead(caller(&hosts));
    leading.until(|status| status.leads && status.why.is_empty()).await;
    rig.db = plain;
    let execution = rig.run_now(1, "2026-11-20").await;
    for (fault, at) in
        (0..30).zip([Fault::AnswerLost, Fault::BatchLost, Fault::Away].iter().cycle())
    {
        while hosts.spawned() < fault && rig.state_of(execution).await != "succeeded" {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        faulty.inject(*at);
    }
    assert_eq!(rig.outcome(execution, LONG).await, "succeeded");
    assert_eq!(hosts.spawned(), 40, "each once");
    assert_eq!(leading.status.borrow().epoch, 1);
}

/// Another server answers: the leader claims anew, every host is in doubt until it has told all.
#[tokio::test]
async fn after_a_failover_hosts_are_asked_before_anything_is_placed() {
    let mut rig = Rig::new().await;
    let faulty = Faulty::new(rig.db.clone());
    let hosts = Hosts::new(CLUSTER, 2, &rig.clock);
    rig.host(1, "h1", 4).await;
    rig.host(2, "h2", 4).await;
    rig.interface(1, "chain", &chain()).await;
    rig.db = faulty.db();
    let mut leading = rig.lead(caller(&hosts));
    leading.until(|status| status.leads && status.why.is_empty()).await;
    let execution = rig.run_now(1, "2026-11-20").await;
    while hosts.spawned() < 5 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    faulty.fail_over("another server");
    leading.until(|status| status.leads && status.epoch == 2).await;
    assert_eq!(rig.outcome(execution, LONG).await, "succeeded");
    assert_eq!(hosts.spawned(), 40, "each once");
    // The chain may have ended before the new claim: both still have to tell all they know.
    let doubts = async || rig.db.query("SELECT host_id FROM host_doubt", params![]).await.unwrap();
    let told = async {
        while !doubts().await.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(LONG, told).await.expect("both tell all they know");
}
