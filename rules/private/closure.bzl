"""The wheels that first-party code needs: libraries name them in `deps`, and an aspect along `deps` finds them."""

load("//rules:providers.bzl", "LockInfo", "VenvInfo", "WheelClosureInfo")
load("//rules/common:label.bzl", "label_text")
load("//rules/common:locks.bzl", "lacking_message", "serves", "wrong_pairing")
load("//rules/common:spec.bzl", "interpreter_facts")
load(":bytecode.bzl", "overlays_of")
load(":locked.bzl", "fail_saying")

def _wheel_closure_impl(target, ctx):
    if LockInfo in target:
        lock = target[LockInfo]
        own = struct(hub = lock.hub, target = lock.target, facts = json.encode(lock.facts))
        return [WheelClosureInfo(wheels = target[DefaultInfo].files, overlays = overlays_of([target]), locks = depset([own]), users = depset())]
    deps = getattr(ctx.rule.attr, "deps", [])
    return [collect_closure(ctx.label, deps if type(deps) == type([]) else [])]

wheel_closure = aspect(
    implementation = _wheel_closure_impl,
    doc = "Finds the wheels that Python libraries of any rules need.",
    attr_aspects = ["deps"],
)

def collect_closure(label, deps):
    """What a target needs.

    Args:
      label: the target's label.
      deps: what it depends on, seen with `wheel_closure`.

    Returns:
      A WheelClosureInfo.
    """
    closures = [dep[WheelClosureInfo] for dep in deps if WheelClosureInfo in dep]
    users = [
        struct(library = label_text(label), package = dep.label, wheels = dep[DefaultInfo].files)
        for dep in deps
        if LockInfo in dep
    ]
    return WheelClosureInfo(
        wheels = depset(transitive = [closure.wheels for closure in closures]),
        overlays = depset(transitive = [closure.overlays for closure in closures]),
        locks = depset(transitive = [closure.locks for closure in closures]),
        users = depset(users, transitive = [closure.users for closure in closures]),
    )

def locks_of_closure(closure):
    """The targets of locks that the wheels of a closure were chosen for.

    Args:
      closure: a WheelClosureInfo.

    Returns:
      A list for `check_locks`.
    """
    return [struct(wheels = "the lock `%s`" % lock.hub, label = None, target = lock.target, facts = json.decode(lock.facts)) for lock in closure.locks.to_list()]

def locks_of_wheels(targets):
    """The targets of locks that an environment's own wheels were chosen for.

    Args:
      targets: the targets of its attribute `wheels`.

    Returns:
      A list for `check_locks`.
    """
    locks = []
    for target in targets:
        if LockInfo in target:
            lock = target[LockInfo]
            locks.append(struct(wheels = str(target.label), label = target.label, target = lock.target, facts = lock.facts))
    return locks

def check_locks(label, locks, interpreter_label, interpreter):
    """Fails where wheels of a lock were not chosen for an interpreter like an environment's.

    Args:
      label: the label of what is built.
      locks: a list of structs of `wheels`, which names the wheels, maybe by their `label`, `target` and `facts`.
      interpreter_label: the label of the environment's interpreter, or of the environment.
      interpreter: its VenvtreeInterpreterInfo.
    """
    found = interpreter_facts(interpreter)
    for lock in locks:
        if not serves(lock.facts, found):
            message = wrong_pairing(
                name = label_text(label),
                wheels = lock.wheels,
                target = lock.target,
                wanted = lock.facts,
                interpreter = label_text(interpreter_label),
                found = found,
            )
            fail_saying(message, [interpreter_label] + ([lock.label] if lock.label else []))

def check_closure(label, closure, environment):
    """Fails where an environment lacks wheels that the code which runs in it needs.

    Args:
      label: the label of the program.
      closure: the WheelClosureInfo of its code.
      environment: the target that is its environment.
    """
    venv = environment[VenvInfo]
    check_locks(label, locks_of_closure(closure), environment.label, venv.interpreter)
    installed = {wheel.basename: True for wheel in venv.wheels}
    lacking = {wheel.basename: True for wheel in closure.wheels.to_list() if wheel.basename not in installed}
    if not lacking:
        return
    needs = []
    packages = {}
    for user in closure.users.to_list():
        wheels = sorted([wheel.basename for wheel in user.wheels.to_list() if wheel.basename in lacking])
        if wheels:
            needs.append(struct(library = user.library, package = str(user.package), wheels = wheels))
            packages[user.package] = True
    message = lacking_message(label_text(label), label_text(environment.label), needs, [wheel.basename for wheel in venv.wheels])
    fail_saying(message, packages.keys())
