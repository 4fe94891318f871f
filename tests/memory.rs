//! What the canonical form of bytecode takes of memory, as the allocator counts it: a binary of its
//! own, in which nothing else allocates.

use std::process::Command;

use peak_alloc::PeakAlloc;
use venvtree::model::bytecode::marshal::{MarshalError, canonical};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// The most bytes for each of the input, and besides.
const TIMES: usize = 8;
const BESIDES: usize = 256 << 10;

/// How many objects are side by side.
const MANY: u32 = 50_000;
/// How many lie in each other: nearly as many as may.
const DEEP: usize = 1990;

/// What was allocated at once, at most.
fn peak<T>(action: impl FnOnce() -> T) -> (usize, T) {
    ALLOCATOR.reset_peak_usage();
    let before = ALLOCATOR.current_usage();
    let result = action();
    (ALLOCATOR.peak_usage() - before, result)
}

/// A tuple, or a set, of so many objects.
fn group(kind: u8, count: usize, objects: Vec<u8>) -> Vec<u8> {
    [[kind].as_slice(), &(count as u32).to_le_bytes(), &objects].concat()
}

/// A tuple of so many objects.
fn tuple(count: u32, object: impl Fn(u32) -> Vec<u8>) -> Vec<u8> {
    group(b'(', count as usize, (0..count).flat_map(object).collect())
}

fn number(kind: u8, number: u32) -> Vec<u8> {
    [[kind].as_slice(), &number.to_le_bytes()].concat()
}

/// Tuples in each other, begun by one of `heads` each, and a number that makes all of them unique.
fn chain(heads: &[&[u8]], last: u32) -> Vec<u8> {
    // As good as chance.
    let head = |index: usize| (index * index + last as usize * 7) % heads.len();
    let mut bytes: Vec<u8> = (0..DEEP).flat_map(|index| heads[head(index)]).copied().collect();
    bytes.extend(number(b'i', last));
    bytes
}

/// A code object of nothing but what Python knows by heart.
fn code(line: u32) -> Vec<u8> {
    [b"c".as_slice(), &[0; 20], b"NNNNNNNN", &line.to_le_bytes(), b"NN"].concat()
}

/// Pairs of pairs, which are all different.
fn pairs(depth: u32, number: u32) -> Vec<u8> {
    match depth {
        0 => vec![b"NFTS."[(number.wrapping_mul(0x9e37_79b9) >> 16) as usize % 5]],
        _ => {
            let below = |side| pairs(depth - 1, 2 * number + side);
            [b")\x02".as_slice(), &below(0), &below(1)].concat()
        }
    }
}

/// What tries to make much of little.
fn hostile() -> Vec<(&'static str, Vec<u8>)> {
    let ones: &[&[u8]] = &[b")\x01"];
    let marked: &[&[u8]] = &[b"\xa9\x01"];
    let twos: &[&[u8]] = &[b")\x02N", b")\x02T", b")\x02F", b")\x02."];
    let mixed: &[&[u8]] = &[b")\x01", b")\x02N", b")\x02T", b")\x03NF", b"\xa9\x02."];
    let references = |count: u32| (0..count).flat_map(|index| number(b'r', index));
    let referred: Vec<u8> =
        (0..MANY).flat_map(|index| number(0xe9, index)).chain(references(MANY)).collect();
    let long = |length: usize| number(b'a', length as u32).into_iter().chain(vec![b'x'; length]);
    let codes = |count| tuple(count, code);
    vec![
        ("constants known by heart", tuple(MANY, |_| b"N".to_vec())),
        ("a set of them", group(b'>', MANY as usize, vec![b'N'; MANY as usize])),
        ("small numbers", tuple(MANY, |index| number(b'i', index))),
        ("small numbers that are marked", tuple(MANY, |index| number(0xe9, index))),
        ("and all referred to", group(b'(', 2 * MANY as usize, referred)),
        (
            "a set of numbers",
            group(b'>', MANY as usize, tuple(MANY, |n| number(b'i', n))[5..].to_vec()),
        ),
        ("sets of one", tuple(MANY, |index| group(b'>', 1, number(b'i', index)))),
        ("empty tuples", tuple(MANY, |_| b")\0".to_vec())),
        ("empty tuples that are marked", tuple(MANY, |_| b"\xa9\0".to_vec())),
        ("tuples of one", tuple(MANY, |_| b")\x01N".to_vec())),
        ("slices", tuple(MANY, |_| b":NNN".to_vec())),
        ("short strings", tuple(MANY, |index| format!("z\x05{index:05}").into_bytes())),
        ("one short string", tuple(MANY, |_| b"z\x01x".to_vec())),
        ("large strings", group(b'>', 2, long(500_000).chain(long(500_001)).collect())),
        ("bytes", number(b's', 1_000_000).into_iter().chain(vec![0; 1_000_000]).collect()),
        ("deep tuples of one", tuple(200, |last| chain(ones, last))),
        ("deep tuples of one that are marked", tuple(200, |last| chain(marked, last))),
        ("deep tuples of two", tuple(200, |last| chain(twos, last))),
        ("deep tuples", tuple(200, |last| chain(mixed, last))),
        ("a tree", pairs(16, 1)),
        ("code objects", codes(10_000)),
        ("lengths that are lies", b"(\0\0\x01\0".repeat(DEEP)),
        ("short lengths that are lies", b")\xff".repeat(DEEP)),
    ]
}

/// The larger modules of the standard library, as this machine's Python writes them.
#[expect(clippy::disallowed_methods, reason = "it is a program of this test's own")]
fn real() -> Vec<Vec<u8>> {
    let program = "import glob, marshal, os, sys\n\
        for path in sorted(glob.glob(os.path.dirname(os.__file__) + '/*.py')):\n\
        \x20   with open(path, 'rb') as file: source = file.read()\n\
        \x20   bytes = marshal.dumps(compile(source, 'x.py', 'exec', dont_inherit=True))\n\
        \x20   sys.stdout.buffer.write(len(bytes).to_bytes(4, 'little') + bytes)\n";
    let output = Command::new("python3").args(["-W", "ignore", "-c", program]).output();
    let output = output.expect("python3 runs").stdout;
    let mut modules = Vec::new();
    let mut rest = output.as_slice();
    while let Some((length, bytes)) = rest.split_first_chunk() {
        let (module, after) = bytes.split_at(u32::from_le_bytes(*length) as usize);
        modules.push(module.to_vec());
        rest = after;
    }
    modules
}

#[test]
#[expect(clippy::print_stdout, reason = "how near they come is worth knowing")]
fn no_input_takes_more_than_eight_times_its_size() {
    // Whether anything is counted at all.
    assert!(peak(|| vec![1_u8; 1 << 20]).0 >= 1 << 20);
    for (name, bytes) in hostile() {
        let (taken, result) = peak(|| canonical(&bytes));
        println!("{name}: {:.1}", taken as f64 / bytes.len() as f64);
        assert!(taken <= TIMES * bytes.len() + BESIDES, "{name}: {taken} for {}", bytes.len());
        match result {
            Ok(written) => assert!(taken >= written.len(), "{name}"),
            Err(error) => assert_eq!((error, name.contains("lies")), (MarshalError::Ends, true)),
        }
    }
    let modules = real();
    assert!(modules.iter().filter(|module| module.len() > 1 << 15).count() > 20);
    let mut most: f64 = 0.0;
    for module in modules {
        let (taken, result) = peak(|| canonical(&module));
        result.unwrap();
        assert!(taken <= TIMES * module.len() + BESIDES, "{taken} for {}", module.len());
        most = most.max((taken.saturating_sub(1 << 13)) as f64 / module.len() as f64);
    }
    println!("modules of the standard library: {most:.1}, besides 8 KiB");
}
