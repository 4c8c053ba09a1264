//! Our Java sources, compiled on this host against the engine that is here: once for each set of jars.

use super::defined::Warm;
use crate::install::Install;
use crate::process::piped;
use anyhow::{Context, bail, ensure};
use shared::config::env;
use shared::etl::Family;
use shared::ids::Millis;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

const COMPILED_WITHIN_MS: Millis = 120_000;
const ADAPTER_BYTES_MAX: u64 = 1024 * 1024;
const OURS: (&str, &str) = ("Warm", include_str!("java/Warm.java"));
const KETTLE: (&str, &str) = ("WarmKettle", include_str!("java/WarmKettle.java"));
const HOP: (&str, &str) = ("WarmHop", include_str!("java/WarmHop.java"));
/// Of Hop: variables that its own scripts hand on as properties.
const HOP_PROPERTIES: &[&str] = &[
    "HOP_CONFIG_FOLDER",
    "HOP_SHARED_JDBC_FOLDERS",
    "HOP_PLUGIN_BASE_FOLDERS",
    "HOP_PASSWORD_ENCODER_PLUGIN",
    "HOP_AES_ENCODER_KEY_FILE",
];

/// Of Kettle: the same. A repository is for nobody here: what is run are files.
const KETTLE_PROPERTIES: &[&str] =
    &["KETTLE_HOME", "KETTLE_PLUGIN_PACKAGES", "KETTLE_LOG_SIZE_LIMIT", "KETTLE_JNDI_ROOT"];
/// Without it 8.3 runs on newer Javas, with hundreds of lines of complaints.
const OPENED: &str = "--add-opens=java.base/sun.net.www.protocol.jar=ALL-UNNAMED";

/// How a JVM is started.
#[derive(Debug)]
pub(super) struct Built {
    pub(super) argv: Vec<String>,
    /// The engine's own folder, as its scripts do.
    pub(super) dir: PathBuf,
}

/// # Errors
/// The engine or a JDK is not there, or our sources do not fit it.
pub(super) fn build(warm: &Warm, own: &Path) -> anyhow::Result<Built> {
    let family = warm.family().context("no engine is named")?;
    let install = install(family)?;
    let (name, text) = match (warm.adapter.as_os_str().is_empty(), family) {
        (true, Family::Kettle) => (KETTLE.0.to_owned(), KETTLE.1.to_owned()),
        (true, Family::Hop) => (HOP.0.to_owned(), HOP.1.to_owned()),
        (false, _) => adapter(&warm.adapter)?,
    };
    let classes = classes(&install, own, &[(OURS.0, OURS.1), (&name, &text)])?;
    let mut argv = vec![install.java.program.clone(), format!("-Xmx{}m", warm.heap_mib)];
    // Without memory nothing in it can be trusted; which run took it is not known.
    for option in ["-XX:+ExitOnOutOfMemoryError", "-XX:+DisplayVMOutputToStdout"] {
        argv.push(option.into());
    }
    argv.push("-Djava.awt.headless=true".into());
    argv.extend(properties(family, own, &install));
    argv.extend(warm.java_options.iter().cloned());
    argv.extend(["-cp".into(), format!("{}:{}", classes.display(), install.jars)]);
    argv.extend(["Warm".to_owned(), name]);
    Ok(Built { argv, dir: install.home })
}

fn install(family: Family) -> anyhow::Result<Install> {
    let variable = match family {
        Family::Kettle => "PDI_HOME",
        Family::Hop => "HOP_HOME",
    };
    let home = env(variable).filter(|home| !home.is_empty());
    let home = home.with_context(|| {
        format!("{variable} is not set: warm.environment must name where the engine is")
    })?;
    Ok(Install::of(family, home.into(), env))
}

fn properties(family: Family, own: &Path, install: &Install) -> Vec<String> {
    let given = |name: &&str| Some(format!("-D{name}={}", env(name).filter(|it| !it.is_empty())?));
    let mut all: Vec<String> = Vec::new();
    match family {
        Family::Hop => {
            let audit = env("HOP_AUDIT_FOLDER");
            let audit = audit.unwrap_or_else(|| own.join("audit").display().to_string());
            all.push("-DHOP_DISABLE_CONSOLE_LOGGING=Y".into());
            all.push(format!("-DHOP_AUDIT_FOLDER={audit}"));
            all.push("-DHOP_PLATFORM_RUNTIME=Run".into());
            all.extend(HOP_PROPERTIES.iter().filter_map(given));
        }
        Family::Kettle => {
            all.push("-DKETTLE_DISABLE_CONSOLE_LOGGING=Y".into());
            all.extend(KETTLE_PROPERTIES.iter().filter_map(given));
            if let Some(licenses) = env("PENTAHO_INSTALLED_LICENSE_PATH") {
                all.push(format!("-Dpentaho.installed.licenses.file={licenses}"));
            }
            let old = install.java.major().is_none_or(|major| major < 9);
            if !old {
                let script = std::fs::read_to_string(install.home.join("spoon.sh"));
                all.extend(opened(&script.unwrap_or_default()));
            }
        }
    }
    all
}

/// What Javas from 9 on are told by the install's own script: each version knows best what it needs.
fn opened(script: &str) -> Vec<String> {
    let words = script.split(|c: char| c.is_whitespace() || c == '"');
    let told = ["--add-opens=", "-Djava.locale.providers="];
    let told = words.filter(|word| told.iter().any(|begin| word.starts_with(begin)));
    let mut all: Vec<String> = told.chain([OPENED]).map(str::to_owned).collect();
    all.sort();
    all.dedup();
    all
}

/// The class is called as its file.
fn adapter(path: &Path) -> anyhow::Result<(String, String)> {
    let what = || format!("warm.adapter: {}", path.display());
    let length = path.metadata().with_context(what)?.len();
    ensure!(length <= ADAPTER_BYTES_MAX, "{}: longer than {ADAPTER_BYTES_MAX} bytes", what());
    let name = path.file_stem().and_then(|name| name.to_str()).with_context(what)?;
    Ok((name.to_owned(), std::fs::read_to_string(path).with_context(what)?))
}

/// The folder with the classes; those of other jars or sources go.
fn classes(install: &Install, own: &Path, sources: &[(&str, &str)]) -> anyhow::Result<PathBuf> {
    let key = key(install, sources)?;
    let cache = own.join("classes");
    let dir = cache.join(format!("{key:016x}"));
    let whole = |dir: &Path| {
        sources.iter().all(|(name, _)| dir.join(name).with_extension("class").is_file())
    };
    if whole(&dir) {
        return Ok(dir);
    }
    let what = || format!("the folder {}", cache.display());
    match std::fs::remove_dir_all(&cache) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(what);
        }
        _ => {}
    }
    let part = cache.join("part");
    std::fs::create_dir_all(&part).with_context(what)?;
    let javac = install.java.beside("javac");
    let (mut argv, into) = (vec![javac.clone()], part.display().to_string());
    argv.extend(["-nowarn", "-encoding", "UTF-8", "-d", &into, "-cp"].map(str::to_owned));
    argv.push(install.jars.clone());
    for (name, text) in sources {
        let path = part.join(name).with_extension("java");
        std::fs::write(&path, text).with_context(what)?;
        argv.push(path.display().to_string());
    }
    let told = piped::ask(&argv, &[], &[], COMPILED_WITHIN_MS)
        .with_context(|| format!("{javac} (a JDK is needed, not only a Java)"))?;
    // A class may be there and not be whole: where the disk is full, or the compiler was ended.
    if !told.status.success() || !whole(&part) {
        let wrong = |line: &&str| line.contains("error") || line.contains("No space");
        let first = told.text.lines().find(wrong).unwrap_or(&told.text);
        bail!(
            "our sources are not compiled against {} ({}): {first}",
            install.home.display(),
            told.status
        );
    }
    // Who has lost power finds all of them, or none.
    for entry in std::fs::read_dir(&part).with_context(what)?.flatten() {
        std::fs::File::open(entry.path()).and_then(|file| file.sync_all()).with_context(what)?;
    }
    std::fs::rename(&part, &dir).with_context(what)?;
    Ok(dir)
}

/// Another one when a jar, the Java or a source is another one.
fn key(install: &Install, sources: &[(&str, &str)]) -> anyhow::Result<u64> {
    let mut key = DefaultHasher::new();
    (env!("CARGO_PKG_VERSION"), sources).hash(&mut key);
    install.hash(&mut key)?;
    Ok(key.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kettle_opens_what_its_own_script_opens() {
        assert_eq!(opened("OPT=\"$OPT -Xmx1g\"\n"), [OPENED]);
        let script = "  L=\"-Djava.locale.providers=COMPAT,SPI\"\nA=\"$A --add-opens=java.base/java.io=ALL-UNNAMED\"\n\
                      A=\"$A --add-opens=java.base/sun.net.www.protocol.jar=ALL-UNNAMED\"\n";
        let told = [
            "--add-opens=java.base/java.io=ALL-UNNAMED",
            OPENED,
            "-Djava.locale.providers=COMPAT,SPI",
        ];
        assert_eq!(opened(script), told);
    }
}
