//! A disk of a few megabytes, and full ones. To mount it the tests run as root, as they do in CI.

use super::faults::held_job;
use super::logs::Stored;
use super::real::Real;
use super::{ended, judge, mesh};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A file system of its own in memory, while it lives.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn at(path: &Path, megabytes: u32) -> SmallDisk {
        std::fs::create_dir_all(path).unwrap();
        let size = format!("size={megabytes}m");
        let mounted = system("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", text(path)]);
        assert!(mounted, "a small disk cannot be mounted: these tests need root");
        SmallDisk(path.to_owned())
    }

    /// Leaves no byte; how many were taken.
    fn fill(&self) -> u64 {
        let mut file = std::fs::File::create(self.filler()).unwrap();
        let mut taken = 0;
        for chunk in [&[0; 65_536][..], &[0; 512][..], &[0; 1][..]] {
            while file.write_all(chunk).is_ok() {
                taken += 1;
            }
        }
        crate::real::facts::note("faults", 1);
        taken
    }

    fn free(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the programs on it are only now told to end.
        system("umount", &["-l", text(&self.0)]);
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of ours")
}

#[expect(clippy::disallowed_methods, reason = "disks are mounted by the system's own program")]
fn system(program: &str, args: &[&str]) -> bool {
    std::process::Command::new(program).args(args).status().is_ok_and(|status| status.success())
}

/// A host whose disk is low begins nothing and says so; what it runs already keeps its result.
#[test]
fn a_host_whose_disk_is_full() {
    let mut real = Real::quick();
    let disk = SmallDisk::at(&real.path("executor"), 32);
    real.executor_more = "[output]\ndisk_low_bytes = 8388608\n".into();
    real.start_executor(&[]);
    real.start_master(&[]);
    real.master_is_ready();
    real.apply(&held_job(&real, "{}", "{}"));
    real.must(&["run", "held", "--period", "2026-11-20"]);
    real.until("the job has begun", |real| !real.journal().is_empty());
    assert!(disk.fill() > 0, "the disk was full from the start");
    // It ends, and another one would begin.
    std::fs::write(real.path("go"), "").unwrap();
    real.until("the job has written its end", |real| real.journal().len() == 2);
    // The disk is looked at twice a second.
    std::thread::sleep(std::time::Duration::from_secs(1));
    real.must(&["run", "held", "--period", "2026-11-21"]);
    real.until("it is said why nothing begins", |real| {
        let waiting = real.rows("SELECT reason FROM job_run", |row| row.get::<_, String>(0));
        waiting.iter().any(|reason| reason.contains("disk"))
    });
    disk.free();
    ended(&mut real);
    assert_eq!(real.executions(), ["succeeded", "succeeded"], "{}", real.logs());
    assert_eq!(real.journal().len(), 4, "each began and ended once: {:?}", real.journal());
}

/// The embedded database has no room: nothing is lost, and it goes on when there is some.
#[test]
fn a_master_whose_disk_is_full() {
    let mut real = Real::quick();
    // With what `issue-host` has written there.
    let (data, kept) = (real.path("master"), real.path("kept"));
    std::fs::rename(&data, &kept).unwrap();
    let disk = SmallDisk::at(&data, 32);
    assert!(system("cp", &["-a", &format!("{}/.", text(&kept)), text(&data)]));
    real.start_executor(&[]);
    real.start_master(&[]);
    real.master_is_ready();
    real.apply(&mesh(&real));
    real.must(&["run", "first", "--period", "2026-11-20", "--cascade"]);
    real.until("a job has begun", |real| !real.journal().is_empty());
    assert!(disk.fill() > 0, "the disk was full from the start");
    let refused = real.hcndc(&["run", "second", "--period", "2026-11-22"]);
    let told = super::real::text(&refused);
    assert!(!refused.status.success(), "the fault: a command was stored on a full disk: {told}");
    std::thread::sleep(std::time::Duration::from_secs(3));
    disk.free();
    ended(&mut real);
    assert_eq!(real.executions(), ["succeeded"], "{}", real.logs());
    judge(&real);
}

/// Bytes of output on the host.
fn written(real: &Real) -> u64 {
    let files = files_in(&real.path("executor").join("out"));
    files.iter().filter_map(|file| Some(std::fs::metadata(file).ok()?.len())).sum()
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| match entry.path() {
            path if path.is_dir() => files_in(&path),
            path => vec![path],
        })
        .collect()
}

/// The host's disk takes no notes of what is shipped: it is shipped when there is room again.
#[test]
fn a_full_host_that_ships_its_logs() {
    let mut stored = Stored::new();
    let disk = SmallDisk::at(&stored.real.path("executor"), 32);
    stored.real.executor_more += "[output]\ndisk_low_bytes = 1048576\n";
    stored.start_held(&[], 400);
    stored.real.until("the job runs", |real| real.attempts_started() > 0);
    // The first note of an attempt needs room of its own; later ones may find some in its last page. So
    // the agent sleeps until there is output to take a note of, and none is left on the disk.
    assert_eq!(stored.real.signal_of_executor("agent", "-STOP"), 1);
    stored.go();
    stored.real.until("the job has written", |real| written(real) > 0);
    assert!(disk.fill() > 0, "the disk was full from the start");
    stored.real.signal_of_executor("agent", "-CONT");
    let log = stored.real.path("executor.log");
    stored.real.until("the fault: a note is refused", |_| {
        std::fs::read_to_string(&log).unwrap().contains("is shipped later")
    });
    disk.free();
    stored.real.until("the execution has ended", |real| {
        real.executions().iter().all(|state| state != "running")
    });
    // What the job could not write is not there; what it could is shipped to its end.
    stored.real.until_some("the store has its end", || {
        stored.chunks().iter().any(|chunk| chunk.end.is_some())
    });
}
