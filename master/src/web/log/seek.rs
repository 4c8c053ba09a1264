//! Where to begin when somebody names a time or a line instead of a place.

use super::lines::Place;
use super::{Asked, wrong};
use crate::app::App;
use crate::logs::Seek;
use crate::web::error::{Error, Result};
use shared::ids::AttemptId;
use shared::wire::Stream;

/// None: neither is asked for, or there is no such time or line (yet).
pub(super) async fn place(
    app: &App,
    attempt: AttemptId,
    streams: &[Stream],
    asked: &Asked,
) -> Result<Option<Place>, Error> {
    let wanted = match (asked.at, asked.line) {
        (None, None) => return Ok(None),
        (Some(at), _) => Seek::Time(at),
        (None, Some(line)) if streams.len() == 1 => Seek::Line(line.saturating_sub(1)),
        (None, Some(_)) => return Err(wrong("stream", "a line is one of out or of err")),
    };
    let mut place = Place::default();
    let mut any = false;
    for stream in streams {
        match app.logs.seek(attempt, *stream, wanted).await? {
            Some(at) => {
                place.set(*stream, at);
                any = true;
            }
            // Nothing of it is so late: it begins at its end.
            None => place.set(*stream, app.logs.read(attempt, *stream, u64::MAX, 1).await?.len),
        }
    }
    Ok(any.then_some(place))
}
