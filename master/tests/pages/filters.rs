//! Saved filters: a name for an address, one's own, not too many.

use crate::app::{Answer, Client, TestApp};
use master::store::filter::FILTERS_MAX;

const LIST: &str = "/execute/flow/";

async fn save(app: &TestApp, client: &Client, name: &str, query: &str) -> Answer {
    let form = [("list", LIST), ("name", name), ("query", query)];
    app.post(client, "/filters/save/", &form).await
}

#[tokio::test]
async fn a_filter_is_saved_shown_and_removed() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    app.get(&admin, LIST).await.is(200).has_not("/filters/");
    // What is typed into the filter row can be saved; where in the list one is does not belong to it.
    let page = app.get(&admin, &format!("{LIST}?state=failed&period=&q=a+b&cursor=")).await;
    page.has(r#"name="query" value="q=a%20b&amp;state=failed""#).has("Save this filter");
    let saved = save(&app, &admin, "what <b>failed</b>", "q=a%20b&state=failed&cursor=7-x").await;
    assert_eq!(saved.is(303).location(), "/execute/flow/?q=a%20b&state=failed");
    let page = app.get(&admin, saved.location()).await;
    page.has(r#"<a href="?q=a%20b&amp;state=failed" aria-current="true">"#);
    page.has("what &lt;b&gt;failed&lt;/b&gt;").has_not("Save this filter");
    app.get(&admin, "/execute/flow/?state=running").await.has("?q=a%20b").has_not("chip here");
    // The same name again: it stands for the new address.
    save(&app, &admin, "what <b>failed</b>", "state=stopped").await.is(303);
    app.get(&admin, LIST).await.has("?state=stopped").has_not("q=a%20b");
    // One's own, and of this list alone.
    let other = app.client("other", "view").await;
    app.get(&other, LIST).await.is(200).has_not("state=stopped");
    app.get(&admin, "/job/").await.is(200).has_not("state=stopped");
    let form = [("list", LIST), ("name", "what <b>failed</b>"), ("query", "state=stopped")];
    app.post(&other, "/filters/remove/", &form).await.is(303);
    app.get(&admin.in_chinese(), LIST).await.has("?state=stopped").has("删除此筛选");
    let removed = app.post(&admin, "/filters/remove/", &form).await;
    assert_eq!(removed.is(303).location(), "/execute/flow/?state=stopped");
    app.get(&admin, LIST).await.has_not("state=stopped");
}

#[tokio::test]
async fn every_list_has_them() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    for list in [LIST, "/interface/", "/job/", "/dispatch/", "/base/exec/host/"] {
        let query = if list == LIST { "state=failed" } else { "q=x" };
        let form = [("list", list), ("name", "mine"), ("query", query)];
        app.post(&admin, "/filters/save/", &form).await.is(303);
        app.get(&admin, list).await.is(200).has(&format!(r#"<a href="?{query}">mine</a>"#));
    }
}

#[tokio::test]
async fn neither_too_many_nor_too_long() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    for number in 0..FILTERS_MAX {
        save(&app, &admin, &format!("filter {number}"), &format!("q={number}")).await.is(303);
    }
    let refused = save(&app, &admin, "one more", "q=more").await;
    refused.is(409).has("20 filters of this list are saved already");
    app.get(&admin, "/execute/flow/?q=more").await.has("20 are saved").has_not("/filters/save/");
    // One that is there is written over all the same, and a refusal has removed nothing.
    save(&app, &admin, "filter 7", "q=seven").await.is(303);
    let page = app.get(&admin, LIST).await;
    assert_eq!(page.text.matches("class=\"chip\"").count(), FILTERS_MAX as usize);
    let long = "n".repeat(41);
    save(&app, &admin, &long, "q=1").await.is(422).has("1 to 40 characters");
    save(&app, &admin, "  ", "q=1").await.is(422);
    save(&app, &admin, "long", &format!("q={}", "x".repeat(1_000))).await.is(422);
    save(&app, &admin, "nothing", "sort=name&after=x").await.is(422);
    let form = [("list", "//elsewhere/"), ("name", "x"), ("query", "q=1")];
    app.post(&admin, "/filters/save/", &form).await.is(400);
    app.post(&admin, "/filters/remove/", &form).await.is(400);
}
