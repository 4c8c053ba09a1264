//! Who leads, and why nothing runs when nothing can.

use crate::app::{Client, TestApp};
use master::db::{params, sql};
use master::leader::status::LeaderStatus;

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
