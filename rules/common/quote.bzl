"""Texts in shell files."""

def shell_quote(text):
    """Quotes a text for a POSIX shell.

    Args:
      text: any text.

    Returns:
      The quoted text.
    """
    return "'" + text.replace("'", "'\\''") + "'"
