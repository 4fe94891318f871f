"""Bazel's attributes, made of the rows that it shares with Buck2; and those that build settings decide."""

load("//rules:providers.bzl", "ChoiceInfo")

# For each kind, what makes the attribute.
_KINDS = {
    "bool": attr.bool,
    "choice": attr.string,
    "int": attr.int,
    "string": attr.string,
    "string_dict": attr.string_dict,
    "string_list_dict": attr.string_list_dict,
    "strings": attr.string_list,
}

def attributes(rows):
    """Attributes for a rule.

    Args:
      rows: a table of `rules/common/attributes.bzl`.

    Returns:
      A dict for the rule's `attrs`.
    """
    return {name: _attribute(row) for name, row in rows.items()}

def setting_attributes(name, values, doc):
    """An attribute that a build setting of its name decides where it is empty: a `choice_flag` in `//rules`.

    Args:
      name: the attribute's name.
      values: its values.
      doc: what it says.

    Returns:
      A dict for the rule's `attrs`; `setting_value` reads it.
    """
    return {
        name: attr.string(doc = doc, values = [""] + values),
        "_" + name: attr.label(default = Label("//rules:" + name), providers = [ChoiceInfo]),
    }

def setting_value(ctx, name):
    """The value of such an attribute.

    Args:
      ctx: the rule's context.
      name: the attribute's name.

    Returns:
      One of its values.
    """
    return getattr(ctx.attr, name) or getattr(ctx.attr, "_" + name)[ChoiceInfo].value

def _attribute(row):
    options = {"doc": row["doc"]}
    if row["default"] != None:
        options["default"] = row["default"]
    if row["values"]:
        options["values"] = row["values"]
    if row["required"]:
        options["mandatory"] = True
    return _KINDS[row["kind"]](**options)
