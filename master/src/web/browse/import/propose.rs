//! What files of Kettle and Hop would be as interfaces and jobs. Pure: files in, a table to review out.
//!
//! *By file*: an interface of a folder, a job of each file that no other one runs; what it runs stays its
//! own affair. *Expanded*: an interface of each job or workflow that no other one runs, a job of each
//! file that its entries run, and what their hops say is what they come after.

use serde::Serialize;
use shared::etl::browse::File;
use shared::etl::drawn::{Drawn, Form, When};
use std::collections::{BTreeMap, BTreeSet};

/// Rows of one review.
pub(super) const ROWS_MAX: usize = 300;
/// Characters of a name of ours.
const NAME_CHARS_MAX: usize = 100;
/// Entries that are named in a remark.
const NAMED_MAX: usize = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum How {
    Files,
    Expanded,
}

/// One job to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Row {
    pub(super) take: bool,
    pub(super) interface: String,
    pub(super) name: String,
    pub(super) form: Form,
    pub(super) file: String,
    /// `name`, or `name:failure`, separated by commas.
    pub(super) after: String,
    pub(super) remarks: Vec<Remark>,
}

/// A word that the template has a sentence for, and what belongs in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Remark {
    pub(super) word: &'static str,
    pub(super) what: String,
}

fn remark(word: &'static str, what: impl Into<String>) -> Remark {
    Remark { word, what: what.into() }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Proposal {
    pub(super) rows: Vec<Row>,
    /// Rows that are not in it.
    pub(super) more: usize,
}

/// Of what lies in this folder and below.
pub(super) fn propose(root: &str, files: &[File], how: How) -> Proposal {
    let run = run_by_others(files);
    let mut rows = match how {
        How::Files => {
            files.iter().map(|file| whole(root, file, run.get(file.path.as_str()))).collect()
        }
        How::Expanded => expanded(root, files, &run),
    };
    told_apart(&mut rows);
    let more = rows.len().saturating_sub(ROWS_MAX);
    rows.truncate(ROWS_MAX);
    Proposal { rows, more }
}

/// Files that entries or steps of another one run: by whom.
fn run_by_others(files: &[File]) -> BTreeMap<&str, &str> {
    let mut run = BTreeMap::new();
    for file in files {
        let runs = file.drawn.steps.iter().filter_map(|step| step.runs.as_ref());
        for other in runs.filter(|other| other.whole && other.file != file.path) {
            run.entry(other.file.as_str()).or_insert(file.path.as_str());
        }
    }
    run
}

fn whole(root: &str, file: &File, by: Option<&&str>) -> Row {
    let remarks = by.map(|by| remark("run_by", base(by))).into_iter().collect();
    Row {
        take: by.is_none(),
        interface: of_folder(root, &file.path),
        name: plain(stem(&file.path)),
        form: file.drawn.form,
        file: file.path.clone(),
        after: String::new(),
        remarks,
    }
}

/// The folder that is chosen, and what is below it.
fn of_folder(root: &str, path: &str) -> String {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let below = folder.strip_prefix(root).unwrap_or("").trim_matches('/');
    let first = base(root.trim_end_matches('/'));
    plain(&match below.is_empty() {
        true => first.to_owned(),
        false => format!("{first}_{}", below.replace('/', "_")),
    })
}

fn expanded(root: &str, files: &[File], run: &BTreeMap<&str, &str>) -> Vec<Row> {
    let mut rows = Vec::new();
    // Two files of one name are two interfaces: the jobs of the one are not those of the other.
    let mut taken = BTreeSet::new();
    for file in files.iter().filter(|file| !run.contains_key(file.path.as_str())) {
        match file.drawn.form.flows() {
            true => {
                let interface = free(&plain(stem(&file.path)), |name| taken.contains(name));
                taken.insert(interface.clone());
                rows.extend(entries(file, interface));
            }
            false => rows.push(whole(root, file, None)),
        }
    }
    rows
}

/// A job of every entry that runs a file.
fn entries(file: &File, interface: String) -> Vec<Row> {
    let drawn = &file.drawn;
    let jobs = jobs_of(drawn);
    if jobs.is_empty() {
        let mut row = whole("", file, None);
        row.interface = interface;
        row.remarks.push(remark("no_entries", ""));
        return vec![row];
    }
    let reached = reached(drawn);
    let links = links(drawn, &jobs);
    let names = names(drawn, &jobs);
    let left = left_out(drawn, &jobs);
    let mut rows = Vec::new();
    for &at in &jobs {
        let step = &drawn.steps[at];
        let Some(runs) = &step.runs else { continue };
        let own = links.edges.iter().filter(|(_, to, _)| *to == at);
        let after: Vec<String> = own
            .map(|(from, _, when)| match when {
                When::Failure => format!("{}:failure", names[from]),
                When::Always => format!("{}:done", names[from]),
                _ => names[from].clone(),
            })
            .collect();
        let mut remarks = Vec::new();
        if !reached.contains(&at) {
            remarks.push(remark("unreached", ""));
        }
        if links.loops.contains(&at) {
            remarks.push(remark("loop", ""));
        }
        let repairs = links.repairs.get(&at);
        remarks.extend(repairs.map(|&of| remark("repairs", drawn.steps[of].name.clone())));
        if !runs.hands.is_empty() {
            remarks.push(remark("hands", runs.hands.join(", ")));
        }
        rows.push(Row {
            // What nobody runs does not fail: whoever mends that would run each time.
            take: reached.contains(&at) && (repairs.is_none() || !after.is_empty()),
            interface: interface.clone(),
            name: names[&at].clone(),
            form: runs.form,
            file: runs.file.clone(),
            after: after.join(", "),
            remarks,
        });
    }
    if let Some(first) = rows.first_mut()
        && !left.is_empty()
    {
        first.remarks.push(remark("left_out", left));
    }
    rows
}

/// Entries that run a file which is known whole.
fn jobs_of(drawn: &Drawn) -> Vec<usize> {
    let runs = |at: &usize| drawn.steps[*at].runs.as_ref().is_some_and(|runs| runs.whole);
    (0..drawn.steps.len()).filter(runs).collect()
}

/// What is neither a file nor only the way from one to another.
fn left_out(drawn: &Drawn, jobs: &[usize]) -> String {
    let only_way = ["SPECIAL", "SUCCESS", "DUMMY"];
    let left: Vec<&str> = drawn
        .steps
        .iter()
        .enumerate()
        .filter(|(at, step)| !jobs.contains(at) && !only_way.contains(&step.kind.as_str()))
        .map(|(_, step)| step.name.as_str())
        .collect();
    let shown = left.iter().take(NAMED_MAX).copied().collect::<Vec<_>>().join(", ");
    if left.len() > NAMED_MAX { format!("{shown} …") } else { shown }
}

/// Every hop that is on, by where it begins.
fn ways(drawn: &Drawn) -> Vec<Vec<(usize, When)>> {
    let mut ways = vec![Vec::new(); drawn.steps.len()];
    for hop in drawn.hops.iter().filter(|hop| !hop.off) {
        let ends = (usize::try_from(hop.from), usize::try_from(hop.to));
        if let (Ok(from), Ok(to)) = ends
            && from < ways.len()
            && to < ways.len()
        {
            ways[from].push((to, hop.when));
        }
    }
    ways
}

/// What can be come to from the start.
fn reached(drawn: &Drawn) -> BTreeSet<usize> {
    let ways = ways(drawn);
    let starts = drawn.steps.iter().enumerate().filter(|(_, step)| step.kind == "SPECIAL");
    let mut open: Vec<usize> = starts.map(|(at, _)| at).collect();
    let mut reached: BTreeSet<usize> = open.iter().copied().collect();
    while let Some(at) = open.pop() {
        for &(to, _) in &ways[at] {
            if reached.insert(to) {
                open.push(to);
            }
        }
    }
    reached
}

type Edge = (usize, usize, When);

/// From job to job, over entries that are none.
#[derive(Debug, Default)]
struct Links {
    /// Without what would close a circle.
    edges: Vec<Edge>,
    /// Where it would.
    loops: BTreeSet<usize>,
    /// Who runs when an entry that is none goes wrong: that entry.
    repairs: BTreeMap<usize, usize>,
}

fn links(drawn: &Drawn, jobs: &[usize]) -> Links {
    let ways = ways(drawn);
    let is_job: BTreeSet<usize> = jobs.iter().copied().collect();
    let mut links = Links::default();
    for (from, _) in drawn.steps.iter().enumerate().filter(|(at, _)| !is_job.contains(at)) {
        let red = ways[from].iter().filter(|(_, when)| *when == When::Failure);
        let mut open: Vec<usize> = red.map(|(to, _)| *to).collect();
        let mut seen = BTreeSet::new();
        while let Some(at) = open.pop() {
            match (seen.insert(at), is_job.contains(&at)) {
                (false, _) => {}
                (true, true) => _ = links.repairs.insert(at, from),
                (true, false) => open.extend(ways[at].iter().map(|(to, _)| *to)),
            }
        }
    }
    for &from in jobs {
        // With what the first hop expects; entries between have to go well.
        let mut open: Vec<(usize, When)> = ways[from].clone();
        let mut seen = BTreeSet::new();
        while let Some((at, when)) = open.pop() {
            if !seen.insert(at) {
                continue;
            }
            if !is_job.contains(&at) {
                let well = ways[at].iter().filter(|(_, when)| *when != When::Failure);
                open.extend(well.map(|&(next, _)| (next, when)));
                continue;
            }
            if at == from || leads(&links.edges, at, from) {
                links.loops.insert(at);
            } else {
                links.edges.push((from, at, when));
            }
        }
    }
    links.edges.sort_by_key(|(from, to, _)| (*to, *from));
    links
}

/// Whether one comes after the other already.
fn leads(edges: &[Edge], from: usize, to: usize) -> bool {
    let mut open = vec![from];
    let mut seen = BTreeSet::new();
    while let Some(at) = open.pop() {
        if at == to {
            return true;
        }
        if seen.insert(at) {
            open.extend(edges.iter().filter(|edge| edge.0 == at).map(|edge| edge.1));
        }
    }
    false
}

/// Names of entries as names of jobs: no two are the same.
fn names(drawn: &Drawn, jobs: &[usize]) -> BTreeMap<usize, String> {
    let mut taken = BTreeSet::new();
    let mut names = BTreeMap::new();
    for &at in jobs {
        let name = free(&plain(&drawn.steps[at].name), |name| taken.contains(name));
        taken.insert(name.clone());
        names.insert(at, name);
    }
    names
}

/// Two files of one folder may have one name: `load.kjb` and `load.ktr`.
fn told_apart(rows: &mut [Row]) {
    let mut taken: BTreeSet<(String, String)> = BTreeSet::new();
    for row in rows {
        let interface = row.interface.clone();
        row.name = free(&row.name, |name| taken.contains(&(interface.clone(), name.to_owned())));
        taken.insert((interface, row.name.clone()));
    }
}

fn free(name: &str, is_taken: impl Fn(&str) -> bool) -> String {
    if !is_taken(name) {
        return name.to_owned();
    }
    let numbered = (2..).map(|n| format!("{name}_{n}"));
    numbered.into_iter().find(|name| !is_taken(name)).unwrap_or_default()
}

/// Commas and colons are of the column `after`; a `/` stands between interface and job.
fn plain(name: &str) -> String {
    let odd = |c: char| c.is_control() || c.is_whitespace() || ",:/\\".contains(c);
    let plain = name.trim().replace(odd, "_");
    let short: String = plain.chars().take(NAME_CHARS_MAX - 4).collect();
    if short.is_empty() { "job".to_owned() } else { short }
}

fn base(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

fn stem(path: &str) -> &str {
    base(path).rsplit_once('.').map_or(base(path), |(stem, _)| stem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared::etl::drawn::{Place, read};

    const JOB: &str = include_str!("../../../../../executor/tests/kettle/samples/job.kjb");
    const HELLO: &str = include_str!("../../../../../executor/tests/kettle/samples/hello.ktr");

    fn file(path: &str, text: &str) -> File {
        let folder = path.rsplit_once('/').unwrap().0;
        let drawn = read(text, Place { folder, ..Place::default() }).unwrap();
        File { path: path.into(), bytes: 1, changed_ms: 1, drawn, copied: None }
    }

    fn told(files: &[File], how: How) -> Vec<String> {
        let one = |row: &Row| {
            let take = if row.take { "" } else { "- " };
            let words: Vec<_> = row
                .remarks
                .iter()
                .map(|it| format!(" ({} {})", it.word, it.what).replace(" )", ")"))
                .collect();
            let Row { interface, name, file, after, .. } = row;
            format!("{take}{interface}/{name} = {file} < {after}{}", words.concat())
        };
        propose("/etl", files, how).rows.iter().map(one).collect()
    }

    #[test]
    fn a_job_of_each_file_that_no_other_one_runs() {
        let files = [
            file("/etl/daily/hello.ktr", HELLO),
            file("/etl/daily/job.kjb", JOB),
            file("/etl/hello.kjb", "<job/>"),
            file("/etl/hello.ktr", "<transformation/>"),
        ];
        assert_eq!(
            told(&files, How::Files),
            [
                "- etl_daily/hello = /etl/daily/hello.ktr <  (run_by job.kjb)",
                "etl_daily/job = /etl/daily/job.kjb < ",
                "etl/hello = /etl/hello.kjb < ",
                "etl/hello_2 = /etl/hello.ktr < ",
            ]
        );
        assert_eq!(
            told(&files, How::Expanded),
            [
                "job/trans = /etl/daily/hello.ktr < ",
                "hello/hello = /etl/hello.kjb <  (no_entries)",
                "etl/hello = /etl/hello.ktr < ",
            ]
        );
    }

    /// Entries `a b c` that run files, others that do not, and hops: `from>to`, with `!` on failure.
    fn job(entries: &str, hops: &str) -> File {
        let entry = |name: &str| {
            let kind = match name {
                "START" => "SPECIAL",
                name if name.starts_with("sh") => "SHELL",
                name if name.starts_with("dummy") => "DUMMY",
                _ => "TRANS",
            };
            format!(
                "<entry><name>{name}</name><type>{kind}</type><filename>/etl/{name}.ktr</filename></entry>"
            )
        };
        let hop = |hop: &str| {
            let (from, to) = hop.split_once('>').unwrap();
            let (to, good) = to.strip_suffix('!').map_or((to, "Y"), |to| (to, "N"));
            let always = if from == "START" || from.starts_with("dummy") { "Y" } else { "N" };
            format!(
                "<hop><from>{from}</from><to>{to}</to><enabled>Y</enabled><evaluation>{good}</evaluation>\
                 <unconditional>{always}</unconditional></hop>"
            )
        };
        let text = format!(
            "<job><entries>{}</entries><hops>{}</hops></job>",
            entries.split(' ').map(entry).collect::<String>(),
            hops.split(' ').map(hop).collect::<String>(),
        );
        file("/etl/j.kjb", &text)
    }

    #[test]
    fn hops_are_what_jobs_come_after() {
        let of = |entries: &str, hops: &str| told(&[job(entries, hops)], How::Expanded).join("; ");
        assert_eq!(
            of("START a b c", "START>a a>b b>c!"),
            "j/a = /etl/a.ktr < ; j/b = /etl/b.ktr < a; j/c = /etl/c.ktr < b:failure"
        );
        // Over entries that only lead on; what would do something is told.
        assert_eq!(
            of("START a dummy b shell c", "START>a a>dummy dummy>b a>shell shell>c"),
            "j/a = /etl/a.ktr <  (left_out shell); j/b = /etl/b.ktr < a; j/c = /etl/c.ktr < a"
        );
        // Who mends what an entry that is left out has spoilt is not whoever comes after it.
        assert_eq!(
            of("START a shell b c", "START>a a>shell shell>b shell>c!"),
            "j/a = /etl/a.ktr <  (left_out shell); j/b = /etl/b.ktr < a; - j/c = /etl/c.ktr <  (repairs shell)"
        );
        assert_eq!(
            of("START a shell dummy c", "START>a a>shell shell>dummy! dummy>c a>c!"),
            "j/a = /etl/a.ktr <  (left_out shell); j/c = /etl/c.ktr < a:failure (repairs shell)"
        );
        // In parallel, and together again.
        assert_eq!(
            of("START a b c", "START>a START>b a>c b>c"),
            "j/a = /etl/a.ktr < ; j/b = /etl/b.ktr < ; j/c = /etl/c.ktr < a, b"
        );
        // Kettle may go in circles; what nothing leads to is not begun there either.
        assert_eq!(
            of("START a b c", "START>a a>b b>a"),
            "j/a = /etl/a.ktr <  (loop); j/b = /etl/b.ktr < a; - j/c = /etl/c.ktr <  (unreached)"
        );
    }

    #[test]
    fn names_are_plain_and_there_is_a_limit() {
        assert_eq!(plain(" a b,c:d/e "), "a_b_c_d_e");
        assert_eq!(plain("\u{7}"), "_");
        assert_eq!(plain(""), "job");
        assert!(plain(&"字".repeat(500)).chars().count() <= NAME_CHARS_MAX);
        let many: Vec<File> = (0..ROWS_MAX + 5)
            .map(|n| file(&format!("/etl/{n}.ktr"), "<transformation/>"))
            .collect();
        let proposal = propose("/etl", &many, How::Files);
        assert_eq!((proposal.rows.len(), proposal.more), (ROWS_MAX, 5));
    }
}
