//! What the core asks of the database, asked of the real one.
//!
//! Rule: an answer says what is certain. `None` is the unknown outcome; nothing is repeated here,
//! for only the core knows what is still wanted. Called by the shell ([`super::drive`]), each
//! question in a task of its own.

use super::ops::{Batch, DbAnswer, DbOp, LeaderRow};
use crate::bus::{Bus, Topic};
use crate::db::{self, Db};
use crate::engine::rows::Key;
use crate::store;
use crate::store::catalog::Kept;
use crate::store::run::Stored;
use shared::crash;
use std::sync::Arc;

/// Commands taken with one poll; more come with the next.
const COMMANDS_MAX: u32 = 500;

/// What a question needs.
#[derive(Clone, Debug)]
pub struct Desk {
    pub db: Db,
    pub bus: Bus,
    pub cluster: String,
    /// Where this master's pages are.
    pub url: String,
    /// Shared with the pages.
    pub definitions: Arc<Kept>,
}

/// The answer for the core, and what people should know of it.
#[derive(Debug)]
pub struct Answered {
    pub answer: Option<DbAnswer>,
    /// Why it could not be done, if it could not.
    pub trouble: Option<String>,
}

impl From<db::Result<Option<DbAnswer>>> for Answered {
    fn from(result: db::Result<Option<DbAnswer>>) -> Answered {
        match result {
            Ok(answer) => Answered { answer, trouble: None },
            Err(error @ db::Error::UnknownOutcome(_)) => {
                Answered { answer: None, trouble: Some(error.to_string()) }
            }
            Err(error) => {
                Answered { answer: Some(DbAnswer::NotDone), trouble: Some(error.to_string()) }
            }
        }
    }
}

impl Desk {
    pub async fn answer(&self, op: DbOp) -> Answered {
        match op {
            DbOp::Commit(batch) => self.commit(batch).await,
            DbOp::Claim { above, holder } => self.claim(above, holder).await.into(),
            DbOp::Load => self.load().await.into(),
            DbOp::Poll => self.poll().await.into(),
            DbOp::Catalog => self.catalog().await.into(),
            DbOp::Leader => self.leader().await.into(),
            DbOp::Slices(asks) => {
                let slices = store::slice::load(&self.db, &asks).await;
                slices.map(|slices| Some(DbAnswer::Slices(slices))).into()
            }
        }
    }

    async fn claim(&self, told: i64, holder: i64) -> db::Result<Option<DbAnswer>> {
        let now = self.db.now_ms().await?;
        let (cluster, url) = (self.cluster.clone(), self.url.clone());
        let claim = store::leader::Claim { cluster, holder, told, url, now };
        match store::leader::claim(&self.db, &claim).await {
            // Somebody else was quicker: the row tells.
            Ok(()) | Err(db::Error::Conflict) => {}
            Err(error) => return Err(error),
        }
        crash::point("during-take-over");
        Ok(Some(DbAnswer::Claimed))
    }

    /// The leader row first: who claims after it was read makes our first batch fail.
    async fn load(&self) -> db::Result<Option<DbAnswer>> {
        let Some((leader, server)) = self.row().await? else { return Ok(None) };
        // Side by side: nobody else writes rows any more, and an edit is noticed by its revision.
        let (rows, catalog) =
            tokio::try_join!(store::run::load_live(&self.db), self.definitions.whole(&self.db))?;
        let date = self.db.now_ms().await?;
        Ok(Some(DbAnswer::Loaded { leader, server, catalog, rows, date }))
    }

    async fn poll(&self) -> db::Result<Option<DbAnswer>> {
        let row = store::leader::show(&self.db, &self.cluster).await?;
        let Some((leader, server)) = row.map(split) else { return Ok(None) };
        let revision = store::catalog::revision(&self.db).await?;
        let commands = store::command::poll(&self.db, COMMANDS_MAX).await?;
        let date = self.db.now_ms().await?;
        Ok(Some(DbAnswer::Polled { leader, server, revision, commands, date }))
    }

    async fn catalog(&self) -> db::Result<Option<DbAnswer>> {
        Ok(Some(DbAnswer::Catalog(self.definitions.fresh(&self.db).await?)))
    }

    async fn leader(&self) -> db::Result<Option<DbAnswer>> {
        let row = self.row().await?;
        Ok(row.map(|(leader, server)| DbAnswer::Leader { leader, server }))
    }

    /// Behind every commit that is still on its way.
    async fn row(&self) -> db::Result<Option<(LeaderRow, String)>> {
        Ok(store::leader::read(&self.db, &self.cluster).await?.map(split))
    }

    async fn commit(&self, batch: Batch) -> Answered {
        crash::point("before-commit");
        let reign = shared::ids::Reigning { epoch: batch.epoch, holder: batch.holder };
        let (number, changes) = (batch.batch, &batch.changes);
        let stored = store::run::store(&self.db, &self.cluster, (reign, number), changes).await;
        let (answer, trouble) = match stored {
            Stored::Done => {
                crash::point("after-commit-before-order");
                if changes.iter().any(|(key, _)| matches!(key, Key::Outbox(_))) {
                    crash::point("between-batch-and-alert");
                }
                if !changes.is_empty() {
                    self.bus.nudge(Topic::Run);
                }
                (Some(DbAnswer::Committed), None)
            }
            Stored::Refused(row) => {
                let (leader, server) = row.map(split).unwrap_or_default();
                (Some(DbAnswer::Refused { leader, server }), None)
            }
            Stored::Edited(_) => (Some(DbAnswer::Edited), None),
            Stored::Bad(key, why) => (Some(DbAnswer::BadItem(key, why)), None),
            Stored::NotDone(why) => (Some(DbAnswer::NotDone), Some(why)),
            Stored::Unknown(why) => (None, Some(why)),
        };
        Answered { answer, trouble }
    }
}

/// The row as the core knows it, and the server that answered.
fn split(row: store::leader::LeaderRow) -> (LeaderRow, String) {
    let store::leader::LeaderRow { epoch, holder, server, batch, answered_by, .. } = row;
    (LeaderRow { epoch, holder, batch, server }, answered_by)
}
