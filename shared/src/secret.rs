//! What looks like a secret, by its name or its shape.

/// Parts of names.
const PARTS: &[&str] =
    &["passw", "pwd", "secret", "token", "apikey", "api_key", "credential", "private_key"];
/// Names that end so say where it is, and not what it is.
const PLACES: &[&str] = &["_file", "_path", "_dir", "_url", "_table", "_name"];

/// Names and values of the kind that nobody should read over a shoulder.
pub fn is_secret(name: &str, value: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let named = PARTS.iter().any(|part| name.contains(part));
    let place = PLACES.iter().any(|end| name.ends_with(end));
    value.starts_with("Encrypted ") || named && !place
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_names() {
        for (name, value, expect) in [
            ("DB_PASSWORD", "x", true),
            ("dbPwd", "x", true),
            ("TOKEN", "", true),
            ("A", "Encrypted 2be98afc86aa7f2e4cb79ce10bec3fd89", true),
            ("PASSWORD_FILE", "/run/secret", false),
            ("TOKEN_TABLE", "t", false),
            ("DAY", "2026-11-30", false),
        ] {
            assert_eq!(is_secret(name, value), expect, "{name}");
        }
    }
}
