//! One suite for everything that keeps blobs and results: the local store, REAPI, HTTP.
#![cfg(feature = "remote")]

use std::io::Read as _;

use camino::Utf8Path;
use venvtree::effects::caches::blob::{BlobError, BlobStore as _, Checked};
use venvtree::effects::caches::remote::{Remote, RemoteConfig};
use venvtree::effects::caches::store::{Access, Store};
use venvtree::effects::caches::transfer::Cache;
use venvtree::effects::host::notes::Notes;
use venvtree::effects::net::retry::Schedule;
use venvtree::model::digest::{ActionDigest, Digest, DigestFunction};

use crate::support::fake_reapi::{FakeReapi, Offer};
use crate::support::http_cache::HttpCache;

fn local(path: &Utf8Path, function: DigestFunction) -> Store {
    Store::open(path.to_owned(), function, Access::Write, Notes::new())
}

fn remote(url: &str, function: DigestFunction) -> Remote {
    let schedule = Schedule { retries: 0, ..Schedule::default() };
    let config = RemoteConfig { schedule, ..RemoteConfig::new(url.parse().unwrap()) };
    Remote::new(config, function, Notes::new()).unwrap()
}

fn read(cache: &dyn Cache, digest: Digest) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    cache.open(digest).unwrap()?.read_to_end(&mut bytes).unwrap();
    Some(bytes)
}

/// `keeps_results_only_with_blobs`: the server looks at results, so those of this suite are no use
/// to it.
fn check(cache: &dyn Cache, other: &dyn Cache, takes_any_result: bool) {
    let function = cache.function();
    let blobs: Vec<Vec<u8>> = [0, 1, 99, 100, 5_000, 3 << 20, (4 << 20) + 7]
        .iter()
        .map(|&size| (0..size).map(|index| (index * 7 % 251) as u8).collect())
        .collect();
    let digests: Vec<Digest> = blobs.iter().map(|bytes| function.digest(bytes)).collect();
    // The empty blob is never missing; digests are answered once each.
    let doubled: Vec<Digest> = digests.iter().chain(&digests).copied().collect();
    let mut expected: Vec<Digest> = digests[1..].to_vec();
    expected.sort_unstable();
    assert_eq!(cache.missing(&doubled).unwrap(), expected);
    assert!(read(cache, digests[1]).is_none());

    for (bytes, digest) in blobs.iter().zip(&digests).take(3) {
        cache.put(*digest, &mut bytes.as_slice()).unwrap();
        cache.put(*digest, &mut bytes.as_slice()).unwrap();
    }
    // What is not what it should be is not kept.
    let wrong = function.digest(b"right");
    for bytes in [&b"wrong"[..], b"righ", b"right!", b""] {
        let error = cache.put(wrong, &mut &*bytes).unwrap_err();
        assert!(matches!(error, BlobError::Mismatch { .. }), "{error}");
    }
    assert!(read(cache, wrong).is_none());
    assert_eq!(cache.missing(&[wrong]).unwrap(), [wrong]);

    // All at once, from another store.
    for (bytes, digest) in blobs.iter().zip(&digests) {
        other.put(*digest, &mut bytes.as_slice()).unwrap();
    }
    cache.put_all(&digests, other).unwrap();
    assert!(cache.missing(&digests).unwrap().is_empty());
    for (bytes, digest) in blobs.iter().zip(&digests).skip(1) {
        assert!(read(cache, *digest).as_ref() == Some(bytes), "{digest}");
    }

    // And back, to a third one; what is not there is said.
    let folder = tempfile::tempdir().unwrap();
    let third = local(Utf8Path::from_path(folder.path()).unwrap(), function);
    let asked: Vec<Digest> = digests.iter().copied().chain([wrong]).collect();
    assert_eq!(cache.get_all(&asked, &third).unwrap(), [wrong]);
    assert!(third.missing(&digests).unwrap().is_empty());

    let key = ActionDigest(function.digest(b"action"));
    assert_eq!(cache.action_result(key).unwrap(), None);
    if takes_any_result {
        cache.set_action_result(key, b"one").unwrap();
        cache.set_action_result(key, b"two").unwrap();
        assert_eq!(cache.action_result(key).unwrap().unwrap(), b"two");
    }
}

#[test]
fn every_cache_keeps_what_it_is_given_and_nothing_else() {
    for function in DigestFunction::ALL {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| Utf8Path::from_path(folder.path()).unwrap().join(name);
        check(&local(&path("store"), function), &local(&path("other"), function), true);
        for zstd in [false, true] {
            let server = FakeReapi::start(Offer { function, zstd, ..Offer::default() });
            check(&remote(&server.url(), function), &local(&path("for-grpc"), function), false);
        }
        let server = HttpCache::start();
        check(&remote(&server.url(), function), &local(&path("for-http"), function), true);
    }
}

#[test]
fn bytes_are_checked_where_they_are_made_known() {
    let digest = DigestFunction::Sha256.digest(b"abc");
    assert!(Checked::received(DigestFunction::Sha256, digest, b"abc", "test").is_ok());
    assert!(Checked::received(DigestFunction::Blake3, digest, b"abc", "test").is_err());
}
