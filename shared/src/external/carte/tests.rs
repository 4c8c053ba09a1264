//! The answers in `fixtures/` are those of a real Hop server 2.15, asked by what is made here.

use super::*;

fn hop(ask: &Ask, text: &str) -> Reply {
    reply(Server::Hop, ask, text)
}

fn entry() -> Entry {
    Entry { name: "hcndc-0000000000001-1-1-1".into(), id: "x".into() }
}

#[test]
fn what_a_hop_server_lists_is_understood() {
    let text = include_str!("../fixtures/hop-2.15-list.xml");
    let Answer::Listed(entries) = hop(&Ask::List, text).answer else { panic!() };
    let told: Vec<_> = entries.iter().map(|(entry, there)| (&*entry.name, *there)).collect();
    let finished = There::Ended(Ended::Well);
    assert_eq!(
        told,
        [
            ("hcndc-0000000000002-1-1-1", There::Waits),
            ("hcndc-0000000000001-1-1-1", There::Lives),
            ("k-rows", finished),
            ("hcndc-a", finished),
        ]
    );
    assert_eq!(entries[1].0.id, "4c27c333-6969-44d0-9995-58d96d35a69a");
}

#[test]
fn how_a_run_on_a_hop_server_stands_is_understood() {
    let look = Ask::Look(entry());
    for (text, there) in [
        (include_str!("../fixtures/hop-2.15-waiting.xml"), There::Waits),
        (include_str!("../fixtures/hop-2.15-running.xml"), There::Lives),
        (include_str!("../fixtures/hop-2.15-finished.xml"), There::Ended(Ended::Well)),
        (include_str!("../fixtures/hop-2.15-failed.xml"), There::Ended(Ended::WithErrors)),
        (include_str!("../fixtures/hop-2.15-stopped.xml"), There::Ended(Ended::Stopped)),
    ] {
        let reply = hop(&look, text);
        assert_eq!(reply.answer, Answer::Seen(there));
        // Packed, in base64.
        assert!(reply.log.is_some_and(|log| log.starts_with("H4sI")), "{text}");
        assert!(reply.next_line.is_some());
    }
    let unknown = include_str!("../fixtures/hop-2.15-unknown.xml");
    assert_eq!(hop(&look, unknown).answer, Answer::Unknown);
}

/// Its first action, Start, always ends well.
#[test]
fn the_result_is_that_of_the_whole_and_not_of_its_first_action() {
    let text = include_str!("../fixtures/hop-2.15-failed.xml");
    let text = text.replace("Finished (with errors)", "Finished");
    let answer = hop(&Ask::Look(entry()), &text).answer;
    assert_eq!(answer, Answer::Seen(There::Ended(Ended::WithErrors)));
}

#[test]
fn what_a_hop_server_is_told_is_acknowledged() {
    let registered = include_str!("../fixtures/hop-2.15-registered.xml");
    let Answer::Registered(id) = hop(&Ask::Register, registered).answer else { panic!() };
    assert_eq!(id.len(), 36);
    for (ask, text) in [
        (Ask::Start(entry()), include_str!("../fixtures/hop-2.15-started.xml")),
        (Ask::Stop(entry()), include_str!("../fixtures/hop-2.15-stopping.xml")),
        (Ask::Remove(entry()), include_str!("../fixtures/hop-2.15-removed.xml")),
    ] {
        assert_eq!(hop(&ask, text).answer, Answer::Done, "{text}");
    }
}

#[test]
fn an_answer_of_somebody_else_is_no_answer() {
    for text in ["", "<html>login</html>", "<webresult>", "<serverstatus>"] {
        let answer = hop(&Ask::Look(entry()), text).answer;
        assert!(matches!(answer, Answer::Refused(_)), "{text}: {answer:?}");
    }
}
