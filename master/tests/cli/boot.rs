//! What makes a start impossible: one clear line, an exit code, nothing changed.

use crate::rig::{Cluster, Said, command, master_bin};
use std::net::TcpListener;
use std::path::Path;

fn start(args: &[&str], data: &Path) -> Said {
    command(&master_bin()).args(args).arg("--data").arg(data).output().unwrap().into()
}

#[track_caller]
fn one_line(said: &Said, parts: &[&str]) {
    let last = said.err.lines().last().unwrap_or_default();
    assert_eq!(said.code, 1, "{said:?}");
    assert!(last.starts_with("hcndc-master: "), "{said:?}");
    for part in parts {
        assert!(last.contains(part), "{part:?} is not in {last:?}");
    }
    // Nothing of our own says more than that line.
    assert!(!said.err.contains("panicked") && !said.err.contains("Stack"), "{said:?}");
}

#[test]
fn a_slip_in_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let (config, data) = (dir.path().join("master.toml"), dir.path().join("data"));
    std::fs::write(&config, "[web]\nlisten = \"127.0.0.1:0\"\nprot = 1\n").unwrap();
    let said = start(&["--config", config.to_str().unwrap()], &data);
    one_line(&said, &["prot", "master.toml", "line 3"]);
    std::fs::write(&config, "[web]\nzone = \"Mars/Base\"\n").unwrap();
    let said = start(&["--config", config.to_str().unwrap()], &data);
    one_line(&said, &["web.zone", "Mars/Base"]);
    let said = start(&["--config", dir.path().join("none.toml").to_str().unwrap()], &data);
    one_line(&said, &["cannot read", "none.toml"]);
    assert!(!data.exists());
}

#[test]
fn a_port_that_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let said = start(&["--port", &port], dir.path());
    one_line(&said, &[&port, "another program", "--port"]);
    assert!(!dir.path().join("hcndc.db").exists());
}

#[test]
fn a_database_that_cannot_be_opened() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("master.toml");
    let database = |url: &str| {
        let text = format!("[web]\nlisten = \"127.0.0.1:0\"\n[database]\nurl = \"{url}\"\n");
        std::fs::write(&config, text).unwrap();
        start(&["--config", config.to_str().unwrap()], &dir.path().join("data"))
    };
    one_line(&database("sqlite:/nowhere/at/all/x.db"), &["database", "/nowhere/at/all/x.db"]);
    one_line(&database("oracle:x"), &["oracle", "no kind of database"]);
    let garbage = dir.path().join("garbage.db");
    std::fs::write(&garbage, "this is no database at all, but a text".repeat(200)).unwrap();
    one_line(&database(&format!("sqlite:{}", garbage.display())), &["garbage.db"]);
}

#[test]
fn a_schema_of_a_newer_program_and_a_broken_certificate() {
    let mut cluster = Cluster::master();
    let data = cluster.path("master");
    let said = start(&["--port", "0"], &data);
    let pid = cluster.master.0.id().to_string();
    one_line(&said, &["in use by process", &pid]);
    assert_eq!(cluster.master.terminate(), Some(0));

    let certificate = data.join("pki/master/cert.pem");
    let good = std::fs::read(&certificate).unwrap();
    std::fs::write(&certificate, "broken").unwrap();
    one_line(&start(&["--port", "0"], &data), &["certificate", "pki/master"]);
    std::fs::write(&certificate, good).unwrap();

    let connection = rusqlite::Connection::open(data.join("hcndc.db")).unwrap();
    connection
        .execute("INSERT INTO schema_version VALUES (999, 'from_the_future', 'x', 0)", [])
        .unwrap();
    drop(connection);
    one_line(&start(&["--port", "0"], &data), &["newer", "999"]);
}

#[test]
fn a_restart_keeps_everything() {
    let mut cluster = Cluster::master();
    let dir = cluster.dir.path().to_owned();
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
    let (password, client) = (read("admin-password"), read("client.toml"));
    assert!(password.trim().len() >= 12);
    assert_eq!(cluster.master.terminate(), Some(0));
    assert!(!read("master.log").contains("panicked"));
    let mut again = command(&master_bin());
    again.args(["--port", "0", "--data"]).arg(cluster.path("master"));
    again.arg("--client-file").arg(cluster.path("client.toml"));
    again.stderr(std::process::Stdio::null()).stdout(std::process::Stdio::null());
    cluster.master = crate::rig::Running(again.spawn().unwrap());
    cluster.until("the master is ready again", || cluster.hcndc(&["execution", "list"]).code == 0);
    let token = |text: &str| text.lines().find(|line| line.starts_with("token")).map(str::to_owned);
    let now = read("client.toml");
    assert_eq!(token(&now), token(&client), "its token is kept");
}
