//! What clients of the socket ask, and the questions that are held until there is news.

use super::attempts::Now;
use super::host::Supervisor;
use super::socket::ClientId;
use super::talk::{Ask, Framed, Status, Told};
use crate::process;
use serde::{Deserialize, Serialize};
use shared::ids::Millis;
use shared::wire::{OrderCall, Refusal, Refused, WatchCall};

/// Questions held at one time; one more is answered at once.
const HELD_MAX: usize = 64;
/// Between two looks at the disk.
const DISK_EVERY_MS: Millis = 500;

/// A question for news that waits.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Held {
    client: ClientId,
    id: u64,
    call: WatchCall,
    pub(super) until: Millis,
}

impl Supervisor {
    pub(super) fn hear_clients(&mut self) {
        let (asked, gone) = self.socket.receive();
        self.held.retain(|held| !gone.contains(&held.client));
        // What is told stands in the journal: what was seen before the question, and what came of it.
        self.obey();
        for (client, Framed { id, body }) in asked {
            if let Some(told) = self.hear(client, id, body) {
                self.obey();
                self.socket.send(client, id, told);
            }
        }
    }

    fn hear(&mut self, client: ClientId, id: u64, ask: Ask) -> Option<Told> {
        Some(match ask {
            Ask::Order(call) => Told::Order(self.order(&call)),
            Ask::Watch(call) => return self.watch(client, id, call),
            Ask::Status => Told::Status(self.status()),
            Ask::IsRunning(attempt) => Told::IsRunning(self.children.get(attempt).is_some()),
            Ask::Outputs { life, after } => Told::Outputs(self.outlet.since(life, after)),
            Ask::Stay => {
                self.retiring = false;
                self.disk_at = 0;
                Told::Done
            }
            Ask::Upgrade => {
                self.want_upgrade(Some((client, id)));
                return None;
            }
            Ask::StopJobs { grace_ms } => {
                self.stop_jobs(grace_ms);
                Told::Done
            }
        })
    }

    fn order(&mut self, call: &OrderCall) -> Result<(), Refused> {
        let now = self.now();
        self.look_at_disk(now);
        let result = self.core.order(now, call);
        self.obey();
        shared::crash::point("after-order-before-ack");
        result
    }

    fn look_at_disk(&mut self, now: Now) {
        if now.mono - self.disk_at < DISK_EVERY_MS {
            return;
        }
        self.disk_at = now.mono;
        let free = process::disk_of(&self.layout.root).map_or(u64::MAX, |(_, free)| free);
        self.core.refuse_starts(match () {
            () if self.retiring || self.stopping => Some(Refusal::Draining),
            () if self.recorder.is_broken() => Some(Refusal::DiskLow),
            () if free < self.config.output.disk_low_bytes => Some(Refusal::DiskLow),
            () => None,
        });
    }

    fn watch(&mut self, client: ClientId, id: u64, call: WatchCall) -> Option<Told> {
        let now = self.now();
        let hold_ms = call.hold_ms.clamp(0, self.config.timing.watch_ms);
        let give = hold_ms == 0 || self.held.len() >= HELD_MAX;
        match self.core.watch(now, &call, give) {
            Ok(None) => {
                self.held.push(Held { client, id, call, until: now.mono + hold_ms });
                None
            }
            Ok(Some(answer)) => Some(Told::Watch(Ok(Box::new(answer)))),
            Err(refused) => Some(Told::Watch(Err(refused))),
        }
    }

    /// Those who wait hear what has changed, or at their time that nothing has.
    pub(super) fn answer_held(&mut self) {
        let now = self.now();
        for held in std::mem::take(&mut self.held) {
            let told = match self.core.watch(now, &held.call, held.until <= now.mono) {
                Ok(None) => {
                    self.held.push(held);
                    continue;
                }
                Ok(Some(answer)) => Ok(Box::new(answer)),
                Err(refused) => Err(refused),
            };
            self.obey();
            self.socket.send(held.client, held.id, Told::Watch(told));
        }
    }

    fn stop_jobs(&mut self, grace_ms: Millis) {
        let now = self.now();
        self.stopping = true;
        self.disk_at = 0;
        self.look_at_disk(now);
        let all: Vec<_> = self.children.all().map(|child| child.attempt).collect();
        tracing::info!("told to end all jobs: {} run", all.len());
        for attempt in all {
            self.endings.begin(now.mono, attempt, (libc::SIGTERM, grace_ms));
        }
    }

    pub(super) fn status(&self) -> Status {
        Status {
            pid: std::process::id(),
            incarnation: self.core.incarnation(),
            since_ms: self.since_ms,
            running: u32::try_from(self.core.running()).unwrap_or(u32::MAX),
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }
}
