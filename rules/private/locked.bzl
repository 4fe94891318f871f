"""What the repository of a lock is made of: sets of wheels, and the target that they were chosen for."""

load("@venvtree_host//:host.bzl", "PY_INFOS")
load("//rules:providers.bzl", "ChoiceInfo", "LockInfo", "WheelBytecodeInfo")
load("//rules/common:label.bzl", "label_text")
load("//rules/common:locks.bzl", "check_flag", "check_supplied", "missing_message")
load(":bytecode.bzl", "overlays_of", "wheel_bytecode")

def fail_saying(message, labels):
    """Fails with labels as the main repository writes them, where Bazel knows: modules may give other names to repositories of locks.

    Args:
      message: the message, with the labels as `str()` has them, each between spaces.
      labels: a list of Label.
    """
    parts = [message]
    for label in labels:
        split = []
        for part in parts:
            if type(part) != "string":
                split.append(part)
                continue
            pieces = (" %s " % part).split(" %s " % label)
            for piece in pieces[:-1]:
                split += [piece, label]
            split.append(pieces[-1])

            # What stands between parts is a space.
            first = len(split) - 2 * len(pieces) + 1
            split[first] = split[first][1:]
            split[-1] = split[-1][:-1]
        parts = split

    # Of a label that is an argument of its own, Bazel 7 and newer say what the main repository calls it.
    fail(*[part for part in parts if part])

def _locked_wheels_impl(ctx):
    lock = ctx.attr.target[LockInfo]
    if ctx.attr.missing:
        fail_saying(missing_message(str(ctx.label), lock.target, ctx.attr.missing), [ctx.label])

    for src, package in ctx.attr.supply.items():
        wheels = [file.basename for file in src[DefaultInfo].files.to_list() if file.extension == "whl"]
        problem = check_supplied(package, label_text(src.label), wheels)
        if problem:
            fail("the lock `%s`: %s" % (lock.hub, problem))

    # No runfiles: a library that needs wheels does not carry them, an environment has them.
    wheels = ctx.attr.srcs + ctx.attr.supply.keys()
    files = depset(transitive = [wheel[DefaultInfo].files for wheel in wheels])
    return [lock, DefaultInfo(files = files), WheelBytecodeInfo(overlays = overlays_of(wheels))] + [
        # A Python library without sources: libraries of other rules can depend on it.
        info(transitive_sources = depset(), imports = depset())
        for info in PY_INFOS
    ]

locked_wheels = rule(
    implementation = _locked_wheels_impl,
    doc = "Wheels that a lock has for a target, with what they require. Python libraries may have it in `deps`.",
    attrs = {
        "srcs": attr.label_list(doc = "The wheels: files, or other sets of wheels.", allow_files = [".whl"], aspects = [wheel_bytecode]),
        "missing": attr.string_list(doc = "Why this cannot be used: packages without a wheel."),
        "supply": attr.label_keyed_string_dict(
            doc = "Wheels that something else brings, and of what: `NAME VERSION`, or `NAME`.",
            allow_files = True,
            aspects = [wheel_bytecode],
        ),
        "target": attr.label(doc = "The target.", mandatory = True, providers = [LockInfo]),
    },
    provides = [LockInfo, WheelBytecodeInfo],
)

def _lock_target_impl(ctx):
    return [LockInfo(hub = ctx.attr.hub, target = ctx.attr.target, facts = json.decode(ctx.attr.facts))]

lock_target = rule(
    implementation = _lock_target_impl,
    doc = "A target that a lock was read for.",
    attrs = {
        "facts": attr.string(doc = "The interpreter, as the spec has it.", mandatory = True),
        "hub": attr.string(doc = "The name of the lock's repository.", mandatory = True),
        "target": attr.string(doc = "The target's name.", mandatory = True),
    },
    provides = [LockInfo],
)

def _target_flag_impl(ctx):
    problem = check_flag(ctx.label.name, ctx.build_setting_value)
    if problem:
        fail(problem)
    return [ChoiceInfo(value = ctx.build_setting_value)]

target_flag = rule(
    implementation = _target_flag_impl,
    doc = "A flag that chooses among the targets of a lock.",
    build_setting = config.string(flag = True),
)
