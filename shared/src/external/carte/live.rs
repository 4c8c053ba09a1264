//! What a job of ours has begun on a Carte. Only where it was told to (`expand_remote_job`) does it list
//! that: each transformation and each job under its own name and an id of chance, with how far its steps
//! are, until somebody removes it or its `object_timeout_minutes` are over. (A Hop server lists only what
//! was given to it.)
//!
//! Whose they are it does not tell. So one that could be somebody else's is neither told nor removed.

use super::{Entry, KETTLE, There, digits, element, list, plain, query, there};
use crate::etl::counts::{Counts, STEPS_MAX, Step, Whose, short};
use crate::etl::entries::{Entries, Told};
use crate::etl::log::dated;
use crate::external::Server;
use crate::external::observe::Id;
use std::collections::{BTreeMap, BTreeSet};

/// One that it lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub entry: Entry,
    /// A job, else a transformation.
    pub flow: bool,
    pub there: There,
    /// A transformation that runs just now.
    runs: bool,
}

/// Where all that it runs is listed.
pub fn listing() -> String {
    list(Server::Carte)
}

/// Where it tells of one transformation.
pub fn looking(entry: &Entry) -> String {
    named("transStatus", entry)
}

/// Where it is told to forget one.
pub fn removing(it: &Listed) -> String {
    named(if it.flow { "removeJob" } else { "removeTrans" }, &it.entry)
}

fn named(verb: &str, entry: &Entry) -> String {
    let (name, id) = (query(&entry.name), query(&entry.id));
    format!("{}/{verb}/?name={name}&id={id}&xml=Y", KETTLE.base)
}

pub fn listed(text: &str) -> Vec<Listed> {
    let one = |block: &str, name: &str, flow: bool| {
        let field = |field: &str| element(block, field).map(|text| plain(text.trim()));
        let entry = Entry { name: field(name)?, id: field("id")? };
        let runs = !flow && field("status_desc").is_some_and(|status| status == "Running");
        Some(Listed { entry, flow, there: there(block), runs })
    };
    let transformations =
        blocks(text, "transstatus").filter_map(|block| one(block, "transname", false));
    let jobs = blocks(text, "jobstatus").filter_map(|block| one(block, "jobname", true));
    transformations.chain(jobs).collect()
}

/// What of all that is ours, as far as it can be known.
#[derive(Clone, Debug, Default)]
pub struct Begun {
    /// Names of jobs of ours that are looked on themselves.
    own: BTreeSet<String>,
    /// Known to the server before our job was. None: not known, as where it was begun by another one.
    before: Option<BTreeSet<Id>>,
    /// Transformations that have begun by our log, and how often.
    transformations: BTreeMap<String, u32>,
    /// Jobs that our log tells of.
    jobs: BTreeSet<String>,
    entries: Entries,
}

impl Begun {
    pub fn new(own: impl IntoIterator<Item = String>) -> Begun {
        Begun { own: own.into_iter().collect(), ..Begun::default() }
    }

    /// Nothing of ours has begun yet.
    pub fn before(&mut self, all: Vec<Listed>) {
        self.before = Some(all.into_iter().map(|it| it.entry.id).collect());
    }

    /// A line of our log.
    pub fn line(&mut self, line: &str) {
        let Some((_, rest)) = dated(line) else { return };
        match self.entries.line(rest) {
            Told::Entry { job } if self.jobs.len() < STEPS_MAX => {
                self.jobs.insert(job.to_owned());
            }
            Told::Part(part)
                if self.transformations.len() < STEPS_MAX
                    || self.transformations.contains_key(part) =>
            {
                let times = self.transformations.entry(part.to_owned()).or_default();
                *times = times.saturating_add(1);
            }
            Told::Entry { .. } | Told::Part(_) | Told::Launch | Told::Nothing => {}
        }
    }

    /// The transformation that runs under that name. None where there are several.
    pub fn running(&self, all: &[Listed], name: &str) -> Option<Entry> {
        let mut found = all.iter().filter(|it| it.runs && it.entry.name == name && self.is_new(it));
        let one = found.next()?;
        found.next().is_none().then(|| one.entry.clone())
    }

    /// Those that have ended and can be nobody else's: there are as many of that name as our log says
    /// have begun (of jobs: one). And how many more may be ours.
    pub fn ended(&self, all: Vec<Listed>) -> (Vec<Listed>, usize) {
        let mut names: BTreeMap<(bool, String), usize> = BTreeMap::new();
        let new: Vec<Listed> = all.into_iter().filter(|it| self.is_new(it)).collect();
        for it in &new {
            *names.entry((it.flow, it.entry.name.clone())).or_default() += 1;
        }
        let times = |it: &Listed| match it.flow {
            true => u32::from(self.jobs.contains(&it.entry.name)),
            false => self.transformations.get(&it.entry.name).copied().unwrap_or(0),
        };
        let known = new.into_iter().filter(|it| times(it) > 0);
        let (ours, others): (Vec<_>, Vec<_>) = known.partition(|it| {
            let count = names.get(&(it.flow, it.entry.name.clone())).copied();
            self.before.is_some()
                && matches!(it.there, There::Ended(_))
                && count == usize::try_from(times(it)).ok()
        });
        (ours, others.len())
    }

    fn is_new(&self, it: &Listed) -> bool {
        let before = self.before.as_ref().is_some_and(|before| before.contains(&it.entry.id));
        !before && !self.own.contains(&it.entry.name)
    }
}

/// Its steps as they are now, their copies added up: of what an entry has begun.
pub fn steps(text: &str, Whose { entry, part }: Whose) -> Vec<Step> {
    let mut counts = Counts::default();
    for block in blocks(text, "stepstatus").take(4 * STEPS_MAX) {
        let Some(name) = element(block, "stepname").map(|name| plain(name.trim())) else {
            continue;
        };
        let number =
            |field: &str| element(block, field).map_or(0, |text| digits::number(&plain(&text)));
        let told =
            ["linesInput", "linesOutput", "linesRead", "linesWritten", "linesUpdated", "errors"];
        let mut step = Step::ended(short(part), short(&name), told.map(number)).of(entry);
        let took = step.rows().saturating_mul(1_000).checked_div(number("speed"));
        step.took_ms = took.unwrap_or(0);
        counts.add(step);
    }
    let on_its_way = |step: Step| {
        // Of copies side by side.
        let took_ms = step.took_ms / u64::from(step.lines.max(1));
        Step { lines: 0, took_ms, ..step }
    };
    counts.steps.into_iter().map(on_its_way).collect()
}

fn blocks<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = text;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(open.as_str())?;
        let (block, after) = after.split_once(close.as_str())?;
        rest = after;
        Some(block)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(transformations: &[(&str, &str, &str)], jobs: &[(&str, &str, &str)]) -> Vec<Listed> {
        let all = |(block, tag): (&str, &str), those: &[(&str, &str, &str)]| -> String {
            let one = |(name, id, status): &(&str, &str, &str)| {
                format!(
                    "<{block}><{tag}>{name}</{tag}><id>{id}</id><status_desc>{status}</status_desc></{block}>"
                )
            };
            those.iter().map(one).collect()
        };
        listed(&format!(
            "<serverstatus><transstatuslist>{}</transstatuslist><jobstatuslist>{}</jobstatuslist></serverstatus>",
            all(("transstatus", "transname"), transformations),
            all(("jobstatus", "jobname"), jobs)
        ))
    }

    fn begun(before: Vec<Listed>, log: &[&str]) -> Begun {
        let mut begun = Begun::new(["hcndc-1".to_owned()]);
        begun.before(before);
        log.iter().for_each(|text| begun.line(&format!("2026/11/30 07:10:00 - {text}")));
        begun
    }

    fn ids(all: &[Listed]) -> Vec<&str> {
        all.iter().map(|it| it.entry.id.as_str()).collect()
    }

    #[test]
    fn only_one_that_can_be_no_other_is_told() {
        let old = [("load &amp; more", "o", "Running")];
        let all = list(
            &[
                old[0],
                ("load &amp; more", "a", "Running"),
                ("load &amp; more", "b", "Finished"),
                ("twice", "c", "Running"),
                ("twice", "d", "Running"),
            ],
            &[("none", "j", "Running")],
        );
        let ours = begun(list(&old, &[]), &[]);
        let entry = ours.running(&all, "load & more").unwrap();
        assert_eq!(entry.id, "a");
        for name in ["twice", "none", ""] {
            assert_eq!(ours.running(&all, name), None, "{name}");
        }
        assert_eq!(looking(&entry), "/kettle/transStatus/?name=load%20%26%20more&id=a&xml=Y");
    }

    #[test]
    fn only_those_that_can_be_nobody_elses_are_removed() {
        let log = [
            "hcndc-1 - Starting entry [work]",
            "daily - 开始项[load]",
            "load - Dispatching started for transformation [load]",
            "load - Dispatching started for transformation [load]",
            "other - Dispatching started for transformation [other]",
            "slow - Dispatching started for transformation [slow]",
            // Said by an entry: it is no job.
            "load - Using run configuration [Pentaho local]",
        ];
        let old = [("load", "o", "Finished")];
        let ours = begun(list(&old, &[]), &log);
        let (mine, left) = ours.ended(list(
            &[
                old[0],
                ("load", "a", "Finished"),
                ("load", "b", "Finished (with errors)"),
                // One of two is somebody else's.
                ("other", "c", "Finished"),
                ("other", "d", "Stopped"),
                ("slow", "e", "Running"),
                ("foreign", "f", "Finished"),
            ],
            &[
                ("daily", "g", "Stopped"),
                ("nightly", "h", "Finished"),
                ("hcndc-1", "i", "Stopped"),
                ("load", "j", "Finished"),
            ],
        ));
        assert_eq!((ids(&mine), left), (vec!["a", "b", "g"], 3));
        assert_eq!(removing(&mine[0]), "/kettle/removeTrans/?name=load&id=a&xml=Y");
        assert_eq!(removing(&mine[2]), "/kettle/removeJob/?name=daily&id=g&xml=Y");
        // Whoever has adopted it does not know what was there before.
        let adopted = Begun { before: None, ..ours };
        let (mine, left) = adopted.ended(list(&[("load", "a", "Finished")], &[]));
        assert_eq!((ids(&mine), left), (vec![], 1));
    }

    /// In the words of Carte 8.3.
    #[test]
    fn steps_on_their_way_have_rows_and_a_speed() {
        let one = |name: &str, copy: u32, read: u32, speed: &str| {
            format!(
                "<stepstatus><stepname>{name}</stepname><copy>{copy}</copy><linesRead>{read}</linesRead>\
                 <linesWritten>10</linesWritten><linesInput>0</linesInput><linesOutput>0</linesOutput>\
                 <linesUpdated>0</linesUpdated><linesRejected>0</linesRejected><errors>0</errors>\
                 <statusDescription>Running</statusDescription><seconds>2.0s</seconds><speed>{speed}</speed>\
                 <priority>-</priority></stepstatus>"
            )
        };
        let text = one("sort", 0, 7_000, " 3,500")
            + &one("sort", 1, 7_000, " ٣٬٥٠٠")
            + &one("out", 0, 5, "-");
        let found = steps(&text, Whose { entry: "daily", part: "load" });
        assert!(found.iter().all(|step| step.entry == "daily"));
        let told: Vec<_> =
            found.iter().map(|it| (&*it.part, &*it.name, it.lines, it.read, it.speed())).collect();
        assert_eq!(told, [("load", "sort", 0, 14_000, Some(7_000)), ("load", "out", 0, 5, None)]);
    }
}
