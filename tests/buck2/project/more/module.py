"""A program that is started as a module."""

import sys

import alpha

print(alpha.VALUE, sys.argv[1:])
