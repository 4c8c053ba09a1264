//! Cold starts of Hop, helped by a class-data archive: what a JVM has read and linked of the engine's classes, kept in
//! a file that the next one maps.
//!
//! The agent has them made by a thread of its own ([`maker`]), by runs of a tiny pipeline of ours ([`making`]); the
//! process of an attempt (`hcndc-executor etl`) takes the one that fits, if there is one. [`given`] says whether a run
//! may have one, and with which options: pure. [`kept`] is where they are and what they are called.
//!
//! Each user of jobs has archives of his own, in a folder that is his alone: who writes an archive decides what
//! runs in a JVM that maps it. A JVM trusts it, and dies of one that is cut off or damaged: so its length stands in its
//! name, and it is summed up before it is used. (Kettle gains nothing by one.)

pub mod defined;
mod given;
mod kept;
pub mod maker;
mod making;

use crate::install::Install;
use shared::config::env;
use shared::etl::Family;
use std::io::Read;
use std::path::Path;

/// Of `hop-run.sh`.
const SCRIPT_BYTES_MAX: u64 = 256 * 1024;

/// HOP_OPTIONS of a run of that script with the archive that fits, or why there is none for it.
///
/// # Errors
/// In words.
pub(crate) fn options(dir: &Path, script: &Path) -> Result<String, String> {
    let text = read(script)?;
    let base = given::base(&text, env)?;
    let install = Install::of(Family::Hop, given::home(script), env);
    let major = given::major(&install.java)?;
    let key = kept::key(&install, &text).map_err(|error| format!("{error:#}"))?;
    let file = kept::find(dir, key).ok_or("none is made yet")?;
    given::using(&base, &file, major)
}

fn read(script: &Path) -> Result<String, String> {
    let plain = |error: std::io::Error| format!("{}: {error}", script.display());
    let mut bytes = Vec::new();
    let file = std::fs::File::open(script).map_err(plain)?;
    file.take(SCRIPT_BYTES_MAX).read_to_end(&mut bytes).map_err(plain)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
