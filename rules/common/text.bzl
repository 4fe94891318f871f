"""Texts of attributes that become lines of files, parts of names or variables of a shell.

Nothing here fails: a function returns what is wrong, or None, and the rule adds the label.
"""

# Those of ASCII. A line feed would begin another line of a script, of METADATA or of an action's arguments.
_CONTROL_CHARACTERS = "\001\002\003\004\005\006\007\010\011\012\013\014\015\016\017\020\021\022\023\024\025\026\027\030\031\032\033\034\035\036\037\177"

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
_DIGITS = "0123456789"

def check_line(attribute, text):
    """Looks for characters that are no part of a line.

    Args:
      attribute: the attribute's name.
      text: its value, or one of its values.

    Returns:
      What is wrong, or None.
    """
    if [character for character in text.elems() if character in _CONTROL_CHARACTERS]:
        return "`%s` has %s; expected one line: leave out line breaks and other control characters" % (attribute, repr(text))
    return None

def check_lines(texts):
    """Looks for the first text that is not one line.

    Args:
      texts: a list of pairs of an attribute's name and a list of texts.

    Returns:
      What is wrong, or None.
    """
    for attribute, values in texts:
        for value in values:
            problem = check_line(attribute, value)
            if problem:
                return problem
    return None

def check_variables(attribute, names):
    """Looks for a name that no variable of a shell can have.

    Args:
      attribute: the attribute's name.
      names: names of variables.

    Returns:
      What is wrong, or None.
    """
    for name in names:
        strange = [character for character in name.elems() if character not in _LETTERS + _DIGITS]
        if not name or strange or name[0] in _DIGITS:
            return "`%s` has %s, which is no name of a variable; expected letters, digits and `_`, and no digit first" % (attribute, repr(name))
        if name.startswith("_vt_"):
            return "`%s` has `%s`; names that begin with `_vt_` belong to the file that starts the program, so choose another" % (attribute, name)
    return None
