//! Who runs where, who waits, who is ended: the pure core of the desk. No clock, no process.
//!
//! Runs share a JVM, so the end of one may be the end of others: that is told to each as it is.
//! At most two JVMs live: one that takes runs, and one that only ends those it has.

use super::talk::{Ended, How, Told};
use super::words::{self, Word};
use shared::etl::warm::Asked;
use shared::ids::Millis;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub(super) type ClientId = u64;
pub(super) type JvmId = u64;

const JVMS_MAX: usize = 2;
/// For a run whose attempt has gone.
const GONE_MS: Millis = 1_000;
/// After a JVM that never became ready: meanwhile everything starts cold.
const START_AGAIN_MS: Millis = 10_000;
/// From QUIT to the end of an idle JVM.
const QUIT_MS: Millis = 5_000;

#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) slots: usize,
    pub(super) queue: usize,
    pub(super) recycle_after: u32,
    pub(super) grace_ms: Millis,
    pub(super) start_ms: Millis,
}

#[derive(Debug)]
pub(super) enum Event {
    Asked(ClientId, Box<Asked>),
    Stop(ClientId),
    /// Its process has ended.
    Gone(ClientId),
    Said(JvmId, Word),
    /// How it ended, in words.
    Over(JvmId, String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Do {
    Start(JvmId),
    Say(JvmId, String),
    Kill(JvmId),
    Tell(ClientId, Told),
}

#[derive(Debug)]
enum Phase {
    Starting {
        until: Millis,
    },
    Ready,
    /// It takes no more runs.
    Draining,
    Quitting {
        until: Millis,
    },
    Killed {
        why: String,
    },
}

#[derive(Debug)]
struct Jvm {
    phase: Phase,
    begun: u32,
    live: BTreeSet<ClientId>,
}

#[derive(Debug)]
struct Run {
    what: Box<Asked>,
    jvm: Option<JvmId>,
    /// Told to end: the JVM is ended then.
    kill_at: Option<Millis>,
    stopped: bool,
    /// Somebody hears of it.
    heard: bool,
}

#[derive(Debug)]
pub(super) struct Desk {
    rules: Rules,
    jvms: BTreeMap<JvmId, Jvm>,
    runs: BTreeMap<ClientId, Run>,
    queue: VecDeque<ClientId>,
    next_jvm: JvmId,
    /// Why no JVM can be had, and until when none is tried.
    failed: Option<(String, Millis)>,
}

impl Desk {
    pub(super) fn new(rules: Rules) -> Desk {
        let (jvms, runs, queue) = (BTreeMap::new(), BTreeMap::new(), VecDeque::new());
        Desk { rules, jvms, runs, queue, next_jvm: 1, failed: None }
    }

    pub(super) fn take(&mut self, now: Millis, event: Event) -> Vec<Do> {
        let mut todo = Vec::new();
        match event {
            Event::Asked(client, what) => self.asked(client, what, &mut todo),
            Event::Stop(client) => self.stop(now, client, &mut todo),
            Event::Gone(client) => {
                if let Some(run) = self.runs.get_mut(&client) {
                    run.heard = false;
                    self.stop(now, client, &mut todo);
                    // Its attempt is proved gone, and another one may begin: it has had its grace.
                    if let Some(run) = self.runs.get_mut(&client)
                        && let Some(at) = &mut run.kill_at
                    {
                        *at = (*at).min(now + GONE_MS);
                    }
                }
            }
            Event::Said(jvm, word) => self.said(now, jvm, word, &mut todo),
            Event::Over(jvm, words) => self.over(now, jvm, &words, &mut todo),
        }
        todo.extend(self.due(now));
        todo
    }

    /// What time alone makes due.
    pub(super) fn due(&mut self, now: Millis) -> Vec<Do> {
        let mut todo = Vec::new();
        let late = |run: &Run| run.kill_at.is_some_and(|at| at <= now);
        let late: Vec<JvmId> =
            self.runs.values().filter(|run| late(run)).filter_map(|run| run.jvm).collect();
        for (&id, jvm) in &mut self.jvms {
            let why = match jvm.phase {
                Phase::Killed { .. } => continue,
                _ if late.contains(&id) => "another run did not stop in time",
                Phase::Starting { until } if until <= now => "it was not ready in time",
                Phase::Quitting { until } if until <= now => "it did not end by itself",
                _ => continue,
            };
            if !matches!(jvm.phase, Phase::Starting { .. }) {
                jvm.phase = Phase::Killed { why: why.into() };
            } else {
                jvm.phase = Phase::Starting { until: Millis::MAX };
            }
            todo.push(Do::Kill(id));
        }
        self.begin(&mut todo);
        self.start(now, &mut todo);
        todo
    }

    /// When to look again.
    pub(super) fn next(&self) -> Option<Millis> {
        let runs = self.runs.values().filter_map(|run| {
            let killed = run.jvm.and_then(|jvm| self.jvms.get(&jvm));
            let killed = killed.is_some_and(|jvm| matches!(jvm.phase, Phase::Killed { .. }));
            run.kill_at.filter(|_| !killed)
        });
        let jvms = self.jvms.values().filter_map(|jvm| match jvm.phase {
            Phase::Starting { until } | Phase::Quitting { until } => Some(until),
            _ => None,
        });
        runs.chain(jvms).chain(self.failed.as_ref().map(|(_, until)| *until)).min()
    }

    fn asked(&mut self, client: ClientId, what: Box<Asked>, todo: &mut Vec<Do>) {
        let why = match &self.failed {
            Some((why, _)) => format!("no JVM can be had: {why}"),
            None if self.queue.len() >= self.rules.queue && !self.has_room() => {
                format!("{} runs wait already (warm.queue)", self.queue.len())
            }
            None => {
                let run = Run { what, jvm: None, kill_at: None, stopped: false, heard: true };
                self.runs.insert(client, run);
                return self.queue.push_back(client);
            }
        };
        todo.push(Do::Tell(client, Told::Refused(why)));
    }

    fn has_room(&self) -> bool {
        let ready = self.jvms.values().any(|jvm| matches!(jvm.phase, Phase::Ready));
        ready && self.queue.is_empty() && self.live() < self.rules.slots
    }

    fn live(&self) -> usize {
        self.jvms.values().map(|jvm| jvm.live.len()).sum()
    }

    fn stop(&mut self, now: Millis, client: ClientId, todo: &mut Vec<Do>) {
        let Some(run) = self.runs.get_mut(&client) else { return };
        run.stopped = true;
        match run.jvm {
            Some(jvm) if run.kill_at.is_none() => {
                run.kill_at = Some(now + self.rules.grace_ms);
                todo.push(Do::Say(jvm, words::stop(client)));
            }
            Some(_) => {}
            None => {
                self.queue.retain(|waiting| *waiting != client);
                let words = "it had not begun".into();
                self.end(client, Told::Ended(Ended { how: How::Stopped, errors: 0, words }), todo);
            }
        }
    }

    fn end(&mut self, client: ClientId, told: Told, todo: &mut Vec<Do>) {
        if self.runs.remove(&client).is_some_and(|run| run.heard) {
            todo.push(Do::Tell(client, told));
        }
    }

    fn said(&mut self, now: Millis, id: JvmId, word: Word, todo: &mut Vec<Do>) {
        let Some(jvm) = self.jvms.get_mut(&id) else { return };
        let heard = |desk: &BTreeMap<ClientId, Run>, client: &ClientId| {
            desk.get(client).is_some_and(|run| run.heard && run.jvm == Some(id))
        };
        match word {
            Word::Ready => {
                if matches!(jvm.phase, Phase::Starting { until } if until < Millis::MAX) {
                    jvm.phase = Phase::Ready;
                    self.failed = None;
                }
            }
            Word::Log(client, line) if heard(&self.runs, &client) => {
                todo.push(Do::Tell(client, Told::Log(line)));
            }
            Word::Step(client, step) if heard(&self.runs, &client) => {
                todo.push(Do::Tell(client, Told::Step(step)));
            }
            Word::End(client, ended) => {
                if !jvm.live.remove(&client) {
                    return;
                }
                if jvm.live.is_empty() && matches!(jvm.phase, Phase::Draining) {
                    jvm.phase = Phase::Quitting { until: now + QUIT_MS };
                    todo.push(Do::Say(id, words::QUIT.into()));
                }
                self.end(client, Told::Ended(ended), todo);
            }
            Word::Log(..) | Word::Step(..) | Word::Odd(_) => {}
        }
    }

    fn over(&mut self, now: Millis, id: JvmId, words: &str, todo: &mut Vec<Do>) {
        let Some(jvm) = self.jvms.remove(&id) else { return };
        let why = match &jvm.phase {
            Phase::Killed { why } => format!("its JVM was ended, because {why}"),
            _ => format!("its JVM has {words}"),
        };
        for client in jvm.live {
            let stopped = self.runs.get(&client).is_some_and(|run| run.stopped);
            let told = match stopped {
                true => {
                    let words = "it did not stop by itself: its JVM was ended".into();
                    Told::Ended(Ended { how: How::Stopped, errors: 0, words })
                }
                false => Told::Lost(why.clone()),
            };
            self.end(client, told, todo);
        }
        let idle = matches!(jvm.phase, Phase::Ready) && jvm.begun == 0;
        if idle || matches!(jvm.phase, Phase::Starting { .. }) {
            self.failed = Some((words.to_owned(), now + START_AGAIN_MS));
            for client in std::mem::take(&mut self.queue) {
                let why = format!("no JVM can be had: it has {words}");
                self.end(client, Told::Refused(why), todo);
            }
        }
    }

    fn begin(&mut self, todo: &mut Vec<Do>) {
        while self.live() < self.rules.slots {
            // Two that take no more would leave nobody who does.
            let room = self.jvms.len() < JVMS_MAX;
            let ready = |(_, jvm): &(&JvmId, &mut Jvm)| matches!(jvm.phase, Phase::Ready);
            let Some((&id, jvm)) = self.jvms.iter_mut().find(ready) else { return };
            let Some(client) = self.queue.pop_front() else { return };
            let Some(run) = self.runs.get_mut(&client) else { continue };
            run.jvm = Some(id);
            jvm.live.insert(client);
            jvm.begun += 1;
            if room && jvm.begun >= self.rules.recycle_after {
                jvm.phase = Phase::Draining;
            }
            // It is told first: whoever hears nothing more knows that it may have begun.
            todo.push(Do::Tell(client, Told::Begun));
            todo.push(Do::Say(id, words::run(client, &run.what)));
        }
    }

    fn start(&mut self, now: Millis, todo: &mut Vec<Do>) {
        let takes = |jvm: &Jvm| matches!(jvm.phase, Phase::Starting { .. } | Phase::Ready);
        let put_off = self.failed.as_ref().is_some_and(|(_, until)| now < *until);
        if put_off || self.jvms.len() >= JVMS_MAX || self.jvms.values().any(takes) {
            return;
        }
        self.failed = None;
        let phase = Phase::Starting { until: now + self.rules.start_ms };
        self.jvms.insert(self.next_jvm, Jvm { phase, begun: 0, live: BTreeSet::new() });
        todo.push(Do::Start(self.next_jvm));
        self.next_jvm += 1;
    }
}

#[cfg(test)]
#[path = "desk_tests.rs"]
mod tests;
