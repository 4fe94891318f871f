//! The bytes that a plan's files are made of, from wherever they come, checked on the way.
//!
//! Effects layer. Every byte that is handed on comes from here: a member's bytes have the SHA-256
//! that its wheel's RECORD claims, a first-party file's bytes are those that were there when it was
//! listed. Whole wheels are compared with their pinned digests by [`Supply::check_wheel`].

use std::cmp::Reverse;
use std::io::Read as _;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use camino::{Utf8Path, Utf8PathBuf};

use crate::effects::host::file_hash::FileHash;
use crate::effects::host::fs::{FsError, Links, failed, open_regular};
use crate::effects::host::input::InputError;
use crate::effects::source::listing::ListedFiles;
use crate::effects::source::overlay::{Overlay, OverlayError};
use crate::effects::wheels::inflate;
use crate::effects::wheels::load::{Wheel, WheelError};
use crate::effects::wheels::member::MemberError;
use crate::effects::work::parallel;
use crate::effects::work::pipeline::{self, Crew, PassError, Sink, Stopped, WORTHWHILE};
use crate::model::digest::{BlobDigest, Digest, DigestFunction, Hash, Hasher, WheelDigest};
use crate::model::explain::{Detail, ErrorKind, Explain, Explanation};
use crate::model::finding::{Code, Severity};
use crate::model::plan::{Content, Plan, PlannedNode, WheelIndex};
use crate::model::wheel::known::KnownMembers;

/// Where the bytes of a plan come from.
#[derive(Debug, Clone, Copy)]
pub struct Supply<'a> {
    /// The wheels, in the order of the spec.
    pub wheels: &'a [Wheel],
    /// The sources, in the order of the spec.
    pub sources: &'a [ListedFiles],
    /// The interpreter that is copied in.
    pub interpreter: Option<&'a ListedFiles>,
    /// The overlays that bytecode is taken from.
    pub overlays: &'a [Overlay],
}

/// Why bytes could not be had, or are not those that were promised.
#[derive(Debug, thiserror::Error)]
pub enum SupplyError {
    /// A wheel cannot be read, is not sound, or is not the one that is pinned.
    #[error(transparent)]
    Wheel(#[from] WheelError),
    /// A member is not what RECORD says.
    #[error("{wheel}: the member `{member}` has the SHA-256 {actual}, its RECORD says {expected}")]
    RecordHash {
        /// The wheel's file name.
        wheel: String,
        member: String,
        /// The digest of its bytes.
        actual: Hash,
        /// RECORD's claim.
        expected: Hash,
    },
    /// An overlay cannot be read, or is not sound.
    #[error(transparent)]
    Overlay(#[from] OverlayError),
    /// A file of an overlay is not what its document says.
    #[error("{overlay}: the file `{file}` has the SHA-256 {actual}, expected {expected}")]
    OverlayHash {
        overlay: Utf8PathBuf,
        file: String,
        /// The digest of its bytes.
        actual: Hash,
        /// What the document says.
        expected: Hash,
    },
    /// A first-party file changed after it was listed.
    #[error("`{path}` changed while the environment was being built")]
    Changed {
        /// The file.
        path: Utf8PathBuf,
    },
    /// A first-party file cannot be read.
    #[error(transparent)]
    Fs(#[from] FsError),
}

impl SupplyError {
    /// The code of what was found in a wheel, if that is what is wrong.
    fn finding(&self) -> Option<Code> {
        match self {
            Self::RecordHash { .. } => Some(Code::RecordHash),
            Self::Wheel(WheelError::Member { source: MemberError::Unsound(findings), .. }) => {
                findings
                    .iter()
                    .find(|finding| finding.severity == Severity::Error)
                    .map(|finding| finding.code)
            }
            Self::Overlay(_) | Self::OverlayHash { .. } => None,
            Self::Wheel(_) | Self::Changed { .. } | Self::Fs(_) => None,
        }
    }
}

impl Explain for SupplyError {
    fn explain(&self) -> Explanation {
        match self {
            Self::Fs(error) => error.explain(),
            Self::Wheel(WheelError::Input(InputError::Io { .. })) => ErrorKind::Io.no_hint(),
            Self::Overlay(error) => error.explain(),
            Self::OverlayHash { .. }
            | Self::Wheel(_)
            | Self::RecordHash { .. }
            | Self::Changed { .. } => ErrorKind::Verification.with(self.finding().map(Code::hint)),
        }
    }
}

/// Inputs that are not what they should be: all that was found.
#[derive(Debug, thiserror::Error)]
#[error("{} input{} not what {} should be", .0.len(), if .0.len() == 1 { " is" } else { "s are" }, if .0.len() == 1 { "it" } else { "they" })]
pub struct SupplyErrors(pub Vec<SupplyError>);

impl From<SupplyError> for SupplyErrors {
    fn from(error: SupplyError) -> Self {
        Self(vec![error])
    }
}

impl Explain for SupplyErrors {
    fn explain(&self) -> Explanation {
        let is_refusal = |error: &SupplyError| error.kind() == ErrorKind::Io;
        if self.0.iter().all(is_refusal) {
            ErrorKind::Io.no_hint()
        } else {
            ErrorKind::Verification.no_hint()
        }
    }

    fn details(&self) -> Vec<Detail> {
        self.0.iter().map(|error| Detail::of(error, "supply")).collect()
    }
}

/// An error of the bytes' source or of whoever takes them.
#[derive(Debug)]
pub enum FeedError<E> {
    /// Of the source.
    Supply(SupplyError),
    /// Of the taker.
    Taker(E),
}

impl<E> From<SupplyError> for FeedError<E> {
    fn from(error: SupplyError) -> Self {
        Self::Supply(error)
    }
}

/// How many bytes of a first-party file are read at once.
const CHUNK: usize = 128 << 10;
/// What a file costs apart from its bytes: as much as this many more of them, measured on a tmpfs.
const FILE_COST: u64 = 8 << 10;

/// Why a stream of bytes is made no further.
enum Unmade {
    /// There is an error in what it is made of.
    Supply(SupplyError),
    /// Nobody takes it.
    Stopped,
}

impl From<WheelError> for Unmade {
    fn from(error: WheelError) -> Self {
        Self::Supply(error.into())
    }
}

impl From<OverlayError> for Unmade {
    fn from(error: OverlayError) -> Self {
        Self::Supply(error.into())
    }
}

impl From<Stopped> for Unmade {
    fn from(Stopped: Stopped) -> Self {
        Self::Stopped
    }
}

impl<'a> Supply<'a> {
    /// Hands the bytes of a file whose SHA-256 is `digest` to `take`, in order, in one or more
    /// parts, with the help of other
    /// threads if `crew` says so and the file is large. They are verified when this returns: until
    /// then, what was taken is a claim.
    ///
    /// # Errors
    /// The bytes cannot be had, are not those promised, or `take` fails.
    pub fn feed<E>(
        &self,
        content: &Content,
        digest: Digest,
        crew: Crew<'_>,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), FeedError<E>> {
        match content {
            Content::Inline(bytes) => take(bytes).map_err(FeedError::Taker),
            Content::Member { wheel, member } => {
                let wheel = &self.wheels[wheel.0];
                feed_member(wheel, *member, digest.hash, crew, take)
            }
            Content::Source { source, file } => {
                feed_file(self.sources[*source].path(*file), digest, crew, take)
            }
            Content::Interpreter { file } => {
                let files = self
                    .interpreter
                    .expect("only a plan with an interpreter copied in has such content");
                feed_file(files.path(*file), digest, crew, take)
            }
            Content::Bytecode { overlay, member } => {
                feed_bytecode(&self.overlays[*overlay], *member, digest, crew, take)
            }
        }
    }

    /// The members, by wheel and index, that a plan has no use for and that nobody has read yet:
    /// excluded ones, bytecode, what lost a conflict. Wheels for which `sound` holds are left out.
    pub fn unread(
        &self,
        plan: &Plan,
        sound: impl Fn(WheelIndex) -> bool,
    ) -> Vec<(WheelIndex, usize)> {
        let mut used: Vec<Vec<bool>> =
            self.wheels.iter().map(|wheel| vec![false; wheel.manifest.members.len()]).collect();
        for (_, planned) in &plan.entries {
            if let PlannedNode::File { content: Content::Member { wheel, member }, .. } =
                planned.node
            {
                used[wheel.0][member] = true;
            }
        }
        let mut unread = Vec::new();
        for (wheel, used) in used.iter().enumerate().map(|(index, used)| (WheelIndex(index), used))
        {
            if sound(wheel) {
                continue;
            }
            let left = (0..used.len())
                .filter(|&member| !used[member] && !self.wheels[wheel.0].was_read(member));
            unread.extend(left.map(|member| (wheel, member)));
        }
        unread
    }

    /// Checks members that nobody reads.
    ///
    /// # Errors
    /// All that are not sound.
    pub fn check_unread(&self, members: &[(WheelIndex, usize)]) -> Vec<SupplyError> {
        let check = |&(wheel, member): &(WheelIndex, usize)| {
            let wheel = &self.wheels[wheel.0];
            wheel.check_unread(&wheel.manifest.members[member]).err()
        };
        members.iter().filter_map(check).map(SupplyError::Wheel).collect()
    }

    /// Compares a wheel with the digest that the spec pins.
    ///
    /// # Errors
    /// It is another file, or cannot be read.
    pub fn check_wheel(&self, wheel: WheelIndex, expected: WheelDigest) -> Result<(), SupplyError> {
        self.check_hash(wheel, &self.begin_hash(wheel)?, expected)
    }

    /// Begins to hash a wheel's whole file.
    ///
    /// # Errors
    /// It is not at hand.
    pub fn begin_hash(&self, wheel: WheelIndex) -> Result<FileHash<'a>, SupplyError> {
        Ok(FileHash::new(self.wheels[wheel.0].input()?))
    }

    /// Hashes what is left of a wheel's file and compares it with the digest that the spec pins.
    ///
    /// # Errors
    /// It is another file, or cannot be read.
    pub fn check_hash(
        &self,
        wheel: WheelIndex,
        hash: &FileHash<'_>,
        expected: WheelDigest,
    ) -> Result<(), SupplyError> {
        Ok(self.wheels[wheel.0].check_digest(hash, &expected.0)?)
    }

    /// The digest, by another function than SHA-256, of every file of a plan, by position. What is
    /// not known of the wheels' members is inflated for it; their number is the second value.
    ///
    /// # Errors
    /// All that is wrong with the bytes.
    pub fn digests(
        &self,
        plan: &Plan,
        function: DigestFunction,
        known: &[Option<KnownMembers>],
        threads: usize,
    ) -> Result<(Vec<BlobDigest>, usize), Vec<SupplyError>> {
        let inflated = AtomicUsize::new(0);
        let empty = BlobDigest(function.digest(b""));
        let size = |&index: &usize| plan.entries[index].1.node.size();
        let (mut order, others): (Vec<usize>, Vec<usize>) =
            (0..plan.entries.len()).partition(|index| size(index) > WORTHWHILE);
        order.sort_by_key(|index| Reverse(size(index)));
        let all = plan.entries.iter().map(|(_, planned)| planned.node.size());
        let widths = threads_for(all, &order.iter().map(size).collect::<Vec<_>>(), threads);
        order.extend(others);
        let digests = Mutex::new(vec![empty; plan.entries.len()]);
        let errors = Mutex::new(Vec::new());
        let width = |turn| widths.get(turn).copied().unwrap_or(1);
        let _ = parallel::run_wide(threads, order.len(), width, |turn| -> ControlFlow<()> {
            let index = order[turn];
            if let PlannedNode::File { content, sha256, size, .. } = &plan.entries[index].1.node {
                let known = match content {
                    Content::Member { wheel, member } => known
                        .get(wheel.0)
                        .and_then(Option::as_ref)
                        .and_then(|known| known.digest(*member, sha256)),
                    Content::Inline(_)
                    | Content::Source { .. }
                    | Content::Interpreter { .. }
                    | Content::Bytecode { .. } => None,
                };
                let digest = match known {
                    Some(hash) => Ok(Digest { hash, size: *size }),
                    None => {
                        inflated.fetch_add(
                            usize::from(matches!(content, Content::Member { .. })),
                            Ordering::Relaxed,
                        );
                        let promised = Digest { hash: *sha256, size: *size };
                        self.digest(content, promised, function, width(turn))
                    }
                };
                match digest {
                    Ok(digest) => {
                        digests.lock().unwrap_or_else(PoisonError::into_inner)[index] =
                            BlobDigest(digest)
                    }
                    Err(error) => {
                        errors.lock().unwrap_or_else(PoisonError::into_inner).push((index, error))
                    }
                }
            }
            ControlFlow::Continue(())
        });
        let mut errors = errors.into_inner().unwrap_or_else(PoisonError::into_inner);
        if errors.is_empty() {
            return Ok((
                digests.into_inner().unwrap_or_else(PoisonError::into_inner),
                inflated.into_inner(),
            ));
        }
        errors.sort_by_key(|(index, _)| *index);
        Err(errors.into_iter().map(|(_, error)| error).collect())
    }

    /// The digest by `function` of what has the SHA-256 `promised`.
    fn digest(
        &self,
        content: &Content,
        promised: Digest,
        function: DigestFunction,
        threads: usize,
    ) -> Result<Digest, SupplyError> {
        let mut hasher = Hasher::new(function);
        let fed = self.feed(
            content,
            promised,
            Crew::Shared(threads),
            |bytes| -> Result<(), std::convert::Infallible> {
                hasher.update(bytes);
                Ok(())
            },
        );
        match fed {
            Ok(()) => Ok(hasher.finish()),
            Err(FeedError::Supply(error)) => Err(error),
            Err(FeedError::Taker(never)) => match never {},
        }
    }
}

/// How many of `threads` [`Supply::feed`] should have for each of some files of a plan, given their
/// sizes, largest first, and those of `all`: one, unless the file would keep it busy when all others are done with the
/// rest of the plan.
pub fn threads_for(
    all: impl IntoIterator<Item = u64>,
    largest: &[u64],
    threads: usize,
) -> Vec<usize> {
    let total = all.into_iter().map(|size| size + FILE_COST).sum();
    let worthwhile = largest.partition_point(|&size| size > WORTHWHILE);
    let mut widths = parallel::widths(threads, pipeline::STAGES, &largest[..worthwhile], total);
    widths.resize(largest.len(), 1);
    widths
}

fn feed_member<E>(
    wheel: &Wheel,
    member: usize,
    expected: Hash,
    crew: Crew<'_>,
    take: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), FeedError<E>> {
    let member = &wheel.manifest.members[member];
    let make = |sink: &mut Sink<'_>| {
        inflate::with_inflater(|inflater| {
            wheel.stream(inflater, member, &mut |bytes| Ok::<_, Unmade>(sink(bytes)?))
        })
    };
    let actual = pass(crew, member.location.size, DigestFunction::Sha256, make, take)?.hash;
    if actual == expected {
        return Ok(());
    }
    Err(SupplyError::RecordHash {
        wheel: wheel.manifest.file.as_str().to_owned(),
        member: member.path.to_string(),
        actual,
        expected,
    }
    .into())
}

fn feed_bytecode<E>(
    overlay: &Overlay,
    member: usize,
    expected: Digest,
    crew: Crew<'_>,
    take: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), FeedError<E>> {
    let make = |sink: &mut Sink<'_>| {
        inflate::with_inflater(|inflater| {
            overlay.stream(inflater, member, &mut |bytes| Ok::<_, Unmade>(sink(bytes)?))
        })
    };
    let actual = pass(crew, expected.size, DigestFunction::Sha256, make, take)?.hash;
    if actual == expected.hash {
        return Ok(());
    }
    let file = overlay.file_name(member);
    let overlay = overlay.path().to_owned();
    Err(SupplyError::OverlayHash { overlay, file, actual, expected: expected.hash }.into())
}

fn feed_file<E>(
    path: &Utf8Path,
    expected: Digest,
    crew: Crew<'_>,
    take: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), FeedError<E>> {
    if pass_file(path, expected.size, DigestFunction::Sha256, crew, take)? == expected {
        return Ok(());
    }
    Err(SupplyError::Changed { path: path.to_owned() }.into())
}

/// Hands the bytes of a file, of which there should be `size`, to `take`. Returns their digest.
///
/// # Errors
/// The file cannot be read, or `take` fails.
pub fn pass_file<E>(
    path: &Utf8Path,
    size: u64,
    function: DigestFunction,
    crew: Crew<'_>,
    take: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<Digest, FeedError<E>> {
    pass(crew, size, function, |sink| read_all(path, size, sink), take)
}

fn read_all(path: &Utf8Path, size: u64, sink: &mut Sink<'_>) -> Result<(), Unmade> {
    let cannot = |error| Unmade::Supply(failed("read", path)(error).into());
    let mut file = open_regular(path, Links::Follow).map_err(cannot)?;
    let mut buffer = vec![0; CHUNK.min(usize::try_from(size).unwrap_or(CHUNK).max(1))];
    loop {
        let length = file.read(&mut buffer).map_err(cannot)?;
        if length == 0 {
            return Ok(());
        }
        sink(&buffer[..length])?;
    }
}

/// Streams `size` bytes, with other threads only if they are many; the digest of all.
fn pass<E>(
    crew: Crew<'_>,
    size: u64,
    function: DigestFunction,
    make: impl Fn(&mut Sink<'_>) -> Result<(), Unmade> + Sync,
    take: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<Digest, FeedError<E>> {
    let crew =
        if matches!(crew, Crew::Shared(_)) && size <= WORTHWHILE { Crew::Alone } else { crew };
    pipeline::pass(crew, function, make, take).map_err(|error| match error {
        PassError::Taker(error) => FeedError::Taker(error),
        PassError::Maker(Unmade::Supply(error)) => FeedError::Supply(error),
        PassError::Maker(Unmade::Stopped) => {
            unreachable!("only a taker that failed stops a stream")
        }
    })
}
