//! Exit codes of who looks on, beside those of Kettle and Hop ([`crate::etl::outcome`]).

use crate::etl::outcome;

/// The server has not answered for too long: what it does is not known.
pub const UNSEEN: i32 = 206;
/// The server does not know any more what was submitted to it: it may have run.
pub const GONE: i32 = 207;

/// In words for people; also keys of the catalogue of languages.
pub fn means(code: i32) -> Option<&'static str> {
    match code {
        1 => Some("errors in what has run on the server"),
        outcome::NOT_READY => Some("the server has not accepted it: nothing has run"),
        outcome::WITH_ERRORS => Some("it ended well, but its log tells of errors"),
        UNSEEN => Some("the server did not answer for too long: it is looked for again"),
        GONE => Some("the server does not know it any more: it may have run"),
        143 => Some("it was told to end by SIGTERM"),
        _ => None,
    }
}
