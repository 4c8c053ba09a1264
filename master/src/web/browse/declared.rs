//! Whether files declare the parameters that their jobs give: what hosts can say of it in the time there
//! is, before anything is saved. The form of a job, the API and `apply` ask here.
//!
//! Who asks holds no lock and no transaction. A host that cannot say refuses nothing: that is told, and
//! the start of the job compares anyhow.

use super::ask::{Line, Problem, late};
use super::notice::{Notice, Reason, noticed};
use super::ran::{Hosts, ran};
use crate::app::App;
use crate::engine::catalog::{Catalog, Host, Interface, Job};
use crate::store;
use crate::web::auth::Viewer;
use futures::StreamExt;
use shared::etl::browse::{Ask, At, Shown};
use shared::etl::declared;
use shared::ids::{HostId, Millis};
use shared::kind::{FieldError, Ran};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// A person who saves one job waits so long for its host, and so does every single question.
pub(in crate::web) const SAVE_PATIENCE: Duration = Duration::from_secs(2);
/// And who saves many jobs at once for all their hosts.
pub(in crate::web) const APPLY_PATIENCE: Duration = Duration::from_secs(8);
/// Files that are asked for at once; each only once, however many jobs run it.
const FILES_MAX: usize = 200;
/// Hosts at a time.
const HOSTS_AT_A_TIME: usize = 16;
/// Files of one host at a time: it looks at four, and others want to look as well.
const FILES_AT_A_TIME: usize = 2;

/// A job that gives parameters to a file. `at` is its place among the jobs that were asked about.
struct Question {
    at: usize,
    job: String,
    host: Option<Arc<Host>>,
    ran: Ran,
}

/// What has to be known before these jobs are saved.
#[derive(Default)]
pub(in crate::web) struct Questions(Vec<Question>);

type Key = (HostId, At);
type Said = Result<Declared, Problem>;

/// By a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Declared {
    names: BTreeSet<String>,
    /// As it was when its repository was read.
    read_ms: Option<Millis>,
}

/// What hosts have said of files.
#[derive(Default)]
pub(in crate::web) struct Answers(BTreeMap<Key, Said>);

/// What came of it.
#[derive(Default)]
pub(in crate::web) struct Checked {
    /// By the place of the job.
    pub(in crate::web) errors: Vec<(usize, FieldError)>,
    pub(in crate::web) notices: Vec<Notice>,
}

impl Questions {
    /// `catalog` as it would be; hosts are those that are there: one that is only to be saved has never
    /// been met.
    ///
    /// # Errors
    /// The database's.
    pub(in crate::web) async fn of<'a>(
        (app, viewer): (&App, &Viewer),
        catalog: &Catalog,
        hosts: &BTreeMap<HostId, Arc<Host>>,
        jobs: impl Iterator<Item = (&'a Interface, &'a Job)>,
    ) -> crate::db::Result<Questions> {
        let asks = jobs.enumerate().filter_map(|(at, (interface, job))| {
            let ran = ran(app, catalog, interface, job).filter(|ran| !ran.params.is_empty())?;
            Some((at, interface, job, ran))
        });
        let asks: Vec<_> = asks.collect();
        if asks.is_empty() {
            return Ok(Questions::default());
        }
        let statuses = store::host::statuses(&app.db).await?;
        let hosts = Hosts { all: hosts, statuses: &statuses };
        let question = |(at, interface, job, ran): (usize, &Interface, &Job, Ran)| Question {
            at,
            job: format!("{}/{}", interface.name, job.name),
            host: hosts.of(viewer, interface, job).into_iter().next(),
            ran,
        };
        Ok(Questions(asks.into_iter().map(question).collect()))
    }

    /// By host, what has not been asked yet.
    fn open(&self, answers: &Answers) -> BTreeMap<HostId, (Arc<Host>, BTreeSet<At>)> {
        let mut open: BTreeMap<HostId, (Arc<Host>, BTreeSet<At>)> = BTreeMap::new();
        for Question { host, ran, .. } in &self.0 {
            let Some(host) = host else { continue };
            if !answers.0.contains_key(&(host.id, ran.at.clone())) {
                let of_host =
                    open.entry(host.id).or_insert_with(|| (host.clone(), BTreeSet::new()));
                of_host.1.insert(ran.at.clone());
            }
        }
        open
    }

    pub(in crate::web) fn is_answered(&self, answers: &Answers) -> bool {
        self.open(answers).is_empty()
    }

    /// Others are asking for so many already that nobody is asked for these.
    pub(in crate::web) fn unasked(&self, answers: &mut Answers) {
        for (id, (host, files)) in self.open(answers) {
            let said = "others are asked for at this moment".to_owned();
            let problem = Problem::new("more", &host.name, (String::new(), said));
            answers.0.extend(files.into_iter().map(|at| ((id, at), Err(problem.clone()))));
        }
    }

    /// Pure: from what was said to what is wrong, and what nobody could say.
    pub(in crate::web) fn judged(&self, answers: &Answers) -> Checked {
        let mut checked = Checked::default();
        for question in &self.0 {
            let Some(host) = &question.host else {
                let why = "none of the exec hosts that it may run on is there yet";
                noticed(&mut checked.notices, &question.job, Reason::unchecked("no_host", "", why));
                continue;
            };
            match answers.0.get(&(host.id, question.ran.at.clone())) {
                Some(Ok(declared)) => checked.compare(question, &host.name, declared),
                // Nobody has asked this host to show anything.
                Some(Err(problem)) if problem.word == "no_folders" => {}
                Some(Err(problem)) => {
                    let why = format!("exec host {}: {}", problem.host, problem.said);
                    let reason = Reason::unchecked(problem.word, &problem.host, &why);
                    noticed(&mut checked.notices, &question.job, reason);
                }
                None => {}
            }
        }
        checked
    }
}

impl Checked {
    fn compare(&mut self, question: &Question, host: &str, declared: &Declared) {
        let wrong = declared::undeclared(&question.ran.params, &declared.names);
        let Some(read_ms) = declared.read_ms else {
            let error = |(name, words)| FieldError::new(format!("fields.params.{name}"), words);
            self.errors.extend(wrong.map(|one| (question.at, error(one))));
            return;
        };
        // What its repository has got since then nobody knows.
        let names: Vec<&str> = wrong.map(|(name, _)| name).collect();
        if !names.is_empty() {
            let reason = Reason::older(host, read_ms, &names);
            noticed(&mut self.notices, &question.job, reason);
        }
    }
}

/// Each file once, many at a time, all within this time; what was not asked then is answered as that.
pub(in crate::web) async fn ask(
    app: &App,
    questions: &Questions,
    answers: &mut Answers,
    patience: Duration,
) {
    let until = app.clock.mono_ms() + Millis::try_from(patience.as_millis()).unwrap_or(Millis::MAX);
    let mut room = FILES_MAX;
    let mut asked = Vec::new();
    for (id, (host, files)) in questions.open(answers) {
        let mut files: Vec<At> = files.into_iter().collect();
        let more = files.split_off(files.len().min(room));
        room -= files.len();
        let too_many = |_: &At| {
            let said = format!("only {FILES_MAX} files are asked for at once");
            Err(Problem::new("more", &host.name, (FILES_MAX.to_string(), said)))
        };
        answers.0.extend(more.iter().map(|at| ((id, at.clone()), too_many(at))));
        asked.push((host, files));
    }
    let asked = asked.into_iter().map(|(host, files)| of_host(app, host, files, until));
    let mut told = futures::stream::iter(asked).buffer_unordered(HOSTS_AT_A_TIME);
    while let Some(told) = told.next().await {
        answers.0.extend(told);
    }
}

async fn of_host(app: &App, host: Arc<Host>, files: Vec<At>, until: Millis) -> Vec<(Key, Said)> {
    let left = || {
        let ms = u64::try_from(until - app.clock.mono_ms()).unwrap_or(0);
        Duration::from_millis(ms).min(SAVE_PATIENCE)
    };
    let mut said: Vec<Said> = Vec::new();
    if !files.is_empty() && left().is_zero() {
        let words = "its turn did not come within the time that there is".to_owned();
        said.push(Err(Problem::new("more", &host.name, (String::new(), words))));
    } else if !files.is_empty() {
        match Line::open(app, &host, left()).await {
            Err(problem) => said.push(Err(problem)),
            Ok(line) => {
                for some in files.chunks(FILES_AT_A_TIME) {
                    let ask = |at: &At| line.ask_within(Ask::File(at.clone()), left());
                    let shown = futures::future::join_all(some.iter().map(ask)).await;
                    said.extend(shown.into_iter().map(|shown| names(&host, shown)));
                    if matches!(said.last(), Some(Err(problem)) if problem.is_away()) {
                        break;
                    }
                }
            }
        }
    }
    // Of a host that is away the rest is not asked: it is away for them too.
    let rest = said.last().cloned().unwrap_or_else(|| Err(late(&host.name, SAVE_PATIENCE)));
    said.resize(files.len(), rest);
    files.into_iter().map(|at| (host.id, at)).zip(said).collect()
}

fn names(host: &Host, shown: Result<Shown, Problem>) -> Said {
    match shown? {
        Shown::File(file) if file.drawn.more_parameters == 0 => {
            let names = file.drawn.parameters.into_iter().map(|one| one.name).collect();
            let read_ms = file.copied.map(|copied| copied.read_ms.unwrap_or_default());
            Ok(Declared { names, read_ms })
        }
        _ => {
            let said = "it does not tell all that the file declares".to_owned();
            Err(Problem::new("more", &host.name, (String::new(), said)))
        }
    }
}

/// One job, as a person saves it.
///
/// # Errors
/// The database's.
pub(in crate::web) async fn check(
    (app, viewer): (&App, &Viewer),
    catalog: &Catalog,
    interface: &Interface,
    job: &Job,
) -> crate::db::Result<Checked> {
    let jobs = std::iter::once((interface, job));
    let questions = Questions::of((app, viewer), catalog, &catalog.hosts, jobs).await?;
    let mut answers = Answers::default();
    ask(app, &questions, &mut answers, SAVE_PATIENCE).await;
    Ok(questions.judged(&answers))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(at: usize, host: Option<i64>, file: &str, params: &[&str]) -> Question {
        let spec = serde_json::from_str(r#"{"address": "one:1"}"#).unwrap();
        let host = host.map(|id| {
            let (name, agent) = (format!("h{id}"), String::new());
            Arc::new(Host {
                id: HostId(id),
                project: shared::ids::ProjectId(0),
                name,
                agent,
                version: 1,
                spec: Clone::clone(&spec),
            })
        });
        let params = params.iter().map(|name| (*name).to_owned()).collect();
        let ran = Ran { at: At::Path(file.into()), params };
        Question { at, job: format!("i/j{at}"), host, ran }
    }

    #[test]
    fn a_file_is_asked_for_once_and_judged_for_each_job() {
        let questions = Questions(vec![
            question(0, Some(1), "/a", &["X"]),
            question(1, Some(1), "/a", &["X", "Y"]),
            question(2, Some(2), "/a", &["Y"]),
            question(3, None, "/a", &["Z"]),
        ]);
        let mut answers = Answers::default();
        let open = questions.open(&answers);
        let asked: Vec<_> = open.values().map(|(_, files)| files.len()).collect();
        assert_eq!(asked, [1, 1]);
        let key = |id| (HostId(id), At::Path("/a".into()));
        let names = BTreeSet::from(["X".to_owned()]);
        answers.0.insert(key(1), Ok(Declared { names, read_ms: None }));
        assert!(!questions.is_answered(&answers));
        let missing = Problem::new("missing", "h2", ("/a".into(), "/a is not there".into()));
        answers.0.insert(key(2), Err(missing));
        assert!(questions.is_answered(&answers));
        let Checked { errors, notices } = questions.judged(&answers);
        assert_eq!(errors.len(), 1);
        assert_eq!((errors[0].0, errors[0].1.path.as_str()), (1, "fields.params.Y"));
        assert_eq!(notices.len(), 2);
        assert!(notices[0].message.contains("exec host h2: /a is not there"), "{notices:?}");
        assert_eq!((notices[1].word, &notices[1].jobs[..]), ("no_host", &["i/j3".to_owned()][..]));
    }
}
