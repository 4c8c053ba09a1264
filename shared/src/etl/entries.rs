//! Which entry of a job is at work, and which transformation, by what a log of Kettle or Hop says, in
//! whatever language: a job says `daily - Starting entry [load]`, a transformation `load - Dispatching
//! started for transformation [load]`, and only subject and bracket are the same in all of them.

use super::counts::{WITHIN, short};
use std::collections::BTreeSet;

/// Who speaks, but is no job.
const PROGRAMS: &[&str] = &["Kitchen", "Pan", "HopRun", "RepositoriesMeta", "cfgbuilder"];
/// A connection is named in brackets, too, and in no translation: by itself (`orders - Commit on database
/// connection [orders]`).
const CONNECTION: &str = "database connection [";
/// Jobs within jobs.
const DEEP_MAX: usize = 50;
/// Names that are kept; with more, entries are not told apart any more.
const NAMES_MAX: usize = 2_000;
/// Words by which jobs tell of a start, as far as known.
const WORDS_MAX: usize = 8;
const WORD_BYTES_MAX: usize = 100;

/// What a line tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told<'a> {
    /// A transformation or pipeline has begun.
    Part(&'a str),
    /// A job starts an entry.
    Entry {
        job: &'a str,
    },
    Nothing,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Entries {
    /// Jobs that are not told: those in which a server runs what was asked for.
    around: BTreeSet<String>,
    /// The job that was started, what it started, and so on.
    levels: Vec<Level>,
    parts: BTreeSet<String>,
    entries: BTreeSet<String>,
    /// What stands before the bracket where an entry is started.
    words: BTreeSet<String>,
}

#[derive(Clone, Debug)]
struct Level {
    job: String,
    entry: String,
    /// It runs entries side by side: whose lines are whose is not told.
    parallel: bool,
}

impl Entries {
    pub(crate) fn below(around: impl IntoIterator<Item = String>) -> Entries {
        Entries { around: around.into_iter().collect(), ..Entries::default() }
    }

    pub(crate) fn line<'a>(&mut self, subject: &'a str, text: &str) -> Told<'a> {
        let text = text.trim_end();
        if PROGRAMS.contains(&subject) || text.contains(CONNECTION) {
            return Told::Nothing;
        }
        let speaker = short(subject);
        let Some((words, name)) = text.strip_suffix(']').and_then(|text| text.split_once('['))
        else {
            self.launched(&speaker, text);
            return Told::Nothing;
        };
        let known = self.words.contains(words);
        // A job and an entry of it may have one name; so may a job and what it runs.
        if !known && text.strip_suffix(']').is_some_and(|text| ends_with_name(text, subject)) {
            keep(&mut self.parts, speaker);
            return Told::Part(subject);
        }
        let others = [&self.parts, &self.entries];
        let other = is_copy(subject) || others.iter().any(|names| names.contains(&speaker));
        if !known && (other || words.len() > WORD_BYTES_MAX) {
            return Told::Nothing;
        }
        self.start(speaker, words, short(name));
        Told::Entry { job: subject }
    }

    fn start(&mut self, job: String, words: &str, entry: String) {
        if self.words.len() < WORDS_MAX {
            self.words.insert(words.to_owned());
        }
        keep(&mut self.entries, entry.clone());
        match self.levels.iter().position(|level| level.job == job) {
            Some(at) => {
                self.levels.truncate(at + 1);
                self.levels[at].entry = entry;
            }
            None if self.levels.len() < DEEP_MAX => {
                self.levels.push(Level { job, entry, parallel: false });
            }
            None => {}
        }
    }

    /// `daily - Launched job entry [load] in parallel.`, and not `daily - Finished job entry [load]
    /// (result=[true])`.
    fn launched(&mut self, subject: &str, text: &str) {
        let level = self.levels.iter_mut().find(|level| level.job == subject);
        let Some(level) = level.filter(|level| !level.parallel) else { return };
        let named = text.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
        let named = named.filter(|(_, after)| !after.contains('['));
        level.parallel = named.is_some_and(|(name, _)| short(name) == level.entry);
    }

    /// The entry that is at work, below those that have started its job. Empty: not known, or none is.
    pub(crate) fn path(&self) -> String {
        let full = self.entries.len() >= NAMES_MAX || self.parts.len() >= NAMES_MAX;
        let told = self.levels.iter().take_while(|level| !level.parallel && !full);
        let told = told.filter(|level| !self.around.contains(&level.job));
        told.map(|level| level.entry.as_str()).collect::<Vec<_>>().join(WITHIN)
    }
}

fn keep(names: &mut BTreeSet<String>, name: String) {
    if names.len() < NAMES_MAX {
        names.insert(name);
    }
}

/// `… [name`
fn ends_with_name(text: &str, name: &str) -> bool {
    text.strip_suffix(name).is_some_and(|head| head.ends_with('['))
}

/// A step says its copy: `write.0`.
fn is_copy(subject: &str) -> bool {
    let copy = subject.rsplit_once('.').map_or("", |(_, copy)| copy);
    !copy.is_empty() && copy.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The path at each transformation that begins.
    fn parts(lines: &[&str]) -> Vec<String> {
        let mut entries = Entries::below(["hcndc-1".to_owned()]);
        let told = |line: &&str| {
            let (subject, text) = line.split_once(" - ").unwrap();
            match entries.line(subject, text) {
                Told::Part(part) => Some(format!("{}: {part}", entries.path())),
                _ => None,
            }
        };
        lines.iter().filter_map(told).collect()
    }

    #[test]
    fn two_entries_of_one_file_are_two() {
        let told = parts(&[
            "Kitchen - Start of run.",
            "daily - Start of job execution",
            "daily - Starting entry [north]",
            "north - Loading transformation from XML file [file:///srv/load.ktr]",
            "north - Using run configuration [Pentaho local]",
            "load - Dispatching started for transformation [load]",
            "daily - Starting entry [south]",
            "load - Dispatching started for transformation [load]",
            "daily - Finished job entry [south] (result=[true])",
            "daily - Finished job entry [north] (result=[true])",
        ]);
        assert_eq!(told, ["north: load", "south: load"]);
    }

    #[test]
    fn jobs_within_jobs_have_a_path_in_any_language() {
        let told = parts(&[
            "每日 - 开始执行任务",
            "每日 - 开始项[北方]",
            "北方 - 从XML文件加载任务 : [/srv/装载.kjb]",
            "装载 - 开始项[订单]",
            "订单 - 为了转换解除补丁开始  [订单]",
            "装载 - 完成作业项[订单] (结果=[true])",
            "每日 - 完成作业项[北方] (result=[true])",
            "每日 - 开始项[南方]",
            "装载 - 开始项[订单]",
            "订单 - 为了转换解除补丁开始  [订单]",
            "每日 - 开始项[订单]",
            "订单 - 为了转换解除补丁开始  [订单]",
        ]);
        assert_eq!(told, ["北方 › 订单: 订单", "南方 › 订单: 订单", "订单: 订单"]);
    }

    #[test]
    fn what_a_server_runs_stands_below_a_job_of_ours() {
        let told = parts(&[
            "hcndc-1 - Starting entry [work]",
            "daily - Starting entry [north]",
            "load - Dispatching started for transformation [load]",
        ]);
        assert_eq!(told, ["north: load"]);
        let told = parts(&[
            "hcndc-1 - Starting entry [work]",
            "load - Dispatching started for transformation [load]",
        ]);
        assert_eq!(told, [": load"]);
    }

    #[test]
    fn one_name_for_a_job_its_entry_and_what_it_runs() {
        let told = parts(&[
            "load - Starting entry [a]",
            "load - Dispatching started for transformation [load]",
            "load - Starting entry [load]",
            "load - Loading transformation from XML file [file:///load.ktr]",
            "load - Dispatching started for transformation [load]",
            "load - Starting entry [b [c]]",
            "x [y] - Dispatching started for transformation [x [y]]",
        ]);
        assert_eq!(told, ["a: load", "load: load", "b [c]: x [y]"]);
        // Of the first start alone that cannot be known.
        let told =
            parts(&["load - Starting entry [load]", "load - Dispatching started for … [load]"]);
        assert_eq!(told, [": load", ": load"]);
    }

    #[test]
    fn side_by_side_nobody_knows_whose_lines_they_are() {
        let told = parts(&[
            "daily - Starting entry [all]",
            "within - Starting entry [a]",
            "within - Launched job entry [a] in parallel.",
            "within - Starting entry [b]",
            "within - Launched job entry [b] in parallel.",
            "load - Dispatching started for transformation [load]",
            "load - Dispatching started for transformation [load]",
            "daily - Starting entry [after]",
            "load - Dispatching started for transformation [load]",
        ]);
        assert_eq!(told, ["all: load", "all: load", "after: load"]);
    }

    #[test]
    fn steps_programs_and_connections_are_no_jobs() {
        let told = parts(&[
            "Kitchen - Looking for repository [etl]",
            "daily - Starting action [load]",
            "load - Execution started for pipeline [load]",
            "orders - Commit on database connection [orders]",
            "abort.0 - Row nr 1 causing abort : [hello]",
            "load - Rows [7]",
            "more - Execution started for pipeline [more]",
        ]);
        assert_eq!(told, ["load: load", "load: more"]);
    }

    #[test]
    fn there_is_a_limit_to_it() {
        let mut entries = Entries::default();
        for n in 0..2 * NAMES_MAX {
            entries.line(&format!("job{n}"), &format!("Starting entry [e{n}]"));
            entries.line(&format!("t{n}"), &format!("words {n} [x]"));
        }
        assert!(entries.levels.len() <= DEEP_MAX && entries.words.len() <= WORDS_MAX);
        assert!(entries.entries.len() <= NAMES_MAX);
        assert_eq!(entries.path(), "");
    }
}
