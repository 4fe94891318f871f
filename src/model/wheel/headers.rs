//! `Key: value` texts: `WHEEL` and `METADATA`.
