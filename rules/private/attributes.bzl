"""Bazel's attributes, made of the rows that it shares with Buck2."""

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

def _attribute(row):
    options = {"doc": row["doc"]}
    if row["default"] != None:
        options["default"] = row["default"]
    if row["values"]:
        options["values"] = row["values"]
    if row["required"]:
        options["mandatory"] = True
    return _KINDS[row["kind"]](**options)
