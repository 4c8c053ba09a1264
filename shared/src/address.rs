//! Addresses of servers that may hold a password.
//!
//! The rule: what stands before the `@` of an address is never told, neither in a log nor in an error.

/// An address without name and password.
pub fn shown(url: &str) -> String {
    match secret(url) {
        Some(secret) => url.replacen(&format!("{secret}@"), "", 1),
        None => url.to_owned(),
    }
}

/// What others say of an address may quote it.
pub fn scrub(text: &str, url: &str) -> String {
    let Some(secret) = secret(url) else { return text.to_owned() };
    let text = text.replace(secret, "…");
    match secret.split_once(':') {
        Some((_, password)) if !password.is_empty() => text.replace(password, "…"),
        _ => text,
    }
}

/// `name:password` of `scheme://name:password@host`; an `@` may stand in it unescaped.
fn secret(url: &str) -> Option<&str> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = match rest.rfind('@') {
        Some(at) => &rest[..at],
        None => return None,
    };
    Some(authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_passwords_are_not_shown() {
        for (url, expected) in [
            ("redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/0"),
            ("redis://:geheim@h:1", "redis://h:1"),
            ("mongodb://me:ge@h/eim@a:1,b:2/db?x=y", "mongodb://a:1,b:2/db?x=y"),
            ("me:geheim@h", "h"),
            ("", ""),
        ] {
            assert_eq!(shown(url), expected);
        }
        let told = scrub("bad password geheim in me:geheim@h", "redis://me:geheim@h");
        assert_eq!(told, "bad password … in …@h");
        assert_eq!(scrub("as it is", "redis://h"), "as it is");
    }
}
