//! Compatibility tags of wheels and of interpreters.
