//! `RECORD`, the list of a distribution's files.
