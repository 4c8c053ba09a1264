//! Where files of Kettle and Hop are found: repositories made of files, and projects.

use super::xml::Element;
use serde::{Deserialize, Serialize};

/// Of `repositories.xml`: its connections have some hundred elements each.
const ELEMENTS_MAX: usize = 50_000;
pub const LISTED_MAX: usize = 100;
const NAME_MAX: usize = 200;

/// What keeps jobs and transformations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Store {
    /// A repository of Kettle that is a folder.
    Files,
    /// One in a database: a host may have a copy of it.
    Database,
    /// Pentaho's, or one of a plugin: likewise.
    Elsewhere,
    /// A project of Hop, which is a folder too.
    Project,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub store: Store,
    pub name: String,
    /// Its folder; none of a database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
}

impl Kept {
    fn new(store: Store, name: &str, folder: &str) -> Kept {
        let short = &name[..name.floor_char_boundary(NAME_MAX)];
        let folder = super::drawn::normal(&super::plain_path(folder));
        Kept { store, name: short.to_owned(), folder }
    }
}

/// Of a `repositories.xml`.
///
/// # Errors
/// It is none.
pub fn repositories(text: &str) -> Result<Vec<Kept>, String> {
    let root = Element::read(text, ELEMENTS_MAX)?;
    if root.name != "repositories" {
        return Err(format!("it begins with <{}>", super::xml::shown(root.name)));
    }
    let one = |element: &Element| {
        let name = element.of("name");
        match element.of("id") {
            "KettleFileRepository" => Kept::new(Store::Files, name, element.of("base_directory")),
            // Old files do not say what it is: there was but one kind.
            "KettleDatabaseRepository" | "" => Kept::new(Store::Database, name, ""),
            _ => Kept::new(Store::Elsewhere, name, ""),
        }
    };
    Ok(root.all("repository").take(LISTED_MAX).map(one).collect())
}

#[derive(Deserialize)]
struct HopConfig {
    #[serde(rename = "projectsConfig")]
    projects: HopProjects,
}

#[derive(Deserialize)]
struct HopProjects {
    #[serde(rename = "projectConfigurations", default)]
    all: Vec<HopProject>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HopProject {
    project_name: String,
    project_home: String,
}

/// Of a `hop-config.json`.
///
/// # Errors
/// It is none.
pub fn projects(text: &str) -> Result<Vec<Kept>, String> {
    let config: HopConfig = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let all = config.projects.all.into_iter().take(LISTED_MAX);
    Ok(all.map(|one| Kept::new(Store::Project, &one.project_name, &one.project_home)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_read_without_their_connections() {
        let text = "<?xml version=\"1.0\"?><repositories><connection><name>db</name><password>Encrypted 2be</password>\
            </connection><repository><id>KettleFileRepository</id><name>files</name><base_directory>/srv/etl/</base_directory>\
            </repository><repository><id>KettleFileRepository</id><name>by url</name><base_directory>file:///srv/b</base_directory>\
            </repository><repository><id>KettleFileRepository</id><name>odd</name><base_directory>C:\\etl</base_directory>\
            </repository><repository><id>KettleDatabaseRepository</id><name>main</name><connection>db</connection></repository>\
            <repository><name>old</name></repository><repository><id>PentahoEnterpriseRepository</id><name>pur</name></repository>\
            </repositories>";
        let found = repositories(text).unwrap();
        let told: Vec<_> = found
            .iter()
            .map(|one| (one.store, one.name.as_str(), one.folder.as_deref().unwrap_or("-")))
            .collect();
        assert_eq!(
            told,
            [
                (Store::Files, "files", "/srv/etl"),
                (Store::Files, "by url", "/srv/b"),
                (Store::Files, "odd", "-"),
                (Store::Database, "main", "-"),
                (Store::Database, "old", "-"),
                (Store::Elsewhere, "pur", "-"),
            ]
        );
        assert!(repositories("<job/>").unwrap_err().contains("<job>"));
        assert!(repositories("nothing").is_err());
    }

    #[test]
    fn projects_of_hop() {
        let text = r#"{"projectsConfig": {"enabled": true, "projectConfigurations": [
            {"projectName": "sales", "projectHome": "/srv/sales", "configFilename": "project-config.json"},
            {"projectName": "samples", "projectHome": "config/projects/samples"}]}, "other": 1}"#;
        let found = projects(text).unwrap();
        assert_eq!(found[0], Kept::new(Store::Project, "sales", "/srv/sales"));
        assert_eq!(found[1].folder, None);
        assert!(projects("{}").is_err());
    }
}
