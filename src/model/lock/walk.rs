//! Which packages of a graph are reached, and why.
//!
//! Model layer. Breadth first, each package once by itself and once with each extra; nothing recurses.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};

use crate::model::lock::markers::Answers;
use crate::model::lock::names::{Wanted, check_conflicts};
use crate::model::lock::problem::{LockError, Undecided};
use crate::model::lock::{Edge, Item, ItemKind, Lock, RootRequirement};
use crate::model::requirements::marker::{Asked, Environment, Fact, Marker, Truth};

/// A package by itself, or with one of its extras.
pub(super) type Node<'lock> = (usize, Option<&'lock str>);

/// What asks for a package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Because<'lock> {
    /// A member of the workspace is asked for as such.
    Member,
    /// A group of a member, or of the project that is no package.
    Group(Option<usize>, &'lock str),
    /// The lock's own requirements.
    Requirement,
    /// Another package, with an extra or without.
    Package(Node<'lock>),
}

/// Where walking begins.
#[derive(Debug, Clone)]
pub(super) struct Start<'lock> {
    node: Node<'lock>,
    because: Because<'lock>,
}

impl<'lock> Start<'lock> {
    /// At a package.
    pub(super) fn at(node: Node<'lock>) -> Self {
        Self { node, because: Because::Member }
    }
}

/// A requirement that may apply or not.
#[derive(Debug, Clone)]
struct Open<'lock> {
    nodes: Vec<Node<'lock>>,
    marker: &'lock str,
    fact: Fact,
}

/// A graph in one environment.
#[derive(Debug)]
pub(super) struct Walk<'lock> {
    lock: &'lock Lock,
    environment: &'lock Environment,
    answers: Answers<'lock>,
    asked: Asked,
    /// Names of items that can exclude others: of the names that markers ask for as extras there are no others.
    exclusive: BTreeSet<String>,
    open: Vec<Open<'lock>>,
}

/// The packages that were reached, by their positions.
pub(super) type Reached<'lock> = BTreeMap<usize, Vec<Because<'lock>>>;

impl<'lock> Walk<'lock> {
    /// Begins with what is wanted. Extras that are reached on the way can exclude others, so they are looked for first.
    pub(super) fn new(
        lock: &'lock Lock,
        environment: &'lock Environment,
        wanted: &'lock Wanted,
    ) -> Result<(Self, Vec<Start<'lock>>), LockError> {
        let active = wanted.active(lock);
        check_conflicts(lock, &active)?;
        let asked = Asked { extra: active.iter().map(Item::encoded).collect(), ..Asked::default() };
        let exclusive = lock.roots.conflicts.iter().flatten().map(Item::encoded).collect();
        let answers = Answers::new(&lock.markers, environment);
        let mut walk = Self { lock, environment, answers, asked, exclusive, open: Vec::new() };
        if !walk.exclusive.is_empty() {
            let starts = walk.starts(wanted, false)?;
            walk.activate(starts);
            let on_the_way = |item: &&Item| walk.asked.extra.contains(&item.encoded());
            let active =
                lock.roots.conflicts.iter().flatten().filter(on_the_way).cloned().collect();
            check_conflicts(lock, &active)?;
            walk.open.clear();
        }
        let starts = walk.starts(wanted, true)?;
        Ok((walk, starts))
    }

    fn starts(
        &mut self,
        wanted: &'lock Wanted,
        keep: bool,
    ) -> Result<Vec<Start<'lock>>, LockError> {
        let lock = self.lock;
        let mut starts = Vec::new();
        for position in wanted.members.iter().copied() {
            let member = &lock.packages[position];
            if wanted.project {
                starts.push(Start { node: (position, None), because: Because::Member });
                for extra in wanted.extras.iter().filter(|extra| member.extras.contains_key(*extra))
                {
                    starts.push(Start { node: (position, Some(extra)), because: Because::Member });
                }
            }
            for group in &wanted.groups {
                for edge in member.groups.get(group).map_or(&[][..], Vec::as_slice) {
                    let because = Because::Group(Some(position), group);
                    if self.holds(edge, keep) {
                        starts.extend(
                            nodes(edge).map(|node| Start { node, because: because.clone() }),
                        );
                    }
                }
            }
        }
        if wanted.project {
            self.required(&lock.roots.requirements, &Because::Requirement, keep, &mut starts)?;
        }
        for group in &wanted.groups {
            let of_member = |position: &usize| lock.packages[*position].has_group(group);
            let is_hidden = wanted.is_alone && wanted.members.iter().any(of_member);
            if let Some(requirements) = lock.roots.groups.get(group).filter(|_| !is_hidden) {
                self.required(requirements, &Because::Group(None, group), keep, &mut starts)?;
            }
        }
        Ok(starts)
    }

    /// Requirements that name a package without its version: the environment decides which it is.
    fn required(
        &mut self,
        requirements: &'lock [RootRequirement],
        because: &Because<'lock>,
        keep: bool,
        starts: &mut Vec<Start<'lock>>,
    ) -> Result<(), LockError> {
        for requirement in requirements {
            let truth = self.answers.holds(requirement.marker, &self.asked, keep);
            if truth == Truth::No {
                continue;
            }
            let to = self.fork(requirement)?;
            let extras = requirement.extras.iter().map(|extra| Some(extra.as_str()));
            let nodes = std::iter::once(None).chain(extras).map(|extra| (to, extra));
            match (truth, requirement.marker) {
                (Truth::Unknown(fact), Some(marker)) => {
                    let marker = self.lock.markers.text(marker);
                    self.open.push(Open { nodes: nodes.collect(), marker, fact });
                }
                _ => starts.extend(nodes.map(|node| Start { node, because: because.clone() })),
            }
        }
        Ok(())
    }

    fn fork(&self, requirement: &RootRequirement) -> Result<usize, LockError> {
        if let [one] = requirement.candidates[..] {
            return Ok(one);
        }
        let package = |position: &usize| &self.lock.packages[*position];
        let holds = |text: &String| {
            Marker::parse_in_lock(text).is_ok_and(|marker| {
                marker.evaluate_asked(self.environment, &self.asked) == Truth::Yes
            })
        };
        let here = |position: &usize| {
            package(position).forks.is_empty() || package(position).forks.iter().any(holds)
        };
        let fitting: Vec<usize> = requirement.candidates.iter().copied().filter(here).collect();
        match fitting[..] {
            [one] => Ok(one),
            [] => Err(LockError::Lacks(requirement.name.to_string())),
            _ => {
                let which = requirement
                    .candidates
                    .iter()
                    .map(|position| package(position).title())
                    .collect();
                let name = requirement.name.to_string();
                Err(LockError::Twice(vec![super::problem::Twice { name, which }]))
            }
        }
    }

    /// Whether an edge leads on; one without an answer is kept for later.
    fn holds(&mut self, edge: &'lock Edge, keep: bool) -> bool {
        match (self.answers.holds(edge.marker, &self.asked, keep), edge.marker) {
            (Truth::Yes, _) => true,
            (Truth::Unknown(fact), Some(marker)) => {
                let marker = self.lock.markers.text(marker);
                self.open.push(Open { nodes: nodes(edge).collect(), marker, fact });
                false
            }
            _ => false,
        }
    }

    fn edges(&self, (position, extra): Node<'lock>) -> &'lock [Edge] {
        let package = &self.lock.packages[position];
        match extra {
            None => &package.dependencies,
            Some(extra) => package.extras.get(extra).map_or(&[], Vec::as_slice),
        }
    }

    /// Finds the extras and projects that requirements bring, of those that can exclude others. An edge's own extras count when its
    /// marker is asked, as in uv.
    fn activate(&mut self, starts: Vec<Start<'lock>>) {
        let mut seen: HashSet<Node<'lock>> = HashSet::new();
        let mut queue: VecDeque<Node<'lock>> = starts.into_iter().map(|start| start.node).collect();
        while let Some(node) = queue.pop_front() {
            if !seen.insert(node) {
                continue;
            }
            for edge in self.edges(node) {
                let package = self.lock.packages[edge.to].name.normalized();
                let extras = edge.extras.iter().map(|extra| ItemKind::Extra(extra.clone()));
                let mut new = Vec::new();
                for kind in extras.chain([ItemKind::Project]) {
                    let name = Item { package: package.to_owned(), kind }.encoded();
                    if self.exclusive.contains(&name) && self.asked.extra.insert(name.clone()) {
                        new.push(name);
                    }
                }
                if self.answers.holds(edge.marker, &self.asked, false) == Truth::Yes {
                    queue.extend(nodes(edge));
                } else {
                    for name in new {
                        self.asked.extra.remove(&name);
                    }
                }
            }
        }
    }

    /// Everything that is reached.
    pub(super) fn reach(&mut self, starts: Vec<Start<'lock>>) -> Reached<'lock> {
        let mut reached = Reached::new();
        let mut seen: HashSet<Node<'lock>> = HashSet::new();
        let mut queue = VecDeque::with_capacity(starts.len());
        for Start { node, because } in starts {
            reached.entry(node.0).or_default().push(because);
            queue.push_back(node);
        }
        while let Some(node) = queue.pop_front() {
            if !seen.insert(node) {
                continue;
            }
            for edge in self.edges(node) {
                if self.holds(edge, true) {
                    reached.entry(edge.to).or_default().push(Because::Package(node));
                    queue.extend(nodes(edge).filter(|node| !seen.contains(node)));
                }
            }
        }
        // What is reached in another way is needed whatever the answer is.
        self.open.retain(|open| !open.nodes.iter().all(|node| seen.contains(node)));
        reached
    }

    /// Requirements that nobody can decide about, of the walks so far.
    pub(super) fn undecided(&mut self) -> Result<(), LockError> {
        let mut all: Vec<Undecided> = Vec::new();
        for Open { nodes, marker, fact } in std::mem::take(&mut self.open) {
            let package = self.lock.packages[nodes[0].0].title();
            let undecided = Undecided { package, marker: marker.to_owned(), fact };
            if !all.contains(&undecided) {
                all.push(undecided);
            }
        }
        if all.is_empty() { Ok(()) } else { Err(LockError::Undecided(all)) }
    }
}

/// What an edge leads to.
fn nodes(edge: &Edge) -> impl Iterator<Item = Node<'_>> {
    std::iter::once(None)
        .chain(edge.extras.iter().map(|extra| Some(extra.as_str())))
        .map(|extra| (edge.to, extra))
}

/// Reasons for people: `flask`, `flask[async]`, `app (group dev)`.
pub(super) fn describe(lock: &Lock, because: &[Because<'_>]) -> Vec<String> {
    let name = |position: &usize| lock.packages[*position].name.normalized();
    let one = |because: &Because<'_>| match because {
        Because::Member => "the workspace".to_owned(),
        Because::Requirement => "the lock".to_owned(),
        Because::Group(Some(member), group) => format!("{} (group {group})", name(member)),
        Because::Group(None, group) => format!("group {group}"),
        Because::Package((package, None)) => name(package).to_owned(),
        Because::Package((package, Some(extra))) => format!("{}[{extra}]", name(package)),
    };
    let all: BTreeSet<String> = because.iter().map(one).collect();
    all.into_iter().collect()
}
