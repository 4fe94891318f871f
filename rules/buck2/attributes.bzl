"""Buck2's attributes, made of the rows that it shares with Bazel."""

def attributes(rows: dict[str, dict[str, typing.Any]]) -> dict[str, typing.Any]:
    """Attributes for a rule.

    Args:
      rows: a table of `rules/common/attributes.bzl`.

    Returns:
      A dict for the rule's `attrs`.
    """
    return {name: _attribute(row) for name, row in rows.items()}

def targets(doc: str):
    """Any number of targets, by default none."""
    return attrs.list(attrs.dep(), default = [], doc = doc)

def strings(doc: str):
    """Any number of texts, by default none."""
    return attrs.list(attrs.string(), default = [], doc = doc)

def placed_files(doc: str, kind = attrs.source()):
    """Any number of files, by default none; each may have a place of its own."""
    return attrs.named_set(kind, default = [], doc = doc)

def optional(kind, doc: str):
    """One of a kind, or none."""
    return attrs.option(kind, default = None, doc = doc)

def _attribute(row: dict[str, typing.Any]):
    kind, doc, default = row["kind"], row["doc"], row["default"]
    if kind == "bool":
        return attrs.bool(default = default or False, doc = doc)
    if kind == "choice":
        return attrs.enum(row["values"], default = default, doc = doc)
    if kind == "int":
        return attrs.int(default = default or 0, doc = doc)
    if kind == "string":
        return attrs.string(doc = doc) if row["required"] else attrs.string(default = default or "", doc = doc)
    if kind == "strings":
        return attrs.list(attrs.string(), default = default or [], doc = doc)
    if kind == "string_dict":
        return attrs.dict(attrs.string(), attrs.string(), default = default or {}, doc = doc)
    if kind == "string_list_dict":
        return attrs.dict(attrs.string(), attrs.list(attrs.string()), default = default or {}, doc = doc)
    fail("there is no attribute of the kind " + kind)
