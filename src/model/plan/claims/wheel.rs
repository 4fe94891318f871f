//! The claims of a wheel: its members, its scripts, and what is made for it.

use std::collections::BTreeSet;

use globset::{GlobBuilder, GlobMatcher};

use super::{Claim, Generator, Origin, WheelIndex, inline};
use crate::model::explain::Explain as _;
use crate::model::file_kind::FileKind;
use crate::model::layout::{LIB64, Layout, Scheme};
use crate::model::path::TreePath;
use crate::model::plan::problem::{PlanProblem, PlanWarning};
use crate::model::plan::windows::WindowsLaunchers;
use crate::model::plan::{Content, PlannedNode};
use crate::model::script::{self, WindowsLauncherError};
use crate::model::spec::Spec;
use crate::model::wheel::WheelManifest;
use crate::model::wheel::entry_points::EntryPoint;
use crate::model::wheel::manifest::NOT_INSTALLED;

/// Files of a metadata directory without which the distribution is not installed.
const NEEDED: [&str; 4] = ["METADATA", "WHEEL", "RECORD", "entry_points.txt"];

/// Where compilers put bytecode, which no environment takes over from a wheel.
const CACHE: &str = "__pycache__";

/// What INSTALLER says.
const INSTALLER: &[u8] = b"venvtree\n";

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

/// What a wheel wants in the tree.
pub(super) struct WheelClaims {
    /// Sorted by path.
    pub claims: Vec<Claim>,
    pub problems: Vec<PlanProblem>,
    pub warnings: Vec<PlanWarning>,
}

/// Collects the claims of the wheel with this index in the spec: its members, scripts and metadata.
pub(super) fn claims(
    spec: &Spec,
    layout: &Layout,
    launchers: Option<&WindowsLaunchers>,
    index: WheelIndex,
    wheel: &WheelManifest,
) -> WheelClaims {
    let mut collector = Collector {
        layout,
        launchers,
        version: spec.interpreter.version.short(),
        lib64: spec.flags.lib64,
        index,
        wheel,
        excludes: Excludes::new(&spec.wheels[index.0].exclude),
        claims: Vec::with_capacity(wheel.members.len() + 8),
        problems: Vec::new(),
        warnings: Vec::new(),
    };
    collector.members();
    collector.entry_points();
    collector.installer();
    let Collector { excludes, mut claims, problems, mut warnings, .. } = collector;
    // All claims are sorted later: then those of a wheel are in order already.
    claims.sort_by(|left, right| left.path.cmp(&right.path));
    let file = wheel.file.as_str();
    warnings.extend(
        excludes
            .unused()
            .map(|pattern| PlanWarning::UnusedExclude { wheel: file.to_owned(), pattern }),
    );
    WheelClaims { claims, problems, warnings }
}

/// Where in a scheme something goes.
#[derive(Clone, Copy)]
enum Below<'a> {
    /// A path that was checked when the wheel was read.
    Member(&'a TreePath),
    /// The name of something that is made, or a part of a member's path.
    Text(&'a str),
}

impl<'a> Below<'a> {
    fn as_str(self) -> &'a str {
        match self {
            Self::Member(path) => path.as_str(),
            Self::Text(text) => text,
        }
    }
}

struct Collector<'a> {
    layout: &'a Layout,
    launchers: Option<&'a WindowsLaunchers>,
    version: String,
    /// Whether `lib64` is a link to `lib`.
    lib64: bool,
    index: WheelIndex,
    wheel: &'a WheelManifest,
    excludes: Excludes,
    claims: Vec<Claim>,
    problems: Vec<PlanProblem>,
    warnings: Vec<PlanWarning>,
}

impl Collector<'_> {
    fn claim(&mut self, scheme: Scheme, below: Below<'_>, origin: Origin, node: PlannedNode) {
        let path = below.as_str();
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
            Some(directory) => match below {
                Below::Member(path) => directory.join(path),
                Below::Text(path) => directory.join_text(path),
            },
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

    /// The scheme of what is not in the data directory.
    fn root(&self) -> Scheme {
        if self.wheel.purelib { Scheme::Purelib } else { Scheme::Platlib }
    }

    fn members(&mut self) {
        let wheel = self.wheel;
        let root = self.root();
        let entry_points: BTreeSet<&str> =
            wheel.entry_points.iter().map(|entry_point| &*entry_point.name).collect();
        for (index, member) in wheel.members.iter().enumerate() {
            let path = member.path.as_str();
            // The first is one quick search, and nearly never true.
            if path.contains(CACHE) && member.path.components().any(|part| part == CACHE) {
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
                    None => (root, Below::Member(&member.path)),
                    Some(data) => match data
                        .split_once('/')
                        .and_then(|(name, rest)| Some((Scheme::parse(name)?, Below::Text(rest))))
                    {
                        Some(found) => found,
                        // Reported when the wheel was read.
                        None => continue,
                    },
                };
            let origin = Origin::Member { wheel: self.index, member: index };
            let file = |kind| PlannedNode::File {
                content: Content::Member { wheel: self.index, member: index },
                sha256: member.sha256,
                size: member.size(),
                kind,
            };
            if scheme != Scheme::Scripts {
                self.claim(scheme, rest, origin, file(member.kind));
            } else if let script = rest.as_str()
                && let name = script::wrapped_entry_point(script)
                && entry_points.contains(name)
            {
                // pip and uv let the entry point win, whose script they make themselves.
                if name != script {
                    let wheel = wheel.file.as_str().to_owned();
                    self.warnings.push(PlanWarning::Wrapper {
                        wheel,
                        script: script.to_owned(),
                        entry_point: name.to_owned(),
                    });
                }
            } else if let Some(bytes) = wheel.contents.get(&index) {
                self.script(rest.as_str(), bytes, file(FileKind::Executable), origin);
            } else {
                self.claim(scheme, rest, origin, file(FileKind::Executable));
            }
        }
    }

    /// The scripts of the entry points.
    fn entry_points(&mut self) {
        let wheel = self.wheel;
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
                    self.claim(
                        Scheme::Scripts,
                        Below::Text(&entry_point.name),
                        origin,
                        inline(bytes, FileKind::Executable),
                    );
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
    }

    fn installer(&mut self) {
        let origin = Origin::Generated { generator: Generator::Installer, wheel: Some(self.index) };
        self.claim(
            self.root(),
            Below::Text(&format!("{}/INSTALLER", self.wheel.dist_info)),
            origin,
            inline(INSTALLER, FileKind::Plain),
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
            Ok(bytes) => self.claim(
                Scheme::Scripts,
                Below::Text(name),
                origin,
                inline(bytes, FileKind::Executable),
            ),
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
            self.claim(Scheme::Scripts, Below::Text(name), origin, untouched);
            return self.windows_script(name, bytes, launchers);
        }
        let wheel = || self.wheel.file.as_str().to_owned();
        match script::rewrite_script(bytes) {
            Ok(None) => self.claim(Scheme::Scripts, Below::Text(name), origin, untouched),
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
                self.claim(
                    Scheme::Scripts,
                    Below::Text(name),
                    origin,
                    inline(rewritten, FileKind::Executable),
                );
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
    fn windows_script(&mut self, name: &str, bytes: &[u8], launchers: &WindowsLaunchers) {
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
