//! Rows of a transformation that runs on a Carte: it lists those that a job of ours has begun under their
//! own names, and tells of each step how far it is. (A Hop server lists only what was given to it.)

use super::{Entry, KETTLE, digits, element, list, plain, query};
use crate::etl::counts::{Counts, STEPS_MAX, Step, short};
use crate::external::Server;

/// Where all that it runs is listed.
pub fn listing() -> String {
    list(Server::Carte)
}

/// Where it tells of one.
pub fn looking(entry: &Entry) -> String {
    let (name, id) = (query(&entry.name), query(&entry.id));
    format!("{}/transStatus/?name={name}&id={id}&xml=Y", KETTLE.base)
}

/// The one that runs under that name. None where there are several: which of them is ours it does not tell.
pub fn running(text: &str, name: &str) -> Option<Entry> {
    let of = |block: &&str| {
        let field = |field: &str| element(block, field).map(|text| plain(text.trim()));
        (field("status_desc")? == "Running" && field("transname")? == name).then(|| field("id"))?
    };
    let mut found = blocks(text, "transstatus").filter_map(|block| of(&block));
    let id = found.next()?;
    found.next().is_none().then(|| Entry { name: name.to_owned(), id })
}

/// Its steps as they are now, their copies added up.
pub fn steps(text: &str, part: &str) -> Vec<Step> {
    let mut counts = Counts::default();
    for block in blocks(text, "stepstatus").take(4 * STEPS_MAX) {
        let Some(name) = element(block, "stepname").map(|name| plain(name.trim())) else {
            continue;
        };
        let number =
            |field: &str| element(block, field).map_or(0, |text| digits::number(&plain(&text)));
        let told =
            ["linesInput", "linesOutput", "linesRead", "linesWritten", "linesUpdated", "errors"];
        let mut step = Step::ended(short(part), short(&name), told.map(number));
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

    const LIST: &str = "<serverstatus><transstatuslist>\
        <transstatus><transname>load &amp; more</transname><id>a</id><status_desc>Running</status_desc></transstatus>\
        <transstatus><transname>load &amp; more</transname><id>b</id><status_desc>Finished</status_desc></transstatus>\
        <transstatus><transname>twice</transname><id>c</id><status_desc>Running</status_desc></transstatus>\
        <transstatus><transname>twice</transname><id>d</id><status_desc>Running</status_desc></transstatus>\
        </transstatuslist></serverstatus>";

    #[test]
    fn only_one_that_can_be_no_other_is_ours() {
        assert_eq!(running(LIST, "load & more").unwrap().id, "a");
        for name in ["twice", "none", ""] {
            assert_eq!(running(LIST, name), None, "{name}");
        }
        let entry = Entry { name: "load & more".into(), id: "a".into() };
        assert_eq!(looking(&entry), "/kettle/transStatus/?name=load%20%26%20more&id=a&xml=Y");
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
            + &one("sort", 1, 7_000, " 3,500")
            + &one("out", 0, 5, "-");
        let found = steps(&text, "load");
        let told: Vec<_> =
            found.iter().map(|it| (&*it.part, &*it.name, it.lines, it.read, it.speed())).collect();
        assert_eq!(told, [("load", "sort", 0, 14_000, Some(7_000)), ("load", "out", 0, 5, None)]);
    }
}
