//! An environment in layers, each of which changes for a reason of its own.
//!
//! Model layer. Nothing in an environment depends on the whole of it, so what one wheel brings is
//! the same in every environment that has the wheel, and so is a layer of it. Who asked for an
//! entry decides which layer it is in; no path is in two.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::every::{every, named};
use crate::model::path::TreePath;
use crate::model::plan::{Generator, Origin, Plan, Planned, WheelIndex};
use crate::model::wheel::WheelManifest;

/// A wheel of this size is a layer of its own, if size decides: what is smaller is fetched faster
/// together than one by one.
const LARGE: u64 = 8 << 20;

/// How wheels become layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LayerPolicy {
    /// Large wheels each alone, the others together.
    #[default]
    Auto,
    /// Every wheel alone.
    Wheel,
    /// Everything in one layer, whatever it is.
    One,
}

impl LayerPolicy {
    named!(
        /// The name in options.
        3,
        "auto" => Auto,
        "wheel" => Wheel,
        "one" => One,
    );
}

/// What a layer holds. In this order they are applied: what changes least comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LayerKind {
    /// The interpreter that is copied in.
    Interpreter,
    /// What one wheel brings, scripts and metadata that were made for it too.
    Wheel,
    /// The same of several wheels.
    Packages,
    /// What the environment has whatever is installed: the way to the interpreter, its
    /// configuration, activation scripts. Where there is one layer only, everything.
    Environment,
    /// First-party files.
    Sources,
}

impl LayerKind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        every!(LayerKind: Interpreter, Wheel, Packages, Environment, Sources);

    /// What an environment consists of, whichever wheels are layers of their own.
    pub const PARTS: [Self; 4] =
        [Self::Interpreter, Self::Packages, Self::Environment, Self::Sources];

    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Interpreter => "interpreter",
            Self::Wheel => "wheel",
            Self::Packages => "packages",
            Self::Environment => "environment",
            Self::Sources => "sources",
        }
    }
}

/// A layer, as positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// What it holds.
    pub kind: LayerKind,
    /// What it is called: of one wheel, the distribution's name.
    pub name: String,
    /// Its entries, among those of the plan.
    pub entries: Vec<usize>,
    /// Its wheels, among those of the spec.
    pub wheels: Vec<WheelIndex>,
    /// How many bytes its files have.
    pub size: u64,
}

/// What an entry is put with because of who asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Pile {
    Interpreter,
    Wheel(WheelIndex),
    Environment,
    Sources,
}

impl Pile {
    fn of((path, planned): &(TreePath, Planned)) -> Self {
        match &planned.origin {
            Origin::Member { wheel, .. } | Origin::Generated { wheel: Some(wheel), .. } => {
                Self::Wheel(*wheel)
            }
            // Bytecode lies beside its module, and is with it here, too.
            Origin::Generated { generator: Generator::Bytecode, .. } => {
                if path.as_str().starts_with(".python/") {
                    Self::Interpreter
                } else {
                    Self::Sources
                }
            }
            Origin::Generated { wheel: None, .. } => Self::Environment,
            Origin::Source { .. } => Self::Sources,
            Origin::Interpreter { .. } => Self::Interpreter,
        }
    }

    /// What it is, where no wheel is alone.
    fn kind(self) -> LayerKind {
        match self {
            Self::Interpreter => LayerKind::Interpreter,
            Self::Wheel(_) => LayerKind::Packages,
            Self::Environment => LayerKind::Environment,
            Self::Sources => LayerKind::Sources,
        }
    }
}

/// The entries of a plan that are of one kind, all wheels being packages.
pub fn part(plan: &Plan, kind: LayerKind) -> impl Iterator<Item = &(TreePath, Planned)> {
    plan.entries.iter().filter(move |entry| Pile::of(entry).kind() == kind)
}

/// Splits a plan into at most `most` layers, which is at least one.
pub fn split(
    plan: &Plan,
    wheels: &[&WheelManifest],
    policy: LayerPolicy,
    most: usize,
) -> Vec<Layer> {
    let mut sizes: BTreeMap<Pile, u64> = BTreeMap::new();
    for entry in &plan.entries {
        *sizes.entry(Pile::of(entry)).or_default() += entry.1.node.size();
    }
    let alone = alone(&sizes, policy, most);
    let place = |pile: Pile| match (&alone, pile) {
        (None, _) => (LayerKind::Environment, ""),
        (Some(alone), Pile::Wheel(wheel)) if alone.contains(&wheel) => {
            (LayerKind::Wheel, wheels[wheel.0].name().normalized())
        }
        (Some(_), pile) => (pile.kind(), ""),
    };
    let mut layers: BTreeMap<(LayerKind, &str), Layer> = BTreeMap::new();
    for (&pile, size) in &sizes {
        let (kind, name) = place(pile);
        let layer = layers.entry((kind, name)).or_insert_with(|| Layer {
            kind,
            name: if name.is_empty() { kind.name() } else { name }.to_owned(),
            entries: Vec::new(),
            wheels: Vec::new(),
            size: 0,
        });
        layer.size += size;
        if let Pile::Wheel(wheel) = pile {
            layer.wheels.push(wheel);
        }
    }
    for (index, entry) in plan.entries.iter().enumerate() {
        let layer = layers.get_mut(&place(Pile::of(entry)));
        layer.expect("every pile has its layer").entries.push(index);
    }
    layers.into_values().collect()
}

/// The wheels that are layers of their own; nothing where there may be one layer only.
fn alone(
    sizes: &BTreeMap<Pile, u64>,
    policy: LayerPolicy,
    most: usize,
) -> Option<BTreeSet<WheelIndex>> {
    if policy == LayerPolicy::One {
        return None;
    }
    let mut wheels: Vec<(WheelIndex, u64)> = sizes
        .iter()
        .filter_map(|(pile, size)| match pile {
            Pile::Wheel(wheel) => Some((*wheel, *size)),
            _ => None,
        })
        .collect();
    let others = sizes.len() - wheels.len();
    // The largest first; of equal ones, the first.
    wheels.sort_by_key(|&(wheel, size)| (std::cmp::Reverse(size), wheel));
    let wanted = match policy {
        LayerPolicy::Auto => wheels.partition_point(|&(_, size)| size >= LARGE),
        LayerPolicy::Wheel | LayerPolicy::One => wheels.len(),
    };
    let room = most.checked_sub(others)?;
    let count = if wanted == wheels.len() && wanted <= room {
        wanted
    } else {
        // One place is for those that are left.
        wanted.min(room.checked_sub(1)?)
    };
    Some(wheels[..count].iter().map(|&(wheel, _)| wheel).collect())
}
