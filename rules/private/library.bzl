"""`py_library`: first-party code, for builds in which no other rules have one."""

load("@venvtree_host//:host.bzl", "PY_INFOS")
load("//rules:providers.bzl", "PyLibraryInfo")
load(":closure.bzl", "wheel_closure")
load(":collect.bzl", "collect_first_party")

def _py_library_impl(ctx):
    first_party = collect_first_party(
        ctx,
        srcs = ctx.files.srcs,
        deps = ctx.attr.deps,
        data = ctx.attr.data,
        imports = ctx.attr.imports,
    )
    return [
        DefaultInfo(files = depset(ctx.files.srcs), runfiles = first_party.runfiles),
        PyLibraryInfo(imports = first_party.imports, transitive_sources = first_party.sources),
        coverage_common.instrumented_files_info(
            ctx,
            source_attributes = ["srcs"],
            dependency_attributes = ["deps", "data"],
            extensions = ["py"],
        ),
    ] + [info(imports = first_party.imports, transitive_sources = first_party.sources) for info in PY_INFOS]

py_library = rule(
    implementation = _py_library_impl,
    doc = """Python code that programs share.

Libraries of Bazel's own rules and of rules_python do as well, and may depend on this one and it on them.""",
    attrs = {
        "srcs": attr.label_list(
            doc = "The sources.",
            allow_files = [".py", ".pyi"],
        ),
        "deps": attr.label_list(
            doc = "The libraries that it imports, and packages of a lock, such as `@pypi//requests`.",
            aspects = [wheel_closure],
        ),
        "data": attr.label_list(
            doc = "Files that are needed at run time.",
            allow_files = True,
        ),
        "imports": attr.string_list(
            doc = "Import roots to add, relative to the package.",
        ),
    },
    provides = [PyLibraryInfo],
)
