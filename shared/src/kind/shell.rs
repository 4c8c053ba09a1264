//! *Shell*: a program with arguments or, only when asked, a text that `sh` runs.
//!
//! Without a shell nothing is split, globbed or quoted: one line of the list is one argument, spaces,
//! commas and quotes included. With `use_shell` the text goes to `sh -c` as it is; its parameters
//! come through the environment (`"$HCNDC_PARAM_table"`, or names of the environment map), so no
//! value can ever become a command.

use super::check::scalar;
use super::render::render;
use super::{Context, Field, FieldError, Fields, Input, Kind, Locus, Names};
use crate::wire::Work;
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Debug)]
pub(super) struct Shell;

const FIELDS: &[Field] = &[
    Field {
        name: "program",
        label: "Program",
        help: "A program on the host: a name that its PATH knows, or a path. No shell is involved.",
        input: Input::Line { chars_max: 1_000 },
        required: false,
    },
    Field {
        name: "args",
        label: "Arguments",
        help: "One argument a line, as it is; ${date}, ${period} and parameters are filled in.",
        input: Input::List { items_max: 200 },
        required: false,
    },
    Field {
        name: "use_shell",
        label: "Run a shell text",
        help: "Gives the text below to sh -c, instead of starting the program directly.",
        input: Input::Switch,
        required: false,
    },
    Field {
        name: "script",
        label: "Shell text",
        help: "Nothing is filled in here: read \"$HCNDC_DATE\", \"$HCNDC_PARAM_name\" and the \
               environment below. Arguments above are \"$1\", \"$2\" and so on.",
        input: Input::Text { chars_max: 30_000 },
        required: false,
    },
    Field {
        name: "dir",
        label: "Working directory",
        help: "Empty: a directory of the attempt's own. ${date}, ${period} and parameters are filled in.",
        input: Input::Line { chars_max: 1_000 },
        required: false,
    },
    Field {
        name: "env",
        label: "Environment",
        help: "NAME=value a line; ${date}, ${period} and parameters are filled in.",
        input: Input::Map { items_max: 200, names: Names::Variables },
        required: false,
    },
    Field {
        name: "success_codes",
        label: "Exit codes that mean success",
        help: "Numbers from 0 to 255; empty means 0.",
        input: Input::List { items_max: 20 },
        required: false,
    },
    Field {
        name: "output_max_mib",
        label: "Output kept (MiB)",
        help: "Of each stream; of a longer output the beginning and the end are kept.",
        input: Input::Number { min: 1, max: 10_240 },
        required: false,
    },
];

impl Kind for Shell {
    fn name(&self) -> &'static str {
        "shell"
    }

    fn title(&self) -> &'static str {
        "Shell"
    }

    fn locus(&self) -> Locus {
        Locus::Process
    }

    fn fields(&self) -> &'static [Field] {
        FIELDS
    }

    fn rendered(&self) -> &'static [&'static str] {
        &["args", "env", "dir"]
    }

    fn validate(&self, fields: &Fields) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let mut wrong = |name: &str, message: &str| {
            errors.push(FieldError::new(format!("fields.{name}"), message));
        };
        let (program, script) = (text(fields, "program"), text(fields, "script"));
        match use_shell(fields) {
            true if script.trim().is_empty() => wrong("script", "the text to run is missing"),
            true if !program.is_empty() => {
                wrong("program", "with a shell text there is no program: empty one of the two");
            }
            false if !script.is_empty() => {
                wrong("script", "it would not be run: set use_shell, or empty it");
            }
            false if program.trim().is_empty() => wrong("program", "the program is missing"),
            false if program.contains("${") => {
                wrong("program", "a parameter cannot choose the program: use arguments");
            }
            _ => {}
        }
        for name in items(fields, "env").keys().filter(|name| name.starts_with("HCNDC_")) {
            let path = format!("fields.env.{name}");
            errors.push(FieldError::new(path, "names that begin with HCNDC_ are set by HCNDC"));
        }
        if let Err(error) = success_codes(fields) {
            errors.push(error);
        }
        errors
    }

    fn success_codes(&self, fields: &Fields) -> Vec<i32> {
        success_codes(fields).unwrap_or_else(|_| vec![0])
    }

    fn work(&self, fields: &Fields, context: &Context) -> Result<Work, FieldError> {
        let argument = |(index, value): (usize, &Value)| {
            let text = scalar(value).unwrap_or_default();
            render(&text, context)
                .map_err(|why| FieldError::new(format!("fields.args[{index}]"), why))
        };
        let args = fields.get("args").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let args = args.iter().enumerate().map(argument).collect::<Result<Vec<_>, _>>()?;
        let mut argv = match use_shell(fields) {
            // sh -c TEXT NAME $1 $2 …: what stands before the arguments is its name in messages.
            true => vec!["sh".into(), "-c".into(), text(fields, "script").into(), "script".into()],
            false => vec![text(fields, "program").trim().to_owned()],
        };
        argv.extend(args);
        let mut env = BTreeMap::new();
        for (name, value) in items(fields, "env") {
            let rendered = render(&value, context)
                .map_err(|why| FieldError::new(format!("fields.env.{name}"), why))?;
            env.insert(name, rendered);
        }
        let dir = render(text(fields, "dir"), context)
            .map_err(|why| FieldError::new("fields.dir", why))?;
        let output_max = fields.get("output_max_mib").and_then(Value::as_u64);
        Ok(Work {
            argv,
            env,
            dir,
            success_codes: success_codes(fields)?,
            output_max: output_max.map(|mib| mib.saturating_mul(1 << 20)),
            ..Work::default()
        })
    }
}

fn text<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn use_shell(fields: &Fields) -> bool {
    fields.get("use_shell").and_then(Value::as_bool).unwrap_or(false)
}

fn items(fields: &Fields, name: &str) -> BTreeMap<String, String> {
    let entries = fields.get(name).and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(name, value)| Some((name.clone(), scalar(value)?))).collect()
}

fn success_codes(fields: &Fields) -> Result<Vec<i32>, FieldError> {
    let codes = match fields.get("success_codes").and_then(Value::as_array) {
        Some(codes) if !codes.is_empty() => codes,
        _ => return Ok(vec![0]),
    };
    let code = |(index, value): (usize, &Value)| {
        let code = scalar(value).and_then(|text| text.trim().parse().ok());
        code.filter(|code| (0..=255).contains(code)).ok_or_else(|| {
            let path = format!("fields.success_codes[{index}]");
            FieldError::new(path, "an exit code is a number from 0 to 255")
        })
    };
    codes.iter().enumerate().map(code).collect()
}
