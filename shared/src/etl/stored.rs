//! Repositories of Kettle that are in a database, as a host has read them: what it knows of its copy of one
//! ([`Copied`]), and where in it something is ([`Stored`]).

use super::drawn::{Form, normal};
use crate::ids::Millis;
use crate::kind::check::is_environment;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Copies that a host may have.
pub const COPIES_MAX: usize = 16;
/// Bytes of the name of a repository.
pub const NAME_MAX: usize = 200;
/// Things left out of a copy that are named, and bytes of each.
pub const NAMED_MAX: usize = 5;
pub const NAMED_BYTES_MAX: usize = 300;

const SCHEME: &str = "repository://";

/// A place in such a repository, which people see as `repository://ENVIRONMENT/NAME/finance/load.kjb`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stored {
    pub environment: String,
    pub name: String,
    /// From its first folder on: `/finance/load.kjb`, without `.` and `..`.
    pub path: String,
}

impl Stored {
    /// None: it is no such path, or leaves its repository.
    pub fn parse(text: &str) -> Option<Stored> {
        let (environment, rest) = text.strip_prefix(SCHEME)?.split_once('/')?;
        let (name, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let name = percent_decode_str(name).decode_utf8().ok()?.into_owned();
        let path = normal(if path.is_empty() { "/" } else { path })?;
        let fits = is_environment(environment) && !name.is_empty() && name.len() <= NAME_MAX;
        fits.then(|| Stored { environment: environment.to_owned(), name, path })
    }

    /// Where what it has begins, without a `/` at the end.
    pub fn root(environment: &str, name: &str) -> String {
        // Only what would be taken for a step of the path: people read this.
        format!("{SCHEME}{environment}/{}", name.replace('%', "%25").replace('/', "%2F"))
    }

    /// The folder that it is in; none: it is the first one.
    pub fn above(&self) -> Option<Stored> {
        let (folder, name) = self.path.rsplit_once('/')?;
        let path = if folder.is_empty() { "/" } else { folder };
        (!name.is_empty()).then(|| Stored { path: path.to_owned(), ..self.clone() })
    }

    /// Of a job or transformation: its directory, its name, which of the two it is.
    pub fn object(&self) -> Option<(&str, &str, Form)> {
        let (directory, file) = self.path.rsplit_once('/')?;
        let form = Form::of_file(file)?;
        let (object, _) = file.rsplit_once('.')?;
        Some((if directory.is_empty() { "/" } else { directory }, object, form))
    }
}

impl fmt::Display for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let below = if self.path == "/" { "" } else { &self.path };
        write!(f, "{}{below}", Stored::root(&self.environment, &self.name))
    }
}

/// What a host has of one such repository.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Copied {
    /// With which Kettle reads it.
    pub environment: String,
    pub name: String,
    /// As whom; empty: Kettle is told of nobody.
    pub user: String,
    /// The copy is as it was then; none: there is no copy yet.
    pub read_ms: Option<Millis>,
    /// It is being read since then.
    pub since_ms: Option<Millis>,
    /// What came of the last try, if that was not a copy.
    pub failed: Option<Failed>,
    /// Jobs and transformations.
    pub objects: u32,
    /// What was in the export and is not in the copy.
    pub left_out: u32,
    /// The first of these, each with why.
    pub named: Vec<String>,
    /// Kettle's own first error although it has ended well.
    pub error: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    pub at_ms: Millis,
    pub words: String,
}

impl Copied {
    pub fn root(&self) -> String {
        Stored::root(&self.environment, &self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_in_a_repository_stays_in_it() {
        for (text, expect) in [
            ("repository://pdi-8/main", "pdi-8 main /"),
            ("repository://pdi-8/main/", "pdi-8 main /"),
            ("repository://pdi-8/a%2Fb 50%25/x//y/./z.ktr", "pdi-8 a/b 50% /x/y/z.ktr"),
            ("repository://pdi-8/main/x/../y.kjb", "pdi-8 main /y.kjb"),
            ("repository://pdi-8/main/../other", "-"),
            ("repository://pdi-8/..", "pdi-8 .. /"),
            ("repository://pdi-8/", "-"),
            ("repository://pdi-8", "-"),
            ("repository:///main", "-"),
            ("repository://a b/main", "-"),
            ("repository://pdi-8/%ff", "-"),
            ("/etl/main", "-"),
        ] {
            let told = match Stored::parse(text) {
                Some(it) => format!("{} {} {}", it.environment, it.name, it.path),
                None => "-".into(),
            };
            assert_eq!(told, expect, "{text}");
        }
    }

    #[test]
    fn it_is_written_as_it_is_read() {
        for text in
            ["repository://e/main", "repository://e/a%2Fb%25/x/y.ktr", "repository://e/日 志/x"]
        {
            assert_eq!(Stored::parse(text).unwrap().to_string(), text);
        }
        let file = Stored::parse("repository://e/main/x.y/load.v2.kjb").unwrap();
        assert_eq!(file.object(), Some(("/x.y", "load.v2", Form::Job)));
        let above = file.above().unwrap();
        assert_eq!((above.path.as_str(), above.object()), ("/x.y", None));
        assert_eq!(above.above().unwrap().path, "/");
        assert_eq!(above.above().unwrap().above(), None);
        let top = Stored::parse("repository://e/main/x.ktr").unwrap();
        assert_eq!(top.object(), Some(("/", "x", Form::Transformation)));
    }
}
