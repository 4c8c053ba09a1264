//! The desk without a JVM: what it does is told in short, and compared.

use super::*;

const RULES: Rules = Rules { slots: 2, queue: 2, recycle_after: 3, grace_ms: 100, start_ms: 1_000 };

fn short(todo: &[Do]) -> String {
    let one = |one: &Do| match one {
        Do::Start(jvm) => format!("start {jvm}"),
        Do::Kill(jvm) => format!("kill {jvm}"),
        Do::Say(jvm, line) => {
            let words: Vec<&str> = line.split_whitespace().take(2).collect();
            format!("{jvm}<{}", words.join(" "))
        }
        Do::Tell(client, told) => match told {
            Told::Ended(ended) => format!("{client}:{:?}", ended.how),
            Told::Lost(why) => format!("{client}:lost {why}"),
            Told::Refused(why) => format!("{client}:refused {why}"),
            Told::Log(line) => format!("{client}:{line}"),
            other => format!("{client}:{other:?}"),
        },
    };
    todo.iter().map(one).collect::<Vec<_>>().join(", ")
}

struct Lab {
    desk: Desk,
    now: Millis,
}

impl Lab {
    fn new() -> Lab {
        let mut lab = Lab { desk: Desk::new(RULES), now: 0 };
        assert_eq!(lab.after(0), "start 1");
        lab
    }

    fn ready() -> Lab {
        let mut lab = Lab::new();
        lab.said(1, Word::Ready, "");
        lab
    }

    #[track_caller]
    fn check(&mut self, event: Event, expect: &str) {
        assert_eq!(short(&self.desk.take(self.now, event)), expect);
    }

    fn after(&mut self, ms: Millis) -> String {
        self.now += ms;
        short(&self.desk.due(self.now))
    }

    #[track_caller]
    fn ask(&mut self, client: ClientId, expect: &str) {
        self.check(Event::Asked(client, Box::default()), expect);
    }

    #[track_caller]
    fn said(&mut self, jvm: JvmId, word: Word, expect: &str) {
        self.check(Event::Said(jvm, word), expect);
    }

    #[track_caller]
    fn well(&mut self, jvm: JvmId, client: ClientId, expect: &str) {
        let ended = Ended { how: How::Well, errors: 0, words: String::new() };
        self.said(jvm, Word::End(client, ended), expect);
    }
}

#[test]
fn runs_wait_for_a_jvm_and_for_a_slot_and_too_many_start_cold() {
    let mut lab = Lab::new();
    lab.ask(1, "");
    lab.ask(2, "");
    lab.ask(3, "3:refused 2 runs wait already (warm.queue)");
    lab.said(1, Word::Ready, "1:Begun, 1<RUN 1, 2:Begun, 1<RUN 2");
    lab.ask(4, "");
    lab.ask(5, "");
    lab.ask(6, "6:refused 2 runs wait already (warm.queue)");
    lab.said(1, Word::Log(2, "x".into()), "2:x");
    // Of nobody's, or of one that waits: to nobody.
    lab.said(1, Word::Log(4, "x".into()), "");
    lab.said(1, Word::Log(99, "x".into()), "");
    // The third of this JVM is its last: the next JVM is started beside it.
    lab.well(1, 2, "2:Well, 4:Begun, 1<RUN 4, start 2");
    lab.said(2, Word::Ready, "");
    lab.well(1, 1, "1:Well, 5:Begun, 2<RUN 5");
    lab.well(1, 4, "1<QUIT, 4:Well");
    lab.check(Event::Over(1, "ended".into()), "");
    lab.ask(7, "7:Begun, 2<RUN 7");
}

#[test]
fn a_stop_ends_the_run_and_in_the_end_the_jvm_and_the_others_are_told() {
    let mut lab = Lab::ready();
    lab.ask(1, "1:Begun, 1<RUN 1");
    lab.ask(2, "2:Begun, 1<RUN 2");
    lab.ask(3, "");
    lab.check(Event::Stop(3), "3:Stopped");
    lab.check(Event::Stop(1), "1<STOP 1");
    lab.check(Event::Stop(1), "");
    assert_eq!(lab.desk.next(), Some(100));
    assert_eq!(lab.after(99), "");
    assert_eq!(lab.after(1), "kill 1, start 2");
    assert_eq!(lab.after(1_000), "kill 2", "the new one was not ready in time");
    let why = "2:lost its JVM was ended, because another run did not stop in time";
    lab.check(Event::Over(1, "ended (9)".into()), &format!("1:Stopped, {why}"));
}

#[test]
fn a_run_whose_process_has_gone_is_stopped_and_nobody_hears_of_it() {
    let mut lab = Lab::ready();
    lab.ask(1, "1:Begun, 1<RUN 1");
    lab.check(Event::Gone(1), "1<STOP 1");
    lab.said(1, Word::Log(1, "x".into()), "");
    lab.well(1, 1, "");
    assert_eq!(lab.after(1_000), "", "it has stopped: the JVM lives");
    lab.check(Event::Gone(1), "");
}

#[test]
fn a_jvm_that_dies_takes_its_runs_along_and_one_that_never_comes_makes_all_start_cold() {
    let mut lab = Lab::ready();
    lab.ask(1, "1:Begun, 1<RUN 1");
    lab.ask(2, "2:Begun, 1<RUN 2");
    lab.ask(3, "");
    let (one, two) = ("1:lost its JVM has ended (3)", "2:lost its JVM has ended (3)");
    lab.check(Event::Over(1, "ended (3)".into()), &format!("{one}, {two}, start 2"));
    lab.check(Event::Over(2, "ended (1)".into()), "3:refused no JVM can be had: it has ended (1)");
    lab.ask(4, "4:refused no JVM can be had: ended (1)");
    assert_eq!(lab.desk.next(), Some(START_AGAIN_MS));
    assert_eq!(lab.after(START_AGAIN_MS), "start 3");
    lab.ask(5, "");
    assert_eq!(lab.after(RULES.start_ms), "kill 3");
    // Its last word came too late.
    lab.said(3, Word::Ready, "");
    lab.check(Event::Over(3, "ended (9)".into()), "5:refused no JVM can be had: it has ended (9)");
}
