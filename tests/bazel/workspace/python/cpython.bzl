"""An interpreter of this machine as if it were fetched: what an in-build interpreter looks like."""

def _local_cpython_impl(repository_ctx):
    root = repository_ctx.os.environ.get("CONSUMER_CPYTHON")
    if not root:
        fail("CONSUMER_CPYTHON is not set: the directory of a relocatable CPython 3.11")
    for name in ["bin", "lib"]:
        repository_ctx.symlink(root + "/" + name, name)
    version = repository_ctx.os.environ.get("CONSUMER_CPYTHON_VERSION", "3.11.7")
    template = Label("//python:cpython.BUILD.tpl")
    repository_ctx.template("BUILD.bazel", template, {"@VERSION@": version})

local_cpython = repository_rule(
    implementation = _local_cpython_impl,
    environ = ["CONSUMER_CPYTHON", "CONSUMER_CPYTHON_VERSION"],
    local = True,
)
