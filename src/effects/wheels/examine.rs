//! What is worth knowing of a wheel although it can be installed: names, start-up code, scripts,
//! requirements.
//!
//! Effects layer. `wheel check` reports it, and a build that denies one of these codes looks for
//! it.

use crate::effects::wheels::reading::Reading;
use crate::model::explain::chain;
use crate::model::finding::{Code, Findings};
use crate::model::script::{foreign_interpreter, rewrite_script};
use crate::model::wheel::draft::Draft;
use crate::model::wheel::index::Entry;
use crate::model::wheel::manifest::data_folder;
use crate::model::wheel::portability::examine_portability;
use crate::model::wheel::startup;

/// The most bytes of a `.pth` file that are examined.
pub(in crate::effects) const PATH_FILE_LIMIT: u64 = 1 << 20;

/// The bytes at the beginning of a script that may name its interpreter.
const INTERPRETER_LIMIT: usize = 2048;

/// Examines the names of an archive's entries, which are sorted.
pub(in crate::effects) fn examine_paths(names: &[Box<str>], findings: &mut Findings) {
    examine_portability(names.iter().map(|name| name.strip_suffix('/').unwrap_or(name)), findings);
}

/// Examines what does more than lie there.
pub(super) fn examine_members(draft: &Draft, reading: &mut Reading<'_>) {
    let data = data_folder(draft.dist_info());
    let is_path_file =
        |name: &str| startup::site_path(name, &data).is_some_and(startup::is_path_file);
    let mut added = startup::Added::default();
    for entry in draft.entries().iter().filter(|entry| is_path_file(&entry.name)) {
        let Entry { name, location, .. } = entry;
        if location.size > PATH_FILE_LIMIT {
            startup::report_large(PATH_FILE_LIMIT, name, &mut reading.findings);
        }
        let limit = usize::try_from(location.size.min(PATH_FILE_LIMIT)).unwrap_or(0);
        // Damage was reported before.
        if let Ok(bytes) = reading.beginning(entry, limit) {
            startup::examine_path_file(&bytes, name, &mut reading.findings);
            added.take(&bytes, name, &mut reading.findings);
        }
    }
    let names = || draft.entries().iter().map(|entry| &*entry.name);
    let sites = names().filter_map(|name| Some((startup::site_path(name, &data)?, name)));
    startup::examine_names(sites, &added, &mut reading.findings);
    startup::examine_targets(names(), &data, &mut reading.findings);
    examine_scripts(draft, &mut reading.findings);
    examine_interpreters(draft, reading);
}

fn examine_scripts(draft: &Draft, findings: &mut Findings) {
    for (index, bytes) in draft.contents() {
        if let Err(error) = rewrite_script(bytes) {
            findings.add_member(Code::ScriptForm, &draft.entries()[*index].name, chain(&error));
        }
    }
    let names = draft
        .scripts()
        .into_iter()
        .filter_map(|index| draft.entries()[index].name.rsplit('/').next());
    let mut folded = std::collections::BTreeMap::new();
    for name in names.chain(draft.entry_points().iter().map(|script| &*script.name)) {
        let other = *folded.entry(crate::model::portable::fold(name)).or_insert(name);
        if other != name {
            findings.add(Code::ScriptCaseCollision, format!("the scripts `{other}` and `{name}`"));
        }
    }
}

/// Reports scripts that name an interpreter by its place on the machine that built the wheel.
fn examine_interpreters(draft: &Draft, reading: &mut Reading<'_>) {
    for index in draft.installed_scripts() {
        let entry = &draft.entries()[index];
        if let Ok(start) = reading.beginning(entry, INTERPRETER_LIMIT)
            && let Some(interpreter) = foreign_interpreter(&start)
        {
            let message = format!("it is run by `{interpreter}`");
            reading.findings.add_member(Code::ScriptInterpreter, &entry.name, message);
        }
    }
}
