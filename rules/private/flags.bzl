"""Build settings: what the command line says for all targets that say nothing themselves."""

load("//rules:providers.bzl", "ChoiceInfo")
load("//rules/common:label.bzl", "label_text")

def _choice_flag_impl(ctx):
    value = ctx.build_setting_value
    if value not in ctx.attr.values:
        fail("%s is `%s`; expected %s" % (label_text(ctx.label), value, " or ".join(["`%s`" % known for known in ctx.attr.values])))
    return [ChoiceInfo(value = value)]

def _choice_impl(ctx):
    return [ChoiceInfo(value = ctx.attr.value)]

choice = rule(
    implementation = _choice_impl,
    doc = "What another option of the build says, by a `select()`.",
    attrs = {
        "value": attr.string(doc = "The word."),
    },
)

choice_flag = rule(
    implementation = _choice_flag_impl,
    doc = "A build setting that is one of some words.",
    build_setting = config.string(flag = True),
    attrs = {
        "values": attr.string_list(doc = "The words.", mandatory = True),
    },
)
