//! Whether the requirements of a set of wheels are met by that set.
