//! Exit codes of who looks on, beside those of Kettle and Hop ([`crate::etl::outcome`]).

use crate::etl::outcome;

/// What it does there is not known: the server has not answered for too long, or who looked on could not.
pub const UNSEEN: i32 = 206;
/// The server does not know any more what was submitted to it: it may have run.
pub const GONE: i32 = 207;

/// Who looked on says by it how the work has ended there. With any other code it has failed itself.
pub fn is_seen(code: i32) -> bool {
    matches!(
        code,
        0 | 1 | 143 | outcome::WITH_ERRORS | outcome::UNDECLARED | outcome::NOT_READY | GONE
    )
}

/// In words for people; also keys of the catalogue of languages.
pub fn means(code: i32) -> Option<&'static str> {
    match code {
        1 => Some("errors in what has run on the server"),
        outcome::UNDECLARED => Some("a parameter is given that it does not declare"),
        outcome::NOT_READY => Some("the server has not accepted it: nothing has run"),
        outcome::WITH_ERRORS => Some("it ended well, but its log tells of errors"),
        UNSEEN => Some("how it goes on the server is not known: it is looked for again"),
        GONE => Some("the server does not know it any more: it may have run"),
        143 => Some("it was told to end by SIGTERM"),
        _ => None,
    }
}
