"""Tests of what rules do at analysis: which actions they make, and how they refuse."""

def _result(ctx, problems):
    script = ctx.actions.declare_file(ctx.label.name)
    lines = ["#!/bin/sh"]
    for problem in problems:
        lines.append("printf '%%s\\n' '%s'" % problem.replace("'", "'\\''"))
    lines.append("exit %d" % (1 if problems else 0))
    ctx.actions.write(script, "\n".join(lines) + "\n", is_executable = True)
    return [DefaultInfo(executable = script)]

def _action_test_impl(ctx):
    counts = {}
    for action in ctx.attr.target[_ActionsInfo].actions:
        counts[action.mnemonic] = counts.get(action.mnemonic, 0) + 1
    problems = []
    for mnemonic, count in ctx.attr.mnemonics.items():
        if counts.get(mnemonic, 0) != int(count):
            problems.append("expected %s actions %s, found %d" % (count, mnemonic, counts.get(mnemonic, 0)))
    for action in ctx.attr.target[_ActionsInfo].actions:
        if action.mnemonic == "PyVenv":
            problems += _check_venv(action)
    return _result(ctx, problems)

def _check_venv(action):
    outputs = sorted([file.basename.split(".", 1)[1] for file in action.outputs.to_list()])
    problems = []
    if outputs != ["digest", "manifest.json", "venv"]:
        problems.append("expected a tree, its manifest and its digest, found %s" % outputs)
    foreign = [file for file in action.inputs.to_list() if file.extension not in ["whl", "json", "params", ""]]
    if foreign:
        problems.append("expected the spec, wheels and the tool as inputs, found %s too" % foreign)
    return problems

_ActionsInfo = provider(
    doc = "The actions of a target.",
    fields = {"actions": "list of Action."},
)

def _actions_impl(target, _ctx):
    return [_ActionsInfo(actions = target.actions)]

_actions = aspect(implementation = _actions_impl)

action_test = rule(
    implementation = _action_test_impl,
    attrs = {
        "target": attr.label(aspects = [_actions], mandatory = True),
        "mnemonics": attr.string_dict(),
    },
    test = True,
)

def _failure_test_impl(ctx):
    # Behind a transition, an attribute for one target is a list of one.
    target = ctx.attr.target[0] if type(ctx.attr.target) == "list" else ctx.attr.target
    if AnalysisFailureInfo not in target:
        return [AnalysisTestResultInfo(success = False, message = "expected a failure, found none")]
    messages = [cause.message for cause in target[AnalysisFailureInfo].causes.to_list()]
    found = [message for message in messages if ctx.attr.message in message]
    return [AnalysisTestResultInfo(
        success = bool(found),
        message = "" if found else "expected `%s`, found: %s" % (ctx.attr.message, "\n".join(messages)),
    )]

_allow_failures = analysis_test_transition(
    settings = {"//command_line_option:allow_analysis_failures": "True"},
)

failure_test = rule(
    implementation = _failure_test_impl,
    attrs = {
        "target": attr.label(cfg = _allow_failures, mandatory = True),
        "message": attr.string(mandatory = True),
    },
    test = True,
    analysis_test = True,
)
