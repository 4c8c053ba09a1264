//! Whether a run may have an archive, and what its JVM is told. Pure.
//!
//! It goes by HOP_OPTIONS: that reaches Hop's scripts alone, where a variable that each JVM reads would reach
//! whatever else a pipeline starts. A script takes options of its own where HOP_OPTIONS is empty; so these are read out of
//! it, and who cannot be read goes without.

use crate::install::Java;
use std::path::{Path, PathBuf};

pub(super) const OPTIONS: &str = "HOP_OPTIONS";
/// What a JVM, or its launcher, reads by itself.
pub(super) const OF_ALL: [&str; 3] = ["JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS"];
/// What says something about class data, or may.
const ABOUT: &[&str] = &[
    "-Xshare",
    "SharedArchiveFile",
    "ArchiveClassesAtExit",
    "AutoCreateSharedArchive",
    "SharedClassListFile",
    "DumpLoadedClassList",
    "SharedSpaces",
    "-XX:AOT",
    "-XX:Flags",
    "VMOptionsFile",
    " @",
];
/// With archives of what an application has loaded.
const JAVA_MIN: u32 = 13;
/// From here on words about archives have this tag too; an unknown one keeps a JVM from starting.
const JAVA_AOT: u32 = 25;

/// The folder that the script changes into.
pub(super) fn home(script: &Path) -> PathBuf {
    script.parent().unwrap_or(script).to_owned()
}

/// # Errors
/// It has no archives, or nobody knows.
pub(super) fn major(java: &Java) -> Result<u32, String> {
    match java.major() {
        Some(major) if major >= JAVA_MIN => Ok(major),
        Some(major) => Err(format!("Java {major} has no such archives, {JAVA_MIN} has")),
        None => Err(format!("which Java {} is cannot be seen", java.program)),
    }
}

/// What HOP_OPTIONS are without an archive.
///
/// # Errors
/// They say something about archives themselves, or are not known.
pub(super) fn base(script: &str, get: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    for name in OF_ALL.into_iter().chain([OPTIONS]) {
        let value = get(name).unwrap_or_default();
        if says_something(&value) {
            return Err(format!("{name} says something about class data itself"));
        }
    }
    let lines: Vec<&str> =
        script.lines().map(str::trim).filter(|line| !line.starts_with('#')).collect();
    if lines.iter().any(|line| says_something(line)) {
        return Err("the script says something about class data itself".into());
    }
    match get(OPTIONS).filter(|given| !given.trim().is_empty()) {
        Some(given) => Ok(given),
        None => usual(&lines).ok_or_else(|| {
            format!("what the script takes where {OPTIONS} is empty cannot be read out of it: set {OPTIONS}")
        }),
    }
}

fn says_something(options: &str) -> bool {
    // `"$@"` is no file with options.
    ABOUT.iter().any(|word| options.contains(word)) || options.starts_with('@')
}

/// Of a script: `HOP_OPTIONS="…"`, or `${HOP_OPTIONS:-…}`, once and in plain words.
fn usual(lines: &[&str]) -> Option<String> {
    let mut all = Vec::new();
    for line in lines {
        let assigned = line.strip_prefix("export ").unwrap_or(line).strip_prefix("HOP_OPTIONS=");
        if let Some((_, rest)) = line.split_once("${HOP_OPTIONS:-") {
            all.push(rest.split_once('}')?.0);
        } else if let Some(value) = assigned.filter(|value| !value.contains("HOP_OPTIONS")) {
            all.push(value.strip_prefix('"')?.strip_suffix('"')?);
        }
    }
    let [value] = all[..] else { return None };
    let plain = |c: char| c.is_ascii_alphanumeric() || " -+=:._/,".contains(c);
    value.chars().all(plain).then(|| value.to_owned())
}

/// # Errors
/// The path would not arrive.
pub(super) fn using(base: &str, file: &Path, major: u32) -> Result<String, String> {
    let (file, careful) = (plain(file)?, careful(major));
    Ok(format!("{base} -Xshare:auto -XX:SharedArchiveFile={file} {careful}"))
}

/// A damaged one is not used; nothing about all this is for the job's log.
fn careful(major: u32) -> String {
    let tags = if major >= JAVA_AOT { "cds*=off,aot*=off" } else { "cds*=off" };
    format!("-XX:+VerifySharedSpaces -Xlog:{tags}")
}

/// # Errors
/// The path would not arrive.
pub(super) fn making(heap: &str, part: &Path, major: u32) -> Result<String, String> {
    // With what runs will be given: a JVM that does not know one of these does not start, and makes none.
    Ok(format!("{heap} -XX:ArchiveClassesAtExit={} {}", plain(part)?, careful(major)))
}

/// The script splits at blanks and looks for files by patterns.
fn plain(path: &Path) -> Result<&str, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-+=._/,@".contains(c);
    let text = path.to_str().filter(|text| text.chars().all(plain));
    text.ok_or_else(|| {
        format!("{} has signs that hop-run.sh does not pass on: another `data`", path.display())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the scripts of Hop begin.
    const SCRIPT: &str = "#!/usr/bin/env bash\nif [ -z \"$HOP_OPTIONS\" ]; then\n  HOP_OPTIONS=\"-Xmx2048m\"\nfi\n\
        #HOP_OPTIONS=\"${HOP_OPTIONS} -Xdebug\"\nHOP_OPTIONS=\"${HOP_OPTIONS} -DHOP_PLATFORM_RUNTIME=Run\"\n\
        \"$_HOP_JAVA\" ${HOP_OPTIONS} -classpath \"${CLASSPATH}\" org.apache.hop.run.HopRun \"$@\"\n";

    fn of(script: &str, vars: &[(&str, &str)]) -> Result<String, String> {
        base(script, |name| {
            vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn what_a_script_takes_by_itself_is_kept() {
        assert_eq!(of(SCRIPT, &[]).unwrap(), "-Xmx2048m");
        assert_eq!(of(SCRIPT, &[("HOP_OPTIONS", " ")]).unwrap(), "-Xmx2048m");
        assert_eq!(of(SCRIPT, &[("HOP_OPTIONS", "-Xmx4g -Dx=y")]).unwrap(), "-Xmx4g -Dx=y");
        assert_eq!(of("O=\"${HOP_OPTIONS:--Xmx1g} -Dx\"", &[]).unwrap(), "-Xmx1g");
        for script in [
            "",
            "HOP_OPTIONS=\"-Xmx1g\"\nHOP_OPTIONS=\"-Xmx2g\"",
            "HOP_OPTIONS=\"-Xmx$MEMORY\"",
            "HOP_OPTIONS=\"$(cat jvm.options)\"",
            "HOP_OPTIONS='-Xmx1g'",
            "HOP_OPTIONS=\"-Xmx1g",
        ] {
            let why = of(script, &[]).unwrap_err();
            assert!(why.contains("cannot be read out of it"), "{script}: {why}");
            assert_eq!(of(script, &[("HOP_OPTIONS", "-Xmx1g")]).unwrap(), "-Xmx1g", "{script}");
        }
    }

    #[test]
    fn who_says_something_about_class_data_is_left_alone() {
        for (name, value) in [
            ("HOP_OPTIONS", "-Xmx1g -Xshare:off"),
            ("HOP_OPTIONS", "-XX:SharedArchiveFile=/srv/hop.jsa"),
            ("HOP_OPTIONS", "-XX:ArchiveClassesAtExit=/srv/hop.jsa"),
            ("HOP_OPTIONS", "-XX:+AutoCreateSharedArchive"),
            ("HOP_OPTIONS", "-Xmx1g @/srv/hop.options"),
            ("HOP_OPTIONS", "@/srv/hop.options"),
            ("JAVA_TOOL_OPTIONS", "-Xshare:dump"),
            ("JDK_JAVA_OPTIONS", "-XX:AOTCache=/srv/hop.aot"),
            ("_JAVA_OPTIONS", "-XX:VMOptionsFile=/srv/x"),
        ] {
            let why = of(SCRIPT, &[(name, value)]).unwrap_err();
            assert!(why.starts_with(name), "{value}: {why}");
        }
        let changed = SCRIPT.replace("-Xmx2048m", "-Xmx2048m -Xshare:off");
        assert!(of(&changed, &[]).unwrap_err().starts_with("the script"));
    }

    #[test]
    fn the_options_are_added_after_what_is_there() {
        let file = Path::new("/srv/x/cold/0/a-b-7.jsa");
        assert_eq!(
            using("-Xmx4g", file, 17).unwrap(),
            "-Xmx4g -Xshare:auto -XX:SharedArchiveFile=/srv/x/cold/0/a-b-7.jsa \
             -XX:+VerifySharedSpaces -Xlog:cds*=off"
        );
        assert!(using("-Xmx4g", file, 25).unwrap().ends_with(" -Xlog:cds*=off,aot*=off"));
        for path in ["/srv/a b/x.jsa", "/srv/*/x.jsa", "/srv/$X/x.jsa", "/srv/ü/x.jsa"] {
            assert!(using("", Path::new(path), 17).unwrap_err().contains("another `data`"));
        }
    }
}
