"""The rules: environments, and what runs in them. This file only collects; see `docs/rules.md`."""

load("//rules/private:archive.bzl", _py_venv_archive = "py_venv_archive")
load("//rules/private:binary.bzl", _py_venv_binary = "py_venv_binary")
load("//rules/private:image.bzl", _py_venv_image = "py_venv_image", _py_venv_layers = "py_venv_layers")
load("//rules/private:interpreter.bzl", _venvtree_interpreter = "venvtree_interpreter")
load("//rules/private:link.bzl", _py_venv_link = "py_venv_link")
load("//rules/private:test.bzl", _py_venv_test = "py_venv_test")
load("//rules/private:venv.bzl", _py_venv = "py_venv")
load("//rules/private:wheel.bzl", _py_wheel = "py_wheel")
load(":providers.bzl", _LockInfo = "LockInfo", _PyLibraryInfo = "PyLibraryInfo", _VenvInfo = "VenvInfo", _VenvtreeInterpreterInfo = "VenvtreeInterpreterInfo", _VenvtreeToolInfo = "VenvtreeToolInfo", _WheelClosureInfo = "WheelClosureInfo", _WheelInfo = "WheelInfo")
load(":toolchain.bzl", _venvtree_toolchain = "venvtree_toolchain")

py_venv = _py_venv
py_venv_archive = _py_venv_archive
py_venv_binary = _py_venv_binary
py_venv_image = _py_venv_image
py_venv_layers = _py_venv_layers
py_venv_link = _py_venv_link
py_venv_test = _py_venv_test
py_wheel = _py_wheel
venvtree_interpreter = _venvtree_interpreter
venvtree_toolchain = _venvtree_toolchain

LockInfo = _LockInfo
PyLibraryInfo = _PyLibraryInfo
VenvInfo = _VenvInfo
VenvtreeInterpreterInfo = _VenvtreeInterpreterInfo
VenvtreeToolInfo = _VenvtreeToolInfo
WheelClosureInfo = _WheelClosureInfo
WheelInfo = _WheelInfo
