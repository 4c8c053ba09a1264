//! Definitions as the engine reads them, whole: all current ones, and the versions that live runs name.

use super::read::by_ids;
use super::run::LIVE;
use crate::db::{self, Db, Error, Value, params};
use crate::engine::catalog::{Calendar, Catalog, Dispatch, Host, Interface, Job, Project};
use shared::ids::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

/// Definitions that are edited while they are read are read again, so often.
const TRIES_MAX: u32 = 10;

/// Raised by every edit of a definition.
///
/// # Errors
/// The database's.
pub async fn revision(db: &Db) -> db::Result<i64> {
    let text = "SELECT value FROM revision WHERE name = 'definition'";
    let row = db.first(text, params![]).await?;
    row.ok_or_else(no_revision)?.int("value")
}

/// All of it, at one revision.
///
/// # Errors
/// The database's, or a stored definition cannot be read.
pub async fn load(db: &Db) -> db::Result<Catalog> {
    reload(db, &Catalog::default()).await
}

/// As [`load`]; what is known already and has not changed is not read again.
///
/// # Errors
/// As [`load`].
pub async fn reload(db: &Db, known: &Catalog) -> db::Result<Catalog> {
    for _ in 0..TRIES_MAX {
        let before = revision(db).await?;
        let catalog = Catalog {
            revision: before,
            projects: projects(db).await?,
            interfaces: interfaces(db, known).await?,
            old: BTreeMap::new(),
            dispatches: dispatches(db, known).await?,
            calendars: calendars(db, known).await?,
            hosts: hosts(db, known).await?,
            pools: pools(db).await?,
        };
        if revision(db).await? == before {
            let old = named_by_live_runs(db, &catalog, known).await?;
            return Ok(Catalog { old, ..catalog });
        }
    }
    Err(Error::Retry("the definitions are edited faster than they are read".into()))
}

/// The definitions as this process has read them last: one copy, shared by its pages and its leader.
#[derive(Debug, Default)]
pub struct Kept(Mutex<Last>);

#[derive(Clone, Debug, Default)]
struct Last {
    catalog: Arc<Catalog>,
    /// Another one may have forgotten edits.
    server: String,
}

/// What tells whether something was edited.
#[derive(Clone, Debug)]
pub struct Seen {
    revision: i64,
    server: String,
}

impl Kept {
    /// Nothing is asked for.
    pub fn last(&self) -> Arc<Catalog> {
        self.get().catalog
    }

    /// Read anew only when the revision has changed: else it costs the one small query of [`Kept::seen`].
    ///
    /// # Errors
    /// As [`load`].
    pub async fn current(&self, db: &Db, seen: Seen) -> db::Result<Arc<Catalog>> {
        let last = self.get();
        match last.catalog.revision == seen.revision && last.server == seen.server {
            true => Ok(last.catalog),
            false => self.fresh(db).await,
        }
    }

    /// What has not changed is not read again: one edit among thousands costs one. After a restore
    /// or a failover nothing that is known holds.
    ///
    /// # Errors
    /// As [`load`].
    pub async fn fresh(&self, db: &Db) -> db::Result<Arc<Catalog>> {
        let Seen { revision, server } = self.seen(db).await?;
        let last = self.get();
        let holds = last.server == server && revision >= last.catalog.revision;
        let known = if holds { last.catalog } else { Arc::default() };
        let catalog = Arc::new(reload(db, &known).await?);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !holds || kept.server != server || catalog.revision >= kept.catalog.revision {
            *kept = Last { catalog: Arc::clone(&catalog), server };
        }
        Ok(catalog)
    }

    /// Nothing that is known is trusted: what a leader begins with is what is stored, also after a
    /// restore that nobody has told of.
    ///
    /// # Errors
    /// As [`load`].
    pub async fn whole(&self, db: &Db) -> db::Result<Arc<Catalog>> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Last::default();
        self.fresh(db).await
    }

    /// # Errors
    /// The database's.
    pub async fn seen(&self, db: &Db) -> db::Result<Seen> {
        let text = "SELECT value, ? AS answered_by FROM revision WHERE name = 'definition'";
        let row = db.first(text, vec![Value::Server]).await?.ok_or_else(no_revision)?;
        let server = row.text("answered_by")?.to_owned();
        Ok(Seen { revision: row.int("value")?, server })
    }

    fn get(&self) -> Last {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn no_revision() -> Error {
    Error::Fatal("the revision of the definitions is missing".into())
}

/// Ids and versions of what is not deleted, page by page.
async fn heads(db: &Db, table: &str) -> db::Result<BTreeMap<i64, i64>> {
    let page = super::read::PAGE;
    let text = format!(
        "SELECT id, version FROM {table} WHERE deleted_ms IS NULL AND id > ?
         ORDER BY id LIMIT {page}"
    );
    let mut all = BTreeMap::new();
    let mut after = i64::MIN;
    loop {
        let rows = db.query(text.clone(), params![after]).await?;
        for row in &rows {
            all.insert(row.int("id")?, row.int("version")?);
        }
        match rows.last() {
            Some(row) if rows.len() == page => after = row.int("id")?,
            _ => return Ok(all),
        }
    }
}

type Known<I, T> = BTreeMap<I, Arc<T>>;
/// Its id from a number, its version.
type Head<I, T> = (fn(i64) -> I, fn(&T) -> i64);

/// Splits heads into what is known at that version, and the ids to read.
fn split<I: Ord, T>(
    heads: BTreeMap<i64, i64>,
    known: &Known<I, T>,
    (id, version): Head<I, T>,
) -> (Known<I, T>, Vec<i64>) {
    let (mut same, mut other) = (BTreeMap::new(), Vec::new());
    for (number, newest) in heads {
        match known.get(&id(number)) {
            Some(one) if version(one) == newest => {
                same.insert(id(number), one.clone());
            }
            _ => other.push(number),
        }
    }
    (same, other)
}

type Interfaces = BTreeMap<InterfaceId, Arc<Interface>>;

async fn interfaces(db: &Db, known: &Catalog) -> db::Result<Interfaces> {
    let heads = heads(db, "interface").await?;
    let (mut all, ids) = split(heads, &known.interfaces, (InterfaceId, |i| i.version));
    let select = "SELECT i.id AS id, i.project_id AS project_id, i.name AS name,
        i.version AS version, v.spec AS spec
        FROM interface i JOIN interface_version v
        ON v.interface_id = i.id AND v.version = i.version";
    let mut read: BTreeMap<InterfaceId, Interface> = BTreeMap::new();
    for row in by_ids(db, &ids, (select, "i.id"), (&["i.id"], "i.deleted_ms IS NULL")).await? {
        let interface = interface(&row)?;
        read.insert(interface.id, interface);
    }
    let select = "SELECT j.id AS id, j.interface_id AS interface_id, j.name AS name, v.spec AS spec
        FROM job j JOIN job_version v ON v.job_id = j.id AND v.version = j.version";
    let order: &[&str] = &["j.interface_id", "j.id"];
    for row in by_ids(db, &ids, (select, "j.interface_id"), (order, "j.deleted_ms IS NULL")).await?
    {
        let of = InterfaceId(row.int("interface_id")?);
        if let Some(interface) = read.get_mut(&of) {
            interface.jobs.push(job(&row)?);
        }
    }
    all.extend(read.into_iter().map(|(id, interface)| (id, Arc::new(interface))));
    Ok(all)
}

fn interface(row: &db::Row) -> db::Result<Interface> {
    let id = InterfaceId(row.int("id")?);
    Ok(Interface {
        id,
        project: ProjectId(row.int("project_id")?),
        name: row.text("name")?.to_owned(),
        version: row.int("version")?,
        spec: row.json("spec").map_err(|error| of("interface", id.0, &error))?,
        jobs: Vec::new(),
    })
}

fn job(row: &db::Row) -> db::Result<Job> {
    let id = JobId(row.int("id")?);
    Ok(Job {
        id,
        name: row.text("name")?.to_owned(),
        spec: row.json("spec").map_err(|error| of("job", id.0, &error))?,
    })
}

/// Which one it is that cannot be read.
fn of(what: &str, id: i64, error: &Error) -> Error {
    Error::Fatal(format!("the stored definition of {what} {id} cannot be read: {error}"))
}

async fn dispatches(db: &Db, known: &Catalog) -> db::Result<BTreeMap<DispatchId, Arc<Dispatch>>> {
    let heads = heads(db, "dispatch").await?;
    let (mut all, ids) = split(heads, &known.dispatches, (DispatchId, |d| d.version));
    let select = "SELECT d.id AS id, d.project_id AS project_id, d.name AS name,
        d.version AS version, v.spec AS spec, v.at_ms AS since
        FROM dispatch d JOIN dispatch_version v
        ON v.dispatch_id = d.id AND v.version = d.version";
    for row in by_ids(db, &ids, (select, "d.id"), (&["d.id"], "d.deleted_ms IS NULL")).await? {
        let id = DispatchId(row.int("id")?);
        let dispatch = Dispatch {
            id,
            project: ProjectId(row.int("project_id")?),
            name: row.text("name")?.to_owned(),
            version: row.int("version")?,
            since: row.int("since")?,
            spec: row.json("spec").map_err(|error| of("dispatch", id.0, &error))?,
        };
        all.insert(id, Arc::new(dispatch));
    }
    Ok(all)
}

async fn calendars(db: &Db, known: &Catalog) -> db::Result<BTreeMap<CalendarId, Arc<Calendar>>> {
    let heads = heads(db, "calendar").await?;
    let (mut all, ids) = split(heads, &known.calendars, (CalendarId, |it| it.version));
    let select = "SELECT c.id AS id, c.project_id AS project_id, c.name AS name,
        c.version AS version, v.spec AS spec
        FROM calendar c JOIN calendar_version v
        ON v.calendar_id = c.id AND v.version = c.version";
    for row in by_ids(db, &ids, (select, "c.id"), (&["c.id"], "c.deleted_ms IS NULL")).await? {
        let id = CalendarId(row.int("id")?);
        let calendar = Calendar {
            id,
            project: ProjectId(row.int("project_id")?),
            name: row.text("name")?.to_owned(),
            version: row.int("version")?,
            spec: row.json("spec").map_err(|error| of("calendar", id.0, &error))?,
        };
        all.insert(id, Arc::new(calendar));
    }
    Ok(all)
}

async fn hosts(db: &Db, known: &Catalog) -> db::Result<BTreeMap<HostId, Arc<Host>>> {
    let heads = heads(db, "host").await?;
    // The agent of a new host is written without a version: until there is one, it is read anew.
    let version = |host: &Host| if host.agent.is_empty() { -1 } else { host.version };
    let (mut all, ids) = split(heads, &known.hosts, (HostId, version));
    let select = "SELECT id, project_id, name, agent, version, spec FROM host";
    for row in by_ids(db, &ids, (select, "id"), (&["id"], "deleted_ms IS NULL")).await? {
        let id = HostId(row.int("id")?);
        let host = Host {
            id,
            project: ProjectId(row.int("project_id")?),
            name: row.text("name")?.to_owned(),
            agent: row.text("agent")?.to_owned(),
            version: row.int("version")?,
            spec: row.json("spec").map_err(|error| of("host", id.0, &error))?,
        };
        all.insert(id, Arc::new(host));
    }
    Ok(all)
}

async fn projects(db: &Db) -> db::Result<BTreeMap<ProjectId, Arc<Project>>> {
    let mut all = BTreeMap::new();
    for row in db.query("SELECT id, name, params, run_as FROM project", params![]).await? {
        let id = ProjectId(row.int("id")?);
        let params = row.json("params").map_err(|error| of("project", id.0, &error))?;
        let (name, run_as) = (row.text("name")?.to_owned(), row.text("run_as")?.to_owned());
        all.insert(id, Arc::new(Project { name, params, run_as }));
    }
    Ok(all)
}

async fn pools(db: &Db) -> db::Result<BTreeMap<PoolId, u32>> {
    let rows = db.query("SELECT id, slots FROM pool", params![]).await?;
    rows.iter().map(|row| Ok((PoolId(row.int("id")?), row.small("slots")?))).collect()
}

type Versions = BTreeMap<(InterfaceId, i64), Arc<Interface>>;

async fn named_by_live_runs(db: &Db, current: &Catalog, known: &Catalog) -> db::Result<Versions> {
    let text = format!("SELECT DISTINCT interface_id, version FROM run WHERE state IN {LIVE}");
    let mut all = Versions::new();
    let mut missing = BTreeSet::new();
    for row in db.query(text, params![]).await? {
        let (id, version) = (InterfaceId(row.int("interface_id")?), row.int("version")?);
        if current.interfaces.get(&id).is_some_and(|now| now.version == version) {
            continue;
        }
        let was = known.interfaces.get(&id).filter(|was| was.version == version);
        match was.or_else(|| known.old.get(&(id, version))) {
            Some(interface) => {
                all.insert((id, version), interface.clone());
            }
            None => {
                missing.insert((id, version));
            }
        }
    }
    all.extend(versions(db, &missing).await?);
    Ok(all)
}

/// Interfaces as they were at these versions, also of what is deleted since; those that never were
/// are not in the answer.
///
/// # Errors
/// As [`load`].
pub async fn versions(db: &Db, wanted: &BTreeSet<(InterfaceId, i64)>) -> db::Result<Versions> {
    let mut all = Versions::new();
    for &(id, version) in wanted {
        let text = "SELECT i.id AS id, i.project_id AS project_id,
            CASE WHEN v.name = '' THEN i.name ELSE v.name END AS name,
            v.version AS version, v.spec AS spec
            FROM interface i JOIN interface_version v ON v.interface_id = i.id
            WHERE i.id = ? AND v.version = ?";
        let Some(row) = db.first(text, params![id, version]).await? else { continue };
        let mut interface = interface(&row)?;
        // A job's spec then is its newest one up to that version.
        let text = "SELECT j.id AS id,
            CASE WHEN v.name = '' THEN j.name ELSE v.name END AS name, v.spec AS spec
            FROM job_version v JOIN job j ON j.id = v.job_id
            WHERE v.interface_id = ? AND v.deleted = 0 AND v.version =
              (SELECT MAX(w.version) FROM job_version w
               WHERE w.job_id = v.job_id AND w.version <= ?)
            ORDER BY j.id";
        for row in db.query(text, params![id, version]).await? {
            interface.jobs.push(job(&row)?);
        }
        all.insert((id, version), Arc::new(interface));
    }
    Ok(all)
}
