//! What holds for every kind there is, and for the shell kind in particular.

use super::*;
use crate::ids::{JobId, RunId};
use serde_json::{Value, json};

pub(super) fn context() -> Context {
    let params = [
        ("where", "/data"),
        ("inner", "x${where}-${date}"),
        ("self", "${self}"),
        ("big", "${b}${b}"),
        ("b", "0123456789abcdef0123456789abcdef"),
    ];
    let mut params: BTreeMap<String, String> =
        params.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    params.insert("big".into(), "x".repeat(20_000));
    Context {
        project: "default".into(),
        interface: "flights".into(),
        job: "load".into(),
        period: "2026-03-01".parse().unwrap(),
        execution: ExecutionId(7),
        attempt: AttemptId { run: RunId(8), job: JobId(9), number: 2, reign: 10 },
        unseen: Vec::new(),
        stopped: false,
        params,
    }
}

fn fields(value: Value) -> Fields {
    serde_json::from_value(value).unwrap()
}

/// A context whose parameters all have values.
fn plain() -> Context {
    let mut context = context();
    context.params.retain(|name, _| matches!(name.as_str(), "where" | "inner"));
    context
}

#[test]
fn every_kind_keeps_the_contract() {
    for (index, kind) in ALL.iter().enumerate() {
        let name = kind.name();
        assert!(!name.is_empty() && name.chars().all(|c| c.is_ascii_lowercase() || c == '_'));
        assert!(!kind.title().is_empty());
        assert!(ALL[..index].iter().all(|other| other.name() != name), "{name} is there twice");
        assert_eq!(find(name).map(Kind::name), Some(name));
        for (index, field) in kind.fields().iter().enumerate() {
            assert!(!field.label.is_empty() && !field.help.is_empty(), "{name}.{}", field.name);
            assert!(check::is_variable(field.name), "{name}.{}", field.name);
            assert!(kind.fields()[..index].iter().all(|other| other.name != field.name));
            // A value of a wrong type is refused at its place, whatever the field.
            let path = format!("fields.{}", field.name);
            let wrong = fields(json!({ field.name: [{}] }));
            let errors = check(name, &wrong);
            assert!(errors.iter().any(|error| error.path.starts_with(&path)), "{errors:?}");
        }
        for rendered in kind.rendered() {
            assert!(kind.fields().iter().any(|field| field.name == *rendered), "{rendered}");
        }
        assert!(!check(name, &Fields::new()).is_empty(), "{name} takes an empty spec");
        let errors = check(name, &fields(json!({"no_such_field": 1})));
        assert_eq!(errors[0].path, "fields.no_such_field");
    }
}

#[test]
fn an_unknown_kind_is_named_with_those_there_are() {
    let errors = check("spark", &Fields::new());
    assert_eq!(errors[0].path, "kind");
    assert!(errors[0].message.contains("shell"));
    assert!(work("spark", &Fields::new(), &plain()).is_err());
}

#[test]
fn arguments_stay_as_they_are_without_a_shell() {
    let spec = fields(json!({
        "program": "/bin/echo",
        "args": ["a b", "c,d", "it's; rm -rf $HOME", "", 5, "${where}/${date-1:%Y-%m-%d}", "\"$(x)\""],
    }));
    assert_eq!(check("shell", &spec), []);
    let made = work("shell", &spec, &plain()).unwrap();
    let expect =
        ["/bin/echo", "a b", "c,d", "it's; rm -rf $HOME", "", "5", "/data/2026-02-28", "\"$(x)\""];
    assert_eq!(made.argv, expect);
    assert_eq!(made.success_codes, [0]);
    assert_eq!(
        preview(&made),
        r#"/bin/echo 'a b' c,d 'it'\''s; rm -rf $HOME' '' 5 /data/2026-02-28 '"$(x)"'"#
    );
}

#[test]
fn a_shell_text_is_never_rendered() {
    let script = "echo ${date} \"$HCNDC_PARAM_where\" \"$DAY\" \"$1\"";
    let spec = fields(json!({
        "use_shell": true, "script": script, "args": ["${inner}"],
        "env": {"DAY": "${date}", "N": 3}, "dir": "${where}", "success_codes": [0, "3"],
        "output_max_mib": 2,
    }));
    assert_eq!(check("shell", &spec), []);
    let made = work("shell", &spec, &plain()).unwrap();
    assert_eq!(made.argv, ["sh", "-c", script, "script", "x/data-20260301"]);
    assert_eq!((made.env["DAY"].as_str(), made.env["N"].as_str()), ("20260301", "3"));
    assert_eq!(made.env["HCNDC_PARAM_inner"], "x/data-20260301");
    assert_eq!((made.dir.as_str(), &made.success_codes[..]), ("/data", &[0, 3][..]));
    assert_eq!(made.output_max, Some(2 << 20));
    for (name, value) in [
        ("HCNDC_PROJECT", "default"),
        ("HCNDC_INTERFACE", "flights"),
        ("HCNDC_JOB", "load"),
        ("HCNDC_PERIOD", "2026-03-01"),
        ("HCNDC_DATE", "20260301"),
        ("HCNDC_EXECUTION", &ExecutionId(7).to_string()),
        ("HCNDC_RUN", &RunId(8).to_string()),
        ("HCNDC_ATTEMPT", "2"),
    ] {
        assert_eq!(made.env[name], value, "{name}");
    }
    // However often it is made, it is the same.
    assert_eq!(work("shell", &spec, &plain()).unwrap(), made);
}

#[test]
fn what_is_wrong_with_a_shell_job_is_said_beside_the_field() {
    for (spec, path) in [
        (json!({}), "fields.program"),
        (json!({"program": " "}), "fields.program"),
        (json!({"program": "a\nb"}), "fields.program"),
        (json!({"program": "${where}/x"}), "fields.program"),
        (json!({"program": "a", "script": "b"}), "fields.script"),
        (json!({"use_shell": true}), "fields.script"),
        (json!({"use_shell": true, "script": "x", "program": "y"}), "fields.program"),
        (json!({"use_shell": "yes", "script": "x"}), "fields.use_shell"),
        (json!({"program": "a", "args": "b"}), "fields.args"),
        (json!({"program": "a", "args": ["b", ["c"]]}), "fields.args[1]"),
        (json!({"program": "a", "args": ["\u{0}"]}), "fields.args[0]"),
        (json!({"program": "a", "args": vec!["x"; 201]}), "fields.args"),
        (json!({"program": "x".repeat(1001)}), "fields.program"),
        (json!({"program": "a", "env": {"1A": "x"}}), "fields.env.1A"),
        (json!({"program": "a", "env": {"HCNDC_RUN": "x"}}), "fields.env.HCNDC_RUN"),
        (json!({"program": "a", "env": {"A": {}}}), "fields.env.A"),
        (json!({"program": "a", "success_codes": [0, 256]}), "fields.success_codes[1]"),
        (json!({"program": "a", "success_codes": ["x"]}), "fields.success_codes[0]"),
        (json!({"program": "a", "output_max_mib": 0}), "fields.output_max_mib"),
        (json!({"program": "a", "output_max_mib": 1.5}), "fields.output_max_mib"),
    ] {
        let errors = check("shell", &fields(spec.clone()));
        assert_eq!(errors.len(), 1, "{spec}: {errors:?}");
        assert_eq!(errors[0].path, path, "{spec}: {errors:?}");
    }
}

#[test]
fn placeholders_are_checked_at_their_place() {
    let spec = fields(json!({
        "program": "a", "args": ["${where}", "${wher}"], "env": {"A": "${date:%Q}"}, "dir": "${",
    }));
    let errors = check_placeholders("shell", &spec, &|name| name == "where");
    let paths: Vec<&str> = errors.iter().map(|error| error.path.as_str()).collect();
    assert_eq!(paths, ["fields.args[1]", "fields.env.A", "fields.dir"]);
    // A shell text is nobody's to fill in.
    let script = fields(json!({"use_shell": true, "script": "${anything}"}));
    assert_eq!(check_placeholders("shell", &script, &|_| false), []);
}

#[test]
fn a_command_that_cannot_be_made_says_why() {
    let spec = fields(json!({"program": "a", "args": ["x", "${nothing}"]}));
    let error = work("shell", &spec, &plain()).unwrap_err();
    assert_eq!(error.path, "fields.args[1]");
    let long = fields(json!({"program": "a", "args": vec!["${b}"; 100]}));
    let mut context = plain();
    context.params.insert("b".into(), "y".repeat(1_000));
    let error = work("shell", &long, &context).unwrap_err();
    assert!(error.message.contains("bytes long"), "{error}");
}

#[test]
fn a_run_of_kettle_is_its_command_and_what_its_host_must_know() {
    let spec = fields(json!({
        "runs": "transformation", "file": "${where}/load.ktr", "level": "Detailed",
        "params": {"DAY": "${date:%F}", "from.to": "a=b"}, "java_options": "-Xmx4g",
        "kettle_home": "per_run", "env": {"TZ": "Asia/Shanghai"},
    }));
    assert_eq!(check("kettle", &spec), []);
    let made = work("kettle", &spec, &plain()).unwrap();
    let expect = ["pan.sh", "-norep", "-file=/data/load.ktr", "-level=Detailed"];
    assert_eq!(made.argv[..4], expect);
    assert_eq!(made.argv[4..], ["-param:DAY=2026-03-01", "-param:from.to=a=b"]);
    assert_eq!(made.env["PENTAHO_DI_JAVA_OPTIONS"], "-Xmx4g");
    assert_eq!(made.env["TZ"], "Asia/Shanghai");
    assert_eq!(made.success_codes, [0, 200]);
    let about = made.etl.unwrap();
    assert_eq!(about.file.as_deref(), Some("/data/load.ktr"));
    assert_eq!(about.params, ["DAY", "from.to"]);
    assert!(about.own_home && about.speaks && about.start_within_s == 600 && !about.logs_in);
    let logs_in = |level: &str| {
        let spec = fields(json!({"runs": "job", "repository": "r", "object": "o", "level": level}));
        work("kettle", &spec, &plain()).unwrap().etl.unwrap().logs_in
    };
    assert!(logs_in("Basic") && !logs_in("Minimal"));
    let strict =
        fields(json!({"runs": "job", "file": "/x.kjb", "errors": "failure", "level": "Error"}));
    let made = work("kettle", &strict, &plain()).unwrap();
    assert_eq!(made.success_codes, [0]);
    assert!(!made.etl.unwrap().speaks);
    let kettle = find("kettle").unwrap();
    assert!(kettle.exit_means(&strict, 200).is_some() && kettle.exit_means(&strict, 0).is_none());
    assert_ne!(kettle.exit_means(&strict, 1), kettle.exit_means(&spec, 1));
}

#[test]
fn slips_of_kettle_and_hop_are_named() {
    for (kind, spec, path) in [
        ("kettle", json!({"runs": "job"}), "fields.file"),
        ("kettle", json!({"runs": "job", "file": "x.kjb"}), "fields.file"),
        ("kettle", json!({"runs": "job", "file": "/x.ktr"}), "fields.runs"),
        ("kettle", json!({"runs": "transformation", "file": "/x.kjb"}), "fields.runs"),
        ("kettle", json!({"runs": "loop", "file": "/x.kjb"}), "fields.runs"),
        (
            "kettle",
            json!({"runs": "job", "file": "/x.kjb", "repository": "r"}),
            "fields.repository",
        ),
        ("kettle", json!({"runs": "job", "file": "/x.kjb", "user": "u"}), "fields.user"),
        ("kettle", json!({"runs": "job", "repository": "r"}), "fields.object"),
        (
            "kettle",
            json!({"runs": "job", "repository": "r", "object": "o", "directory": "d"}),
            "fields.directory",
        ),
        ("kettle", json!({"runs": "job", "file": "/x.kjb", "level": "BASIC"}), "fields.level"),
        (
            "kettle",
            json!({"runs": "job", "file": "/x.kjb", "params": {"a=b": "1"}}),
            "fields.params.a=b",
        ),
        (
            "kettle",
            json!({"runs": "job", "file": "/x.kjb", "env": {"KETTLE_PASSWORD": "x"}}),
            "fields.env.KETTLE_PASSWORD",
        ),
        (
            "kettle",
            json!({"runs": "job", "file": "/x.kjb", "env": {"PENTAHO_DI_JAVA_OPTIONS": "x"}}),
            "fields.env.PENTAHO_DI_JAVA_OPTIONS",
        ),
        (
            "kettle",
            json!({"runs": "job", "file": "/x.kjb", "start_within_s": 1}),
            "fields.start_within_s",
        ),
        ("hop", json!({"file": "/x.ktr"}), "fields.file"),
        ("hop", json!({"file": "x.hpl"}), "fields.file"),
        ("hop", json!({"file": "/x.hpl", "env": {"HOP_OPTIONS": "x"}}), "fields.env.HOP_OPTIONS"),
    ] {
        let errors = check(kind, &fields(spec.clone()));
        assert_eq!(errors.len(), 1, "{spec}: {errors:?}");
        assert_eq!(errors[0].path, path, "{spec}: {errors:?}");
    }
    for spec in [
        json!({"file": "a/x.hpl", "project": "demo"}),
        json!({"file": "a/x.hwf", "lifecycle": "dev"}),
        json!({"file": "s3://b/x.hwf"}),
    ] {
        assert_eq!(check("hop", &fields(spec)), []);
    }
}

#[test]
fn who_looks_on_elsewhere_is_told_of_those_before_and_that_they_were_stopped() {
    let mut context = plain();
    let before = AttemptId { number: 1, ..context.attempt };
    (context.unseen, context.stopped) = (vec![before], true);
    let sales = fields(json!({"file": "/etl/sales.hpl"}));
    let load = fields(json!({"runs": "job", "file": "/etl/load.kjb"}));
    for (kind, given) in [("hop_server", &sales), ("carte", &load)] {
        let external = work(kind, given, &context).unwrap().external.unwrap();
        assert_eq!((external.adopt, external.stopped), (vec![format!("hcndc-{before}")], true));
    }
}
