"""Serves pages."""

import sys

import pages

pages.make_app().run(port=int(sys.argv[1]))
