//! Whether anything of what a compiler did before reaches the canonical form: the order of sources,
//! its hashes, how many compile at once, what it imported, and who built it.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use venvtree::model::bytecode::marshal::canonical;

use crate::support::commands::{feed, succeed_alone};
use crate::support::download::wheels_with_needs;
use crate::support::programs::{Python, compilers, interpreters};
use crate::support::random::Random;

/// A module: its name and its bytes.
pub(crate) type Module = (String, Vec<u8>);

/// The program that the tool starts.
pub(crate) const COMPILER: &str = include_str!("../../src/effects/interpreters/compile.py");
/// What a compiler with a past has seen: names, and a letter as one, as where an identifier is `é`.
const SEEN: &str = "import sys
kept = [sys.intern(form % number) for number in range(9) for form in ('only_%d', 'only_%d.here')]
sys.intern('\\xe9')";

/// The standard library of an interpreter.
pub(crate) fn library_of(python: &Python) -> PathBuf {
    const PROGRAM: &str = "import os; print(os.path.dirname(os.__file__))";
    succeed_alone(Command::new(&python.path).args(["-I", "-c", PROGRAM])).trim().into()
}

/// Modules of the oldest standard library of an interpreter whose bytecode is made: every `step`th.
/// What was installed below it counts for nothing, for it differs from machine to machine.
pub(crate) fn library(step: usize) -> Vec<Module> {
    let interpreter = interpreters().into_iter().find(|python| python.version >= (3, 11));
    modules_below(&library_of(&interpreter.expect("there is one")), step)
}

/// Modules below a directory, with their bytes: every `step`th.
pub(crate) fn modules_below(root: &Path, step: usize) -> Vec<Module> {
    let mut found: Vec<PathBuf> = Vec::new();
    let mut left = vec![root.to_owned()];
    while let Some(folder) = left.pop() {
        for entry in folder.read_dir().unwrap().flatten() {
            let path = entry.path();
            let name = entry.file_name().into_string().unwrap();
            if path.is_dir()
                && !["__pycache__", "lib2to3", "site-packages"].contains(&name.as_str())
            {
                left.push(path);
            } else if name.ends_with(".py") {
                found.push(path);
            }
        }
    }
    found.sort();
    let name = |path: &PathBuf| path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
    found.iter().step_by(step).map(|path| (name(path), std::fs::read(path).unwrap())).collect()
}

/// What a compiler's history is made of, as choices of each of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pass {
    choices: [usize; 5],
}

/// How many choices there are.
const CHOICES: [usize; 5] = [3, 3, 3, 2, 3];
const SEEDS: [u32; 3] = [0, 1, 20_261_129];
const WORKERS: [usize; 3] = [1, 2, 4];

impl Pass {
    /// As it is compared with: sorted, hashes that begin at nothing, alone, just started.
    fn plain(level: usize) -> Self {
        Self { choices: [0, 0, 0, 0, level] }
    }

    fn level(self) -> usize {
        self.choices[4]
    }

    /// Every one.
    fn all() -> Vec<Self> {
        let mut all = vec![Self::plain(0)];
        for (at, choices) in CHOICES.into_iter().enumerate() {
            let with = |choice| {
                move |mut pass: Self| {
                    pass.choices[at] = choice;
                    pass
                }
            };
            all =
                (0..choices).flat_map(|choice| all.clone().into_iter().map(with(choice))).collect();
        }
        all
    }

    /// Every two of its choices.
    fn pairs(self) -> impl Iterator<Item = (usize, usize, usize, usize)> {
        let choices = self.choices;
        (0..5).flat_map(move |one| (0..one).map(move |two| (one, choices[one], two, choices[two])))
    }

    /// A few with which every choice meets every choice of another kind.
    fn covering() -> Vec<Self> {
        let all = Self::all();
        let mut missing: BTreeSet<_> = all.iter().flat_map(|pass| pass.pairs()).collect();
        let mut taken = Vec::new();
        while !missing.is_empty() {
            let new = |pass: &&Self| pass.pairs().filter(|pair| missing.contains(pair)).count();
            let best = *all.iter().max_by_key(new).expect("there are some");
            missing = missing.difference(&best.pairs().collect()).copied().collect();
            taken.push(best);
        }
        taken
    }

    /// The order in which sources are compiled.
    fn order(self, count: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..count).collect();
        match self.choices[0] {
            0 => {}
            1 => order.reverse(),
            _ => {
                let mut random = Random::new(u64::from(SEEDS[self.choices[1]]));
                (1..count).rev().for_each(|at| order.swap(at, random.below(at + 1)));
            }
        }
        order
    }
}

/// What `marshal.dumps` gives for each source, in the order of the sources; nothing where one does
/// not compile. Several compilers take sources in turn.
fn marshalled(python: &Python, sources: &[Module], pass: Pass) -> Vec<Vec<u8>> {
    let order = pass.order(sources.len());
    let [_, seed, workers, dirty, level] = pass.choices;
    let workers = WORKERS[workers];
    let program = match dirty {
        0 => format!("DIRTY = False\nSECONDS = 60\n{COMPILER}"),
        _ => format!("DIRTY = True\nSECONDS = 60\n{SEEN}\n{COMPILER}"),
    };
    let answers = std::thread::scope(|scope| {
        let start = |worker: usize| {
            let mut input = Vec::new();
            for &index in order.iter().skip(worker).step_by(workers) {
                let (name, source) = &sources[index];
                input.push(level as u8);
                input.extend((name.len() as u32).to_le_bytes());
                input.extend((source.len() as u32).to_le_bytes());
                input.extend(name.as_bytes());
                input.extend(source);
            }
            // A file, so that nobody waits for the other; it may write to none.
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(&file, input).unwrap();
            let mut command = Command::new(&python.path);
            command.args(["-s", "-S", "-B", "-X", "utf8", "-W", "ignore", "-c", &program]);
            command.env_clear().env("PYTHONHASHSEED", SEEDS[seed].to_string());
            command.stdin(std::fs::File::open(&file).unwrap()).stderr(Stdio::null());
            scope.spawn(move || command.output().unwrap().stdout)
        };
        let started: Vec<_> = (0..workers).map(start).collect();
        started.into_iter().map(|worker| worker.join().unwrap()).collect::<Vec<_>>()
    });
    let mut found = vec![Vec::new(); sources.len()];
    for (worker, answers) in answers.iter().enumerate() {
        let mut rest = answers.as_slice();
        let mut answer = || {
            let length = u32::from_le_bytes(rest[1..5].try_into().unwrap()) as usize;
            let (whole, tail) = rest.split_at(5 + length);
            rest = tail;
            (whole[0], &whole[5..])
        };
        let (_, greeting) = answer();
        assert!(greeting.starts_with(b"cpython\n"), "{:?}", python.path);
        for &index in order.iter().skip(worker).step_by(workers) {
            let (status, payload) = answer();
            assert!(status < 2, "{}: {}", sources[index].0, String::from_utf8_lossy(payload));
            if status == 0 {
                found[index] = payload.to_vec();
            }
        }
        assert!(rest.is_empty());
    }
    found
}

/// Answers of a pass that others are compared with, and their canonical form where that was asked.
struct Answers {
    raw: Vec<Vec<u8>>,
    canonical: Vec<OnceCell<Vec<u8>>>,
}

impl Answers {
    fn new(raw: Vec<Vec<u8>>) -> Self {
        let canonical = raw.iter().map(|_| OnceCell::new()).collect();
        Self { raw, canonical }
    }

    /// Which sources get other bytes in another pass as they come, and how many in the canonical
    /// form.
    fn differences(&self, others: &[Vec<u8>]) -> (Vec<usize>, usize) {
        let (mut raw, mut canon) = (Vec::new(), 0);
        let pairs = self.raw.iter().zip(&self.canonical).zip(others);
        for (index, ((one, form), other)) in pairs.enumerate() {
            assert_eq!(one.is_empty(), other.is_empty());
            // The canonical form of the same bytes is the same.
            if one != other {
                raw.push(index);
                let form = form.get_or_init(|| canonical(one).unwrap());
                canon += usize::from(*form != canonical(other).unwrap());
            }
        }
        (raw, canon)
    }
}

/// Compares passes with plain ones; which sources differ as they come.
#[expect(clippy::print_stdout, reason = "what was compared is the result")]
fn check(python: &Python, sources: &[Module], passes: &[Pass]) -> BTreeSet<usize> {
    let mut all = BTreeSet::new();
    for level in 0..3 {
        let passes = passes.iter().filter(|pass| pass.level() == level);
        let plain = Answers::new(marshalled(python, sources, Pass::plain(level)));
        for pass in passes.filter(|pass| **pass != Pass::plain(level)) {
            let (raw, canon) = plain.differences(&marshalled(python, sources, *pass));
            let (count, version) = (raw.len(), python.version);
            println!("{version:?} {pass:?}: {count} as they come, {canon} canonical");
            assert_eq!(canon, 0, "{version:?} {pass:?}");
            all.extend(raw);
        }
    }
    all
}

/// Compares passes on every interpreter. As it comes, the form has to differ on each for a control, and
/// for as many of the sources as `seen` says, or this would see nothing.
#[expect(clippy::print_stdout, reason = "what was compared is the result")]
fn check_all(sources: &[Module], passes: &[Pass], seen: usize) {
    // What something else in the process has or has not is marked otherwise: from 3.13 on names of
    // classes, before it letters.
    let class = |number| format!("only_{number}.x\nclass only_{number}:\n class here: pass\n");
    let control = (0..9).map(class).collect::<String>() + "x = 'é'\n";
    let control = ("control.py".to_owned(), control.into_bytes());
    let with_control = &[sources, &[control]].concat();
    let compilers = compilers();
    // Side by side: most passes have one compiler at work.
    let raw: Vec<_> = std::thread::scope(|scope| {
        let start = |python| scope.spawn(move || check(python, with_control, passes));
        let started: Vec<_> = compilers.iter().map(start).collect();
        started.into_iter().map(|check| check.join().unwrap()).collect()
    });
    for (python, mut raw) in compilers.iter().zip(raw) {
        let version = python.version;
        assert!(raw.remove(&sources.len()), "{version:?}: no history reaches the control");
        println!("{version:?}: {} of {} sources differ as they come", raw.len(), sources.len());
        assert!(raw.len() >= seen, "{version:?}: the canonical form takes nothing away: {raw:?}");
    }
}

#[test]
fn no_history_reaches_the_canonical_form() {
    let passes = [[1, 1, 1, 0, 0], [2, 0, 0, 1, 0], [2, 2, 2, 1, 1], [1, 2, 0, 1, 2]];
    check_all(&library(16), &passes.map(|choices| Pass { choices }), 0);
}

#[test]
fn few_passes_cover_all_pairs_of_choices() {
    assert_eq!(Pass::all().len(), 162);
    let covering = Pass::covering();
    assert!(covering.len() < 20, "{covering:?}");
}

/// All modules of a standard library, and of those of wheels every eighth large one, and small ones
/// until there are more than ten thousand of different content: few small ones have a history.
fn many_modules() -> Vec<Module> {
    let mut modules = library(1);
    let oldest = interpreters().into_iter().find(|python| python.version >= (3, 11)).unwrap();
    let mut of_wheels = BTreeSet::new();
    for wheel in wheels_with_needs(&oldest, &["ansible==12.3.0", "django", "sympy", "requests"]) {
        let file = std::fs::File::open(wheel["path"].as_str().unwrap()).unwrap();
        let mut archive = zip::ZipArchive::new(file).unwrap();
        for index in 0..archive.len() {
            let mut member = archive.by_index(index).unwrap();
            let name = member.name().unwrap().into_owned();
            if name.ends_with(".py") {
                let mut source = Vec::new();
                std::io::Read::read_to_end(&mut member, &mut source).unwrap();
                of_wheels.insert((source.len(), source, name));
            }
        }
    }
    let mut seen: BTreeSet<Vec<u8>> = modules.iter().map(|(_, source)| source.clone()).collect();
    let large = of_wheels.iter().filter(|(size, ..)| *size > 7_600).step_by(8);
    for (_, source, name) in large.chain(&of_wheels) {
        if seen.len() < 10_500 && seen.insert(source.clone()) {
            modules.push((name.clone(), source.clone()));
        }
    }
    assert!(seen.len() > 10_000, "{}", seen.len());
    modules
}

/// More than ten thousand modules: by default in passes in which every choice meets every other one;
/// with `VENVTREE_BYTECODE_PASSES=PART/OF`, such as `1/8`, in a part of all 162, which together take
/// hours of two processors.
#[test]
#[ignore = "more than ten thousand modules, often, on every interpreter: half an hour"]
fn no_history_reaches_the_canonical_form_of_many_modules() {
    let passes = match std::env::var("VENVTREE_BYTECODE_PASSES") {
        Ok(text) => {
            let (part, of) = text.split_once('/').expect("PART/OF, such as 1/8");
            let (part, of): (usize, usize) = (part.parse().unwrap(), of.parse().unwrap());
            assert!((1..=of).contains(&part), "{text}");
            Pass::all().into_iter().skip(part - 1).step_by(of).collect()
        }
        Err(_) => Pass::covering(),
    };
    check_all(&many_modules(), &passes, 1);
}

/// What is loaded of the canonical form is what was compiled.
#[test]
#[ignore = "more than ten thousand modules on every interpreter, at each level: half an hour"]
#[expect(clippy::print_stdout, reason = "what was compared is the result")]
fn many_modules_are_loaded_as_they_were_compiled() {
    const PROGRAM: &str = "\
import marshal, sys
read, count, level = sys.stdin.buffer.read, 0, int(sys.argv[1])
while head := read(12):
    name, source, code = (read(int.from_bytes(head[at:at + 4], 'little')) for at in (0, 4, 8))
    name = name.decode()
    made, again = (compile(source, name, 'exec', dont_inherit=True, optimize=level) for _ in range(2))
    # What holds a NaN is like nothing, not even like itself.
    assert marshal.loads(code) == made or made != again and name == 'test/test_float.py', name
    count += 1
print(count)
";
    let modules = many_modules();
    for (python, level) in
        compilers().iter().flat_map(|python| (0..3).map(move |level| (python, level)))
    {
        let compiled = marshalled(python, &modules, Pass::plain(level));
        let mut input = Vec::new();
        let mut expected = 0;
        for ((name, source), code) in
            modules.iter().zip(&compiled).filter(|(_, code)| !code.is_empty())
        {
            let code = canonical(code).unwrap();
            for part in [name.as_bytes(), source, &code] {
                input.extend((part.len() as u32).to_le_bytes());
            }
            [name.as_bytes(), source, &code].iter().for_each(|part| input.extend(*part));
            expected += 1;
        }
        let mut command = Command::new(&python.path);
        command.args(["-I", "-S", "-W", "ignore", "-c", PROGRAM, &level.to_string()]);
        let output = feed(command.stdout(Stdio::piped()), &input);
        assert!(output.status.success(), "{:?}, level {level}", python.version);
        println!("{:?}, level {level}: {expected} modules", python.version);
        assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), expected.to_string());
        assert!(expected > 9_000);
    }
}
