//! A host joins with a token, is denied, and joins again: the real programs.

use super::real::{Real, text};
use super::{ended, judge, mesh};

fn token(real: &Real) -> String {
    let told = real.must(&["host", "token", "h1"]);
    told.split("--token ").nth(1).expect("a command with a token").trim().to_owned()
}

#[test]
fn a_host_joins_by_its_token_and_a_denied_one_is_silent() {
    let mut real = Real::quick();
    std::fs::remove_dir_all(real.path("host-pki")).unwrap();
    real.start_master(&[]);
    real.master_is_ready();
    real.apply(&mesh(&real));
    let first = token(&real);
    // What is wrong is told, and leaves nothing.
    for (host, with, words) in [
        ("h1", "wrong", "the token is not good for this host"),
        ("h9", first.as_str(), "the token is not good for this host"),
    ] {
        let refused = real.join(host, with);
        assert!(!refused.status.success());
        assert!(text(&refused).contains(words), "{}", text(&refused));
    }
    assert!(!real.path("host-pki").join("cert.pem").exists());
    let joined = real.join("h1", &first);
    assert!(joined.status.success(), "{}", text(&joined));
    let again = real.join("h1", &first);
    assert!(text(&again).contains("it was used"), "{}", text(&again));

    real.start_executor(&[]);
    real.until("the host is up", |real| real.must(&["host", "list"]).contains(" up"));
    real.must(&["run", "first", "--period", "2026-11-20", "--cascade"]);
    ended(&mut real);
    judge(&real);

    // The one of `issue-host`, with which the test began, counts too.
    let told = real.must(&["host", "deny", "h1"]);
    assert!(told.contains("2 certificates"), "{told}");
    real.until("a denied host is not spoken with", |real| {
        let hosts = real.must(&["host", "list"]);
        hosts.contains("silent") && hosts.contains("denied")
    });
    let joined = real.join("h1", &token(&real));
    assert!(text(&joined).contains("the agent that runs was told"), "{}", text(&joined));
    real.until("the host is up again", |real| real.must(&["host", "list"]).contains(" up"));
}
