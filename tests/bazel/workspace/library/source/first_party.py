"""A first-party module below an import root of its own."""

VALUE = "first party 1"
