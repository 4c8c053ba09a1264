//! Who leads, and why nothing runs when nothing can.

use crate::app::{Client, NOW, TestApp};
use master::db::faulty::Fault;
use master::db::{params, sql};
use master::leader::status::{Away, Doomed, Ending, LeaderStatus};
use shared::ids::{ExecutionId, ProjectId};

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
    let end = Ending { host: "h1".into(), at_ms: NOW + 9_000, count: 30, jobs };
    let away = Some(Away { since_ms: NOW, ends: vec![end] });
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
    page.is(503).has("flights / load").has_not("secret").has("and 29 more");
    let page = silent(&admin.in_chinese(), "/").await;
    page.has("h1：30 个 on_lost = retry 的任务将被结束");
    app.get(&stranger(chinese), "/login/").await.has("数据库停止接收数据").has_not("30 个");
    app.get(&stranger(english), "/login/").await.has("has taken nothing since").has_not("h1:");
    let ready = app.get(&stranger(english), "/readyz").await.json();
    assert_eq!(ready["leader"]["away"]["ends"][0]["count"], 30);
    assert!(!ready.to_string().contains("flights"), "{ready}");

    // A master that does not lead knows only that it is not answered, and who knows more.
    app.leader.send_replace(LeaderStatus { another: true, ..LeaderStatus::default() });
    silent(&admin, "/").await.is(503).has("id=\"away\"").has_not("flights");
    app.get(&admin, "/").await.is(200).has_not("id=\"away\"");
}
