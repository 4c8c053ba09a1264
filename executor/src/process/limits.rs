//! What one attempt may use of its host, and how it is held to it.
//!
//! Pure. Resource limits hold everywhere, but each for a process alone: [`Bounds::resources`]. Where
//! the attempt has a group of cgroup v2 whose controllers are ours, they hold for all its processes
//! together: [`Bounds::group`].

use crate::config;
use shared::wire::Limits;

const MIB: u64 = 1 << 20;
/// Of `cpu.max`, in microseconds.
const PERIOD_US: u64 = 100_000;

/// Which controllers a group of an attempt has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Controllers {
    pub cpu: bool,
    pub memory: bool,
    pub pids: bool,
}

impl Controllers {
    /// As `cgroup.subtree_control` and `cgroup.controllers` list them.
    pub fn of(text: &str) -> Controllers {
        let has = |name| text.split_whitespace().any(|word| word == name);
        Controllers { cpu: has("cpu"), memory: has("memory"), pids: has("pids") }
    }
}

/// A limit of the kernel, by its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resource {
    pub number: u32,
    pub most: u64,
    /// Above it: where the kernel asks first and kills then.
    pub hard: u64,
}

/// From SIGXCPU, which names the reason, to SIGKILL.
const CPU_GRACE_S: u64 = 5;

/// How one attempt is held to its limits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    pub resources: Vec<Resource>,
    /// Files of the group, and what is written into them before the job joins.
    pub group: Vec<(&'static str, String)>,
}

/// What the job asks for counts more than what the host gives everybody. `root`: it runs as root.
///
/// # Errors
/// It asks for what cannot be held here, in words for people.
pub fn bounds(
    host: &config::Limits,
    asked: &Limits,
    controllers: Controllers,
    root: bool,
) -> Result<Bounds, String> {
    let mut bounds = Bounds::default();
    let mut add = |number, most, hard| bounds.resources.push(Resource { number, most, hard });
    let mut limit = |number, most| add(number, most, most);
    limit(libc::RLIMIT_NOFILE, u64::from(asked.open_files.unwrap_or(host.open_files)));
    limit(libc::RLIMIT_CORE, u64::from(host.core_mib) * MIB);
    if host.file_mib > 0 {
        limit(libc::RLIMIT_FSIZE, u64::from(host.file_mib) * MIB);
    }
    let memory = u64::from(asked.memory_mib.unwrap_or(host.memory_mib)) * MIB;
    if memory > 0 && !controllers.memory {
        // What is written to, not what is reserved: virtual machines reserve far more than they use.
        limit(libc::RLIMIT_DATA, memory);
    }
    let processes = u64::from(asked.processes.unwrap_or(host.processes));
    if processes > 0 && !controllers.pids {
        if root && asked.processes.is_some() {
            return Err("a limit of processes does not hold root: another user, or cgroup v2, is \
                        needed on this host"
                .into());
        }
        limit(libc::RLIMIT_NPROC, processes);
    }
    if host.cpu_s > 0 {
        add(libc::RLIMIT_CPU, u64::from(host.cpu_s), u64::from(host.cpu_s) + CPU_GRACE_S);
    }
    let mut write = |file, text: String| bounds.group.push((file, text));
    if memory > 0 && controllers.memory {
        write("memory.max", memory.to_string());
        // Without this it would swap for hours where it is to end.
        write("memory.swap.max", "0".into());
        // A job that has lost one of its processes is no job any more.
        write("memory.oom.group", "1".into());
    }
    if processes > 0 && controllers.pids {
        write("pids.max", processes.to_string());
    }
    if host.cpu_percent > 0 && controllers.cpu {
        let quota = u64::from(host.cpu_percent) * PERIOD_US / 100;
        write("cpu.max", format!("{quota} {PERIOD_US}"));
    }
    Ok(bounds)
}

/// Files of a group that a kernel may lack; what they are for is then not there either.
pub fn may_lack(file: &str) -> bool {
    matches!(file, "memory.swap.max" | "memory.oom.group")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Controllers = Controllers { cpu: false, memory: false, pids: false };
    const ALL: Controllers = Controllers { cpu: true, memory: true, pids: true };

    fn host() -> config::Limits {
        config::Limits {
            memory_mib: 512,
            processes: 100,
            cpu_percent: 150,
            ..config::Limits::default()
        }
    }

    fn found(bounds: &Bounds, number: u32) -> Option<u64> {
        bounds.resources.iter().find(|it| it.number == number).map(|it| it.most)
    }

    #[test]
    fn what_controllers_do_not_hold_limits_of_processes_do() {
        let plain = bounds(&host(), &Limits::default(), NONE, false).unwrap();
        assert_eq!(found(&plain, libc::RLIMIT_DATA), Some(512 * MIB));
        assert_eq!(found(&plain, libc::RLIMIT_NPROC), Some(100));
        assert_eq!(found(&plain, libc::RLIMIT_NOFILE), Some(65_536));
        assert_eq!(found(&plain, libc::RLIMIT_CORE), Some(0));
        assert_eq!(found(&plain, libc::RLIMIT_CPU), None);
        assert!(plain.group.is_empty());
        let grouped = bounds(&host(), &Limits::default(), ALL, false).unwrap();
        assert_eq!(found(&grouped, libc::RLIMIT_DATA), None);
        assert_eq!(found(&grouped, libc::RLIMIT_NPROC), None);
        let text: Vec<String> = grouped.group.iter().map(|(f, t)| format!("{f}={t}")).collect();
        let expected = [
            "memory.max=536870912",
            "memory.swap.max=0",
            "memory.oom.group=1",
            "pids.max=100",
            "cpu.max=150000 100000",
        ];
        assert_eq!(text, expected);
    }

    #[test]
    fn a_job_asks_for_its_own() {
        let asked = Limits { memory_mib: Some(64), open_files: Some(32), processes: Some(7) };
        let plain = bounds(&host(), &asked, NONE, false).unwrap();
        assert_eq!(found(&plain, libc::RLIMIT_DATA), Some(64 * MIB));
        assert_eq!(found(&plain, libc::RLIMIT_NOFILE), Some(32));
        assert_eq!(found(&plain, libc::RLIMIT_NPROC), Some(7));
        let root = bounds(&host(), &asked, NONE, true).unwrap_err();
        assert!(root.contains("does not hold root"), "{root}");
        assert!(bounds(&host(), &asked, ALL, true).is_ok());
        assert!(
            bounds(&host(), &Limits::default(), NONE, true).is_ok(),
            "the host's own is no ask"
        );
    }

    #[test]
    fn controllers_are_read_as_the_kernel_lists_them() {
        assert_eq!(Controllers::of("cpuset cpu io memory hugetlb pids\n"), ALL);
        assert_eq!(Controllers::of("cpuset io\n"), NONE);
        assert_eq!(Controllers::of(""), NONE);
    }
}
