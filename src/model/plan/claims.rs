//! Claims: every path that something wants in the tree, before anybody asks who else wants it.

use std::collections::BTreeSet;
use std::sync::Arc;

use globset::{GlobBuilder, GlobMatcher};

use crate::model::activate;
use crate::model::digest::Hash;
use crate::model::interpreter::Os;
use crate::model::layout::{self, KEEP_NAME, KEEP_TEXT, LIB64, Layout, PATH_ENTRIES_NAME, Scheme};
use crate::model::path::{LinkTarget, TreePath, relative_from};
use crate::model::plan::problem::{PlanProblem, PlanWarning};
use crate::model::plan::windows::{self, WindowsLaunchers};
use crate::model::plan::{Content, Listing, PlannedNode};
use crate::model::script::{self, WindowsLauncherError};
use crate::model::spec::{Python, Spec};
use crate::model::wheel::WheelManifest;
use crate::model::wheel::entry_points::EntryPoint;
use crate::model::wheel::manifest::NOT_INSTALLED;
use crate::model::workers::Workers;

/// What makes files that no input holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Generator {
    /// The way to the interpreter: links or launchers.
    Python,
    /// `pyvenv.cfg`.
    Configuration,
    /// `.gitignore`.
    Gitignore,
    /// The link `lib64`.
    Lib64,
    /// An activation script.
    Activator,
    /// The constant file in site-packages.
    Keep,
    /// The file that holds the spec's path entries.
    PathEntries,
    /// The script of an entry point.
    EntryPoint,
    /// A script of a wheel, made to find the environment's interpreter.
    Script,
    /// A distribution's INSTALLER.
    Installer,
    /// A distribution's RECORD.
    Record,
}

impl Generator {
    /// The name in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Configuration => "configuration",
            Self::Gitignore => "gitignore",
            Self::Lib64 => "lib64",
            Self::Activator => "activator",
            Self::Keep => "keep",
            Self::PathEntries => "path-entries",
            Self::EntryPoint => "entry-point",
            Self::Script => "script",
            Self::Installer => "installer",
            Self::Record => "record",
        }
    }
}

/// Who asked for an entry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A wheel's member: indexes into the spec's wheels and the manifest's members.
    Member {
        /// The wheel.
        wheel: usize,
        /// The member.
        member: usize,
    },
    /// Something made by the planner, for a wheel or for the environment as a whole.
    Generated {
        /// What made it.
        generator: Generator,
        /// The wheel.
        wheel: Option<usize>,
    },
    /// A file of a source.
    Source {
        /// The source.
        source: usize,
        /// The file.
        file: usize,
    },
    /// A file of the interpreter that is copied in.
    Interpreter {
        /// The file.
        file: usize,
    },
}

impl Origin {
    /// The wheel that it belongs to, if it belongs to one.
    pub fn wheel(&self) -> Option<usize> {
        match self {
            Self::Member { wheel, .. } => Some(*wheel),
            Self::Generated { wheel, .. } => *wheel,
            Self::Source { .. } | Self::Interpreter { .. } => None,
        }
    }
}

/// A path that somebody wants, and what for.
#[derive(Debug)]
pub(super) struct Claim {
    pub path: TreePath,
    pub origin: Origin,
    pub node: PlannedNode,
}

/// A file of bytes made here.
pub(super) fn inline(bytes: impl Into<Arc<[u8]>>, executable: bool) -> PlannedNode {
    let bytes = bytes.into();
    PlannedNode::File {
        sha256: Hash::sha256(&bytes),
        size: bytes.len() as u64,
        content: Content::Inline(bytes),
        executable,
    }
}

/// Where a distribution's RECORD goes.
pub(super) fn record_path(layout: &Layout, wheel: &WheelManifest) -> TreePath {
    dist_info_path(layout, wheel, "RECORD")
        .expect("the metadata directory was accepted with the wheel")
}

fn dist_info_path(layout: &Layout, wheel: &WheelManifest, name: &str) -> Option<TreePath> {
    TreePath::parse(&format!("{}/{}/{name}", layout.purelib, wheel.dist_info)).ok()
}

/// Files of a metadata directory without which the distribution is not installed.
const NEEDED: [&str; 4] = ["METADATA", "WHEEL", "RECORD", "entry_points.txt"];

/// What INSTALLER says.
const INSTALLER: &[u8] = b"venvtree\n";

/// Collects claims.
pub(super) struct Claims<'a> {
    spec: &'a Spec,
    layout: &'a Layout,
    launchers: Option<&'a WindowsLaunchers>,
    claims: Vec<Claim>,
}

impl<'a> Claims<'a> {
    pub fn new(
        spec: &'a Spec,
        layout: &'a Layout,
        launchers: Option<&'a WindowsLaunchers>,
    ) -> Self {
        Self { spec, layout, launchers, claims: Vec::new() }
    }

    pub fn finish(self) -> Vec<Claim> {
        self.claims
    }

    fn generated(&mut self, path: &TreePath, generator: Generator, node: PlannedNode) {
        let origin = Origin::Generated { generator, wheel: None };
        self.claims.push(Claim { path: path.clone(), origin, node });
    }

    fn generated_at(
        &mut self,
        path: &str,
        generator: Generator,
        node: PlannedNode,
        problems: &mut Vec<PlanProblem>,
    ) {
        match TreePath::parse(path) {
            Ok(path) => self.generated(&path, generator, node),
            Err(error) => problems.push(PlanProblem::Path {
                wheel: None,
                path: path.to_owned(),
                error: error.to_string(),
            }),
        }
    }

    /// What every environment has.
    pub fn environment(&mut self, problems: &mut Vec<PlanProblem>) {
        let flags = &self.spec.flags;
        let interpreter = &self.spec.interpreter;
        let home = match &self.spec.python {
            Python::Absolute { path } => layout::home(path, self.layout.os),
            Python::Inside { .. } | Python::Relative { .. } | Python::Launcher { .. } => None,
        };
        let configuration = layout::configuration(
            interpreter,
            home.as_deref(),
            flags.system_site_packages,
            flags.prompt.as_deref(),
        );
        self.generated_at(
            "pyvenv.cfg",
            Generator::Configuration,
            inline(configuration.into_bytes(), false),
            problems,
        );
        if flags.gitignore {
            self.generated_at(
                layout::GITIGNORE_NAME,
                Generator::Gitignore,
                inline(layout::GITIGNORE_TEXT.as_bytes(), false),
                problems,
            );
        }
        if flags.lib64 {
            let target = LinkTarget::parse(LIB64.1).expect("a plain name");
            self.generated_at(LIB64.0, Generator::Lib64, PlannedNode::Symlink(target), problems);
        }
        let purelib = self.layout.purelib.clone();
        self.generated_at(
            &format!("{purelib}/{KEEP_NAME}"),
            Generator::Keep,
            inline(KEEP_TEXT.as_bytes(), false),
            problems,
        );
        if !self.spec.path_entries.is_empty() {
            let mut text = String::new();
            for entry in &self.spec.path_entries {
                text.push_str(&relative_from(purelib.as_str(), entry));
                text.push('\n');
            }
            let path = format!("{purelib}/{PATH_ENTRIES_NAME}");
            self.generated_at(
                &path,
                Generator::PathEntries,
                inline(text.into_bytes(), false),
                problems,
            );
        }
        let variables = activate::ActivateVariables {
            prompt: flags.prompt.as_deref(),
            scripts: self.layout.scripts.as_str(),
            site_packages: purelib.as_str(),
        };
        let scripts = self.layout.scripts.clone();
        for shell in flags.activators.iter().copied().filter(|shell| shell.is_for(self.layout.os)) {
            for (name, bytes) in activate::render(shell, &variables) {
                self.generated_at(
                    &format!("{scripts}/{name}"),
                    Generator::Activator,
                    inline(bytes, false),
                    problems,
                );
            }
        }
        match self.layout.os {
            Os::Windows => self.windows_python(problems),
            Os::Linux | Os::MacOs => self.python(problems),
        }
    }

    /// `python.exe` and `pythonw.exe`.
    fn windows_python(&mut self, problems: &mut Vec<PlanProblem>) {
        let Some(launchers) = self.launchers else {
            return;
        };
        let scripts = self.layout.scripts.clone();
        match windows::interpreter_files(&self.spec.python, &scripts, launchers) {
            Ok(files) => {
                for (name, bytes) in files {
                    self.generated_at(
                        &format!("{scripts}/{name}"),
                        Generator::Python,
                        inline(bytes, true),
                        problems,
                    );
                }
            }
            Err(error) => problems
                .push(PlanProblem::Launcher { error: error.to_string(), hint: error.hint() }),
        }
    }

    /// `bin/python` and its other names.
    fn python(&mut self, problems: &mut Vec<PlanProblem>) {
        let scripts = self.layout.scripts.clone();
        let target = match &self.spec.python {
            Python::Inside { executable, .. } => {
                relative_from(scripts.as_str(), &format!(".python/{executable}"))
            }
            Python::Relative { path } => relative_from(scripts.as_str(), path),
            Python::Absolute { path } => path.clone(),
            Python::Launcher { candidates } => {
                match script::launcher(candidates) {
                    Ok(bytes) => {
                        let bytes: Arc<[u8]> = bytes.into();
                        for name in layout::interpreter_names(&self.spec.interpreter) {
                            self.generated_at(
                                &format!("{scripts}/{name}"),
                                Generator::Python,
                                inline(bytes.clone(), true),
                                problems,
                            );
                        }
                    }
                    Err(error) => problems.push(PlanProblem::Launcher {
                        error: error.to_string(),
                        hint: error.hint(),
                    }),
                }
                return;
            }
        };
        let names = layout::interpreter_names(&self.spec.interpreter);
        for (index, name) in names.iter().enumerate() {
            let target = if index == 0 { target.as_str() } else { names[0].as_str() };
            match LinkTarget::parse(target) {
                Ok(target) => self.generated_at(
                    &format!("{scripts}/{name}"),
                    Generator::Python,
                    PlannedNode::Symlink(target),
                    problems,
                ),
                Err(error) => problems.push(PlanProblem::Path {
                    wheel: None,
                    path: target.to_owned(),
                    error: error.to_string(),
                }),
            }
        }
    }

    /// The interpreter that is copied in.
    pub fn interpreter(&mut self, listing: &Listing) {
        for (index, file) in listing.files.iter().enumerate() {
            let Some(path) = file
                .path
                .as_ref()
                .and_then(|path| TreePath::parse(&format!(".python/{path}")).ok())
            else {
                continue;
            };
            let content = Content::Interpreter { file: index };
            let node = PlannedNode::File {
                content,
                sha256: file.sha256,
                size: file.size,
                executable: file.executable,
            };
            self.claims.push(Claim { path, origin: Origin::Interpreter { file: index }, node });
        }
    }

    /// A source's files.
    pub fn source(&mut self, index: usize, listing: &Listing, problems: &mut Vec<PlanProblem>) {
        let into = self.spec.sources[index].into.as_ref();
        for (file_index, file) in listing.files.iter().enumerate() {
            let mut path = self.layout.purelib.to_string();
            for part in [into, file.path.as_ref()].into_iter().flatten() {
                path.push('/');
                path.push_str(part.as_str());
            }
            match TreePath::parse(&path) {
                Ok(path) => {
                    let content = Content::Source { source: index, file: file_index };
                    let node = PlannedNode::File {
                        content,
                        sha256: file.sha256,
                        size: file.size,
                        executable: file.executable,
                    };
                    let origin = Origin::Source { source: index, file: file_index };
                    self.claims.push(Claim { path, origin, node });
                }
                Err(error) => {
                    problems.push(PlanProblem::Path { wheel: None, path, error: error.to_string() })
                }
            }
        }
    }

    /// The wheels' members, scripts and metadata.
    pub fn wheels(
        &mut self,
        wheels: &[&WheelManifest],
        workers: &impl Workers,
        problems: &mut Vec<PlanProblem>,
        warnings: &mut Vec<PlanWarning>,
    ) {
        let found = workers.map(wheels.len(), |index| {
            let mut collector = WheelClaims {
                layout: self.layout,
                launchers: self.launchers,
                version: self.spec.interpreter.version.short(),
                lib64: self.spec.flags.lib64,
                index,
                wheel: wheels[index],
                excludes: Excludes::new(&self.spec.wheels[index].exclude),
                claims: Vec::with_capacity(wheels[index].members.len() + 8),
                problems: Vec::new(),
                warnings: Vec::new(),
            };
            collector.collect();
            // All claims are sorted later: then those of a wheel are in order already.
            collector.claims.sort_by(|left, right| left.path.cmp(&right.path));
            (collector.claims, collector.problems, collector.warnings, collector.excludes)
        });
        self.claims.reserve(found.iter().map(|(claims, ..)| claims.len()).sum());
        for ((claims, found, told, excludes), wheel) in found.into_iter().zip(wheels) {
            self.claims.extend(claims);
            problems.extend(found);
            warnings.extend(told);
            let file = wheel.file.as_str();
            warnings.extend(
                excludes
                    .unused()
                    .map(|pattern| PlanWarning::UnusedExclude { wheel: file.to_owned(), pattern }),
            );
        }
    }
}

/// A wheel's `exclude` patterns, and which of them matched.
struct Excludes {
    patterns: Vec<(GlobMatcher, String, bool)>,
}

impl Excludes {
    fn new(patterns: &[String]) -> Self {
        let matcher = |pattern: &String| {
            let glob = GlobBuilder::new(pattern)
                .literal_separator(true)
                .build()
                .expect("checked with the spec");
            (glob.compile_matcher(), pattern.clone(), false)
        };
        Self { patterns: patterns.iter().map(matcher).collect() }
    }

    /// The pattern that matches a path, if one does. Every pattern is tried, to know those that
    /// match nothing.
    fn matches(&mut self, path: &str) -> Option<&str> {
        let mut found = None;
        for (matcher, pattern, used) in &mut self.patterns {
            if matcher.is_match(path) {
                *used = true;
                found = Some(pattern.as_str());
            }
        }
        found
    }

    fn unused(&self) -> impl Iterator<Item = String> {
        self.patterns.iter().filter(|(_, _, used)| !used).map(|(_, pattern, _)| pattern.clone())
    }
}

struct WheelClaims<'a> {
    layout: &'a Layout,
    launchers: Option<&'a WindowsLaunchers>,
    version: String,
    /// Whether `lib64` is a link to `lib`.
    lib64: bool,
    index: usize,
    wheel: &'a WheelManifest,
    excludes: Excludes,
    claims: Vec<Claim>,
    problems: Vec<PlanProblem>,
    warnings: Vec<PlanWarning>,
}

impl WheelClaims<'_> {
    fn claim(&mut self, scheme: Scheme, path: &str, origin: Origin, node: PlannedNode) {
        if let Some(pattern) = self.excludes.matches(path) {
            let pattern = pattern.to_owned();
            let needed =
                path.strip_prefix(&*self.wheel.dist_info).and_then(|rest| rest.strip_prefix('/'));
            if needed.is_some_and(|name| NEEDED.contains(&name))
                && matches!(scheme, Scheme::Purelib | Scheme::Platlib)
            {
                let wheel = self.wheel.file.as_str().to_owned();
                self.problems.push(PlanProblem::ExcludesMetadata {
                    wheel,
                    pattern,
                    path: path.to_owned(),
                });
            }
            return;
        }
        let full = match self.layout.directory(scheme, self.wheel.name().normalized()) {
            Some(directory) => directory.join_text(path),
            None => match path
                .strip_prefix(LIB64.0)
                .filter(|rest| self.lib64 && (rest.is_empty() || rest.starts_with('/')))
            {
                // Where a file ends up that is written through the link.
                Some(rest) => TreePath::parse(&format!("{}{rest}", LIB64.1)),
                None => TreePath::parse(path),
            },
        };
        match full {
            Ok(path) => self.claims.push(Claim { path, origin, node }),
            Err(error) => {
                let wheel = Some(self.wheel.file.as_str().to_owned());
                self.problems.push(PlanProblem::Path {
                    wheel,
                    path: path.to_owned(),
                    error: error.to_string(),
                });
            }
        }
    }

    fn collect(&mut self) {
        let wheel = self.wheel;
        let root = if wheel.purelib { Scheme::Purelib } else { Scheme::Platlib };
        let entry_points: BTreeSet<&str> =
            wheel.entry_points.iter().map(|entry_point| &*entry_point.name).collect();
        for (index, member) in wheel.members.iter().enumerate() {
            let path = member.path.as_str();
            if member.path.components().any(|component| component == "__pycache__") {
                continue;
            }
            if let Some(name) =
                path.strip_prefix(&*wheel.dist_info).and_then(|rest| rest.strip_prefix('/'))
                && NOT_INSTALLED.contains(&name)
            {
                continue;
            }
            let (scheme, rest) =
                match path.strip_prefix(&*wheel.data).and_then(|rest| rest.strip_prefix('/')) {
                    None => (root, path),
                    Some(data) => match data
                        .split_once('/')
                        .and_then(|(name, rest)| Some((Scheme::parse(name)?, rest)))
                    {
                        Some(found) => found,
                        // Reported when the wheel was read.
                        None => continue,
                    },
                };
            let origin = Origin::Member { wheel: self.index, member: index };
            let file = |executable| PlannedNode::File {
                content: Content::Member { wheel: self.index, member: index },
                sha256: member.sha256,
                size: member.size(),
                executable,
            };
            if scheme != Scheme::Scripts {
                self.claim(scheme, rest, origin, file(member.executable));
            } else if let name = script::wrapped_entry_point(rest)
                && entry_points.contains(name)
            {
                // pip and uv let the entry point win, whose script they make themselves.
                if name != rest {
                    let wheel = wheel.file.as_str().to_owned();
                    self.warnings.push(PlanWarning::Wrapper {
                        wheel,
                        script: rest.to_owned(),
                        entry_point: name.to_owned(),
                    });
                }
            } else if let Some(bytes) = wheel.contents.get(&index) {
                self.script(rest, bytes, file(true), origin);
            } else {
                self.claim(scheme, rest, origin, file(true));
            }
        }
        // Installers give pip the interpreter's version as a further name, whatever version of
        // Python its wheel was built with.
        let pip = wheel.name().normalized() == "pip";
        let own_name = format!("pip{}", self.version);
        let is_version = |name: &str| {
            name.strip_prefix("pip").is_some_and(|rest| {
                rest.contains('.') && rest.starts_with(|first: char| first.is_ascii_digit())
            })
        };
        let entry_points =
            wheel.entry_points.iter().filter(|entry_point| !(pip && is_version(&entry_point.name)));
        let further =
            wheel.entry_points.iter().filter(|entry_point| pip && &*entry_point.name == "pip");
        let further = further.map(|entry_point| EntryPoint {
            name: own_name.as_str().into(),
            ..entry_point.clone()
        });
        let entry_points: Vec<EntryPoint> = entry_points.cloned().chain(further).collect();
        for entry_point in &entry_points {
            let (module, attributes) = (&entry_point.module, &entry_point.attributes);
            let origin =
                Origin::Generated { generator: Generator::EntryPoint, wheel: Some(self.index) };
            match self.launchers {
                None => {
                    let bytes = script::console_script(module, attributes);
                    self.claim(Scheme::Scripts, &entry_point.name, origin, inline(bytes, true));
                }
                Some(launchers) => {
                    let name = script::windows_script_name(&entry_point.name);
                    self.program(
                        &name,
                        origin,
                        launchers.of_scripts(entry_point.kind).entry_point(module, attributes),
                    );
                }
            }
        }
        let origin = Origin::Generated { generator: Generator::Installer, wheel: Some(self.index) };
        self.claim(
            root,
            &format!("{}/INSTALLER", wheel.dist_info),
            origin,
            inline(INSTALLER, false),
        );
    }

    /// A program made from a launcher.
    fn program(
        &mut self,
        name: &str,
        origin: Origin,
        bytes: Result<Vec<u8>, WindowsLauncherError>,
    ) {
        match bytes {
            Ok(bytes) => self.claim(Scheme::Scripts, name, origin, inline(bytes, true)),
            Err(error) => {
                let wheel = self.wheel.file.as_str().to_owned();
                let problem = PlanProblem::Script {
                    wheel,
                    script: name.to_owned(),
                    error: error.to_string(),
                    hint: error.hint(),
                };
                self.problems.push(problem);
            }
        }
    }

    /// A script of the wheel that may ask for the environment's interpreter.
    fn script(&mut self, name: &str, bytes: &[u8], untouched: PlannedNode, origin: Origin) {
        if let Some(launchers) = self.launchers {
            return self.windows_script(name, bytes, untouched, origin, launchers);
        }
        let wheel = || self.wheel.file.as_str().to_owned();
        match script::rewrite_script(bytes) {
            Ok(None) => self.claim(Scheme::Scripts, name, origin, untouched),
            Ok(Some(_)) if name.contains('/') => {
                let problem = PlanProblem::Script {
                    wheel: wheel(),
                    script: name.to_owned(),
                    error: "it asks for the environment's interpreter from a folder below the scripts, from where it cannot find it"
                        .to_owned(),
                    hint: None,
                };
                self.problems.push(problem);
            }
            Ok(Some(rewritten)) => {
                let origin =
                    Origin::Generated { generator: Generator::Script, wheel: Some(self.index) };
                self.claim(Scheme::Scripts, name, origin, inline(rewritten, true));
            }
            Err(error) => {
                let problem = PlanProblem::Script {
                    wheel: wheel(),
                    script: name.to_owned(),
                    error: error.to_string(),
                    hint: error.hint(),
                };
                self.problems.push(problem);
            }
        }
    }

    /// The same for Windows: the script stays as it is, and a program that runs it goes beside it.
    fn windows_script(
        &mut self,
        name: &str,
        bytes: &[u8],
        untouched: PlannedNode,
        origin: Origin,
        launchers: &WindowsLaunchers,
    ) {
        self.claim(Scheme::Scripts, name, origin, untouched);
        if let Some(kind) = script::windows_script_kind(bytes) {
            if name.contains('/') {
                let error =
                    "it asks for the environment's interpreter from a folder below the scripts, from where it cannot find it".to_owned();
                let wheel = self.wheel.file.as_str().to_owned();
                self.problems.push(PlanProblem::Script {
                    wheel,
                    script: name.to_owned(),
                    error,
                    hint: None,
                });
                return;
            }
            let origin =
                Origin::Generated { generator: Generator::Script, wheel: Some(self.index) };
            self.program(
                &script::windows_script_name(name),
                origin,
                launchers.of_scripts(kind).wheel_script(name),
            );
        }
    }
}
