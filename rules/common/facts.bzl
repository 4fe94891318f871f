"""What a `venvtree_interpreter` says of its interpreter."""

load(":spec.bzl", "default_abi", "parse_platform", "parse_version")

def interpreter_facts_of(attributes, known_version = None):
    """Reads the attributes `facts`, `version`, `abi` and `platform`.

    Args:
      attributes: the rule's attributes.
      known_version: a version that something else knows, or None.

    Returns:
      A struct: `value` is a dict of `implementation`, `version`, `abi` and `platform` as the spec has them, or None; `error` says
      what was wrong, or None.
    """
    facts = {}
    if attributes.facts:
        if not attributes.facts.strip().startswith("{"):
            return _refused("`facts` is no JSON object; paste what `venvtree interpreter probe` prints")
        facts = json.decode(attributes.facts)
        if facts.get("implementation", "cpython") != "cpython":
            return _refused("`facts` describe %s; the rules need CPython" % facts["implementation"])

    text = attributes.version or facts.get("version") or known_version
    if not text:
        return _refused("the version of the interpreter is unknown, because `runtime` does not say it; " +
                        "add `version = \"3.11.7\"` (with the right numbers), or `facts` as `venvtree interpreter probe` prints them")
    version = parse_version(text)
    if version.error:
        return _refused("`version` %s" % version.error)

    platform = facts.get("platform")
    if attributes.platform:
        parsed = parse_platform(attributes.platform)
        if parsed.error:
            return _refused("`platform` %s" % parsed.error)
        platform = parsed.value
    if not platform:
        return _refused("the platform of the interpreter is unknown; add `platform = \"linux-x86_64-glibc-2.36\"` (with what is true of the machines " +
                        "that environments are for; a `select()` may choose), or `facts` as `venvtree interpreter probe` prints them")
    return struct(
        value = {
            "implementation": "cpython",
            "version": version.value.text,
            "abi": attributes.abi or facts.get("abi") or default_abi(version.value.minor),
            "platform": platform,
        },
        error = None,
    )

def _refused(error):
    return struct(value = None, error = error)
