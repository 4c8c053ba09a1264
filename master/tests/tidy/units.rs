//! The units of `config/systemd`, as systemd itself reads them.

use super::{none, root};
use std::path::Path;

/// Where distributions keep the units of systemd that ours name.
const SYSTEM: [&str; 2] = ["/usr/lib/systemd/system", "/lib/systemd/system"];

#[expect(clippy::disallowed_methods, reason = "systemd is asked")]
fn verify(root: &Path, unit: &str) -> Result<(), String> {
    let output = std::process::Command::new("systemd-analyze")
        .arg("verify")
        .arg(format!("--root={}", root.display()))
        .arg(unit)
        .output()
        .expect("the package systemd is there (`.ci/needs`)");
    let told = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    match output.status.success() && told.is_empty() {
        true => Ok(()),
        false => Err(format!("{unit}: {told}")),
    }
}

/// A root with the units of the system, ours, and something to execute where they say.
fn installed() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let units = dir.path().join("usr/lib/systemd/system");
    std::fs::create_dir_all(&units).unwrap();
    let system = SYSTEM.iter().map(Path::new).find(|path| path.is_dir()).expect("systemd's units");
    for from in [system.to_owned(), root().join("config/systemd")] {
        for entry in std::fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                std::fs::copy(&path, units.join(path.file_name().unwrap())).unwrap();
            }
        }
    }
    for program in
        ["usr/local/bin/hcndc-master", "usr/local/bin/hcndc-executor", "bin/kill", "bin/sh"]
    {
        let path = dir.path().join(program);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::copy("/bin/true", path).unwrap();
    }
    dir
}

#[test]
fn systemd_understands_every_line_of_our_units() {
    let dir = installed();
    let names = ["hcndc-master", "hcndc-supervisor", "hcndc-agent", "hcndc-services"];
    let names = names.map(|name| format!("{name}.service"));
    none("systemd says", names.iter().filter_map(|name| verify(dir.path(), name).err()).collect());
    // What a slip would look like.
    let path = dir.path().join("usr/lib/systemd/system/hcndc-agent.service");
    let slip = std::fs::read_to_string(&path).unwrap().replace("KillMode=", "KillMod=");
    std::fs::write(&path, slip).unwrap();
    let told = verify(dir.path(), "hcndc-agent.service").unwrap_err();
    assert!(told.contains("KillMod"), "{told}");
}
