//! A directory with wheels, specs and outputs, and the command run in it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use camino::{Utf8Path, Utf8PathBuf};
use serde_json::{Value, json};
use venvtree::cli::io::{Io, Streams};
use venvtree::model::digest::Hash;

/// What a command printed and how it ended.
#[derive(Debug)]
pub(crate) struct Output {
    /// The exit code.
    pub(crate) code: u8,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

impl Output {
    /// Asserts success and returns standard output.
    pub(crate) fn success(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.stdout, self.stderr);
        self.stdout
    }

    /// Asserts that standard error has this part.
    #[track_caller]
    pub(crate) fn says(&self, part: &str) {
        assert!(self.stderr.contains(part), "expected `{part}` in {self:?}");
    }

    /// Asserts that it ended with this exit code, and that standard error has this part.
    #[track_caller]
    pub(crate) fn ends(&self, code: u8, part: &str) {
        assert_eq!(self.code, code, "expected `{part}` in {self:?}");
        self.says(part);
    }

    /// Asserts success and returns standard output as JSON.
    #[track_caller]
    pub(crate) fn report(&self) -> Value {
        assert_eq!(self.code, 0, "{}{}", self.stdout, self.stderr);
        self.json()
    }

    /// Standard output as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}\n{}", self.stdout, self.stderr))
    }
}

/// Runs the command in this process, in an environment without variables.
pub(crate) fn venvtree_in(cwd: &Utf8Path, arguments: &[&str], stdin: &str) -> Output {
    venvtree_with(cwd, arguments, stdin, &[])
}

/// Runs the command in this process, with these variables.
pub(crate) fn venvtree_with(
    cwd: &Utf8Path,
    arguments: &[&str],
    stdin: &str,
    variables: &[(&str, &str)],
) -> Output {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let streams =
        Streams { stdin: &mut stdin.as_bytes(), stdout: &mut stdout, stderr: &mut stderr };
    let variables =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut io = Io::new(streams, cwd.to_owned(), variables);
    let code = venvtree::cli::run(arguments.iter().map(Into::into).collect(), &mut io);
    let text = |bytes| String::from_utf8(bytes).expect("the command prints UTF-8");
    Output { code, stdout: text(stdout), stderr: text(stderr) }
}

/// A temporary directory to build in.
pub(crate) struct Project {
    directory: tempfile::TempDir,
}

impl Project {
    /// An empty one.
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a temporary directory") }
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Utf8Path {
        Utf8Path::from_path(self.directory.path()).expect("temporary directories have UTF-8 paths")
    }

    /// Runs the command in it.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        venvtree_in(self.path(), arguments, "")
    }

    /// Begins a build of `env.json`: `project.build("out").store("store").report()`.
    pub(crate) fn build(&self, out: &str) -> Build<'_> {
        let arguments = ["build", "env.json", "--out", out].map(str::to_owned).into();
        Build { project: self, arguments }
    }

    /// The names of what lies in it, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        names(self.path())
    }

    /// The names in it that nobody asked for: what a command works in until it is done.
    pub(crate) fn left_over(&self) -> Vec<String> {
        self.names().into_iter().filter(|name| name.contains("venvtree-")).collect()
    }

    /// Lets every user write to it, as where environments are made for others.
    pub(crate) fn open_to_all(&self) {
        open_to_all(self.path());
    }

    /// Writes a file in it; parents come into being.
    pub(crate) fn write(&self, path: &str, bytes: impl AsRef<[u8]>) -> Utf8PathBuf {
        let full = self.path().join(path);
        std::fs::create_dir_all(full.parent().expect("below the project"))
            .expect("directories can be made");
        std::fs::write(&full, bytes).expect("files can be written");
        full
    }

    /// Writes a file that may be executed; nobody runs it.
    pub(crate) fn write_program(&self, path: &str, bytes: impl AsRef<[u8]>) -> Utf8PathBuf {
        let path = self.write(path, bytes);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("it is there");
        path
    }

    /// Packs a wheel into `wheels/`; returns its entry for a spec.
    pub(crate) fn wheel(&self, wheel: &WheelText) -> Value {
        let bytes = wheel.pack();
        let path = format!("wheels/{}", wheel.file_name());
        self.write(&path, &bytes);
        json!({"path": path, "sha256": Hash::sha256(&bytes)})
    }

    /// Writes `env.json` with these wheels for `interpreter`, and `change` applied.
    pub(crate) fn spec(
        &self,
        interpreter: Value,
        wheels: &[Value],
        change: impl FnOnce(&mut Value),
    ) {
        let mut spec = json!({"version": 1, "interpreter": interpreter, "wheels": wheels});
        change(&mut spec);
        self.write("env.json", serde_json::to_string_pretty(&spec).expect("JSON renders"));
    }
}

/// A build of `env.json` that is about to be run, with the options that it has been given so far.
pub(crate) struct Build<'a> {
    project: &'a Project,
    arguments: Vec<String>,
}

impl Build<'_> {
    /// With further options.
    pub(crate) fn with(mut self, options: &[&str]) -> Self {
        self.arguments.extend(options.iter().map(|option| (*option).to_owned()));
        self
    }

    /// With a store at this path.
    pub(crate) fn store(self, path: &str) -> Self {
        self.with(&["--store", path])
    }

    /// Without a store.
    pub(crate) fn no_store(self) -> Self {
        self.with(&["--no-store"])
    }

    /// With so many threads.
    pub(crate) fn threads(self, count: usize) -> Self {
        self.with(&["--threads", &count.to_string()])
    }

    /// Writes the manifest to this path.
    pub(crate) fn manifest(self, path: &str) -> Self {
        self.with(&["--manifest", path])
    }

    /// Runs it.
    pub(crate) fn run(self) -> Output {
        self.project.run(&self.arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Runs it with a report as JSON, whether it succeeds or not.
    pub(crate) fn run_for_json(self) -> Output {
        self.with(&["--format", "json"]).run()
    }

    /// Runs it and asserts success; returns the report.
    #[track_caller]
    pub(crate) fn report(self) -> Value {
        self.run_for_json().report()
    }
}

/// The names of what lies in a directory, sorted.
pub(crate) fn names(directory: &Utf8Path) -> Vec<String> {
    let entries = directory.read_dir_utf8().expect("a directory");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_owned()).collect();
    names.sort();
    names
}

/// Lets every user write to a directory.
pub(crate) fn open_to_all(directory: &Utf8Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o777))
        .expect("modes can be set");
}

/// A wheel of so many files, one of them large, that writing them takes a while.
pub(crate) fn much_work() -> WheelText {
    let mut wheel = WheelText::new("many", "1.0").file("many/large.bin", "x".repeat(8 << 20));
    for index in 0..6000 {
        wheel = wheel.file(
            &format!("many/p{}/m{index}.py", index % 40),
            format!("VALUE = {index}\n").repeat(20),
        );
    }
    wheel
}

/// The interpreter of specs whose environments are not run.
pub(crate) fn some_interpreter() -> Value {
    json!({
        "implementation": "cpython",
        "version": "3.11.7",
        "abi": "cp311",
        "platform": {"os": "linux", "arch": "x86_64", "libc": "glibc-2.36"},
        "python": {"kind": "absolute", "path": "/usr/bin/python3.11"},
    })
}

/// Writes `compiled.json`: `env.json`, for the version that the compiler of tests is of, with
/// bytecode.
pub(crate) fn compiled_spec(project: &Project) {
    let spec = std::fs::read_to_string(project.path().join("env.json")).expect("it was written");
    let mut spec: Value = serde_json::from_str(&spec).expect("it is JSON");
    spec["interpreter"]["version"] = "3.12.1".into();
    spec["interpreter"]["abi"] = "cp312".into();
    spec["bytecode"] = json!({});
    project.write("compiled.json", spec.to_string());
}

/// A wheel as text: packed when a test needs it.
#[derive(Debug, Clone)]
pub(crate) struct WheelText {
    name: String,
    version: String,
    tag: String,
    metadata: String,
    files: BTreeMap<String, (Vec<u8>, bool)>,
    unlisted: Vec<String>,
}

impl WheelText {
    /// A pure wheel for every Python 3, with nothing in it.
    pub(crate) fn new(name: &str, version: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            tag: "py3-none-any".to_owned(),
            metadata: String::new(),
            files: BTreeMap::new(),
            unlisted: Vec::new(),
        }
    }

    /// One whose file is called so, but for `.whl`: `demo-1.0-py3-none-any`.
    pub(crate) fn named(stem: &str) -> Self {
        let mut parts = stem.splitn(3, '-');
        let mut next = || parts.next().expect("a name, a version and a tag");
        Self::new(next(), next()).tag(next())
    }

    /// One with a module and a console script of its name, which prints `ran`.
    pub(crate) fn that_prints_ran(name: &str) -> Self {
        Self::new(name, "1.0")
            .file(&format!("{name}.py"), "def main(): print('ran')\n")
            .console_scripts(&format!("{name} = {name}:main"))
    }

    /// With another tag.
    pub(crate) fn tag(mut self, tag: &str) -> Self {
        tag.clone_into(&mut self.tag);
        self
    }

    /// With a further line of METADATA.
    pub(crate) fn metadata(mut self, line: &str) -> Self {
        self.metadata.push_str(line);
        self.metadata.push('\n');
        self
    }

    /// With a file.
    pub(crate) fn file(mut self, path: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.files.insert(path.to_owned(), (bytes.as_ref().to_vec(), false));
        self
    }

    /// With files that all hold the same.
    pub(crate) fn files(self, paths: &[impl AsRef<str>], bytes: &str) -> Self {
        paths.iter().fold(self, |wheel, path| wheel.file(path.as_ref(), bytes))
    }

    /// With an executable file.
    pub(crate) fn executable(mut self, path: &str, bytes: impl AsRef<[u8]>) -> Self {
        self.files.insert(path.to_owned(), (bytes.as_ref().to_vec(), true));
        self
    }

    /// With a file that RECORD does not list.
    pub(crate) fn unlisted(self, path: &str, bytes: impl AsRef<[u8]>) -> Self {
        let mut wheel = self.file(path, bytes);
        wheel.unlisted.push(path.to_owned());
        wheel
    }

    /// With console scripts, one line each.
    pub(crate) fn console_scripts(self, lines: &str) -> Self {
        let path = format!("{}/entry_points.txt", self.dist_info());
        self.file(&path, format!("[console_scripts]\n{lines}\n"))
    }

    /// The name of its metadata directory.
    pub(crate) fn dist_info(&self) -> String {
        format!("{}-{}.dist-info", self.name, self.version)
    }

    /// The name of its `.data` directory.
    pub(crate) fn data(&self) -> String {
        format!("{}-{}.data", self.name, self.version)
    }

    /// Its file name.
    pub(crate) fn file_name(&self) -> String {
        format!("{}-{}-{}.whl", self.name, self.version, self.tag)
    }

    /// The archive's bytes, the same every time.
    pub(crate) fn pack(&self) -> Vec<u8> {
        let mut files = self.files.clone();
        let dist_info = self.dist_info();
        let purelib = self.tag.ends_with("-any");
        let tags: String = self.expanded_tags().iter().map(|tag| format!("Tag: {tag}\n")).collect();
        let wheel =
            format!("Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: {purelib}\n{tags}");
        let metadata = format!(
            "Metadata-Version: 2.1\nName: {}\nVersion: {}\n{}",
            self.name, self.version, self.metadata
        );
        files.entry(format!("{dist_info}/WHEEL")).or_insert((wheel.into_bytes(), false));
        files.entry(format!("{dist_info}/METADATA")).or_insert((metadata.into_bytes(), false));
        let own = format!("{dist_info}/RECORD");
        if !files.contains_key(&own) {
            let listed = files.iter().filter(|(path, _)| !self.unlisted.contains(path));
            let rows = listed
                .map(|(path, (bytes, _))| (path.as_str(), Hash::sha256(bytes), bytes.len() as u64));
            let record = venvtree::model::wheel::record::render(&own, rows);
            files.insert(own, (record, false));
        }
        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (path, (bytes, executable)) in &files {
            let options = zip::write::SimpleFileOptions::default()
                .compression_method(zip::CompressionMethod::Deflated)
                .unix_permissions(if *executable { 0o755 } else { 0o644 });
            archive.start_file(path, options).expect("a new name");
            archive.write_all(bytes).expect("memory is enough");
        }
        archive.finish().expect("memory is enough").into_inner()
    }

    fn expanded_tags(&self) -> Vec<String> {
        let parts: Vec<Vec<&str>> =
            self.tag.split('-').map(|part| part.split('.').collect()).collect();
        let mut tags = Vec::new();
        for interpreter in &parts[0] {
            for abi in &parts[1] {
                tags.extend(
                    parts[2].iter().map(|platform| format!("{interpreter}-{abi}-{platform}")),
                );
            }
        }
        tags
    }
}

/// Every path below a directory with what is there, one line each, sorted: `path mode bytes`, `path
/// -> target`, `path/`.
pub(crate) fn listing(root: &Path) -> Vec<String> {
    fn visit(root: &Path, directory: &Path, lines: &mut Vec<String>) {
        use std::os::unix::fs::PermissionsExt;
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(root).expect("below the root").display().to_string();
            let metadata = path.symlink_metadata().expect("it is there");
            if metadata.is_dir() {
                lines.push(format!("{name}/ {:o}", metadata.permissions().mode() & 0o7777));
                visit(root, &path, lines);
            } else if metadata.is_symlink() {
                lines.push(format!(
                    "{name} -> {}",
                    std::fs::read_link(&path).expect("a link").display()
                ));
            } else {
                lines.push(format!(
                    "{name} {:o} {}",
                    metadata.permissions().mode() & 0o7777,
                    metadata.len()
                ));
            }
        }
    }
    let mut lines = Vec::new();
    visit(root, root, &mut lines);
    lines.sort();
    lines
}

/// A `pylock.toml` of the wheel of `sample` 1.0 that the project has.
pub(crate) fn sample_lock(project: &Project) -> String {
    let path = "wheels/sample-1.0-py3-none-any.whl";
    let bytes = std::fs::read(project.path().join(path)).expect("the project has the wheel");
    let hash = Hash::sha256(&bytes);
    format!(
        "lock-version = \"1.0\"\ncreated-by = \"tests\"\n\n[[packages]]\nname = \"sample\"\nversion = \"1.0\"\n\
         wheels = [{{ path = \"{path}\", hashes = {{ sha256 = \"{hash}\" }} }}]\n"
    )
}
