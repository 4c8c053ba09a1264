//! `browse`: what a master sees of files, and what it is refused.

use crate::site::{LIMIT, Site, kill};
use nix::sys::signal::Signal;
use shared::etl::browse::{Answer, Ask, At, File, Folder, Shown, Start, Unseen};
use shared::etl::drawn::Form;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kettle/samples");
const HOP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hop/project");

/// A host that shows one folder, `etl`, with what a shop might have in it.
fn shop() -> Site {
    Site::of(|rig| {
        let root = rig.dir.path().canonicalize().unwrap();
        let etl = root.join("etl");
        copy(Path::new(SAMPLES), &etl.join("daily"));
        copy(Path::new(HOP), &etl.join("sales"));
        let kettle = root.join("home/.kettle");
        std::fs::create_dir_all(&kettle).unwrap();
        let one = |kind: &str, name: &str, rest: &str| {
            format!("<repository><id>{kind}</id><name>{name}</name>{rest}</repository>")
        };
        let base = format!("<base_directory>{}</base_directory>", etl.display());
        let repositories = format!(
            "<repositories>{}{}{}</repositories>",
            one("KettleFileRepository", "files", &base),
            one("KettleFileRepository", "away", "<base_directory>/usr/share</base_directory>"),
            one("KettleDatabaseRepository", "main", "<connection>x</connection>"),
        );
        std::fs::write(kettle.join("repositories.xml"), repositories).unwrap();
        let hop = root.join("hop");
        std::fs::create_dir_all(&hop).unwrap();
        let project = format!(
            "{{\"projectsConfig\":{{\"projectConfigurations\":[{{\"projectName\":\"sales\",\"projectHome\":{:?}}}]}}}}",
            etl.join("sales")
        );
        std::fs::write(hop.join("hop-config.json"), project).unwrap();
        rig.config.push_str(&format!(
            "[browse]\nfolders = [{etl:?}, {:?}]\n[environments.pdi]\nvars = {{ KETTLE_HOME = {:?} }}\n\
             [environments.hop]\nvars = {{ HOP_CONFIG_FOLDER = {hop:?} }}\n",
            root.join("gone"),
            root.join("home"),
        ));
    })
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        if entry.path().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

impl Site {
    fn ask(&self, ask: Ask) -> Answer {
        let client = self.client.as_ref().unwrap();
        self.runtime.block_on(client.browse(within(), ask)).unwrap().unwrap()
    }

    fn folder(&self, path: &str) -> Result<Folder, Unseen> {
        self.folder_after(path, "")
    }

    fn folder_after(&self, path: &str, after: &str) -> Result<Folder, Unseen> {
        match self.ask(Ask::Folder { path: path.into(), after: after.into() })? {
            Shown::Folder(folder) => Ok(folder),
            other => panic!("{other:?}"),
        }
    }

    fn file(&self, at: At) -> Result<File, Unseen> {
        match self.ask(Ask::File(at))? {
            Shown::File(file) => Ok(*file),
            other => panic!("{other:?}"),
        }
    }

    fn read(&self, path: &str) -> Result<File, Unseen> {
        self.file(At::Path(path.into()))
    }

    fn etl(&self, below: &str) -> String {
        let root = self.rig.dir.path().canonicalize().unwrap();
        root.join("etl").join(below).display().to_string()
    }

    fn write(&self, below: &str, bytes: &[u8]) -> String {
        let path = self.etl(below);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

fn within() -> tarpc::context::Context {
    shared::rpc::within(LIMIT)
}

fn names(folder: &Folder) -> Vec<&str> {
    folder.entries.iter().map(|entry| entry.name.as_str()).collect()
}

#[test]
fn a_person_goes_down_and_sees_a_file() {
    let site = shop();
    let Ok(Shown::Start(Start { folders, kept })) = site.ask(Ask::Start) else { panic!() };
    assert_eq!(folders.iter().map(|root| root.is_there).collect::<Vec<_>>(), [true, false]);
    let kept: Vec<_> = kept.iter().map(|it| (it.kept.name.as_str(), it.shown)).collect();
    for expected in [("files", true), ("away", false), ("main", false), ("sales", true)] {
        assert!(kept.contains(&expected), "{kept:?}");
    }

    let top = site.folder(&folders[0].path).unwrap();
    assert_eq!((names(&top), top.above.as_deref()), (vec!["daily", "sales"], None));
    let daily = site.folder(&site.etl("daily")).unwrap();
    assert!(
        names(&daily).contains(&"job.kjb")
            && daily.above == Some(site.etl("").trim_end_matches('/').into())
    );
    assert!(daily.entries.iter().all(|entry| entry.bytes > 0 && entry.changed_ms > 0));
    // What Kettle and Hop do not run is not listed: metadata, settings, data.
    assert_eq!(
        names(&site.folder(&site.etl("sales")).unwrap()),
        [
            "csv2db.hpl",
            "daily.hwf",
            "each.hpl",
            "fail.hpl",
            "forever.hpl",
            "nofile.hpl",
            "rows.hpl",
            "sales.hpl",
            "tell.hpl",
            "unknown.hpl"
        ]
    );

    let file = site.read(&site.etl("daily/job.kjb")).unwrap();
    assert_eq!((file.drawn.form, file.drawn.name.as_str()), (Form::Job, "job1"));
    let runs = file.drawn.steps[1].runs.clone().unwrap();
    assert_eq!((runs.file, runs.whole), (site.etl("daily/hello.ktr"), true));
    // The project is known by the file in its home.
    let file = site.read(&site.etl("sales/daily.hwf")).unwrap();
    assert_eq!(file.drawn.steps[1].runs.clone().unwrap().file, site.etl("sales/sales.hpl"));
}

#[test]
fn a_job_finds_its_file_as_its_fields_say() {
    let site = shop();
    let stored = |name: &str, object: &str| At::Repository {
        environment: "pdi".into(),
        name: name.into(),
        directory: "/daily".into(),
        object: object.into(),
        form: Form::Transformation,
    };
    assert_eq!(site.file(stored("files", "hello")).unwrap().drawn.name, "hello");
    let project = |name: &str, file: &str| At::Project {
        environment: String::new(),
        name: name.into(),
        file: file.into(),
    };
    assert_eq!(site.file(project("sales", "sales.hpl")).unwrap().drawn.form, Form::Pipeline);
    let file = site.file(project("sales", "${PROJECT_HOME}/daily.hwf")).unwrap();
    assert_eq!(file.drawn.form, Form::Workflow);
    for (at, why) in [
        (stored("main", "x"), Unseen::InDatabase("main".into())),
        (stored("nobody", "x"), Unseen::NoRepository("nobody".into())),
        (project("nobody", "x.hpl"), Unseen::NoProject("nobody".into())),
    ] {
        assert_eq!(site.file(at), Err(why));
    }
    // A repository or a project is no way out of the folders that are shown.
    let told = site.file(stored("away", "x"));
    assert!(matches!(told, Err(Unseen::Outside(_))), "{told:?}");
    let told = site.file(project("sales", "../../home/x.hpl"));
    assert!(matches!(told, Err(Unseen::Outside(_))), "{told:?}");
}

#[test]
fn nothing_else_of_the_host_is_seen() {
    let site = shop();
    let root = site.rig.dir.path().canonicalize().unwrap();
    std::fs::write(root.join("secret.ktr"), "<transformation/>").unwrap();
    std::fs::write(site.rig.layout.root.join("own.ktr"), "<transformation/>").unwrap();
    symlink(root.join("secret.ktr"), site.etl("daily/link.ktr")).unwrap();
    symlink(&root, site.etl("daily/up")).unwrap();
    symlink("job.kjb", site.etl("daily/other.kjb")).unwrap();
    symlink("../sales/project-config.json", site.etl("daily/config.ktr")).unwrap();
    symlink("/nowhere", site.etl("daily/broken.ktr")).unwrap();
    nix::unistd::mkfifo(site.etl("daily/pipe.ktr").as_str(), nix::sys::stat::Mode::S_IRWXU)
        .unwrap();

    let key = site.rig.layout.root.join("pki/key.pem").display().to_string();
    for path in [
        "/etc/passwd",
        "/etc/nothing",
        "",
        "etl",
        "/",
        &key,
        &site.etl("daily/../../secret.ktr"),
        &site.etl("../secret.ktr"),
        &site.etl("daily/link.ktr"),
        &site.etl("daily/up/secret.ktr"),
        &site.etl("daily/up/data/own.ktr"),
        &format!("{}x/secret.ktr", site.etl("").trim_end_matches('/')),
        &site.etl("daily/job.kjb\0"),
        &format!("/{}", "x".repeat(100_000)),
    ] {
        let told = site.read(path);
        assert!(matches!(told, Err(Unseen::Outside(_))), "{path:.200}: {told:?}");
        let told = site.folder(path);
        assert!(
            matches!(told, Err(Unseen::Outside(_) | Unseen::Missing(_))),
            "{path:.200}: {told:?}"
        );
    }
    // A link that stays inside is followed; one to another kind of file is none of theirs; a pipe does not hold us.
    assert_eq!(site.read(&site.etl("daily/other.kjb")).unwrap().drawn.name, "job1");
    for name in ["config.ktr", "pipe.ktr"] {
        let told = site.read(&site.etl(&format!("daily/{name}")));
        assert!(matches!(told, Err(Unseen::NoFile(_))), "{told:?}");
    }
    for (path, why) in [("gone.ktr", "not there"), ("job.kjb/x.ktr", "not there")] {
        let told = site.read(&site.etl(&format!("daily/{path}"))).unwrap_err();
        assert!(told.to_string().contains(why), "{told}");
    }
    assert!(matches!(site.folder(&site.etl("daily/job.kjb")), Err(Unseen::NoFolder(_))));
    let daily = site.folder(&site.etl("daily")).unwrap();
    let names = names(&daily);
    assert!(names.contains(&"other.kjb"));
    assert!(!["link.ktr", "up", "broken.ktr", "pipe.ktr"].iter().any(|it| names.contains(it)));
    assert_eq!(daily.left_out, 2);
}

#[test]
fn what_is_too_large_or_garbage_is_said() {
    let site = shop();
    let large = site.write("large.ktr", &vec![b'x'; 10 << 20]);
    assert_eq!(site.read(&large), Err(Unseen::TooLarge(10 << 20)));
    let below = format!("<transformation>{}</transformation>", "<a>b</a>".repeat(450_000));
    let many = site.write("many.ktr", below.as_bytes());
    assert!(site.read(&many).unwrap_err().to_string().contains("400000 elements"));
    for (name, bytes, why) in [
        ("empty.kjb", &b""[..], "no XML"),
        ("zip.kjb", b"PK\x03\x04\xff\xfe<\x00\x00", "is missing"),
        ("html.hpl", b"<html><body/></html>", "begins with <html>"),
        ("cut.ktr", b"<transformation><info>", "ends in the middle"),
        (
            "bomb.ktr",
            b"<!DOCTYPE a [<!ENTITY b \"bb\">]><transformation>&b;</transformation>",
            "entities",
        ),
    ] {
        let path = site.write(name, bytes);
        let told = site.read(&path).unwrap_err().to_string();
        assert!(told.contains(why), "{name}: {told}");
    }
    let deep = site.write("deep.ktr", "<transformation>".repeat(200_000).as_bytes());
    assert!(site.read(&deep).unwrap_err().to_string().contains("within one another"));
}

#[test]
fn a_large_folder_is_told_in_parts() {
    let site = shop();
    std::fs::create_dir(site.etl("many")).unwrap();
    for n in 0..1_050 {
        site.write(&format!("many/{n:05}-{}.ktr", "字".repeat(70)), b"<transformation/>");
    }
    std::fs::create_dir(site.etl("many/zz")).unwrap();
    let (mut all, mut after, mut parts) = (Vec::new(), String::new(), 0);
    loop {
        let part = site.folder_after(&site.etl("many"), &after).unwrap();
        all.extend(part.entries.into_iter().map(|entry| entry.name));
        parts += 1;
        match part.next {
            Some(next) => after = next,
            None => break,
        }
    }
    assert_eq!((all.len(), parts), (1_051, 3));
    assert_eq!(all[0], "zz");
    assert!(all[1..].is_sorted());
}

#[test]
fn a_host_that_names_no_folder_shows_none() {
    let site = Site::start();
    for ask in [
        Ask::Start,
        Ask::Folder { path: "/".into(), after: String::new() },
        Ask::File(At::Path("/etc/x.ktr".into())),
    ] {
        let told = site.ask(ask);
        assert_eq!(told, Err(Unseen::NoFolders));
    }
}

/// Kettle, which waits as long as there is a file `wait` and then exports one job.
fn with_repository(rig: &mut crate::rig::Rig) {
    let pdi = rig.path("pdi");
    std::fs::create_dir_all(&pdi).unwrap();
    let script = "#!/bin/sh\nwhile [ -e \"$(dirname \"$0\")/wait\" ]; do sleep 0.1; done\n\
        for a in \"$@\"; do case $a in -exprep=*) echo '<repository><jobs><job><name>night</name></job></jobs></repository>' \
        >\"${a#-exprep=}\" ;; esac; done\n";
    for name in ["pan.sh", "kitchen.sh"] {
        std::fs::write(pdi.join(name), script).unwrap();
        std::fs::set_permissions(pdi.join(name), PermissionsExt::from_mode(0o755)).unwrap();
    }
    rig.config.push_str(&format!(
        "[browse]\nrepositories = [\"pdi:main\"]\n[environments.pdi]\nvars = {{ PDI_HOME = {pdi:?} }}\n"
    ));
}

#[test]
fn what_reads_a_repository_ends_with_the_agent_or_by_the_next_one() {
    let mut site = Site::of(with_repository);
    let wait = site.rig.path("pdi/wait");
    let reads = || Ask::Read { environment: "pdi".into(), name: "main".into() };
    let running = |site: &Site| {
        let data = site.rig.layout.root.display().to_string();
        let line = |pid: i32| std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let all = executor::process::table::all().into_iter().map(|process| line(process.pid));
        let option = format!("-exprep={data}");
        all.filter(|line| String::from_utf8_lossy(line).contains(&option)).count()
    };
    std::fs::write(&wait, "").unwrap();
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        let told = site.ask(reads()).unwrap();
        assert!(matches!(told, Shown::Read(copied) if copied.since_ms.is_some()));
        assert_eq!(site.ask(reads()), Err(Unseen::Reads("main".into())));
        site.rig.until("Kettle", |_| running(&site) > 0);
        let agent = site.holder("agent").unwrap();
        kill(agent, signal);
        site.rig.until("another agent", |_| site.holder("agent").is_some_and(|pid| pid != agent));
        site.rig.until("its end", |_| running(&site) == 0);
        site.connect();
        let told = site.read("repository://pdi/main/night.kjb").unwrap_err();
        assert!(matches!(&told, Unseen::NotRead(copied) if copied.since_ms.is_none()), "{told:?}");
    }
    assert_eq!(site.read("/etc/x.ktr"), Err(Unseen::NoFolders));
    std::fs::remove_file(&wait).unwrap();
    site.ask(reads()).unwrap();
    site.rig.until("a copy", |_| site.read("repository://pdi/main/night.kjb").is_ok());
}
