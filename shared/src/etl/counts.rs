//! Rows that steps have moved, as the log has said: made on the host, told in the attempt's output while it
//! runs and in its last lines, kept by the leader.

use crate::ids::Millis;
use serde::{Deserialize, Serialize};

/// Steps of one attempt; more are only counted. All of them fit what is read of the end of an output.
pub const STEPS_MAX: usize = 200;
/// Characters of a name.
pub const NAME_CHARS_MAX: usize = 64;
/// What the line with the counts begins with.
pub const MARK: &str = "hcndc: counts ";
/// Between an entry and one of the job that it runs.
pub const WITHIN: &str = " › ";
/// Characters of the path to an entry.
const ENTRY_CHARS_MAX: usize = 200;
/// Bytes of the line with the counts: what is read of the end of an output holds it.
const LINE_MAX: usize = 120 * 1024;
/// While it runs they are told when they have changed, and so often at most.
pub const EVERY_MS: Millis = 10_000;

/// One step, its copies added up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// The entry of a job that has begun its part, below the entries that have begun that job ([`WITHIN`]);
    /// empty: none has, or the log does not tell which.
    #[serde(rename = "y", default, skip_serializing_if = "String::is_empty")]
    pub entry: String,
    /// The transformation or pipeline that had begun last.
    #[serde(rename = "p")]
    pub part: String,
    #[serde(rename = "n")]
    pub name: String,
    /// Lines that told of its end: copies, and rounds of a loop. 0: it goes on.
    #[serde(rename = "l")]
    pub lines: u32,
    #[serde(rename = "i")]
    pub input: u64,
    #[serde(rename = "o")]
    pub output: u64,
    #[serde(rename = "r")]
    pub read: u64,
    #[serde(rename = "w")]
    pub written: u64,
    #[serde(rename = "u")]
    pub updated: u64,
    /// Errors and rejected rows.
    #[serde(rename = "e")]
    pub errors: u64,
    /// From the beginning of its part to the last line that told of it, rounds of a loop added up. Lines
    /// have whole seconds: 0 is less than one.
    #[serde(rename = "t", default, skip_serializing_if = "is_zero")]
    pub took_ms: u64,
    /// The row that it was at, as it has told on its way; 0 once its end is told.
    #[serde(rename = "s", default, skip_serializing_if = "is_zero")]
    pub at_row: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// Whose steps they are: as of [`Step`].
#[derive(Clone, Copy, Debug)]
pub struct Whose<'a> {
    pub entry: &'a str,
    pub part: &'a str,
}

impl Step {
    pub fn of(self, entry: &str) -> Step {
        Step { entry: entry.chars().take(ENTRY_CHARS_MAX).collect(), ..self }
    }

    /// This entry, or one of a job that it runs, has begun its part.
    pub fn is_within(&self, entry: &str) -> bool {
        let rest = self.entry.strip_prefix(entry_name(entry).as_str());
        !entry.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(WITHIN))
    }

    fn add(&mut self, step: Step) {
        self.at_row = step.at_row;
        self.lines = self.lines.saturating_add(step.lines);
        for (sum, value) in [
            (&mut self.input, step.input),
            (&mut self.output, step.output),
            (&mut self.read, step.read),
            (&mut self.written, step.written),
            (&mut self.updated, step.updated),
            (&mut self.errors, step.errors),
            (&mut self.took_ms, step.took_ms),
        ] {
            *sum = sum.saturating_add(value);
        }
    }

    fn is_same(&self, other: &Step) -> bool {
        self.name == other.name && self.part == other.part && self.entry == other.entry
    }

    /// The end of one copy. The counts in the order of engines: input, output, read, written, updated, errors.
    pub fn ended(part: String, name: String, counts: [u64; 6]) -> Step {
        let [input, output, read, written, updated, errors] = counts;
        let none = Step::default();
        Step { part, name, lines: 1, input, output, read, written, updated, errors, ..none }
    }

    /// Rows that have gone through it: the most that one of its counts says.
    pub fn rows(&self) -> u64 {
        let Step { input, output, read, written, updated, at_row, .. } = self;
        [input, output, read, written, updated, at_row].into_iter().copied().max().unwrap_or(0)
    }

    /// Rows in a second; none: it took less than the log can tell.
    pub fn speed(&self) -> Option<u64> {
        let rows = u128::from(self.rows()) * 1_000;
        let speed = rows.checked_div(u128::from(self.took_ms))?;
        (speed > 0).then(|| u64::try_from(speed).unwrap_or(u64::MAX))
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub steps: Vec<Step>,
    /// Steps that are not listed.
    #[serde(default)]
    pub more: u32,
    /// Their errors and rejected rows.
    #[serde(default, skip_serializing_if = "is_zero")]
    more_errors: u64,
    /// There were too many to tell them by entry: only by part.
    #[serde(skip)]
    folded: bool,
}

impl Counts {
    pub fn new(steps: Vec<Step>) -> Counts {
        Counts { steps, ..Counts::default() }
    }

    /// One that is on its way (`lines` is 0) replaces what it has told on its way before.
    pub fn add(&mut self, mut step: Step) {
        if self.folded {
            step.entry.clear();
        }
        if let Some(known) = self.steps.iter_mut().find(|known| known.is_same(&step)) {
            return known.add(step);
        }
        if self.steps.len() < STEPS_MAX {
            return self.steps.push(step);
        }
        if !self.folded {
            self.fold();
            return self.add(step);
        }
        self.leave_out(&step);
    }

    fn leave_out(&mut self, step: &Step) {
        if step.lines > 0 {
            self.more = self.more.saturating_add(1);
            self.more_errors = self.more_errors.saturating_add(step.errors);
        }
    }

    /// Entries that run one file are added up.
    fn fold(&mut self) {
        self.folded = true;
        std::mem::take(&mut self.steps).into_iter().for_each(|step| self.add(step));
    }

    /// What somebody else tells of steps on their way (`lines` is 0); what has told its end stays.
    pub fn on_their_way(&mut self, steps: Vec<Step>) {
        for mut step in steps {
            if self.folded {
                step.entry.clear();
            }
            match self.steps.iter_mut().find(|known| known.is_same(&step)) {
                Some(known) if known.lines == 0 => *known = step,
                Some(_) => {}
                None => self.add(step),
            }
        }
    }

    /// How long its steps took, where somebody else knows that: by the entry, or, where that is not told, if
    /// it can be no other one.
    pub fn take_times(&mut self, known: &Counts) {
        fn name(step: &Step) -> (&str, &str) {
            (&step.part, &step.name)
        }
        let times =
            |steps: &[Step], of: &Step| steps.iter().filter(|step| name(step) == name(of)).count();
        let single: Vec<bool> =
            self.steps.iter().map(|step| times(&self.steps, step) == 1).collect();
        for (step, single) in self.steps.iter_mut().zip(single) {
            let alone = || known.steps.iter().find(|one| single && name(one) == name(step));
            let alone = || alone().filter(|one| times(&known.steps, one) == 1);
            let one = known.steps.iter().find(|one| one.is_same(step)).or_else(alone);
            if let Some(one) = one {
                step.took_ms = one.took_ms;
            }
        }
    }

    /// Steps that are not listed count too.
    pub fn errors(&self) -> u64 {
        let sum = |sum: u64, step: &Step| sum.saturating_add(step.errors);
        self.steps.iter().fold(self.more_errors, sum)
    }

    /// What this and the other one have left out.
    pub fn leave_out_with(&mut self, other: &Counts) {
        self.more = self.more.saturating_add(other.more);
        self.more_errors = self.more_errors.saturating_add(other.more_errors);
    }

    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The line that carries them; where names are too long for it, of fewer steps.
    pub fn line(&self) -> String {
        let told = |counts: &Counts| {
            format!("{MARK}{}", serde_json::to_string(counts).unwrap_or_default())
        };
        let mut text = told(self);
        let mut fewer = self.clone();
        while text.len() > LINE_MAX && !fewer.steps.is_empty() {
            let fit = fewer.steps.len() * LINE_MAX / text.len();
            let fit = fit.min(fewer.steps.len() - 1);
            fewer.steps.split_off(fit).iter().for_each(|step| fewer.leave_out(step));
            text = told(&fewer);
        }
        text
    }

    /// The last that an output holds. Of what a job has written itself nothing more is taken than an
    /// honest line can hold.
    pub fn find(text: &str) -> Option<Counts> {
        let line = text.lines().rev().find_map(|line| line.strip_prefix(MARK))?;
        let mut counts: Counts = serde_json::from_str(line).ok()?;
        counts.steps.truncate(STEPS_MAX);
        for step in &mut counts.steps {
            (step.part, step.name) = (short(&step.part), short(&step.name));
            step.entry = step.entry.chars().take(ENTRY_CHARS_MAX).collect();
        }
        Some(counts)
    }
}

/// As it stands in a path of entries.
pub(crate) fn entry_name(name: &str) -> String {
    short(&name.replace(WITHIN.trim(), ">"))
}

pub(crate) fn short(name: &str) -> String {
    name.chars().take(NAME_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(name: &str, input: u64) -> Step {
        Step { part: "p".into(), name: name.into(), lines: 1, input, ..Step::default() }
    }

    #[test]
    fn copies_are_one_step_and_the_line_is_read_back() {
        let mut counts = Counts::default();
        for (name, input) in [("a", 1), ("b", 2), ("a", u64::MAX)] {
            counts.add(step(name, input));
        }
        assert_eq!(counts.steps.len(), 2);
        assert_eq!((counts.steps[0].input, counts.steps[0].lines), (u64::MAX, 2));
        let text = format!("x\n{}\n{}\nend", Counts::default().line(), counts.line());
        assert_eq!(Counts::find(&text), Some(counts));
        assert_eq!(Counts::find("hcndc: counts {"), None);
        assert_eq!(Counts::find("nothing"), None);
    }

    #[test]
    fn two_entries_of_one_file_are_two() {
        let mut counts = Counts::default();
        for (entry, rows) in [("north", 3), ("south", 4), ("north", 5), ("north › deep", 6)] {
            counts.add(step("a", rows).of(entry));
        }
        let rows = |entry: &str| {
            let within = counts.steps.iter().filter(|step| step.is_within(entry));
            within.map(|step| step.input).collect::<Vec<_>>()
        };
        assert_eq!(rows("north"), [8, 6]);
        assert_eq!((rows("south"), rows("nor"), rows("")), (vec![4], vec![], vec![]));
        assert_eq!(Counts::find(&counts.line()), Some(counts));
    }

    #[test]
    fn too_many_entries_are_told_by_their_file_and_no_error_is_lost() {
        let mut counts = Counts::default();
        for entry in 0..30 {
            for name in 0..10 {
                let step = Step { errors: 1, ..step(&name.to_string(), 2) };
                counts.add(step.of(&format!("region {entry}")));
            }
        }
        assert_eq!((counts.steps.len(), counts.more, counts.errors()), (10, 0, 300));
        assert!(counts.steps.iter().all(|step| step.entry.is_empty() && step.input == 60));
        (0..STEPS_MAX).for_each(|n| counts.add(Step { errors: 1, ..step(&format!("x{n}"), 1) }));
        assert_eq!((counts.steps.len(), counts.more, counts.errors()), (STEPS_MAX, 10, 500));
        assert_eq!(Counts::find(&counts.line()).map(|found| found.errors()), Some(500));
    }

    #[test]
    fn times_are_those_of_the_entry_or_of_who_can_be_no_other() {
        let took = |name: &str, took_ms| Step { took_ms, ..step(name, 1) };
        let log = Counts::new(vec![took("a", 5), took("b", 7).of("north"), took("b", 8)]);
        let engine = ["a", "b"].map(|name| step(name, 1).of("north"));
        let mut counts = Counts::new(engine.to_vec());
        counts.add(step("b", 1).of("south"));
        counts.take_times(&log);
        let times: Vec<_> = counts.steps.iter().map(|step| step.took_ms).collect();
        assert_eq!(times, [5, 7, 0]);
    }

    #[test]
    fn what_goes_on_is_at_a_row_until_its_end_is_told() {
        let mut counts = Counts::default();
        let on_its_way = |at_row, took_ms| Step { lines: 0, at_row, took_ms, ..step("a", 0) };
        counts.add(on_its_way(50_000, 1_000));
        counts.add(on_its_way(100_000, 1_000));
        let shown = &counts.steps[0];
        assert_eq!(
            (shown.lines, shown.at_row, shown.took_ms, shown.speed()),
            (0, 100_000, 2_000, Some(50_000))
        );
        counts.add(Step { took_ms: 2_000, ..step("a", 120_000) });
        let shown = &counts.steps[0];
        assert_eq!(
            (shown.lines, shown.at_row, shown.rows(), shown.speed()),
            (1, 0, 120_000, Some(30_000))
        );
        assert_eq!(step("b", 7).speed(), None, "faster than a second");
        assert_eq!(Counts::find(&counts.line()), Some(counts));
    }

    #[test]
    fn there_is_a_limit_to_it() {
        let mut counts = Counts::default();
        (0..STEPS_MAX + 7).for_each(|n| counts.add(step(&n.to_string(), 1)));
        assert_eq!((counts.steps.len(), counts.more), (STEPS_MAX, 7));
        let long = step(&"字".repeat(NAME_CHARS_MAX), u64::MAX);
        let long = Step { part: long.name.clone(), took_ms: u64::MAX, at_row: u64::MAX, ..long };
        let whole = Counts { more: u32::MAX, ..Counts::new(vec![long.clone(); STEPS_MAX]) };
        assert!(whole.line().len() < LINE_MAX, "{}", whole.line().len());
        assert_eq!(Counts::find(&whole.line()), Some(whole));
        let far = long.of(&"字".repeat(9_000));
        let line = Counts { more: 7, ..Counts::new(vec![far; STEPS_MAX]) }.line();
        assert!(line.len() <= LINE_MAX, "{}", line.len());
        let found = Counts::find(&line).unwrap();
        assert_eq!((found.steps.len() + found.more as usize, found.steps.len() > 100), (207, true));
        let forged = Counts::new(vec![step(&"x".repeat(9_000), 1); 600]);
        let forged = format!("{MARK}{}", serde_json::to_string(&forged).unwrap());
        let found = Counts::find(&forged).unwrap();
        assert_eq!(found.steps.len(), STEPS_MAX);
        assert_eq!(found.steps[0].name.len(), NAME_CHARS_MAX);
    }
}
