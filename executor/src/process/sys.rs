//! System calls that no safe crate offers: a child that shares our memory until its `exec` (as
//! `posix_spawn` does it, but with session, limits, group and user set in it), its end with what it
//! used, limits of other processes, signals by pidfd.
//!
//! Between `clone` and `exec` the child runs [`child`] on a stack of its own while our thread is
//! stopped. It may only make system calls: no allocation, no lock, no panic. `setuid` and its like are
//! called raw, for the C library's would change all our threads.

#![expect(unsafe_code, reason = "these calls have no safe form; each says why it is sound")]

use super::limits::Resource;
use libc::{c_char, c_int, c_void};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// All that a child needs, made ready before it is there.
#[derive(Debug)]
pub struct Plan<'a> {
    pub program: CString,
    pub argv: Vec<CString>,
    pub env: Vec<CString>,
    pub dir: CString,
    pub stdin: BorrowedFd<'a>,
    pub out: BorrowedFd<'a>,
    pub err: BorrowedFd<'a>,
    /// `cgroup.procs` of its group, open for writing.
    pub group: Option<BorrowedFd<'a>>,
    pub umask: u32,
    pub limits: Vec<Resource>,
    /// See [`super::mark`].
    pub mark: u64,
    pub user: Option<User>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
}

/// What the child was about when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Step {
    Fork,
    Session,
    Group,
    User,
    Dir,
    Files,
    Exec,
}

/// Memory for the child's few frames, and what it must set right; one for each thread that spawns.
#[derive(Debug)]
pub struct Stack {
    memory: Vec<u128>,
    ignored: Vec<c_int>,
}

impl Default for Stack {
    fn default() -> Stack {
        Stack { memory: vec![0; 64 * 1024 / size_of::<u128>()], ignored: ignored() }
    }
}

/// Signals that this process ignores: SIGPIPE by Rust, SIGHUP by nohup. Nobody changes that later.
fn ignored() -> Vec<c_int> {
    let is_ignored = |signal: &c_int| {
        // SAFETY: nothing is set; the structure is ours.
        unsafe {
            let mut now: libc::sigaction = std::mem::zeroed();
            libc::sigaction(*signal, std::ptr::null(), &raw mut now) == 0
                && now.sa_sigaction == libc::SIG_IGN
        }
    };
    (1..=64).filter(is_ignored).collect()
}

/// What parent and child both see.
struct Handed {
    program: *const c_char,
    argv: Vec<*const c_char>,
    env: Vec<*const c_char>,
    dir: *const c_char,
    fds: [RawFd; 3],
    group: Option<RawFd>,
    umask: u32,
    limits: Vec<Resource>,
    mark: u64,
    user: Option<User>,
    ignored: Vec<c_int>,
    failed: Option<(Step, c_int)>,
}

/// Starts the plan's program in a session of its own; returns when it is there, with its pid.
/// All signals must be blocked in the calling thread.
///
/// # Errors
/// What failed, and the operating system's word for it; then no process is left.
pub fn spawn(plan: &Plan, stack: &mut Stack) -> Result<i32, (Step, io::Error)> {
    let pointers = |texts: &[CString]| {
        texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
    };
    let mut handed = Handed {
        program: plan.program.as_ptr(),
        argv: pointers(&plan.argv),
        env: pointers(&plan.env),
        dir: plan.dir.as_ptr(),
        fds: [plan.stdin.as_raw_fd(), plan.out.as_raw_fd(), plan.err.as_raw_fd()],
        group: plan.group.map(|fd| fd.as_raw_fd()),
        umask: plan.umask,
        limits: plan.limits.clone(),
        mark: plan.mark,
        user: plan.user.clone(),
        ignored: stack.ignored.clone(),
        failed: None,
    };
    // SAFETY: the stack is ours alone and outlives the child's use of it, for CLONE_VFORK stops this
    // thread until the child has called execve or _exit; so do `handed` and all it points at. The
    // child keeps to `child`'s rule. It grows down, from an end that is aligned to 16 bytes.
    let pid = unsafe {
        let top = stack.memory.as_mut_ptr().add(stack.memory.len()).cast::<c_void>();
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        libc::clone(child, top, flags, (&raw mut handed).cast())
    };
    if pid < 0 {
        return Err((Step::Fork, io::Error::last_os_error()));
    }
    // SAFETY: the child wrote it through the pointer while we were stopped.
    match unsafe { std::ptr::read_volatile(&raw const handed.failed) } {
        None => Ok(pid),
        Some((step, errno)) => {
            // It may have been reaped by the thread that reaps; then there is nothing to wait for.
            let _ = nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(pid), None);
            Err((step, io::Error::from_raw_os_error(errno)))
        }
    }
}

extern "C" fn child(handed: *mut c_void) -> c_int {
    // SAFETY: the parent is stopped and handed us this; see `spawn`.
    let handed = unsafe { &mut *handed.cast::<Handed>() };
    let step = prepare(handed);
    // SAFETY: errno's place is this thread's; execve and _exit are plain system calls.
    unsafe {
        let step = step.unwrap_or_else(|| {
            libc::execve(handed.program, handed.argv.as_ptr(), handed.env.as_ptr());
            Step::Exec
        });
        handed.failed = Some((step, *libc::__errno_location()));
        libc::_exit(127)
    }
}

/// Everything before `execve`; says at which step it failed, errno telling why.
fn prepare(handed: &Handed) -> Option<Step> {
    // SAFETY: plain system calls on our own copies of process attributes (only memory is shared with
    // the parent); descriptors are the parent's and open; pointers are as `spawn` made them.
    unsafe {
        // First of all: from here on whatever becomes of this process can be told as ours. It fails
        // only inside another executor's job; then the variable of the environment must do.
        let mark = libc::rlimit { rlim_cur: handed.mark, rlim_max: handed.mark };
        libc::setrlimit(libc::RLIMIT_LOCKS, &raw const mark);
        if libc::setsid() < 0 {
            return Some(Step::Session);
        }
        if let Some(group) = handed.group
            && libc::write(group, b"0".as_ptr().cast(), 1) < 0
        {
            return Some(Step::Group);
        }
        set_limits(&handed.limits);
        libc::umask(handed.umask);
        for (target, &fd) in (0..).zip(&handed.fds) {
            if libc::dup2(fd, target) < 0 {
                return Some(Step::Files);
            }
        }
        // Nothing of ours, nor of who started us, reaches the job. (Older kernels lack it; our own
        // descriptors close themselves.)
        libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
        if let Some(user) = &handed.user
            && !become_user(user)
        {
            return Some(Step::User);
        }
        if libc::chdir(handed.dir) < 0 {
            return Some(Step::Dir);
        }
        // Handlers fall back to the default by exec, what is ignored stays ignored.
        let mut default: libc::sigaction = std::mem::zeroed();
        default.sa_sigaction = libc::SIG_DFL;
        for &signal in &handed.ignored {
            libc::sigaction(signal, &raw const default, std::ptr::null_mut());
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
    None
}

/// Each as asked for, and as far as the system lets us. Before the user is another one, so that the
/// number of processes is judged by the `exec`.
///
/// # Safety
/// For [`prepare`] only.
unsafe fn set_limits(limits: &[Resource]) {
    for limit in limits {
        // SAFETY: plain system calls on a structure of ours.
        unsafe {
            let mut now: libc::rlimit = std::mem::zeroed();
            if libc::getrlimit(limit.number, &raw mut now) == 0 {
                let (most, hard) = (limit.most.min(now.rlim_max), limit.hard.min(now.rlim_max));
                let limits = libc::rlimit { rlim_cur: most, rlim_max: hard };
                libc::setrlimit(limit.number, &raw const limits);
            }
        }
    }
}

/// For good: no program it starts gets more rights than it has.
///
/// # Safety
/// For [`prepare`] only.
unsafe fn become_user(user: &User) -> bool {
    // SAFETY: plain system calls, raw: they concern the calling thread alone, which is the child.
    unsafe {
        libc::syscall(libc::SYS_setgroups, user.groups.len(), user.groups.as_ptr()) == 0
            && libc::syscall(libc::SYS_setresgid, user.gid, user.gid, user.gid) == 0
            && libc::syscall(libc::SYS_setresuid, user.uid, user.uid, user.uid) == 0
            && libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    }
}

/// The calling thread, and what it starts, goes after all others: for the processor, and for the disk. (What the
/// system does not grant stays as it was.)
pub fn be_last() {
    const NICE: c_int = 19;
    /// Of `ioprio_set`: whose, and the class *idle*.
    const IOPRIO_WHO_PROCESS: c_int = 1;
    const IDLE: c_int = 3 << 13;
    // SAFETY: system calls on plain numbers, about the calling thread alone.
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, NICE);
        libc::syscall(libc::SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IDLE);
    }
}

/// A descriptor that this process had before its `exec`, by its number; it closes itself at the next.
///
/// # Errors
/// There is none of that number.
pub fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: a system call on a plain number; the descriptor is open then, and its number was
    // handed to us by the program that we were: nobody else in this process knows it.
    unsafe {
        match libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) {
            0 => Ok(OwnedFd::from_raw_fd(number)),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// How a child has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Code(i32),
    Signal(i32),
}

/// A child that has ended, taken off the process table.
#[derive(Clone, Copy, Debug)]
pub struct Reaped {
    pub pid: i32,
    pub ended: Ended,
    pub rss_max_kib: u64,
    pub cpu_ms: u64,
}

/// The next child that has ended, if any has.
pub fn reap() -> Option<Reaped> {
    loop {
        let mut status: c_int = 0;
        // SAFETY: both are ours and of the right types; zero is a valid rusage.
        let (pid, used) = unsafe {
            let mut used: libc::rusage = std::mem::zeroed();
            let pid = libc::wait4(-1, &raw mut status, libc::WNOHANG, &raw mut used);
            (pid, used)
        };
        if pid < 0 && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted {
            continue;
        }
        if pid <= 0 {
            return None;
        }
        let ended = match () {
            () if libc::WIFEXITED(status) => Ended::Code(libc::WEXITSTATUS(status)),
            () if libc::WIFSIGNALED(status) => Ended::Signal(libc::WTERMSIG(status)),
            () => continue,
        };
        let ms = |time: libc::timeval| time.tv_sec * 1000 + time.tv_usec / 1000;
        let cpu_ms = (ms(used.ru_utime) + ms(used.ru_stime)).cast_unsigned();
        let rss_max_kib = used.ru_maxrss.cast_unsigned();
        return Some(Reaped { pid, ended, rss_max_kib, cpu_ms });
    }
}

/// The limit that carries a mark, of that process.
pub fn locks_limit(pid: i32) -> Option<u64> {
    // SAFETY: the structure is ours; nothing is set.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        let done = libc::prlimit(pid, libc::RLIMIT_LOCKS, std::ptr::null(), &raw mut limit);
        (done == 0).then_some(limit.rlim_max)
    }
}

/// Sends the signal if `still` says, once the process is held fast, that it is the one meant: its
/// pid cannot pass to another one between look and shot.
pub fn signal_if(pid: i32, signal: c_int, still: impl FnOnce() -> bool) -> io::Result<()> {
    // SAFETY: system calls on plain numbers; the new descriptor is ours alone.
    let held = unsafe {
        let fd = libc::syscall(libc::SYS_pidfd_open, pid, 0);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        OwnedFd::from_raw_fd(i32::try_from(fd).map_err(io::Error::other)?)
    };
    if !still() {
        return Ok(());
    }
    // SAFETY: as above; no siginfo is handed.
    let sent = unsafe {
        let none = std::ptr::null::<c_void>();
        libc::syscall(libc::SYS_pidfd_send_signal, held.as_raw_fd(), signal, none, 0)
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
