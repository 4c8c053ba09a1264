//! Files of Kettle and Hop: a host that shows its own, folders, pictures, what becomes of them, and who
//! may do that.

mod declared;
mod stored;

use crate::app::{Answer, Client, NOW, TestApp};
use axum::http::Method;
use executor::agent::browse::Browser;
use master::leader::dial::Inside;
use master::store;
use master::store::leader::HostStatus;
use serde_json::json;
use shared::clock::Clock;
use shared::etl::browse;
use shared::ids::*;
use shared::rpc::{self, Executor, ExecutorClient};
use shared::wire::*;
use std::path::Path;
use std::sync::Arc;
use tarpc::context::Context;

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../executor/tests/kettle/samples");

/// A host that has nothing but files: what it shows is what an executor shows.
#[derive(Clone)]
struct Host(Browser);

impl Executor for Host {
    async fn hello(self, _: Context, hello: Hello) -> Result<Hello, Refused> {
        Ok(hello)
    }

    async fn order(self, _: Context, _: OrderCall) -> Result<(), Refused> {
        Err(Refused::Role)
    }

    async fn watch(self, _: Context, _: WatchCall) -> Result<WatchAnswer, Refused> {
        Err(Refused::Role)
    }

    async fn read_log(self, _: Context, _: LogQuery) -> Result<Option<LogPart>, Refused> {
        Ok(None)
    }

    async fn probe(self, _: Context, _: Call) -> Result<HostFacts, Refused> {
        Err(Refused::Role)
    }

    async fn browse(self, _: Context, ask: browse::Ask) -> Result<browse::Answer, Refused> {
        Ok(self.0.answer(ask).await)
    }

    async fn next_key(self, _: Context, _: Call) -> Result<String, Refused> {
        Err(Refused::Role)
    }

    async fn next_certificate(self, _: Context, _: Call, _: String) -> Result<(), Refused> {
        Err(Refused::Role)
    }
}

/// `files` shows them, `closed` shows none, `slow` says nothing, `gone` is not there.
struct Hosts {
    files: Browser,
    closed: Browser,
}

impl Inside for Hosts {
    fn connect(&self, address: &str) -> anyhow::Result<(String, ExecutorClient)> {
        let browser = match address {
            "files:1" => self.files.clone(),
            "closed:1" => self.closed.clone(),
            "slow:1" => {
                // It is there, and says nothing.
                let (ours, theirs) = tokio::io::duplex(1 << 10);
                let silent = async move {
                    let _ours = ours;
                    std::future::pending::<()>().await;
                };
                shared::tasks::spawn("a silent host", silent);
                return Ok((address.to_owned(), rpc::connect(theirs)));
            }
            _ => anyhow::bail!("nobody answers at {address}"),
        };
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        shared::tasks::spawn("a host", rpc::serve(ours, Host(browser)));
        Ok((address.to_owned(), rpc::connect(theirs)))
    }
}

struct Shop {
    app: TestApp,
    admin: Client,
    root: String,
    _dir: tempfile::TempDir,
}

impl Shop {
    async fn new() -> Shop {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let etl = root.join("etl");
        std::fs::create_dir_all(etl.join("daily")).unwrap();
        for name in ["hello.ktr", "bad.ktr", "forever.ktr", "job.kjb", "lenient.kjb"] {
            std::fs::copy(Path::new(SAMPLES).join(name), etl.join("daily").join(name)).unwrap();
        }
        let mut config = executor::config::Config { data: root.join("data"), ..Default::default() };
        let closed = Browser::new(&config.clone().checked().unwrap(), Clock::system());
        config.browse.folders = vec![etl.clone()];
        stored::lay_out(&root, &mut config);
        let files = Browser::new(&config.checked().unwrap(), Clock::system());
        let app = TestApp::with_hosts(Arc::new(Hosts { files, closed })).await;
        let admin = app.admin().await;
        for name in ["files", "closed", "gone"] {
            let spec = json!({"address": format!("{name}:1")});
            let body = json!({"name": name, "spec": spec});
            app.api(&admin, Method::POST, "/api/v1/hosts", body).await.is(201);
        }
        let body = json!({"name": "load", "spec": {"granularity": "day"}});
        app.api(&admin, Method::POST, "/api/v1/interfaces", body).await.is(201);
        let root = etl.display().to_string();
        Shop { app, admin, root, _dir: dir }
    }

    async fn get(&self, path: &str) -> Answer {
        self.app.get(&self.admin, &path.replace("ETL", &self.root)).await
    }

    /// A job of the interface, by its form.
    async fn save(&self, host: &str, params: &str) -> Answer {
        let file = format!("{}/daily/job.kjb", self.root);
        let form = [
            ("interface", "1"),
            ("name", "job"),
            ("kind", "kettle"),
            ("fields.runs", "job"),
            ("fields.file", &file),
            ("fields.params", params),
            ("place.hosts", host),
            ("place.slots", "1"),
            ("environment", "pdi-8"),
        ];
        self.app.post(&self.admin, "/job/add/", &form).await
    }

    async fn heard(&self, host: i64) {
        let status = HostStatus {
            host: HostId(host),
            state: "live".into(),
            heard_ms: NOW,
            incarnation: Incarnation(7),
            why: String::new(),
            facts: "{}".into(),
        };
        self.app.app.db.commit([store::leader::host_statuses(&[status])]).await.unwrap();
    }
}

#[tokio::test]
async fn a_person_goes_down_to_a_file_and_sees_its_picture() {
    let shop = Shop::new().await;
    shop.get("/browse/?host=1")
        .await
        .is(200)
        .has(&shop.root)
        .has("href=\"/browse/?host=1&amp;path=");
    let page = shop.get("/browse/?host=1&path=ETL/daily").await;
    page.is(200).has("job.kjb</a>").has("one folder up").has_not("data-pick");
    let page = shop.get("/browse/?host=1&path=ETL/daily/job.kjb").await;
    page.is(200).has("<svg viewBox").has("job1").has("<code>WHO</code>").has("New job from it");
    page.has("class=\"hop success\"").has(&format!("{}/daily/hello.ktr", shop.root));
    page.has_not("Encrypted");
    let page = shop.app.get(&shop.admin.in_chinese(), "/browse/?host=1").await;
    page.has("Kettle 与 Hop 文件");
    let form = shop.get("/job/add/?host=1&file=ETL/daily/hello.ktr").await;
    form.is(200).has("value=\"hello\"").has("<option value=\"transformation\" selected>");
    form.has(&format!("value=\"{}/daily/hello.ktr\"", shop.root)).has("data-browse");
    let part = shop.get("/browse/part/?host=1&path=ETL/daily").await;
    part.is(200)
        .has(&format!("data-pick=\"{}/daily/job.kjb\"", shop.root))
        .has("data-form=\"job\"");
}

#[tokio::test]
async fn what_a_host_does_not_show_is_said() {
    let shop = Shop::new().await;
    let long = format!("/browse/?host=1&path=/{}", "x".repeat(5_000));
    for (path, status, words) in [
        ("/browse/?host=2", 200, "shows no files yet"),
        ("/browse/?host=2&path=ETL", 403, "shows no files yet"),
        ("/browse/?host=3", 200, "cannot be asked now: nobody answers"),
        ("/browse/?host=1&path=/etc", 403, "is in none of the folders"),
        ("/browse/?host=1&path=ETL/../../etc", 403, "is in none of the folders"),
        ("/browse/?host=1&path=../etc", 422, "is in none of the folders"),
        (&*long, 422, "is in none of the folders"),
        ("/browse/?host=1&path=ETL/nowhere", 404, "is not there"),
        ("/browse/?host=1&path=ETL/daily/hello.ktr/", 422, "is no folder"),
        ("/browse/part/?host=1&path=/etc", 403, "is in none of the folders"),
        ("/browse/part/?host=1&path=ETL/nowhere", 404, "is not there"),
        ("/browse/file/?host=1&path=/etc/passwd", 403, "is in none of the folders"),
        ("/browse/file/?host=1&path=ETL/daily", 422, "is no .ktr, .kjb, .hpl or .hwf file"),
        ("/browse/file/?host=1&path=ETL/daily/gone.ktr", 404, "is not there"),
        ("/browse/import/?host=1&path=/etc", 403, "is in none of the folders"),
        ("/browse/import/?host=1&path=ETL/nowhere", 404, "is not there"),
    ] {
        shop.get(path).await.is(status).has(words);
    }
    std::fs::write(Path::new(&shop.root).join("daily/odd.ktr"), "<script>alert(1)</script>")
        .unwrap();
    let page = shop.get("/browse/file/?host=1&path=ETL/daily/odd.ktr").await;
    page.is(422).has("It is no file that Kettle or Hop would read").has_not("<script>alert");
    for path in ["/browse/?host=99", "/browse/part/?host=99", "/browse/file/?host=99&path=/x.ktr"] {
        shop.get(path).await.is(404);
    }
    shop.get("/browse/import/?host=99&path=/x").await.is(404);
    let nobody = shop.app.get(&Client::nobody(), "/browse/?host=1").await;
    assert!(nobody.status.is_redirection(), "{nobody:?}");
    // Of another project: its hosts are not theirs.
    let second = "INSERT INTO project (id, name, title, params, created_ms, row_version) \
                  VALUES (2, 'second', 'Second', '{}', 0, 1)";
    let theirs = "UPDATE host SET project_id = 2, version = version + 1";
    let raise = "UPDATE revision SET value = value + 1";
    let only = "UPDATE user_right SET project_id = 1 WHERE user_id = \
                (SELECT id FROM user_account WHERE name = 'stranger')";
    let stranger = shop.app.client("stranger", "view").await;
    let all = [second, theirs, raise, only].map(|text| master::db::sql(text, vec![]));
    shop.app.app.db.commit(all).await.unwrap();
    shop.app.get(&stranger, "/browse/?host=1").await.is(404);
}

#[tokio::test]
async fn the_page_of_a_job_has_the_picture_of_its_file() {
    let shop = Shop::new().await;
    shop.heard(1).await;
    // Where none is chosen, one that answers is shown first.
    shop.get("/browse/").await.is(200).has(&shop.root);
    shop.save("1", "WHO=me").await.is(303);
    let page = shop.get("/job/1/?tab=picture").await;
    page.is(200).has("<svg viewBox").has("As it is on exec host files now").has("SUCCESS");
    shop.get("/job/1/").await.has("?tab=picture");
    shop.get("/browse/file/?host=1&path=ETL/daily/job.kjb")
        .await
        .has("Jobs that run it")
        .has("/job/1/");
    // What a server runs is drawn too, where a host has that file.
    let file = format!("{}/daily/job.kjb", shop.root);
    let on_server = json!({
        "kind": "carte", "environment": "carte", "place": {"hosts": [1]},
        "fields": {"runs": "job", "file": file, "params": {"WHOM": "you"}},
    });
    let body = json!({"name": "on_carte", "interface": 1, "spec": on_server});
    // The server may have another one: nothing is refused for this host's.
    let saved = shop.app.api(&shop.admin, Method::POST, "/api/v1/jobs", body).await;
    saved.is(201).has_not("notices");
    shop.get("/job/2/").await.has("?tab=picture");
    let page = shop.get("/job/2/?tab=picture").await;
    page.is(200).has("<svg viewBox").has("on another machine that may be another file");
    let at_home = json!({
        "kind": "hop_server", "environment": "hop", "fields": {"file": "night/sales.hpl"},
    });
    let body = json!({"name": "on_hop", "interface": 1, "spec": at_home});
    shop.app.api(&shop.admin, Method::POST, "/api/v1/jobs", body).await.is(201);
    shop.get("/job/3/?tab=picture").await.is(200).has("where only its server knows");
}

/// The project that is chosen is not one in which this person may write.
#[tokio::test]
async fn who_may_not_save_is_given_no_form() {
    let shop = Shop::new().await;
    let second = "INSERT INTO project (id, name, title, params, created_ms, row_version) \
                  VALUES (2, 'second', 'Second', '{}', 0, 1)";
    let raise = "UPDATE revision SET value = value + 1";
    let here = "UPDATE user_right SET project_id = 1 WHERE user_id = \
                (SELECT id FROM user_account WHERE name = 'half')";
    let there = "INSERT INTO user_right (user_id, project_id, rights) SELECT id, 2, 'view,write' FROM \
                 user_account WHERE name = 'half'";
    let half = shop.app.client("half", "view").await;
    let all = [second, raise, here, there].map(|text| master::db::sql(text, vec![]));
    shop.app.app.db.commit(all).await.unwrap();
    let import = format!("/browse/import/?host=1&path={}", shop.root);
    let folder = format!("/browse/?host=1&path={}", shop.root);
    let file = format!("/browse/file/?host=1&path={}/daily/job.kjb", shop.root);
    // Where nothing is chosen, it goes where they may write.
    let review = shop.app.get(&half, &import).await;
    review.is(200).has("<form class=\"form import\"").has("into project second");
    shop.app.get(&half, &folder).await.is(200).has("Import …");
    // In project 1 they only look: no button leads there, and no form is filled in for nothing.
    let here = half.with("project", "1");
    shop.app.get(&here, &folder).await.is(200).has_not("Import …");
    shop.app.get(&here, &file).await.is(200).has_not("Import …").has_not("New job from it");
    for path in [&*import, "/interface/add/", "/calendar/add/", "/base/exec/host/add/"] {
        let refused = shop.app.get(&here, path).await;
        refused.is(403).has("you need the right").has_not("<form class=\"form");
    }
    shop.app.get(&half, "/interface/1/edit/").await.is(403);
    shop.save("1", "WHO=me").await.is(303);
    shop.app.get(&half, "/job/1/edit/").await.is(403);
    shop.app.get(&half, "/job/1/").await.is(200).has_not("/job/1/edit/");
    shop.app.get(&here, "/job/").await.is(200).has_not("data-all").has_not("class=\"bulk\"");
    // An interface that is not theirs is not offered, and is refused beside its field.
    let form = shop.app.get(&half, "/job/add/").await;
    form.is(200).has_not("load (1)");
    let typed =
        [("interface", "1"), ("name", "mine"), ("kind", "shell"), ("fields.program", "true")];
    let refused = shop.app.post(&half, "/job/add/", &typed).await;
    refused.is(422).has("you may write nothing in its project").has("value=\"mine\"");
}

/// The fields of the review as a browser would send them back, with some of them changed.
fn typed(page: &Answer, changes: &[(&str, &str)]) -> Vec<(String, String)> {
    let input = regex::Regex::new(r#"<input[^>]*name="([^"]+)"[^>]*>"#).unwrap();
    let value = regex::Regex::new(r#"value="([^"]*)""#).unwrap();
    let mut fields: Vec<(String, String)> = Vec::new();
    for found in input.captures_iter(&page.text) {
        let (tag, name) = (&found[0], found[1].to_owned());
        let known =
            ["host", "path", "how", "zone", "environment_kettle", "environment_hop", "only_here"];
        if !name.starts_with("rows[") && !known.contains(&name.as_str()) {
            continue;
        }
        if tag.contains("checkbox") && !tag.contains("checked") {
            continue;
        }
        let value = value.captures(tag).map_or(String::new(), |found| found[1].to_owned());
        fields.push((name, value));
    }
    fields.push(("granularity".into(), "day".into()));
    for (name, value) in changes {
        fields.retain(|(other, _)| other != name);
        fields.push(((*name).to_owned(), (*value).to_owned()));
    }
    fields
}

impl Shop {
    async fn import(&self, fields: &[(String, String)]) -> Answer {
        let pairs: Vec<(&str, &str)> =
            fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.app.post(&self.admin, "/browse/import/", &pairs).await
    }
}

#[tokio::test]
async fn a_folder_becomes_jobs_once_a_person_has_looked_at_it() {
    let shop = Shop::new().await;
    let review = shop.get("/browse/import/?host=1&path=ETL").await;
    review.is(200).has("etl_daily").has("job.kjb runs it: it need not be a job of its own");
    // Nothing is saved by looking.
    let before = shop.app.app.catalog().await.unwrap().interfaces.len();
    assert_eq!(before, 1);
    let refused = shop.import(&typed(&review, &[])).await;
    refused.is(422).has("environment");
    assert_eq!(shop.app.app.catalog().await.unwrap().interfaces.len(), 1);
    let refused = shop
        .import(&typed(
            &review,
            &[("environment_kettle", "pdi-8"), ("rows[0].take", "on"), ("rows[0].after", "nobody")],
        ))
        .await;
    refused.is(422).has("rows[0].after");
    let saved = shop.import(&typed(&review, &[("environment_kettle", "pdi-8")])).await;
    assert_eq!(saved.is(303).location(), "/interface/2/");
    let catalog = shop.app.app.catalog().await.unwrap();
    let made = &catalog.interfaces[&InterfaceId(2)];
    assert_eq!(made.name, "etl_daily");
    let names: Vec<&str> = made.jobs.iter().map(|job| job.name.as_str()).collect();
    assert!(names.contains(&"job") && !names.contains(&"hello"), "{names:?}");
    let job = made.jobs.iter().find(|job| job.name == "job").unwrap();
    assert_eq!(job.spec.fields["file"], format!("{}/daily/job.kjb", shop.root));
    assert_eq!(
        (job.spec.fields["runs"].as_str(), &job.spec.place.hosts[..]),
        (Some("job"), &[HostId(1)][..])
    );
    // What is there already is not touched.
    let again = shop.import(&typed(&review, &[("environment_kettle", "pdi-8")])).await;
    again.is(422).has("there is a job of this name already");
}

#[tokio::test]
async fn the_entries_of_a_job_become_jobs_after_its_hops() {
    let shop = Shop::new().await;
    let entry = |name: &str, kind: &str| {
        format!(
            "<entry><name>{name}</name><type>{kind}</type><filename>{}/{name}.ktr</filename></entry>",
            shop.root
        )
    };
    let hop = |from: &str, to: &str, good: &str| {
        format!(
            "<hop><from>{from}</from><to>{to}</to><enabled>Y</enabled><evaluation>{good}</evaluation>\
                 <unconditional>N</unconditional></hop>"
        )
    };
    let text = format!(
        "<job><name>night</name><entries>{}{}{}{}</entries><hops>{}{}{}</hops></job>",
        entry("START", "SPECIAL"),
        entry("extract", "TRANS"),
        entry("load", "TRANS"),
        entry("mend", "TRANS"),
        hop("START", "extract", "Y"),
        hop("extract", "load", "Y"),
        hop("load", "mend", "N"),
    );
    std::fs::write(Path::new(&shop.root).join("night.kjb"), text).unwrap();
    let review = shop.get("/browse/import/?host=1&path=ETL/night.kjb&how=expanded").await;
    review.is(200).has("value=\"load:failure\"");
    let saved = shop.import(&typed(&review, &[("environment_kettle", "pdi-8")])).await;
    assert_eq!(saved.is(303).location(), "/interface/2/");
    let catalog = shop.app.app.catalog().await.unwrap();
    let made = &catalog.interfaces[&InterfaceId(2)];
    assert_eq!((made.name.as_str(), made.jobs.len()), ("night", 3));
    let told: Vec<_> =
        made.jobs.iter().map(|job| (job.name.as_str(), job.spec.after.len())).collect();
    assert_eq!(told, [("extract", 0), ("load", 1), ("mend", 1)]);
    assert_eq!(serde_json::to_value(made.jobs[2].spec.after[0].expect).unwrap(), "failure");
    // Who may only look imports nothing.
    let guest = shop.app.client("guest", "view").await;
    let path = format!("/browse/import/?host=1&path={}", shop.root);
    shop.app.get(&guest, &path).await.is(403);
    shop.app.post(&guest, "/browse/import/", &[("host", "1")]).await.is(403);
}
