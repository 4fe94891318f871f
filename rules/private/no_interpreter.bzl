"""What the default interpreter is where none was configured."""

def _no_interpreter_impl(_ctx):
    return []

no_interpreter = rule(
    implementation = _no_interpreter_impl,
    doc = "Stands where no default interpreter was configured.",
)
