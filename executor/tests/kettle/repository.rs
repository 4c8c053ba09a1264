//! Repositories that Kettle exports: what people see of them, and what comes of an export that goes wrong.

use crate::install::{ENGLISH, install, java, own, sample};
use executor::agent::browse::Browser;
use executor::config::Config;
use executor::process::table;
use shared::clock::Clock;
use shared::etl::browse::{Answer, Ask, At, File, Folder, Shown, Unseen};
use shared::etl::drawn::Form;
use shared::etl::stored::Copied;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A host with one repository that may be read, `main`, and one that may not.
struct Shop {
    dir: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    clock: Clock,
}

impl Shop {
    fn new() -> Shop {
        let dir = tempfile::tempdir().unwrap();
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).enable_all().build().unwrap();
        let shop = Shop { dir, runtime, clock: Clock::system() };
        let kettle = shop.path("home/.kettle");
        std::fs::create_dir_all(&kettle).unwrap();
        let list = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<repositories>\n<repository><id>KettleFileRepository</id>\
             <name>files</name><description/><is_default>false</is_default><base_directory>{}</base_directory>\
             <read_only>N</read_only><hides_hidden_files>N</hides_hidden_files></repository>\n\
             <repository><id>KettleDatabaseRepository</id><name>main</name><connection>x</connection></repository>\n\
             <repository><id>KettleDatabaseRepository</id><name>closed</name><connection>x</connection></repository>\n\
             </repositories>\n",
            shop.path("files").display()
        );
        std::fs::write(kettle.join("repositories.xml"), list).unwrap();
        shop
    }

    fn path(&self, below: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(below)
    }

    /// In the database of the stand-in.
    fn put(&self, below: &str, text: &str) {
        let path = self.path("home/database/main").join(below);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn put_sample(&self, name: &str, below: &str) {
        self.put(below, &std::fs::read_to_string(sample(name)).unwrap());
    }

    fn browser(&self, install: &Path, vars: &str, browse: &str) -> Browser {
        let text = format!(
            "data = {:?}\n[browse]\n{browse}\n[environments.kettle]\nvars = {{ PDI_HOME = {:?}, KETTLE_HOME = {:?}, \
             PENTAHO_DI_JAVA_OPTIONS = \"-Xmx512m {ENGLISH}\"{}{vars} }}\n",
            self.path("data"),
            install,
            self.path("home"),
            java(),
        );
        let file = self.path("executor.toml");
        std::fs::write(&file, text).unwrap();
        let config = Config::read(&file).unwrap();
        std::fs::create_dir_all(&config.data).unwrap();
        Browser::new(&config, Clock::system())
    }

    /// One that does what we want.
    fn install(&self, script: &str) -> PathBuf {
        let install = self.path("pdi");
        std::fs::create_dir_all(&install).unwrap();
        for name in ["pan.sh", "kitchen.sh"] {
            std::fs::write(install.join(name), script).unwrap();
            std::fs::set_permissions(install.join(name), PermissionsExt::from_mode(0o755)).unwrap();
        }
        install
    }

    /// On the stand-in, whatever is installed.
    fn standin(&self, how: &str, browse: &str) -> Browser {
        let repositories = "repositories = [\"kettle:main\", \"kettle:other\"]";
        self.browser(
            &own(""),
            &format!(", STANDIN = \"{how}\""),
            &format!("{repositories}\n{browse}"),
        )
    }

    fn ask(&self, browser: &Browser, ask: Ask) -> Answer {
        self.runtime.block_on(browser.answer(ask))
    }

    fn read(&self, browser: &Browser, name: &str) -> Result<Copied, Unseen> {
        let ask = Ask::Read { environment: "kettle".into(), name: name.into() };
        match self.ask(browser, ask)? {
            Shown::Read(copied) => Ok(*copied),
            other => panic!("{other:?}"),
        }
    }

    fn copied(&self, browser: &Browser, name: &str) -> Copied {
        let Ok(Shown::Start(start)) = self.ask(browser, Ask::Start) else { panic!() };
        let copies = start.kept.into_iter().filter_map(|known| known.copied.map(|copied| *copied));
        copies.into_iter().find(|copied| copied.name == name).unwrap()
    }

    /// Has it read, and waits for what comes of it.
    fn done(&self, browser: &Browser, name: &str) -> Copied {
        let begun = self.read(browser, name).unwrap();
        assert!(begun.since_ms.is_some());
        self.over(browser, name)
    }

    fn over(&self, browser: &Browser, name: &str) -> Copied {
        let until = self.clock.mono_ms() + crate::rig::wait_ms();
        loop {
            let copied = self.copied(browser, name);
            if copied.since_ms.is_none() {
                return copied;
            }
            assert!(self.clock.mono_ms() < until, "{copied:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn failed(&self, browser: &Browser) -> String {
        self.done(browser, "main").failed.map(|failed| failed.words).unwrap_or_default()
    }

    fn folder(&self, browser: &Browser, path: &str) -> Result<Folder, Unseen> {
        match self.ask(browser, Ask::Folder { path: path.into(), after: String::new() })? {
            Shown::Folder(folder) => Ok(folder),
            other => panic!("{other:?}"),
        }
    }

    fn file(&self, browser: &Browser, at: At) -> Result<File, Unseen> {
        match self.ask(browser, Ask::File(at))? {
            Shown::File(file) => Ok(*file),
            other => panic!("{other:?}"),
        }
    }

    fn stored(&self, browser: &Browser, path: &str) -> Result<File, Unseen> {
        self.file(browser, At::Path(format!("repository://kettle/main{path}")))
    }

    /// Processes of this shop.
    fn running(&self) -> Vec<i32> {
        let data = self.path("data").display().to_string();
        let all = table::all().into_iter().map(|process| process.pid);
        all.filter(|pid| crate::etl::command_line(*pid).contains(&data)).collect()
    }

    fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let until = self.clock.mono_ms() + crate::rig::wait_ms();
        while !is_so() {
            assert!(self.clock.mono_ms() < until, "{what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn names(folder: &Folder) -> Vec<&str> {
    folder.entries.iter().map(|entry| entry.name.as_str()).collect()
}

/// On a real Kettle too: it exports a repository of files as well as any other.
#[test]
fn an_exported_repository_is_seen_as_its_files_are() {
    let shop = Shop::new();
    let files = shop.path("files");
    std::fs::create_dir_all(files.join("etl/daily")).unwrap();
    for (name, to) in [
        ("hello.ktr", "etl/hello.ktr"),
        ("csv2db.ktr", "etl/daily/csv2db.ktr"),
        ("job.kjb", "etl/job.kjb"),
        ("tell.ktr", "tell.ktr"),
    ] {
        std::fs::copy(sample(name), files.join(to)).unwrap();
    }
    let text = std::fs::read_to_string(sample("job.kjb")).unwrap();
    let by_name = text.replace(
        "filename</specification_method>",
        "rep_name</specification_method><directory>/etl</directory><transname>hello</transname>",
    );
    std::fs::write(files.join("etl/byname.kjb"), by_name).unwrap();
    let browse = format!("folders = [{files:?}]\nrepositories = [\"kettle:files\"]");
    let browser = shop.browser(&install(), "", &browse);
    let copied = shop.done(&browser, "files");
    assert_eq!(
        (copied.failed.as_ref(), copied.objects, copied.left_out),
        (None, 5, 0),
        "{copied:?}"
    );
    let root = "repository://kettle/files";
    let top = shop.folder(&browser, root).unwrap();
    assert_eq!(
        (names(&top), top.path.as_str(), top.above.as_deref()),
        (vec!["etl", "tell.ktr"], root, None)
    );
    let etl = shop.folder(&browser, &format!("{root}/etl")).unwrap();
    assert_eq!(names(&etl), ["daily", "byname.kjb", "hello.ktr", "job.kjb"]);
    assert_eq!(etl.above.as_deref(), Some(root));
    for below in
        ["etl/hello.ktr", "etl/daily/csv2db.ktr", "etl/job.kjb", "etl/byname.kjb", "tell.ktr"]
    {
        let stored = shop.file(&browser, At::Path(format!("{root}/{below}"))).unwrap();
        let file = shop.file(&browser, At::Path(files.join(below).display().to_string())).unwrap();
        let (mut stored, mut file) = (stored.drawn, file.drawn);
        // Kettle names an object after its file, and writes coordinates and parameters anew.
        (stored.name, file.name) = (String::new(), String::new());
        for step in stored.steps.iter_mut().chain(&mut file.steps) {
            if let Some(runs) = &mut step.runs {
                let base = runs.file.strip_prefix(root).map(str::to_owned);
                let own = files.display().to_string();
                runs.file = base
                    .or(runs.file.strip_prefix(&own).map(str::to_owned))
                    .unwrap_or(runs.file.clone());
            }
        }
        assert_eq!(stored, file, "{below}");
    }
    let runs = shop.file(&browser, At::Path(format!("{root}/etl/byname.kjb"))).unwrap();
    let runs = runs.drawn.steps[1].runs.clone().unwrap();
    assert_eq!((runs.file, runs.whole), (format!("{root}/etl/hello.ktr"), true));
}

#[test]
fn a_repository_in_a_database_is_read_when_somebody_asks() {
    let shop = Shop::new();
    shop.put_sample("hello.ktr", "finance/hello.ktr");
    shop.put_sample("job.kjb", "job.kjb");
    std::fs::write(shop.path("home/database/main.login"), "etl:it's s3cret").unwrap();
    let vars = "nobody\", KETTLE_USER = \"etl\", KETTLE_PASSWORD = \"it's s3cret\", KETTLE_REPOSITORY = \"wrong";
    let browser = shop.standin(vars, "");
    let stored = |name: &str| At::Repository {
        environment: "kettle".into(),
        name: name.into(),
        directory: "/finance".into(),
        object: "hello".into(),
        form: Form::Transformation,
    };
    // Nothing is started by who only looks.
    let told = shop.file(&browser, stored("main")).unwrap_err();
    assert!(matches!(&told, Unseen::NotRead(copied) if copied.read_ms.is_none()), "{told}");
    assert!(matches!(shop.folder(&browser, "repository://kettle/main"), Err(Unseen::NotRead(_))));
    assert_eq!(shop.file(&browser, stored("closed")), Err(Unseen::InDatabase("closed".into())));
    assert_eq!(shop.read(&browser, "closed"), Err(Unseen::InDatabase("closed".into())));
    assert_eq!(shop.running(), Vec::<i32>::new());

    let copied = shop.done(&browser, "main");
    assert_eq!((copied.failed, copied.objects), (None, 2));
    let file = shop.file(&browser, stored("main")).unwrap();
    assert_eq!(file.path, "repository://kettle/main/finance/hello.ktr");
    assert_eq!((file.drawn.name.as_str(), file.changed_ms), ("hello", 0));
    assert_eq!(file.copied.as_ref().map(|copied| copied.user.as_str()), Some("etl"));
    let data = shop.path("data/repositories");
    let log = std::fs::read_to_string(data.join("last.log")).unwrap();
    assert!(log.contains("Finished exporting") && !log.contains("s3cret"), "{log}");
    // What Kettle has written is gone; the copy is nobody else's.
    assert!(!data.join("export").exists());
    let inside = walk(&data);
    assert!(inside.iter().any(|path| path.ends_with("files/finance/hello.ktr")), "{inside:?}");
    for path in &inside {
        let mode = path.symlink_metadata().unwrap().permissions().mode();
        assert!(path.is_symlink() || mode & 0o077 == 0, "{} {mode:o}", path.display());
    }
    // An agent that is started again has it still; the next reading takes its place as a whole.
    drop(browser);
    let browser = shop.standin(vars, "");
    assert!(shop.copied(&browser, "main").read_ms >= copied.read_ms);
    std::fs::remove_dir_all(shop.path("home/database/main/finance")).unwrap();
    shop.put_sample("hello.ktr", "other/hello.ktr");
    let again = shop.done(&browser, "main");
    assert!(again.read_ms > copied.read_ms);
    assert!(matches!(shop.stored(&browser, "/finance/hello.ktr"), Err(Unseen::Missing(_))));
    assert!(shop.stored(&browser, "/other/hello.ktr").is_ok());
    // One failure, and what was read stays.
    std::fs::write(shop.path("home/database/main.login"), "etl:another").unwrap();
    let failed = shop.done(&browser, "main");
    let words = failed.failed.unwrap().words;
    let expected =
        "pan.sh has ended with 1: Error connecting to the repository! Incorrect password for user";
    assert_eq!((words.as_str(), failed.read_ms), (expected, again.read_ms));
    assert!(shop.stored(&browser, "/other/hello.ktr").is_ok());
    // What is not to be read any more goes.
    browser.end();
    drop(shop.browser(&own(""), "", ""));
    shop.until("the copies are gone", || walk(&data).iter().all(|path| !path.is_dir()));
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() && path != dir.join("export") {
            all.extend(walk(&path));
        }
        all.push(path);
    }
    all
}

#[test]
fn what_names_are_made_of_gets_nowhere() {
    let shop = Shop::new();
    shop.put_sample("hello.ktr", "ok.ktr");
    let one = |directory: &str, name: &str| {
        format!(
            "<transformation><info><name>{name}</name><directory>{directory}</directory></info></transformation>\n"
        )
    };
    let long = "x".repeat(300);
    let all: String = [
        ("/../../../evil", "a"),
        ("/x/./y", "a"),
        ("/", "../evil"),
        ("/", "a/b"),
        ("/", ""),
        ("/", &long),
        (&format!("/{long}"), "a"),
        (&"/x".repeat(600), "a"),
        ("/", "twice"),
        ("/", "twice"),
        ("/", "x.ktr"),
        ("/x.ktr.ktr/below", "a"),
        ("/named like a.kjb/below", "a"),
        (&"/y".repeat(41), "a"),
        ("/fine", "日志 &amp; more"),
    ]
    .iter()
    .map(|(directory, name)| one(directory, name))
    .collect();
    // After the stand-in's own directory: the file says what its name is.
    let export =
        format!("<repository><transformations>{all}</transformations><jobs/></repository>");
    let script = format!(
        "#!/bin/sh\nfor a in \"$@\"; do case $a in -exprep=*) cat >\"${{a#-exprep=}}\" <<'E'\n{export}\nE\n;; esac; done\n"
    );
    let install = shop.install(&script);
    let browser = shop.browser(&install, "", "repositories = [\"kettle:main\"]");
    let copied = shop.done(&browser, "main");
    assert_eq!((copied.failed, copied.objects, copied.left_out), (None, 3, 12));
    let top = shop.folder(&browser, "repository://kettle/main").unwrap();
    assert_eq!(names(&top), ["fine", "twice.ktr", "x.ktr.ktr"]);
    let named = top.copied.unwrap().named;
    assert_eq!(named.len(), 5);
    assert_eq!(named[0], "transformation /../../../evil/a: its directory is none");
    assert!(shop.stored(&browser, "/fine/日志 & more.ktr").is_ok());
    for path in [
        "/../../../../../etc/passwd",
        "/../now/about.json",
        "/x.ktr.ktr/below/a.ktr",
        "/a\0.ktr",
        "/about.json",
    ] {
        let told = shop.stored(&browser, path);
        assert!(matches!(told, Err(Unseen::Outside(_) | Unseen::Missing(_))), "{path}: {told:?}");
    }
    assert!(walk(shop.dir.path()).iter().all(|path| !path.display().to_string().contains("evil")));
}

#[test]
fn what_is_too_large_is_left_out_and_what_has_no_end_is_ended() {
    let shop = Shop::new();
    shop.put_sample("hello.ktr", "small.ktr");
    let large = "<a>b</a>".repeat(700_000);
    shop.put(
        "large.ktr",
        &format!("<transformation><info><name>l</name></info>{large}</transformation>"),
    );
    let browser = shop.standin("", "");
    let copied = shop.done(&browser, "main");
    assert_eq!((copied.failed, copied.objects, copied.left_out), (None, 1, 1));
    let top = shop.folder(&browser, "repository://kettle/main").unwrap();
    let named = top.copied.unwrap().named;
    assert_eq!(named, ["transformation /large: it has more than 4194304 bytes"]);
    browser.end();
    // Larger than an export may be, as it stands.
    let browser = shop.standin("", "export_mib = 1");
    let words = shop.failed(&browser);
    assert!(words.contains("larger than the 1 MiB that are read (browse.export_mib)"), "{words}");
    browser.end();
    let browser = shop.standin("endless", "export_mib = 1");
    let words = shop.failed(&browser);
    assert!(words.contains("larger than the 1 MiB"), "{words}");
    assert!(shop.stored(&browser, "/small.ktr").is_ok(), "the former one stays");
    assert_eq!(shop.running(), Vec::<i32>::new());
}

#[test]
fn an_export_that_goes_wrong_is_told_in_words() {
    for (how, name, words) in [
        (
            "",
            "other",
            "pan.sh has ended with 7: Pan can't continue because the repository [other] could not be found.",
        ),
        ("nothing", "main", "pan.sh has exported nothing of \"main\""),
        ("cut", "main", "pan.sh has ended with 1"),
        // Its file is as whole as any.
        ("partial", "main", "pan.sh has ended with 1"),
    ] {
        let shop = Shop::new();
        shop.put_sample("hello.ktr", "a.ktr");
        let browser = shop.standin(how, "");
        let told = shop.done(&browser, name).failed.map(|failed| failed.words).unwrap_or_default();
        assert!(told.starts_with(words), "{how}: {told}");
        assert_eq!(shop.copied(&browser, name).read_ms, None, "{how}");
    }
    let shop = Shop::new();
    let browser =
        shop.browser(&shop.path("gone"), "", "repositories = [\"kettle:main\", \"nobody:main\"]");
    assert!(shop.failed(&browser).contains("PDI_HOME"), "{}", shop.failed(&browser));
    let ask = Ask::Read { environment: "nobody".into(), name: "main".into() };
    shop.ask(&browser, ask).unwrap();
    shop.until("it is told", || {
        let Ok(Shown::Start(start)) = shop.ask(&browser, Ask::Start) else { panic!() };
        let told = start.kept.iter().filter_map(|known| known.copied.as_ref()?.failed.as_ref());
        told.into_iter().any(|failed| failed.words.contains("no environment \"nobody\""))
    });
}

#[test]
fn what_waits_for_ever_is_ended_in_time_and_with_the_agent() {
    let shop = Shop::new();
    shop.put_sample("hello.ktr", "a.ktr");
    let browser = shop.standin("login", "read_within_s = 1");
    let words = shop.failed(&browser);
    assert!(
        words.starts_with("it took longer than 1 s (browse.read_within_s) to export it"),
        "{words}"
    );
    assert_eq!(shop.running(), Vec::<i32>::new());
    browser.end();

    let browser = shop.standin("login", "");
    shop.read(&browser, "main").unwrap();
    // One at a time, whoever asks.
    for name in ["main", "other"] {
        assert_eq!(shop.read(&browser, name), Err(Unseen::Reads("main".into())));
    }
    shop.until("a JVM", || !shop.running().is_empty());
    browser.end();
    assert_eq!(shop.running(), Vec::<i32>::new());
    assert!(shop.read(&browser, "main").is_err(), "it reads no more");

    // An agent that was killed ends nothing; the next one does.
    let killed = shop.standin("login", "");
    shop.read(&killed, "main").unwrap();
    shop.until("a JVM", || !shop.running().is_empty());
    let next = shop.standin("", "");
    // Here both live in one process: the first one's thread goes on.
    let ended = shop.over(&killed, "main").failed.map(|failed| failed.words);
    assert_eq!(ended.as_deref(), Some("pan.sh was ended by SIGKILL"));
    assert_eq!(shop.running(), Vec::<i32>::new());
    assert_eq!(shop.done(&next, "main").failed, None);
}

#[test]
fn kettle_runs_as_the_user_that_the_host_names_and_the_copy_is_not_his() {
    assert!(nix::unistd::geteuid().is_root(), "only root can become another user");
    let shop = Shop::new();
    shop.put_sample("hello.ktr", "a.ktr");
    std::fs::set_permissions(shop.dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let browser = shop.standin("login", "user = \"daemon\"\n[jobs]\nusers = [\"daemon\"]");
    shop.read(&browser, "main").unwrap();
    shop.until("a JVM", || !shop.running().is_empty());
    let uid = nix::unistd::User::from_name("daemon").unwrap().unwrap().uid.as_raw();
    for pid in shop.running() {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        assert!(status.contains(&format!("Uid:\t{uid}\t{uid}\t{uid}\t{uid}\n")), "{status}");
    }
    browser.end();
    let browser = shop.standin("", "user = \"daemon\"\n[jobs]\nusers = [\"daemon\"]");
    assert_eq!(shop.done(&browser, "main").failed, None);
    for path in walk(&shop.path("data/repositories")) {
        assert_eq!(path.symlink_metadata().unwrap().uid(), 0, "{}", path.display());
    }
    browser.end();
    // What is no file of his is not taken for one.
    let script = "#!/bin/sh\nfor a in \"$@\"; do case $a in -exprep=*) ln -s /etc/hostname \"${a#-exprep=}\" ;; esac; done\n";
    let install = shop.install(script);
    let repositories = "repositories = [\"kettle:main\"]";
    let browser = shop.browser(
        &install,
        "",
        &format!("{repositories}\nuser = \"daemon\"\n[jobs]\nusers = [\"daemon\"]"),
    );
    let words = shop.failed(&browser);
    assert!(words.starts_with("pan.sh has exported nothing of \"main\""), "{words}");
    assert!(shop.stored(&browser, "/a.ktr").is_ok());
}
