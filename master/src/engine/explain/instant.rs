//! An instant of a dispatch: what was decided and why, or why there is no such instant.

use super::super::calendar::{self, Cron};
use super::super::catalog::Dispatch;
use super::super::quiet::{Held, Missing, Quiet};
use super::super::rows::*;
use super::{BESIDE_MAX, Line, Link, Said, Story, Tone};
use chrono_tz::Tz;
use shared::ids::*;
use shared::period::Period;

const DAY_MS: Millis = 86_400_000;

impl Story<'_> {
    /// With what became of it, and the way there.
    pub(super) fn instant(&mut self, id: DispatchId, at: Millis) -> (Line, Vec<Line>) {
        let mut line = self.decision(id, at);
        let Some(firing) = self.firing(id, at) else { return (line, Vec::new()) };
        let interface = self.facts.dispatch(id).map(|dispatch| dispatch.spec.interface);
        let then = match firing.execution {
            Some(execution) => {
                let (found, then) = self.execution(execution);
                line.because.push(found);
                then
            }
            None => Vec::new(),
        };
        // What did not fire may have been made by somebody else.
        if let Some(interface) = interface.filter(|_| firing.execution.is_none()) {
            let slice = (interface, firing.period);
            let found = self.slice(slice);
            let what = self.facts.what(slice);
            let link = Link::Period { interface, period: firing.period };
            line.because.push(Line::new(Said::ForPeriod { what }).link(link).because(vec![found]));
        }
        (line, then)
    }

    /// Every instant whose data is of this period.
    pub(super) fn instants(&mut self, id: DispatchId, period: Period) -> Line {
        let Some(dispatch) = self.facts.dispatch(id).cloned() else { return gone(id) };
        let name = dispatch.name.clone();
        let said = Said::InstantsOf { dispatch: name, period: period.to_string() };
        let line = Line::new(said).link(Link::Dispatch { dispatch: id });
        let found = self.instants_for(&dispatch, period);
        match found {
            Ok(found) => {
                let lines = found.into_iter().map(|at| self.instant(id, at).0);
                line.because(lines.collect())
            }
            Err(why) => *why,
        }
    }

    /// When the dispatch is due for this period; or the line that says why never.
    pub(super) fn instants_for(
        &mut self,
        dispatch: &Dispatch,
        period: Period,
    ) -> Result<Vec<Millis>, Box<Line>> {
        let none =
            || Said::NoInstants { dispatch: dispatch.name.clone(), period: period.to_string() };
        let interface = self.facts.catalog.interfaces.get(&dispatch.spec.interface);
        let cut = interface.and_then(|it| self.facts.catalog.cut(&it.spec).ok());
        let (Some(cut), Some((cron, zone))) = (cut, rule(dispatch)) else {
            return Err(Box::new(Line::new(none()).tone(Tone::Bad)));
        };
        if !cut.accepts(period) {
            let interface = self.facts.name(dispatch.spec.interface);
            let said = Said::NoPeriod { interface, period: period.to_string() };
            return Err(Box::new(Line::new(said).tone(Tone::Bad)));
        }
        // Where days are left out, the instants of several dates are for one period.
        let steps = i64::from(dispatch.spec.period_offset);
        let around =
            cut.offset(period, steps).map(|it| (it.start_ms(cut.zone), it.end_ms(cut.zone)));
        let before = cut.offset(period, steps - 1).filter(|_| steps > 0);
        let (from, until) = around
            .map_or((0, 0), |(from, until)| (before.map_or(from, |it| it.end_ms(cut.zone)), until));
        let (from, until) = window(dispatch, from, until);
        let all = calendar::instants(cron, zone, from - 1).take_while(|at| *at < until);
        let found: Vec<Millis> = all.take(BESIDE_MAX).collect();
        if found.is_empty() {
            let because = self.beside(dispatch, from);
            let line = Line::new(none()).tone(Tone::Bad).cure(Said::ByRun {}).because(because);
            return Err(Box::new(line.link(Link::Dispatch { dispatch: dispatch.id })));
        }
        Ok(found)
    }

    /// What was decided, or will be, without what became of it.
    pub(super) fn decision(&mut self, id: DispatchId, at: Millis) -> Line {
        let Some(dispatch) = self.facts.dispatch(id).cloned() else { return gone(id) };
        let name = dispatch.name.clone();
        let link = Link::Instant { dispatch: id, instant_ms: at };
        if let Some(firing) = self.firing(id, at) {
            return self.decided(&dispatch, firing).at(at).link(link);
        }
        let is_one = rule(&dispatch)
            .is_some_and(|(cron, zone)| calendar::next_after(&cron, zone, at - 1) == Some(at))
            && window(&dispatch, at, at + 1) == (at, at + 1);
        if !is_one {
            let line = Line::new(Said::NoInstant { dispatch: name }).tone(Tone::Bad).at(at);
            return line.cure(Said::ByEdit {}).because(self.beside(&dispatch, at));
        }
        if at > self.facts.now {
            return self.will_come(&dispatch, at).at(at).link(link);
        }
        let cursor = self.state(id).cursor;
        let untold = Line::new(Said::Untold { dispatch: name.clone() }).tone(Tone::Bad).at(at);
        let kept = self.facts.kept_ms;
        if at <= dispatch.since && cursor < at {
            let saved = Line::new(Said::SavedLater {}).at(dispatch.since).tone(Tone::Bad);
            return untold.cure(Said::ByRun {}).because(vec![saved]);
        }
        if cursor < at {
            return Line::new(Said::Undecided { dispatch: name })
                .tone(Tone::Open)
                .at(at)
                .link(link);
        }
        if at < self.facts.now - kept {
            let days = (kept / DAY_MS).to_string();
            return untold.because(vec![Line::new(Said::Purged { days })]);
        }
        // By the rule of now: another one held then.
        let saved = Line::new(Said::SavedLater {}).at(dispatch.since).tone(Tone::Bad);
        untold.because(if at <= dispatch.since { vec![saved] } else { Vec::new() })
    }

    fn decided(&mut self, dispatch: &Dispatch, firing: &Firing) -> Line {
        let (name, why) = (dispatch.name.clone(), firing.why.clone());
        let mut line = match firing.decision {
            Decision::Fired if why.is_empty() => {
                Line::new(Said::Fired { dispatch: name }).tone(Tone::Good)
            }
            Decision::Fired => Line::new(Said::FiredLate { dispatch: name, why }).tone(Tone::Good),
            _ => Line::new(Said::NotFired { dispatch: name, why }).tone(Tone::Bad),
        };
        match firing.decision {
            Decision::Paused if self.state(dispatch.id).paused => {
                line.because.push(paused());
            }
            Decision::Frozen => line.because.extend(self.frozen(dispatch)),
            Decision::Fired => {}
            Decision::Misfired => {
                line.because.push(Line::new(Said::NotMadeGood {}).tone(Tone::Bad));
                line.cure = Some(Said::ByRun {});
            }
            _ => line.cure = Some(Said::ByRun {}),
        }
        line
    }

    fn will_come(&mut self, dispatch: &Dispatch, at: Millis) -> Line {
        let mut against = Vec::new();
        if self.state(dispatch.id).paused {
            against.push(paused());
        }
        against.extend(self.frozen(dispatch));
        if let Some((_, zone)) = rule(dispatch) {
            let held = match Quiet::of(&self.facts.catalog, &dispatch.spec, zone) {
                Ok(quiet) => quiet.holding(at).map(|held| match held {
                    Held::Window(window) => Said::InWindow { window: window.to_owned() },
                    Held::Day { calendar, date } | Held::NoPeriod { calendar, date } => {
                        let (calendar, date) = (calendar.to_owned(), date.to_string());
                        Said::NotItsDay { calendar, date }
                    }
                }),
                Err(Missing(id)) => Some(Said::CalendarGone { calendar: id.to_string() }),
            };
            let held = held.map(|said| Line::new(said).tone(Tone::Bad).cure(Said::ByEdit {}));
            against.extend(held);
        }
        let dispatch = dispatch.name.clone();
        match against.is_empty() {
            true => Line::new(Said::WillFire { dispatch }).tone(Tone::Open),
            false => Line::new(Said::WillNotFire { dispatch }).tone(Tone::Bad).because(against),
        }
    }

    fn frozen(&self, dispatch: &Dispatch) -> Option<Line> {
        let found = self.facts.catalog.interfaces.get(&dispatch.spec.interface)?;
        let line = || Line::new(Said::IsFrozen { interface: found.name.clone() });
        found.spec.frozen.then(|| line().tone(Tone::Bad).cure(Said::ByThaw {}))
    }

    /// The rule, and its instants next to a moment that is none.
    fn beside(&self, dispatch: &Dispatch, at: Millis) -> Vec<Line> {
        let spec = &dispatch.spec;
        let said = Said::TheRule { cron: spec.cron.clone(), zone: spec.zone.clone() };
        let mut lines = vec![Line::new(said).link(Link::Dispatch { dispatch: dispatch.id })];
        let Some((cron, zone)) = rule(dispatch) else { return lines };
        if let Some(from) = spec.from_ms.filter(|from| at < *from) {
            lines.push(Line::new(Said::FiresFrom {}).at(from));
        }
        if let Some(until) = spec.until_ms.filter(|until| *until <= at) {
            lines.push(Line::new(Said::FiresUntil {}).at(until));
        }
        let line = |said, at: Millis| {
            let link = Link::Instant { dispatch: dispatch.id, instant_ms: at };
            Line::new(said).at(at).link(link)
        };
        let last = spec.until_ms.map_or(at, |until| at.min(until));
        let before = calendar::before(&cron, zone, last);
        let before = before.filter(|at| spec.from_ms.is_none_or(|from| *at >= from));
        lines.extend(before.map(|at| line(Said::InstantBefore {}, at)));
        let after = spec.from_ms.map_or(at, |from| at.max(from - 1));
        let after = calendar::next_after(&cron, zone, after);
        let after = after.filter(|at| spec.until_ms.is_none_or(|until| *at < until));
        lines.extend(after.map(|at| line(Said::InstantAfter {}, at)));
        lines
    }
}

fn paused() -> Line {
    Line::new(Said::IsPaused {}).tone(Tone::Bad).cure(Said::ByResumeDispatch {})
}

fn gone(id: DispatchId) -> Line {
    Line::new(Said::Untold { dispatch: format!("dispatch {id}") }).tone(Tone::Bad)
}

fn rule(dispatch: &Dispatch) -> Option<(Cron, Tz)> {
    Some((calendar::parse(&dispatch.spec.cron).ok()?, calendar::zone(&dispatch.spec.zone).ok()?))
}

/// A span of time as far as the dispatch fires at all in it.
fn window(dispatch: &Dispatch, from: Millis, until: Millis) -> (Millis, Millis) {
    let spec = &dispatch.spec;
    let from = spec.from_ms.map_or(from, |first| first.max(from));
    (from, spec.until_ms.map_or(until, |end| end.min(until)))
}
