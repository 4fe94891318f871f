"""A package that comes from a wheel."""
