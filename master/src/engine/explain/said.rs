//! What an explanation says, in one place: each sentence with its code, its parameters and its English
//! text. Pages find the Chinese by the pattern ([`Said::PATTERNS`]), and a test finds what has none.
//!
//! A parameter called `why` holds what a row has kept ([`super::super::reason::Reason`]), one called
//! `state` the word of a state: both have a Chinese of their own.

macro_rules! sentences {
    ($($name:ident { $($field:ident),* } $text:literal)*) => {
        /// One sentence.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Said {
            $($name { $($field: String),* },)*
        }

        impl Said {
            /// The texts with `{names}` where parameters stand.
            pub const PATTERNS: &[&str] = &[$($text),*];

            pub fn pattern(&self) -> &'static str {
                match self {
                    $(Said::$name { .. } => $text,)*
                }
            }

            fn name(&self) -> &'static str {
                match self {
                    $(Said::$name { .. } => stringify!($name),)*
                }
            }

            /// By name, in the order of the text.
            pub fn params(&self) -> Vec<(&'static str, &str)> {
                match self {
                    $(Said::$name { $($field),* } => vec![$((stringify!($field), $field.as_str())),*],)*
                }
            }
        }
    };
}

sentences! {
    // ---- an instant of a dispatch ----
    Fired { dispatch } "{dispatch} fired"
    FiredLate { dispatch, why } "{dispatch} fired, {why}"
    NotFired { dispatch, why } "{dispatch} did not fire: {why}"
    WillFire { dispatch } "{dispatch} is to fire then"
    WillNotFire { dispatch } "{dispatch} will not fire then, as things are"
    Undecided { dispatch } "this instant of {dispatch} is due and not decided yet"
    Untold { dispatch } "nothing is known of this instant of {dispatch}"
    NoInstant { dispatch } "the rule of {dispatch} has no such instant"
    NoInstants { dispatch, period } "{dispatch} has no instant for {period}"
    InstantsOf { dispatch, period } "what {dispatch} does for {period}"
    TheRule { cron, zone } "its rule is {cron} in {zone}"
    InstantBefore {} "the nearest instant before"
    InstantAfter {} "the nearest instant after"
    FiresFrom {} "it fires from this date on"
    FiresUntil {} "it fires until this date"
    InWindow { window } "it lies in the blackout window {window}"
    NotItsDay { calendar, date } "{date} is none of its days by calendar {calendar}"
    CalendarGone { calendar } "its calendar {calendar} is gone"
    NotMadeGood {} "its policy for missed instants is not to make them good"
    IsPaused {} "the dispatch is paused now"
    IsFrozen { interface } "{interface} is frozen now"
    SavedLater {} "this version of the dispatch was saved only then: it fires for instants after that"
    Purged { days } "decisions are kept for {days} days"
    ForPeriod { what } "it is for {what}"

    // ---- an interface and a period ----
    IsThere { what } "{what} is there"
    IsPartial { what } "{what} was run in part only, and what was left out has never succeeded"
    IsStale { what } "{what} is there, and stale: what it was fed by is newer"
    NeverStarted { what } "nothing has started {what}"
    NoDispatch { interface } "no dispatch starts {interface}, nor anything that it follows from"
    InterfaceGone { what } "{what}: the interface is gone"
    NoPeriod { interface, period } "{period} is no period of {interface}"
    OtherProject { what } "{what} belongs to a project that you may not see"
    NewerSince { what, generation } "{what} has succeeded as generation {generation} since"
    StaleItself { what } "{what}, which fed it, is stale itself"

    // ---- a run ----
    Waits { what } "{what} waits"
    WaitsFor { what } "it waits for {what}"
    GaveUp { what } "it waited in vain for {what}"
    Begins { what } "{what} has begun nothing yet"
    Runs { what } "{what} is running"
    Failed { what } "{what} failed"
    Stopped { what } "{what} was stopped"
    Succeeded { what } "{what} succeeded"
    RunPaused {} "a person has paused it"
    NoRun { what } "{what} has no run"
    ExecutionPurged { what } "{what} is purged by now, or never was"
    JobsPurged {} "what its jobs did is purged by now"

    // ---- a job of a run ----
    JobSucceeded { job } "{job} succeeded"
    JobEnded { job, state } "{job}: {state}"
    JobEndedSo { job, state, why } "{job}: {state}, {why}"
    JobRuns { job, host } "{job} runs on {host}"
    JobPromised { job, host } "{job} is promised to {host}, which has not begun it yet"
    JobStopping { job, host } "{job} is being stopped on {host}"
    JobHeld { job } "{job} is gone, and how it ended is not known"
    JobQueued { job, why } "{job} is ready and has no place: {why}"
    JobAgain { job, why } "{job} is to be tried again: {why}"
    JobWaits { job } "{job} has not begun"
    JobAfter { job, before } "{job} comes after {before}, which has not ended"
    JobNeeds { job, what } "{job} needs {what}"
    JobFrozen { job } "{job} is frozen"
    RunWaitsFirst { what } "its run, {what}, waits itself"

    // ---- what would satisfy it ----
    BySuccess {} "any run of it that succeeds"
    ByThisRun {} "exactly this run, when it succeeds; if it cannot, resume the waiting one alone, and any success counts"
    ByIdle {} "the end of every live run of it, however they end"
    BySuccessOrNone {} "a run of it that succeeds"
    ByJob {} "the success of that job in any run of it"
    ByPlace {} "a place that becomes free on a host that fits"
    ByUnpause {} "unpause it"
    ByResume {} "resume it, or run it anew"
    ByResumeDispatch {} "resume the dispatch"
    ByThaw {} "thaw it"
    ByVerdict {} "a person who says how: mark it as succeeded, or abandon it"
    ByRun {} "run it by hand"
    ByRerun {} "run it anew, with what follows from it"
    ByEdit {} "change the rule, or run it by hand"

    // ---- why then ----
    Instant { dispatch } "the instant of {dispatch}"
    StartedBy { who } "{who} started it"
    StartedByOrigin { state } "it was started: {state}"
    RunMade { what } "the run of {what} was made"
    RunJoined { what } "{what} was under way already, and was joined"
    WasThere { what } "{what} was there"
    ExecutionMade { what } "an execution of {what} was made"
    JobBefore { job, state } "{job}, which comes before: {state}"
    JobReady { job } "{job} had all that it needed"
    JobHadNoPlace { job, why } "until then {job} had no place: {why}"
    JobAssigned { job, host } "{job} was assigned to {host}"
    TryBegan { n, host } "try {n} began on {host}"
    TryEnded { n, why } "try {n} ended: {why}"
    ExecutionEnded { what, state } "the execution of {what} ended: {state}"
    Ended { what, state } "{what} ended: {state}"
    Begun { what } "the first job of {what} began"

    // ---- limits ----
    Cycle { what } "{what} again: they wait for each other"
    More {} "there is more, which is not followed"
}

impl Said {
    /// For programs: `not_fired`.
    pub fn code(&self) -> String {
        let mut code = String::new();
        for c in self.name().chars() {
            if c.is_ascii_uppercase() && !code.is_empty() {
                code.push('_');
            }
            code.push(c.to_ascii_lowercase());
        }
        code
    }

    /// A pattern, its own or of another language, with these values.
    pub fn fill(&self, pattern: &str, value: impl Fn(&str, &str) -> String) -> String {
        let mut text = String::new();
        let params = self.params();
        let mut rest = pattern;
        // Not by replacing one after the other: a value may hold the name of another one.
        while let Some((before, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else { break };
            text.push_str(before);
            let found = params.iter().find(|(of, _)| *of == name);
            text.push_str(&found.map_or_else(String::new, |(of, given)| value(of, given)));
            rest = after;
        }
        text + rest
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str(&self.fill(self.pattern(), |name, value| match name {
            "state" => value.replace('_', " "),
            _ => value.to_owned(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_has_a_code_its_values_and_both_orders() {
        let said = Said::NotFired { dispatch: "{why}".into(), why: "paused".into() };
        assert_eq!(
            (said.code().as_str(), said.to_string()),
            ("not_fired", "{why} did not fire: paused".into())
        );
        let turned = said.fill("{why}，故 {dispatch} 未触发", |_, value| value.to_owned());
        assert_eq!(turned, "paused，故 {why} 未触发");
        let timed = Said::JobEnded { job: "a".into(), state: "timed_out".into() };
        assert_eq!(timed.to_string(), "a: timed out");
    }

    #[test]
    fn no_two_sentences_are_the_same() {
        let all: std::collections::BTreeSet<_> = Said::PATTERNS.iter().collect();
        assert_eq!(all.len(), Said::PATTERNS.len());
    }
}
