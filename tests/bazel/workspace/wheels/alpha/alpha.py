"""A module that comes from a wheel."""

VALUE = "alpha 1"


def main():
    print(VALUE)
