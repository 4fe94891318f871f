//! Making specs: everything that turns something else into a [`Spec`](crate::model::spec::Spec)
//! lives here.
//!
//! Engine layer. Today that is a set of wheels for a target; locks will choose their wheels and use
//! the same.

pub mod wheels;
