//! Interfaces and dispatches to choose from: all of them where they are few; where they are many, only those that
//! are chosen already, and the others are found by typing (`data-search`).

use super::auth::{Right, Viewer};
use crate::engine::catalog::{Catalog, Interface};
use shared::ids::ProjectId;

/// Options of one select, in the page.
pub const OPTIONS_MAX: usize = 200;

/// What a select needs.
#[derive(Clone, Debug)]
pub struct Choices {
    /// Value and words.
    pub options: Vec<(String, String)>,
    /// What is asked for the others: `interface`, `dispatch`, or nothing.
    pub search: &'static str,
}

/// Those in whose project the viewer has this right; `chosen` are ids as they stand in a form or a query.
pub fn interfaces(
    catalog: &Catalog,
    (viewer, right): (&Viewer, Right),
    chosen: &[String],
    words: impl Fn(&Interface) -> String,
) -> Choices {
    let seen = || catalog.interfaces.values().filter(|it| viewer.may(right, it.project));
    let many = seen().nth(OPTIONS_MAX).is_some();
    let options = seen()
        .map(|interface| (interface.id.to_string(), interface))
        .filter(|(id, _)| !many || chosen.contains(id))
        .map(|(id, interface)| (id, words(interface)))
        .collect();
    Choices { options, search: if many { "interface" } else { "" } }
}

/// Calendars, of which there are few; with the name of the project where that is not the usual one.
pub fn calendars(catalog: &Catalog, viewer: &Viewer) -> Vec<(String, String)> {
    let seen = catalog.calendars.values().filter(|calendar| viewer.sees(calendar.project));
    let words = |name: &str, of: ProjectId| match catalog.projects.get(&of) {
        Some(project) if of != ProjectId(1) => format!("{name} ({})", project.name),
        _ => name.to_owned(),
    };
    let option = seen.map(|it| (it.id.to_string(), words(&it.name, it.project)));
    option.take(OPTIONS_MAX).collect()
}

/// Those of the lists; of one interface if that is chosen.
pub fn dispatches(catalog: &Catalog, viewer: &Viewer, chosen: &str, interface: &str) -> Choices {
    let listed = || {
        catalog.dispatches.values().filter(|one| {
            let of = interface.is_empty() || one.spec.interface.to_string() == interface;
            of && viewer.lists(one.project)
        })
    };
    let many = listed().nth(OPTIONS_MAX).is_some();
    let options = listed()
        .map(|one| (one.id.to_string(), one.name.clone()))
        .filter(|(id, _)| !many || id == chosen)
        .collect();
    Choices { options, search: if many { "dispatch" } else { "" } }
}
