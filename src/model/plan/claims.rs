//! Claims: every path that something wants in the tree, before anybody asks who else wants it.

mod wheel;

use std::sync::Arc;

use crate::model::activate;
use crate::model::digest::Hash;
use crate::model::explain::Explain as _;
use crate::model::file_kind::FileKind;
use crate::model::interpreter::Os;
use crate::model::layout::{self, KEEP_NAME, KEEP_TEXT, LIB64, Layout, PATH_ENTRIES_NAME};
use crate::model::path::{LinkTarget, TreePath, relative_from};
use crate::model::plan::problem::{PlanProblem, PlanWarning};
use crate::model::plan::windows::{self, WindowsLaunchers};
use crate::model::plan::{Content, Listing, PlannedNode};
use crate::model::script;
use crate::model::spec::{Python, Spec};
use crate::model::wheel::WheelManifest;
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
    /// A compiler.
    Bytecode,
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
            Self::Bytecode => "bytecode",
        }
    }
}

/// A wheel, by its position in the spec: in all lists that have one thing for each wheel. Members,
/// pinned wheels and entries have positions of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WheelIndex(pub usize);

/// Who asked for an entry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A wheel's member: indexes into the spec's wheels and the manifest's members.
    Member { wheel: WheelIndex, member: usize },
    /// Something made by the planner, for a wheel or for the environment as a whole.
    Generated {
        /// What made it.
        generator: Generator,
        wheel: Option<WheelIndex>,
    },
    /// A file of a source.
    Source { source: usize, file: usize },
    /// A file of the interpreter that is copied in.
    Interpreter { file: usize },
}

impl Origin {
    /// The wheel that it belongs to, if it belongs to one.
    pub fn wheel(&self) -> Option<WheelIndex> {
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
pub(super) fn inline(bytes: impl Into<Arc<[u8]>>, kind: FileKind) -> PlannedNode {
    let bytes = bytes.into();
    PlannedNode::File {
        sha256: Hash::sha256(&bytes),
        size: bytes.len() as u64,
        content: Content::Inline(bytes),
        kind,
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
            inline(configuration.into_bytes(), FileKind::Plain),
            problems,
        );
        if flags.gitignore {
            self.generated_at(
                layout::GITIGNORE_NAME,
                Generator::Gitignore,
                inline(layout::GITIGNORE_TEXT.as_bytes(), FileKind::Plain),
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
            inline(KEEP_TEXT.as_bytes(), FileKind::Plain),
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
                inline(text.into_bytes(), FileKind::Plain),
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
                    inline(bytes, FileKind::Plain),
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
                        inline(bytes, FileKind::Executable),
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
                                inline(bytes.clone(), FileKind::Executable),
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
                kind: file.kind,
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
                        kind: file.kind,
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
            wheel::claims(self.spec, self.layout, self.launchers, WheelIndex(index), wheels[index])
        });
        self.claims.reserve(found.iter().map(|wheel| wheel.claims.len()).sum());
        for wheel in found {
            self.claims.extend(wheel.claims);
            problems.extend(wheel.problems);
            warnings.extend(wheel.warnings);
        }
    }
}
