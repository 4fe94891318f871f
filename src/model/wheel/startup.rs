//! What would run, or change, whenever the interpreter starts.
//!
//! Model layer. The `site` module reads `.pth` files (and `.start` files, PEP 829) in site-packages
//! and imports `sitecustomize` and `usercustomize`; none of that is wrong, all of it should be
//! visible. What the interpreter reads before that, beside its executable, no wheel may bring.

use std::collections::{BTreeMap, BTreeSet};

use super::standard_library::is_standard_module;
use crate::model::finding::{Code, Findings};
use crate::model::portable::fold;
use crate::model::reserved::{self, Reserved};

/// Where a member of a wheel lies relative to site-packages, if it is installed there. `data` is
/// the name of the `.data` folder.
pub fn site_path<'path>(path: &'path str, data: &str) -> Option<&'path str> {
    let Some(rest) = path.strip_prefix(data).and_then(|rest| rest.strip_prefix('/')) else {
        return Some(path);
    };
    let (scheme, rest) = rest.split_once('/')?;
    match scheme {
        "purelib" | "platlib" => Some(rest),
        // Some wheels spell site-packages out.
        "data" => {
            let at = rest.to_ascii_lowercase().find("site-packages/")?;
            Some(&rest[at + "site-packages/".len()..])
        }
        _ => None,
    }
}

/// Why the environment itself needs the place where a member of a `.data` folder would be
/// installed, if it does: `path` is below the folder `scheme`. Names of folders are those of any
/// platform.
pub fn reserved_target(scheme: &str, path: &str) -> Option<Reserved> {
    match scheme {
        "scripts" => reserved::in_scripts(path),
        "data" => {
            ["bin", "Scripts"].iter().find_map(|scripts| reserved::in_environment(path, scripts))
        }
        _ => None,
    }
}

/// Reports what an interpreter would look for, to find its settings or its own library, before it
/// reads anything else. `data` is the name of the wheel's `.data` folder.
pub fn examine_targets<'a>(
    members: impl IntoIterator<Item = &'a str>,
    data: &str,
    findings: &mut Findings,
) {
    for member in members {
        let below = member
            .strip_prefix(data)
            .and_then(|rest| rest.strip_prefix('/'))
            .and_then(|rest| rest.split_once('/'));
        if below
            .is_some_and(|(scheme, path)| reserved_target(scheme, path) == Some(Reserved::Startup))
        {
            findings.add_member(Code::StartupInterpreter, member, Reserved::Startup.reason());
        }
    }
}

/// The same for the files of an environment, by their paths relative to its root; `scripts` is its
/// folder of scripts.
pub fn examine_environment<'a>(
    paths: impl IntoIterator<Item = &'a str>,
    scripts: &str,
    findings: &mut Findings,
) {
    for path in paths {
        if reserved::in_environment(path, scripts) == Some(Reserved::Startup) {
            findings.add_member(Code::StartupInterpreter, path, Reserved::Startup.reason());
        }
    }
}

/// Whether the bytes of a file in site-packages matter for start-up, so that they have to be read.
pub fn is_path_file(site_path: &str) -> bool {
    !site_path.contains('/') && site_path.ends_with(".pth")
}

/// The module that a file or folder in site-packages makes importable.
fn module(site_path: &str) -> Option<&str> {
    match site_path.split_once('/') {
        Some((folder, rest)) => {
            let code = [".py", ".pyc", ".so", ".pyd"].iter().any(|ending| rest.ends_with(ending));
            (code && !folder.contains('.')).then_some(folder)
        }
        None => {
            let (module, ending) = site_path.split_once('.')?;
            (matches!(ending, "py" | "pyc") || ending.ends_with("so") || ending.ends_with("pyd"))
                .then_some(module)
        }
    }
}

/// Whether starting an interpreter imports a module of this name: by `site`, or by the
/// `sitecustomize` of Debian's and Ubuntu's own.
fn runs_at_start(module: &str) -> bool {
    matches!(module, "sitecustomize" | "usercustomize" | "apport_python_hook")
}

/// Reports what the names of files in site-packages (`paths`, each with the member that it comes
/// from) do at start-up. `added` are the places in it that `.pth` files add to `sys.path`: modules
/// in them can be imported as those beside them.
pub fn examine_names<'a>(
    paths: impl IntoIterator<Item = (&'a str, &'a str)>,
    added: &Added,
    findings: &mut Findings,
) {
    let mut shadows: BTreeMap<&str, &str> = BTreeMap::new();
    let mut inner: BTreeMap<&str, &str> = BTreeMap::new();
    let mut archives: BTreeSet<&str> = BTreeSet::new();
    for (path, member) in paths {
        if !path.contains('/') && path.ends_with(".start") {
            findings.add_member(
                Code::StartupFile,
                member,
                "the entry points that it names run whenever the interpreter starts",
            );
        }
        if let Some(module) = module(path)
            && (runs_at_start(module) || is_standard_module(module))
        {
            shadows.entry(module).or_insert(member);
        }
        if added.places.is_empty() {
            continue;
        }
        for (slash, _) in path.match_indices('/').filter(|(slash, _)| added.holds(&path[..*slash]))
        {
            // What the standard library has comes before such a place; nothing comes before what
            // has no other one.
            if let Some(module) = module(&path[slash + 1..]).filter(|module| runs_at_start(module))
            {
                inner.entry(module).or_insert(member);
            }
        }
        if added.leads_into(path) {
            archives.insert(member);
        }
    }
    for (module, member) in shadows {
        if runs_at_start(module) {
            findings.add_member(
                Code::StartupCustomize,
                member,
                format!("the module `{module}` runs whenever the interpreter starts"),
            );
        } else {
            findings.add_member(
                Code::StartupShadow,
                member,
                format!("`{module}` is also a module of the standard library"),
            );
        }
    }
    for (module, member) in inner {
        let message = format!(
            "the module `{module}` runs whenever the interpreter starts, as a `.pth` file adds its folder"
        );
        findings.add_member(Code::StartupCustomize, member, message);
    }
    for member in archives {
        findings.add_member(
            Code::StartupPath,
            member,
            "a `.pth` file adds it as an archive of modules, which are not looked at",
        );
    }
}

/// The most lines of a `.pth` file that are told one by one.
const LINES_TOLD: u64 = 100;

/// The most places of `.pth` files that are looked into; real wheels have a handful.
const PLACES_LIMIT: usize = 10_000;

/// The places in site-packages that `.pth` files add to `sys.path`.
#[derive(Debug, Default)]
pub struct Added {
    /// As written, with `/` between components.
    written: BTreeSet<String>,
    /// As a file system sees them that ignores case.
    places: BTreeSet<String>,
}

impl Added {
    /// Takes the places that a `.pth` file adds, as far as they lie in site-packages; others are
    /// reported by [`examine_path_file`].
    pub fn take(&mut self, bytes: &[u8], member: &str, findings: &mut Findings) {
        let text = String::from_utf8_lossy(bytes);
        for (_, line) in lines(text.strip_prefix('\u{feff}').unwrap_or(&text)) {
            let path = line.trim();
            if path.is_empty() || line.starts_with('#') || is_import(line) || is_absolute(path) {
                continue;
            }
            let Some(place) = inside(path).filter(|place| !place.is_empty()) else {
                continue;
            };
            if self.written.contains(&place) {
                continue;
            }
            if self.written.len() == PLACES_LIMIT {
                let message = format!(
                    "with it `.pth` files add more than {PLACES_LIMIT} places; the others are not looked into"
                );
                return findings.add_member(Code::StartupPath, member, message);
            }
            self.places.insert(fold(&place).into_owned());
            self.written.insert(place);
        }
    }

    /// The places, relative to site-packages, sorted.
    pub fn places(&self) -> impl Iterator<Item = &str> {
        self.written.iter().map(String::as_str)
    }

    fn holds(&self, folder: &str) -> bool {
        self.places.contains(&*fold(folder))
    }

    /// Whether a file is such a place, or has one in it: an archive.
    fn leads_into(&self, file: &str) -> bool {
        let file = fold(file);
        let below = format!("{file}/");
        self.places.contains(&*file)
            || self
                .places
                .range(below.clone()..)
                .next()
                .is_some_and(|place| place.starts_with(&below))
    }
}

/// The lines of a `.pth` file, from 0. Since Python 3.13 they are those of `str.splitlines`, which
/// knows more ends than a line feed.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.split(|character| matches!(character, '\n' | '\r') || is_late_end(character)).enumerate()
}

/// What ends a line for `str.splitlines` and for no file that is read line by line.
fn is_late_end(character: char) -> bool {
    matches!(
        character,
        '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
    )
}

fn is_import(line: &str) -> bool {
    line.starts_with("import ") || line.starts_with("import\t")
}

fn is_absolute(path: &str) -> bool {
    path.starts_with(['/', '\\']) || path.as_bytes().get(1) == Some(&b':')
}

/// A relative path without `.` and `..`; nothing if it leads out of the folder that it is relative
/// to.
fn inside(path: &str) -> Option<String> {
    let mut components = Vec::new();
    for component in path.split(['/', '\\']) {
        match component {
            "" | "." => {}
            ".." => {
                components.pop()?;
            }
            _ => components.push(component),
        }
    }
    Some(components.join("/"))
}

/// Says that a `.pth` file is too large to be looked at whole, of which only so many bytes were.
pub fn report_large(limit: u64, member: &str, findings: &mut Findings) {
    findings.add_member(
        Code::StartupImport,
        member,
        format!("more than {limit} bytes: whatever comes behind them is not looked at"),
    );
}

/// Reports what a `.pth` file does at start-up. Lines are read as `site` reads them: empty ones and
/// those that start with `#` are nothing, those that start with `import` and a space or tab are
/// run, others are added to `sys.path`.
pub fn examine_path_file(bytes: &[u8], member: &str, findings: &mut Findings) {
    let mut encoding = |message: &str| findings.add_member(Code::StartupEncoding, member, message);
    if bytes.starts_with("\u{feff}".as_bytes()) {
        encoding("a byte order mark, which older interpreters take for a part of the first line");
    }
    if bytes.contains(&0) {
        encoding("a NUL, at which some interpreters stop");
    }
    if std::str::from_utf8(bytes).is_err() {
        encoding("bytes that are not UTF-8, which interpreters read by the locale's encoding");
    }
    let text = String::from_utf8_lossy(bytes);
    if text.contains(is_late_end) {
        encoding("a character at which newer interpreters end a line and older ones do not");
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let shorten = |line: &str| {
        if line.chars().count() > 80 {
            line.chars().take(79).chain(['…']).collect()
        } else {
            line.to_owned()
        }
    };
    let imports: Vec<(usize, &str)> = lines(text).filter(|(_, line)| is_import(line)).collect();
    if let Some((number, line)) = imports.first() {
        let more = if imports.len() > 1 {
            format!(" and {} more lines", imports.len() - 1)
        } else {
            String::new()
        };
        findings.add_member(
            Code::StartupImport,
            member,
            format!("line {} runs `{}`{more}", number + 1, shorten(line)),
        );
    }
    let mut outside = 0;
    for (number, line) in lines(text) {
        let path = line.trim();
        if path.is_empty() || line.starts_with('#') || is_import(line) {
            continue;
        }
        let absolute = is_absolute(path);
        if absolute || inside(path).is_none() {
            outside += 1;
            if outside > LINES_TOLD {
                continue;
            }
            let what = if absolute { "an absolute path" } else { "a path outside site-packages" };
            findings.add_member(
                Code::StartupPath,
                member,
                format!("line {} adds {what}: `{}`", number + 1, shorten(path)),
            );
        }
    }
    if outside > LINES_TOLD {
        findings.omit(Code::StartupPath, outside - LINES_TOLD);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &[&str], bytes: &[u8], expected: &[Code]) {
        let mut findings = Findings::new();
        let mut added = Added::default();
        added.take(bytes, "a.pth", &mut findings);
        examine_names(names.iter().map(|name| (*name, *name)), &added, &mut findings);
        examine_path_file(bytes, "a.pth", &mut findings);
        let mut codes: Vec<Code> = findings.finish().iter().map(|finding| finding.code).collect();
        codes.sort();
        assert_eq!(codes, expected, "{names:?} {}", String::from_utf8_lossy(bytes));
    }

    #[test]
    fn lines_of_path_files_are_read_as_site_reads_them() {
        check(&[], b"# import os\n\nimportant\nfolder/below\n./x/../y\n import os\n", &[]);
        check(&[], b"import os\n", &[Code::StartupImport]);
        check(&[], b"x\r\nimport\tos; os.system('x')\nimport y\n", &[Code::StartupImport]);
        check(&[], b"/usr/lib\n", &[Code::StartupPath]);
        check(&[], b"C:\\Python\n", &[Code::StartupPath]);
        check(&[], b"a/../../b\n", &[Code::StartupPath]);
        check(&[], b"\xef\xbb\xbfimport os\n", &[Code::StartupImport, Code::StartupEncoding]);
        check(&[], b"a\0b\n", &[Code::StartupEncoding]);
        check(&[], b"\xff\n", &[Code::StartupEncoding]);
    }

    #[test]
    fn lines_end_where_any_interpreter_ends_them() {
        for end in
            ["\u{b}", "\u{c}", "\u{1c}", "\u{1d}", "\u{1e}", "\u{85}", "\u{2028}", "\u{2029}"]
        {
            check(
                &[],
                format!("# x{end}import os\n").as_bytes(),
                &[Code::StartupImport, Code::StartupEncoding],
            );
        }
    }

    #[test]
    fn what_path_files_add_is_looked_into() {
        let site =
            ["sub/sitecustomize.py", "sub/a/usercustomize/__init__.py", "sub/os.py", "x.zip"];
        check(&site, b"other\n", &[]);
        check(&site, b"sub\n", &[Code::StartupCustomize]);
        check(&site, b"./x/../SUB/\n", &[Code::StartupCustomize]);
        check(&site, b"sub\\a\nsub\n", &[Code::StartupCustomize, Code::StartupCustomize]);
        check(&site, b"# sub\n", &[]);
        check(&site, b"x.zip\n", &[Code::StartupPath]);
        check(&site, b"x.zip/inner\n", &[Code::StartupPath]);
        let many: String = (0..=PLACES_LIMIT).map(|index| format!("p{index}\n")).collect();
        check(&site, many.as_bytes(), &[Code::StartupPath]);
    }

    #[test]
    fn names_show_what_runs_and_what_shadows() {
        check(
            &["six.py", "a/os.py", "os/readme.txt", "os.txt", "a-1.dist-info/METADATA"],
            b"",
            &[],
        );
        check(&["hook.start"], b"", &[Code::StartupFile]);
        check(&["sitecustomize.py"], b"", &[Code::StartupCustomize]);
        check(&["usercustomize/__init__.py"], b"", &[Code::StartupCustomize]);
        check(&["apport_python_hook.py"], b"", &[Code::StartupCustomize]);
        check(&["sitecustomize.cpython-311-x86_64-linux-gnu.so"], b"", &[Code::StartupCustomize]);
        check(&["encodings/utf_8.py", "encodings/__init__.py"], b"", &[Code::StartupShadow]);
        check(&["os.py", "ssl.pyd"], b"", &[Code::StartupShadow, Code::StartupShadow]);
    }

    #[test]
    fn members_are_found_where_they_are_installed() {
        let check = |path: &str, expected: Option<&str>| {
            assert_eq!(site_path(path, "a-1.data"), expected, "{path}")
        };
        check("x.pth", Some("x.pth"));
        check("a-1.data/purelib/x.pth", Some("x.pth"));
        check("a-1.data/platlib/x/y.py", Some("x/y.py"));
        check("a-1.data/data/lib/python3.11/site-packages/x.pth", Some("x.pth"));
        check("a-1.data/data/LIB/Site-Packages/x.pth", Some("x.pth"));
        check("a-1.data/data/share/x.pth", None);
        check("a-1.data/scripts/x", None);
        check("a-1.database/x", Some("a-1.database/x"));
    }

    #[test]
    fn what_the_interpreter_looks_for_is_told() {
        let check = |member: &str, expected: usize| {
            let mut findings = Findings::new();
            examine_targets([member], "a-1.data", &mut findings);
            assert_eq!(
                findings
                    .finish()
                    .iter()
                    .filter(|finding| finding.code == Code::StartupInterpreter)
                    .count(),
                expected,
                "{member}"
            );
        };
        for member in [
            "scripts/python._pth",
            "data/bin/pyvenv.cfg",
            "data/Scripts/PYTHON3._PTH",
            "data/lib/python312.zip",
        ] {
            check(&format!("a-1.data/{member}"), 1);
        }
        for member in [
            "a-1.data/scripts/python",
            "a-1.data/data/share/python._pth",
            "python._pth",
            "a-1.data/purelib/python._pth",
        ] {
            check(member, 0);
        }
        assert_eq!(reserved_target("data", "pyvenv.cfg"), Some(Reserved::Environment));
        assert_eq!(reserved_target("data", "scripts/activate.bat"), Some(Reserved::Activation));
        assert_eq!(reserved_target("headers", "pyvenv.cfg"), None);
    }
}
