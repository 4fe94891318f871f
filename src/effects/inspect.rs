//! Everything that can be said about a wheel, or about what runs when an environment's interpreter starts.
//!
//! Effects layer. Unlike loading, this reads every byte, does not stop at what planning needs, and refuses nothing: all is findings.

use camino::Utf8Path;

use super::archive;
use super::inflate::{Inflater, MemberError, ZipFile, with_inflater};
use super::input::{InputError, InputFile};
use super::wheels::{LoadOptions, draft, sound};
use crate::model::finding::{Code, Finding, Findings};
use crate::model::requirements::Requirement;
use crate::model::script::rewrite_script;
use crate::model::wheel::filename::WheelFilename;
use crate::model::wheel::index::{Entry, EntryKind, Location};
use crate::model::wheel::manifest::{Draft, MemberHasher, data_folder};
use crate::model::wheel::portability::examine_portability;
use crate::model::wheel::startup;

/// The most bytes of a `.pth` file that are examined.
const PATH_FILE_LIMIT: u64 = 1 << 20;

/// Inspects the wheel at `path`, published under the name `filename`; errors first, then by code and member.
///
/// # Errors
/// The file cannot be read.
pub fn inspect_wheel(path: &Utf8Path, filename: &str, options: &LoadOptions) -> Result<Vec<Finding>, InputError> {
    with_inflater(|inflater| {
        inflater.take_notes();
        inspect(path, filename, options, inflater)
    })
}

fn inspect(path: &Utf8Path, filename: &str, options: &LoadOptions, inflater: &mut Inflater) -> Result<Vec<Finding>, InputError> {
    let mut findings = options.findings();
    let parsed = WheelFilename::parse(filename);
    if let Err(error) = &parsed {
        findings.add(Code::MetadataFilename, error_text(error));
    }
    let (file, entries) = archive::open(path, &options.limits, &mut findings)?;
    let names: Vec<(Box<str>, bool)> = entries.iter().map(|entry| (entry.name.clone(), entry.kind == EntryKind::Directory)).collect();
    // What no draft takes over has to be read as well.
    let unsound: Vec<Entry> = entries.iter().filter(|entry| !entry.sound && entry.kind != EntryKind::Directory).cloned().collect();
    for entry in &unsound {
        let _ = sound(inflater.stream::<MemberError>(&file, &entry.name, &entry.location, &mut |_| Ok(())), &mut findings)?;
    }
    let guessed = parsed.ok().or_else(|| guess(&names));
    match guessed {
        Some(name) => inspect_members(&file, entries, &name, options, inflater, &mut findings)?,
        None if entries.is_empty() => {}
        None => {
            findings.add(Code::MetadataDistInfoMissing, "there is no .dist-info folder");
            archive::check_directories(&file, &entries, inflater, &mut findings)?;
            for entry in entries.iter().filter(|entry| entry.sound && entry.kind != EntryKind::Directory) {
                let _ = sound(inflater.stream::<MemberError>(&file, &entry.name, &entry.location, &mut |_| Ok(())), &mut findings)?;
            }
        }
    }
    findings.extend(inflater.take_notes());
    examine_portability(names.iter().map(|(name, _)| name.strip_suffix('/').unwrap_or(name)), &mut findings);
    if file.input.check_unchanged().is_err() {
        findings.add(Code::ZipChanged, "the file was written to while it was read");
    }
    Ok(findings.finish())
}

/// The name that a wheel with a bad one could have had, by its `.dist-info` folder.
fn guess(names: &[(Box<str>, bool)]) -> Option<WheelFilename> {
    let folder = names.iter().find_map(|(name, _)| name.split_once('/')?.0.strip_suffix(".dist-info"))?;
    WheelFilename::parse(&format!("{folder}-py3-none-any.whl")).ok()
}

fn inspect_members(
    file: &ZipFile,
    entries: Vec<Entry>,
    filename: &WheelFilename,
    options: &LoadOptions,
    inflater: &mut Inflater,
    findings: &mut Findings,
) -> Result<(), InputError> {
    let mut draft = draft(file, entries, filename, options, inflater, findings)?;
    let data = data_folder(draft.dist_info());
    let is_path_file = |name: &str| startup::site_path(name, &data).is_some_and(startup::is_path_file);
    for index in draft.claimed() {
        let Entry { name, location, .. } = &draft.entries()[index];
        let mut hasher = MemberHasher::new(draft.other_algorithm(index));
        let mut sink = |bytes: &[u8]| {
            hasher.update(bytes);
            Ok::<(), MemberError>(())
        };
        if sound(inflater.stream(file, name, location, &mut sink), findings)?.is_some() {
            draft.verify(index, &hasher.finish(), findings);
        }
    }
    for Entry { name, location, .. } in draft.entries().iter().filter(|entry| is_path_file(&entry.name)) {
        if let Some(bytes) = beginning(file, name, location, inflater) {
            startup::examine_path_file(&bytes, name, findings);
        }
    }
    let sites = draft.entries().iter().filter_map(|entry| Some((startup::site_path(&entry.name, &data)?, &*entry.name)));
    startup::examine_names(sites, findings);
    examine_scripts(&draft, findings);
    examine_requirements(&draft, findings);
    Ok(())
}

/// The bytes of a member, or the first of them; damage was reported before.
fn beginning(file: &ZipFile, name: &str, location: &Location, inflater: &mut Inflater) -> Option<Vec<u8>> {
    let limit = usize::try_from(location.size.min(PATH_FILE_LIMIT)).unwrap_or(0);
    inflater.peek(file, name, location, limit).ok().map(<[u8]>::to_vec)
}

fn examine_scripts(draft: &Draft, findings: &mut Findings) {
    for (index, bytes) in draft.contents() {
        if let Err(error) = rewrite_script(bytes) {
            findings.add_member(Code::ScriptForm, &draft.entries()[*index].name, error_text(&error));
        }
    }
    let names = draft.scripts().into_iter().filter_map(|index| draft.entries()[index].name.rsplit('/').next());
    let mut folded = std::collections::BTreeMap::new();
    for name in names.chain(draft.entry_points().iter().map(|script| &*script.name)) {
        let other = *folded.entry(crate::model::portable::fold(name)).or_insert(name);
        if other != name {
            findings.add(Code::ScriptCaseCollision, format!("the scripts `{other}` and `{name}`"));
        }
    }
}

fn examine_requirements(draft: &Draft, findings: &mut Findings) {
    let Some((metadata, member)) = draft.metadata() else { return };
    if let Some(requires) = &metadata.requires_python
        && let Err(error) = requires.parse::<pep440_rs::VersionSpecifiers>()
    {
        findings.add_member(Code::MetadataRequirement, member, format!("Requires-Python is `{requires}`: {}", first_line(&error)));
    }
    for requirement in &metadata.requires_dist {
        if let Err(error) = Requirement::parse(requirement) {
            findings.add_member(Code::MetadataRequirement, member, format!("`{requirement}`: {}", first_line(&error)));
        }
    }
}

fn first_line(error: &impl ToString) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// An error and what it came from, in one line.
fn error_text(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Reports what runs when the interpreter of an environment (or one that has `folder` as its site-packages) starts. Members in the
/// findings are paths relative to `folder`.
///
/// # Errors
/// A folder or file cannot be read.
pub fn inspect_environment(folder: &Utf8Path, options: &LoadOptions) -> Result<Vec<Finding>, InputError> {
    let mut findings = options.findings();
    for site in site_folders(folder)? {
        let names = list(&folder.join(&site))?;
        let join = |name: &str| if site.is_empty() { name.to_owned() } else { format!("{site}/{name}") };
        let mut members = Vec::new();
        for (name, is_folder) in names {
            if is_folder {
                // A folder is a package by what is in it.
                let below = list(&folder.join(join(&name)))?;
                members.extend(below.into_iter().map(|(inner, _)| (format!("{name}/{inner}"), join(&name))));
            } else {
                if startup::is_path_file(&name) {
                    let file = InputFile::open(&folder.join(join(&name)))?;
                    let mut bytes = vec![0; usize::try_from(file.size().min(PATH_FILE_LIMIT)).unwrap_or(0)];
                    file.read_at(&mut bytes, 0)?;
                    startup::examine_path_file(&bytes, &join(&name), &mut findings);
                }
                members.push((name.clone(), join(&name)));
            }
        }
        startup::examine_names(members.iter().map(|(path, member)| (path.as_str(), member.as_str())), &mut findings);
    }
    Ok(findings.finish())
}

/// The site-packages folders below an environment, relative to it; the folder itself where it is none.
fn site_folders(folder: &Utf8Path) -> Result<Vec<String>, InputError> {
    let mut found = Vec::new();
    if folder.join("Lib/site-packages").is_dir() {
        found.push("Lib/site-packages".to_owned());
    }
    if folder.join("lib").is_dir() {
        for (name, _) in list(&folder.join("lib"))? {
            let site = format!("lib/{name}/site-packages");
            if folder.join(&site).is_dir() && !found.iter().any(|known| known.eq_ignore_ascii_case(&site)) {
                found.push(site);
            }
        }
    }
    if found.is_empty() {
        found.push(String::new());
    }
    Ok(found)
}

/// The names in a folder, sorted, each with whether it is a folder (or a link to one).
fn list(folder: &Utf8Path) -> Result<Vec<(String, bool)>, InputError> {
    let failed = |source| InputError::Io { path: folder.to_owned(), source };
    let mut names = Vec::new();
    for entry in folder.read_dir_utf8().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        names.push((entry.file_name().to_owned(), entry.path().is_dir()));
    }
    names.sort();
    Ok(names)
}
