#![allow(dead_code, clippy::all, clippy::disallowed_methods)]
#[path = "../tests/pages/app.rs"]
mod app;
#[path = "../tests/pages/executions.rs"]
mod executions;
use app::TestApp;
use executions::*;
use master::engine::rows::*;
use std::sync::Arc;
#[tokio::main]
async fn main() {
    let app = TestApp::with_hosts(Arc::new(Hosts)).await;
    let admin = app.admin().await;
    app.user("boss", "admin").await;
    let mut scene = Scene::new(&app, &admin).await;
    let made = scene.usual(&app).await;
    println!("{made:?}");
    let db = app.app.db.clone();
    shared::tasks::spawn("leader", async move {
        loop {
            for (id, command) in master::store::command::poll(&db, 10).await.unwrap() {
                let plan = Plan {
                    jobs_stopped: 3,
                    jobs_skipped: 12,
                    runs_waiting_on_it: 2,
                    jobs_reset: 1,
                    ..Plan::default()
                };
                let result = CommandResult { done: !command.dry_run, plan, at: 1 };
                db.commit([master::store::command::answer(id, &result)]).await.unwrap();
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    });
    let router = master::web::router(app.app.clone());
    let port = std::env::args().nth(1).unwrap_or("28733".into());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await.unwrap();
    axum::serve(listener, router.into_make_service_with_connect_info::<std::net::SocketAddr>())
        .await
        .unwrap();
}
