//! *Hop*: a pipeline or a workflow by `hop-run`.

use super::etl::{self, filled, filled_map, text};
use super::{Context, Field, FieldError, Fields, Input, Kind, Locus, Ran};
use crate::etl::browse::At;
use crate::etl::{Engine, Etl, outcome, warm::Asked};
use crate::wire::Work;
use std::collections::BTreeMap;

#[derive(Debug)]
pub(super) struct Hop;

const JVM_VARIABLE: &str = "HOP_OPTIONS";
/// Between parameters: the first that none of them holds. The first of all is Hop's own. It takes them as
/// regular expressions, and `@@` as `@`: so none that means something there.
const SEPARATORS: &[&str] = &[",", ";", "~", "#", "!", "%%", "::"];

const FIELDS: &[Field] = &[
    Field {
        name: "file",
        label: "File",
        help: "A .hpl (pipeline) or .hwf (workflow): an absolute path of the host or, with a project, a \
               path in its home.",
        input: Input::Line { chars_max: 1_000 },
        required: true,
    },
    Field {
        name: "project",
        label: "Project",
        help: "Its name in the hop-config.json of the host.",
        input: Input::Line { chars_max: 200 },
        required: false,
    },
    Field {
        name: "lifecycle",
        label: "Environment of the project",
        help: "The name of a lifecycle environment in the hop-config.json of the host.",
        input: Input::Line { chars_max: 200 },
        required: false,
    },
    Field {
        name: "run_configuration",
        label: "Run configuration",
        help: "Empty: the one that the project calls its default.",
        input: Input::Line { chars_max: 200 },
        required: false,
    },
    etl::PARAMS,
    etl::LEVEL,
    Field {
        name: "java_options",
        label: "JVM options",
        help: "Such as -Xmx4g. Empty: those of the named environment, or -Xmx2048m. The host adds those \
               of its class-data archive, if it has one.",
        input: Input::Line { chars_max: 2_000 },
        required: false,
    },
    etl::ERRORS,
    etl::START_WITHIN,
    etl::WARM,
    etl::ENV,
    etl::OUTPUT,
];

/// What it runs, filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Source {
    file: String,
    project: String,
    lifecycle: String,
    run_configuration: String,
}

impl Source {
    fn of(fields: &Fields, context: &Context) -> Result<Source, FieldError> {
        Ok(Source {
            file: filled(fields, "file", context)?,
            project: filled(fields, "project", context)?,
            lifecycle: filled(fields, "lifecycle", context)?,
            run_configuration: filled(fields, "run_configuration", context)?,
        })
    }

    /// Its script changes into its own folder: nothing is relative to the caller's.
    fn path(&self) -> String {
        match self.file.starts_with('/') || self.file.contains("${") || self.file.contains(':') {
            true => self.file.clone(),
            false => format!("${{PROJECT_HOME}}/{}", self.file),
        }
    }
}

/// # Errors
/// They hold all that could stand between them, or what does not arrive as it is.
fn argv(
    source: &Source,
    level: &str,
    params: &BTreeMap<String, String>,
) -> Result<Vec<String>, FieldError> {
    let mut argv = vec![Engine::Hop.program().to_owned()];
    let mut option = |name: &str, value: &str| {
        if !value.is_empty() {
            argv.extend([name.to_owned(), value.to_owned()]);
        }
    };
    option("-j", &source.project);
    option("-e", &source.lifecycle);
    option("-r", &source.run_configuration);
    option("-f", &source.path());
    option("-l", &level.to_uppercase());
    let wrong = |why: String| FieldError::new("fields.params", why);
    let framed = |value: &str| value.len() > 1 && value.starts_with('"') && value.ends_with('"');
    if let Some((name, _)) = params.iter().find(|(_, value)| framed(value)) {
        return Err(wrong(format!(
            "{name}: Hop takes away the quotation marks at both ends of a value"
        )));
    }
    let pairs: Vec<String> = params.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let free = |separator: &&&str| !pairs.iter().any(|pair| pair.contains(**separator));
    let separator = *SEPARATORS.iter().find(free).ok_or_else(|| {
        let all = SEPARATORS.join(" ");
        wrong(format!("names and values hold all of {all}: one must be free"))
    })?;
    if separator != SEPARATORS[0] {
        option("-ps", separator);
    }
    option("-p", &pairs.join(separator));
    Ok(argv)
}

impl Kind for Hop {
    fn name(&self) -> &'static str {
        "hop"
    }

    fn title(&self) -> &'static str {
        "Hop"
    }

    fn locus(&self) -> Locus {
        Locus::Process
    }

    fn fields(&self) -> &'static [Field] {
        FIELDS
    }

    fn rendered(&self) -> &'static [&'static str] {
        &["file", "project", "lifecycle", "run_configuration", "params", "java_options", "env"]
    }

    fn validate(&self, fields: &Fields) -> Vec<FieldError> {
        let mut errors = etl::validate(fields, JVM_VARIABLE);
        errors.extend(etl::check_warm(fields, &[]));
        let mut wrong = |name: &str, message: &str| {
            errors.push(FieldError::new(format!("fields.{name}"), message));
        };
        let file = text(fields, "file").trim();
        let in_project = ["project", "lifecycle"].iter().any(|name| !text(fields, name).is_empty());
        if !file.ends_with(".hpl") && !file.ends_with(".hwf") {
            wrong("file", "it ends in .hpl (a pipeline) or .hwf (a workflow)");
        } else if !file.starts_with(['/', '$']) && !file.contains(':') && !in_project {
            wrong("file", "an absolute path is expected, or a project whose home it is in");
        }
        errors
    }

    fn success_codes(&self, fields: &Fields) -> Vec<i32> {
        etl::success_codes(fields)
    }

    fn exit_means(&self, _fields: &Fields, code: i32) -> Option<&'static str> {
        outcome::means(Engine::Hop, code)
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
        let source = Source::of(fields, context)?;
        let path = source.path();
        let at = match (path.starts_with('/'), source.project.is_empty()) {
            (true, _) => At::Path(path),
            (false, true) => return Ok(None),
            (false, false) => {
                At::Project { environment: String::new(), name: source.project, file: path }
            }
        };
        Ok(Some(Ran { at, params: etl::names(fields) }))
    }

    fn work(&self, fields: &Fields, context: &Context) -> Result<Work, FieldError> {
        let source = Source::of(fields, context)?;
        let params = filled_map(fields, "params", context)?;
        let argv = argv(&source, etl::level(fields), &params)?;
        let asked = || Asked {
            job: false,
            file: source.path(),
            level: etl::level(fields).to_owned(),
            configuration: source.run_configuration.clone(),
            project: source.project.clone(),
            lifecycle: source.lifecycle.clone(),
            params: params.clone(),
        };
        let warm = etl::warm(fields).then(asked).map(Box::new);
        let about = Etl {
            engine: Engine::Hop,
            file: Some(source.path()),
            project: Some(source.project.clone()).filter(|name| !name.is_empty()),
            params: params.keys().cloned().collect(),
            speaks: etl::speaks(fields),
            start_within_s: etl::start_within_s(fields),
            logs_in: false,
            own_home: false,
            warm,
        };
        etl::work(fields, context, (argv, JVM_VARIABLE), about)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_commands() {
        let source = |file: &str, project: &str, lifecycle: &str, run_configuration: &str| Source {
            file: file.into(),
            project: project.into(),
            lifecycle: lifecycle.into(),
            run_configuration: run_configuration.into(),
        };
        for (source, level, params, expect) in [
            (
                source("/a b/x.hpl", "", "", "local"),
                "Basic",
                vec![],
                "hop-run.sh|-r|local|-f|/a b/x.hpl|-l|BASIC",
            ),
            (
                source("in/x.hwf", "demo", "dev", ""),
                "Rowlevel",
                vec![("A", "1"), ("B", "x=y")],
                "hop-run.sh|-j|demo|-e|dev|-f|${PROJECT_HOME}/in/x.hwf|-l|ROWLEVEL|-p|A=1,B=x=y",
            ),
            (
                source("/x.hpl", "", "", ""),
                "Basic",
                vec![("A", "1,2"), ("B", "3;4")],
                "hop-run.sh|-f|/x.hpl|-l|BASIC|-ps|~|-p|A=1,2~B=3;4",
            ),
        ] {
            let params = params.into_iter().map(|(a, b)| (a.to_owned(), b.to_owned())).collect();
            assert_eq!(argv(&source, level, &params).unwrap().join("|"), expect);
        }
        let all = [("A".to_owned(), SEPARATORS.concat())].into();
        let error = argv(&source("/x.hpl", "", "", ""), "Basic", &all).unwrap_err();
        assert_eq!(error.path, "fields.params");
    }
}
