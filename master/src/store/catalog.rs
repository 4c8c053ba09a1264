//! All definitions at once, as the engine reads them.

use crate::db::{self, Db, Row, params};
use crate::engine::catalog::{Catalog, Dispatch, Host, Interface, Job};
use shared::ids::*;
use shared::spec::JobSpec;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Raised by every edit of a definition.
///
/// # Errors
/// The database's.
pub async fn revision(db: &Db) -> db::Result<i64> {
    let sql = "SELECT value FROM revision WHERE name = ?";
    let row = db.first(sql, params!["definition"]).await?;
    row.map_or(Ok(0), |row| row.int("value"))
}

/// # Errors
/// The database's; a spec that is not understood.
pub async fn load(db: &Db) -> db::Result<Catalog> {
    // Read before the rows: what is edited meanwhile has a newer one, and is read again.
    let revision = revision(db).await?;
    let mut catalog = Catalog { revision, ..Catalog::default() };
    interfaces(db, &mut catalog).await?;
    old(db, &mut catalog).await?;
    let sql = "SELECT d.id, d.project_id, d.name, d.version, v.spec, v.at_ms FROM dispatch d \
               JOIN dispatch_version v ON v.dispatch_id = d.id AND v.version = d.version \
               WHERE d.deleted_ms IS NULL";
    for row in db.query(sql, vec![]).await? {
        let id = DispatchId(row.int("id")?);
        let dispatch = Dispatch {
            id,
            project: ProjectId(row.int("project_id")?),
            name: row.text("name")?.to_owned(),
            version: row.int("version")?,
            since: row.int("at_ms")?,
            spec: row.json("spec")?,
        };
        catalog.dispatches.insert(id, Arc::new(dispatch));
    }
    let sql = "SELECT id, project_id, name, agent, version, spec FROM host \
               WHERE deleted_ms IS NULL";
    for row in db.query(sql, vec![]).await? {
        let id = HostId(row.int("id")?);
        let host = Host {
            id,
            project: ProjectId(row.int("project_id")?),
            name: row.text("name")?.to_owned(),
            agent: row.text("agent")?.to_owned(),
            version: row.int("version")?,
            spec: row.json("spec")?,
        };
        catalog.hosts.insert(id, Arc::new(host));
    }
    for row in db.query("SELECT id, slots FROM pool", vec![]).await? {
        catalog.pools.insert(PoolId(row.int("id")?), row.small("slots")?);
    }
    Ok(catalog)
}

async fn interfaces(db: &Db, catalog: &mut Catalog) -> db::Result<()> {
    let sql = "SELECT j.id, j.interface_id, j.name, v.spec FROM job j \
               JOIN job_version v ON v.job_id = j.id AND v.version = j.version \
               WHERE j.deleted_ms IS NULL ORDER BY j.id";
    let mut jobs: BTreeMap<InterfaceId, Vec<Job>> = BTreeMap::new();
    for row in db.query(sql, vec![]).await? {
        jobs.entry(InterfaceId(row.int("interface_id")?)).or_default().push(job(&row)?);
    }
    let sql = "SELECT i.id, i.project_id, i.name, i.version, v.spec FROM interface i \
               JOIN interface_version v ON v.interface_id = i.id AND v.version = i.version \
               WHERE i.deleted_ms IS NULL";
    for row in db.query(sql, vec![]).await? {
        let id = InterfaceId(row.int("id")?);
        let interface = Interface {
            id,
            project: ProjectId(row.int("project_id")?),
            name: row.text("name")?.to_owned(),
            version: row.int("version")?,
            spec: row.json("spec")?,
            jobs: jobs.remove(&id).unwrap_or_default(),
        };
        catalog.interfaces.insert(id, Arc::new(interface));
    }
    Ok(())
}

fn job(row: &Row) -> db::Result<Job> {
    let spec: JobSpec = row.json("spec")?;
    Ok(Job { id: JobId(row.int("id")?), name: row.text("name")?.to_owned(), spec })
}

/// Versions that live runs name and that are not the newest.
async fn old(db: &Db, catalog: &mut Catalog) -> db::Result<()> {
    let sql = "SELECT DISTINCT interface_id, version FROM run \
               WHERE state IN ('waiting', 'ready', 'running')";
    for row in db.query(sql, vec![]).await? {
        let key = (InterfaceId(row.int("interface_id")?), row.int("version")?);
        let newest = catalog.interfaces.get(&key.0).map(|interface| interface.version);
        if newest != Some(key.1)
            && let Some(interface) = version(db, key.0, key.1).await?
        {
            catalog.old.insert(key, Arc::new(interface));
        }
    }
    Ok(())
}

/// An interface as it was at one version.
///
/// # Errors
/// The database's; a spec that is not understood.
pub async fn version(db: &Db, id: InterfaceId, version: i64) -> db::Result<Option<Interface>> {
    let sql = "SELECT i.project_id, i.name, v.spec FROM interface i \
               JOIN interface_version v ON v.interface_id = i.id \
               WHERE i.id = ? AND v.version = ?";
    let Some(row) = db.first(sql, params![id, version]).await? else { return Ok(None) };
    // Of each job its newest row that is not newer than the interface's version.
    let sql = "SELECT j.id, j.name, v.spec, v.deleted, v.version FROM job j \
               JOIN job_version v ON v.job_id = j.id \
               WHERE v.interface_id = ? AND v.version <= ? ORDER BY j.id, v.version";
    let mut jobs: BTreeMap<JobId, Option<Job>> = BTreeMap::new();
    for row in db.query(sql, params![id, version]).await? {
        let job = if row.flag("deleted")? { None } else { Some(job(&row)?) };
        jobs.insert(JobId(row.int("id")?), job);
    }
    Ok(Some(Interface {
        id,
        project: ProjectId(row.int("project_id")?),
        name: row.text("name")?.to_owned(),
        version,
        spec: row.json("spec")?,
        jobs: jobs.into_values().flatten().collect(),
    }))
}
