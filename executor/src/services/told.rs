//! How the services are, in a small file: written by who keeps them, read by the agent.

use crate::process::launch;
use crate::spool::{Layout, layout};
use shared::wire::{SERVICES_MAX, Service};
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Of the file: what is longer was not written by us.
const BYTES_MAX: u64 = 256 * 1024;

fn file(data: &Path) -> PathBuf {
    data.join("services").join("told.json")
}

/// # Errors
/// As the operating system says.
pub(super) fn write(data: &Path, services: &BTreeMap<String, Service>) -> std::io::Result<()> {
    let (path, text) = (file(data), serde_json::to_string(services)?);
    let part = path.with_extension("part");
    let whole = layout::write_private(&part, &text).and_then(|()| std::fs::rename(&part, &path));
    if whole.is_ok() {
        return Ok(());
    }
    let _ = std::fs::remove_file(&part);
    over(&path, &text).or(whole)
}

/// On a full disk: into the room that it has already. Who reads it meanwhile reads it again.
fn over(path: &Path, text: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(false).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.set_len(text.len() as u64)
}

/// Of these names, as they are now; none where nobody wants any.
pub fn read(data: &Path, names: &[String]) -> BTreeMap<String, Service> {
    let kept = Layout { root: data.to_owned() }.holder("services").is_some();
    let mut told = if kept { known(data) } else { BTreeMap::new() };
    let words = match kept {
        true => "not known to who keeps the services: start hcndc-services again",
        false => "nobody keeps it: hcndc-executor services does not run (unit hcndc-services)",
    };
    let one = |name: &String| {
        let mut service = told
            .remove(name)
            .unwrap_or_else(|| Service { words: words.into(), ..Service::default() });
        service.words = launch::short(&service.words);
        (name.clone(), service)
    };
    names.iter().take(SERVICES_MAX).map(one).collect()
}

fn known(data: &Path) -> BTreeMap<String, Service> {
    let path = file(data);
    let small = path.metadata().is_ok_and(|found| found.len() <= BYTES_MAX);
    let text = small.then(|| std::fs::read_to_string(&path).ok()).flatten();
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}
