"""`py_venv_test`: a test that runs in an environment."""

load("//rules/common:attributes.bzl", "TEST")
load("//rules/common:start.bzl", "choose_tests", "pytest_plugins")
load(":action.bzl", "target_name")
load(":attributes.bzl", "attributes", "strings")
load(":binary.bzl", "PROGRAM_ATTRS", "own_sources", "start_of", "write_program")

def _py_venv_test_impl(ctx: AnalysisContext) -> list[Provider]:
    if ctx.attrs.pytest:
        for name in ["main", "module", "script"]:
            if getattr(ctx.attrs, name):
                fail("%s: `%s` does not go with `pytest`, which runs `srcs`; remove one" % (target_name(ctx), name))
        files = choose_tests(ctx.label.name, own_sources(ctx))
        if files.error:
            fail("%s: %s" % (target_name(ctx), files.error))
        launcher = write_program(ctx, struct(kind = "pytest", name = pytest_plugins(ctx.attrs), files = files.value), runner = ctx.attrs._runner)
    else:
        launcher = write_program(ctx, start_of(ctx))
    command = cmd_args(launcher.file, hidden = launcher.needs)
    return [
        DefaultInfo(default_output = launcher.file, other_outputs = launcher.needs),
        RunInfo(args = command),
        ExternalRunnerTestInfo(
            type = "custom",
            command = [command],
            labels = ctx.attrs.labels,
            contacts = ctx.attrs.contacts,
            run_from_project_root = True,
            use_project_relative_paths = True,
        ),
    ]

py_venv_test = rule(
    impl = _py_venv_test_impl,
    doc = """A test that runs in an environment, with the attributes of `py_venv_binary`. It runs in the project's root.

With `pytest = True`, pytest runs those of `srcs` that are named as tests; arguments for it are in the variable `PYTEST_ADDOPTS`:
`buck2 test //app:app_test -- --env PYTEST_ADDOPTS=-x`.""",
    attrs = {
        "labels": strings("Labels by which `buck2 test` chooses tests."),
        "contacts": strings("Whom to ask about the test."),
        "_runner": attrs.default_only(attrs.source(default = "//rules/private/runtime:run_test.py")),
    } | attributes(TEST) | PROGRAM_ATTRS,
)
