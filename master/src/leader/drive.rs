//! The shell around the pure core: it brings the core what happens, and does what the core answers,
//! each on its real port. It decides nothing.
//!
//! The loop is select → step → act. Nothing in it waits for a port: questions to the database and
//! to the lease are tasks, calls are the lines', and their answers are the next inputs.

use super::answer::{Answered, Desk};
use super::away::Look;
use super::counts::Counter;
use super::dial::{self, Caller, Fault};
use super::hosts::Hosts;
use super::lines::{Ask, FromLine, Lines, Told};
use super::master::{Master, Role};
use super::ops::{CallError, DbOp, Input, Orders, Output, Pace, Watch};
use super::status::LeaderStatus;
use super::work::compose;
use crate::bus::{Ear, Topic};
use crate::engine::catalog::Catalog;
use crate::lease::Lease;
use crate::logs::Logs;
use crate::store;
use shared::clock::Clock;
use shared::crash;
use shared::ids::*;
use shared::tasks;
use shared::wire::{Call, WatchCall};
use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// The lease is taken for so long, and renewed three times in it.
const LEASE_TTL: Duration = Duration::from_secs(3);
/// Answers of ports that wait for the loop.
const INBOX_MAX: usize = 64;
/// Who does not lead asks so often: a lease that was given back is taken at once.
const FREE_EVERY_MS: Millis = 100;
/// At an orderly stop: what is in the air may land for so long.
const STOP_MAX: Duration = Duration::from_secs(5);
/// However long the core would sleep.
const SLEEP_MAX_MS: Millis = 1_000;

/// What a leader is made from.
#[derive(Debug)]
pub struct Ports {
    pub desk: Desk,
    pub lease: Lease,
    pub clock: Clock,
    pub caller: Caller,
    /// Row counts are read from there.
    pub logs: Logs,
    pub pace: Pace,
    pub status: watch::Sender<LeaderStatus>,
}

/// What tasks bring back.
#[derive(Debug)]
enum Back {
    Db(u64, Box<Answered>),
    Lease(Result<bool, String>),
    Written,
}

#[derive(Debug)]
pub(super) struct Shell {
    master: Master,
    desk: Desk,
    lease: Lease,
    clock: Clock,
    /// Who holds the lease: this life of this process.
    holder: String,
    lines: Lines,
    told: mpsc::Receiver<FromLine>,
    ear: Option<Ear>,
    send_back: mpsc::Sender<Back>,
    back: mpsc::Receiver<Back>,
    /// Answers that are known at once: a call that could not be made.
    inbox: VecDeque<Input>,
    hosts: Hosts,
    writing: bool,
    /// Questions for the lease that are under way.
    asking_lease: u32,
    /// The definitions that lines and hosts follow.
    followed: Option<Arc<Catalog>>,
    status: watch::Sender<LeaderStatus>,
    /// Why the lease cannot be asked, if so.
    no_lease: Option<String>,
    /// Another master holds it.
    another: bool,
    trouble: Option<String>,
    leads_since: Option<Millis>,
    away: Look,
    counter: Counter,
}

impl Shell {
    pub(super) fn new(life: i64, ports: Ports) -> Shell {
        let Ports { desk, lease, clock, caller, logs, pace, status } = ports;
        let counter = Counter::start(desk.db.clone(), logs, clock.clone());
        let (lines, told) = Lines::new(caller);
        let (send_back, back) = mpsc::channel(INBOX_MAX);
        Shell {
            master: Master::new(life, pace, None),
            ear: Some(desk.bus.listen()),
            desk,
            lease,
            clock,
            holder: format!("{life:016x}"),
            lines,
            told,
            send_back,
            back,
            inbox: VecDeque::new(),
            hosts: Hosts::default(),
            writing: false,
            asking_lease: 0,
            followed: None,
            status,
            no_lease: None,
            another: false,
            trouble: None,
            leads_since: None,
            away: Look::default(),
            counter,
        }
    }

    /// Leads whenever it may, until `stop`; then lets what is in the air land, and gives the lease
    /// back. Jobs go on.
    pub(super) async fn run(mut self, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        loop {
            let input = tokio::select! {
                biased;
                () = &mut stop => break,
                input = self.next() => input,
            };
            self.step(input);
        }
        let landed = async {
            while self.master.reign().is_some_and(|reign| !reign.is_stored()) {
                let input = self.next().await;
                self.step(input);
            }
        };
        if tokio::time::timeout(STOP_MAX, landed).await.is_err() {
            tracing::warn!("stopped with a batch in the air: the next leader finds out about it");
        }
        // A question under way would take the lease once more, for nobody.
        let answered = async {
            while self.asking_lease > 0 {
                match self.back.recv().await {
                    Some(Back::Lease(_)) => self.asking_lease -= 1,
                    Some(_) => {}
                    None => return,
                }
            }
        };
        if tokio::time::timeout(STOP_MAX, answered).await.is_err() {
            tracing::warn!("stopped while the lease was being asked for");
        }
        if let Err(error) = self.lease.release(&self.holder).await {
            tracing::warn!("giving the lease back: {error}");
        }
        self.status.send_modify(|status| {
            status.leads = false;
            status.why = "this master is stopping".into();
        });
    }

    /// What happens next. None: nothing that the core must know.
    async fn next(&mut self) -> Option<Input> {
        if let Some(input) = self.inbox.pop_front() {
            return Some(input);
        }
        let follows = matches!(self.master.role(), Role::Follower) && self.asking_lease == 0;
        let (longest, then) = match follows {
            true => (FREE_EVERY_MS, Input::Free),
            false => (SLEEP_MAX_MS, Input::Time),
        };
        let sleep = (self.master.wake() - self.clock.mono_ms()).clamp(0, longest);
        tokio::select! {
            Some(back) = self.back.recv() => self.back(back),
            Some(told) = self.told.recv() => self.told(told),
            topic = hear(&mut self.ear) => match topic {
                Some(Topic::Definition | Topic::Command | Topic::Lagged) => Some(Input::Nudge),
                // Our own commits.
                Some(Topic::Run) => None,
                None => {
                    self.ear = None;
                    None
                }
            },
            () = tokio::time::sleep(dial::duration(sleep)) => Some(then),
        }
    }

    fn back(&mut self, back: Back) -> Option<Input> {
        match back {
            Back::Db(number, answered) => {
                let Answered { answer, trouble } = *answered;
                if trouble != self.trouble
                    && let Some(trouble) = &trouble
                {
                    tracing::warn!("the leader's database: {trouble}");
                }
                self.trouble = trouble;
                Some(Input::Db(number, answer))
            }
            Back::Lease(held) => {
                self.asking_lease = self.asking_lease.saturating_sub(1);
                self.another = held == Ok(false);
                self.no_lease = held.as_ref().err().cloned();
                let held = held.unwrap_or(false);
                Some(Input::Lease(held))
            }
            Back::Written => {
                self.writing = false;
                None
            }
        }
    }

    fn told(&mut self, from: FromLine) -> Option<Input> {
        let FromLine { host, told, .. } = from;
        match told {
            Told::Up { agent } => {
                self.hosts.up(host);
                self.pin(host, &agent);
                None
            }
            Told::Down { why, refused } => {
                self.hosts.down(host, why, refused);
                None
            }
            Told::Ordered { number, result } => {
                Some(Input::Ordered(host, number, result.map_err(call_error)))
            }
            Told::Watched { number, result } => {
                if let Ok(answer) = &result {
                    self.hosts.heard(host, answer, self.clock.wall_ms());
                }
                let result = result.map(|answer| *answer).map_err(call_error);
                Some(Input::Watched(host, number, result))
            }
        }
    }

    /// A host that named no agent is the one that has answered, from now on.
    fn pin(&self, host: HostId, agent: &str) {
        let row = self.followed.as_ref().and_then(|catalog| catalog.hosts.get(&host));
        if row.is_none_or(|row| !row.agent.is_empty()) {
            return;
        }
        let (db, agent) = (self.desk.db.clone(), agent.to_owned());
        tasks::spawn("pin a host's agent", async move {
            if let Err(error) = db.commit(store::whereabouts::pin(host, &agent)).await {
                tracing::warn!(%host, agent, "its agent is not stored yet: {error}");
            }
        });
    }

    // ---- one step ----

    fn step(&mut self, input: Option<Input>) {
        if let Some(input) = input {
            let reports =
                matches!(&input, Input::Watched(_, _, Ok(answer)) if !answer.listed.is_empty());
            if let (Input::Watched(_, _, Ok(answer)), Some(reign)) = (&input, self.master.reign()) {
                self.counter.heard(reign.world(), &answer.listed);
            }
            let outputs = self.master.step(self.clock.mono_ms(), self.clock.wall_ms(), input);
            if reports {
                crash::point("after-report-before-commit");
            }
            self.follow();
            for output in outputs {
                self.act(output);
            }
        }
        self.write_hosts();
        self.publish();
    }

    fn act(&mut self, output: Output) {
        match output {
            Output::Db(number, op) => self.ask_db(number, op),
            Output::Lease => self.ask_lease(),
            Output::Order(host, number, orders) => self.order(host, number, orders),
            Output::Watch(host, number, watch) => self.watch(host, number, watch),
        }
    }

    fn ask_db(&mut self, number: u64, op: DbOp) {
        let (desk, back) = (self.desk.clone(), self.send_back.clone());
        tasks::spawn("the leader's question", async move {
            let answered = Box::new(desk.answer(op).await);
            // Nobody listens: this master is stopping.
            let _ = back.send(Back::Db(number, answered)).await;
        });
    }

    fn ask_lease(&mut self) {
        self.asking_lease += 1;
        let (lease, holder) = (self.lease.clone(), self.holder.clone());
        let back = self.send_back.clone();
        tasks::spawn("the lease", async move {
            let held = lease.try_hold(&holder, LEASE_TTL).await.map_err(|error| error.to_string());
            let _ = back.send(Back::Lease(held)).await;
        });
    }

    fn order(&mut self, host: HostId, number: u64, orders: Orders) {
        let Some(reign) = self.master.reign() else { return };
        let (call, broken) = compose(reign.world(), &self.desk.cluster, orders);
        for (attempt, why) in broken {
            tracing::warn!(%attempt, "its command cannot be made: {why}");
            self.inbox.push_back(Input::CannotStart(attempt, why));
        }
        if call.orders.is_empty() {
            return self.inbox.push_back(Input::Ordered(host, number, Ok(())));
        }
        if let Err(fault) = self.lines.ask(host, number, Ask::Order(call)) {
            self.inbox.push_back(Input::Ordered(host, number, Err(call_error(fault))));
        }
    }

    fn watch(&mut self, host: HostId, number: u64, watch: Watch) {
        let Watch { leader, after, stored, hold_ms } = watch;
        let call = Call { cluster: self.desk.cluster.clone(), leader };
        let ask = Ask::Watch(WatchCall { call, after, stored, hold_ms });
        if let Err(fault) = self.lines.ask(host, number, ask) {
            self.inbox.push_back(Input::Watched(host, number, Err(call_error(fault))));
        }
    }

    // ---- around the core ----

    /// Lines to the hosts that are defined, while this master leads or is loading anew.
    fn follow(&mut self) {
        match self.master.role() {
            Role::Leading(reign) => {
                let catalog = reign.world().catalog();
                if self.followed.as_ref().is_none_or(|known| !Arc::ptr_eq(known, catalog)) {
                    let catalog = catalog.clone();
                    self.counter.leads(&catalog);
                    self.lines.follow(&catalog);
                    self.hosts.keep(&catalog.hosts.keys().copied().collect());
                    self.followed = Some(catalog);
                }
            }
            Role::Follower | Role::Claiming(_) => {
                if self.followed.take().is_some() {
                    self.counter.follows();
                    self.lines.follow(&Catalog::default());
                    self.hosts = Hosts::default();
                }
            }
            Role::Loading(..) => {}
        }
    }

    fn write_hosts(&mut self) {
        if self.writing || self.followed.is_none() {
            return;
        }
        let due = self.hosts.due(self.clock.mono_ms());
        if due.is_empty() {
            return;
        }
        let mut batch = vec![store::leader::host_statuses(&due)];
        let samples = self.hosts.samples();
        if !samples.is_empty() {
            batch.push(store::host::put_samples(&samples));
        }
        self.writing = true;
        let (db, back) = (self.desk.db.clone(), self.send_back.clone());
        tasks::spawn("host statuses", async move {
            if let Err(error) = db.commit(batch).await {
                tracing::warn!("how the hosts are could not be written: {error}");
            }
            let _ = back.send(Back::Written).await;
        });
    }

    fn publish(&mut self) {
        let status = self.describe();
        self.status.send_if_modified(|known| {
            let news = *known != status;
            if news {
                if known.leads != status.leads {
                    tracing::info!(epoch = status.epoch, "leads: {}", status.leads);
                }
                *known = status;
            }
            news
        });
    }

    fn describe(&mut self) -> LeaderStatus {
        let Some(reign) = self.master.reign() else {
            self.leads_since = None;
            let why = self.trouble.clone().or_else(|| self.no_lease.clone());
            let another = self.another && why.is_none();
            let why = why.unwrap_or_else(|| match another {
                true => String::new(),
                false => "it is taking over".into(),
            });
            let epoch = self.status.borrow().epoch;
            return LeaderStatus { another, epoch, why, ..LeaderStatus::default() };
        };
        let now = reign.now(self.clock.mono_ms(), self.clock.wall_ms());
        let since_ms = Some(*self.leads_since.get_or_insert(now.date));
        let hosts = reign.world().catalog().hosts.len();
        let why = if let Some(trouble) = &self.trouble {
            trouble.clone()
        } else if !now.clocks_agree() {
            "the clocks of this machine and of the database disagree: nothing fires until they do \
             (set the clock of this machine)"
                .into()
        } else if hosts == 0 {
            "no exec host is defined".into()
        } else if !self.hosts.any_live() {
            format!("none of {hosts} exec hosts can be reached")
        } else {
            String::new()
        };
        let epoch = reign.row().epoch;
        let away = self.away.at(reign, (self.clock.mono_ms(), self.clock.wall_ms()));
        LeaderStatus { leads: true, another: false, epoch, since_ms, why, away }
    }
}

async fn hear(ear: &mut Option<Ear>) -> Option<Topic> {
    match ear {
        Some(ear) => ear.hear().await,
        None => std::future::pending().await,
    }
}

fn call_error(fault: Fault) -> CallError {
    match fault {
        Fault::Refused(refused) => CallError::Refused(refused),
        Fault::Broken(_) => CallError::Broken,
    }
}
