//! The leader's shell on real ports: an embedded database and hosts inside this process, or a real
//! executor over TLS.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod hosts;
mod real;
mod rig;

use hosts::Hosts;
use master::leader::dial::{Caller, Dial};
use master::logs::{self, Logs, on_host::OnHost};
use master::store;
use rig::{CLUSTER, Rig, shell};
use shared::ids::*;
use shared::wire::Stream;
use std::sync::Arc;
use std::time::Duration;

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
    second.until(|status| status.why.contains("lease")).await;

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
    let chain: Vec<_> = (1..=40)
        .map(|id| {
            let after: Vec<i64> = (id > 1).then(|| id - 1).into_iter().collect();
            (id, format!("j{id}"), shell(&["true"], &after))
        })
        .collect();
    let jobs: Vec<_> =
        chain.iter().map(|(id, name, spec)| (*id, &name[..], spec.clone())).collect();
    rig.interface(1, "chain", &jobs).await;
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
