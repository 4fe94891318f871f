//! interim
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shell {
    Posix,
}
impl Shell {
    pub const ALL: [Self; 1] = [Self::Posix];
    pub fn name(self) -> &'static str {
        "posix"
    }
}
pub struct ActivateVariables<'a> {
    pub prompt: Option<&'a str>,
    pub scripts: &'a str,
    pub site_packages: &'a str,
}
pub fn render(_s: Shell, _v: &ActivateVariables<'_>) -> Vec<(&'static str, Vec<u8>)> {
    vec![("activate", b"# interim\n".to_vec())]
}
