"""A library of our own."""

import requests


def greet(name):
    """Greets `name`, and says which requests does the work."""
    return f"Hello, {name}! (requests {requests.__version__})"
