"""`wheel_set`: wheels that a lock has for a target, with sub-targets for parts of them."""

load("//rules/common:locks.bzl", "check_supplied", "missing_message", "serves", "wrong_pairing")
load("//rules/common:spec.bzl", "interpreter_facts")
load(":providers.bzl", "LockInfo")

def _wheel_set_impl(ctx: AnalysisContext) -> list[Provider]:
    facts = json.decode(ctx.attrs.facts)
    for package, wheel in ctx.attrs.supply.items():
        wheels = [file.basename for file in wheel[DefaultInfo].default_outputs if file.basename.endswith(".whl")]
        problem = check_supplied(package, str(wheel.label.raw_target()), wheels)
        if problem:
            fail("%s: %s" % (ctx.label.raw_target(), problem))
    parts = {}
    for part, wheels in ctx.attrs.parts.items():
        files = []
        for wheel in wheels:
            files += [file for file in wheel[DefaultInfo].default_outputs if file not in files]
        parts[part] = (files, LockInfo(target = ctx.attrs.target, facts = facts, missing = ctx.attrs.missing.get(part, [])))
    files, lock = parts.pop("")
    sub_targets = {part: [DefaultInfo(default_outputs = own[0]), own[1]] for part, own in parts.items()}
    return [DefaultInfo(default_outputs = files, sub_targets = sub_targets), lock]

wheel_set = rule(
    impl = _wheel_set_impl,
    doc = "Wheels that a lock has for a target.",
    attrs = {
        "facts": attrs.string(doc = "The interpreter that the target is, as JSON."),
        "missing": attrs.dict(attrs.string(), attrs.list(attrs.string()), default = {}, doc = "Why parts cannot be used, by their names."),
        "parts": attrs.dict(attrs.string(), attrs.list(attrs.dep()), doc = "The wheels by sub-target; those of the target itself under an empty name."),
        "supply": attrs.dict(attrs.string(), attrs.dep(), default = {}, doc = "Wheels that something else brings, by `NAME VERSION` or `NAME` of what they have to be."),
        "target": attrs.string(doc = "The target's name."),
    },
)

def check_locked(name: str, values: list, interpreter: Provider, interpreter_name: str) -> None:
    """Refuses wheels of a lock that an environment cannot use.

    Args:
      name: the environment's label.
      values: its attribute `wheels`.
      interpreter: its VenvtreeInterpreterInfo.
      interpreter_name: the label that the interpreter comes from.
    """
    found = interpreter_facts(interpreter)
    for value in values:
        if isinstance(value, Artifact) or LockInfo not in value:
            continue
        lock = value[LockInfo]
        wheels = str(value.label.raw_target())
        if lock.missing:
            fail("%s: %s" % (name, missing_message(wheels, lock.target, lock.missing)))
        if not serves(lock.facts, found):
            fail(wrong_pairing(
                name = name,
                wheels = wheels,
                target = lock.target,
                wanted = lock.facts,
                interpreter = interpreter_name,
                found = found,
            ))
