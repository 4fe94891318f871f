//! What is asked of a lock: extras, groups, members; and whether it has them.
//!
//! Model layer.

use std::collections::BTreeSet;

use toml::de::{DeTable, DeValue};

use crate::model::lock::problem::{LockError, UnknownName};
use crate::model::lock::wheel::AtHand;
use crate::model::lock::{DefaultGroups, Item, ItemKind, Lock, LockKind};
use crate::model::name::DistName;

/// The group that tools take for granted.
const DEV: &str = "dev";

/// What is wanted of a lock.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Extras of the project, or of the lock.
    pub extras: Vec<String>,
    /// All of them.
    pub all_extras: bool,
    /// Groups of dependencies.
    pub groups: Vec<String>,
    /// All of them.
    pub all_groups: bool,
    /// Members of the workspace; all, if none is named.
    pub packages: Vec<String>,
    /// Leave out what the project itself requires: only groups count.
    pub only_groups: bool,
    /// Wheels that somebody built of packages that have none which fits.
    pub supplied: Vec<AtHand>,
    /// Wheels among which those of a lock without addresses are found, by their hashes.
    pub at_hand: Vec<AtHand>,
    /// Trust wheels without a hash.
    pub unpinned: bool,
    /// Leave out the groups that count by default.
    pub no_default_groups: bool,
    /// What is left out all the same.
    pub without: Without,
}

/// What is left out though it is among all, or counts by default.
#[derive(Debug, Clone, Default)]
pub struct Without {
    /// Extras, by their names.
    pub extras: Vec<String>,
    /// Groups of dependencies.
    pub groups: Vec<String>,
    /// The group that is called so by custom, if it is there.
    pub dev: bool,
}

/// What is wanted, and is there.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) members: Vec<usize>,
    pub(super) extras: BTreeSet<String>,
    pub(super) groups: BTreeSet<String>,
    pub(super) project: bool,
    /// Whether one member was named: its groups come before those of the root, as in uv.
    pub(super) is_alone: bool,
}

impl Wanted {
    /// Looks up every name.
    pub(super) fn new(lock: &Lock, request: &Request) -> Result<Self, LockError> {
        if !request.packages.is_empty() && lock.kind != LockKind::Uv {
            return Err(LockError::NoGraph { asked: "--package", kind: lock.kind.name() });
        }
        let mut unknown = Vec::new();
        let member_name = |position: &usize| lock.packages[*position].name.normalized().to_owned();
        let known: BTreeSet<String> = lock.roots.members.iter().map(member_name).collect();
        let packages = look_up("member", &request.packages, &known, &mut unknown);
        let wanted =
            |position: &usize| packages.is_empty() || packages.contains(&member_name(position));
        let members: Vec<usize> = lock.roots.members.iter().copied().filter(wanted).collect();
        let is_alone = packages.len() == 1;
        let all_extras = lock.extras(&members);
        let all_groups = lock.groups(&members);
        let mut extras = look_up("extra", &request.extras, &all_extras, &mut unknown);
        let unwanted = look_up("extra", &request.without.extras, &all_extras, &mut unknown);
        let mut groups = look_up("group", &request.groups, &all_groups, &mut unknown);
        let mut without = look_up("group", &request.without.groups, &all_groups, &mut unknown);
        if !unknown.is_empty() {
            return Err(LockError::Unknown(unknown));
        }
        if request.all_extras {
            extras = all_extras;
        }
        extras.retain(|extra| !unwanted.contains(extra));
        if !request.only_groups && !request.no_default_groups {
            groups.extend(lock.default_groups(&members, is_alone));
        }
        if request.all_groups {
            groups.extend(all_groups);
        }
        if request.without.dev {
            without.insert(DEV.to_owned());
        }
        groups.retain(|group| !without.contains(group));
        Ok(Self { members, extras, groups, project: !request.only_groups, is_alone })
    }

    /// The items that this makes active, of those that can exclude others.
    pub(super) fn active(&self, lock: &Lock) -> BTreeSet<Item> {
        let mut active = BTreeSet::new();
        for position in &self.members {
            let member = &lock.packages[*position];
            let mut add =
                |kind| active.insert(Item { package: member.name.normalized().to_owned(), kind });
            if self.project {
                add(ItemKind::Project);
                for extra in self.extras.iter().filter(|extra| member.extras.contains_key(*extra)) {
                    add(ItemKind::Extra(extra.clone()));
                }
            }
            for group in self.groups.iter().filter(|group| member.groups.contains_key(*group)) {
                add(ItemKind::Group(group.clone()));
            }
        }
        active
    }
}

impl Lock {
    /// The extras that can be asked for.
    pub(super) fn extras(&self, members: &[usize]) -> BTreeSet<String> {
        let mut all = self.roots.extras.clone();
        for member in members.iter().map(|position| &self.packages[*position]) {
            all.extend(member.extras.keys().chain(&member.empty_extras).cloned());
        }
        all
    }

    /// The groups that count unless they are switched off: those of a member that is named alone,
    /// else those of the root, as in uv.
    fn default_groups(&self, members: &[usize], is_alone: bool) -> BTreeSet<String> {
        let (defaults, mut all) = match members[..] {
            [one] if is_alone => {
                let member = &self.packages[one];
                let all = member.groups.keys().chain(&member.empty_groups);
                (&member.default_groups, all.cloned().collect())
            }
            _ => (&self.roots.default_groups, self.groups(members)),
        };
        match defaults {
            DefaultGroups::All => {}
            // Those of a pylock.toml need not be declared.
            DefaultGroups::Named(names) if self.kind == LockKind::Pylock => {
                all = names.iter().cloned().collect();
            }
            DefaultGroups::Named(names) => all.retain(|group| names.contains(group)),
        }
        all
    }

    /// What a project's pyproject.toml says of the groups that count by default, where the lock is
    /// one of those that do not record it, and others are taken: `["docs"]` or `"all"`.
    pub fn other_default_groups(&self, pyproject: &str) -> Option<String> {
        if self.kind != LockKind::Uv || self.roots.records_default_groups {
            return None;
        }
        let document = DeTable::parse(pyproject).ok()?;
        let tool = document.get_ref().get("tool")?.get_ref().as_table()?;
        let said = tool.get("uv")?.get_ref().as_table()?.get("default-groups")?.get_ref();
        let all = self.groups(&self.roots.members);
        let (wanted, text) = match said {
            DeValue::String(text) if text == "all" => (all.clone(), format!("{text:?}")),
            DeValue::Array(names) => {
                let names: Vec<&str> =
                    names.iter().filter_map(|name| name.get_ref().as_str()).collect();
                let parsed = names.iter().filter_map(|name| DistName::parse(name).ok());
                let wanted = parsed.map(|name| name.normalized().to_owned());
                (wanted.filter(|name| all.contains(name)).collect(), format!("{names:?}"))
            }
            _ => return None,
        };
        (wanted != self.default_groups(&self.roots.members, false)).then_some(text)
    }

    /// The groups that can be asked for.
    pub(super) fn groups(&self, members: &[usize]) -> BTreeSet<String> {
        let mut all = self.roots.known_groups.clone();
        all.extend(self.roots.groups.keys().cloned());
        for member in members.iter().map(|position| &self.packages[*position]) {
            all.extend(member.groups.keys().chain(&member.empty_groups).cloned());
        }
        all
    }
}

/// Names as the lock has them, of those that it has.
fn look_up(
    what: &'static str,
    names: &[String],
    known: &BTreeSet<String>,
    unknown: &mut Vec<UnknownName>,
) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for name in names {
        let normalized = DistName::parse(name)
            .map_or_else(|_| name.clone(), |name| name.normalized().to_owned());
        if known.contains(&normalized) {
            found.insert(normalized);
        } else {
            unknown.push(UnknownName {
                what,
                name: name.clone(),
                known: known.iter().cloned().collect(),
            });
        }
    }
    found
}

/// Whether at most one item of each set of conflicts is active.
pub(super) fn check_conflicts(lock: &Lock, active: &BTreeSet<Item>) -> Result<(), LockError> {
    for set in &lock.roots.conflicts {
        let both: BTreeSet<&Item> = set.iter().filter(|item| active.contains(item)).collect();
        if both.len() > 1 {
            return Err(LockError::Conflict(describe(&both)));
        }
    }
    Ok(())
}

/// `the extras `new` and `old` of cm`, or each item by itself where they differ in more than their names.
fn describe(items: &BTreeSet<&Item>) -> Vec<String> {
    let parts = |item: &Item| match &item.kind {
        ItemKind::Project => ("project", item.package.clone(), ""),
        ItemKind::Extra(extra) => ("extra", extra.clone(), " of "),
        ItemKind::Group(group) => ("group", group.clone(), " of "),
    };
    let first = items.first().expect("a conflict has two items");
    let (kind, _, of) = parts(first);
    let alike =
        |item: &&Item| parts(item).0 == kind && (of.is_empty() || item.package == first.package);
    let count = items.len();
    if !items.iter().all(alike) {
        return items
            .iter()
            .map(|item| match parts(item) {
                (kind, name, "") => format!("the {kind} `{name}`"),
                (kind, name, of) => format!("the {kind} `{name}`{of}{}", item.package),
            })
            .collect();
    }
    let suffix = if of.is_empty() { String::new() } else { format!("{of}{}", first.package) };
    let mut described: Vec<String> =
        items.iter().map(|item| format!("`{}`", parts(item).1)).collect();
    described[0].insert_str(0, &format!("the {kind}s "));
    described[count - 1].push_str(&suffix);
    described
}
