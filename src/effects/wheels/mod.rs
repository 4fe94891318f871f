//! Wheels on disk: the zip reader, inflating, loading for a build, inspecting for a report.

pub mod inflate;

pub mod zip_file;

pub mod examine;
pub mod load;

pub mod inspect;
pub mod seeds;
