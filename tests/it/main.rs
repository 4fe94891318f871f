//! The integration tests: one binary, one module for each command or protocol.
#![allow(clippy::disallowed_methods, reason = "the doorways are for the program")]
#![allow(
    clippy::too_many_lines,
    clippy::too_many_arguments,
    reason = "tables of cases, stories told in one test, and records of formats with many fields"
)]

mod activate;
mod answers;
mod architecture;
mod bazel;
mod bazel_bytecode;
mod bazel_images;
mod bazel_locks;
mod bazel_release;
mod blob_store;
mod buck2;
mod build;
mod bytecode;
mod caches;
mod claims;
mod commands_page;
mod conflicts;
mod costs;
mod create;
mod create_person;
mod doctor;
mod download;
mod examples;
mod faults;
mod fetch;
mod findings_page;
mod fuzz;
mod help;
mod hostile;
mod images;
mod lock_commands;
mod lock_fetch;
mod lock_pin;
mod locks;
mod messages;
mod mutations;
mod oracle_digest;
mod oracle_requirements;
mod oracle_texts;
mod oracle_zip;
mod outputs;
mod pack;
mod platforms;
mod policy;
mod prompt;
mod proof;
mod pypi;
mod pytest_plugins;
mod readers;
mod readme;
mod real;
mod real_caches;
mod reference_digests;
mod release;
mod relocate;
mod relocate_hostile;
mod remote;
mod remote_hostile;
mod reports;
mod scaling_page;
mod script;
mod signals;
mod spec;
mod spec_from;
mod special_files;
mod start_programs;
mod streams;
mod support;
mod takeover;
mod targets;
mod terminal;
mod users;
mod virtualenv_suite;
mod wheel_check;
mod wheel_judgement;
mod wheel_platforms;
mod windows_layout;
mod windows_scripts;
mod wine;
mod worker;
mod workflows;
