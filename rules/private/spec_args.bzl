"""Inputs on the tool's command line.

A spec that is written at analysis holds no path, because path mapping and other configurations would not reach into it: its
inputs are keys, and these arguments say at execution where each key's file is.
"""

load("//rules/common:inside.bzl", "INTERPRETER_KEY")

def add_inputs(args, files):
    """Adds `--input=KEY=PATH` for files whose key is their name.

    Args:
      args: the Args to add to.
      files: a list of File.
    """
    args.add_all(files, map_each = _named_input, expand_directories = False)

def _named_input(file):
    return "--input=%s=%s" % (file.basename, file.path)

def add_interpreter_inputs(args, files):
    """Adds `--input=KEY=PATH` for the files of an interpreter that is copied, as `inside_files` has them in a spec.

    Args:
      args: the Args to add to.
      files: a list or depset of File; of directories all that is in them.
    """
    args.add_all(files, map_each = _interpreter_input)

def _interpreter_input(file):
    return "--input=%s/%s=%s" % (INTERPRETER_KEY, file.short_path, file.path)

def add_located_inputs(args, files):
    """Adds `--input=KEY=PATH` for files whose key is their path in runfiles.

    Args:
      args: the Args to add to.
      files: a list or depset of File.
    """
    args.add_all(files, map_each = _located_input, expand_directories = False)

def _located_input(file):
    return "--input=%s=%s" % (file.short_path, file.path)

def add_packed_inputs(args, named, copied, located):
    """Adds the inputs of what is packed.

    Args:
      args: the Args to add to.
      named: a list of File: those whose key is their name.
      copied: a list of File: those of an interpreter that is copied.
      located: a list of File: those whose key is their path in runfiles.
    """
    add_inputs(args, named)
    add_interpreter_inputs(args, copied)
    add_located_inputs(args, located)
