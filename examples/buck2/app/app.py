"""A program of our own: asks the web application once, without a server."""

import sys

from greeting.greeting import create_app

if __name__ == "__main__":
    name = sys.argv[1] if len(sys.argv) > 1 else "world"
    print(create_app().test_client().get(f"/hello/{name}").text)
