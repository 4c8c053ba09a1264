//! Who leads, since when, and why nothing runs when nothing can: on the home page and in `/readyz`.
//!
//! What this master knows of itself, and what the database says of the others: the row of the leader
//! and the hosts in doubt.

use crate::app::App;
use crate::store;
use serde::Serialize;
use shared::ids::Millis;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Lead {
    /// This master leads.
    here: bool,
    /// Where the pages of the master are that leads, or was the last to.
    url: String,
    epoch: i64,
    since_ms: Option<Millis>,
    /// Nobody leads, as far as this master can see.
    nobody: bool,
    /// Exec hosts whose running jobs nobody knows: what must not run twice is not placed.
    doubt: i64,
    /// Why nothing runs, or why this master cannot tell; empty: all is well.
    why: String,
}

pub(super) async fn of(app: &App) -> Lead {
    let status = app.leader.borrow().clone();
    let row = store::leader::show(&app.db, &app.config.cluster).await;
    let doubt = store::leader::in_doubt(&app.db).await;
    let mut lead = Lead {
        here: status.leads,
        nobody: !status.leads && !status.another,
        why: status.why,
        epoch: status.epoch,
        since_ms: status.since_ms,
        ..Lead::default()
    };
    match (row, doubt) {
        (Ok(row), Ok(doubt)) => {
            lead.doubt = doubt;
            if let Some(row) = row {
                app.known.led_by(&row.url);
                (lead.epoch, lead.since_ms, lead.url) = (row.epoch, Some(row.since_ms), row.url);
            }
        }
        (Err(error), _) | (_, Err(error)) => {
            // Its own words are for the log: they may name what is nobody else's business.
            tracing::warn!("who leads cannot be read: {error}");
            lead.why = "the database does not answer".into();
        }
    }
    lead
}
