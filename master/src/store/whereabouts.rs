//! Which agent a host turned out to be, and on which host an attempt's output lies.
//!
//! Called by the leader's shell and by [`crate::logs`].

use crate::db::{Db, Result, Write, params, sql};
use shared::ids::*;
use shared::spec::HostSpec;

/// The agent that has answered for a host which named none yet (rule H1).
pub fn pin(host: HostId, agent: &str) -> Vec<Write> {
    vec![
        sql("UPDATE host SET agent = ? WHERE id = ? AND agent = ''", params![agent, host]),
        sql("UPDATE revision SET value = value + 1 WHERE name = 'definition'", params![]),
    ]
}

/// Where an attempt was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub host: HostId,
    pub name: String,
    pub address: String,
    /// The attempt is over, as far as the leader has heard.
    pub ended: bool,
}

/// None: there is no such attempt. A host that was deleted is still named.
///
/// # Errors
/// The database's.
pub async fn of_attempt(db: &Db, attempt: AttemptId) -> Result<Option<Place>> {
    let sql = "SELECT h.id, h.name, h.spec, a.end_kind FROM attempt a JOIN host h ON h.id = a.host_id \
               WHERE a.run_id = ? AND a.job_id = ? AND a.number = ? AND a.reign = ?";
    let AttemptId { run, job, number, reign } = attempt;
    let Some(row) = db.first(sql, params![run, job, number, reign]).await? else {
        return Ok(None);
    };
    Ok(Some(Place {
        host: HostId(row.int("id")?),
        name: row.text("name")?.to_owned(),
        address: row.json::<HostSpec>("spec")?.address,
        ended: row.opt_text("end_kind")?.is_some(),
    }))
}
