//! Markers: when a requirement applies (PEP 508), decided for a described interpreter.
//!
//! Evaluated as PyPI's `packaging` evaluates them, with a third answer for what is not known.
//! Parsing and evaluating take time and memory in proportion to the text.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use pep440_rs::{Operator, VersionSpecifier};

use super::contains;
use crate::model::interpreter::{Implementation, Interpreter};
use crate::model::name::{DistName, PythonVersion, Version};

/// The deepest nesting of parentheses that is accepted; real markers have three or four.
const DEPTH_LIMIT: usize = 32;

/// Why a text is no marker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MarkerError {
    /// Something stands where something else should.
    #[error("its marker has {found:?} where {expected} should be")]
    Unexpected {
        /// What is there, cut short.
        found: String,
        /// What should be.
        expected: &'static str,
    },
    /// Two constants or two variables.
    #[error("its marker compares {left} with {right}, expected a variable and a quoted text")]
    Operands {
        /// The left side.
        left: String,
        /// The right side.
        right: String,
    },
    /// A version operator on texts.
    #[error("its marker compares by `{operator}` what is no version")]
    Operator {
        /// The operator.
        operator: &'static str,
    },
    /// A set that is asked for in another way than whether a name is in it.
    #[error("its marker asks for `{variable}` in another way than \"NAME\" in {variable}")]
    Set {
        /// The variable.
        variable: &'static str,
    },
    /// More parentheses than are accepted.
    #[error("its marker nests parentheses more than {DEPTH_LIMIT} deep")]
    Depth,
}

/// Something that a marker can ask for and a spec does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// The release of the operating system's kernel.
    PlatformRelease,
    /// The version of the operating system's kernel.
    PlatformVersion,
    /// The patch level of the interpreter's version.
    PatchLevel,
    /// The version of an implementation that does not count as CPython does.
    ImplementationVersion,
}

impl fmt::Display for Fact {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::PlatformRelease => "platform_release, a fact of the machine",
            Self::PlatformVersion => "platform_version, a fact of the machine",
            Self::PatchLevel => "the patch level, which the interpreter's version leaves out",
            Self::ImplementationVersion => {
                "implementation_version, which a spec does not say for PyPy"
            }
        })
    }
}

/// Whether a marker holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// It depends on this.
    Unknown(Fact),
}

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        if value { Self::Yes } else { Self::No }
    }
}

/// What is asked for beside the facts of a machine, when a lock is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// What `extra == "NAME"` is true for: several names at once, where a lock writes extras, groups and projects that
    /// exclude one another as names of extras.
    pub extra: BTreeSet<String>,
    /// What `"NAME" in extras` is true for; normalised names.
    pub extras: BTreeSet<String>,
    /// What `"NAME" in dependency_groups` is true for; normalised names.
    pub dependency_groups: BTreeSet<String>,
}

impl Asked {
    fn set(&self, variable: Variable) -> &BTreeSet<String> {
        match variable {
            Variable::Extras => &self.extras,
            Variable::DependencyGroups => &self.dependency_groups,
            _ => &self.extra,
        }
    }
}

/// What a marker is evaluated with beside the facts of a machine.
#[derive(Clone, Copy)]
enum Context<'a> {
    /// One extra, or the empty text.
    One(&'a str),
    /// Sets.
    Sets(&'a Asked),
}

/// The facts that markers are evaluated with.
#[derive(Debug, Clone)]
pub struct Environment {
    python: PythonVersion,
    python_version: String,
    /// `python_version` as a version.
    short: Version,
    implementation: Implementation,
    os_name: &'static str,
    sys_platform: &'static str,
    platform_system: &'static str,
    platform_machine: &'static str,
}

impl Environment {
    /// The facts of an interpreter.
    pub fn new(interpreter: &Interpreter) -> Self {
        let os = interpreter.platform.os();
        let python = interpreter.version.clone();
        Self {
            python_version: python.short(),
            short: Version::new([u64::from(python.major), u64::from(python.minor)]),
            python,
            implementation: interpreter.implementation,
            os_name: os.os_name(),
            sys_platform: os.sys_platform(),
            platform_system: os.platform_system(),
            platform_machine: interpreter.platform.arch().platform_machine(os),
        }
    }

    /// The text of a variable.
    fn text(&self, variable: Variable) -> Result<&str, Fact> {
        match variable {
            Variable::ImplementationName => Ok(self.implementation.name()),
            Variable::OsName => Ok(self.os_name),
            Variable::PlatformMachine => Ok(self.platform_machine),
            Variable::PlatformPythonImplementation => Ok(self.implementation.platform_name()),
            Variable::PlatformRelease => Err(Fact::PlatformRelease),
            Variable::PlatformSystem => Ok(self.platform_system),
            Variable::PlatformVersion => Err(Fact::PlatformVersion),
            Variable::SysPlatform => Ok(self.sys_platform),
            Variable::PythonVersion => Ok(&self.python_version),
            Variable::ImplementationVersion if self.implementation != Implementation::CPython => {
                Err(Fact::ImplementationVersion)
            }
            Variable::ImplementationVersion | Variable::PythonFullVersion
                if self.python.full().is_none() =>
            {
                Err(Fact::PatchLevel)
            }
            Variable::ImplementationVersion | Variable::PythonFullVersion => {
                Ok(self.python.as_str())
            }
            // `Atom::evaluate` looks at the context for these.
            Variable::Extra | Variable::Extras | Variable::DependencyGroups => Ok(""),
        }
    }

    /// The version that a variable holds, for variables that hold one.
    fn version(&self, variable: Variable) -> Option<&Version> {
        match variable {
            Variable::PythonVersion => Some(&self.short),
            Variable::PythonFullVersion | Variable::ImplementationVersion => self.python.full(),
            _ => None,
        }
    }
}

/// A variable of markers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Variable {
    ImplementationName,
    ImplementationVersion,
    OsName,
    PlatformMachine,
    PlatformPythonImplementation,
    PlatformRelease,
    PlatformSystem,
    PlatformVersion,
    PythonFullVersion,
    PythonVersion,
    SysPlatform,
    Extra,
    /// A set, which locks only have.
    Extras,
    /// The same.
    DependencyGroups,
}

impl Variable {
    /// Reads a name, also one of those before PEP 508.
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "implementation_name" => Self::ImplementationName,
            "implementation_version" => Self::ImplementationVersion,
            "os_name" | "os.name" => Self::OsName,
            "platform_machine" | "platform.machine" => Self::PlatformMachine,
            "platform_python_implementation"
            | "platform.python_implementation"
            | "python_implementation" => Self::PlatformPythonImplementation,
            "platform_release" => Self::PlatformRelease,
            "platform_system" => Self::PlatformSystem,
            "platform_version" | "platform.version" => Self::PlatformVersion,
            "python_full_version" => Self::PythonFullVersion,
            "python_version" => Self::PythonVersion,
            "sys_platform" | "sys.platform" => Self::SysPlatform,
            "extra" => Self::Extra,
            _ => return None,
        })
    }

    /// Reads a name that only the markers of locks have.
    fn parse_set(text: &str) -> Option<Self> {
        match text {
            "extras" => Some(Self::Extras),
            "dependency_groups" => Some(Self::DependencyGroups),
            _ => None,
        }
    }

    /// The name of a set.
    fn set_name(self) -> Option<&'static str> {
        match self {
            Self::Extras => Some("extras"),
            Self::DependencyGroups => Some("dependency_groups"),
            _ => None,
        }
    }

    /// Whether its constants are names of extras or groups, which are compared in their normalised form.
    fn holds_names(self) -> bool {
        matches!(self, Self::Extra | Self::Extras | Self::DependencyGroups)
    }

    /// Whether it holds a version, so that comparing means comparing versions.
    fn is_version(self) -> bool {
        matches!(
            self,
            Self::ImplementationVersion
                | Self::PlatformRelease
                | Self::PythonFullVersion
                | Self::PythonVersion
        )
    }
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    In,
    NotIn,
    Operator(&'static str),
}

/// The operators, the longer ones before those that they begin with.
const OPERATORS: [&str; 8] = ["===", "==", "~=", "!=", "<=", ">=", "<", ">"];

/// A variable compared with a constant.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Atom<'text> {
    variable: Variable,
    comparison: Comparison,
    constant: Cow<'text, str>,
    /// Whether the constant stands on the left.
    reversed: bool,
    /// The specifier that comparing with the constant as a version means.
    specifier: Option<Box<VersionSpecifier>>,
}

/// A marker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker<'text>(Node<'text>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node<'text> {
    Any(Vec<Node<'text>>),
    All(Vec<Node<'text>>),
    Atom(Atom<'text>),
}

impl<'text> Marker<'text> {
    /// Reads a marker.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn parse(text: &'text str) -> Result<Self, MarkerError> {
        Self::parse_with(Parser { rest: text, sets: false })
    }

    /// Reads a marker of a lock, which can ask for the sets `extras` and `dependency_groups`.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn parse_in_lock(text: &'text str) -> Result<Self, MarkerError> {
        Self::parse_with(Parser { rest: text, sets: true })
    }

    fn parse_with(mut parser: Parser<'text>) -> Result<Self, MarkerError> {
        let node = parser.any(0)?;
        if parser.rest.is_empty() {
            Ok(Self(node))
        } else {
            Err(parser.unexpected("`and`, `or` or the end"))
        }
    }

    /// The same marker, independent of the text that it was read from.
    pub fn into_owned(self) -> Marker<'static> {
        Marker(self.0.into_owned())
    }

    /// Whether the marker holds, with one extra or without any.
    pub fn evaluate(&self, environment: &Environment, extra: Option<&DistName>) -> Truth {
        self.0.evaluate(environment, Context::One(extra.map_or("", DistName::normalized)))
    }

    /// Whether the marker of a lock holds.
    pub fn evaluate_asked(&self, environment: &Environment, asked: &Asked) -> Truth {
        self.0.evaluate(environment, Context::Sets(asked))
    }

    /// Whether what is asked for can change the answer.
    pub fn depends_on_asked(&self) -> bool {
        self.0.depends_on_asked()
    }

    /// Which extras can change the answer.
    pub fn extras(&self) -> Extras {
        let mut named = Vec::new();
        if self.0.collect_extras(&mut named) { Extras::Named(named) } else { Extras::Any }
    }
}

/// The extras that a marker asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extras {
    /// These only, each compared by `==`; often none.
    Named(Vec<DistName>),
    /// Any could matter.
    Any,
}

impl Node<'_> {
    fn into_owned(self) -> Node<'static> {
        let all = |nodes: Vec<Node<'_>>| nodes.into_iter().map(Node::into_owned).collect();
        match self {
            Self::Any(nodes) => Node::Any(all(nodes)),
            Self::All(nodes) => Node::All(all(nodes)),
            Self::Atom(Atom { variable, comparison, constant, reversed, specifier }) => {
                let constant = Cow::Owned(constant.into_owned());
                Node::Atom(Atom { variable, comparison, constant, reversed, specifier })
            }
        }
    }

    fn depends_on_asked(&self) -> bool {
        match self {
            Self::Atom(atom) => atom.variable.holds_names(),
            Self::Any(nodes) | Self::All(nodes) => nodes.iter().any(Node::depends_on_asked),
        }
    }

    fn evaluate(&self, environment: &Environment, context: Context<'_>) -> Truth {
        // Without a decision, what is not known counts; the first such fact is named.
        let (nodes, decisive) = match self {
            Self::Atom(atom) => return atom.evaluate(environment, context),
            Self::Any(nodes) => (nodes, Truth::Yes),
            Self::All(nodes) => (nodes, Truth::No),
        };
        let mut result = if decisive == Truth::Yes { Truth::No } else { Truth::Yes };
        for node in nodes {
            match node.evaluate(environment, context) {
                truth if truth == decisive => return decisive,
                Truth::Unknown(fact) if !matches!(result, Truth::Unknown(_)) => {
                    result = Truth::Unknown(fact)
                }
                _ => {}
            }
        }
        result
    }

    /// Adds the extras that are compared by `==`; false where extras are asked for in another way.
    fn collect_extras(&self, named: &mut Vec<DistName>) -> bool {
        match self {
            Self::Atom(atom) if atom.variable == Variable::Extra => {
                // A constant that is no name, such as the empty one, is no extra's.
                named.extend(DistName::parse(&atom.constant));
                atom.comparison == Comparison::Operator("==")
            }
            Self::Atom(_) => true,
            Self::Any(nodes) | Self::All(nodes) => {
                nodes.iter().all(|node| node.collect_extras(named))
            }
        }
    }
}

impl Atom<'_> {
    fn evaluate(&self, environment: &Environment, context: Context<'_>) -> Truth {
        if self.variable.holds_names() {
            return match context {
                Context::One(extra) => self.compare(extra),
                Context::Sets(asked) => self.compare_set(asked.set(self.variable)),
            }
            .into();
        }
        let text = match environment.text(self.variable) {
            Ok(text) => text,
            Err(Fact::PatchLevel) => return self.without_patch_level(&environment.python),
            Err(fact) => return Truth::Unknown(fact),
        };
        if let (Comparison::Operator(operator), Some(own)) =
            (self.comparison, environment.version(self.variable))
        {
            if !self.reversed {
                if let Some(specifier) = &self.specifier {
                    return specifier.contains(own).into();
                }
            } else if let (Ok(specifier), Ok(constant)) = (
                VersionSpecifier::from_str(&format!("{operator}{text}")),
                Version::from_str(self.constant.trim()),
            ) {
                return specifier.contains(&constant).into();
            }
        }
        self.compare(text).into()
    }

    /// Compares texts: equal or not, part of one another or not; texts have no order.
    fn compare(&self, text: &str) -> bool {
        let (left, right) =
            if self.reversed { (&*self.constant, text) } else { (text, &*self.constant) };
        match self.comparison {
            Comparison::In => right.contains(left),
            Comparison::NotIn => !right.contains(left),
            Comparison::Operator("==" | "<=" | ">=" | "===") => left == right,
            Comparison::Operator("!=") => left != right,
            Comparison::Operator(_) => false,
        }
    }

    /// Compares with a set: whether a name is in it or not.
    fn compare_set(&self, set: &BTreeSet<String>) -> bool {
        match self.comparison {
            Comparison::Operator("!=") | Comparison::NotIn => !set.contains(&*self.constant),
            Comparison::Operator("==" | "===") | Comparison::In => set.contains(&*self.constant),
            Comparison::Operator(_) => false,
        }
    }

    /// Whether the atom has one answer for every patch level.
    fn without_patch_level(&self, python: &PythonVersion) -> Truth {
        let unknown = Truth::Unknown(Fact::PatchLevel);
        let Some(specifier) = &self.specifier else {
            return unknown;
        };
        let specifier = if self.reversed {
            let operator = match specifier.operator() {
                Operator::LessThan => Operator::GreaterThan,
                Operator::LessThanEqual => Operator::GreaterThanEqual,
                Operator::GreaterThan => Operator::LessThan,
                Operator::GreaterThanEqual => Operator::LessThanEqual,
                same @ (Operator::Equal | Operator::NotEqual) => *same,
                _ => return unknown,
            };
            let Ok(specifier) =
                VersionSpecifier::from_version(operator, specifier.version().clone())
            else {
                return unknown;
            };
            specifier
        } else {
            (**specifier).clone()
        };
        contains(&specifier.into(), python).map_or(unknown, Into::into)
    }
}

/// One side of a comparison.
enum Operand<'text> {
    Variable(Variable, &'text str),
    Constant(&'text str),
}

impl Operand<'_> {
    fn describe(&self) -> String {
        match self {
            Self::Variable(_, name) => format!("`{name}`"),
            Self::Constant(text) => format!("{text:?}"),
        }
    }
}

struct Parser<'text> {
    /// What is left, always without white space before it.
    rest: &'text str,
    /// Whether sets can be asked for.
    sets: bool,
}

impl<'text> Parser<'text> {
    fn unexpected(&self, expected: &'static str) -> MarkerError {
        MarkerError::Unexpected { found: self.rest.chars().take(20).collect(), expected }
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest[bytes..].trim_start_matches([' ', '\t']);
    }

    /// Takes a word, if it comes next and ends there.
    fn word(&mut self, word: &str) -> bool {
        let next = self.rest.strip_prefix(word);
        let found = next.is_some_and(|after| {
            !after.starts_with(|next: char| next.is_alphanumeric() || next == '_')
        });
        if found {
            self.skip(word.len());
        }
        found
    }

    fn any(&mut self, depth: usize) -> Result<Node<'text>, MarkerError> {
        self.skip(0);
        let mut nodes = vec![self.all(depth)?];
        while self.word("or") {
            nodes.push(self.all(depth)?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::Any(nodes) })
    }

    fn all(&mut self, depth: usize) -> Result<Node<'text>, MarkerError> {
        let mut nodes = vec![self.one(depth)?];
        while self.word("and") {
            nodes.push(self.one(depth)?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::All(nodes) })
    }

    fn one(&mut self, depth: usize) -> Result<Node<'text>, MarkerError> {
        if !self.rest.starts_with('(') {
            return self.atom().map(Node::Atom);
        }
        if depth == DEPTH_LIMIT {
            return Err(MarkerError::Depth);
        }
        self.skip(1);
        let node = self.any(depth + 1)?;
        if !self.rest.starts_with(')') {
            return Err(self.unexpected("`and`, `or` or `)`"));
        }
        self.skip(1);
        Ok(node)
    }

    fn atom(&mut self) -> Result<Atom<'text>, MarkerError> {
        let left = self.operand()?;
        let comparison = self.comparison()?;
        let right = self.operand()?;
        let (variable, constant, reversed) = match (&left, &right) {
            (Operand::Variable(variable, _), Operand::Constant(constant)) => {
                (*variable, *constant, false)
            }
            (Operand::Constant(constant), Operand::Variable(variable, _)) => {
                (*variable, *constant, true)
            }
            _ => {
                return Err(MarkerError::Operands {
                    left: left.describe(),
                    right: right.describe(),
                });
            }
        };
        if let Some(variable) = variable.set_name()
            && !(reversed && matches!(comparison, Comparison::In | Comparison::NotIn))
        {
            return Err(MarkerError::Set { variable });
        }
        let mut specifier = None;
        if let Comparison::Operator(operator) = comparison {
            if variable.is_version() {
                specifier = VersionSpecifier::from_str(&format!("{operator}{}", constant.trim()))
                    .ok()
                    .map(Box::new);
            }
            // For `~=` and `===` there is nothing to fall back on: texts are not compared so.
            if specifier.is_none() && matches!(operator, "~=" | "===") {
                return Err(MarkerError::Operator { operator });
            }
        }
        let normalized = || {
            DistName::parse(constant)
                .map_or(Cow::Borrowed(constant), |name| Cow::Owned(name.normalized().to_owned()))
        };
        let constant = if variable.holds_names() { normalized() } else { Cow::Borrowed(constant) };
        Ok(Atom { variable, comparison, constant, reversed, specifier })
    }

    fn operand(&mut self) -> Result<Operand<'text>, MarkerError> {
        for quote in ['"', '\''] {
            if let Some(content) = self.rest.strip_prefix(quote) {
                let end = content
                    .find(quote)
                    .ok_or_else(|| self.unexpected("a quoted text that ends"))?;
                let constant = &content[..end];
                // In Python's own syntax a backslash would mean something else than itself, and the
                // grammar has none.
                if constant.contains(['\\', '\n', '\r', '\0']) {
                    return Err(self.unexpected("a text without backslashes and line ends"));
                }
                self.skip(end + 2);
                return Ok(Operand::Constant(constant));
            }
        }
        let inner =
            |character: char| character.is_ascii_alphanumeric() || matches!(character, '_' | '.');
        let name =
            &self.rest[..self.rest.find(|character| !inner(character)).unwrap_or(self.rest.len())];
        let set = if self.sets { Variable::parse_set(name) } else { None };
        let variable = set.or_else(|| Variable::parse(name)).ok_or_else(|| match name {
            "" => self.unexpected("a variable or a quoted text"),
            name if self.sets => MarkerError::Unexpected {
                found: name.chars().take(60).collect(),
                expected: "a variable",
            },
            _ => self.unexpected("a variable or a quoted text"),
        })?;
        self.skip(name.len());
        Ok(Operand::Variable(variable, name))
    }

    fn comparison(&mut self) -> Result<Comparison, MarkerError> {
        if self.word("in") {
            return Ok(Comparison::In);
        }
        if self.rest.starts_with("not ") || self.rest.starts_with("not\t") {
            self.skip(3);
            return if self.word("in") {
                Ok(Comparison::NotIn)
            } else {
                Err(self.unexpected("`in`"))
            };
        }
        let operator = OPERATORS.into_iter().find(|operator| self.rest.starts_with(operator));
        let operator =
            operator.ok_or_else(|| self.unexpected("a comparison such as `==` or `in`"))?;
        self.skip(operator.len());
        Ok(Comparison::Operator(operator))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::interpreter::{Arch, Libc, Platform};

    fn environment(version: &str) -> Environment {
        let (implementation, version) = match version.strip_prefix("pypy") {
            Some(version) => (Implementation::PyPy, version),
            None => (Implementation::CPython, version),
        };
        let platform = Platform::Linux { arch: Arch::X86_64, libc: Some(Libc::Glibc(2, 36)) };
        Environment::new(&Interpreter {
            implementation,
            version: PythonVersion::parse(version).unwrap(),
            abi: "x".into(),
            platform,
        })
    }

    #[test]
    fn what_is_not_known_is_named_only_where_it_decides() {
        let check = |version: &str, text: &str, expected: Truth| {
            assert_eq!(
                Marker::parse(text).unwrap().evaluate(&environment(version), None),
                expected,
                "{version}: {text}"
            );
        };
        let unknown = Truth::Unknown;
        check("3.11", "platform_release == '1'", unknown(Fact::PlatformRelease));
        check("3.11", "'Ubuntu' in platform_version", unknown(Fact::PlatformVersion));
        check("3.11", "platform_release == '1' or os_name == 'posix'", Truth::Yes);
        check("3.11", "platform_release == '1' and os_name == 'nt'", Truth::No);
        check(
            "3.11",
            "platform_release == '1' and os_name == 'posix'",
            unknown(Fact::PlatformRelease),
        );
        check(
            "3.11",
            "os_name == 'nt' or (platform_version == '1' or platform_release == '1')",
            unknown(Fact::PlatformVersion),
        );
        check("3.11", "implementation_version >= '3.11.2'", unknown(Fact::PatchLevel));
        check(
            "pypy3.11.9",
            "implementation_version >= '7.3'",
            unknown(Fact::ImplementationVersion),
        );
        check("pypy3.11.9", "python_full_version == '3.11.9'", Truth::Yes);
        check("3.11", "python_full_version in '3.11.2 3.11.3'", unknown(Fact::PatchLevel));
        check("3.11", "'3.10.1' < python_full_version", Truth::Yes);
        check("3.11", "'3.11.1' <= python_full_version", unknown(Fact::PatchLevel));
        check("3.11", "'3.12.0' == python_full_version", Truth::No);
        check("3.11", "'3.11.0' ~= python_full_version", unknown(Fact::PatchLevel));
    }

    #[test]
    fn texts_that_are_no_markers_say_why() {
        let check = |text: &str, expected: &str| {
            let error = Marker::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
        };
        check("", "has \"\" where a variable or a quoted text should be");
        check("os_name", "where a comparison such as");
        check("os_name == ", "where a variable or a quoted text");
        check("os_name == 'a", "where a quoted text that ends");
        check("os_name == 'a' 'b'", "where `and`, `or` or the end");
        check("(os_name == 'a'", "where `and`, `or` or `)`");
        check("os_name == 'a' and", "where a variable");
        check("os_name not 'a'", "where `in`");
        check("os_name == sys_platform", "compares `os_name` with `sys_platform`");
        check("'a' == 'b'", "compares \"a\" with \"b\"");
        check("os_name ~= 'a'", "compares by `~=` what is no version");
        check("python_version ~= 'x'", "compares by `~=` what is no version");
        check("os_name == 'a\\n'", "without backslashes");
        check("extras == 'a'", "where a variable");
        check(&format!("{}os_name == 'a'{}", "(".repeat(33), ")".repeat(33)), "more than 32 deep");
        check(&"(".repeat(1_000_000), "more than 32 deep");
        assert!(
            Marker::parse(&format!("{}os_name == 'a'{}", "(".repeat(32), ")".repeat(32))).is_ok()
        );
    }

    #[test]
    fn many_extras_take_little_time() {
        // As a decision diagram this would have some 2^2000 nodes.
        let text: Vec<String> = (0..2000)
            .map(|index| format!("(extra == 'a{index}' and extra == 'b{index}')"))
            .collect();
        let text = text.join(" or ");
        let marker = Marker::parse(&text).unwrap();
        assert_eq!(marker.evaluate(&environment("3.11"), None), Truth::No);
        assert!(matches!(marker.extras(), Extras::Named(extras) if extras.len() == 4000));
        let extras = |text: &str| Marker::parse(text).unwrap().extras();
        assert_eq!(extras("os_name == 'nt' or extra == ''"), Extras::Named(Vec::new()));
        assert_eq!(extras("os_name == 'nt' and extra != 'a'"), Extras::Any);
        assert_eq!(extras("'A_b' == extra"), Extras::Named(vec![DistName::parse("a-b").unwrap()]));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*", close in "(\\(|(os_name|extra|python_version|platform_release) (==|in|not in|<) ?['\"][a-z0-9.]{0,4}['\"]| and | or |\\)){0,12}") {
            for text in [text, close] {
                if let Ok(marker) = Marker::parse(&text) {
                    let _ = marker.evaluate(&environment("3.11"), None);
                }
            }
        }
    }
}
