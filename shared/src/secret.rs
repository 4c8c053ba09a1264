//! What looks like a secret, by its name or its shape.

/// Wherever they stand in a name.
const PARTS: &[&str] = &["password", "passwd", "passphrase", "apikey", "api_key", "private_key"];
/// As whole words of a name.
const WORDS: &[&str] = &["pass", "pwd", "secret", "token", "credential", "credentials"];
/// Names that end so say something about it, and not what it is.
const ABOUT: &[&str] =
    &["file", "path", "dir", "url", "table", "name", "type", "length", "len", "id", "count"];

/// Names and values of the kind that nobody should read over a shoulder. A number, a path, or what is filled in only
/// where it is used (`${NAME}`) is none.
pub fn is_secret(name: &str, value: &str) -> bool {
    if value.starts_with("Encrypted ") {
        return true;
    }
    let plain = value.starts_with(['/', '$']) || value.parse::<f64>().is_ok();
    let words = words(name);
    let about = words.last().is_some_and(|last| ABOUT.contains(&last.as_str()));
    let joined = words.join("_");
    // The variable of shells.
    let named = joined != "pwd"
        && (PARTS.iter().any(|part| joined.contains(part))
            || words.iter().any(|word| WORDS.contains(&word.as_str())));
    named && !about && !plain
}

/// `DB_PASSWORD` and `dbPassword` in words.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = false;
    for c in name.chars() {
        let begins = c.is_uppercase() && before;
        before = c.is_lowercase();
        if begins || !c.is_alphanumeric() {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_names() {
        for (name, value, expect) in [
            ("DB_PASSWORD", "x", true),
            ("DBPASSWORD", "x", true),
            ("dbPwd", "x", true),
            ("DB.PASS", "x", true),
            ("TOKEN", "", true),
            ("apiKey", "x", true),
            ("A", "Encrypted 2be98afc86aa7f2e4cb79ce10bec3fd89", true),
            ("PASSWORD_FILE", "x", false),
            ("DB_PASSWORD", "${PASSWORD_OF_PROPERTIES}", false),
            ("PWD", "here", false),
            ("SECRET", "/run/secrets/db", false),
            ("MAX_TOKENS", "500", false),
            ("PASSWORD_MIN", "8", false),
            ("SECRETARY", "x", false),
            ("CREDENTIAL_TYPE", "x", false),
            ("TOKEN_TABLE", "t", false),
            ("COMPASS", "n", false),
            ("DAY", "2026-11-30", false),
        ] {
            assert_eq!(is_secret(name, value), expect, "{name}");
        }
    }
}
