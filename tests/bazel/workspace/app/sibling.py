"""A module beside the main program."""
