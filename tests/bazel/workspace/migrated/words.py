import pathlib

import first_party

VALUE = first_party.VALUE + " of " + pathlib.Path(__file__).with_name("words.txt").read_text().strip()
