//! Everything that can be said about a wheel, or about what runs when an environment's interpreter
//! starts.
//!
//! Effects layer. Unlike loading, this reads every byte, does not stop at what planning needs, and
//! refuses nothing: all is findings.

use camino::{Utf8Path, Utf8PathBuf};

use crate::effects::host::input::{InputError, InputFile};
use crate::effects::wheels::examine::{PATH_FILE_LIMIT, examine_members, examine_paths};
use crate::effects::wheels::inflate::{Inflater, with_inflater};
use crate::effects::wheels::load::{LoadOptions, WheelError};
use crate::effects::wheels::reading::Reading;
use crate::effects::wheels::zip_file;
use crate::model::explain::chain;
use crate::model::finding::{Code, Finding};
use crate::model::quantity;
use crate::model::wheel::draft::Draft;
use crate::model::wheel::filename::{FilenameError, WheelFilename};
use crate::model::wheel::index::{Entry, EntryKind};
use crate::model::wheel::startup;

/// Inspects the wheel at `path`, published under the name `filename`; errors first, then by code
/// and member.
///
/// # Errors
/// The file cannot be read.
pub fn inspect_wheel(
    path: &Utf8Path,
    filename: &str,
    options: &LoadOptions,
) -> Result<Vec<Finding>, InputError> {
    with_inflater(|inflater| inspect(path, filename, options, inflater))
}

fn inspect(
    path: &Utf8Path,
    filename: &str,
    options: &LoadOptions,
    inflater: &mut Inflater,
) -> Result<Vec<Finding>, InputError> {
    let mut findings = options.findings();
    let parsed = WheelFilename::parse(filename);
    if let Err(error) = &parsed {
        let code = if matches!(error, FilenameError::Variant { .. }) {
            Code::MetadataVariant
        } else {
            Code::MetadataFilename
        };
        findings.add(code, chain(error));
    }
    let (file, entries) = zip_file::open(path, &options.limits, &mut findings)?;
    let names: Vec<Box<str>> = entries.iter().map(|entry| entry.name.clone()).collect();
    let mut reading = Reading::new(&file, inflater, findings);
    let is_file = |entry: &&Entry| entry.kind != EntryKind::Directory;
    // What no draft takes over has to be read as well.
    for entry in entries.iter().filter(is_file).filter(|entry| !entry.sound) {
        reading.check(entry)?;
    }
    match parsed.ok().or_else(|| guess(&names)) {
        Some(name) => {
            reading.check_directories(&entries)?;
            let mut draft = Draft::new(name, entries, &options.limits, &mut reading.findings);
            reading.satisfy(&mut draft)?;
            draft.want_claimed();
            reading.satisfy(&mut draft)?;
            examine_members(&draft, &mut reading);
        }
        None if entries.is_empty() => {}
        None => {
            let message = "there is no .dist-info folder";
            reading.findings.add(Code::MetadataDistInfoMissing, message);
            reading.check_directories(&entries)?;
            for entry in entries.iter().filter(is_file).filter(|entry| entry.sound) {
                reading.check(entry)?;
            }
        }
    }
    let mut findings = reading.finish();
    examine_paths(&names, &mut findings);
    if file.input.check_unchanged().is_err() {
        findings.add(Code::ZipChanged, "the file was written to while it was read");
    }
    Ok(findings.finish())
}

/// The name that a wheel with a bad one could have had, by its `.dist-info` folder.
fn guess(names: &[Box<str>]) -> Option<WheelFilename> {
    let folder =
        names.iter().find_map(|name| name.split_once('/')?.0.strip_suffix(".dist-info"))?;
    WheelFilename::parse(&format!("{folder}-py3-none-any.whl")).ok()
}

/// What a directory is that somebody wants to have checked.
#[derive(Debug, PartialEq, Eq)]
pub struct Contents {
    /// The wheels that lie directly in it, sorted.
    pub wheels: Vec<Utf8PathBuf>,
    /// Whether it is an environment or a site-packages folder.
    pub is_installed: bool,
}

/// Looks at what a directory holds.
///
/// # Errors
/// It cannot be read, or there is nothing in it that could be checked.
pub fn look_into(folder: &Utf8Path) -> Result<Contents, WheelError> {
    let names = list(folder)?;
    let is_wheel = |(name, is_folder): &&(String, bool)| !is_folder && name.ends_with(".whl");
    let wheels: Vec<_> = names.iter().filter(is_wheel).map(|(name, _)| folder.join(name)).collect();
    // By its real path: `.` has no name.
    let path = folder.canonicalize_utf8().ok();
    let name = path.as_deref().and_then(Utf8Path::file_name);
    let is_installed = matches!(name, Some("site-packages" | "dist-packages"))
        || site_folders(folder)? != [""]
        || names.iter().any(|(name, is_folder)| is_of_installed(name, *is_folder));
    if !wheels.is_empty() || is_installed {
        return Ok(Contents { wheels, is_installed });
    }
    let found = match &names[..] {
        [] => "nothing".to_owned(),
        [(only, _)] => format!("only `{only}`"),
        [(first, _), others @ ..] => {
            format!("`{first}` and {}", quantity::count(others.len(), "other name"))
        }
    };
    Err(WheelError::Directory { path: folder.to_owned(), found })
}

/// Whether something of this name is in an environment or in its site-packages, and hardly
/// elsewhere.
fn is_of_installed(name: &str, is_folder: bool) -> bool {
    let endings: &[&str] =
        if is_folder { &[".dist-info", ".egg-info"] } else { &[".pth", ".egg-info"] };
    let names = ["pyvenv.cfg", "sitecustomize.py", "usercustomize.py"];
    endings.iter().any(|ending| name.ends_with(ending)) || !is_folder && names.contains(&name)
}

/// Reports what runs when the interpreter of an environment (or one that has `folder` as its
/// site-packages) starts. Members in the findings are paths relative to `folder`.
///
/// # Errors
/// A folder or file cannot be read.
pub fn inspect_environment(
    folder: &Utf8Path,
    options: &LoadOptions,
) -> Result<Vec<Finding>, InputError> {
    let mut findings = options.findings();
    for site in site_folders(folder)? {
        let names = list(&folder.join(&site))?;
        let join = |name: &str| {
            if site.is_empty() { name.to_owned() } else { format!("{site}/{name}") }
        };
        let mut members = Vec::new();
        let mut added = startup::Added::default();
        for (name, is_folder) in names {
            if is_folder {
                // A folder is a package by what is in it.
                let below = list(&folder.join(join(&name)))?;
                members.extend(
                    below.into_iter().map(|(inner, _)| (format!("{name}/{inner}"), join(&name))),
                );
            } else {
                if startup::is_path_file(&name) {
                    let file = InputFile::open(&folder.join(join(&name)))?;
                    let mut bytes =
                        vec![0; usize::try_from(file.size().min(PATH_FILE_LIMIT)).unwrap_or(0)];
                    file.read_at(&mut bytes, 0)?;
                    if file.size() > PATH_FILE_LIMIT {
                        startup::report_large(PATH_FILE_LIMIT, &join(&name), &mut findings);
                    }
                    startup::examine_path_file(&bytes, &join(&name), &mut findings);
                    added.take(&bytes, &join(&name), &mut findings);
                }
                members.push((name.clone(), join(&name)));
            }
        }
        for place in added.places() {
            members.extend(importable(folder, place, &join(place))?);
        }
        startup::examine_names(
            members.iter().map(|(path, member)| (path.as_str(), member.as_str())),
            &added,
            &mut findings,
        );
    }
    if folder.join("pyvenv.cfg").is_file() {
        let scripts = if folder.join("Scripts").is_dir() { "Scripts" } else { "bin" };
        let paths = beside_the_interpreter(folder, scripts)?;
        startup::examine_environment(paths.iter().map(String::as_str), scripts, &mut findings);
    }
    Ok(findings.finish())
}

/// What can be imported from a place that a `.pth` file adds, by its path in site-packages and the
/// one below `folder`.
fn importable(
    folder: &Utf8Path,
    place: &str,
    member: &str,
) -> Result<Vec<(String, String)>, InputError> {
    let path = folder.join(member);
    if !path.is_dir() {
        return Ok(if path.is_file() {
            vec![(place.to_owned(), member.to_owned())]
        } else {
            Vec::new()
        });
    }
    let mut found = Vec::new();
    for (name, is_folder) in list(&path)? {
        if is_folder {
            let below = list(&path.join(&name))?;
            found.extend(
                below.into_iter().map(|(inner, _)| {
                    (format!("{place}/{name}/{inner}"), format!("{member}/{name}"))
                }),
            );
        } else {
            found.push((format!("{place}/{name}"), format!("{member}/{name}")));
        }
    }
    Ok(found)
}

/// What lies where an interpreter could look before anything else: files near the top of an
/// environment, relative to it.
fn beside_the_interpreter(
    environment: &Utf8Path,
    scripts: &str,
) -> Result<Vec<String>, InputError> {
    let mut paths = Vec::new();
    for top in [scripts, "lib", "lib64"].iter().filter(|top| environment.join(top).is_dir()) {
        for (name, is_folder) in list(&environment.join(top))? {
            let path = format!("{top}/{name}");
            if is_folder {
                paths.extend(
                    list(&environment.join(&path))?
                        .into_iter()
                        .map(|(inner, _)| format!("{path}/{inner}")),
                );
            }
            paths.push(path);
        }
    }
    Ok(paths)
}

/// The site-packages folders below an environment, relative to it; the folder itself where it is
/// none.
fn site_folders(folder: &Utf8Path) -> Result<Vec<String>, InputError> {
    let mut found = Vec::new();
    if folder.join("Lib/site-packages").is_dir() {
        found.push("Lib/site-packages".to_owned());
    }
    // Where `lib64` is a link, it leads to `lib`.
    for library in ["lib", "lib64"]
        .iter()
        .filter(|name| folder.join(name).is_dir() && !folder.join(name).is_symlink())
    {
        for (name, _) in list(&folder.join(library))? {
            let site = format!("{library}/{name}/site-packages");
            if folder.join(&site).is_dir()
                && !found.iter().any(|known| known.eq_ignore_ascii_case(&site))
            {
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
