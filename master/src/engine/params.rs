//! Parameters: project < interface < job < run, and the command that comes of them.
//!
//! The rule: what an attempt is given depends on the rows alone (the run, and the version of its
//! interface that the run names), so that a repeated order is identical. Called by the leader when
//! it orders an attempt, and by pages that show the command.

use super::catalog::{Catalog, Interface, Job};
use super::job::Unseen;
use super::rows::Run;
use shared::ids::AttemptId;
use shared::kind::{self, Context, FieldError, check::is_variable, render};
use shared::wire::Work;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Parameters of one definition.
pub const PARAMS_MAX: usize = 100;
/// Characters of one value.
pub const VALUE_CHARS_MAX: usize = 4_000;

type Params = BTreeMap<String, String>;

/// The stronger one last: what a run was given beats its job, which beats its interface.
pub fn merged(catalog: &Catalog, interface: &Interface, job: &Job, run: &Params) -> Params {
    let mut all = match catalog.projects.get(&interface.project) {
        Some(project) => project.params.clone(),
        None => Params::new(),
    };
    for layer in [&interface.spec.params, &job.spec.params, run] {
        all.extend(layer.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    all
}

/// The interface as it was when the run was made.
pub fn definition<'a>(catalog: &'a Catalog, run: &Run) -> Option<&'a Arc<Interface>> {
    match catalog.interfaces.get(&run.interface) {
        Some(current) if current.version == run.version => Some(current),
        _ => catalog.old.get(&(run.interface, run.version)),
    }
}

/// What the host is to start for this attempt; `unseen`: see [`Context::unseen`].
///
/// # Errors
/// The definition is not there any more, or a parameter has no value; the path names the field.
pub fn work(
    catalog: &Catalog,
    run: &Run,
    attempt: AttemptId,
    unseen: Unseen,
) -> Result<Work, FieldError> {
    let missing = |what: &str| {
        let message = format!("version {} of the interface has no {what} any more", run.version);
        FieldError::new("definition", message)
    };
    let interface = definition(catalog, run).ok_or_else(|| missing("definition"))?;
    // By id: to look at each would make a wide interface cost the square of its jobs.
    let at = interface.jobs.binary_search_by_key(&attempt.job, |job| job.id);
    let job = at.ok().and_then(|at| interface.jobs.get(at)).ok_or_else(|| missing("such job"))?;
    let Unseen { attempts: unseen, stopped } = unseen;
    let context = Context { unseen, stopped, ..context(catalog, interface, job, run, attempt) };
    let mut work = kind::work(&job.spec.kind, &job.spec.fields, &context)?;
    work.limits = job.spec.limits.told();
    work.environment = Some(job.spec.environment.clone()).filter(|name| !name.is_empty());
    let project = catalog.projects.get(&interface.project);
    work.user = project.map(|it| it.run_as.clone()).filter(|user| !user.is_empty());
    Ok(work)
}

pub fn context(
    catalog: &Catalog,
    interface: &Interface,
    job: &Job,
    run: &Run,
    attempt: AttemptId,
) -> Context {
    let project = catalog.projects.get(&interface.project);
    Context {
        project: project.map_or_else(|| interface.project.to_string(), |it| it.name.clone()),
        interface: interface.name.clone(),
        job: job.name.clone(),
        period: run.period,
        execution: run.execution,
        attempt,
        unseen: Vec::new(),
        stopped: false,
        params: merged(catalog, interface, job, &run.params),
    }
}

/// What is wrong with the parameters of a definition; `known` are those of the layers below it.
pub fn check(params: &Params, known: &dyn Fn(&str) -> bool) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if params.len() > PARAMS_MAX {
        let message = format!("{} parameters; at most {PARAMS_MAX} are allowed", params.len());
        errors.push(FieldError::new("params", message));
    }
    for (name, value) in params {
        let shown: String = name.chars().take(40).collect();
        let mut wrong = |message: String| {
            errors.push(FieldError::new(format!("params.{shown}"), message));
        };
        if !is_variable(name) {
            wrong("a name is letters, digits and _, and begins with no digit".into());
        } else if render::BUILT_IN.contains(&name.as_str()) {
            wrong(format!("{name} is built in and cannot be given another meaning"));
        }
        if value.chars().count() > VALUE_CHARS_MAX {
            wrong(format!("at most {VALUE_CHARS_MAX} characters are allowed"));
        }
        if value.contains('\0') {
            wrong("a NUL character cannot be given to a program".into());
        }
        let found = |name: &str| params.contains_key(name) || known(name);
        for problem in render::problems(value, &found) {
            wrong(problem);
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::catalog::Project;
    use crate::engine::rows::RunState;
    use serde_json::json;
    use shared::ids::*;

    fn map(value: serde_json::Value) -> Params {
        serde_json::from_value(value).unwrap()
    }

    fn interface(version: i64) -> Arc<Interface> {
        let params = json!({"a": "interface", "b": "interface", "c": "interface"});
        let spec = json!({"params": params, "granularity": "day"});
        let job = json!({
            "kind": "shell",
            "fields": {"program": "echo", "args": ["${a} ${b} ${c} ${d} ${date}", version]},
            "params": {"b": "job", "c": "job"},
            "limits": {"memory_mib": 256},
        });
        let job =
            Job { id: JobId(7), name: "load".into(), spec: serde_json::from_value(job).unwrap() };
        Arc::new(Interface {
            id: InterfaceId(3),
            project: ProjectId(1),
            name: "flights".into(),
            version,
            spec: serde_json::from_value(spec).unwrap(),
            jobs: vec![job],
        })
    }

    fn run(version: i64) -> Run {
        Run {
            project: ProjectId(1),
            interface: InterfaceId(3),
            period: "2026-11-20".parse().unwrap(),
            period_start: 0,
            generation: 1,
            version,
            execution: ExecutionId(1),
            priority: 0,
            params: map(json!({"c": "run"})),
            state: RunState::Running,
            paused: false,
            stale: false,
            partial: false,
            waits: Default::default(),
            wait_until: 0,
            created: 0,
            started: None,
            age_from: None,
            ended: None,
        }
    }

    #[test]
    fn the_nearer_definition_wins_and_the_run_wins_over_all() {
        let params = map(json!({"a": "project", "b": "project", "d": "project"}));
        let project = Arc::new(Project { name: "default".into(), params, run_as: "etl".into() });
        let catalog = Catalog {
            projects: [(ProjectId(1), project)].into(),
            interfaces: [(InterfaceId(3), interface(2))].into(),
            old: [((InterfaceId(3), 1), interface(1))].into(),
            ..Catalog::default()
        };
        let attempt = AttemptId { run: RunId(1), job: JobId(7), number: 1, reign: 1 };
        let made = work(&catalog, &run(2), attempt, Unseen::default()).unwrap();
        assert_eq!(made.argv, ["echo", "interface job run project 20261120", "2"]);
        assert_eq!(made.env["HCNDC_PROJECT"], "default");
        assert_eq!(made.user.as_deref(), Some("etl"));
        assert_eq!(made.limits.memory_mib, Some(256));
        assert_eq!(made.env["HCNDC_PARAM_c"], "run");
        // A run keeps the version it was made from.
        assert_eq!(work(&catalog, &run(1), attempt, Unseen::default()).unwrap().argv[2], "1");
        assert_eq!(
            work(&catalog, &run(9), attempt, Unseen::default()).unwrap_err().path,
            "definition"
        );
        let gone = AttemptId { job: JobId(8), ..attempt };
        assert_eq!(
            work(&catalog, &run(2), gone, Unseen::default()).unwrap_err().path,
            "definition"
        );
    }

    #[test]
    fn wrong_parameters_are_named() {
        let check = |value| -> Vec<String> {
            let errors = check(&map(value), &|name| name == "below");
            errors.into_iter().map(|error| error.path).collect()
        };
        let fine = json!({"a": "${below}/${b}", "b": "${date-1:%F} $x", "_c1": ""});
        assert!(check(fine).is_empty());
        assert_eq!(check(json!({"1a": "x"})), ["params.1a"]);
        assert_eq!(check(json!({"date": "x"})), ["params.date"]);
        assert_eq!(check(json!({"a": "${nothing}"})), ["params.a"]);
        assert_eq!(check(json!({"a": "\u{0}"})), ["params.a"]);
        assert_eq!(check(json!({"a": "x".repeat(4_001)})), ["params.a"]);
    }
}
