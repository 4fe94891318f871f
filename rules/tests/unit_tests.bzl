"""Tests of pure functions. They run when this package is loaded: a wrong result is an error of loading."""

load("//rules/common:attributes.bzl", "ENVIRONMENT_FLAGS")
load("//rules/common:bytecode.bzl", "bytecode_document", "check_compiler", "overlay_name", "packed_bytecode", "wanted_bytecode")
load("//rules/common:inside.bzl", "copied_files", "inside_directory", "inside_files", "inside_flags")
load("//rules/common:install_path.bzl", "install_path")
load("//rules/common:label.bzl", "label_text")
load("//rules/common:layers.bzl", "image_options", "layer_options", "split_wheels")
load("//rules/common:locks.bzl", "check_flag", "check_flags", "check_supplied", "check_supply", "config_settings", "lacking_message", "missing_message", "package_directory", "part_label", "read_index", "serves", "supplied_package", "wheel_owners", "wheel_sets")
load("//rules/common:migration.bzl", "translate")
load("//rules/common:release.bzl", "check_release", "chosen_programs", "program_for", "release_url")
load("//rules/common:spec.bzl", "check_environment", "default_abi", "environment_flags", "interpreter_candidates", "interpreter_facts", "parse_platform", "parse_version", "spec_document")
load("//rules/common:text.bzl", "check_line", "check_lines", "check_variables")
load("//rules/common:wheel_metadata.bzl", "check_wheel")
load("//rules/common:wheel_name.bzl", "escape_distribution", "is_version", "normalise_distribution", "parse_wheel_name")
load("//rules/private:repository.bzl", "clash")

def _equal(found, expected):
    if found != expected:
        fail("expected %s, found %s" % (repr(expected), repr(found)))

def _refused(result, part):
    if result.value != None or part not in result.error:
        fail("expected an error with `%s`, found %s" % (part, result))

def _platforms():
    _equal(parse_platform("linux-x86_64-glibc-2.36").value, {"os": "linux", "arch": "x86_64", "libc": "glibc-2.36"})
    _equal(parse_platform("linux-aarch64").value, {"os": "linux", "arch": "aarch64"})
    _equal(parse_platform("macos-aarch64-14.0").value, {"os": "macos", "arch": "aarch64", "version": "14.0"})
    _equal(parse_platform("windows-x86_64").value, {"os": "windows", "arch": "x86_64"})
    _refused(parse_platform("linux"), "expected OS-ARCH-LIBC")
    _refused(parse_platform("plan9-x86_64"), "expected OS-ARCH-LIBC")
    _refused(parse_platform("macos-aarch64"), "needs the oldest version")
    _refused(parse_platform("windows-x86_64-11"), "expected nothing after")

def _wanted(setting = "none", exclude = [], **changed):
    return wanted_bytecode(struct(**dict({"bytecode": "auto", "bytecode_levels": ["0"], "bytecode_exclude": []}, **changed)), setting, exclude)

def _bytecode():
    _equal(_wanted().value, None)
    _equal(_wanted().error, None)
    _equal(_wanted(setting = "checked").value.validation, "checked")
    _equal(_wanted(setting = "checked", bytecode = "none").value, None)
    found = _wanted(exclude = ["a/**"], bytecode = "unchecked", bytecode_levels = ["2", "0", "2"], bytecode_exclude = ["a/**", "b.py"]).value
    _equal((found.validation, found.levels, found.exclude), ("unchecked", [0, 2], ["a/**", "b.py"]))
    _refused(_wanted(setting = "yes"), "the build setting `bytecode` is `yes`")
    _refused(_wanted(bytecode_levels = ["3"]), "`bytecode_levels` has `3`")
    _refused(_wanted(bytecode_levels = []), "`bytecode_levels` is empty")
    for pattern, part in [("", "it is empty"), ("/a", "begins with `/`"), ("a/", "`FOLDER/**`"), ("{a", "a brace is open")]:
        _refused(_wanted(setting = "checked", bytecode_exclude = [pattern]), part)
        _refused(_wanted(setting = "checked", exclude = [pattern]), "the build setting `bytecode_exclude`")
    _equal(_wanted(setting = "checked", bytecode_exclude = ["{a,b}/**", "[{].py"]).error, None)
    for version, abi, part in [
        ("3.11.7", "cp311", None),
        ("3.14.0", "cp314", None),
        ("3.15.0", "cp315", "CPython 3.11 to 3.14"),
        ("3.13.1", "cp313t", "regular builds"),
        ("3.13", "cp313", "with its patch level"),
    ]:
        problem = check_compiler(version, abi)
        if problem != part and part not in problem:
            fail("expected an error with `%s`, found %s" % (part, problem))
    _equal(overlay_name("six-1.16.0-py2.py3-none-any.whl", "3.12.1", 0), "six-1.16.0-py2.py3-none-any.cpython-312.bytecode.zip")
    _equal(overlay_name("six-1.16.0-py2.py3-none-any.whl", "3.12.1", 2), "six-1.16.0-py2.py3-none-any.cpython-312.opt-2.bytecode.zip")
    _equal(bytecode_document(None, "3.12.1"), None)
    document = bytecode_document(found, "3.12.1", sources = ["app/[x].py", "app/{{x}}.py", "app/data.txt"])
    _equal(document["exclude"], ["**/tests/**", "test/**", "a/**", "b.py", "app/[[]x].py", "app/[{][{]x[}][}].py"])
    _equal((document["compiler"], document["levels"], document["validation"]), ("3.12.1", [0, 2], "unchecked"))

    venv = struct(bytecode = found, interpreter = struct(version = "3.12.1"))
    _equal(packed_bytecode(venv, struct(version = "3.12.2"), []), None)
    _equal("interpreter" in packed_bytecode(venv, venv.interpreter, []), False)
    _equal(
        packed_bytecode(venv, venv.interpreter, [], inside = True)["interpreter"],
        ["interpreter.cpython-312.bytecode.zip", "interpreter.cpython-312.opt-2.bytecode.zip"],
    )

def _interpreters_inside():
    for path, directory, executable in [
        ("../python/bin/python3", "interpreter/../python", "bin/python3"),
        ("third_party/bin/python3", "interpreter/third_party", "bin/python3"),
        ("bin/python3", "interpreter", "bin/python3"),
        ("../python/python.exe", "interpreter/../python", "python.exe"),
        ("python.exe", "interpreter", "python.exe"),
    ]:
        _equal(inside_files(path), {"kind": "inside", "directory": directory, "executable": executable})
    _equal(inside_files("tools/sbin/python3"), {"kind": "inside", "directory": "interpreter/tools/sbin", "executable": "python3"})
    _equal(inside_directory("bin/python3"), {"kind": "inside", "directory": "interpreter", "executable": "bin/python3"})
    paths = ["../python/bin/pip", "../python/bin/python", "../python/bin/python3", "../python/lib/python3.11/os.py"]
    _equal(copied_files("../python/bin/python3", paths).value.keys(), paths[2:])
    paths = ["../python/python.exe", "../python/python312.dll", "../python/Lib/os.py"]
    _equal(copied_files("../python/python.exe", paths).value.keys(), paths)
    _refused(copied_files("../python/bin/python3", ["../python/bin/python3", "../other/lib.so"]), "of its files, `../other/lib.so` is not in `../python`")
    _refused(copied_files("bin/python3", ["bin/python3", "bin/pip"]), "it is one file, `bin/python3`, without a library")
    _equal(inside_flags({"links": False, "prompt": "x"}, {"os": "linux"}), {"links": True, "prompt": "x"})
    _equal(inside_flags({"links": False}, {"os": "windows"}), {"links": False})

def _releases():
    both = {"x86_64-unknown-linux-gnu": "0" * 64, "x86_64-unknown-linux-musl": "1" * 64, "aarch64-unknown-linux-gnu": "2" * 64}

    # One program for one kind of machine: machines with others would not share results.
    _equal([program.target for program in chosen_programs(both)], ["x86_64-unknown-linux-musl", "aarch64-unknown-linux-gnu"])
    for machine, target in [
        (("linux", "amd64"), "x86_64-unknown-linux-musl"),
        (("linux", "x86_64"), "x86_64-unknown-linux-musl"),
        (("linux", "aarch64"), "aarch64-unknown-linux-gnu"),
        (("mac os x", "aarch64"), None),
        (("windows 10", "amd64"), None),
        (("freebsd", ""), None),
    ]:
        _equal(program_for(machine, both), target)
        _equal(program_for(machine, {}), None)
    _equal(release_url("https://mirror.example/v1/", "1.0", "x86_64-unknown-linux-gnu"), "https://mirror.example/v1/venvtree-1.0-x86_64-unknown-linux-gnu.tar.gz")
    _equal(check_release("1.0", "https://mirror.example", both).error, None)
    for version, base, sha256, part in [
        ("", "https://mirror.example", both, "`version` is empty"),
        ("1.0", "", both, "`base` is empty"),
        ("1.0", "https://mirror.example", {}, "`sha256` is empty"),
        ("1.0", "https://mirror.example", {"vax": "0" * 64}, "the target `vax`; expected one of"),
        ("1.0", "https://mirror.example", {"x86_64-unknown-linux-gnu": "0" * 63}, "expected 64 hexadecimal digits"),
        ("1.0", "https://mirror.example", {"x86_64-unknown-linux-gnu": "G" * 64}, "expected 64 hexadecimal digits"),
    ]:
        found = check_release(version, base, sha256).error or ""
        if part not in found:
            fail("expected an error with `%s`, found %s" % (part, found))

def _layers():
    names = ["flask-3.0-py3-none-any.whl", "NumPy-2.0-cp311-cp311-linux_x86_64.whl"]
    document = {"wheels": [{"path": name} for name in names], "flags": {}}
    flask, numpy = document["wheels"]
    _equal(split_wheels(document, []).value, [("_packages", [flask, numpy])])
    _equal(split_wheels(document, ["numpy"]).value, [("numpy", [numpy]), ("_packages", [flask])])
    _equal(split_wheels(document, ["NumPy", "Flask"]).value, [("flask", [flask]), ("numpy", [numpy])])
    _refused(split_wheels(document, ["pandas"]), "`alone` names `pandas`, but")
    _refused(split_wheels(dict(document, flags = {"conflicts": "last"}), ["numpy"]), "leave one of both out")
    layer = struct(prefix = "srv/app", level = -1, owner = "")
    _equal(layer_options(layer).value, ["--prefix=srv/app"])
    _refused(layer_options(struct(prefix = "a\nb", level = 3, owner = "")), "`prefix` has \"a\\nb\"")
    image = {"layer_policy": "auto", "max_layers": 9, "compression": "zstd", "entrypoint": ["a", "-b"], "cmd": [], "env": {"A": "b=c"}, "labels": {}, "user": "1:1", "workdir": "", "tag": ""}
    _equal(
        image_options(struct(**image)).value,
        ["--layer-policy=auto", "--max-layers=9", "--compression=zstd", "--entrypoint=a", "--entrypoint=-b", "--env=A=b=c", "--user=1:1"],
    )
    _refused(image_options(struct(**dict(image, cmd = ["a\n--out"]))), "`cmd` has")

def _versions():
    _equal(parse_version("3.11.7").value, struct(text = "3.11.7", minor = 11, complete = True))
    _equal(parse_version("3.14").value, struct(text = "3.14", minor = 14, complete = False))
    _refused(parse_version("3.10.13"), "need CPython 3.11 or newer")
    _refused(parse_version("3"), "expected a version")
    _refused(parse_version("3.x.1"), "expected a version")
    _refused(parse_version("2.7.18"), "expected a version")
    _equal(default_abi(11), "cp311")

def _candidates():
    bin = "bazel-out/k8-fastbuild/bin"

    # A fetched interpreter, seen from runfiles, from the execution root and from what builds leave.
    _equal(interpreter_candidates("app/env.venv", bin, "../python/bin/python3", True), [
        "../../../python/bin/python3",
        "../../../../../external/python/bin/python3",
        "../../../../../../../external/python/bin/python3",
    ])

    # One that this build makes.
    _equal(interpreter_candidates("app/env.venv", bin, "python/bin/python3", False), ["../../python/bin/python3"])

    # A source of the main repository.
    _equal(interpreter_candidates("env.venv", bin, "python/bin/python3", True), [
        "../python/bin/python3",
        "../../../../python/bin/python3",
    ])

    # A tree of another repository.
    _equal(interpreter_candidates("../other/env.venv", bin, "../python/bin/python3", False), [
        "../../python/bin/python3",
        "../../../external/python/bin/python3",
    ])

    # No name of a configuration, whichever it is.
    _equal(
        interpreter_candidates("a/env.venv", bin, "../p/python3", True),
        interpreter_candidates("a/env.venv", "bazel-out/cfg/bin", "../p/python3", True),
    )

def _wheel_names():
    wheel = parse_wheel_name("numpy-1.26.4-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl")
    _equal(wheel.distribution, "numpy")
    _equal(wheel.version, "1.26.4")
    _equal(wheel.build, None)
    _equal(wheel.platform_tags, ["manylinux_2_17_x86_64", "manylinux2014_x86_64"])
    _equal(parse_wheel_name("Foo.Bar-1-2a-py2.py3-none-any.whl").build, "2a")
    for wanted, found in [
        ("1.0", "1"),
        ("1", "v1.0.0"),
        ("0!1.10", "1.010"),
        ("1.0.0-alpha.1", "1.0a1"),
        ("1.0-1", "1.0_r1"),
        ("1c", "1.rc0"),
        ("1.0", "1.0+cpu"),
        ("1.0+CPU.1", "1.0+cpu_1"),
        ("0", "0.0"),
    ]:
        _equal(is_version(wanted, found), True)
    for wanted, found in [("1.0", "1.1"), ("1.0+cpu", "1.0"), ("1.0+cpu", "1.0+cu12"), ("1.0", "1.0rc1"), ("1!1.0", "1.0"), ("1.0", "1.0.post0"), ("1.10", "1.1")]:
        _equal(is_version(wanted, found), False)
    _equal(parse_wheel_name("Foo.Bar-1-2a-py2.py3-none-any.whl").distribution, "foo-bar")
    for name in ["a.whl", "a-1-py3-none-any.zip", "a-1-x-py3-none-any.whl", "a--py3-none-any.whl", "a-1-2-3-py3-none-any.whl"]:
        _equal(parse_wheel_name(name), None)
    _equal(normalise_distribution("Foo._-Bar_baz"), "foo-bar-baz")
    _equal(escape_distribution("Foo.Bar"), "foo_bar")

def _texts():
    for text in ["", "a b", "é ☃", "a\\n", "$(x) `y` 'z'"]:
        _equal(check_line("path", text), None)
    for text in ["a\nb", "\n", "a\r", "\t", "\033[1m", "x\177"]:
        _equal("`path` has" in check_line("path", text), True)
        _equal("\n" in check_line("path", text), False)
    _equal(check_lines([("one", ["a"]), ("two", ["b", "c\nd"])]).startswith("`two` has \"c\\nd\""), True)
    _equal(check_variables("env", ["A", "_b", "PATH", "a1", "_"]), None)
    for name in ["", "1A", "A B", "A-B", "A;touch x", "A=B", "é", "A\nB", "$(x)", "_vt_python"]:
        _equal("`env` has" in check_variables("env", [name]), True)

def _wheels():
    good = {
        "abi": "none",
        "author": "",
        "author_email": "",
        "classifiers": ["Topic :: Software Development"],
        "distribution": "Sample.Wheel",
        "entry_points": {"console_scripts": ["sample = sample:main"]},
        "extra_requires": {"more": ["b >= 1; python_version > '3'"]},
        "homepage": "",
        "license": "",
        "platform": "any",
        "python_requires": ">=3.11",
        "python_tag": "py3",
        "requires": ["a >= 1"],
        "summary": "What it is",
        "version": "1.0",
    }
    _equal(check_wheel(struct(**good)), None)
    for name, value in [
        ("requires", ["a\nName: other"]),
        ("classifiers", ["x", "y\rz"]),
        ("python_requires", ">=3\n"),
        ("summary", "one\ntwo"),
        ("homepage", "x\033[2J"),
        ("version", "1\n"),
        ("extra_requires", {"a\nb": []}),
        ("extra_requires", {"a": ["b\nc"]}),
        ("entry_points", {"a]\n[b": []}),
        ("entry_points", {"a": ["b = c:d\ne = f:g"]}),
    ]:
        problem = check_wheel(struct(**dict(good, **{name: value})))
        _equal(problem.startswith("`%s` has" % name) and "expected one line" in problem, True)

def _install_paths():
    roots = ["main/src", "main/src/generated", "other/lib"]
    _equal(install_path("main/src/package/a.py", roots), "package/a.py")
    _equal(install_path("main/src/generated/b.py", roots), "b.py")
    _equal(install_path("main/tools/c.py", roots), "tools/c.py")
    _equal(install_path("other/library/d.py", roots), "library/d.py")

def _documents():
    interpreter = interpreter_facts(struct(implementation = "cpython", version = "3.11.7", abi = "cp311", platform = {"os": "linux"}, path = "/python"))
    document = spec_document(interpreter, {"kind": "launcher", "candidates": ["/p"]}, [{"path": "a.whl"}], {"links": False, "prompt": None})
    _equal(document["flags"], {"links": False})
    _equal(document["interpreter"]["python"]["candidates"], ["/p"])
    _equal("sources" in document, False)
    _equal(label_text(Label("//rules:defs.bzl")).endswith("//rules:defs.bzl"), True)

def _flags():
    # What attributes are where a BUILD file says nothing: Bazel's own values where a row has none.
    unset = {"bool": False, "string": "", "string_dict": {}, "strings": []}
    values = {name: row["default"] if row["default"] != None else unset[row["kind"]] for name, row in ENVIRONMENT_FLAGS.items()}
    flags = environment_flags(struct(**values))
    _equal({name: value for name, value in flags.items() if value != None}, {
        "activators": "all",
        "conflicts": "error",
        "digest_function": "sha256",
        "requirements": "warn",
        "links": False,
        "input_digests": "trusted",
    })
    _equal(check_environment(struct(**values)), None)
    for attribute, value, part in [
        ("activators", ["all", "zsh"], "`activators` has `zsh`; expected `all`, or some of `posix`"),
        ("conflict_overrides", {"bin/x": "frist"}, "`conflict_overrides` has `frist` for `bin/x`"),
        ("allow", ["Record"], "`allow` has `Record`; expected the code of a finding"),
        ("deny", [""], "`deny` has ``"),
    ]:
        _equal(part in (check_environment(struct(**dict(values, **{attribute: value}))) or ""), True)
    _equal(environment_flags(struct(**values), locked = True)["requirements"], "error")
    _equal(environment_flags(struct(**dict(values, requirements = "off")), locked = True)["requirements"], "off")
    values.update(activators = ["fish"], mtime = 0, prompt = "p", allow = ["a.b-c"])
    flags = environment_flags(struct(**values))
    _equal((flags["activators"], flags["mtime"], flags["prompt"], flags["allow"]), (["fish"], 0, "p", ["a.b-c"]))

def _interpreter(version, os = "linux", arch = "x86_64", abi = None, last = "glibc-2.28"):
    platform = {"os": os, "arch": arch}
    if last:
        platform["libc" if os == "linux" else "version"] = last
    return {"version": version, "abi": abi or "cp" + "".join(version.split(".")[:2]), "platform": platform}

_INDEX = {
    "version": 2,
    "targets": {"linux": _interpreter("3.12.1"), "mac": _interpreter("3.12.1", "macos", "aarch64", last = "14.0")},
    "files": {name: {"name": name + ".whl", "sha256": "0"} for name in ["a_b_1", "a_b_2", "c_1"]},
    "packages": {
        "a-b": {
            "linux": {"whl": "a_b_1", "version": "1", "requires": ["c", "s"]},
            "mac": {"whl": "a_b_2", "version": "1", "requires": ["c_1"]},
            "extras": {"x": {"*": ["c", "d[y]"]}},
        },
        "c": {"linux": {"whl": "c_1", "version": "1"}},
        "d": {"*": {"requires": ["round"]}, "extras": {"y": {"linux": ["a-b"], "mac": ["d"]}}},
        "member": {"*": {"requires": ["c"]}},
        "round": {"*": {"requires": ["d"]}},
        "s": {"linux": {}, "unavailable": {"linux": "s 1: there is no wheel"}},
    },
    "sets": {"all": {"linux": ["c", "s"], "mac": ["c_1"]}, "extra_y": {"*": ["set:all"]}, "extra_z": {"unavailable": {"*": "extra_z: it cannot be had"}}},
}

def _locks():
    _equal(read_index(_INDEX).error, None)
    _refused(read_index([]), "is no index of a lock")
    _refused(read_index({"version": 1}), "has the version 1; these rules read 2")
    _refused(read_index(dict(_INDEX, packages = {"../a": {}})), "has the name \"../a\" in `packages`")
    _refused(read_index(dict(_INDEX, files = {"a": {"name": "a.whl", "blake2b": "0"}})), "has neither SHA-256 nor SHA-384 nor SHA-512 of a.whl")
    _equal(read_index(dict(_INDEX, files = {"a": {"name": "a.whl", "integrity": "sha512-AA=="}})).error, None)
    _equal(package_directory("a-b.c"), "a_b_c")

    sets = wheel_sets(_INDEX, {})
    own = sets.packages["a-b"]
    _equal(sorted(own.keys()), ["", "[x]", "whl"])
    _equal(own[""].files, {"linux": ["a_b_1", "c_1"], "mac": ["a_b_2", "c_1"]})
    _equal(own[""].missing, {"linux": ["s 1: there is no wheel"], "mac": []})
    _equal(own["whl"].files, {"linux": ["a_b_1"], "mac": ["a_b_2"]})
    _equal(sets.packages["c"][""].missing["mac"], ["c: nothing requires it there"])
    _equal(sorted(sets.packages["member"].keys()), [""])
    _equal(sets.sets["all"].missing["linux"], ["s 1: there is no wheel"])
    _equal(sets.sets["extra_y"].files, {"linux": ["c_1"], "mac": ["c_1"]})
    _equal(own["[x]"].files["linux"], ["a_b_1", "c_1"])
    _equal(sets.sets["extra_z"].missing, {"linux": ["extra_z: it cannot be had"], "mac": ["extra_z: it cannot be had"]})

    # What an index cannot mean fails where it is used, and only there.
    _equal(sets.packages["d"][""].missing["mac"], ["d: the index does not say what `round` is"])
    _equal(sets.packages["member"][""].missing["mac"], ["member: the index does not say what `c` is"])

    # Of a package without a wheel, and instead of one that there is.
    sets = wheel_sets(_INDEX, {"s": "//:s", "a-b": "//:ab"})
    _equal(sets.packages["a-b"][""].supplied, {"linux": ["a-b", "s"], "mac": ["a-b"]})
    _equal(sets.packages["a-b"][""].files, {"linux": ["c_1"], "mac": ["c_1"]})
    _equal(sets.packages["s"]["whl"].supplied["linux"], ["s"])
    _equal(check_supply(_INDEX, {"s": "//:s", "c": "//:c"}), None)
    _equal("which the lock does not have" in check_supply(_INDEX, {"nothing": "//:s"}), True)
    _equal("a part of the project" in check_supply(_INDEX, {"member": "//:s"}), True)
    _equal("hint" in missing_message("@l//c", "mac", ["c: nothing requires it there"]), False)
    _equal("hint" in missing_message("@l//s", "mac", ["s 1: there is no wheel"]), True)

    # What is supplied has to be it.
    _equal(supplied_package(_INDEX, "a-b", "mac"), "a-b 1")
    _equal(supplied_package(_INDEX, "s", "linux"), "s")
    for package, wheels in [
        ("a-b 1.0", ["a_b-1-py3-none-any.whl"]),
        ("a-b 1", ["A.b-1.0+cpu-2-py3-none-any.whl"]),
        ("s", ["s-9-py3-none-any.whl"]),
    ]:
        _equal(check_supplied(package, "//:l", wheels), None)
    for package, wheels, part in [
        ("a-b 1", ["c-1-py3-none-any.whl"], "`supply` has //:l for `a-b`, which yields c-1-py3-none-any.whl; expected a wheel of a-b 1"),
        ("a-b 1", ["a_b-1.1-py3-none-any.whl"], "expected a wheel of a-b 1"),
        ("a-b 1+cpu", ["a_b-1-py3-none-any.whl"], "expected a wheel of a-b 1+cpu"),
        ("a-b 1", ["a.whl"], "yields a.whl"),
        ("a-b 1", [], "yields no wheel"),
    ]:
        _equal(part in (check_supplied(package, "//:l", wheels) or ""), True)

    # Labels in the lock's repository.
    owners = wheel_owners(_INDEX, "linux")
    for entry, label in [
        ("a-b", "//a_b:a_b"),
        ("a-b[x]", "//a_b:a_b[x]"),
        ("set:all", "//:all"),
        ("package:s", "//s:whl"),
        ("a_b_1", "//a_b:whl"),
        ("a_b_2", None),
    ]:
        _equal(part_label(entry, _INDEX["files"], owners), label)
    lacking = lacking_message(
        "//:app",
        "//:env",
        [struct(library = "//:l", package = "@p//b", wheels = ["a-2-py3-none-any.whl", "b-1-py3-none-any.whl"])],
        ["a-1-py3-none-any.whl"],
    )
    _equal("//:l needs @p//b and so a-2-py3-none-any.whl (it has a-1-py3-none-any.whl), b-1-py3-none-any.whl\nadd @p//b to" in lacking, True)

def _migration():
    _equal(translate({"srcs": ["a.py"], "main_module": "a", "stamp": -1, "python_version": "PY3", "pyi_srcs": ["a.pyi"], "main": None}).value, {
        "srcs": ["a.py"],
        "module": "a",
    })
    for name, value, part in [
        ("python_version", "PY2", "`python_version` is PY2; name a `venvtree_interpreter`"),
        ("python_version", "3.12", "of that version as `interpreter`"),
        ("srcs_version", "PY2ONLY", "there is Python 3 only"),
        ("legacy_create_init", 1, "no `__init__.py` is made"),
        ("stamp", 1, "nothing is stamped"),
        ("config_settings", {"//:a": "b"}, "choose with `select()`"),
    ]:
        _equal(part in translate({name: value}).error, True)

def _clashes():
    root, other = struct(name = ""), struct(name = "other")
    _equal(clash(root, other, "a lock", "pypi"), "the modules of the workspace and other both have a lock called `pypi`; rename one, or make it a `dev_dependency`")
    _equal("the module other twice has a lock called `pypi`" in clash(other, other, "a lock", "pypi"), True)

def _settings(targets, constraints = {}):
    return config_settings(targets, list(targets.keys()), constraints, struct(os = "os:%s", cpu = "cpu:%s", names = {"macos": "osx"}))

def _targets():
    _equal(_settings({"only": _interpreter("3.12")}).value, {})
    two = _settings(_INDEX["targets"]).value
    _equal(two["mac"], struct(constraints = ["os:osx", "cpu:aarch64"], flags = [{}]))
    several = _settings({
        "old": _interpreter("3.11"),
        "new": _interpreter("3.12"),
        "musl": _interpreter("3.12", last = "musl-1.2"),
        "free": _interpreter("3.13", abi = "cp313t"),
    }).value
    _equal(several["old"].flags, [{"python": a, "libc": b} for a in ["3.11", ""] for b in ["glibc", ""]])
    _equal(several["new"].flags, [{"python": "3.12", "libc": "glibc"}, {"python": "3.12", "libc": ""}])
    _equal(several["musl"].flags, [{"python": "3.12", "libc": "musl"}])
    _equal(several["free"].flags[0]["python"], "3.13t")
    for flag, value in [("python", ""), ("python", "3.12"), ("python", "3.13t"), ("libc", "musl")]:
        _equal(check_flag(flag, value), None)
    for flag, value in [("python", "3.x"), ("python", "3.12.1"), ("python", "t"), ("libc", "muscle")]:
        _equal("`--@venvtree//rules:%s` is `%s`; expected " % (flag, value) in (check_flag(flag, value) or ""), True)
    for python, libc, found in [
        ("", "", _interpreter("3.12.1")),
        ("3.12", "glibc", _interpreter("3.12.1")),
        ("3.13t", "", _interpreter("3.13.0", abi = "cp313t")),
        ("", "musl", _interpreter("3.12.1", "macos", last = "14.0")),
        ("", "musl", _interpreter("3.12.1", last = None)),
    ]:
        _equal(check_flags({"python": python, "libc": libc}, "//:p", found), None)
    for python, libc, found in [
        ("3.13", "", _interpreter("3.12.1")),
        ("3.13", "", _interpreter("3.13.0", abi = "cp313t")),
        ("3.12", "musl", _interpreter("3.12.1")),
    ]:
        part = "is `%s`, and its interpreter //:p is CPython 3.1" % (libc or python)
        _equal(part in (check_flags({"python": python, "libc": libc}, "//:p", found) or ""), True)
    same = {"a": _interpreter("3.12.1"), "b": _interpreter("3.12.2")}
    _refused(_settings(same), "the targets `a` and `b` have the same platform")
    _equal(_settings(same, {"b": ["//:b"]}).value["b"], struct(constraints = ["//:b"], flags = [{}]))
    _refused(_settings(same, {"c": []}), "`constraints` names the target `c`; there are a, b")

def _pairings():
    wanted = _interpreter("3.12.1")
    for found in [wanted, _interpreter("3.12.9"), _interpreter("3.12", last = "glibc-2.36"), _interpreter("3.12.1", last = None)]:
        _equal(serves(wanted, found), True)
    for found in [
        _interpreter("3.13.1"),
        _interpreter("3.12.1", arch = "aarch64"),
        _interpreter("3.12.1", abi = "cp312t"),
        _interpreter("3.12.1", last = "glibc-2.17"),
        _interpreter("3.12.1", last = "musl-1.2"),
        _interpreter("3.12.1", os = "macos", last = "14.0"),
    ]:
        _equal(serves(wanted, found), False)
    _equal(serves(_interpreter("3.12", "macos", last = "9.0"), _interpreter("3.12", "macos", last = "14.0")), True)

def unit_tests(name):
    """Runs all of them.

    Args:
      name: the name of a target that is there where all have passed.
    """
    _layers()
    _bytecode()
    _interpreters_inside()
    _platforms()
    _versions()
    _candidates()
    _wheel_names()
    _texts()
    _wheels()
    _install_paths()
    _documents()
    _flags()
    _locks()
    _migration()
    _clashes()
    _targets()
    _pairings()
    _releases()
    native.filegroup(name = name)
