"""A module of another repository."""

VALUE = "elsewhere 1"
