//! The `venvtree` command.

fn main() {}
