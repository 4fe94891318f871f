//! The names of wheel files.
