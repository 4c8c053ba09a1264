//! What the server does, whoever has asked; and what befalls it.

use super::*;

impl World {
    pub(super) fn finish_runs(&mut self) {
        for ran in &mut self.ran {
            if ran.end.is_none() && ran.until <= self.now {
                ran.end = Some(ran.will);
            }
        }
    }

    pub(super) fn misfortune(&mut self) {
        if self.quiet() {
            return;
        }
        if self.rng.one_in(150) {
            self.facts.restarts += 1;
            self.tell("the server is started anew".into());
            self.kept.clear();
            // With the connections that it was on.
            self.sent.clear();
            for ran in self.ran.iter_mut().filter(|ran| ran.end.is_none()) {
                ran.end = Some(Ended::Stopped);
            }
            self.away_until = self.now + self.rng.below(20_000);
        } else if self.rng.one_in(120) {
            let most = if self.rng.one_in(6) { 3 * PATIENCE_MS } else { 30_000 };
            self.away_until = self.now + self.rng.below(most);
            self.tell(format!("away until {}", self.away_until));
        }
        if self.left_alone && self.rng.one_in(200) {
            self.stop_there();
        }
        if self.looker.is_some() && self.rng.one_in(60) {
            self.facts.killed += 1;
            self.end(End::Unseen, "killed");
        }
    }

    /// Somebody on the server's own page.
    pub(super) fn stop_there(&mut self) {
        let live = self.ran.iter_mut().find(|ran| ran.end.is_none());
        if let Some(ran) = live {
            ran.end = Some(Ended::Stopped);
            self.facts.foreign += 1;
            self.tell("somebody else stops it there".into());
        }
    }

    pub(super) fn arrive(&mut self) {
        let now = self.now;
        let due: Vec<(i64, u32, Ask)> = self.sent.extract_if(.., |(at, ..)| *at <= now).collect();
        for (_, by, ask) in due {
            let answer = self.deliver(&ask, &key(by));
            self.tell(format!("late from {by}: {ask:?} -> {answer:?}"));
        }
    }

    pub(super) fn obey(&mut self, ask: &Ask) -> Answer {
        let at = |entry: &Entry| self.kept.iter().position(|kept| kept.entry == *entry);
        match ask {
            Ask::List => {
                let all = self.kept.iter().map(|kept| (kept.entry.clone(), self.there(kept)));
                Answer::Listed(all.collect())
            }
            Ask::Register => Answer::Refused("without a name".into()),
            Ask::Start(entry) => {
                let Some(at) = at(entry) else { return Answer::Unknown };
                // As Carte does: one that has ended is made anew.
                let lives = self.kept[at].run.is_some_and(|run| self.ran[run].end.is_none());
                if lives {
                    return Answer::Done;
                }
                self.begin_run(at);
                Answer::Done
            }
            Ask::Look(entry) => match at(entry) {
                Some(at) => Answer::Seen(self.there(&self.kept[at])),
                None => Answer::Unknown,
            },
            Ask::Stop(entry) => {
                let Some(at) = at(entry) else { return Answer::Unknown };
                if let Some(run) = self.kept[at].run
                    && self.ran[run].end.is_none()
                {
                    let soon = self.now + self.rng.below(3_000);
                    let run = &mut self.ran[run];
                    if run.until > soon {
                        run.until = soon;
                        self.halted += usize::from(run.will != Ended::Stopped);
                        run.will = Ended::Stopped;
                    }
                }
                Answer::Done
            }
            Ask::Remove(entry) => {
                // What lives goes on, and nobody sees it.
                self.kept.retain(|kept| kept.entry != *entry);
                Answer::Done
            }
        }
    }

    pub(super) fn register(&mut self, name: &str) -> Answer {
        let id = format!("{:016x}", self.rng.next());
        self.kept.push(Kept { entry: Entry { name: name.into(), id: id.clone() }, run: None });
        Answer::Registered(id)
    }

    pub(super) fn begin_run(&mut self, at: usize) {
        let stopping = self.told_to_stop || self.timed_out > RETRIES;
        let unseen = stopping && self.ends.last() == Some(&End::Unseen);
        if !unseen && self.ran.iter().any(|ran| ran.end.is_none()) {
            self.break_it("two run at once");
        }
        let will = if self.rng.one_in(4) { Ended::WithErrors } else { Ended::Well };
        let most = if self.rng.one_in(5) { 300_000 } else { 20_000 };
        let until = self.now + self.rng.below(most);
        let name = self.kept[at].entry.name.clone();
        self.kept[at].run = Some(self.ran.len());
        self.ran.push(Ran { name, until, will, end: None });
        self.facts.runs += 1;
        self.judge_begin();
    }

    pub(super) fn there(&self, kept: &Kept) -> There {
        match kept.run.map(|run| self.ran[run].end) {
            None => There::Waits,
            Some(None) => There::Lives,
            Some(Some(ended)) => There::Ended(ended),
        }
    }
}
