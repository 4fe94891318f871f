//! What is a lock, and what is wrong with a text that is none.

use super::*;

#[test]
fn formats_are_told_by_what_is_in_them() {
    let kind = |text: &str| Lock::read(text).map(|lock| lock.kind);
    assert_eq!(
        kind(
            "\u{feff}# c\r\nversion = 1\r\n[[package]]\r\nname = \"a\"\r\nsource = { virtual = \".\" }\r\n"
        ),
        Ok(LockKind::Uv)
    );
    assert_eq!(
        kind("lock-version = \"1.0\"\ncreated-by = \"x\"\npackages = []\n"),
        Ok(LockKind::Pylock)
    );
    assert_eq!(kind(&format!("six==1.0 --hash=sha256:{HASH}\n")), Ok(LockKind::Requirements));
    assert_eq!(kind("# nothing is required\n"), Ok(LockKind::Requirements));
}

#[test]
fn what_was_cut_off_is_no_lock() {
    let root =
        "the.lock: has no root: neither a project nor a member of a workspace nor requirements";
    for text in ["version = 1\nrequires-python = \">=3.9\"\n", &uv("", &[("six", "")])] {
        assert_eq!(refused(text), root, "{text}");
    }
    let kinds = "expected a uv.lock, a pylock.toml or requirements with hashes";
    for text in ["", "\u{feff}", "\n \n"] {
        assert_eq!(refused(text), format!("the.lock: is empty, {kinds}"), "{text:?}");
    }
    assert_eq!(
        refused("lock-version = \"1.0\"\ncreated-by = \"x\"\n"),
        "the.lock: has no list of packages (`packages`)"
    );
    let whole = |text: &str, expected: &str| {
        assert_eq!(chosen(text, &linux("3.12"), &Request::default()), expected, "{text}")
    };
    whole("lock-version = \"1.0\"\npackages = []\n", "");
    whole("# nothing\n--pre\n", "warning: it requires nothing");
    whole("version = 1\nrequires-python = \">=3\"\n[manifest.dependency-groups]\ndev = []\n", "");
}

#[test]
fn what_a_merge_has_left_is_said_once() {
    let (ours, theirs) = (uv("", &[("app", ROOT)]), uv("", &[("b", "")]));
    let text = format!("{ours}<<<<<<< HEAD\n{ours}=======\n{theirs}>>>>>>> other\n");
    let line = ours.lines().count() + 1;
    let expected = |line, marker| {
        format!("the.lock:{line}: `{marker}` is a conflict marker, which a merge has left there")
    };
    assert_eq!(refused(&text), expected(line, "<<<<<<<"));
    assert_eq!(refused("a==1\r\n=======\r\nb==1\r\n"), expected(2, "======="));
    assert!(Lock::read("# ======= a\n").is_ok());
}

#[test]
fn versions_of_python_that_nobody_understands_are_refused() {
    for text in ["foo", ">=3.11 <4", ">=3.11,", "3.11", "*"] {
        let expected =
            format!("its requires-python is {text:?}, expected versions such as \">=3.11, <4\"");
        let lock = uv(&format!("requires-python = \"{text}\""), &[("app", ROOT)]);
        assert_eq!(refused(&lock), format!("the.lock:3:19: {expected}"));
    }
    for text in ["", ">=3.11", "~=3.11", "==3.*", ">=3.11, <4"] {
        let lock = uv(&format!("requires-python = \"{text}\""), &[("app", ROOT)]);
        assert_eq!(chosen(&lock, &linux("3.12"), &Request::default()), "(app)");
    }
    // What packages say is older than the lock.
    let pylock = |text: &str| {
        format!(
            "lock-version = \"1.0\"\npackages = [{{ name = \"a\", requires-python = \"{text}\" }}]\n"
        )
    };
    let expected =
        "the.lock:2:45: its requires-python is \"foo\", expected versions such as \">=3.11, <4\"";
    assert_eq!(refused(&pylock("foo")), expected);
    for text in [">=2.7,!=3.0.*,", ">=3.9 <4"] {
        assert!(Lock::read(&pylock(text)).is_ok(), "{text}");
    }
}

#[test]
fn what_is_no_lock_is_named() {
    let check =
        |text: &str, expected: &str| assert_eq!(refused(text), format!("the.lock{expected}"));
    let other = "expected a uv.lock, a pylock.toml or requirements with hashes";
    check("{\"_meta\": {}}", &format!(": is JSON, {other}"));
    check(
        "{\"version\": 1, \"interpreter\": {}, \"wheels\": []}",
        &format!(": is a spec, {other}"),
    );
    check("metadata:\n- x\npackages:\n- y\n", &format!(": is YAML, {other}"));
    check("<html>", &format!(": is HTML or XML, {other}"));
    check("[project]\nname = 'x'\n", &format!(": is a pyproject.toml, {other}"));
    check(
        "[[package]]\nname = 'x'\n[metadata]\nlock-version = '2.1'\n",
        &format!(": is a lock of Poetry or PDM, {other}"),
    );
    check("[a]\nb = 1\n", &format!(": is TOML of another kind, {other}"));
    check("lock-version = \"2.0\"\n", ": lock-version is 2.0; this venvtree reads 1");
    check("version = 2\npackage = []\n", ": version is 2; this venvtree reads 1");
    check(
        "version = \"1\"\npackage = []\n",
        ": version is no number (string); this venvtree reads 1",
    );
}

#[test]
fn everything_that_is_wrong_is_said_with_its_place() {
    let text = "lock-version = \"1.0\"\nenvironments = [\"os_name = 'nt'\"]\n[[packages]]\nname = \"-a\"\n[[packages]]\nname = \"b\"\n\
                marker = \"'dev' in dependency_group\"\nwheels = [{ url = 1, path = \"x.whl\", hashes = { sha256 = \"12\" } }, {}]\n\
                [[packages]]\nversion = 3\n[[packages]]\nname = \"c\"\nmarker = \"extras == 'x'\"\n";
    let expected = "\
the.lock:2:17: its marker has \"= 'nt'\" where a comparison such as `==` or `in` should be
the.lock:4:8: `-a` is no distribution name: expected ASCII letters, digits, `-`, `_` and `.`, first and last a letter or digit
the.lock:7:10: its marker has \"dependency_group\" where a variable should be
the.lock:8:19: its url is 1, expected a text
the.lock:8:49: its SHA-256 is none: a digest has 64 hexadecimal digits, this has 2 characters
the.lock:8:68: it has neither a url nor a path
the.lock:9:1: it has no name
the.lock:13:10: its marker asks for `extras` in another way than \"NAME\" in extras";
    assert_eq!(refused(text), expected);
    let text = "version = 1\nsupported-markers = [\"x\"]\n[[package]]\nname = \"a\"\ndependencies = [{ name = \"b\" }, { name = \"c\" }]\n\
                [[package]]\nname = \"b\"\nversion = \"1\"\nsource = { registry = \"i\" }\n[[package]]\nname = \"b\"\nversion = \"2\"\n\
                source = { registry = \"i\" }\nwheels = [{ url = \"u\", hash = \"abc\" }]\n";
    let expected = "\
the.lock:2:22: its marker has \"x\" where a variable should be
the.lock:3:1: it has no source
the.lock:5:17: it requires `b`, of which the lock has 2
the.lock:5:33: it requires `c`, which the lock does not have
the.lock:14:31: its hash is \"abc\", expected one such as \"sha256:…\"";
    assert_eq!(refused(text), expected);
    assert_eq!(
        refused("version = 1\n[[package]\nname = ä\n").lines().next(),
        Some("the.lock:2:11: unclosed array table, expected `]`")
    );
}

#[test]
fn requirements_are_read_as_pip_reads_them() {
    let hash = format!("--hash=sha256:{HASH}");
    let text = format!(
        "# c\r\n--index-url https://u:secret@index.example/simple\r\nSix[x]==1.0 ; python_version >= '3' \\\r\n    {hash} \\\r\n    --hash=sha256:{}\r\n\
         b==2 # why {hash}\n  {hash}\n",
        "0".repeat(64)
    );
    assert_eq!(
        refused(&text),
        "the.lock:6: `b==2` has no hash\nthe.lock:7: `--hash` is an option that is not known"
    );
    let problems = [
        ("six==1.17.0", "`six==1.17.0` has no hash".to_owned()),
        ("-e ./libs/liba", "`-e ./libs/liba` is no wheel".to_owned()),
        ("./libs/liba", "`./libs/liba` is no wheel".to_owned()),
        ("a @ git+https://u:secret@host.example/a", "`a @ git+https://host.example/a` is no wheel".to_owned()),
        ("a @ https://files.example/a-1.0-py3-none-any.whl", "`https://files.example/a-1.0-py3-none-any.whl` has no hash".to_owned()),
        ("-r base.txt", "`-r base.txt` names another file, and a lock is one: compile both into one".to_owned()),
        ("--no-binary :all:", "`--no-binary :all:` asks for source distributions, and nothing is built here".to_owned()),
        (&format!("six>=1 {hash}"), "`six>=1` is no exact version, expected `six==VERSION`".to_owned()),
        (&format!("six==1.* {hash}"), "`six==1.*` is no exact version, expected `six==VERSION`".to_owned()),
        (&format!("six==1 ; os_name {hash}"), "`six==1 ; os_name` is no requirement: its marker has \"\" where a comparison such as `==` or `in` should be".to_owned()),
    ];
    for (text, expected) in problems {
        assert_eq!(refused(text), format!("the.lock:1: {expected}"), "{text}");
    }
    let at_hand = |name: &str, hash: &str| AtHand {
        file: WheelFilename::parse(name).unwrap(),
        path: format!("wheels/{name}"),
        sha256: Hash::parse_hex(hash).unwrap(),
        others: Vec::new(),
        size: 3,
    };
    let text = format!(
        "six==1.0 {hash}\nvendor==2 ; os_name == 'nt' {hash}\n./v/a-1.0-py3-none-any.whl {hash}\n-c c.txt\n"
    );
    let check = |request: &Request, expected: &str| {
        assert_eq!(chosen(&text, &linux("3.12.1"), request), expected)
    };
    check(&Request::default(), "the.lock: has no addresses, and no wheels are given");
    let other = "1".repeat(64);
    let wheels = vec![
        at_hand("six-1.0-2-py3-none-any.whl", &other),
        at_hand("six-1.0-py3-none-any.whl", HASH),
    ];
    let warning = "warning: line 4: `-c c.txt` is passed over: a lock has exact versions";
    check(
        &with(|request| request.at_hand = wheels),
        &format!("a-1.0-py3-none-any\nsix-1.0-py3-none-any\n{warning}"),
    );
    let wheels = vec![at_hand("six-1.0-py3-none-any.whl", &other)];
    check(
        &with(|request| request.at_hand = wheels),
        "the.lock: no wheel of 1 package fits CPython 3.12.1, linux-x86_64-glibc-2.28:\n  six 1.0: none of the wheels that are given has one of its hashes and fits",
    );
}
