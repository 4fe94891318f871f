"""Prints a page."""

import sys

import pages

print(pages.make_app().test_client().get("/" + sys.argv[1]).text)
