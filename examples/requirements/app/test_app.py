"""A test of our own."""

from greeting import greet


def test_greets_by_name():
    assert greet("Ada").startswith("Hello, Ada!")


def test_names_the_library():
    assert "requests" in greet("Ada")
