//! Servers that named environments name (`CARTE_URL`, `HOP_SERVER_URL`): whether they answer, and since when.
//!
//! For people: the page of the host shows it. Nothing is held back by it, for a job on such a server
//! waits by itself until its patience ends, and says why.

use crate::config::Config;
use crate::external::server::Connection;
use crate::process::launch;
use shared::clock::Clock;
use shared::external::Server;
use shared::ids::Millis;
use shared::wire::{Reach, SERVERS_MAX};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// One after the other, and then a pause: so often at most, however many there are.
const EVERY: Duration = Duration::from_secs(30);
const ANSWER_MAX: Duration = Duration::from_secs(3);

/// By environment and kind of server.
type Told = BTreeMap<String, Reach>;

#[derive(Clone, Debug, Default)]
pub struct Servers(Arc<Mutex<Told>>);

impl Servers {
    /// Asks for as long as the process lives; nothing where no environment names one.
    pub fn watch(config: &Config) -> Servers {
        let servers = Servers::default();
        let all = named(config);
        if all.is_empty() {
            return servers;
        }
        let told = servers.clone();
        shared::tasks::spawn("servers of environments", async move {
            let clock = Clock::system();
            loop {
                for (name, server, connection) in &all {
                    let found = match connection {
                        Ok(connection) => connection.reach(*server, ANSWER_MAX).await,
                        Err(why) => Err(why.clone()),
                    };
                    let mut told = told.lock();
                    let reach = after(told.get(name), found, clock.wall_ms());
                    told.insert(name.clone(), reach);
                }
                tokio::time::sleep(EVERY).await;
            }
        });
        servers
    }

    pub fn told(&self) -> Told {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is asked: its name for people, what it is, and how it is reached or why it cannot be.
fn named(config: &Config) -> Vec<(String, Server, Result<Connection, String>)> {
    let mut all = Vec::new();
    for (name, defined) in &config.environments {
        for server in Server::ALL {
            let variables = server.variables();
            let of = |end: &str| {
                let value = defined.vars.get(&format!("{variables}_{end}"));
                value.cloned().unwrap_or_default()
            };
            let url = of("URL");
            if !url.is_empty() && all.len() < SERVERS_MAX {
                let connection = Connection::new(&url, (of("USER"), of("PASSWORD")), &of("CA"));
                all.push((format!("{name}: {}", server.title()), server, connection));
            }
        }
    }
    all
}

fn after(before: Option<&Reach>, found: Result<(), String>, now: Millis) -> Reach {
    let answers = found.is_ok();
    let since = before.filter(|before| before.answers == answers).map(|before| before.since_ms);
    let words = launch::short(&found.err().unwrap_or_default());
    Reach { answers, since_ms: since.unwrap_or(now), words }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Defined;
    use axum::Router;
    use axum::routing::get;

    #[test]
    fn since_when_is_kept_until_it_changes() {
        let away = |why: &str| Err(why.to_owned());
        let first = after(None, Ok(()), 10);
        assert_eq!((first.answers, first.since_ms, &*first.words), (true, 10, ""));
        let second = after(Some(&first), away("a"), 20);
        let third = after(Some(&second), away("b"), 30);
        assert_eq!((third.answers, third.since_ms, &*third.words), (false, 20, "b"));
        assert_eq!(after(Some(&third), Ok(()), 40).since_ms, 40);
    }

    #[tokio::test]
    async fn a_server_answers_refuses_or_is_not_there() {
        let list = "<serverstatus><statusdesc>Online</statusdesc></serverstatus>";
        let router = Router::new()
            .route("/kettle/status/", get(move || async move { list }))
            .route("/hop/status/", get(|| async { axum::http::StatusCode::UNAUTHORIZED }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        shared::tasks::spawn("a server of a test", async move {
            axum::serve(listener, router).await.unwrap();
        });
        let here = format!("http://{address}/");
        let environment = |vars: &[(&str, &str)]| {
            let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            Defined { vars: vars.iter().map(own).collect(), ..Defined::default() }
        };
        let environments = BTreeMap::from([
            ("a".to_owned(), environment(&[("CARTE_URL", &here), ("HOP_SERVER_URL", &here)])),
            ("b".to_owned(), environment(&[("CARTE_URL", "http://127.0.0.1:9")])),
            ("c".to_owned(), environment(&[("CARTE_URL", "ftp://x")])),
            ("d".to_owned(), environment(&[("X", "y")])),
        ]);
        let config = Config { environments, ..Config::default() };
        let servers = Servers::watch(&config);
        for _ in 0..500 {
            if servers.told().len() == 4 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let told = servers.told();
        let names: Vec<_> = told.iter().map(|(name, reach)| (&**name, reach.answers)).collect();
        let expected = [
            ("a: Carte", true),
            ("a: Hop server", false),
            ("b: Carte", false),
            ("c: Carte", false),
        ];
        assert_eq!(names, expected);
        assert!(told["a: Hop server"].words.contains("HOP_SERVER_PASSWORD"), "{told:?}");
        assert!(told["c: Carte"].words.contains("is expected"), "{told:?}");
    }
}
