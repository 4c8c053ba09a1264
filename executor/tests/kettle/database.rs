//! A million rows from a file into a real MariaDB by a real Kettle: what the run counts is what is there. Only
//! `make test-engines E=kettle` runs this, on an install of somebody.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

#[expect(dead_code, reason = "the other tests need more of it")]
mod install;
#[path = "../host/maria.rs"]
mod maria;
#[expect(dead_code, reason = "the other tests need more of it")]
#[path = "../host/rig.rs"]
mod rig;

use maria::{Orders, ROWS};
use rig::Rig;
use serde_json::json;
use shared::config::env;
use shared::etl::counts::Counts;
use shared::wire::*;
use std::os::unix::fs::symlink;
use std::path::Path;

/// The install with a driver in its `lib`, and nothing of it touched: a folder of links. Scripts and the launcher are
/// copied, for they look at what lies beside them, and a JVM follows the links of its own jars.
fn with_driver(install: &Path, jdbc: &Path, to: &Path) {
    let each = |dir: &Path, what: &dyn Fn(&Path, &Path), into: &Path| {
        std::fs::create_dir_all(into).unwrap();
        for entry in std::fs::read_dir(dir).unwrap().flatten() {
            what(&entry.path(), &into.join(entry.file_name()));
        }
    };
    let link = |from: &Path, to: &Path| symlink(from, to).unwrap();
    let copy = |from: &Path, to: &Path| _ = std::fs::copy(from, to).unwrap();
    let whole = |from: &Path, to: &Path| match from.file_name().and_then(|name| name.to_str()) {
        Some("lib") => each(from, &link, to),
        Some("launcher") => each(from, &copy, to),
        Some(name) if name.ends_with(".sh") => copy(from, to),
        _ => link(from, to),
    };
    each(install, &whole, to);
    each(jdbc, &copy, &to.join("lib"));
}

#[test]
fn a_million_rows_go_from_a_file_into_a_database_and_are_counted() {
    let install =
        install::named().expect("HCNDC_TEST_PDI names no Kettle: make test-engines E=kettle");
    let jdbc = env("HCNDC_TEST_JDBC").expect("HCNDC_TEST_JDBC: make test-engines E=kettle");
    let home = tempfile::tempdir().unwrap();
    let (pdi, file) = (home.path().join("pdi"), home.path().join("orders.csv"));
    with_driver(&install, Path::new(&jdbc), &pdi);
    let mut rig = Rig::with(&format!(
        "[environments.kettle]\nvars = {{ PDI_HOME = \"{}\", KETTLE_HOME = \"{}\", \
         PENTAHO_DI_JAVA_OPTIONS = \"-Xmx512m {}\"{} }}\n",
        pdi.display(),
        home.path().display(),
        install::ENGLISH,
        install::java(),
    ));
    let orders = Orders::new("hcndc_kettle", &file);
    let url = format!("jdbc:mariadb://127.0.0.1:{}/{}", orders.port, orders.name);
    let fields = json!({
        "runs": "transformation", "file": install::sample("csv2db.ktr"),
        "params": {"CSV": file, "URL": url, "DRIVER": "org.mariadb.jdbc.Driver", "DBUSER": "root"},
    });
    let start = rig.plan_kind(("kettle", "kettle"), fields, Vec::new(), &[]);
    let attempt = rig.begin(start);
    let state = rig.end(attempt);
    let (log, err) = (rig.out(attempt), rig.out_of(attempt, Stream::Err));
    assert_eq!(state, State::Ended(Exit::Code(0)), "{log}\n{err}");
    let counts = Counts::find(&err).expect("row counts");
    let of = |name: &str| counts.steps.iter().find(|step| step.name == name).unwrap();
    assert_eq!(of("read").input, ROWS + 1, "its head counts too: {counts:?}");
    let write = of("write");
    assert_eq!((write.read, write.output, write.errors), (ROWS, ROWS, 0), "{counts:?}");
    assert!(write.speed().is_some_and(|speed| speed < ROWS), "it took a while: {counts:?}");
    assert_eq!(orders.there(), format!("{}\t{}", write.output, orders.sum));
}
