//! Whether what a server is to run declares the parameters that it is given: looked for before it is
//! submitted, where this host sees the file too. (What is not declared is ignored by Kettle and Hop.)

use crate::etl::ready::read;
use shared::etl::{declared, plain_path};
use shared::external::{External, Source};
use std::path::Path;

/// What people should know, if anything.
///
/// # Errors
/// The first that is not declared, in words for people.
pub(super) fn check(external: &External) -> Result<Option<String>, String> {
    if external.params.is_empty() {
        return Ok(None);
    }
    let unseen = |what: &str| {
        let title = external.server.title();
        format!("{what} is seen by {title} alone, not from here: its parameters are not checked")
    };
    let file = match &external.source {
        Source::Repository { .. } => return Ok(Some(unseen("what is in the repository"))),
        Source::File(file) => file,
    };
    let path = plain_path(file);
    if !path.starts_with('/') || path.contains("${") {
        return Ok(Some(unseen(file)));
    }
    // The file of the server need not be on this host.
    let Ok(text) = read(Path::new(path.as_ref())) else { return Ok(Some(unseen(file))) };
    match declared::in_file(&text) {
        Ok(names) => {
            let given: Vec<String> = external.params.keys().cloned().collect();
            declared::check(&given, &names, file).map(|()| None)
        }
        Err(why) => Ok(Some(format!("{file}: {why}; its parameters are not checked"))),
    }
}
