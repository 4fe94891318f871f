//! A lock, for whom its wheels are chosen, and what is wanted of it.

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use serde::Serialize;

use crate::cli::inputs::launchers;
use crate::cli::inputs::target::{self as for_target, Target};
use crate::cli::io::Io;
use crate::cli::options::caches;
use crate::engine::compose::lock::{LockFile, at_hand};
use crate::engine::fetch::Fetching;
use crate::engine::files;
use crate::error::Error;
use crate::model::interpreter::Interpreter;
use crate::model::lock::{self, Request, Selection, Without};
use crate::model::spec::{Flags, Launchers, Spec};
use crate::model::target;

/// For whom wheels are chosen.
#[derive(Debug, Args)]
#[command(next_help_heading = "Interpreter")]
pub struct ForArguments {
    /// An interpreter of this machine, as `create --python` takes it [default: the first python3].
    #[arg(long, short, value_name = "PYTHON", conflicts_with_all = ["interpreter", "target"])]
    python: Option<String>,
    /// Facts of an interpreter: a JSON file as `venvtree interpreter probe` writes it.
    #[arg(long, value_name = "FILE", conflicts_with = "target")]
    interpreter: Option<Utf8PathBuf>,
    /// An interpreter that need not be here, such as linux-x86_64-3.12 or '3.12.1
    /// linux-x86_64-glibc-2.28'.
    #[arg(long, alias = "for", value_name = "TARGET")]
    target: Option<String>,
}

impl ForArguments {
    /// An option that was given.
    pub(crate) fn given(&self) -> Option<&'static str> {
        let options = [
            ("--python", self.python.is_some()),
            ("--interpreter", self.interpreter.is_some()),
            ("--target", self.target.is_some()),
        ];
        options.into_iter().find(|(_, given)| *given).map(|(option, _)| option)
    }

    /// Who it is.
    ///
    /// # Errors
    /// There is no such interpreter, file or target.
    pub(crate) fn read(&self, io: &mut Io<'_>) -> Result<Target, Error> {
        let text = match (&self.interpreter, &self.target, &self.python) {
            (Some(path), ..) => io.resolve(path).to_string(),
            (None, Some(target), _) => return read_target(target, io),
            (None, None, python) => python.clone().unwrap_or_else(|| "python".to_owned()),
        };
        for_target::read(&text, None, io)
    }
}

/// Reads the name of a target, or a file of facts: what is neither is not looked for on this
/// machine.
///
/// # Errors
/// There is no such target or file.
pub(crate) fn read_target(text: &str, io: &mut Io<'_>) -> Result<Target, Error> {
    if !target::is_target(text)
        && !text.ends_with(".json")
        && let Err(error) = target::parse(text, None)
    {
        return Err(Error::usage(error.to_string()).hint(target::SHAPE));
    }
    for_target::read(text, None, io)
}

/// For whom wheels are chosen, and which, where none is fetched.
#[derive(Debug, Args)]
pub struct ChoiceArguments {
    #[command(flatten)]
    target: ForArguments,
    #[command(flatten)]
    wanted: WantedArguments,
    /// Where the wheels of a lock without addresses lie, which are told by their hashes; may be
    /// given many times.
    #[arg(long, value_name = "DIR|WHEEL", help_heading = "What is wanted")]
    wheels: Vec<Utf8PathBuf>,
}

impl ChoiceArguments {
    /// What other arguments say.
    pub(crate) fn new(
        target: ForArguments,
        wanted: WantedArguments,
        wheels: Vec<Utf8PathBuf>,
    ) -> Self {
        Self { target, wanted, wheels }
    }

    /// Who wants what of a lock.
    ///
    /// # Errors
    /// There is no such interpreter, file or target, or a wheel cannot be read.
    pub(crate) fn read(self, file: LockFile, io: &mut Io<'_>) -> Result<(Target, Wanted), Error> {
        let target = self.target.read(io)?;
        Ok((target, self.wanted.of(file, &self.wheels, io)?))
    }
}

/// A lock, and what is wanted of it.
pub(crate) struct Wanted {
    /// The lock.
    pub(crate) file: LockFile,
    request: Request,
    /// Where wheels lie that were given.
    wheels: Vec<Utf8PathBuf>,
}

impl Wanted {
    /// Chooses wheels for an interpreter, and says what is odd. With `fetching`, indexes are asked
    /// where nothing else says where wheels are.
    ///
    /// # Errors
    /// The lock does not have what is wanted.
    pub(crate) fn choose(
        &self,
        interpreter: &Interpreter,
        fetching: Option<&Fetching>,
        io: &mut Io<'_>,
    ) -> Result<Selection, Error> {
        let selection = self.file.choose(interpreter, &self.request, fetching)?;
        for warning in &selection.warnings {
            io.warn(&format!("{}: {warning}", self.file.origin));
        }
        Ok(selection)
    }

    /// Says which code of the project is left out.
    pub(crate) fn say_left_out(&self, selection: &Selection, io: &mut Io<'_>) {
        let own = selection.left_out.iter().filter(|package| package.is_own());
        let own: Vec<&str> = own.map(|package| package.name.normalized()).collect();
        if !own.is_empty() {
            let own = own.join(", ");
            io.note(&format!("{}: the project's own code is left out: {own}", self.file.origin));
        }
    }
}

/// A package of which only the code is there, as answers have it.
#[derive(Debug, Serialize)]
pub(crate) struct LeftOut {
    pub(crate) name: String,
    version: Option<String>,
    kind: &'static str,
    path: String,
    pub(crate) missing: bool,
    because: Vec<String>,
}

impl LeftOut {
    /// Those of a selection.
    pub(crate) fn of(left_out: Vec<lock::LeftOut>) -> Vec<Self> {
        let one = |package: lock::LeftOut| Self {
            name: package.name.normalized().to_owned(),
            version: package.version,
            kind: package.kind,
            path: package.path,
            missing: package.is_missing,
            because: package.because,
        };
        left_out.into_iter().map(one).collect()
    }
}

/// A lock, who wants what of it, and what else its spec needs.
pub(crate) struct Locked {
    wanted: Wanted,
    target: Target,
    launchers: Option<Launchers>,
}

/// What the arguments say of a lock.
pub(crate) struct LockedArguments<'a> {
    /// The lock.
    pub(crate) lock: &'a Utf8Path,
    /// Who wants what of it.
    pub(crate) choice: ChoiceArguments,
    /// The directory with the launchers for Windows.
    pub(crate) launchers: Option<&'a Utf8Path>,
}

impl Locked {
    /// Reads everything but the wheels. Paths of launchers below `root` are given from there.
    ///
    /// # Errors
    /// Something is not there, or is not what it should be.
    pub(crate) fn read(
        arguments: LockedArguments<'_>,
        root: &Utf8Path,
        io: &mut Io<'_>,
    ) -> Result<Self, Error> {
        let file = read(arguments.lock, io)?;
        let (target, wanted) = arguments.choice.read(file, io)?;
        let launchers = launchers::read(arguments.launchers, &target.interpreter, root, io)?;
        Ok(Self { wanted, target, launchers })
    }

    /// The spec of what the lock gives, and what it leaves out. Paths of wheels below `root` are
    /// given from there.
    ///
    /// # Errors
    /// The lock does not have what is wanted.
    pub(crate) fn spec(
        self,
        root: Option<&Utf8Path>,
        fetching: Option<&Fetching>,
        io: &mut Io<'_>,
    ) -> Result<(Spec, Vec<LeftOut>), Error> {
        let selection = self.wanted.choose(&self.target.interpreter, fetching, io)?;
        self.wanted.say_left_out(&selection, io);
        // What is not fetched may be given, or be known from before.
        let mut at_hand = Fetching::at_hand(caches::usual_store(io));
        at_hand.folders = self.wanted.wheels;
        let fetching = fetching.unwrap_or(&at_hand);
        let file = &self.wanted.file;
        let wheels = file.references(&selection, root, fetching, &io.progress)?;
        let spec = Spec {
            python: for_target::python(None, &self.target),
            interpreter: self.target.interpreter,
            launchers: self.launchers,
            wheels,
            sources: Vec::new(),
            path_entries: Vec::new(),
            bytecode: None,
            flags: Flags::default(),
        };
        Ok((spec, LeftOut::of(selection.left_out)))
    }
}

/// What is wanted of a lock.
#[derive(Debug, Args)]
#[command(next_help_heading = "What is wanted")]
pub struct WantedArguments {
    /// With this extra of the project; may be given many times.
    #[arg(long = "extra", value_name = "NAME")]
    extras: Vec<String>,
    /// With all its extras.
    #[arg(long)]
    all_extras: bool,
    /// But without this extra; may be given many times.
    #[arg(long = "no-extra", value_name = "NAME")]
    no_extras: Vec<String>,
    /// With this group of dependencies; may be given many times.
    #[arg(long = "group", value_name = "NAME")]
    groups: Vec<String>,
    /// With all its groups.
    #[arg(long)]
    all_groups: bool,
    /// But without this group; may be given many times.
    #[arg(long = "no-group", value_name = "NAME")]
    no_groups: Vec<String>,
    /// Without the group `dev`, if there is one.
    #[arg(long)]
    no_dev: bool,
    /// Only this group, without the project's own requirements; may be given many times.
    #[arg(long = "only-group", value_name = "NAME", conflicts_with_all = ["extras", "all_extras", "no_extras", "groups", "all_groups"])]
    only_groups: Vec<String>,
    /// Without the groups that count unless they are switched off: those that the lock names, of a
    /// uv.lock that names none `dev`.
    #[arg(long)]
    no_default_groups: bool,
    /// Of a workspace, only what this member requires; may be given many times.
    #[arg(long = "package", value_name = "NAME")]
    packages: Vec<String>,
    /// For packages of which the lock has no wheel that fits: a wheel that was built elsewhere, or
    /// a directory of such; may be given many times.
    #[arg(long, value_name = "DIR|WHEEL")]
    supply: Vec<Utf8PathBuf>,
    /// Trust wheels of which the lock has no hash.
    #[arg(long)]
    unpinned: bool,
    #[command(flatten)]
    anyway: AnywayArguments,
}

/// Options of `uv sync` that ask for what is the case anyway: a lock is never changed, nothing is
/// built, of the project and of a workspace only what they require is installed, of all members
/// unless some are named, and nothing else is in the environment.
#[derive(Debug, Args)]
pub struct AnywayArguments {
    #[arg(long, hide = true)]
    frozen: bool,
    #[arg(long, hide = true)]
    no_build: bool,
    #[arg(long, hide = true, alias = "no-install-workspace")]
    no_install_project: bool,
    #[arg(long, hide = true, conflicts_with = "packages")]
    all_packages: bool,
    #[arg(long, hide = true)]
    exact: bool,
}

impl WantedArguments {
    /// An option that was given.
    fn given(&self) -> Option<&'static str> {
        let options = [
            ("--extra", !self.extras.is_empty()),
            ("--all-extras", self.all_extras),
            ("--no-extra", !self.no_extras.is_empty()),
            ("--group", !self.groups.is_empty()),
            ("--all-groups", self.all_groups),
            ("--no-group", !self.no_groups.is_empty()),
            ("--no-dev", self.no_dev),
            ("--only-group", !self.only_groups.is_empty()),
            ("--no-default-groups", self.no_default_groups),
            ("--package", !self.packages.is_empty()),
            ("--supply", !self.supply.is_empty()),
            ("--unpinned", self.unpinned),
            ("--frozen", self.anyway.frozen),
            ("--no-build", self.anyway.no_build),
            ("--no-install-project", self.anyway.no_install_project),
            ("--all-packages", self.anyway.all_packages),
            ("--exact", self.anyway.exact),
        ];
        options.into_iter().find(|(_, given)| *given).map(|(option, _)| option)
    }

    /// Refuses what only means something for a lock where there is none.
    ///
    /// # Errors
    /// Such an option was given.
    pub(crate) fn refuse(&self) -> Result<(), Error> {
        self.given().map_or(Ok(()), |option| Err(needs_a_lock(option)))
    }

    /// What is wanted of a lock, with the wheels that are given. `wheels` are those among which the
    /// wheels of a lock without addresses are found.
    ///
    /// # Errors
    /// A wheel cannot be read.
    pub(crate) fn of(
        self,
        file: LockFile,
        wheels: &[Utf8PathBuf],
        io: &Io<'_>,
    ) -> Result<Wanted, Error> {
        let resolve = |paths: &[Utf8PathBuf]| -> Vec<Utf8PathBuf> {
            paths.iter().map(|path| io.resolve(path)).collect()
        };
        let only_groups = !self.only_groups.is_empty();
        let request = Request {
            supplied: at_hand(&resolve(&self.supply), &file.lock)?,
            at_hand: at_hand(&resolve(wheels), &file.lock)?,
            extras: self.extras,
            all_extras: self.all_extras,
            groups: if only_groups { self.only_groups } else { self.groups },
            all_groups: self.all_groups,
            without: Without { extras: self.no_extras, groups: self.no_groups, dev: self.no_dev },
            only_groups,
            no_default_groups: self.no_default_groups,
            packages: self.packages,
            unpinned: self.unpinned,
        };
        Ok(Wanted { file, request, wheels: resolve(wheels) })
    }
}

/// An option means something for a lock only.
pub(crate) fn needs_a_lock(option: &str) -> Error {
    Error::usage(format!("{option} says what is wanted of a lock"))
        .hint("give the lock, too: `--lock uv.lock`")
}

/// Reads the lock that an argument names; `-` is standard input.
///
/// # Errors
/// There is none.
pub(crate) fn read(path: &Utf8Path, io: &mut Io<'_>) -> Result<LockFile, Error> {
    if path == "-" {
        let mut bytes = Vec::new();
        let origin = "standard input";
        io.stdin.read_to_end(&mut bytes).map_err(files::failed("read", origin.into()))?;
        return LockFile::read(bytes, origin, io.cwd.clone());
    }
    let full = io.resolve(path);
    if full.is_dir() {
        return Err(Error::usage(format!("`{path}` is a directory, expected a lock"))
            .hint("give the file itself: uv.lock, pylock.toml or requirements with hashes"));
    }
    let directory = full.parent().unwrap_or(&io.cwd).to_owned();
    LockFile::read(files::read_document(&full)?, path.as_str(), directory)
}
