//! Parameters that a file does not declare: in the form of a job, in the API and in what is applied.

use super::*;

#[tokio::test]
async fn a_parameter_that_the_file_does_not_declare_is_an_error_beside_its_field() {
    let shop = Shop::new().await;
    let refused = shop.save("1", "WHO=me\nWHOM=you").await;
    refused.is(422).has("fields.params.WHOM").has("it has: KTR, WHO").has_not("fields.params.WHO<");
    let chinese = shop.admin.in_chinese();
    let form = [
        ("interface", "1"),
        ("name", "j"),
        ("kind", "kettle"),
        ("fields.runs", "job"),
        ("fields.file", &format!("{}/daily/job.kjb", shop.root)),
        ("fields.params", "X=1"),
        ("place.hosts", "1"),
        ("place.slots", "1"),
        ("environment", "pdi-8"),
    ];
    shop.app.post(&chinese, "/job/add/", &form).await.is(422).has("已声明的有：KTR, WHO");
    let saved = shop.save("1", "WHO=me").await;
    assert_eq!(saved.is(303).location(), "/job/1/");
}

#[tokio::test]
async fn a_host_that_cannot_say_refuses_nothing() {
    let shop = Shop::new().await;
    let saved = shop.save("3", "WHOM=you").await;
    assert_eq!(saved.is(303).location(), "/job/1/?unchecked=away");
    shop.get("/job/1/?unchecked=away").await.has("was not checked now");
    // Nobody has set it up to be asked: there is nothing to be told.
    let shop = Shop::new().await;
    assert_eq!(shop.save("2", "WHOM=you").await.is(303).location(), "/job/1/");
}

impl Shop {
    /// A job as programs write it; `WHO` and `KTR` are declared by its file.
    fn job(&self, host: &str, params: &serde_json::Value) -> serde_json::Value {
        json!({
            "kind": "kettle", "environment": "pdi-8", "place": {"hosts": [host]},
            "fields": {"runs": "job", "file": format!("{}/daily/job.kjb", self.root), "params": params},
        })
    }

    async fn apply(&self, dry_run: bool, documents: &serde_json::Value) -> Answer {
        let body = json!({"dry_run": dry_run, "documents": documents});
        self.app.api(&self.admin, Method::POST, "/api/v1/apply", body).await
    }
}

#[tokio::test]
async fn programs_are_told_of_parameters_that_a_file_does_not_declare() {
    let shop = Shop::new().await;
    let post = async |host: i64, params: serde_json::Value| {
        let mut spec = shop.job("", &params);
        spec["place"]["hosts"] = json!([host]);
        let body = json!({"name": format!("on_{host}"), "interface": 1, "spec": spec});
        shop.app.api(&shop.admin, Method::POST, "/api/v1/jobs", body).await
    };
    let refused = post(1, json!({"WHO": "me", "WHOM": "you"})).await;
    assert_eq!(refused.is(422).json()["errors"].as_array().unwrap().len(), 1);
    assert_eq!(refused.json()["errors"][0]["path"], "fields.params.WHOM");
    refused.has("it has: KTR, WHO");
    // What its fields alone forbid is told without asking anybody.
    let refused = post(3, json!({"": "x"})).await;
    refused.is(422).has_not("exec host");
    let saved = post(1, json!({"WHO": "me"})).await;
    assert_eq!(saved.is(201).json()["notices"], serde_json::Value::Null);
    let saved = post(3, json!({"WHOM": "you"})).await;
    let told = &saved.is(201).json()["notices"][0];
    assert_eq!((&told["jobs"], &told["count"]), (&json!(["load/on_3"]), &json!(1)));
    saved.has("exec host gone: it cannot be asked now: nobody answers").has("when the job starts");
    // A change is asked about like a new one; what was told beside is taken back.
    let mut body = saved.json();
    body["spec"]["place"]["hosts"] = json!([1]);
    let path = format!("/api/v1/jobs/{}", body["id"]);
    let put = async |body: &serde_json::Value| {
        shop.app.api(&shop.admin, Method::PUT, &path, body.clone()).await
    };
    put(&body).await.is(422).has("fields.params.WHOM");
    body["spec"]["fields"]["params"] = json!({"WHO": "you"});
    put(&body).await.is(200).has_not("notices");
    // Who may not write asks no host for anything.
    let guest = shop.app.client("guest", "view").await;
    let body = json!({"name": "j", "interface": 1, "spec": shop.job("", &json!({"X": "1"}))});
    shop.app.api(&guest, Method::POST, "/api/v1/jobs", body).await.is(403);
}

#[tokio::test]
async fn what_is_applied_is_asked_about_before_it_is_written() {
    let shop = Shop::new().await;
    let one = |name: &str, host: &str, params: serde_json::Value| {
        let mut job = shop.job(host, &params);
        job["name"] = name.into();
        job
    };
    let documents = |jobs: serde_json::Value| json!([{"source": "night.yaml:1", "kind": "interface", "name": "night", "spec": {}, "jobs": jobs}]);
    let wrong = documents(json!([
        one("good", "files", json!({"WHO": "me"})),
        one("bad", "files", json!({"WHO": "me", "A": "1", "B": "2"})),
        one("away", "gone", json!({"C": "3"})),
    ]));
    for dry_run in [true, false] {
        let refused = shop.apply(dry_run, &wrong).await;
        let told = refused.is(422).json();
        let paths: Vec<&str> = told["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it["path"].as_str().unwrap())
            .collect();
        assert_eq!(
            paths,
            [
                "night.yaml:1: job night/bad: jobs[1].fields.params.A",
                "night.yaml:1: job night/bad: jobs[1].fields.params.B",
            ]
        );
        refused.has("it has: KTR, WHO");
        assert_eq!(shop.app.app.catalog().await.unwrap().interfaces.len(), 1);
    }
    // Whoever cannot say refuses nothing, and jobs of one reason are told of together.
    let right = documents(json!([
        one("good", "files", json!({"WHO": "me"})),
        one("away", "gone", json!({"C": "3"})),
        one("too", "gone", json!({"D": "3"})),
        one("closed", "closed", json!({"E": "3"})),
    ]));
    let applied = shop.apply(false, &right).await;
    let notices = applied.is(200).json()["notices"].clone();
    assert_eq!(notices.as_array().unwrap().len(), 1, "{notices}");
    assert_eq!(
        (&notices[0]["jobs"], &notices[0]["count"]),
        (&json!(["night/away", "night/too"]), &json!(2))
    );
    applied.has("exec host gone: it cannot be asked now");
    // What does not change is not asked about again.
    shop.apply(false, &right).await.is(200).has_not("notices");
    // A host that the same set brings has never been met.
    let mut new = documents(json!([one("good", "new", json!({"F": "1"}))]));
    new.as_array_mut()
        .unwrap()
        .push(json!({"kind": "host", "name": "new", "spec": {"address": "new:1"}}));
    shop.apply(true, &new)
        .await
        .is(200)
        .has("none of the exec hosts that it may run on is there yet");
}

#[tokio::test]
async fn of_very_many_files_only_some_are_asked_for() {
    let shop = Shop::new().await;
    let job = |at: usize| {
        let mut job = shop.job("files", &json!({"X": "1"}));
        job["name"] = format!("j{at}").into();
        job["fields"]["file"] = format!("{}/daily/{at}.kjb", shop.root).into();
        job
    };
    let jobs: Vec<_> = (0..203).map(job).collect();
    let set =
        json!([{"source": "a", "kind": "interface", "name": "many", "spec": {}, "jobs": jobs}]);
    let applied = shop.apply(true, &set).await;
    let notices = applied.is(200).json()["notices"].clone();
    let counts: Vec<u64> =
        notices.as_array().unwrap().iter().map(|it| it["count"].as_u64().unwrap()).collect();
    assert_eq!(counts, [200, 3], "{notices}");
    applied.has("only 200 files are asked for at once").has("0.kjb is not there");
}

#[tokio::test]
async fn nobody_waits_for_a_set_whose_hosts_are_asked() {
    let shop = Shop::new().await;
    let slow = json!({"name": "slow", "spec": {"address": "slow:1"}});
    shop.app.api(&shop.admin, Method::POST, "/api/v1/hosts", slow).await.is(201);
    let set = |name: &str, jobs: serde_json::Value| json!([{"source": "a", "kind": "interface", "name": name, "spec": {}, "jobs": jobs}]);
    let mut job = shop.job("slow", &json!({"X": "1"}));
    job["name"] = "j".into();
    let asking = set("asking", json!([job]));
    let (other, waiting) = (set("other", json!([])), shop.apply(false, &asking));
    tokio::pin!(waiting);
    // The other set is written while the first one's host has not answered yet.
    tokio::select! {
        biased;
        done = &mut waiting => panic!("{done:?}"),
        done = shop.apply(false, &other) => {
            done.is(200);
        }
    }
    let names = async || -> Vec<String> {
        let catalog = shop.app.app.catalog().await.unwrap();
        catalog.interfaces.values().map(|it| it.name.clone()).collect()
    };
    assert_eq!(names().await, ["load", "other"]);
    waiting.await.is(200).has("it did not answer within 2 s");
    assert_eq!(names().await, ["load", "other", "asking"]);
}
