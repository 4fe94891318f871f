//! What Linux says of this process.

use std::io::Read;
use std::sync::OnceLock;

/// What `/proc/self/status` fits in, so that one call reads it.
const ENOUGH: usize = 4 << 10;

/// A field of `/proc/self/status`, such as `Umask`, as it was when one was asked for first: the text
/// is made anew for each reader, which takes longer than most that this program asks the system.
/// `None` where there is none, as on other systems.
pub(crate) fn field(name: &str) -> Option<&'static str> {
    static STATUS: OnceLock<String> = OnceLock::new();
    let status = STATUS.get_or_init(|| read().unwrap_or_default());
    status.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
}

#[expect(clippy::disallowed_methods, reason = "it has no size, and is no file that can be changed")]
fn read() -> Option<String> {
    let mut text = String::with_capacity(ENOUGH);
    std::fs::File::open("/proc/self/status").ok()?.take(1 << 20).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    #[cfg(target_os = "linux")]
    #[test]
    fn fields_are_found_by_their_whole_name() {
        let id = std::process::id().to_string();
        assert_eq!(super::field("Pid"), Some(id.as_str()));
        assert_eq!(super::field("id"), None);
        assert_eq!(super::field("Umask").map(str::len), Some(4));
    }
}
