//! What makes a start impossible: one clear line, an exit code, nothing changed.

use crate::rig::{Cluster, Said, command, launch, master_bin};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
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

/// The first line of the answer.
fn get(address: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}

#[test]
fn a_damaged_definition_does_not_keep_a_master_from_starting() {
    let mut cluster = Cluster::master();
    let text = "kind: interface\nname: one\nspec: {zone: UTC}\njobs:\n  - name: job\n    \
                kind: shell\n    fields: {program: echo}\n";
    let file = cluster.file("one.yaml", text);
    cluster.hcndc(&["apply", "-f", &file]).is(0);
    assert_eq!(cluster.master.terminate(), Some(0));
    let connection = rusqlite::Connection::open(cluster.path("master/hcndc.db")).unwrap();
    let damaged = connection.execute("UPDATE interface_version SET spec = '{'", []).unwrap();
    assert_eq!(damaged, 1);
    drop(connection);
    std::fs::remove_file(cluster.path("client.toml")).unwrap();
    cluster.master = launch(cluster.dir.path());
    cluster.until("the master answers", || {
        let client = std::fs::read_to_string(cluster.path("client.toml")).unwrap_or_default();
        let address = client.split("http://").nth(1).and_then(|rest| rest.split('"').next());
        address.is_some_and(|at| get(at, "/login/").is_ok_and(|line| line.contains(" 200 ")))
    });
    let log = std::fs::read_to_string(cluster.path("master.log")).unwrap();
    assert!(log.contains("the stored definition of interface 1 cannot be read"), "{log}");
}
