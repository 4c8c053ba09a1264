//! Whose a job is: users of this host that a job may run as (rule P3).
//!
//! The list is the host's (`jobs.users`): a master can ask for no other. What the executor itself may
//! read, a job of another user may not. Looked up by the threads that spawn, for groups change.

use super::sys::User;
use crate::config::Jobs;
use anyhow::{Context, bail};
use std::ffi::CString;

/// A user's name, home and, only if it is another one than ours, what to become.
#[derive(Clone, Debug, Default)]
pub struct Account {
    pub name: String,
    pub home: String,
    pub user: Option<User>,
}

/// Who may be asked for.
#[derive(Clone, Debug)]
pub struct Accounts {
    allowed: Vec<String>,
    /// Of jobs that name none; none means the executor's own.
    usual: Option<String>,
    /// The executor's own: looked up once, for it does not change under a process.
    own: Account,
}

impl Accounts {
    /// # Errors
    /// A user of the list is not there, or we could never become it.
    pub fn new(jobs: &Jobs) -> anyhow::Result<Accounts> {
        let own = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten();
        let own = own.map_or_else(Account::default, |user| Account::of(&user, None));
        let usual = Some(jobs.user.clone()).filter(|name| !name.is_empty());
        let key = |key, names: &[String]| names.iter().try_for_each(|name| look(key, name));
        key("jobs.users", &jobs.users)?;
        key("jobs.user", usual.as_slice())?;
        Ok(Accounts { allowed: jobs.users.clone(), usual, own })
    }

    /// # Errors
    /// Why a job cannot run as that user, in words for people.
    pub fn find(&self, name: Option<&str>) -> Result<Account, String> {
        let Some(name) = name.or(self.usual.as_deref()) else { return Ok(self.own.clone()) };
        if self.usual.as_deref() != Some(name) && !self.allowed.iter().any(|other| other == name) {
            return Err(format!(
                "user {name:?} is not on this host's list (jobs.users in executor.toml)"
            ));
        }
        let found = nix::unistd::User::from_name(name);
        let found = found.map_err(|error| format!("user {name:?} is not found: {error}"))?;
        let user = found.ok_or_else(|| format!("there is no user {name:?} on this host"))?;
        let own = nix::unistd::geteuid();
        if user.uid == own {
            return Ok(Account::of(&user, None));
        }
        if !own.is_root() {
            return Err(format!("the executor is not root: it cannot run a job as {name:?}"));
        }
        let c_name = CString::new(name).map_err(|_| "the user's name holds a zero byte")?;
        let groups = nix::unistd::getgrouplist(&c_name, user.gid)
            .map_err(|error| format!("groups of user {name:?}: {error}"))?;
        let ids = User {
            uid: user.uid.as_raw(),
            gid: user.gid.as_raw(),
            groups: groups.iter().map(|group| group.as_raw()).collect(),
        };
        Ok(Account::of(&user, Some(ids)))
    }
}

impl Account {
    fn of(user: &nix::unistd::User, other: Option<User>) -> Account {
        let home = user.dir.to_string_lossy().into_owned();
        Account { name: user.name.clone(), home, user: other }
    }
}

/// A slip in the list is told at the start, not by the first job.
fn look(key: &str, name: &str) -> anyhow::Result<()> {
    let found = nix::unistd::User::from_name(name);
    let found = found.with_context(|| format!("{key}: looking for user {name:?}"))?;
    let Some(user) = found else {
        bail!("{key}: there is no user {name:?} on this host: make it, or take it off the list")
    };
    let own = nix::unistd::geteuid();
    if user.uid != own && !own.is_root() {
        bail!(
            "{key}: the executor is not root and cannot run a job as {name:?}: start it as root, \
             or take the user off the list"
        )
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_cannot_be_is_told_with_its_key() {
        let jobs = Jobs { users: vec!["nobody-at-all".into()], ..Jobs::default() };
        let words = Accounts::new(&jobs).unwrap_err().to_string();
        assert!(words.starts_with("jobs.users: there is no user \"nobody-at-all\""), "{words}");
        let jobs = Jobs { user: "a\0b".into(), ..Jobs::default() };
        let words = Accounts::new(&jobs).unwrap_err().to_string();
        assert!(words.starts_with("jobs.user: "), "{words}");
        let none = Accounts::new(&Jobs::default()).unwrap();
        assert!(none.find(None).unwrap().user.is_none());
        assert!(none.find(Some("nobody")).unwrap_err().contains("not on this host's list"));
    }
}
