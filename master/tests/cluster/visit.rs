//! A master as browsers and programs meet it: by HTTP, one request a connection.

use super::{Real, WAIT_MS};
use shared::clock::Clock;
use shared::ids::Millis;
use std::time::Duration;

impl Real {
    /// Milliseconds since `began` when `/readyz` says yes.
    pub fn ready_after(&mut self, clock: &Clock, began: Millis) -> Millis {
        let end = began + WAIT_MS;
        while !self.is_ready() {
            assert!(clock.mono_ms() < end, "not ready\n{}", self.logs());
            std::thread::sleep(Duration::from_millis(2));
        }
        clock.mono_ms() - began
    }

    fn is_ready(&self) -> bool {
        self.ready_text().split(' ').nth(1) == Some("200")
    }

    /// What `/readyz` says; nothing while nobody listens.
    pub fn ready_text(&self) -> String {
        self.ask("GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap_or_default()
    }

    fn ask(&self, request: &str) -> std::io::Result<String> {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.port))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// As the first user: the cookie of a session.
    pub fn log_in(&self) -> String {
        self.try_log_in().expect("a cookie")
    }

    pub fn try_log_in(&self) -> Option<String> {
        // Whichever master was the first to start has told it.
        let password = std::fs::read_to_string(self.path("admin-password")).unwrap();
        let body = format!("name=admin&password={}&next=/", password.trim());
        let head = format!(
            "POST /login/ HTTP/1.0\r\nHost: localhost\r\nContent-Type: \
             application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = self.ask(&head).unwrap();
        let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: "))?;
        cookie.split(';').next().map(str::to_owned)
    }

    /// A page, with the cookie of a session.
    pub fn page(&self, path: &str, cookie: &str) -> String {
        let head = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n");
        self.ask(&head).unwrap()
    }

    /// What the API answers, with the token of the command line.
    pub fn get(&self, path: &str) -> String {
        let client = std::fs::read_to_string(self.path("client.toml")).unwrap();
        let token = client.lines().find_map(|line| line.strip_prefix("token = ")).unwrap();
        let token = token.trim_matches('"');
        let head = format!(
            "GET {path} HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        self.ask(&head).unwrap()
    }
}
