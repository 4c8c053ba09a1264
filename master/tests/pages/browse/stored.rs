//! A repository in a database: a person has it read, goes through it, and makes jobs of it.

use super::Shop;
use crate::app::Answer;
use axum::http::Method;
use executor::config::{Config, Defined};
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const ROOT: &str = "repository://pdi/main";
/// As Kettle exports it: a job runs a transformation by its name.
const EXPORT: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<repository>
<transformations>
<transformation><info><name>load &amp; go</name><directory>&#x2f;finance&#x2f;daily</directory><parameters><parameter><name>DAY</name><default_value>today</default_value><description/></parameter></parameters></info>
<connection><name>c</name><password>Encrypted 2be98afc86aa7f2e4cb79ce71da9fa6d4</password></connection>
<order/><step><name>in</name><type>TableInput</type><GUI><xloc>10</xloc><yloc>10</yloc></GUI></step></transformation>
</transformations>
<jobs>
<job><name>night</name><directory>/finance</directory><parameters/><entries><entry><name>START</name><type>SPECIAL</type></entry>
<entry><name>first</name><type>TRANS</type><specification_method>rep_name</specification_method><directory>/finance/daily</directory><transname>load &amp; go</transname></entry></entries>
<hops><hop><from>START</from><to>first</to><unconditional>Y</unconditional></hop></hops></job>
</jobs>
</repository>
"#;

/// An install that exports what lies beside it, once there is no `wait`.
pub(super) fn lay_out(root: &Path, config: &mut Config) {
    let pdi = root.join("pdi");
    std::fs::create_dir_all(&pdi).unwrap();
    std::fs::write(pdi.join("export.xml"), EXPORT).unwrap();
    let script = "#!/bin/sh\nh=$(dirname \"$0\")\nwhile [ -e \"$h/wait\" ]; do sleep 0.05; done\nfor a in \"$@\"; do case $a in -exprep=*) cp \"$h/export.xml\" \"${a#-exprep=}\" ;; esac; done\n";
    for name in ["pan.sh", "kitchen.sh"] {
        std::fs::write(pdi.join(name), script).unwrap();
        std::fs::set_permissions(pdi.join(name), PermissionsExt::from_mode(0o755)).unwrap();
    }
    let vars = [("PDI_HOME", pdi.display().to_string()), ("KETTLE_USER", "etl".into())];
    let vars = vars.map(|(name, value)| (name.to_owned(), value)).into();
    config.environments.insert("pdi".into(), Defined { vars, path: Vec::new() });
    config.browse.repositories = vec!["pdi:main".into()];
    config.output.disk_low_bytes = 0;
}

impl Shop {
    fn pdi(&self, name: &str) -> PathBuf {
        Path::new(&self.root).parent().unwrap().join("pdi").join(name)
    }

    async fn press(&self, path: &str) -> Answer {
        let form = [("host", "1"), ("environment", "pdi"), ("repository", "main"), ("path", path)];
        self.app.post(&self.admin, "/browse/read/", &form).await
    }

    async fn until_read(&self) {
        self.press(ROOT).await.is(303);
        for _ in 0..600 {
            if !self
                .get(&format!("/browse/?host=1&path={ROOT}"))
                .await
                .text
                .contains("data-reading")
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("it is not read");
    }
}

#[tokio::test]
async fn a_repository_is_read_and_seen() {
    let shop = Shop::new().await;
    let top = format!("/browse/?host=1&path={ROOT}");
    shop.get("/browse/?host=1")
        .await
        .is(200)
        .has("repository in a database")
        .has("Read it now")
        .has(ROOT);
    shop.get(&top)
        .await
        .is(200)
        .has("has not read it yet")
        .has("Read it now")
        .has_not("data-reading");
    std::fs::write(shop.pdi("wait"), "").unwrap();
    shop.press(ROOT).await.is(303);
    shop.get(&top)
        .await
        .is(200)
        .has("It is being read now")
        .has("data-reading")
        .has_not("Read it now");
    // A second one is told so.
    let told = shop.press(ROOT).await;
    assert!(told.is(303).headers["location"].to_str().unwrap().ends_with("&busy=true"));
    shop.get(&format!("{top}&busy=true"))
        .await
        .is(200)
        .has("has not read it yet")
        .has("It is being read now");
    std::fs::remove_file(shop.pdi("wait")).unwrap();
    for _ in 0..600 {
        if shop.get(&top).await.text.contains("Read it again") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let page = shop.get(&top).await;
    page.is(200)
        .has("Repository main as it was at")
        .has("2 jobs and transformations")
        .has("finance/</a>");
    page.has_not("1970").has_not("Changed");
    shop.get(&format!("/browse/?host=1&path={ROOT}/finance"))
        .await
        .is(200)
        .has("night.kjb")
        .has("daily/</a>")
        .has("one folder up");
    let file = shop.get(&format!("/browse/?host=1&path={ROOT}/finance/night.kjb")).await;
    file.is(200)
        .has("<svg viewBox")
        .has("path=repository%3A//pdi/main/finance/daily/load%20%26%20go.ktr")
        .has("Read it again");
    file.has_not(&shop.root).has_not("/repositories/");
    let file = shop
        .get(&format!("/browse/file/?host=1&path={ROOT}/finance/daily/load%20%26%20go.ktr"))
        .await;
    file.is(200).has("<code>DAY</code>").has_not("Encrypted");
    shop.get(&format!("/browse/?host=1&path={ROOT}/../other")).await.is(422);
    shop.get(&format!("/browse/?host=1&path={ROOT}/gone")).await.is(404);
    // One that goes wrong is told, and what was read stays.
    std::fs::write(shop.pdi("export.xml"), "<repository><jobs>").unwrap();
    shop.until_read().await;
    let page = shop.get(&top).await;
    page.is(200).has("It could not be read").has("/repository&gt; is missing").has("finance/</a>");
    let page = shop.app.get(&shop.admin.in_chinese(), &top).await;
    page.has("读取失败").has("重新读取");
}

#[tokio::test]
async fn only_who_may_edit_jobs_has_one_read_and_only_one_that_its_host_names() {
    let shop = Shop::new().await;
    let top = format!("/browse/?host=1&path={ROOT}");
    // Who may only look has no button, and nothing comes of pressing it.
    let guest = shop.app.client("guest", "view").await;
    shop.app.get(&guest, &top).await.is(200).has("has not read it yet").has_not("Read it now");
    let form = [("host", "1"), ("environment", "pdi"), ("repository", "main")];
    shop.app.post(&guest, "/browse/read/", &form).await.is(403);
    let other = [("host", "1"), ("environment", "pdi"), ("repository", "other")];
    shop.app.post(&shop.admin, "/browse/read/", &other).await.is(422).has("does not name it");
    let nowhere = [("host", "99"), ("environment", "pdi"), ("repository", "main")];
    shop.app.post(&shop.admin, "/browse/read/", &nowhere).await.is(404);
    // Nothing of that was done; what is done is kept, with who, where and what.
    let told = async || master::store::audit::of_object(&shop.app.app.db, "host", 1, 1).await;
    assert_eq!(told().await.unwrap()[0].action, "create");
    shop.press(ROOT).await.is(303);
    let told = told().await.unwrap().remove(0);
    assert_eq!((told.action.as_str(), told.detail.as_str()), ("read", ROOT));
    assert!(told.by.0 > 0 && told.project.0 == 0 && !told.from.is_empty());
}

#[tokio::test]
async fn a_host_of_another_project_reads_nothing_for_who_may_only_look_there() {
    let shop = Shop::new().await;
    let second = "INSERT INTO project (id, name, title, params, created_ms, row_version) \
                  VALUES (2, 'second', 'Second', '{}', 0, 1)";
    let raise = "UPDATE revision SET value = value + 1";
    let lead = shop.app.client("lead", "view,write").await;
    let only = "UPDATE user_right SET project_id = 1 WHERE user_id = \
                (SELECT id FROM user_account WHERE name = 'lead')";
    let run = async |all: &[&'static str]| {
        let all: Vec<_> = all.iter().map(|text| master::db::sql(*text, vec![])).collect();
        shop.app.app.db.commit(all).await.unwrap();
    };
    run(&[second, only, raise]).await;
    let lead = lead.with("project", "1");
    let top = format!("/browse/?host=1&path={ROOT}");
    let form = [("host", "1"), ("environment", "pdi"), ("repository", "main")];
    let press = async || shop.app.post(&lead, "/browse/read/", &form).await;
    let pages = async |has: bool| {
        let part = top.replace("/browse/", "/browse/part/");
        let file = format!("/browse/file/?host=1&path={ROOT}/finance/night.kjb");
        let import = format!("/browse/import/?host=1&path={ROOT}");
        for path in ["/browse/?host=1", &top, &part, &file, &import] {
            let page = shop.app.get(&lead, path).await;
            match has {
                true => page.is(200).has("Read it now"),
                false => page.is(200).has_not("Read it now"),
            };
        }
    };
    // Of all projects: for whoever may edit jobs of any.
    pages(true).await;
    run(&["UPDATE host SET project_id = 2, version = version + 1", raise]).await;
    // The project that is chosen gives no right to another one's host, whether it is seen or not.
    press().await.is(404);
    let view = "INSERT INTO user_right (user_id, project_id, rights) SELECT id, 2, 'view' FROM \
                user_account WHERE name = 'lead'";
    run(&[view]).await;
    press().await.is(403).has("you need the right");
    pages(false).await;
    shop.get(&top).await.is(200).has("has not read it yet").has_not("data-reading");
    run(&["UPDATE host SET project_id = 1, version = version + 1", raise]).await;
    pages(true).await;
    press().await.is(303);
}

/// A job of the transformation, as programs write it.
fn job(name: &str, params: serde_json::Value) -> serde_json::Value {
    json!({"name": name, "interface": 1, "spec": {
        "kind": "kettle", "environment": "pdi", "place": {"hosts": [1]},
        "fields": {"runs": "transformation", "repository": "main", "directory": "/finance/daily",
            "object": "load & go", "params": params},
    }})
}

#[tokio::test]
async fn a_parameter_that_a_copy_does_not_know_is_told_and_refuses_nothing() {
    let shop = Shop::new().await;
    shop.heard(1).await;
    shop.until_read().await;
    let post = async |body| shop.app.api(&shop.admin, Method::POST, "/api/v1/jobs", body).await;
    // The repository may have it by now.
    let told = post(job("newer", json!({"NIGHT": "1"}))).await;
    let notice = &told.is(201).json()["notices"][0];
    assert_eq!((&notice["jobs"], &notice["count"]), (&json!(["load/newer"]), &json!(1)));
    told.has(
        "declares no parameter NIGHT in the copy of its repository that exec host files has of 20",
    );
    told.has("have it read again on the page Files");
    let mut applied = job("", json!({"NIGHT": "1"}))["spec"].clone();
    (applied["name"], applied["place"]["hosts"]) = ("one".into(), json!(["files"]));
    let documents = json!([{"source": "a.yaml:1", "kind": "interface", "name": "applied", "spec": {},
        "jobs": [applied]}]);
    let body = json!({"dry_run": true, "documents": documents});
    let told = shop.app.api(&shop.admin, Method::POST, "/api/v1/apply", body).await;
    told.is(200).has("declares no parameter NIGHT in the copy");
    let form = [
        ("interface", "1"),
        ("name", "by_form"),
        ("kind", "kettle"),
        ("fields.runs", "transformation"),
        ("fields.repository", "main"),
        ("fields.directory", "/finance/daily"),
        ("fields.object", "load & go"),
        ("fields.params", "DAY=1\nNIGHT=1"),
        ("place.hosts", "1"),
        ("place.slots", "1"),
        ("environment", "pdi"),
    ];
    let saved = shop.app.post(&shop.admin, "/job/add/", &form).await;
    let address = saved.is(303).location().to_owned();
    assert!(address.contains("/?unchecked=older&read_ms=1") && address.ends_with("&names=NIGHT"));
    let page = shop.get(&address).await;
    page.is(200).has("does not know a parameter that the job gives: NIGHT.").has("the copy is of");
    let page = shop.get(&address.replace("=NIGHT", "=WHATEVER,DAY")).await;
    page.is(200).has("the job gives: DAY.").has_not("gives: WHATEVER");
}

#[tokio::test]
async fn a_repository_becomes_jobs_that_are_checked_by_it() {
    let shop = Shop::new().await;
    shop.heard(1).await;
    let post = async |body| shop.app.api(&shop.admin, Method::POST, "/api/v1/jobs", body).await;
    // Nothing is refused, and nothing started, by what nobody has read.
    let saved = post(job("unread", json!({"NIGHT": "1"}))).await;
    saved.is(201).has("has not been read yet").has("when the job starts");
    let picture = shop.get("/job/1/?tab=picture").await;
    picture.is(200).has("has not read it yet").has("Read it now").has_not("data-reading");
    shop.until_read().await;
    post(job("right", json!({"DAY": "1"}))).await.is(201).has_not("notices");
    shop.get("/job/1/?tab=picture").await.is(200).has("<svg viewBox").has("as it was at");
    let file = format!("{ROOT}/finance/daily/load%20%26%20go.ktr");
    shop.get(&format!("/browse/file/?host=1&path={file}"))
        .await
        .has("Jobs that run it")
        .has("/job/2/");
    let form = shop.get(&format!("/job/add/?host=1&file={file}&user=etl")).await;
    form.is(200)
        .has("value=\"main\"")
        .has("value=\"/finance/daily\"")
        .has("value=\"load &amp; go\"");
    form.has("value=\"etl\"").has("value=\"pdi\"").has_not("value=\"repository:");
    let part = shop.get(&format!("/browse/part/?host=1&path={ROOT}/finance")).await;
    part.is(200)
        .has("data-pick=\"repository://pdi/main/finance/night.kjb\"")
        .has("data-repository=\"main\"");
    part.has("data-user=\"etl\"").has("data-read ");

    let page = shop.get(&format!("/browse/import/?host=1&path={ROOT}&how=expanded")).await;
    page.is(200).has("value=\"pdi\"").has("value=\"etl\"").has("value=\"first\"");
    let form = [
        ("host", "1"),
        ("path", ROOT),
        ("how", "expanded"),
        ("granularity", "day"),
        ("zone", "UTC"),
        ("environment_kettle", "pdi"),
        ("environment_hop", ""),
        ("user", "etl"),
        ("only_here", "on"),
        ("rows[0].take", "on"),
        ("rows[0].interface", "night"),
        ("rows[0].name", "first"),
        ("rows[0].file", "repository://pdi/main/finance/daily/load & go.ktr"),
        ("rows[0].form", "transformation"),
        ("rows[0].after", ""),
    ];
    shop.app.post(&shop.admin, "/browse/import/", &form).await.is(303);
    let catalog = shop.app.app.catalog().await.unwrap();
    let night = catalog.interfaces.values().find(|it| it.name == "night").unwrap();
    let spec = &night.jobs[0].spec;
    let expected = json!({"runs": "transformation", "repository": "main", "directory": "/finance/daily",
        "object": "load & go", "user": "etl"});
    assert_eq!(
        (&serde_json::to_value(&spec.fields).unwrap(), spec.environment.as_str()),
        (&expected, "pdi")
    );
}
