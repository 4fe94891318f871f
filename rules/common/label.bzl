"""Labels in messages."""

def label_text(label):
    """A label as people write it: without the `@` or `@@` that newer Bazels put before those of the main repository.

    Args:
      label: a Label.

    Returns:
      Such as `//:env` or `@@other//:env`.
    """
    text = str(label)
    for prefix in ["@@//", "@//"]:
        if text.startswith(prefix):
            return "//" + text[len(prefix):]
    return text
