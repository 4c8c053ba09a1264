//! *Kettle*: a job by Kitchen or a transformation by Pan, from a file or from a repository.

use super::etl::{self, filled, filled_map, text};
use super::{Context, Field, FieldError, Fields, Input, Kind, Locus, Ran};
use crate::etl::{Engine, Etl, outcome, warm::Asked};
use crate::external::Source;
use crate::wire::Work;
use std::collections::BTreeMap;

#[derive(Debug)]
pub(super) struct Kettle;

const JVM_VARIABLE: &str = "PENTAHO_DI_JAVA_OPTIONS";

pub(super) const RUNS: Field = Field {
    name: "runs",
    label: "What it runs",
    help: "A job is run by Kitchen, a transformation by Pan.",
    input: Input::Choice(&["job", "transformation"]),
    required: true,
};
pub(super) const FILE: Field = Field {
    name: "file",
    label: "File",
    help: "Of the host: an absolute path, or a URL that Kettle understands (zip:file:///…, \
           hdfs://…). Empty: it is in a repository.",
    input: Input::Line { chars_max: 1_000 },
    required: false,
};
pub(super) const REPOSITORY: Field = Field {
    name: "repository",
    label: "Repository",
    help: "Its name in the repositories.xml of the host's KETTLE_HOME: a database, files or Pentaho's.",
    input: Input::Line { chars_max: 200 },
    required: false,
};
pub(super) const DIRECTORY: Field = Field {
    name: "directory",
    label: "Directory in the repository",
    help: "With a leading /; empty means /.",
    input: Input::Line { chars_max: 1_000 },
    required: false,
};
pub(super) const OBJECT: Field = Field {
    name: "object",
    label: "Name in the repository",
    help: "Of the job or transformation, without .kjb or .ktr.",
    input: Input::Line { chars_max: 200 },
    required: false,
};
pub(super) const USER: Field = Field {
    name: "user",
    label: "User of the repository",
    help: "Its password is KETTLE_PASSWORD of the named environment on the host: it is never on a \
           command line.",
    input: Input::Line { chars_max: 100 },
    required: false,
};

const FIELDS: &[Field] = &[
    RUNS,
    FILE,
    REPOSITORY,
    DIRECTORY,
    OBJECT,
    USER,
    etl::PARAMS,
    etl::LEVEL,
    Field {
        name: "java_options",
        label: "JVM options",
        help: "Such as -Xmx4g. Empty: those of the named environment, or -Xmx2048m.",
        input: Input::Line { chars_max: 2_000 },
        required: false,
    },
    Field {
        name: "kettle_home",
        label: "KETTLE_HOME",
        help: "Shared by all runs of the host, or a copy for each run: then nothing that it writes \
               there is seen by another. Empty means shared.",
        input: Input::Choice(&["shared", "per_run"]),
        required: false,
    },
    etl::ERRORS,
    etl::START_WITHIN,
    etl::WARM,
    etl::ENV,
    etl::OUTPUT,
];

fn engine(fields: &Fields) -> Engine {
    match text(fields, "runs") {
        "transformation" => Engine::Pan,
        _ => Engine::Kitchen,
    }
}

/// What it runs, filled in.
pub(super) fn source(fields: &Fields, context: &Context) -> Result<Source, FieldError> {
    let file = filled(fields, "file", context)?;
    Ok(match file.is_empty() {
        false => Source::File(file),
        true => Source::Repository {
            name: filled(fields, "repository", context)?,
            user: filled(fields, "user", context)?,
            directory: filled(fields, "directory", context)?,
            object: filled(fields, "object", context)?,
        },
    })
}

/// What is wrong with the fields that say what it runs.
pub(super) fn check_source(fields: &Fields) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let mut wrong = |name: &str, message: &str| {
        errors.push(FieldError::new(format!("fields.{name}"), message));
    };
    let given = |name: &str| !text(fields, name).trim().is_empty();
    let file = text(fields, "file").trim();
    match (given("file"), given("repository")) {
        (false, false) => wrong("file", "a file, or a repository and a name in it, is missing"),
        (true, true) => {
            wrong("repository", "with a file there is no repository: empty one of the two")
        }
        (true, false) => {
            for name in ["directory", "object", "user"] {
                if given(name) {
                    wrong(name, "it belongs to a repository, and a file is given");
                }
            }
            if !file.starts_with(['/', '$']) && !file.contains(':') {
                wrong("file", "an absolute path or a URL is expected");
            }
            match text(fields, "runs") {
                "job" if file.ends_with(".ktr") => wrong("runs", "a .ktr is a transformation"),
                "transformation" if file.ends_with(".kjb") => wrong("runs", "a .kjb is a job"),
                _ => {}
            }
        }
        (false, true) => {
            if !given("object") {
                wrong("object", "its name in the repository is missing");
            }
            if given("directory") && !text(fields, "directory").trim().starts_with(['/', '$']) {
                wrong("directory", "it begins with /");
            }
        }
    }
    errors
}

/// The command: no shell reads it, each option is one argument.
fn argv(
    engine: Engine,
    source: &Source,
    level: &str,
    params: &BTreeMap<String, String>,
) -> Vec<String> {
    let mut argv = vec![engine.program().to_owned()];
    match source {
        // Else KETTLE_REPOSITORY of a kettle.properties would beat it.
        Source::File(file) => argv.extend(["-norep".to_owned(), format!("-file={file}")]),
        Source::Repository { name, user, directory, object } => {
            argv.push(format!("-rep={name}"));
            if !user.is_empty() {
                argv.push(format!("-user={user}"));
            }
            argv.push(format!("-dir={}", if directory.is_empty() { "/" } else { directory }));
            let option = if engine == Engine::Pan { "trans" } else { "job" };
            argv.push(format!("-{option}={object}"));
        }
    }
    argv.push(format!("-level={level}"));
    argv.extend(params.iter().map(|(name, value)| format!("-param:{name}={value}")));
    argv
}

impl Kind for Kettle {
    fn name(&self) -> &'static str {
        "kettle"
    }

    fn title(&self) -> &'static str {
        "Kettle"
    }

    fn locus(&self) -> Locus {
        Locus::Process
    }

    fn fields(&self) -> &'static [Field] {
        FIELDS
    }

    fn rendered(&self) -> &'static [&'static str] {
        &["file", "repository", "directory", "object", "user", "params", "java_options", "env"]
    }

    fn validate(&self, fields: &Fields) -> Vec<FieldError> {
        let mut errors = etl::validate(fields, JVM_VARIABLE);
        errors.extend(check_source(fields));
        errors.extend(etl::check_warm(fields, &["repository"]));
        if etl::warm(fields) && text(fields, "kettle_home") == "per_run" {
            let why = "runs of a warm engine share its KETTLE_HOME: choose shared, or start cold";
            errors.push(FieldError::new("fields.kettle_home", why));
        }
        errors
    }

    fn success_codes(&self, fields: &Fields) -> Vec<i32> {
        etl::success_codes(fields)
    }

    fn exit_means(&self, fields: &Fields, code: i32) -> Option<&'static str> {
        outcome::means(engine(fields), code)
    }

    fn needs_environment(&self) -> bool {
        true
    }

    fn counts_rows(&self) -> bool {
        true
    }

    fn runs_file(&self) -> bool {
        true
    }

    fn file(&self, fields: &Fields, context: &Context) -> Result<Option<Ran>, FieldError> {
        let flow = engine(fields) != Engine::Pan;
        let at = source(fields, context)?.at(flow);
        Ok(at.map(|at| Ran { at, params: etl::names(fields) }))
    }

    fn work(&self, fields: &Fields, context: &Context) -> Result<Work, FieldError> {
        let engine = engine(fields);
        let source = source(fields, context)?;
        let params = filled_map(fields, "params", context)?;
        let argv = argv(engine, &source, etl::level(fields), &params);
        let asked = |file: &String| Asked {
            file: file.clone(),
            level: etl::level(fields).to_owned(),
            params: params.clone(),
            ..Asked::default()
        };
        let warm = match &source {
            Source::File(file) if etl::warm(fields) => Some(Box::new(asked(file))),
            _ => None,
        };
        let about = Etl {
            engine,
            file: match &source {
                Source::File(file) => Some(file.clone()),
                Source::Repository { .. } => None,
            },
            project: None,
            params: params.keys().cloned().collect(),
            speaks: etl::speaks(fields),
            start_within_s: etl::start_within_s(fields),
            logs_in: matches!(source, Source::Repository { .. })
                && etl::speaks(fields)
                && etl::level(fields) != "Minimal",
            own_home: text(fields, "kettle_home") == "per_run",
            warm,
        };
        etl::work(fields, context, (argv, JVM_VARIABLE), about)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_table_of_commands() {
        let file = |path: &str| Source::File(path.into());
        let repository = |user: &str, directory: &str| Source::Repository {
            name: "main".into(),
            user: user.into(),
            directory: directory.into(),
            object: "load all".into(),
        };
        use Engine::{Kitchen, Pan};
        for (engine, source, level, params, expect) in [
            (
                Kitchen,
                file("/a b/x.kjb"),
                "Basic",
                pairs(&[]),
                vec!["kitchen.sh", "-norep", "-file=/a b/x.kjb", "-level=Basic"],
            ),
            (
                Pan,
                file("zip:file:///a.zip!x.ktr"),
                "Rowlevel",
                pairs(&[("N", "2"), ("WHO.a", "it's; \"x\" = $y")]),
                vec![
                    "pan.sh",
                    "-norep",
                    "-file=zip:file:///a.zip!x.ktr",
                    "-level=Rowlevel",
                    "-param:N=2",
                    "-param:WHO.a=it's; \"x\" = $y",
                ],
            ),
            (
                Kitchen,
                repository("admin", "/etl/daily"),
                "Minimal",
                pairs(&[("D", "")]),
                vec![
                    "kitchen.sh",
                    "-rep=main",
                    "-user=admin",
                    "-dir=/etl/daily",
                    "-job=load all",
                    "-level=Minimal",
                    "-param:D=",
                ],
            ),
            (
                Pan,
                repository("", ""),
                "Nothing",
                pairs(&[]),
                vec!["pan.sh", "-rep=main", "-dir=/", "-trans=load all", "-level=Nothing"],
            ),
        ] {
            assert_eq!(argv(engine, &source, level, &params), expect);
        }
    }
}
