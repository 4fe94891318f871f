//! One stream of bytes, worked on by several threads at the same time.
//!
//! Effects layer. The bytes of a large member can only be had from its beginning to its end, and
//! hashed only in that order. But while one thread hashes or writes a chunk, another can inflate
//! the next. Chunks go from thread to thread in buffers that come back when they have been taken: a
//! few megabytes, however long the stream is.

use std::panic;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use crate::effects::host::file_hash::FileHash;
use crate::model::digest::{Digest, DigestFunction, Hasher};

/// How many threads one stream can use: one makes the bytes, one hashes them, one takes them.
pub const STAGES: usize = 3;
/// Streams of fewer bytes are not worth a second thread.
pub const WORTHWHILE: u64 = 4 << 20;
/// How many chunks of a stream are under way at most.
const CHUNKS: usize = 6;

/// That nobody takes any more bytes.
#[derive(Debug)]
pub struct Stopped;

/// Where chunks go.
pub type Sink<'a> = dyn FnMut(&[u8]) -> Result<(), Stopped> + 'a;

/// Why a stream did not come to its end.
#[derive(Debug, PartialEq, Eq)]
pub enum PassError<M, T> {
    /// Its maker failed.
    Maker(M),
    /// Its taker failed.
    Taker(T),
}

/// Who works on a stream.
#[derive(Debug, Clone, Copy)]
pub enum Crew<'a> {
    /// One thread.
    Alone,
    /// One thread, which hashes some of a file on the way.
    Beside(&'a FileHash<'a>),
    /// So many threads at most.
    Shared(usize),
}

impl Crew<'_> {
    /// How many threads they are at most.
    pub fn threads(self) -> usize {
        match self {
            Self::Alone | Self::Beside(_) => 1,
            Self::Shared(threads) => threads,
        }
    }
}

/// Hands the chunks that `make` gives to its sink on to `take`, in order. Returns the digest of all
/// of them. `take` is called in this thread.
///
/// # Errors
/// `make` or `take` fails. After an error of `take`, whatever `make` returns does not count.
#[expect(
    clippy::disallowed_methods,
    reason = "where no thread can be started, this one does it all"
)]
pub fn pass<M: Send, T>(
    crew: Crew<'_>,
    function: DigestFunction,
    make: impl Fn(&mut Sink<'_>) -> Result<(), M> + Sync,
    take: impl FnMut(&[u8]) -> Result<(), T>,
) -> Result<Digest, PassError<M, T>> {
    let threads = match crew {
        Crew::Shared(threads) if threads > 1 => threads,
        Crew::Shared(_) | Crew::Alone => return pass_alone(function, None, &make, take),
        Crew::Beside(file) => return pass_alone(function, Some(file), &make, take),
    };
    std::thread::scope(|scope| {
        let (deliver, delivered) = mpsc::channel();
        let (give_back, empty) = mpsc::channel();
        for _ in 0..CHUNKS {
            let _ = give_back.send(Vec::new());
        }
        let hashing =
            if threads < STAGES { None } else { hash_apart(scope, function, deliver.clone()) };
        let (fill, hashing) = match hashing {
            Some((fill, thread)) => (fill, Some(thread)),
            None => (deliver.clone(), None),
        };
        // When those who fill and hash have ended, nothing more is delivered.
        drop(deliver);
        let make = &make;
        let Ok(making) = Builder::new()
            .spawn_scoped(scope, move || make(&mut |bytes| copy(bytes, &empty, &fill)))
        else {
            return pass_alone(function, None, make, take);
        };
        let hasher = hashing.is_none().then(|| Hasher::new(function));
        let hasher = take_all(delivered, give_back, hasher, take).map_err(PassError::Taker)?;
        join(making).map_err(PassError::Maker)?;
        let hasher = hasher.or_else(|| hashing.map(join));
        Ok(hasher.expect("the chunks were hashed here or apart").finish())
    })
}

/// Everything in this thread, without copies. Where the system has no more threads to give, this is
/// what is left.
fn pass_alone<M, T>(
    function: DigestFunction,
    beside: Option<&FileHash<'_>>,
    make: &impl Fn(&mut Sink<'_>) -> Result<(), M>,
    mut take: impl FnMut(&[u8]) -> Result<(), T>,
) -> Result<Digest, PassError<M, T>> {
    let mut hasher = Hasher::new(function);
    let mut buffer = Vec::new();
    let mut refused = None;
    let made = make(&mut |bytes| {
        match beside {
            Some(file) => file.advance_beside(&mut hasher, bytes, &mut buffer),
            None => hasher.update(bytes),
        }
        take(bytes).map_err(|error| {
            refused = Some(error);
            Stopped
        })
    });
    match refused {
        Some(error) => Err(PassError::Taker(error)),
        None => made.map(|()| hasher.finish()).map_err(PassError::Maker),
    }
}

/// Starts a thread that hashes the chunks it is sent and delivers them.
#[expect(clippy::disallowed_methods, reason = "where no thread can be started, another one hashes")]
fn hash_apart<'scope>(
    scope: &'scope Scope<'scope, '_>,
    function: DigestFunction,
    deliver: Sender<Vec<u8>>,
) -> Option<(Sender<Vec<u8>>, ScopedJoinHandle<'scope, Hasher>)> {
    let (fill, filled) = mpsc::channel::<Vec<u8>>();
    let hash = move || {
        let mut hasher = Hasher::new(function);
        for chunk in filled {
            hasher.update(&chunk);
            if deliver.send(chunk).is_err() {
                break;
            }
        }
        hasher
    };
    Some((fill, Builder::new().spawn_scoped(scope, hash).ok()?))
}

/// Sends a copy of a chunk on, in a buffer that has come back.
fn copy(bytes: &[u8], empty: &Receiver<Vec<u8>>, fill: &Sender<Vec<u8>>) -> Result<(), Stopped> {
    let mut buffer = empty.recv().map_err(|_| Stopped)?;
    buffer.clear();
    buffer.extend_from_slice(bytes);
    fill.send(buffer).map_err(|_| Stopped)
}

/// Takes every chunk that is delivered and gives its buffer back; hashes it before if there is a
/// hasher, which is returned.
fn take_all<T>(
    delivered: Receiver<Vec<u8>>,
    give_back: Sender<Vec<u8>>,
    mut hasher: Option<Hasher>,
    mut take: impl FnMut(&[u8]) -> Result<(), T>,
) -> Result<Option<Hasher>, T> {
    for chunk in delivered {
        if let Some(hasher) = &mut hasher {
            hasher.update(&chunk);
        }
        take(&chunk)?;
        // Whoever has made the last chunk wants no more buffers.
        let _ = give_back.send(chunk);
    }
    Ok(hasher)
}

fn join<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::effects::host::input::InputFile;
    use crate::model::digest::Hash;

    const THREADS: [usize; 4] = [1, 2, 3, 8];

    /// Chunks of differing lengths, more than are under way at a time.
    fn chunks() -> Vec<Vec<u8>> {
        (0..40_u8).map(|number| vec![number; usize::from(number) * 97]).collect()
    }

    fn make_all(sink: &mut Sink<'_>) -> Result<(), &'static str> {
        chunks().iter().try_for_each(|chunk| sink(chunk)).map_err(|Stopped| "stopped")
    }

    #[test]
    fn all_bytes_arrive_in_order_and_are_hashed() {
        for function in [DigestFunction::Sha256, DigestFunction::Blake3] {
            for threads in THREADS {
                let mut taken = Vec::new();
                let passed =
                    pass(Crew::Shared(threads), function, make_all, |bytes| -> Result<(), ()> {
                        taken.extend_from_slice(bytes);
                        Ok(())
                    });
                assert_eq!(taken, chunks().concat(), "{threads} threads");
                assert_eq!(passed, Ok(function.digest(&taken)), "{threads} threads");
            }
        }
    }

    #[test]
    fn bytes_are_taken_here_and_made_elsewhere_if_there_are_threads() {
        let here = std::thread::current().id();
        for threads in THREADS {
            let apart = AtomicUsize::new(0);
            let make = |sink: &mut Sink<'_>| {
                apart
                    .fetch_add(usize::from(std::thread::current().id() != here), Ordering::Relaxed);
                make_all(sink)
            };
            pass(Crew::Shared(threads), DigestFunction::Sha256, make, |_| -> Result<(), ()> {
                assert_eq!(std::thread::current().id(), here);
                Ok(())
            })
            .unwrap();
            assert_eq!(apart.into_inner(), usize::from(threads > 1), "{threads} threads");
        }
    }

    #[test]
    fn a_file_is_hashed_beside_a_stream() {
        let folder = tempfile::tempdir().unwrap();
        let path = camino::Utf8PathBuf::from_path_buf(folder.path().join("file")).unwrap();
        let stream = chunks().concat();
        for length in [0, 100, stream.len(), 2 * stream.len()] {
            std::fs::write(&path, vec![b'x'; length]).unwrap();
            let input = InputFile::open(&path).unwrap();
            let file = FileHash::new(&input);
            let passed =
                pass(Crew::Beside(&file), DigestFunction::Sha256, make_all, |_| Ok::<(), ()>(()));
            assert_eq!(passed, Ok(DigestFunction::Sha256.digest(&stream)));
            assert_eq!(file.hashed(), length.min(stream.len()) as u64);
            assert_eq!(file.finish().unwrap(), Hash::sha256(&vec![b'x'; length]));
        }
    }

    #[test]
    fn what_comes_before_an_error_of_the_maker_is_taken() {
        for threads in THREADS {
            let mut count = 0;
            let make = |sink: &mut Sink<'_>| {
                make_all(sink)?;
                Err("no more")
            };
            let passed =
                pass(Crew::Shared(threads), DigestFunction::Sha256, make, |_| -> Result<(), ()> {
                    count += 1;
                    Ok(())
                });
            assert_eq!(
                (passed, count),
                (Err(PassError::Maker("no more")), chunks().len()),
                "{threads} threads"
            );
        }
    }

    #[test]
    fn an_error_of_the_taker_stops_the_maker_and_counts_before_its_own() {
        for threads in THREADS {
            let made = AtomicUsize::new(0);
            let make = |sink: &mut Sink<'_>| -> Result<(), &'static str> {
                for chunk in chunks() {
                    sink(&chunk).map_err(|Stopped| "stopped")?;
                    made.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            };
            let count = Cell::new(0);
            let passed = pass(Crew::Shared(threads), DigestFunction::Sha256, make, |_| {
                count.set(count.get() + 1);
                if count.get() == 3 { Err("full") } else { Ok(()) }
            });
            assert_eq!(
                (passed, count.get()),
                (Err(PassError::Taker("full")), 3),
                "{threads} threads"
            );
            // Not one more than were under way.
            assert!(made.into_inner() < 3 + CHUNKS, "{threads} threads");
        }
    }

    #[test]
    fn a_panic_of_the_maker_is_passed_on() {
        for threads in THREADS {
            let make = |_: &mut Sink<'_>| -> Result<(), ()> { panic!("as planned") };
            let caught = panic::catch_unwind(|| {
                pass(Crew::Shared(threads), DigestFunction::Sha256, make, |_| Ok::<(), ()>(()))
            });
            assert!(caught.is_err(), "{threads} threads");
        }
    }
}
