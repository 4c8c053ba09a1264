use super::*;

const JOB: &str = include_str!("../../../../executor/tests/kettle/samples/job.kjb");
const HELLO: &str = include_str!("../../../../executor/tests/kettle/samples/hello.ktr");
const DAILY: &str = include_str!("../../../../executor/tests/hop/project/daily.hwf");
const SALES: &str = include_str!("../../../../executor/tests/hop/project/sales.hpl");

fn place(folder: &str) -> Place<'_> {
    Place { folder, ..Place::default() }
}

/// `a -success-> b`, one after another.
fn hops(drawn: &Drawn) -> String {
    let name = |at: u32| drawn.steps[at as usize].name.as_str();
    let one = |hop: &Hop| {
        let when = format!("{:?}", hop.when).to_lowercase();
        let off = if hop.off { " off" } else { "" };
        format!("{} -{when}{off}-> {}", name(hop.from), name(hop.to))
    };
    drawn.hops.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[test]
fn a_job_of_kettle() {
    let drawn = read(JOB, place("/etl/daily")).unwrap();
    assert_eq!((drawn.form, drawn.name.as_str()), (Form::Job, "job1"));
    let parameters = drawn.parameters.iter().map(|one| (one.name.as_str(), one.default.as_str()));
    assert_eq!(parameters.collect::<Vec<_>>(), [("WHO", "world"), ("KTR", "hello.ktr")]);
    assert_eq!(hops(&drawn), "START -always-> trans, trans -success-> Success");
    let trans = &drawn.steps[1];
    assert_eq!((trans.kind.as_str(), trans.x, trans.y), ("TRANS", 150, 50));
    let file = "/etl/daily/hello.ktr".to_owned();
    assert_eq!(
        trans.runs,
        Some(Reference { form: Form::Transformation, file, whole: true, hands: Vec::new() })
    );
}

#[test]
fn a_transformation_of_kettle() {
    let drawn = read(HELLO, Place::default()).unwrap();
    assert_eq!((drawn.form, drawn.name.as_str()), (Form::Transformation, "hello"));
    assert_eq!(hops(&drawn), "gen -rows-> log");
    assert_eq!((drawn.steps[1].x, drawn.steps[1].y), (300, 100));
    assert_eq!(drawn.steps[0].kind, "RowGenerator");
}

#[test]
fn files_of_hop() {
    let at = Place { project: Some("/srv/sales"), ..place("/srv/sales/flows") };
    let drawn = read(DAILY, at).unwrap();
    assert_eq!((drawn.form, drawn.name.as_str()), (Form::Workflow, "daily"));
    assert_eq!(hops(&drawn), "Start -always-> sales, sales -success-> Success");
    let runs = drawn.steps[1].runs.clone().unwrap();
    assert_eq!((runs.form, runs.file.as_str()), (Form::Pipeline, "/srv/sales/sales.hpl"));
    assert!(runs.whole);
    // Nobody knows the project: it is told as it is written.
    let runs = read(DAILY, place("/x")).unwrap().steps[1].runs.clone().unwrap();
    assert_eq!((runs.file.as_str(), runs.whole), ("${PROJECT_HOME}/sales.hpl", false));
    let drawn = read(SALES, at).unwrap();
    assert_eq!(drawn.form, Form::Pipeline);
    assert_eq!(
        hops(&drawn),
        "read -rows-> min, min -rows-> big, big -rows-> sum, sum -rows-> write"
    );
    assert_eq!(drawn.parameters[0].name, "MIN");
}

#[test]
fn every_kind_of_hop_and_copies_of_an_entry() {
    let entry = |name: &str, nr: u32, x: i32| {
        format!("<entry><name>{name}</name><type>DUMMY</type><nr>{nr}</nr><xloc>{x}</xloc></entry>")
    };
    let hop = |from: &str, to: &str, to_nr: u32, rest: &str| {
        format!(
            "<hop><from>{from}</from><to>{to}</to><from_nr>0</from_nr><to_nr>{to_nr}</to_nr>{rest}</hop>"
        )
    };
    let text = format!(
        "<job><name>j</name><description>a</description><extended_description>b</extended_description>\
         <entries>{}{}{}</entries><hops>{}{}{}{}</hops></job>",
        entry("a", 0, 1),
        entry("b", 0, 2),
        entry("b", 1, 3),
        hop("a", "b", 1, "<evaluation>N</evaluation><unconditional>N</unconditional>"),
        hop("a", "b", 0, "<enabled>N</enabled><unconditional>Y</unconditional>"),
        hop("a", "nowhere", 0, ""),
        hop("b", "a", 0, ""),
    );
    let drawn = read(&text, Place::default()).unwrap();
    assert_eq!(drawn.description, "a\nb");
    assert_eq!(hops(&drawn), "a -failure-> b, a -always off-> b, b -success-> a");
    assert_eq!((drawn.hops[0].to, drawn.hops[1].to), (2, 1));

    let ktr = "<transformation><info/><order><hop><from>a</from><to>b</to></hop></order>\
               <step><name>a</name></step><step><name>b</name></step><step><name>c</name></step>\
               <step_error_handling><error><source_step>a</source_step><target_step>b</target_step>\
               </error><error><source_step>b</source_step><target_step>c</target_step>\
               <is_enabled>N</is_enabled></error></step_error_handling></transformation>";
    let drawn = read(ktr, Place::default()).unwrap();
    assert_eq!(hops(&drawn), "a -errors-> b");
    // Without coordinates they stand in a row.
    assert_eq!(drawn.steps.iter().map(|step| step.x).collect::<Vec<_>>(), [0, 120, 240]);
}

#[test]
fn what_an_entry_runs() {
    let file = |fields: &str, place: Place| {
        let text = format!(
            "<job><parameters><parameter><name>A</name><default_value>${{B}}</default_value></parameter>\
             <parameter><name>B</name><default_value>x</default_value></parameter>\
             <parameter><name>L</name><default_value>${{L}}${{L}}</default_value></parameter></parameters>\
             <entries><entry><name>e</name>{fields}</entry></entries></job>"
        );
        let runs = read(&text, place).unwrap().steps[0].runs.clone();
        runs.map_or_else(String::new, |runs| {
            format!("{}{}", runs.file, if runs.whole { "" } else { " ?" })
        })
    };
    let here = place("/etl/a");
    let stored = Place { repository: Some("/repo"), ..place("/repo/a") };
    let name = |kind: &str, name: &str| format!("<type>{kind}</type><filename>{name}</filename>");
    for (fields, place, expect) in [
        (name("TRANS", "${Internal.Entry.Current.Directory}/../b/${A}.ktr"), here, "/etl/b/x.ktr"),
        (name("JOB", "file:///etl/x.kjb"), here, "/etl/x.kjb"),
        (name("JOB", "${NOBODY}/x.kjb"), here, "${NOBODY}/x.kjb ?"),
        (name("JOB", "x.kjb"), here, "x.kjb ?"),
        (name("JOB", "/../../x.kjb"), here, "/../../x.kjb ?"),
        (name("JOB", "${unclosed"), here, "${unclosed ?"),
        (name("SHELL", "/x.sh"), here, ""),
        ("<type>TRANS</type>".into(), here, ""),
        (
            "<type>TRANS</type><specification_method>rep_name</specification_method>\
             <transname>t</transname><directory>/d</directory>"
                .into(),
            stored,
            "/repo/d/t.ktr",
        ),
        (
            "<type>JOB</type><specification_method>rep_name</specification_method><jobname>j</jobname>\
             <directory>${Internal.Entry.Current.Directory}</directory>"
                .into(),
            stored,
            "/repo/a/j.kjb",
        ),
        ("<type>JOB</type><jobname>j</jobname><directory>/d</directory>".into(), here, "/d/j ?"),
    ] {
        assert_eq!(file(&fields, place), expect, "{fields}");
    }
    assert!(file(&name("JOB", "/${L}"), here).len() <= FILE_MAX + 2);
}

#[test]
fn secrets_stay_on_their_host_and_sizes_have_limits() {
    let one = |name: &str, value: &str| {
        format!("<parameter><name>{name}</name><default_value>{value}</default_value></parameter>")
    };
    let text = format!(
        "<job><parameters>{}{}{}{}</parameters></job>",
        one("DB_PASSWORD", "hunter2"),
        one("X", "Encrypted 2be98afc86aa7f2e4cb79ce10"),
        one("Y", &"字".repeat(1_000)),
        one("N", "1").repeat(200),
    );
    let drawn = read(&text, Place::default()).unwrap();
    let all = format!("{drawn:?}");
    assert!(!all.contains("hunter2") && !all.contains("2be98"), "{all}");
    assert!(drawn.parameters[0].secret && drawn.parameters[1].secret);
    assert!(drawn.parameters[2].default.len() <= WORDS_MAX);
    assert_eq!((drawn.parameters.len(), drawn.more_parameters), (PARAMETERS_MAX, 103));
    let many =
        "<entry><name>a</name><xloc>9999999999</xloc><yloc>-2000000</yloc></entry>".repeat(500);
    let drawn = read(&format!("<job><entries>{many}</entries></job>"), Place::default()).unwrap();
    assert_eq!((drawn.steps.len(), drawn.more_steps), (STEPS_MAX, 100));
    assert_eq!((drawn.steps[2].x, drawn.steps[2].y), (240, -100_000));
    for garbage in ["", "\0\u{1}", "<job>", "<a/>", "PK\u{3}\u{4}"] {
        assert!(read(garbage, Place::default()).is_err());
    }
}

#[test]
fn what_an_entry_hands_on_is_told() {
    let one = |name: &str, value: &str| {
        format!("<parameter><name>{name}</name><value>{value}</value></parameter>")
    };
    let parameters =
        [one("DAY", "${D}"), one("A", ""), one("DB_PASSWORD", "hunter2"), one("", "x")];
    let text = format!(
        "<job><entries><entry><name>a</name><type>TRANS</type><filename>/x.ktr</filename>\
         <parameters>{}</parameters></entry></entries></job>",
        parameters.concat()
    );
    let drawn = read(&text, Place::default()).unwrap();
    assert_eq!(drawn.steps[0].runs.as_ref().unwrap().hands, ["DAY=${D}", "A", "DB_PASSWORD"]);
}

#[test]
fn paths_are_made_plain() {
    for (path, plain) in [
        ("/a/./b//c/../d", Some("/a/b/d")),
        ("/", Some("/")),
        ("/..", None),
        ("a/b", None),
        ("", None),
    ] {
        assert_eq!(normal(path).as_deref(), plain);
    }
}

#[test]
fn references_in_a_repository_of_a_database_stay_in_it() {
    let text = |inner: &str| {
        format!(
            "<job><name>j</name><entries><entry><name>a</name><type>TRANS</type>{inner}</entry></entries></job>"
        )
    };
    let place =
        Place { repository: Some("repository://e/main"), ..place("repository://e/main/finance") };
    for (inner, file) in [
        (
            "<specification_method>rep_name</specification_method><directory>/common</directory><transname>load.x</transname>",
            "repository://e/main/common/load.x.ktr",
        ),
        (
            "<specification_method>rep_name</specification_method>\
             <directory>${Internal.Entry.Current.Directory}</directory><transname>load</transname>",
            "repository://e/main/finance/load.ktr",
        ),
        (
            "<filename>${Internal.Entry.Current.Directory}/../load</filename>",
            "repository://e/main/load.ktr",
        ),
        ("<filename>/srv/load.ktr</filename>", "/srv/load.ktr"),
    ] {
        let runs = read(&text(inner), place).unwrap().steps[0].runs.clone().unwrap();
        assert_eq!((runs.file.as_str(), runs.whole), (file, true), "{inner}");
    }
    let out = text("<filename>${Internal.Entry.Current.Directory}/../../load</filename>");
    assert!(!read(&out, place).unwrap().steps[0].runs.clone().unwrap().whole);
}
