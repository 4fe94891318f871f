"""A library of our own, with data beside it."""

import pathlib

VALUE = "first party 1"
DATA = pathlib.Path(__file__).with_name("data.txt").read_text().strip()
