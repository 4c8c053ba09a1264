//! Small chores by tokio-cron-scheduler, in UTC: each does nothing unless this master leads, and
//! doing it twice is no matter. What must be on time is not here: dispatches are the engine's.

use super::status::LeaderStatus;
use crate::db::Db;
use crate::engine::world::SKEW_MS;
use crate::logs::Logs;
use crate::session::Sessions;
use crate::store;
use anyhow::Context;
use shared::clock::Clock;
use shared::ids::Millis;
use shared::pki::RENEW_DAYS;
use tokio::sync::watch;
use tokio_cron_scheduler::{Job, JobScheduler};

const DAY_MS: Millis = 24 * 3_600_000;
/// Answered commands are the audit trail of operations: kept so long.
const COMMANDS_KEPT_MS: Millis = 400 * DAY_MS;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chore {
    Sessions,
    Commands,
    /// Jobs, attempts, executions and firings of long ago.
    History,
    /// Output in the store of logs that belongs to nothing known any more.
    Orphans,
    Hosts,
    Certificates,
    Database,
}

/// Second, minute, hour, day, month, weekday.
pub const PLAN: &[(&str, Chore)] = &[
    ("20 */10 * * * *", Chore::Sessions),
    ("10 15 * * * *", Chore::Commands),
    ("40 20 * * * *", Chore::History),
    ("10 5 7 * * *", Chore::Orphans),
    ("10 25 * * * *", Chore::Hosts),
    ("10 35 6 * * *", Chore::Certificates),
    ("10 45 * * * *", Chore::Database),
];

/// What the chores need.
#[derive(Clone, Debug)]
pub struct Keeper {
    pub db: Db,
    pub sessions: Sessions,
    pub logs: Logs,
    pub clock: Clock,
    pub leader: watch::Receiver<LeaderStatus>,
}

/// Stops with [`Housekeeping::stop`].
pub struct Housekeeping(JobScheduler);

impl std::fmt::Debug for Housekeeping {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("Housekeeping")
    }
}

impl Housekeeping {
    /// # Errors
    /// A line of the plan is no cron expression; the scheduler does not start.
    pub async fn start(keeper: &Keeper, plan: &[(&str, Chore)]) -> anyhow::Result<Housekeeping> {
        let scheduler = JobScheduler::new().await.context("starting the housekeeping")?;
        for &(cron, chore) in plan {
            let keeper = keeper.clone();
            let job = Job::new_async(cron, move |_, _| {
                let keeper = keeper.clone();
                Box::pin(async move { keeper.turn(chore).await })
            });
            let job = job.with_context(|| format!("the chore {chore:?} at {cron:?}"))?;
            scheduler.add(job).await.with_context(|| format!("the chore {chore:?}"))?;
        }
        scheduler.start().await.context("starting the housekeeping")?;
        Ok(Housekeeping(scheduler))
    }

    pub async fn stop(mut self) {
        if let Err(error) = self.0.shutdown().await {
            tracing::warn!("stopping the housekeeping: {error}");
        }
    }
}

impl Keeper {
    /// One chore, if it is ours to do.
    pub async fn turn(&self, chore: Chore) {
        // Sessions are in the memory of each master.
        let ours = chore == Chore::Sessions || self.leader.borrow().leads;
        if !ours {
            return;
        }
        match self.run(chore).await {
            Ok(done) => tracing::debug!(?chore, "housekeeping: {done}"),
            Err(error) => tracing::warn!(?chore, "housekeeping: {error:#}; it is tried again"),
        }
    }

    /// What was done, for the log.
    ///
    /// # Errors
    /// The database's, or the session store's.
    pub async fn run(&self, chore: Chore) -> anyhow::Result<String> {
        let now = match chore {
            Chore::Commands | Chore::History | Chore::Orphans => match self.date().await? {
                Some(date) => date,
                None => return Ok("nothing, for the clocks differ".into()),
            },
            _ => self.clock.wall_ms(),
        };
        Ok(match chore {
            Chore::Sessions => format!("{} sessions have run out", self.sessions.purge().await?),
            Chore::Commands => {
                let before = now - COMMANDS_KEPT_MS;
                let count = store::upkeep::forget_commands(&self.db, before).await?;
                format!("{count} old commands are forgotten")
            }
            Chore::History => {
                let before = now - super::ops::Pace::default().keep_ms;
                let mut swept = store::upkeep::Swept::default();
                while let Some((runs, next)) =
                    store::upkeep::long_ended(&self.db, swept, before).await?
                {
                    // Their output first: without its rows nobody would find it again.
                    self.logs.forget(&runs).await?;
                    store::upkeep::forget_details(&self.db, &runs, before).await?;
                    swept = next;
                }
                let count = store::upkeep::forget_history(&self.db, before).await?;
                format!("{count} old executions are forgotten")
            }
            Chore::Orphans => {
                let before = now - super::ops::Pace::default().keep_ms;
                let count = self.logs.forget_orphans(&self.db, before).await?;
                format!("{count} chunks of logs that belong to nothing are forgotten")
            }
            Chore::Hosts => {
                store::upkeep::forget_hosts(&self.db).await?;
                "hosts that are gone are forgotten".into()
            }
            Chore::Certificates => self.certificates(now).await?,
            Chore::Database => {
                self.db.upkeep().await?;
                "the database is in order".into()
            }
        })
    }

    /// By the database's clock; none while ours differs: then nothing may be purged (rule L7), for
    /// what goes by a wrong date is gone.
    async fn date(&self) -> anyhow::Result<Option<Millis>> {
        let (date, wall) = (self.db.now_ms().await?, self.clock.wall_ms());
        let agrees = wall.abs_diff(date) <= SKEW_MS.unsigned_abs();
        if !agrees {
            let ahead_ms = wall.saturating_sub(date);
            tracing::warn!(
                ahead_ms,
                "housekeeping: this machine's clock and the database's differ: nothing is purged"
            );
        }
        Ok(agrees.then_some(date))
    }

    async fn certificates(&self, now: Millis) -> anyhow::Result<String> {
        let soon = store::certificate::expiring(&self.db, now + RENEW_DAYS * DAY_MS).await?;
        for certificate in &soon {
            let store::certificate::Certificate { role, agent, expires_ms, .. } = certificate;
            let days = (expires_ms - now).div_euclid(DAY_MS);
            // Both are exchanged by themselves: who is named here has been away, or its log says why.
            let mend = match role == "master" {
                true => "a master that runs exchanges its own, and its log says why it has not",
                false => {
                    "it is exchanged once the host is connected; else let it join again (`hcndc host \
                     token NAME`, its name is on the page of exec hosts)"
                }
            };
            match days < 0 {
                true => tracing::error!("the certificate of {role} {agent:?} has run out: {mend}"),
                false => tracing::warn!(
                    "the certificate of {role} {agent:?} runs out in {days} days: {mend}"
                ),
            }
        }
        Ok(format!("{} certificates run out within {RENEW_DAYS} days", soon.len()))
    }
}
