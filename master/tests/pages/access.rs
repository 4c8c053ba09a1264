//! Who gets in: every route is walked.

use crate::app::{Client, NOW, PASSWORD, TestApp};
use axum::body::Body;
use axum::http::{Request, header};
use master::link::redis::Redis;
use master::session::Sessions;
use master::store::edit::Edit;
use master::store::token;
use master::web;
use master::web::auth::{Access, Right, digest};
use shared::address::Target;

/// A path of the URL map with something in its places.
fn filled(path: &str) -> String {
    path.split('/')
        .map(|part| if part.starts_with('{') { "1" } else { part })
        .collect::<Vec<_>>()
        .join("/")
}

#[tokio::test]
async fn only_login_static_files_and_health_are_public() {
    let routes = web::routes();
    let mut public: Vec<&str> = routes
        .list
        .iter()
        .filter(|route| route.access == Access::Public)
        .map(|route| route.path)
        .collect();
    public.sort_unstable();
    public.dedup();
    // Who joins has no login yet; it shows that it knows a token of one host, good once.
    let all = ["/api/v1/join", "/healthz", "/login/", "/readyz", "/static/{hash}/{*path}"];
    assert_eq!(public, all);
}

#[tokio::test]
async fn every_other_route_needs_a_login_and_its_right() {
    let app = TestApp::new().await;
    let nothing = app.client("nothing", "").await;
    let viewer = app.client("viewer", "view").await;
    let mut walked = 0;
    for route in web::routes().list {
        let Access::Needs(right) = route.access else { continue };
        let path = filled(route.path);
        let name = format!("{} {path}", route.method);
        let request = || {
            Request::builder().method(route.method.clone()).uri(&path).body(Body::empty()).unwrap()
        };
        let stranger = app.send(&Client::nobody(), request()).await;
        let sent_to_login = stranger.location().starts_with("/login/?next=");
        assert!(stranger.status == 401 || sent_to_login, "{name}: {}", stranger.status);
        let answer = app.send(&nothing, request()).await;
        assert_eq!(answer.status, 403, "{name} without any right");
        if right != Right::View {
            let answer = app.send(&viewer, request()).await;
            assert_eq!(answer.status, 403, "{name} with view only");
        }
        walked += 1;
    }
    assert!(walked > 1);
}

#[tokio::test]
async fn what_is_not_there_is_told_to_those_who_are_logged_in_only() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    let stranger = app.get(&Client::nobody(), "/nothing/here/").await;
    assert!(stranger.location().starts_with("/login/"));
    app.get(&admin, "/nothing/here/").await.is(404).has("404");
    let answer = app.get(&admin, "/api/v1/nothing").await;
    assert_eq!(answer.is(404).json()["type"], "not_found");
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/problem+json");
    assert_eq!(app.get(&admin, "/interface?q=1").await.is(308).location(), "/interface/?q=1");
}

#[tokio::test]
async fn a_login_makes_a_session_and_logout_ends_it() {
    let app = TestApp::new().await;
    app.user("ada", "view").await;
    let nobody = Client::nobody();
    let wrong = [("name", "ada"), ("password", "wrong"), ("next", "/job/")];
    app.post(&nobody, "/login/", &wrong).await.is(401).has("value=\"ada\"").has("value=\"/job/\"");
    let right = [("name", "ada"), ("password", PASSWORD), ("next", "//evil")];
    let answer = app.post(&nobody, "/login/", &right).await;
    assert_eq!(answer.is(303).location(), "/");
    let cookie = answer.headers[header::SET_COOKIE].to_str().unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    let client = Client::with_cookie(cookie.split(';').next().unwrap());
    app.get(&client, "/").await.is(200);
    app.post(&client, "/logout/", &[]).await.is(303);
    app.get(&client, "/").await.is(303);
}

#[tokio::test]
async fn a_login_is_throttled() {
    let app = TestApp::new().await;
    let nobody = Client::nobody();
    for _ in 0..app.app.config.web.login_failures_max {
        app.post(&nobody, "/login/", &[("name", "x"), ("password", "y")]).await.is(401);
    }
    app.post(&nobody, "/login/", &[("name", "x"), ("password", "y")]).await.is(429);
    app.clock.advance(301_000);
    app.post(&nobody, "/login/", &[("name", "x"), ("password", "y")]).await.is(401);
}

#[tokio::test]
async fn a_session_expires() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    app.get(&admin, "/").await.is(200);
    app.clock.advance(3_600_000);
    app.get(&admin, "/").await.is(303);
}

/// Who is logged in cannot be asked: that is no "log in again", and no fault of the program.
#[tokio::test]
async fn a_session_store_that_is_away_is_unavailable() {
    // Nobody has port 1.
    let redis = Redis::open(Target::plain("session", "redis://127.0.0.1:1"), "test").await.unwrap();
    let app = TestApp::with_sessions(|clock, limits| Sessions::redis(redis, clock, limits)).await;
    let user = app.user("robot", "view").await;
    let somebody = Client::with_cookie("hcndc=0123456789; lang=en");
    app.get(&somebody, "/").await.is(503).has("the store of sessions is away");
    app.get(&somebody, "/api/v1/executions").await.is(503);
    let form = [("name", "robot"), ("password", PASSWORD)];
    app.post(&Client::nobody(), "/login/", &form).await.is(503);
    // Programs with a token do not need it, and neither do those who only want to see the form.
    let edit = Edit::of_system(NOW);
    let made = ("ci", &digest("secret")[..]);
    token::create(&app.app.db, user, made, NOW + 1000, &edit).await.unwrap();
    app.get(&Client::with_token("secret"), "/api/v1/executions").await.is(200);
    app.get(&Client::nobody(), "/login/").await.is(200);
}

#[tokio::test]
async fn a_token_is_good_until_it_is_revoked_or_expires() {
    let app = TestApp::new().await;
    let user = app.user("robot", "view").await;
    let edit = Edit::of_system(NOW);
    let made = ("ci", &digest("secret")[..]);
    let id = token::create(&app.app.db, user, made, NOW + 1000, &edit).await.unwrap();
    let robot = Client::with_token("secret");
    app.get(&robot, "/").await.is(200);
    app.get(&Client::with_token("other"), "/").await.is(401);
    app.clock.advance(1000);
    app.get(&robot, "/").await.is(401);
    app.clock.advance(-1000);
    token::revoke(&app.app.db, user, id, &edit).await.unwrap();
    app.get(&robot, "/").await.is(401);
}

#[tokio::test]
async fn another_sites_page_changes_nothing() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    let post = |site: &str| {
        Request::post("/logout/").header("sec-fetch-site", site).body(Body::empty()).unwrap()
    };
    app.send(&admin, post("cross-site")).await.is(403);
    app.get(&admin, "/").await.is(200);
    app.send(&admin, post("same-origin")).await.is(303);
}

#[tokio::test]
async fn every_answer_has_the_headers_that_protect() {
    let app = TestApp::new().await;
    let answer = app.get(&Client::nobody(), "/login/").await;
    let policy = answer.is(200).headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.contains("script-src 'self' 'unsafe-eval';"), "{policy}");
    assert_eq!(answer.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
    assert!(answer.headers.contains_key("x-request-id"));
    answer.has_not("<script>");
}

#[tokio::test]
async fn one_changes_ones_password_and_makes_tokens() {
    let app = TestApp::new().await;
    app.user("ada", "view").await;
    let login = async |password: &str| {
        let form = [("name", "ada"), ("password", password)];
        let answer = app.post(&Client::nobody(), "/login/", &form).await;
        let cookie = answer.headers.get(header::SET_COOKIE)?.to_str().unwrap();
        Some(Client::with_cookie(cookie.split(';').next().unwrap()))
    };
    let (here, elsewhere) = (login(PASSWORD).await.unwrap(), login(PASSWORD).await.unwrap());
    let new = "a longer one than before";
    let wrong = [("old", "no"), ("new", "short"), ("again", "other")];
    let answer = app.post(&here, "/account/password/", &wrong).await;
    answer.is(422).has_not("value=\"short\"");
    let right = [("old", PASSWORD), ("new", new), ("again", new)];
    app.post(&here, "/account/password/", &right).await.is(303);
    app.get(&here, "/account/").await.is(200);
    app.get(&elsewhere, "/account/").await.is(303);
    assert!(login(PASSWORD).await.is_none());
    assert!(login(new).await.is_some());
    let made = app.post(&here, "/account/token/", &[("name", "ci"), ("days", "7")]).await;
    let token = made.is(200).text.split("<pre class=\"command\">").nth(1).unwrap();
    let robot = Client::with_token(token.split('<').next().unwrap());
    app.get(&robot, "/").await.is(200);
    app.post(&robot, "/account/token/", &[("name", "more")]).await.is(403);
    app.post(&here, "/account/token/revoke/", &[("id", "1")]).await.is(303);
    app.get(&robot, "/").await.is(401);
}

#[tokio::test]
async fn a_chosen_project_narrows_lists_and_takes_what_is_new() {
    let app = TestApp::new().await;
    let admin = app.admin().await;
    let second = "INSERT INTO project (id, name, title, params, created_ms, row_version) \
                  VALUES (2, 'second', 'Second', '{}', 0, 1)";
    app.app.db.commit(vec![master::db::sql(second, vec![])]).await.unwrap();
    let add = async |client: &Client, name: &str| {
        let form = [("name", name), ("granularity", "day"), ("zone", "UTC")];
        app.post(client, "/interface/add/", &form).await.is(303).location().to_owned()
    };
    let [first, other] = ["1", "2"].map(|id| admin.with("project", id));
    let here = add(&first, "of_the_first").await;
    let there = add(&other, "of_the_second").await;
    app.get(&admin, "/interface/").await.is(200).has("of_the_first").has("of_the_second");
    let narrowed = app.get(&first, "/interface/").await;
    narrowed.is(200).has("of_the_first").has_not("of_the_second").has("data-project=\"2\"");
    app.get(&other, "/interface/").await.is(200).has_not("of_the_first").has("of_the_second");
    // A link leads to all that one may see.
    app.get(&first, &there).await.is(200).has("of_the_second");
    app.get(&other, &here).await.is(200).has("of_the_first");
    // What one may not see cannot be chosen.
    let outsider = app.client("outsider", "write").await;
    let only = "UPDATE user_right SET project_id = 1 WHERE user_id = \
                (SELECT id FROM user_account WHERE name = 'outsider')";
    app.app.db.commit(vec![master::db::sql(only, vec![])]).await.unwrap();
    let outsider = outsider.with("project", "2");
    app.get(&outsider, "/interface/").await.is(200).has("of_the_first").has_not("of_the_second");
    add(&outsider, "also_of_the_first").await;
    app.get(&first, "/interface/").await.is(200).has("also_of_the_first");
}
