//! What pages keep and show: saved filters, how busy hosts were, and many definitions in one batch.

use crate::every_database;
use master::db::{Db, Error, params};
use master::store::counts;
use master::store::edit::Edit;
use master::store::filter::{self, FILTERS_MAX, Filter};
use master::store::host::{self, SAMPLE_MS, SAMPLES, Sample};
use master::store::version::{self, How, Of};
use master::store::{catalog, dispatch, interface, job};
use serde_json::json;
use shared::etl::counts::{Counts, Step};
use shared::ids::*;
use shared::spec::{DispatchSpec, InterfaceSpec, JobSpec};

const NOW: Millis = 1_795_230_000_000;

#[tokio::test]
async fn filters_are_kept_per_person_and_list_and_are_not_too_many() {
    every_database(async |db| {
        let (ann, list) = (UserId(1), "/job/");
        let make = |name: &str, query: &str| Filter { name: name.into(), query: query.into() };
        for number in 0..FILTERS_MAX {
            let one = make(&format!("f{number:02}"), "q=a");
            filter::put(&db, ann, list, &one, NOW).await.unwrap();
        }
        let more = filter::put(&db, ann, list, &make("more", "q=b"), NOW).await;
        assert!(matches!(more, Err(Error::Conflict)), "{more:?}");
        // Written over; another list and another person are none of it; names differ by case.
        filter::put(&db, ann, list, &make("f07", "q=c"), NOW).await.unwrap();
        filter::put(&db, ann, "/dispatch/", &make("f07", "q=d"), NOW).await.unwrap();
        filter::put(&db, UserId(2), list, &make("F07 账期", "q=e"), NOW).await.unwrap();
        let all = filter::all(&db, ann, list).await.unwrap();
        assert_eq!((all.len(), &all[7]), (FILTERS_MAX as usize, &make("f07", "q=c")));
        filter::delete(&db, ann, list, "f07").await.unwrap();
        filter::put(&db, ann, list, &make("F07", "q=f"), NOW).await.unwrap();
        let names: Vec<String> =
            filter::all(&db, ann, list).await.unwrap().into_iter().map(|one| one.name).collect();
        assert!(names.contains(&"F07".into()) && !names.contains(&"f07".into()), "{names:?}");
        let other = filter::all(&db, UserId(2), list).await.unwrap();
        assert_eq!(other, [make("F07 账期", "q=e")]);
    })
    .await;
}

#[tokio::test]
async fn samples_are_a_ring() {
    every_database(async |db| {
        assert_eq!(host::mark(&db).await.unwrap(), (0, None, 0));
        let sample = |host: i64, at: i64| Sample {
            host: HostId(host),
            at_ms: NOW + at * SAMPLE_MS,
            cpu_permille: at % 1_000,
            memory_permille: 1,
            load_centi: 2,
        };
        for at in 0..SAMPLES + 10 {
            db.commit([host::put_samples(&[sample(1, at), sample(2, at)])]).await.unwrap();
        }
        let first = NOW + 20 * SAMPLE_MS;
        let found = host::samples(&db, &[1, 2, 3], first).await.unwrap();
        assert_eq!(found.len(), 2);
        let wanted: Vec<Sample> = (20..SAMPLES + 10).map(|at| sample(2, at)).collect();
        assert_eq!(found[&2], wanted);
        let rows = db.query("SELECT place FROM host_sample", params![]).await.unwrap();
        assert_eq!(i64::try_from(rows.len()).unwrap(), 2 * SAMPLES);
    })
    .await;
}

async fn versions(db: &Db) -> Vec<(String, i64, usize)> {
    let all = catalog::load(db).await.unwrap();
    all.interfaces.values().map(|it| (it.name.clone(), it.version, it.jobs.len())).collect()
}

#[tokio::test]
async fn definitions_are_written_many_at_once_and_only_as_they_were_read() {
    every_database(async |db| {
        let interface: InterfaceSpec = serde_json::from_value(json!({})).unwrap();
        let shell = json!({"kind": "shell", "fields": {"program": "true"}});
        let spec: JobSpec = serde_json::from_value(shell).unwrap();
        let timed = json!({"interface": 1, "cron": "0 2 * * *"});
        let timed: DispatchSpec = serde_json::from_value(timed).unwrap();
        let edit = Edit::of_system(NOW);
        let project = ProjectId(1);
        let put =
            |id, name| interface::Put { id: InterfaceId(id), project, name, spec: &interface };
        let task = |id, of, name, version| job::Put {
            id: JobId(id),
            project,
            interface: InterfaceId(of),
            name,
            spec: &spec,
            version,
        };
        let fires = dispatch::Put { id: DispatchId(1), project, name: "d", spec: &timed };
        let write = |revision, interfaces: &[_], jobs: &[_], dispatches: &[_]| {
            let mut batch = vec![edit.unchanged_since(revision)];
            batch.extend(interface::put_all(interfaces, &edit).unwrap());
            batch.extend(job::put_all(jobs, &edit).unwrap());
            batch.extend(dispatch::put_all(dispatches, &edit).unwrap());
            batch
        };
        let revision = catalog::revision(&db).await.unwrap();
        let new = [(task(1, 1, "x", 1), job::Fate::New), (task(2, 1, "y", 1), job::Fate::New)];
        let batch = write(revision, &[(put(1, "a"), 0), (put(2, "b"), 0)], &new, &[(fires, 0)]);
        db.commit(batch.clone()).await.unwrap();
        assert_eq!(versions(&db).await, [("a".into(), 1, 2), ("b".into(), 1, 0)]);
        // Of a catalog that is no more: nothing of it is written.
        assert!(matches!(db.commit(batch).await, Err(Error::Conflict)));
        // One job gone, its name taken by another: in one batch.
        let changed =
            [(task(1, 1, "x", 2), job::Fate::Changed), (task(2, 1, "y", 2), job::Fate::Gone)];
        db.commit(write(revision + 1, &[(put(1, "a"), 1)], &changed, &[(fires, 1)])).await.unwrap();
        let again = [(task(3, 1, "y", 3), job::Fate::New)];
        db.commit(write(revision + 2, &[(put(1, "a"), 2)], &again, &[])).await.unwrap();
        assert_eq!(versions(&db).await, [("a".into(), 3, 2), ("b".into(), 1, 0)]);
        let stored = catalog::load(&db).await.unwrap();
        assert_eq!(stored.dispatches[&DispatchId(1)].version, 2);
        let old = catalog::versions(&db, &[(InterfaceId(1), 1)].into()).await.unwrap();
        let names: Vec<&str> =
            old[&(InterfaceId(1), 1)].jobs.iter().map(|job| job.name.as_str()).collect();
        assert_eq!(names, ["x", "y"], "as they were called then");
        // A name that another one has is refused, and with it the rest of the batch.
        let batch = write(revision + 3, &[(put(2, "c"), 1), (put(9, "a"), 0)], &[], &[]);
        let refused = db.commit(batch).await;
        assert!(matches!(refused, Err(Error::Duplicate { .. })), "{refused:?}");
        assert_eq!(versions(&db).await, [("a".into(), 3, 2), ("b".into(), 1, 0)]);
        let deeds = db.query("SELECT action, object FROM audit", params![]).await.unwrap();
        assert_eq!(deeds.len(), 11);
    })
    .await;
}

#[tokio::test]
async fn a_version_says_who_made_it_why_and_how() {
    every_database(async |db| {
        let interface: InterfaceSpec = serde_json::from_value(json!({})).unwrap();
        let shell = json!({"kind": "shell", "fields": {"program": "true"}});
        let spec: JobSpec = serde_json::from_value(shell).unwrap();
        let (project, of) = (ProjectId(1), InterfaceId(1));
        let save = async |name: &str, from: i64, (job, fate): (&str, job::Fate), edit: Edit| {
            let put = interface::Put { id: of, project, name, spec: &interface };
            let version = from + 1;
            let (id, interface) = (JobId(7), of);
            let task = job::Put { id, project, interface, name: job, spec: &spec, version };
            let mut batch = vec![edit.revision()];
            batch.extend(interface::put_all(&[(put, from)], &edit).unwrap());
            batch.extend(job::put_all(&[(task, fate)], &edit).unwrap());
            db.commit(batch).await.unwrap();
        };
        let edit = |at: i64, reason: &str, how: How| {
            let reason = reason.to_owned();
            Edit { reason, how, ..Edit::new(UserId(at), "here", NOW + at) }
        };
        let long = "账".repeat(500);
        save("a", 0, ("x", job::Fate::New), edit(1, "first", How::Applied)).await;
        save("b", 1, ("x", job::Fate::Gone), edit(2, &long, How::Saved)).await;
        save("c", 2, ("y", job::Fate::New), edit(3, "", How::RolledBack(1))).await;
        let all = version::page(&db, Of::Interface(of), None, 10).await.unwrap();
        let told: Vec<(i64, &str, &str, How, i64)> = all
            .iter()
            .map(|it| (it.version, it.name.as_str(), it.reason.as_str(), it.how, it.by.0))
            .collect();
        let first = (1, "a", "first", How::Applied, 1);
        let expected = [(3, "c", "", How::RolledBack(1), 3), (2, "b", &long, How::Saved, 2), first];
        assert_eq!(told, expected);
        let page = version::page(&db, Of::Interface(of), Some(3), 1).await.unwrap();
        assert_eq!((page.len(), page[0].version, page[0].at_ms), (1, 2, NOW + 2));
        // A job has the reason of its interface's version; it was there, gone, and there again.
        let job = version::page(&db, Of::Job(JobId(7)), None, 10).await.unwrap();
        let told: Vec<(i64, &str, bool)> =
            job.iter().map(|it| (it.version, it.reason.as_str(), it.deleted)).collect();
        assert_eq!(told, [(3, "", false), (2, &long, true), (1, "first", false)]);
        let steps = version::job_steps(&db, of, (1, 3), 10).await.unwrap();
        let told: Vec<(i64, &str, bool, bool)> = steps
            .iter()
            .map(|it| (it.version, it.name.as_str(), it.was_there, it.is_there))
            .collect();
        assert_eq!(told, [(3, "y", false, true), (2, "x", true, false), (1, "x", false, true)]);
        assert_eq!(version::at(&db, Of::Job(JobId(7)), 9).await.unwrap().unwrap().version, 3);
        assert_eq!(version::at(&db, Of::Interface(of), 9).await.unwrap(), None);
        // What a release before has written: its words are the reason, its names are not known.
        let note =
            "UPDATE interface_version SET note = ?, name = '', reason = '' WHERE version = 2";
        db.commit([master::db::sql(note, params!["x: a new source"])]).await.unwrap();
        let old = version::at(&db, Of::Interface(of), 2).await.unwrap().unwrap();
        assert_eq!((old.name.as_str(), old.reason.as_str()), ("", "x: a new source"));
    })
    .await;
}

#[tokio::test]
async fn rows_of_steps_are_replaced_missed_ones_found_and_added_up_by_period() {
    every_database(async |db| {
        let row = |run: i64, period: &str, at: i64, generation: i64| {
            let run_sql = "INSERT INTO run (id, project_id, interface_id, period, period_ms, generation, \
                version, execution_id, priority, params, state, paused, stale, waits, wait_until_ms, \
                created_ms, ended_ms, batch) VALUES (?, 1, 7, ?, ?, ?, 1, 1, 1, '{}', 'succeeded', 0, 0, \
                '[]', 0, 0, ?, 1)";
            let job_sql = "INSERT INTO job_run (run_id, job_id, project_id, state, reason, number, reign, \
                allowed, not_before_ms, waits, started_ms, ended_ms, batch) \
                VALUES (?, 8, 1, 'succeeded', '', 1, 9, 1, 0, '[]', 1000, 3500, 1)";
            let attempt_sql = "INSERT INTO attempt (run_id, job_id, number, reign, project_id, host_id, \
                incarnation, basis_seq, mark, end_kind, end_code, assigned_ms, started_ms, ended_ms, \
                out_bytes, err_bytes) VALUES (?, 8, 1, 9, 1, 1, '', 0, 'plain', 'code', 0, 1, 2, 3, 0, 0)";
            [
                master::db::sql(run_sql, params![run, period, at, generation, NOW + at]),
                master::db::sql(job_sql, params![run]),
                master::db::sql(attempt_sql, params![run]),
            ]
        };
        for (run, period, at, generation) in
            [(1, "2026-11-18", 1, 0), (2, "2026-11-19", 2, 0), (3, "2026-11-19", 2, 1)]
        {
            db.commit(row(run, period, at, generation)).await.unwrap();
        }
        let attempt =
            |run: i64| AttemptId { run: RunId(run), job: JobId(8), number: 1, reign: 9 };
        let step = |name: &str, input| Step {
            name: name.into(),
            lines: 1,
            input,
            output: 1,
            ..Step::default()
        };
        let put = async |steps: Vec<Step>| {
            let counts = Counts::new(steps);
            db.commit(counts::put(attempt(3), &counts)).await.unwrap();
        };
        let missed = async |jobs: &[i64], since| {
            let jobs: Vec<JobId> = jobs.iter().copied().map(JobId).collect();
            counts::missed(&db, &jobs, since, 10).await.unwrap()
        };
        put(vec![step("a", 1), Step { lines: 0, ..step("b", 2) }, step("c", 3)]).await;
        let all = [attempt(2), attempt(3), attempt(1)];
        assert_eq!(missed(&[8], NOW).await, all, "of one on its way the end is missed");
        let last = Step { took_ms: 1_500, at_row: 7, ..step("b", 10) }.of("north › south");
        put(vec![step("a", 5), last.clone()]).await;
        let kept = counts::of_job(&db, RunId(3), JobId(8)).await.unwrap();
        assert_eq!(kept[&attempt(3)], [step("a", 5), last], "what was kept before is replaced");
        assert_eq!(missed(&[8, 99], NOW).await, [attempt(2), attempt(1)]);
        assert_eq!(missed(&[8], NOW + 2).await, [attempt(2)]);
        assert_eq!((missed(&[99], NOW).await, missed(&[], NOW).await), (vec![], vec![]));
        let past = counts::past(&db, (InterfaceId(7), JobId(8)), 5).await.unwrap();
        let told: Vec<_> = past.iter().map(|one| (one.run.0, one.took_ms)).collect();
        assert_eq!(told, [(3, Some(2_500)), (1, Some(2_500))], "the newest run of a period");
        assert_eq!(counts::past(&db, (InterfaceId(7), JobId(8)), 1).await.unwrap().len(), 1);
        let moved = counts::of_runs(&db, &[RunId(3), RunId(1)], JobId(8)).await.unwrap();
        let expected = counts::Moved { run: RunId(3), input: 15, output: 2, errors: 0 };
        assert_eq!(moved, [expected]);
    })
    .await;
}
