//! The verbs of pages and API (rule L8): inserted by any master, obeyed and answered by the leader.

use super::{codec, sequence};
use crate::db::{self, Db, Write, params, sql};
use crate::engine::rows::{Command, CommandResult, Plan, Verb};
use serde::{Deserialize, Serialize};
use shared::ids::*;
use std::time::Duration;

/// How often somebody who waits looks.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Column `args`.
#[derive(Serialize, Deserialize)]
struct Args<V> {
    #[serde(default)]
    dry_run: bool,
    verb: V,
}

/// Writes a command and answers its number. Nudge the bus, then [`wait`].
///
/// # Errors
/// The database's.
pub async fn insert(db: &Db, command: &Command, now: Millis) -> db::Result<CommandId> {
    let args = codec::json(&Args { dry_run: command.dry_run, verb: &command.verb });
    let name = name(&command.verb);
    let id = sequence::with(db, "command", |id| {
        let text = "INSERT INTO command (id, project_id, verb, args, by_user, at_ms)
            VALUES (?, ?, ?, ?, ?, ?)";
        vec![sql(text, params![id, command.project, &name, &args, command.by, now])]
    });
    Ok(CommandId(id.await?))
}

/// The verb's word: `run_now`.
pub fn name(verb: &Verb) -> String {
    let json = serde_json::to_value(verb).unwrap_or_default();
    json.get("verb").and_then(|verb| verb.as_str()).unwrap_or_default().to_owned()
}

/// Those that nobody has answered, in order. What this program cannot read (of a newer one, or
/// broken) is refused here, so that it does not come again for ever.
///
/// # Errors
/// The database's.
pub async fn poll(db: &Db, limit: u32) -> db::Result<Vec<(CommandId, Command)>> {
    let rows = db
        .query(
            format!(
                "SELECT id, project_id, args, by_user FROM command WHERE result IS NULL
                 ORDER BY id LIMIT {limit}"
            ),
            params![],
        )
        .await?;
    let mut all = Vec::new();
    for row in rows {
        let id = CommandId(row.int("id")?);
        match row.json::<Args<Verb>>("args") {
            Ok(Args { dry_run, verb }) => {
                let (project, by) =
                    (ProjectId(row.int("project_id")?), UserId(row.int("by_user")?));
                all.push((id, Command { project, by, verb, dry_run }));
            }
            Err(error) => {
                let why = format!("the leader does not understand this command: {error}");
                let plan = Plan { refused: Some(why), ..Plan::default() };
                let at = db.now_ms().await?;
                db.commit([answer(id, &CommandResult { done: false, plan, at })]).await?;
            }
        }
    }
    Ok(all)
}

/// Written with its effect, in the leader's batch.
pub fn answer(id: CommandId, result: &CommandResult) -> Write {
    let word = if result.done { "done" } else { "refused" };
    sql(
        "UPDATE command SET result = ?, answer = ?, done_ms = ? WHERE id = ?",
        params![word, codec::json(&result.plan), result.at, id],
    )
}

/// What became of it; none while nobody has answered.
///
/// # Errors
/// The database's.
pub async fn result(db: &Db, id: CommandId) -> db::Result<Option<CommandResult>> {
    let text = "SELECT result, answer, done_ms FROM command WHERE id = ? AND result IS NOT NULL";
    let Some(row) = db.first(text, params![id]).await? else { return Ok(None) };
    let done = row.text("result")? == "done";
    Ok(Some(CommandResult { done, plan: row.json("answer")?, at: row.int("done_ms")? }))
}

/// Waits for the answer; none when there is none in time: no leader, or it has more urgent things.
///
/// # Errors
/// The database's.
pub async fn wait(db: &Db, id: CommandId, at_most: Duration) -> db::Result<Option<CommandResult>> {
    let answered = async {
        loop {
            if let Some(result) = result(db, id).await? {
                return Ok(result);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    match tokio::time::timeout(at_most, answered).await {
        Ok(result) => result.map(Some),
        Err(_) => Ok(None),
    }
}

/// A command as the trail shows it.
#[derive(Clone, Debug)]
pub struct Listed {
    pub id: CommandId,
    pub project: ProjectId,
    pub verb: String,
    /// As stored: `{"dry_run": …, "verb": {…}}`.
    pub args: serde_json::Value,
    pub by: UserId,
    pub by_name: Option<String>,
    pub at: Millis,
    /// done or refused; none while nobody has answered.
    pub result: Option<String>,
    pub plan: Option<Plan>,
    pub done: Option<Millis>,
}

const LISTED: &str = "SELECT c.id, c.project_id, c.verb, c.args, c.by_user, u.name AS by_name, \
    c.at_ms, c.result, c.answer, c.done_ms FROM command c LEFT JOIN user_account u ON u.id = c.by_user";

/// Newest first, those before `before`.
///
/// # Errors
/// The database's.
pub async fn list(db: &Db, before: Option<CommandId>, limit: u32) -> db::Result<Vec<Listed>> {
    let before = before.map_or(i64::MAX, |id| id.0);
    let text = format!("{LISTED} WHERE c.id < ? ORDER BY c.id DESC LIMIT {limit}");
    db.query(text, params![before]).await?.iter().map(listed).collect()
}

/// Asked from one moment to another, those about runs and executions; the oldest first, at most
/// `limit`, and nothing that only asked what would happen.
///
/// # Errors
/// The database's.
pub async fn between(
    db: &Db,
    (from, until): (Millis, Millis),
    limit: usize,
) -> db::Result<Vec<Listed>> {
    let text = format!(
        "{LISTED} WHERE c.at_ms >= ? AND c.at_ms <= ? AND c.verb IN ('run_now', 'run_dispatch', \
         'stop', 'stop_execution', 'resume', 'resume_execution', 'pause', 'unpause', 'kill', \
         'mark_success', 'abandon') AND c.args NOT LIKE '{{\"dry_run\":true%' \
         ORDER BY c.at_ms, c.id LIMIT {limit}"
    );
    db.query(text, params![from, until]).await?.iter().map(listed).collect()
}

/// # Errors
/// The database's.
pub async fn find(db: &Db, id: CommandId) -> db::Result<Option<Listed>> {
    let row = db.first(format!("{LISTED} WHERE c.id = ?"), params![id]).await?;
    row.as_ref().map(listed).transpose()
}

fn listed(row: &db::Row) -> db::Result<Listed> {
    let result = row.opt_text("result")?.map(str::to_owned);
    Ok(Listed {
        id: CommandId(row.int("id")?),
        project: ProjectId(row.int("project_id")?),
        verb: row.text("verb")?.to_owned(),
        args: row.json("args")?,
        by: UserId(row.int("by_user")?),
        by_name: row.opt_text("by_name")?.map(str::to_owned),
        at: row.int("at_ms")?,
        plan: row.opt_text("answer")?.and_then(|text| serde_json::from_str(text).ok()),
        result,
        done: row.opt_int("done_ms")?,
    })
}
