//! Who leads, and why nothing runs when nothing can.

use crate::app::{Client, NOW, TestApp};
use master::db::faulty::Fault;
use master::db::{params, sql};
use master::leader::status::{Away, Doomed, Ending, LeaderStatus};
use master::store::edit::Edit;
use master::store::token;
use master::web::auth::digest;
use shared::ids::{ExecutionId, ProjectId, UserId};
use std::collections::BTreeMap;

async fn told(app: &TestApp) -> serde_json::Value {
    let answer = app.get(&Client::nobody(), "/readyz").await;
    serde_json::from_str::<serde_json::Value>(&answer.text).unwrap()["lead"].clone()
}

#[tokio::test]
async fn home_and_readyz_say_who_leads_and_why_nothing_begins() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    let home = async || app.get(&admin, "/").await.text;
    let nobody = "No master leads";
    assert!(home().await.contains(nobody));
    assert_eq!(told(&app).await["nobody"], true);

    // Another one leads: the row says who, and this master that the lease is taken.
    let row = "INSERT INTO leader (cluster, epoch, holder, server, batch, since_ms, url)
               VALUES ('hcndc', 7, 1, 's', 0, 1000, 'http://other:1')";
    app.app.db.commit([sql(row, params![])]).await.unwrap();
    app.leader.send_replace(LeaderStatus { another: true, ..LeaderStatus::default() });
    let page = home().await;
    assert!(page.contains("http://other:1") && page.contains("epoch 7"), "{page}");
    assert!(!page.contains(nobody) && !page.contains("Nothing can begin"), "{page}");
    let lead = told(&app).await;
    assert_eq!((lead["here"].clone(), lead["epoch"].clone()), (false.into(), 7.into()));

    // This one does, and cannot go on; a host is in doubt.
    let why = "no exec host is defined".to_owned();
    app.leader.send_replace(LeaderStatus { leads: true, why, ..LeaderStatus::default() });
    let doubt = "INSERT INTO host_doubt (host_id) VALUES (1)";
    app.app.db.commit([sql(doubt, params![])]).await.unwrap();
    let page = home().await;
    assert!(page.contains("Nothing can begin: no exec host is defined"), "{page}");
    assert!(page.contains("1 exec hosts are in doubt"), "{page}");
    assert!(page.contains("This master leads"), "{page}");
    assert_eq!(told(&app).await["doubt"], 1);
}

/// The leader can store nothing: everybody is told, each what is theirs, before the jobs are ended.
#[tokio::test]
async fn pages_tell_which_jobs_end_while_the_database_is_away() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    // She sees project 1 alone.
    let olga = app.client("olga", "view").await;
    let right = "UPDATE user_right SET project_id = 1 WHERE user_id = \
                 (SELECT id FROM user_account WHERE name = 'olga')";
    app.app.db.commit([sql(right, params![])]).await.unwrap();
    let (english, chinese) = ("lang=en", "lang=zh");
    let stranger = |lang| Client::with_cookie(lang);
    for who in [&admin, &olga] {
        app.get(who, "/").await.is(200).has_not("id=\"away\"");
    }
    let job = |project, job: &str| Doomed {
        project: ProjectId(project),
        execution: ExecutionId(7),
        job: job.into(),
        interface: "flights".into(),
        period: "2026-11-20".into(),
    };
    let jobs = vec![job(1, "load"), job(2, "secret")];
    let counts = BTreeMap::from([(ProjectId(1), 20), (ProjectId(2), 10)]);
    let end = Ending {
        host: "h1".into(),
        project: ProjectId(1),
        at_ms: NOW + 9_000,
        count: 30,
        counts,
        jobs,
    };
    let theirs = Ending {
        host: "h2".into(),
        project: ProjectId(2),
        counts: BTreeMap::from([(ProjectId(2), 5)]),
        jobs: Vec::new(),
        ..end.clone()
    };
    let shared = Ending { counts: BTreeMap::from([(ProjectId(1), 3)]), ..theirs.clone() };
    let away = Some(Away { since_ms: NOW, ends: vec![end, theirs, shared] });
    app.leader.send_replace(LeaderStatus { leads: true, away, ..LeaderStatus::default() });

    // Nobody can be looked up, no page read: what is shown is what this process knows.
    let silent = async |who: &Client, path: &str| {
        app.link.inject(Fault::Away);
        app.get(who, path).await
    };
    let page = silent(&admin, "/job/").await;
    page.is(503).has("id=\"away\"").has("h1: 30 jobs with on_lost = retry will be ended at");
    page.has("flights / load").has("flights / secret").has("and 28 more").has("03:00:09");
    let page = silent(&olga, "/").await;
    page.is(503).has("flights / load").has_not("secret").has("and 19 more");
    page.has("h1: 20 jobs").has_not("h2:").has_not("5 jobs");
    page.has("An exec host of another project: 3 jobs");
    let page = silent(&admin.in_chinese(), "/").await;
    page.has("h1：30 个 on_lost = retry 的任务将被结束");
    app.get(&stranger(chinese), "/login/").await.has("数据库停止接收数据").has_not("30 个");
    app.get(&stranger(english), "/login/").await.has("has taken nothing since").has_not("h1:");
    let ready = app.get(&stranger(english), "/readyz").await.json();
    assert_eq!(ready["leader"]["away"]["ends"][0]["count"], 30);
    assert!(!ready.to_string().contains("flights"), "{ready}");

    // A database that can be read and takes nothing is told to pages that are open, too.
    assert_eq!(app.get(&olga, "/api/v1/counters").await.is(200).json()["away"], true);
    app.get(&olga, "/away/").await.is(200).has("id=\"away\"").has("h1: 20 jobs").has_not("<html");
    app.leader.send_replace(LeaderStatus { leads: true, ..LeaderStatus::default() });
    assert_eq!(app.get(&olga, "/api/v1/counters").await.is(200).json()["away"], false);
    app.get(&olga, "/away/").await.is(200).has_not("id=\"away\"");
}

/// A master that is not answered knows of itself that it is not, and of the leader who knows more.
#[tokio::test]
async fn one_failure_is_no_outage_and_any_answer_ends_one() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    let token = ("ci", &digest("secret")[..]);
    let edit = Edit::of_system(NOW);
    token::create(&app.app.db, UserId(1), token, NOW + 9_000_000, &edit).await.unwrap();
    let row = "INSERT INTO leader (cluster, epoch, holder, server, batch, since_ms, url)
               VALUES ('hcndc', 7, 1, 's', 0, 1000, 'http://other:1')";
    app.app.db.commit([sql(row, params![])]).await.unwrap();
    app.leader.send_replace(LeaderStatus { another: true, ..LeaderStatus::default() });
    app.get(&admin, "/").await.is(200).has("http://other:1");
    let stranger = Client::with_cookie("lang=en");
    let silent = async |who: &Client, path: &str| {
        app.link.inject(Fault::Away);
        app.get(who, path).await
    };
    let banner = "id=\"away\"";
    let robot = Client::with_token("secret");
    for (who, path) in [(&robot, "/api/v1/counters"), (&stranger, "/readyz"), (&admin, "/")] {
        silent(&admin, "/").await.is(503).has_not(banner);
        app.clock.advance(2_000);
        app.get(&stranger, "/login/").await.has_not(banner);
        silent(&admin, "/").await.is(503).has(banner).has("This master does not lead");
        app.get(&stranger, "/login/").await.has(banner);
        app.get(who, path).await.is(200);
        app.get(&stranger, "/login/").await.is(200).has_not(banner);
    }

    // Who leads is not sent to itself.
    app.leader.send_replace(LeaderStatus { leads: true, ..LeaderStatus::default() });
    silent(&admin, "/").await.has_not(banner);
    app.clock.advance(2_000);
    silent(&admin, "/").await.has(banner).has_not("This master does not lead").has_not("other:1");

    // Who was not seen for an hour is not known any more, and is told no addresses.
    app.leader.send_replace(LeaderStatus { another: true, ..LeaderStatus::default() });
    silent(&robot, "/").await.has(banner);
    app.clock.advance(3_599_000);
    silent(&admin, "/").await.has(banner).has_not("other:1");
}
