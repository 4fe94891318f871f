//! Sizes and numbers of things, as people read them.

pub(crate) use crate::model::quantity::{count, count_u64, size};
