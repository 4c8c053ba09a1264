//! Which named parameters a file of Kettle or Hop declares, and which an engine says of itself.
//!
//! What is given and not declared is silently ignored by all of them: a slip of the pen would run with
//! the default. So it is looked for before the run.

use super::drawn::Form;
use super::xml::{Event, Reader};
use std::collections::BTreeSet;

/// Names, or why the text is none of theirs.
///
/// # Errors
/// It is no XML, or its first element is none of a job, transformation, workflow or pipeline.
pub fn in_file(text: &str) -> Result<BTreeSet<String>, String> {
    let mut reader = Reader::new(text);
    let mut names = BTreeSet::new();
    while let Some(event) = reader.next()? {
        match event {
            Event::Open(name) if reader.path().len() == 1 => {
                Form::of_root(name)?;
            }
            Event::Text(text) if is_name(reader.path()) => {
                names.insert(text.trim().to_owned());
            }
            _ => {}
        }
    }
    Ok(names)
}

/// Jobs and workflows have them at the top, transformations and pipelines in their `info`. Steps and
/// entries have elements of the same names, deeper.
fn is_name(path: &[&str]) -> bool {
    matches!(
        path,
        [_, "parameters", "parameter", "name"] | [_, "info", "parameters", "parameter", "name"]
    )
}

/// Of what `-listparam` prints: `Parameter: N=, default=3 : rows`. None: nothing of the kind.
pub fn listed(output: &str) -> BTreeSet<String> {
    let names = output.lines().filter_map(|line| {
        let (name, _) = line.trim_start().strip_prefix("Parameter: ")?.split_once('=')?;
        Some(name.trim().to_owned())
    });
    names.collect()
}

/// What is given and not declared, with what is: an error for people.
///
/// # Errors
/// The first that is not declared.
pub fn check(given: &[String], declared: &BTreeSet<String>, of: &str) -> Result<(), String> {
    let Some(missing) = given.iter().find(|name| !declared.contains(*name)) else { return Ok(()) };
    let known: Vec<&str> = declared.iter().map(String::as_str).take(20).collect();
    Err(match known.is_empty() {
        true => format!("{of} declares no parameters, and {missing:?} is given"),
        false => format!("{of} declares no parameter {missing:?}; it has: {}", known.join(", ")),
    })
}

/// Each that is given and not declared, with words beside a field.
pub fn undeclared<'a>(
    given: &'a [String],
    declared: &'a BTreeSet<String>,
) -> impl Iterator<Item = (&'a str, String)> {
    let known: Vec<&str> = declared.iter().map(String::as_str).take(20).collect();
    let words = match known.is_empty() {
        true => "the file declares no parameters".to_owned(),
        false => format!("the file declares no such parameter; it has: {}", known.join(", ")),
    };
    let missing = given.iter().filter(|name| !declared.contains(*name));
    missing.map(move |name| (name.as_str(), words.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn names(text: &str) -> String {
        match in_file(text) {
            Ok(names) => names.into_iter().collect::<Vec<_>>().join(","),
            Err(why) => format!("error: {why}"),
        }
    }

    #[test]
    fn parameters_stand_at_the_top_of_a_file() {
        let one = |name: &str| {
            format!("<parameter><name>{name}</name><default_value>3</default_value></parameter>")
        };
        let ktr = format!(
            "<?xml version=\"1.0\"?>\n<!-- <a> -->\n<transformation><info><name>x</name><parameters>{}{}\
             </parameters></info><step><name>s</name><parameters>{}</parameters></step></transformation>",
            one("N"),
            one("a &amp; b&#x4e2d;"),
            one("INNER"),
        );
        assert_eq!(names(&ktr), "N,a & b中");
        let kjb = format!(
            "<job><name>j</name><parameters>\n {}\n</parameters><entries><entry><name>t</name>\
             <parameters><pass_all_parameters>Y</pass_all_parameters>{}</parameters></entry></entries></job>",
            one("WHO"),
            one("INNER"),
        );
        assert_eq!(names(&kjb), "WHO");
        assert_eq!(names("<pipeline><info><parameters/></info></pipeline>"), "");
        assert_eq!(
            names(
                "<workflow><parameters><parameter><name><![CDATA[A]]></name></parameter></parameters></workflow>"
            ),
            "A"
        );
    }

    #[test]
    fn what_is_none_of_theirs_is_said() {
        for (text, why) in [
            ("", "no XML"),
            ("garbage", "no XML"),
            ("<html></html>", "begins with <html>"),
            ("<job><a></b></job>", "closes nothing"),
            ("<job><parameters>", "ends in the middle"),
            ("<job><!-- ", "is missing"),
            ("<job", "is missing"),
            (&"<job>".repeat(101), "within one another"),
        ] {
            let told = names(text);
            assert!(told.starts_with("error: ") && told.contains(why), "{text}: {told}");
        }
    }

    #[test]
    fn an_engine_says_what_it_declares() {
        let output = "2026/11/20 10:19:19 - Kitchen - Start of run.\nParameter: KTR=, default=hello.ktr : file\n\
                      Parameter: WHO=, default=world : who\n";
        let declared = listed(output);
        assert_eq!(declared.iter().collect::<Vec<_>>(), ["KTR", "WHO"]);
        let given =
            |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(check(&given(&["WHO"]), &declared, "x.kjb"), Ok(()));
        let error = check(&given(&["WHO", "WHOM"]), &declared, "x.kjb").unwrap_err();
        assert_eq!(error, "x.kjb declares no parameter \"WHOM\"; it has: KTR, WHO");
        let given_names = given(&["A", "WHO", "B"]);
        let beside: Vec<_> = undeclared(&given_names, &declared).collect();
        assert_eq!(beside.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["A", "B"]);
        assert_eq!(beside[0].1, "the file declares no such parameter; it has: KTR, WHO");
        let error = check(&given(&["A"]), &BTreeSet::new(), "x.kjb").unwrap_err();
        assert_eq!(error, "x.kjb declares no parameters, and \"A\" is given");
    }
}
