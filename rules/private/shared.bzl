"""Environments that all tests of a user share: made once for each machine, outside of the sandbox.

Three things stand for such an environment. `PyVenvDigest` says which one it is, without making it; that can be cached anywhere. `PyVenvShare` makes it
on this machine, and its output holds the digest and nothing of the machine, so that what is keyed by it is the same everywhere. Programs have that
file, the spec, the wheels and the tool in their runfiles, and find the environment, or make it where `PyVenvShare` did not run.
"""

load("//rules:providers.bzl", "VenvtreeToolInfo")
load("//rules/common:label.bzl", "label_text")
load("//rules/common:spec.bzl", "python_launcher")
load(":action.bzl", "run_tool")
load(":attributes.bzl", "setting_attributes", "setting_value")
load(":collect.bzl", "rlocation_path")
load(":spec_args.bzl", "add_inputs")

# What the rules for programs say of it.
SHARED_ATTRS = setting_attributes(
    "environments",
    ["tree", "shared"],
    "Where the environment is: `tree`, a directory among the outputs, or `shared`, one that all tests and programs of a user have in " +
    "common, so that a sandbox has not a link for each of its files. By default what `--@venvtree//rules:environments` says, which is `tree`.",
)

# Where runfiles have the tool.
_TOOL = "_venvtree/venvtree"

def wants_shared(ctx):
    """Whether a program's environment is to be shared.

    Args:
      ctx: the context of a rule with SHARED_ATTRS.

    Returns:
      A bool.
    """
    return setting_value(ctx, "environments") == "shared"

def declare_shared(ctx, spec, document, interpreter, inputs, twins):
    """Declares the shared form of an environment. Nothing is done unless something asks for it.

    Args:
      ctx: the context of a rule with TOOL_ATTRS.
      spec: the spec of the environment's directory.
      document: what it holds.
      interpreter: its VenvtreeInterpreterInfo.
      inputs: what goes into it; a list of File, whose names are the keys.
      twins: files of the same names, which have to be the same; a list of File.

    Returns:
      A struct: `file`, which holds the digest; `place`, where runfiles have what belongs to the environment; `interpreter`, a runfile or None; and
      `runfiles`.
    """
    name = ctx.label.name
    interpreter_runfile = None
    if interpreter.file:
        # From where nobody knows where the build is, the interpreter is found beside the name that the program gives to the environment.
        interpreter_runfile = rlocation_path(ctx.workspace_name, interpreter.file)
        python = python_launcher(["../runfiles/" + interpreter_runfile])
        spec = ctx.actions.declare_file(name + ".shared.json")
        ctx.actions.write(spec, json.encode(dict(document, interpreter = dict(document["interpreter"], python = python))) + "\n")
    digest = ctx.actions.declare_file(name + ".shared.digest")
    args = ctx.actions.args()
    args.add("digest")
    args.add(spec)
    args.add("--digest-file", digest)
    args.add("--no-store")
    args.add("--quiet")
    add_inputs(args, inputs + twins)
    run_tool(
        ctx,
        args = args,
        mnemonic = "PyVenvDigest",
        progress_message = "Planning shared Python environment %s" % label_text(ctx.label),
        inputs = [spec] + inputs + twins,
        outputs = [digest],
    )

    file = ctx.actions.declare_file(name + ".shared")
    args = ctx.actions.args()
    args.add("share")
    args.add(spec)
    args.add("--expect", digest)
    args.add("--digest-file", file)
    args.add_all(["--if-possible", "--quiet"])
    add_inputs(args, inputs)
    run_tool(
        ctx,
        args = args,
        mnemonic = "PyVenvShare",
        progress_message = "Sharing Python environment %s" % label_text(ctx.label),
        inputs = [spec, digest] + inputs,
        outputs = [file],
        on_this_machine = True,
    )
    place = "/".join([part for part in ["_venvtree/env", ctx.label.workspace_name, ctx.label.package, name] if part])
    links = {place + "/" + input.basename: input for input in inputs}
    links[place + "/digest"] = file
    links[place + "/spec.json"] = spec
    toolchain = ctx.attr._toolchain
    links[_TOOL] = toolchain[VenvtreeToolInfo].tool.executable
    runfiles = ctx.runfiles(root_symlinks = links, transitive_files = interpreter.files)
    return struct(file = file, place = place, interpreter = interpreter_runfile, runfiles = runfiles)

def shared_lines(shared, quote):
    """The assignments of a program that uses a shared environment.

    Args:
      shared: what `declare_shared` returned.
      quote: a function that quotes a text for the shell.

    Returns:
      A list of lines.
    """
    return [
        "_vt_shared=" + quote(shared.place),
        "_vt_tool=" + quote(_TOOL),
        "_vt_interpreter=" + quote(shared.interpreter or ""),
    ]
