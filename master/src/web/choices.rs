//! Interfaces to choose from: all of them where they are few; where they are many, only those that
//! are chosen already, and the others are found by typing (`data-search`).

use super::auth::Viewer;
use crate::engine::catalog::{Catalog, Interface};

/// Options of one select, in the page.
pub const OPTIONS_MAX: usize = 200;

/// What a select needs.
#[derive(Clone, Debug)]
pub struct Choices {
    /// Value and words.
    pub options: Vec<(String, String)>,
    /// What is asked for the others: `interface`, or nothing.
    pub search: &'static str,
}

/// Those that the viewer sees; `chosen` are ids as they stand in a form or a query.
pub fn interfaces(
    catalog: &Catalog,
    viewer: &Viewer,
    chosen: &[String],
    words: impl Fn(&Interface) -> String,
) -> Choices {
    let seen = || catalog.interfaces.values().filter(|interface| viewer.sees(interface.project));
    let many = seen().nth(OPTIONS_MAX).is_some();
    let options = seen()
        .map(|interface| (interface.id.to_string(), interface))
        .filter(|(id, _)| !many || chosen.contains(id))
        .map(|(id, interface)| (id, words(interface)))
        .collect();
    Choices { options, search: if many { "interface" } else { "" } }
}
