//! What is told of jobs that are saved although nobody could say whether their files declare what they give.

use crate::web::error::form_urlencoded;
use serde::Serialize;
use shared::ids::Millis;

/// Jobs that one notice names, names of parameters, and notices.
const NAMED_MAX: usize = 20;
const NOTICES_MAX: usize = 20;

/// Jobs that are saved although nobody could say what their files declare.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notice {
    pub message: String,
    /// `interface/job`, the first of them.
    pub jobs: Vec<String>,
    pub count: usize,
    /// For pages: see [`super::ask::Problem`].
    #[serde(skip)]
    pub(super) word: &'static str,
    #[serde(skip)]
    host: String,
    #[serde(skip)]
    query: String,
}

impl Notice {
    /// For the address of the page that tells it.
    pub(in crate::web) fn query(&self) -> String {
        format!("unchecked={}{}", self.word, self.query)
    }
}

/// Why jobs are saved although what they give may not be declared.
pub(super) struct Reason<'a> {
    word: &'static str,
    host: &'a str,
    message: String,
    /// For the page of the job, in its address.
    query: String,
}

impl Reason<'_> {
    pub(super) fn unchecked<'a>(word: &'static str, host: &'a str, why: &str) -> Reason<'a> {
        let message = format!(
            "whether the file declares the parameters that it is given was not checked ({why}); it \
             is checked when the job starts"
        );
        Reason { word, host, message, query: String::new() }
    }

    /// A copy of its repository does not know these.
    pub(super) fn older<'a>(host: &'a str, read_ms: Millis, names: &[&str]) -> Reason<'a> {
        let names = &names[..names.len().min(NAMED_MAX)];
        let at = chrono::DateTime::from_timestamp_millis(read_ms).unwrap_or_default();
        let at = at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let message = format!(
            "the file declares no parameter {} in the copy of its repository that exec host {host} \
             has of {at}: if it does by now, have it read again on the page Files; it is checked \
             when the job starts",
            names.join(", ")
        );
        let query = form_urlencoded(&names.join(","));
        Reason { word: "older", host, message, query: format!("&read_ms={read_ms}&names={query}") }
    }
}

/// Of jobs behind the first one that a notice names, where each has another file.
const OTHERS: &str = "; of the others that is said of their own files";

/// Jobs of one host and one kind of reason share one notice.
pub(super) fn noticed(notices: &mut Vec<Notice>, job: &str, reason: Reason) {
    let Reason { word, host, message, query } = reason;
    if let Some(same) = notices.iter_mut().find(|it| it.word == word && it.host == host) {
        if same.message != message && !same.message.ends_with(OTHERS) {
            same.message.push_str(OTHERS);
        }
        same.count += 1;
        same.jobs.extend((same.jobs.len() < NAMED_MAX).then(|| job.to_owned()));
    } else if notices.len() < NOTICES_MAX {
        let (host, jobs) = (host.to_owned(), vec![job.to_owned()]);
        notices.push(Notice { message, jobs, count: 1, word, host, query });
    } else if let Some(last) = notices.last_mut() {
        last.message = "whether their files declare the parameters that they are given was not \
                        checked for these either, for other reasons; it is checked when the jobs \
                        start"
            .into();
        last.count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_jobs_and_many_reasons_fit_a_page() {
        let mut notices = Vec::new();
        for at in 0..1_000 {
            noticed(&mut notices, &format!("i/j{at}"), Reason::unchecked("away", "h1", "h1: away"));
        }
        assert_eq!((notices.len(), notices[0].count, notices[0].jobs.len()), (1, 1_000, NAMED_MAX));
        assert!(!notices[0].message.ends_with(OTHERS));
        for at in 0..1_000 {
            let why = format!("{at} is not there");
            noticed(&mut notices, "i/j", Reason::unchecked("missing", "h1", &why));
        }
        assert_eq!((notices.len(), notices[1].count), (2, 1_000));
        assert!(notices[1].message.contains("(0 is not there)"), "{notices:?}");
        assert!(notices[1].message.ends_with(OTHERS));
        for at in 0..1_000 {
            noticed(&mut notices, "i/j", Reason::unchecked("late", &format!("h{at}"), "late"));
        }
        let told: usize = notices.iter().map(|notice| notice.count).sum();
        assert_eq!((notices.len(), told), (NOTICES_MAX, 3_000));
    }
}
