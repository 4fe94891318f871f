#!/usr/bin/env python3
"""Prints what is made from the rules' code: docs/rules.md; with the argument `buck2`, docs/buck2-rules.md.

Starlark is close enough to Python that Python can run the files; what Bazel or Buck2 would define is recorded here instead.
"""

import __future__
import pathlib
import sys
import textwrap
import types

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Attribute:
    def __init__(self, kind, doc="", default=None, mandatory=False, values=None, optional=False, **_):
        self.optional = optional
        self.kind, self.doc, self.default, self.mandatory, self.values = kind, doc, default, mandatory, values


class Attributes:
    def __getattr__(self, kind):
        return lambda **options: Attribute(kind, **options)


class BuckAttributes:
    """Attributes are built from others there, and those without a default must be given."""

    PLAIN = {"string": "string", "bool": "boolean", "int": "integer", "dep": "target", "exec_dep": "target", "source": "file"}

    def __getattr__(self, kind):
        def record(*parts, **options):
            options["mandatory"] = "default" not in options
            if kind == "enum":
                return Attribute("string", values=parts[0], **options)
            if kind == "one_of":
                name = " or ".join(part.kind for part in parts)
            elif kind == "option":
                name = parts[0].kind
                options["optional"] = True
            elif kind == "list":
                name = "list of " + plural(parts[0].kind)
            elif kind == "named_set":
                name = "list or dictionary of " + plural(parts[0].kind)
            elif kind == "dict":
                name = "dictionary of " + plural(parts[1].kind)
            else:
                name = self.PLAIN.get(kind, kind)
            if options.get("default") in ([], {}):
                options["default"] = None
            return Attribute(name, **options)

        return record


def plural(kind):
    """`string` as `strings`, `list of strings` as `lists of strings`."""
    head, *rest = kind.split(" or ")
    first, _, of = head.partition(" ")
    return " or ".join([f"{first}s {of}".strip()] + [plural(part) for part in rest])


class Definition:
    def __init__(self, what, doc="", **options):
        self.what, self.doc, self.options = what, doc, options


class Anything:
    """What the files mention and the reference does not need."""

    def __getattr__(self, name):
        return Anything()

    def __call__(self, *arguments, **options):
        return Anything()

    def __or__(self, other):
        return Anything()

    def __getitem__(self, key):
        return Anything()


def recorder(what):
    def record(implementation=None, **options):
        return Definition(what, **options)

    return record


LOADED = {}

# Rules that people use through a macro, which has their attributes.
WRAPPED = {"venvtree_interpreter": ("rules/private/interpreter.bzl", "interpreter_rule")}


def load_file(label, package):
    if label.startswith("@prelude//"):
        return {"PythonLibraryInfo": Anything()}
    if label.startswith("@"):
        # The repository that depends on the build: a current Bazel.
        return {"PY_INFOS": [], "PY_RUNTIME_INFOS": [], "BAZEL_MAJOR": 8, "read_netrc": Anything(), "use_netrc": Anything()}
    path = label[2:].replace(":", "/") if label.startswith("//") else f"{package}/{label[1:]}"
    if path not in LOADED:
        LOADED[path] = run(path)
    return LOADED[path]


def run(path):
    package = str(pathlib.PurePosixPath(path).parent)
    scope = {
        "attr": Attributes(),
        "attrs": BuckAttributes(),
        "Artifact": Anything(),
        "RunInfo": Anything(),
        "aspect": recorder("aspect"),
        "config": Anything(),
        "configuration_field": lambda **_: None,
        "fail": Anything(),
        "Label": lambda text: text,
        "module_extension": recorder("extension"),
        "native": Anything(),
        "provider": recorder("provider"),
        "provider_field": Anything(),
        "repository_rule": recorder("repository rule"),
        "rule": recorder("rule"),
        "struct": lambda **fields: types.SimpleNamespace(**fields),
        "tag_class": recorder("tag class"),
        "typing": Anything(),
    }

    def load(label, *names, **aliases):
        loaded = load_file(label, package)
        for name in names:
            scope[name] = loaded[name]
        for alias, name in aliases.items():
            scope[alias] = loaded[name]

    scope["load"] = load
    # Annotations are not looked at: Buck2's types are not Python's.
    code = compile((ROOT / path).read_text(), path, "exec", flags=__future__.annotations.compiler_flag)
    exec(code, scope)
    return scope


KINDS = {
    "label": "label",
    "label_list": "list of labels",
    "string": "string",
    "string_list": "list of strings",
    "string_dict": "dictionary of strings",
    "string_list_dict": "dictionary of lists of strings",
    "bool": "boolean",
    "int": "integer",
}


def default(attribute):
    if attribute.mandatory:
        return "required"
    if attribute.optional:
        return "none"
    if attribute.default is not None:
        value = attribute.default
        return f"`{value!r}`".replace("'", '"') if isinstance(value, (str, list)) else f"`{value}`"
    empty = {"bool": "`False`", "string": '`""`', "int": "`0`", "label": "none"}
    return empty.get(attribute.kind, "empty")


def table(attributes):
    lines = ["| attribute | type | default | |", "| --- | --- | --- | --- |"]
    for name, attribute in attributes.items():
        if name.startswith("_"):
            continue
        if not attribute.doc:
            sys.exit(f"the attribute {name} has no doc")
        doc = attribute.doc.replace("|", "\\|")
        if attribute.values:
            doc += " One of " + ", ".join(f"`{value}`" for value in attribute.values if value) + "."
        lines.append(f"| `{name}` | {KINDS.get(attribute.kind, attribute.kind)} | {default(attribute)} | {doc} |")
    return lines


def paragraph(text):
    return textwrap.dedent(text).strip()


def macro(name, function):
    """The paragraphs and the arguments of a function's documentation."""
    text, _, arguments = function.__doc__.partition("Args:")
    lines = [f"### {name}", ""] + [line.strip() for line in text.strip().split("\n")]
    lines += ["", "| argument | |", "| --- | --- |"]
    for line in arguments.strip().split("\n"):
        argument, _, doc = line.strip().partition(": ")
        lines.append(f"| `{argument}` | {doc} |")
    return lines + [""]


def section(name, text, attributes):
    return [f"### {name}", "", paragraph(text), ""] + table(attributes) + [""]


def beginning(title, guide, file, order):
    """The lines of a page up to the rules in a file, and what else that file defines."""
    definitions = run(file.replace("//", "").replace(":", "/"))
    for name, rule in WRAPPED.items():
        if not isinstance(definitions.get(name), Definition):
            definitions[name] = run(rule[0])[rule[1]]
    public = {name: value for name, value in definitions.items() if not name.startswith("_") and isinstance(value, Definition)}
    rules = [name for name, value in public.items() if value.what == "rule"]
    if sorted(rules) != sorted(order):
        sys.exit(f"the rules are {sorted(rules)}, the reference knows {sorted(order)}")
    lines = [f"# {title}", "", f"Made by `rules/reference.py` from the code; a test keeps it so. How to use them is in [{guide}]({guide}).", ""]
    lines += ["## Rules", "", f'`load("@venvtree{file}", …)`. Every rule also has the attributes that all rules have, such as `name`.', ""]
    for name in order:
        lines += section(name, public[name].doc, public[name].options["attrs"])
    return lines, definitions, [(name, value) for name, value in sorted(public.items()) if value.what == "provider"]


def buck2():
    order = ["py_venv", "py_venv_binary", "py_venv_test", "py_venv_archive", "py_venv_layers", "py_venv_image", "py_wheel", "venvtree_interpreter", "venvtree_toolchain"]
    lines, definitions, providers = beginning("The rules for Buck2", "buck2.md", "//rules/buck2:defs.bzl", order)
    lines += ["## Macros", ""]
    for name in ["venvtree_packages", "venvtree_release"]:
        lines += macro(name, definitions[name])
    lines += ["## Providers", ""]
    for name, value in providers:
        lines += [f"### {name}", "", paragraph(value.doc), ""]
    sys.stdout.write("\n".join(lines).rstrip() + "\n")


def main():
    if sys.argv[1:] == ["buck2"]:
        return buck2()
    order = ["py_venv", "py_venv_binary", "py_venv_test", "py_venv_archive", "py_venv_layers", "py_venv_image", "py_venv_link", "py_wheel", "venvtree_interpreter", "venvtree_toolchain"]
    lines, _, providers = beginning("The rules", "bazel.md", "//rules:defs.bzl", order)
    repositories = run("rules/repositories.bzl")
    extension = run("rules/extensions.bzl")["venvtree"]
    lines += ["## Under the names of other rules", "", '`load("@venvtree//rules:py.bzl", …)`. See [bazel.md](bazel.md#coming-from-other-rules).', ""]
    others = run("rules/py.bzl")
    for name in ["py_binary", "py_test"]:
        lines += macro(name, others[name])
    library = others["_py_library"]
    lines += ["### py_library", "", paragraph(library.doc), ""] + table(library.options["attrs"]) + [""]
    lines += ["## Providers", ""]
    for name, value in providers:
        lines += [f"### {name}", "", paragraph(value.doc), "", "| field | |", "| --- | --- |"]
        lines += [f"| `{field}` | {doc} |" for field, doc in value.options["fields"].items()] + [""]
    lines += ["## WORKSPACE", "", '`load("@venvtree//rules:repositories.bzl", …)`.', ""]
    lines += macro("venvtree_repositories", repositories["venvtree_repositories"])
    for name in ["venvtree_system_interpreter", "venvtree_lock", "venvtree_wheels"]:
        lines += section(name, repositories[name].doc, repositories[name].options["attrs"])
    lines += ["## MODULE.bazel", "", '`venvtree = use_extension("@venvtree//rules:extensions.bzl", "venvtree")`.', ""]
    for name, tag in extension.options["tag_classes"].items():
        lines += section(f"venvtree.{name}", tag.doc, tag.options["attrs"])
    lines += ['`locks = use_extension("@venvtree//rules:locks.bzl", "locks")`.', ""]
    for name, tag in run("rules/locks.bzl")["locks"].options["tag_classes"].items():
        lines += section(f"locks.{name}", tag.doc, tag.options["attrs"])
    sys.stdout.write("\n".join(lines).rstrip() + "\n")


if __name__ == "__main__":
    main()
