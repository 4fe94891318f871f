//! The integration tests: one binary, one module for each command or protocol.

mod architecture;
mod create;
mod hostile;
mod oracle_requirements;
mod oracle_texts;
mod script;
mod support;
mod windows_scripts;
