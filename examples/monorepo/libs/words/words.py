"""Words that all programs use."""


def greeting(name):
    return f"Hello, {name}!"


def count(text):
    return len(text.split())
