//! Wheels on disk: the zip reader, inflating, loading for a build, inspecting for a report.

pub mod member;

mod decode;
pub mod inflate;

pub mod zip_file;

mod reading;

pub(crate) mod examine;
pub mod load;

pub mod inspect;
pub(crate) mod seeds;
