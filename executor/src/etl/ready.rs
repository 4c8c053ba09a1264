//! What can be known, and must be made ready, before a JVM is started.

use super::pump::hidden;
use crate::process::piped;
use shared::config::env;
use shared::etl::log::Reading;
use shared::etl::outcome::{NOT_READY, UNDECLARED};
use shared::etl::{Engine, Etl, declared, found, plain_path};
use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A job or transformation that is looked into.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Of `.kettle`, where each run has its own.
const COPIED_FILES_MAX: usize = 200;
const COPIED_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// A JVM of version 8 takes so much of its options from its environment.
const PASSWORD_BYTES_MAX: usize = 900;
/// Of an answer without parameters.
const LAST_LINES: usize = 3;
const LAST_CHARS_MAX: usize = 500;
/// Options that beat those of the command line, where spoon.sh always has a `-DKETTLE_PASSWORD=` of its own: an empty one,
/// for the variable is taken away. What JAVA_TOOL_OPTIONS says would be lost to that.
const LAST_OPTIONS: &str = "_JAVA_OPTIONS";
const OPTIONS: &str = "PENTAHO_DI_JAVA_OPTIONS";
/// What Kettle would take instead of its own `-XX:MaxPermSize`, which newer JVMs refuse.
const JAVA_OPTIONS: &str = "-Xmx2048m";
/// Without it spoon.sh prints a box of words first.
const NO_BOX: &str = "SKIP_WEBKITGTK_CHECK";
/// They would beat the command line.
const BEATING: &[&str] = &["KETTLE_REPOSITORY", "KETTLE_USER", "KETTLE_PASSWORD"];

/// How it is started.
#[derive(Debug, Default)]
pub(super) struct Ready {
    pub(super) set: Vec<(String, String)>,
    pub(super) unset: &'static [&'static str],
    /// Not to be seen in its output.
    pub(super) secrets: Vec<String>,
    /// What people should know.
    pub(super) notes: Vec<String>,
    /// Stands before the command.
    pub(super) before: Vec<String>,
    /// Each line is here when it is written: then silence means something.
    pub(super) live: bool,
}

#[derive(Debug)]
pub(super) struct Refused {
    pub(super) code: i32,
    pub(super) words: String,
}

fn not_ready(words: impl Into<String>) -> Refused {
    Refused { code: NOT_READY, words: words.into() }
}

/// # Errors
/// What is missing, or a parameter that is not declared.
pub(super) fn ready(etl: &Etl, argv: &[String]) -> Result<Ready, Refused> {
    let own =
        std::env::current_dir().map_err(|error| not_ready(format!("its directory: {error}")))?;
    let mut ready = match etl.engine {
        Engine::Kitchen | Engine::Pan => kettle(etl, &own)?,
        Engine::Hop => hop(&own),
    };
    // Scripts of Kettle send all through a `grep`, which keeps lines back by the block.
    let buffers = etl.engine != Engine::Hop;
    if buffers && on_path("stdbuf") {
        ready.before = vec!["stdbuf".into(), "-oL".into()];
    }
    ready.live = !buffers || !ready.before.is_empty();
    check(etl, argv, &mut ready)?;
    Ok(ready)
}

fn on_path(program: &str) -> bool {
    let path = env("PATH").unwrap_or_default();
    path.split(':').any(|dir| Path::new(dir).join(program).is_file())
}

fn kettle(etl: &Etl, own: &Path) -> Result<Ready, Refused> {
    let mut ready = Ready { unset: BEATING, ..Ready::default() };
    let mut options = env(OPTIONS).unwrap_or_else(|| JAVA_OPTIONS.into());
    let mut set = |name: &str, value: String| ready.set.push((name.to_owned(), value));
    if env(NO_BOX).is_none() {
        set(NO_BOX, "1".into());
    }
    if etl.own_home {
        let home = own.join("kettle-home");
        copy_home(&home).map_err(|why| not_ready(format!("a KETTLE_HOME of its own: {why}")))?;
        let home = home.display().to_string();
        // Where its metastore goes; no other variable moves that. spoon.sh splits at blanks.
        if !home.contains(char::is_whitespace) {
            options = format!("{options} -Duser.home={home}");
        }
        set("KETTLE_HOME", home);
    }
    set(OPTIONS, options);
    if etl.file.is_none()
        && let Some(password) = env("KETTLE_PASSWORD")
    {
        set(LAST_OPTIONS, with_password(env(LAST_OPTIONS), &password).map_err(not_ready)?);
        ready.secrets.push(password);
    }
    Ok(ready)
}

/// What an export of a repository is started with beside its environment.
#[derive(Debug, Default)]
pub(crate) struct Exporting {
    pub(crate) set: Vec<(String, String)>,
    /// Not to be seen in its output.
    pub(crate) secrets: Vec<String>,
}

/// `get` reads its environment.
///
/// # Errors
/// Its password does not arrive.
pub(crate) fn exporting(get: impl Fn(&str) -> Option<String>) -> Result<Exporting, String> {
    let get = |name: &str| get(name).filter(|value| !value.is_empty());
    // An empty one is none, for spoon.sh.
    let mut set: Vec<(String, String)> =
        BEATING.iter().map(|name| ((*name).to_owned(), String::new())).collect();
    let mut secrets = Vec::new();
    for (name, usual) in [(OPTIONS, JAVA_OPTIONS), (NO_BOX, "1")] {
        if get(name).is_none() {
            set.push((name.to_owned(), usual.to_owned()));
        }
    }
    if let Some(password) = get("KETTLE_PASSWORD") {
        set.push((LAST_OPTIONS.to_owned(), with_password(get(LAST_OPTIONS), &password)?));
        secrets.extend([quoted(&format!("-DKETTLE_PASSWORD={password}")), password]);
    }
    Ok(Exporting { set, secrets })
}

/// Neither on a command line (spoon.sh would put it there) nor in a file.
fn with_password(before: Option<String>, password: &str) -> Result<String, String> {
    let before = before.map_or(String::new(), |text| format!("{text} "));
    let option = quoted(&format!("-DKETTLE_PASSWORD={password}"));
    if before.len() + option.len() > PASSWORD_BYTES_MAX || password.contains(['\n', '\r']) {
        return Err(format!(
            "KETTLE_PASSWORD, with what {LAST_OPTIONS} holds already, is longer than {PASSWORD_BYTES_MAX} bytes, or it \
             has lines"
        ));
    }
    Ok(format!("{before}{option}"))
}

fn hop(own: &Path) -> Ready {
    let mut ready = Ready::default();
    // Otherwise in the folder of the installation, which is nobody's to write to.
    if env("HOP_AUDIT_FOLDER").is_none() {
        let audit = own.join("audit").display().to_string();
        ready.set.push(("HOP_AUDIT_FOLDER".into(), audit));
    }
    ready
}

/// As a JVM reads its options from its environment: quotes of either kind, and nothing else.
fn quoted(text: &str) -> String {
    let mut out = String::new();
    for part in text.split_inclusive('\'') {
        let (plain, quote) = match part.strip_suffix('\'') {
            Some(plain) => (plain, true),
            None => (part, false),
        };
        if !plain.is_empty() {
            out.push('\'');
            out.push_str(plain);
            out.push('\'');
        }
        if quote {
            out.push_str("\"'\"");
        }
    }
    out
}

/// Where Kettle looks for `.kettle`: KETTLE_HOME, else the home that the list of users names.
fn shared_home() -> Option<PathBuf> {
    let listed = || nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten();
    env("KETTLE_HOME").map(PathBuf::from).or_else(|| listed().map(|user| user.dir))
}

/// `.kettle` of the shared one, if there is any: its files, not what lies deeper.
fn copy_home(home: &Path) -> Result<(), String> {
    let to = home.join(".kettle");
    std::fs::create_dir_all(&to).map_err(|error| format!("{}: {error}", to.display()))?;
    let Some(shared) = shared_home() else { return Ok(()) };
    let from = shared.join(".kettle");
    let entries = match std::fs::read_dir(&from) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(format!("{}: {error}", from.display())),
    };
    let (mut files, mut bytes) = (0, 0);
    for entry in entries.flatten() {
        let path = entry.path();
        let Ok(found) = std::fs::metadata(&path) else { continue };
        if !found.is_file() {
            continue;
        }
        (files, bytes) = (files + 1, bytes + found.len());
        if files > COPIED_FILES_MAX || bytes > COPIED_BYTES_MAX {
            return Err(format!(
                "{} has more than {COPIED_FILES_MAX} files or {COPIED_BYTES_MAX} bytes: share it instead",
                from.display()
            ));
        }
        std::fs::copy(&path, to.join(entry.file_name()))
            .map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// Whether it is there, as far as we can see it, and declares what it is given.
fn check(etl: &Etl, argv: &[String], ready: &mut Ready) -> Result<(), Refused> {
    let file = etl.file.as_deref().unwrap_or_default();
    let declared = match local(etl, argv) {
        Some(path) => {
            let text =
                read(&path).map_err(|why| not_ready(format!("{}: {why}", path.display())))?;
            match declared::in_file(&text) {
                Ok(names) => Some(names),
                Err(why) => {
                    ready
                        .notes
                        .push(format!("{}: {why}; its parameters are not checked", path.display()));
                    None
                }
            }
        }
        None if etl.params.is_empty() => None,
        None => ask(etl, argv, ready),
    };
    let of = if file.is_empty() { "what is in the repository" } else { file };
    match declared {
        Some(names) => declared::check(&etl.params, &names, of)
            .map_err(|words| Refused { code: UNDECLARED, words }),
        None => Ok(()),
    }
}

/// A plain file of this host.
fn local(etl: &Etl, argv: &[String]) -> Option<PathBuf> {
    let file = etl.file.as_deref()?;
    let path = match file.strip_prefix("${PROJECT_HOME}/") {
        Some(rest) => format!("{}/{rest}", project_home(etl.project.as_deref()?, argv)?),
        None => plain_path(file).into_owned(),
    };
    (path.starts_with('/') && !path.contains("${")).then(|| path.into())
}

pub(crate) fn read(path: &Path) -> Result<String, String> {
    let plain = |error: std::io::Error| error.to_string();
    let found = std::fs::metadata(path).map_err(plain)?;
    if !found.is_file() {
        return Err("it is no file".into());
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(plain)?;
    file.take(FILE_BYTES_MAX).read_to_end(&mut bytes).map_err(plain)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn project_home(name: &str, argv: &[String]) -> Option<String> {
    let folder = match env("HOP_CONFIG_FOLDER") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(argv.first()?).parent()?.join("config"),
    };
    let text = read(&folder.join("hop-config.json")).ok()?;
    let all = found::projects(&text).ok()?;
    all.into_iter().find(|project| project.name == name)?.folder
}

/// The engine itself, where we cannot see the file: Kettle lists what is declared. It costs the start
/// of a JVM, and only where parameters are given.
fn ask(etl: &Etl, argv: &[String], ready: &mut Ready) -> Option<BTreeSet<String>> {
    if etl.engine == Engine::Hop {
        ready
            .notes
            .push("its file is not to be seen from here: its parameters are not checked".into());
        return None;
    }
    let given = argv.iter().filter(|arg| !arg.starts_with("-param:")).cloned();
    let asking: Vec<String> = given.chain(["-listparam".to_owned()]).collect();
    let limit_ms = i64::from(etl.start_within_s) * 1_000;
    let answer = match piped::ask(&asking, &ready.set, ready.unset, limit_ms) {
        Ok(answer) => answer,
        Err(error) => {
            ready.notes.push(format!("its parameters are not checked: {error}"));
            return None;
        }
    };
    let listed = declared::listed(&answer.text);
    if listed.is_empty() && !declares_none(etl.engine, &answer.text) {
        let last: Vec<&str> = answer.text.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = last[last.len().saturating_sub(LAST_LINES)..].join(" | ");
        let last: String = hidden(&last, &ready.secrets).chars().take(LAST_CHARS_MAX).collect();
        ready.notes.push(format!(
            "it lists no parameters, perhaps because it cannot be loaded: what is given is not checked ({last})"
        ));
        return None;
    }
    Some(listed)
}

/// It was loaded, and there are none: each line is of the log, without an error, or of what stands before every run. A
/// failure to load is told in free words, and in many languages.
fn declares_none(engine: Engine, text: &str) -> bool {
    const USUAL: &[&str] =
        &["#", "WARNING:", "Picked up ", "OpenJDK ", "Java HotSpot", "log4j:", " "];
    let mut reading = Reading::new(engine);
    let mut all_usual = true;
    for line in text.lines().filter(|line| !line.is_empty()) {
        reading.line(line);
        let dated = line.starts_with(|c: char| c.is_ascii_digit());
        all_usual &= dated || USUAL.iter().any(|usual| line.starts_with(usual));
    }
    all_usual && reading.began && reading.errors == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_loaded_declares_nobody_knows_what() {
        let began = "####\nWARNING: box\n2026/11/20 10:19:19 - Pan - Logging is at level : Basic\n\
            2026/11/20 10:19:19 - Pan - Start of run.\n";
        for (text, expect) in [
            (began.to_owned(), true),
            (String::new(), false),
            ("####\n".into(), false),
            (format!("{began}Processing has stopped because of an error: no such object\n"), false),
            (format!("{began}java.lang.NullPointerException\n\tat org.x.Y\n"), false),
            (
                format!("{began}ERROR: Pan can't continue because the job couldn't be loaded.\n"),
                false,
            ),
            (format!("{began}2026/11/20 10:19:19 - db - ERROR (version 8.3) : away\n"), false),
        ] {
            assert_eq!(declares_none(Engine::Pan, &text), expect, "{text}");
        }
    }

    #[test]
    fn a_password_is_quoted_as_a_jvm_reads_it() {
        for (text, expect) in [
            ("-Da=b", "'-Da=b'"),
            ("-Da=x y\"z", "'-Da=x y\"z'"),
            ("-Da=it's", "'-Da=it'\"'\"'s'"),
            ("'", "\"'\""),
        ] {
            assert_eq!(quoted(text), expect);
        }
    }
}
