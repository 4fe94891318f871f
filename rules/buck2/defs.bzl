"""The rules for Buck2: environments, and what runs in them. This file only collects; see `docs/buck2.md`."""

load(":archive.bzl", _py_venv_archive = "py_venv_archive")
load(":binary.bzl", _py_venv_binary = "py_venv_binary")
load(":image.bzl", _py_venv_image = "py_venv_image", _py_venv_layers = "py_venv_layers")
load(":interpreter.bzl", _venvtree_interpreter = "venvtree_interpreter")
load(":packages.bzl", _venvtree_packages = "venvtree_packages")
load(":providers.bzl", _LockInfo = "LockInfo", _VenvInfo = "VenvInfo", _VenvtreeInterpreterInfo = "VenvtreeInterpreterInfo", _VenvtreeToolInfo = "VenvtreeToolInfo", _WheelInfo = "WheelInfo")
load(":release.bzl", _venvtree_release = "venvtree_release")
load(":test.bzl", _py_venv_test = "py_venv_test")
load(":toolchain.bzl", _venvtree_toolchain = "venvtree_toolchain")
load(":venv.bzl", _py_venv = "py_venv")
load(":wheel.bzl", _py_wheel = "py_wheel")

py_venv = _py_venv
py_venv_archive = _py_venv_archive
py_venv_binary = _py_venv_binary
py_venv_image = _py_venv_image
py_venv_layers = _py_venv_layers
py_venv_test = _py_venv_test
py_wheel = _py_wheel
venvtree_interpreter = _venvtree_interpreter
venvtree_packages = _venvtree_packages
venvtree_release = _venvtree_release
venvtree_toolchain = _venvtree_toolchain

LockInfo = _LockInfo
VenvInfo = _VenvInfo
VenvtreeInterpreterInfo = _VenvtreeInterpreterInfo
VenvtreeToolInfo = _VenvtreeToolInfo
WheelInfo = _WheelInfo
