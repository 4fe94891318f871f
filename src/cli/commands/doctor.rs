//! `venvtree doctor`: what this program is, what it finds here, and what is wrong.

use std::borrow::Cow;

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::cli::answer::{Answer, DIFFERENCES, Printer};
use crate::cli::io::Io;
use crate::cli::options::caches::{self, CacheArguments, RemoteArguments};
use crate::cli::options::{unreadable, variables};
use crate::cli::quantity;
use crate::cli::verb::{Request, Verb};
use crate::engine::interpreters::{Listed, Search, Surroundings};
use crate::engine::machine;
use crate::engine::store::{self as local_store, LinkMode, Notes};
use crate::error::{self, Error};
use crate::model::digest::{Digest, DigestFunction, Hash};

/// The least number of open files that builds with all threads are at ease with.
const ENOUGH_FILES: u64 = 512;

/// Arguments of `venvtree doctor`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  venvtree doctor
  venvtree doctor --format json
  venvtree doctor --out envs/app

If something is listed under `problem`, the exit code is 1. Interpreters that are found are asked what they are; the \
remote cache, if one is given, is asked whether it has a blob. Variables that are set are listed by name; their \
values are not shown.")]
pub struct DoctorArguments {
    /// The place where environments are to be made [default: the working directory].
    #[arg(long, value_name = "DIR")]
    out: Option<Utf8PathBuf>,
    #[command(flatten)]
    caches: CacheArguments,
}

/// What was found: lines for people, values for machines, problems for both.
#[derive(Debug, Default)]
struct Findings {
    lines: Vec<(&'static str, Vec<String>)>,
    values: Map<String, Value>,
    problems: Vec<Problem>,
}

impl Findings {
    fn add(&mut self, name: &'static str, line: impl Into<String>, value: Value) {
        self.add_list(name, vec![line.into()], value);
    }

    /// Adds several lines. Those of one text are never split: a name may hold a line feed.
    fn add_list(&mut self, name: &'static str, lines: Vec<String>, value: Value) {
        self.lines.push((name, lines));
        self.values.insert(name.replace(' ', "_"), value);
    }

    fn problem(&mut self, message: impl Into<String>, hint: &str) {
        self.problems.push(Problem { message: message.into(), hint: Some(hint.to_owned()) });
    }

    fn notes(&mut self, notes: &Notes, hint: &str) {
        for note in notes.take() {
            self.problem(note, hint);
        }
    }

    fn error(&mut self, error: &Error) {
        let hint = error.explained().hint().map(Cow::into_owned);
        let message = error::chain(error);
        // Several look at one thing.
        if self.problems.iter().all(|problem| problem.message != message) {
            self.problems.push(Problem { message, hint });
        }
    }
}

/// The options of which the doctor says what they lead to.
pub(crate) struct Doctor {
    /// The place where environments are to be made.
    place: Utf8PathBuf,
    caches: CacheArguments,
}

impl Verb for DoctorArguments {
    fn request(self, io: &mut Io<'_>) -> Result<Doctor, Error> {
        let out = self.out.as_ref().map_or_else(|| io.cwd.clone(), |path| io.resolve(path));
        Ok(Doctor { place: machine::nearest(&out), caches: self.caches })
    }
}

impl Request for Doctor {
    fn run(self, io: &mut Io<'_>) -> Result<DoctorAnswer, Error> {
        let mut found = Findings::default();
        let place = &self.place;
        program(&mut found, io);
        // Options that make no sense are among what is wrong.
        match caches::local(&self.caches.store, &self.caches.links, io) {
            Ok(caches) => {
                let root = caches.store.as_ref().map(|store| store.root.as_path());
                store(&mut found, root, place);
                link_mode(&mut found, root, caches.link_mode, place);
                found.notes(&caches.notes, "until then, builds do without it");
            }
            Err(error) => found.error(&error),
        }
        limits(&mut found);
        interpreters(&mut found, io);
        remote(&mut found, &self.caches.remote, io);
        let names = variables::VARIABLES.iter().map(|variable| variable.name);
        let set: Vec<&str> = names.filter(|name| io.variable(name).is_some()).collect();
        let line = if set.is_empty() { "none set".to_owned() } else { set.join(", ") };
        found.add("variables", line, json!(set));
        variables_read(&mut found, io);
        Ok(DoctorAnswer::new(found))
    }
}

/// What was found, in the order in which it was looked for.
#[derive(Debug, Serialize)]
pub(crate) struct DoctorAnswer {
    #[serde(flatten)]
    values: Map<String, Value>,
    healthy: bool,
    problems: Vec<Problem>,
    #[serde(skip)]
    lines: Vec<(&'static str, Vec<String>)>,
}

/// What is wrong.
#[derive(Debug, Serialize)]
struct Problem {
    message: String,
    hint: Option<String>,
}

impl DoctorAnswer {
    fn new(found: Findings) -> Self {
        let Findings { lines, values, problems } = found;
        Self { values, healthy: problems.is_empty(), problems, lines }
    }
}

impl Answer for DoctorAnswer {
    fn text(&self, printer: &mut Printer<'_, '_>) -> Result<(), Error> {
        for (name, lines) in &self.lines {
            let mut lines = lines.iter();
            let first = lines.next().map_or("none", String::as_str);
            printer.print_unless_quiet(&format!("{name}: {first}"))?;
            for line in lines {
                printer.print_unless_quiet(&format!("    {line}"))?;
            }
        }
        for Problem { message, hint } in &self.problems {
            printer.print(&format!("problem: {message}"))?;
            if let Some(hint) = hint {
                printer.print(&format!("    hint: {hint}"))?;
            }
        }
        Ok(())
    }

    fn summary(&self) -> Vec<String> {
        vec![if self.healthy {
            "no problems found".to_owned()
        } else {
            format!("{} found", quantity::count(self.problems.len(), "problem"))
        }]
    }

    fn exit_code(&self) -> u8 {
        if self.healthy { 0 } else { DIFFERENCES }
    }
}

fn program(found: &mut Findings, io: &Io<'_>) {
    let version = env!("CARGO_PKG_VERSION");
    found.add(
        "program",
        format!("venvtree {version} for {}", machine::target()),
        json!({"version": version, "target": machine::target()}),
    );
    let features: Vec<&str> = if cfg!(feature = "remote") { vec!["remote"] } else { Vec::new() };
    found.add(
        "features",
        if features.is_empty() { "none".to_owned() } else { features.join(", ") },
        json!(features),
    );
    let Some(path) = &io.executable else { return };
    match machine::sha256_of(path) {
        Ok(hash) => {
            let lines = vec![path.to_string(), format!("SHA-256 {hash}")];
            found.add_list("executable", lines, json!({"path": path, "sha256": hash.to_string()}));
        }
        Err(error) => found.problem(
            error::chain(&error),
            "this program cannot read itself; its file may have been replaced",
        ),
    }
}

fn store(found: &mut Findings, root: Option<&Utf8Path>, place: &Utf8Path) {
    if let Some(trouble) = machine::trouble_with(place) {
        found.problem(
            format!("`{place}`, where environments would be made: {trouble}"),
            "choose another place with --out",
        );
    }
    let Some(root) = root else {
        found.add("store", "none: every build reads its wheels anew", Value::Null);
        return;
    };
    if let Some(trouble) = machine::trouble_with(&machine::nearest(root)) {
        found.problem(
            format!("the store `{root}`: {trouble}"),
            "make it writable, or name another store with --store",
        );
    }
    let mut all = local_store::Usage::default();
    for function in DigestFunction::ALL.into_iter().filter(|_| root.is_dir()) {
        match local_store::total(root, function) {
            Ok(total) => all += total,
            Err(error) => found.error(&error),
        }
    }
    let size = if root.is_dir() { quantity::size(all.disk) } else { "not there yet".to_owned() };
    found.add(
        "store",
        format!("{root} ({size})"),
        json!({"path": root, "entries": all.entries, "bytes": all.bytes, "disk": all.disk}),
    );
}

fn link_mode(found: &mut Findings, store: Option<&Utf8Path>, wanted: LinkMode, place: &Utf8Path) {
    let Some(store) = store.map(machine::nearest) else {
        found.add("link mode", "none: without a store there is nothing to link to", Value::Null);
        return;
    };
    let sharing = match machine::sharing(&store, place) {
        Ok(sharing) => sharing,
        Err((directory, error)) => {
            found.problem(
                format!("no file can be made in `{directory}`: {error}"),
                "make it writable, or choose another place",
            );
            return;
        }
    };
    let hardlinks = matches!(wanted, LinkMode::Auto | LinkMode::Hardlink);
    let reflinks = hardlinks || wanted == LinkMode::Reflink;
    let (mode, reason) = match (&sharing.hardlinks, &sharing.reflinks) {
        (Ok(()), _) if hardlinks => {
            ("hardlink", "the store and the output are on one file system".to_owned())
        }
        (Err(error), Ok(())) if hardlinks => {
            ("reflink", format!("no hardlinks lead from the store to the output ({error})"))
        }
        (_, Ok(())) if reflinks => ("reflink", "the file system can share blocks".to_owned()),
        (Err(first), Err(second)) if hardlinks => {
            ("copy", format!("no hardlinks ({first}) and no reflinks ({second})"))
        }
        (_, Err(error)) if reflinks => {
            ("copy", format!("the file system has no reflinks ({error})"))
        }
        _ => ("copy", "that is what was asked for".to_owned()),
    };
    if wanted != LinkMode::Auto && wanted.name() != mode {
        let message = format!(
            "{} are asked for, but files would come out of the store by {mode}: {reason}",
            wanted.name()
        );
        found.problem(
            message,
            "put the store on the file system of the environments, or leave --link-mode out",
        );
    }
    let value = json!({"asked": wanted.name(), "used": mode, "reason": reason, "place": place});
    found.add(
        "link mode",
        format!("{mode} (asked: {}) for {place}: {reason}", wanted.name()),
        value,
    );
}

/// What is wrong with variables, whether or not a command would read them.
fn variables_read(found: &mut Findings, io: &Io<'_>) {
    unreadable::all(io).iter().for_each(|error| found.error(error));
    for (name, meant) in variables::mistyped(io) {
        let message = format!("nothing reads the variable {name}; did you mean `{meant}`?");
        found.problem(message, "unset it; `venvtree help` lists the variables");
    }
}

fn limits(found: &mut Findings) {
    let (now, most) = machine::open_files();
    let text = |limit: Option<u64>| {
        limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string())
    };
    found.add(
        "open files",
        format!("{}, at most {}", text(now), text(most)),
        json!({"soft": now, "hard": most}),
    );
    if now.is_some_and(|now| now < ENOUGH_FILES) {
        found.problem(
            format!("only {} files may be open at once", text(now)),
            "raise the limit: `ulimit -n 4096`",
        );
    }
}

fn interpreters(found: &mut Findings, io: &Io<'_>) {
    let search = Search {
        surroundings: Surroundings::new(&io.cwd, |name| io.variable(name)),
        memory: caches::interpreters(io),
        notes: Notes::new(),
    };
    let listed = search.list();
    found.notes(&search.notes, "until then, `create` asks every interpreter anew");
    let usable = listed.iter().any(|listed| listed.outcome.is_ok());
    let name = |listed: &Listed| match &listed.outcome {
        Ok(probe) => format!(
            "{} {}",
            probe.interpreter.implementation.platform_name(),
            probe.interpreter.version
        ),
        Err(reason) => format!("cannot be used ({reason})"),
    };
    let lines: Vec<String> =
        listed.iter().map(|listed| format!("{} at {}", name(listed), listed.path)).collect();
    let value = |listed: &Listed| json!({"path": listed.path, "name": name(listed), "usable": listed.outcome.is_ok()});
    let value: Vec<Value> = listed.iter().map(value).collect();
    if !usable {
        found.problem(
            "no interpreter was found",
            "`create` needs one; install Python 3.8 or newer, or put it into PATH",
        );
    }
    found.add_list("interpreters", lines, json!(value));
}

fn remote(found: &mut Findings, arguments: &RemoteArguments, io: &Io<'_>) {
    let notes = Notes::new();
    let function = DigestFunction::default();
    let remote = match caches::remote(arguments, function, &notes, io) {
        Ok(Some(remote)) => remote,
        Ok(None) => {
            found.add("remote cache", "none", Value::Null);
            return;
        }
        Err(error) => {
            found.error(&error);
            return;
        }
    };
    // A blob that is likely nowhere: the answer "missing" shows that the cache is there and speaks
    // to us.
    let content: &[u8] = b"venvtree doctor\n";
    let digest = Digest { hash: Hash::sha256(content), size: content.len() as u64 };
    let asked = remote.missing(&[digest]);
    let mut trouble = notes.take();
    if let Err(error) = &asked {
        trouble.push(error::chain(error));
    }
    let reachable = trouble.is_empty();
    let state = if reachable { "reachable" } else { "not reachable" };
    found.add(
        "remote cache",
        format!("{} ({state})", remote.place()),
        json!({"place": remote.place(), "reachable": reachable}),
    );
    for message in trouble {
        found.problem(
            message,
            "builds go on without the cache; look at --remote-cache, and at the network",
        );
    }
}
