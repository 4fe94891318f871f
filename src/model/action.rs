//! Actions and their results, as REAPI's messages: what a build is called in a cache, and what a
//! cache says it made.
//!
//! Model layer. An action's input root holds one file, the canonical request, so its key is known
//! before any wheel is there. The messages are written directly, as those of [`wire`], and results
//! are read strictly: whatever is not the result of exactly this action is an error, and the
//! caller's miss.

use crate::model::digest::{ActionDigest, BlobDigest, Digest, DigestFunction, DirectoryDigest};
use crate::model::file_kind::FileKind;
use crate::model::path::TreePath;
use crate::model::tree::wire::{self, Fields, Value, put_bytes, put_number};
use crate::model::tree::{Leaf, Tree, TreeBuilder};

/// The version of what a request means: grows whenever the same request makes another tree.
pub const FORMAT_VERSION: u32 = 4;
/// The name of the request in the action's input root.
const REQUEST_NAME: &str = "request.json";
/// REAPI's `Command.OutputDirectoryFormat.TREE_AND_DIRECTORY`.
const TREE_AND_DIRECTORY: u64 = 2;

/// An action with all the messages that it consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    function: DigestFunction,
    request: Vec<u8>,
    input_root: Tree,
    command: Vec<u8>,
    message: Vec<u8>,
    output: String,
}

impl Action {
    /// The action that makes a tree out of a canonical request (JSON, sorted, without paths and
    /// with all defaults filled in).
    pub fn new(function: DigestFunction, request: Vec<u8>) -> Self {
        let blob = function.digest(&request);
        let mut builder = TreeBuilder::new();
        let path = TreePath::parse(REQUEST_NAME).expect("a plain name");
        builder
            .insert(&path, Leaf::File { blob: BlobDigest(blob), kind: FileKind::Plain })
            .expect("the only entry");
        let input_root = builder.finish(function);
        // The output's name binds a result to its request: the result of another action names
        // another output.
        let output = format!("venv-{}", blob.hash);
        let command = encode_command(&output);
        let message = encode_action(function.digest(&command), input_root.digest().0);
        Self { function, request, input_root, command, message, output }
    }

    /// The action's key.
    pub fn digest(&self) -> ActionDigest {
        ActionDigest(self.function.digest(&self.message))
    }

    /// The digest function of the key and of everything that it names.
    pub fn function(&self) -> DigestFunction {
        self.function
    }

    /// The canonical request.
    pub fn request(&self) -> &[u8] {
        &self.request
    }

    /// The path that results of this action name.
    pub fn output(&self) -> &str {
        &self.output
    }

    /// Every blob that the action consists of: the action, its command, its input root and the
    /// request.
    pub fn blobs(&self) -> [(Digest, &[u8]); 4] {
        let blob = |bytes: &[u8]| self.function.digest(bytes);
        [
            (blob(&self.message), &self.message),
            (blob(&self.command), &self.command),
            (self.input_root.digest().0, self.input_root.root().message()),
            (blob(&self.request), &self.request),
        ]
    }
}

fn encode_command(output: &str) -> Vec<u8> {
    let mut command = Vec::new();
    for argument in ["venvtree", "build", "--out", output, REQUEST_NAME] {
        put_bytes(&mut command, 1, argument.as_bytes());
    }
    put_bytes(&mut command, 7, output.as_bytes());
    put_number(&mut command, 9, TREE_AND_DIRECTORY);
    command
}

fn encode_action(command: Digest, input_root: Digest) -> Vec<u8> {
    let mut action = Vec::new();
    put_bytes(&mut action, 1, &wire::encode_digest(command));
    put_bytes(&mut action, 2, &wire::encode_digest(input_root));
    put_bytes(&mut action, 9, format!("venvtree {FORMAT_VERSION}").as_bytes());
    action
}

/// What an action made: REAPI's `ActionResult` with one output directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActionResult {
    /// The digest of the `Tree` message.
    pub tree: Digest,
    /// The root digest. Servers that speak only versions before 2.11 of the API drop it.
    pub root: Option<DirectoryDigest>,
}

/// Why a result is not one of the action.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResultError {
    /// The bytes are no message.
    #[error("the result is no message: {0}")]
    Wire(#[from] wire::WireError),
    /// A text is not UTF-8.
    #[error("the result has an output whose path is not UTF-8")]
    Text,
    /// The action is said to have failed.
    #[error("the result has the exit code {0}, expected 0")]
    ExitCode(u64),
    /// There are outputs of kinds that the action does not have.
    #[error("the result has an output file or link, expected one directory")]
    OtherOutput,
    /// There is not one output directory.
    #[error("the result has {0} output directories, expected one")]
    Directories(usize),
    /// The output is another one.
    #[error("the result is of another action: its output is `{found}`, expected `{expected}`")]
    Path {
        /// The path in the result.
        found: String,
        /// [`Action::output`].
        expected: String,
    },
    /// The directory has no digest of a `Tree`.
    #[error("the result's output directory has no digest of a tree")]
    NoTree,
}

impl ActionResult {
    /// The result's bytes, for the cache.
    pub fn encode(&self, action: &Action) -> Vec<u8> {
        let mut directory = Vec::new();
        put_bytes(&mut directory, 1, action.output.as_bytes());
        put_bytes(&mut directory, 3, &wire::encode_digest(self.tree));
        // Parents stand before children in our trees.
        put_number(&mut directory, 4, 1);
        if let Some(root) = self.root {
            put_bytes(&mut directory, 5, &wire::encode_digest(root.0));
        }
        let mut result = Vec::new();
        put_bytes(&mut result, 3, &directory);
        result
    }

    /// Reads a result of exactly this action.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn decode(bytes: &[u8], action: &Action) -> Result<Self, ResultError> {
        let (path, result) = Self::decode_any(bytes)?;
        if path != action.output {
            let found = if path.len() > action.output.len() + 40 {
                format!("{} bytes", path.len())
            } else {
                path
            };
            return Err(ResultError::Path { found, expected: action.output.clone() });
        }
        Ok(result)
    }

    /// Reads a result of any successful action with one output directory, and that directory's
    /// path, which is nothing to write to.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn decode_any(bytes: &[u8]) -> Result<(String, Self), ResultError> {
        let (mut directory, mut directories) = (&b""[..], 0);
        for field in Fields::new(bytes) {
            match field? {
                // `output_files`, and the three kinds of links.
                (2 | 10..=12, Value::Bytes(_)) => return Err(ResultError::OtherOutput),
                (3, Value::Bytes(found)) => (directory, directories) = (found, directories + 1),
                (4, Value::Number(code)) if code != 0 => return Err(ResultError::ExitCode(code)),
                // Standard output and error, metadata, and what later versions add.
                _ => {}
            }
        }
        if directories != 1 {
            return Err(ResultError::Directories(directories));
        }
        let (mut path, mut tree, mut root) = ("", None, None);
        for field in Fields::new(directory) {
            match field? {
                (1, Value::Bytes(text)) => {
                    path = std::str::from_utf8(text).map_err(|_| ResultError::Text)?
                }
                (3, Value::Bytes(digest)) => tree = Some(wire::decode_digest(digest)?),
                (5, Value::Bytes(digest)) => {
                    root = Some(DirectoryDigest(wire::decode_digest(digest)?))
                }
                _ => {}
            }
        }
        Ok((path.to_owned(), Self { tree: tree.ok_or(ResultError::NoTree)?, root }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action() -> Action {
        Action::new(DigestFunction::Sha256, b"{}".to_vec())
    }

    fn result() -> ActionResult {
        let digest = DigestFunction::Sha256.digest(b"tree");
        ActionResult { tree: digest, root: Some(DirectoryDigest(digest)) }
    }

    /// If this changes, every cache is empty for the new version.
    #[test]
    fn the_key_of_a_request_stays_the_same() {
        assert_eq!(
            action().digest().to_string(),
            "3da5a89a20949723d88287407e92610ddec94fdda3686718a4ff75be3acb1e1b/153"
        );
    }

    /// What was made of the same request in another version of the format has another key, so that
    /// nobody finds it.
    #[test]
    fn the_version_of_the_format_is_part_of_the_key() {
        let text = format!("venvtree {FORMAT_VERSION}");
        let message = action().message;
        assert!(message.windows(text.len()).any(|part| part == text.as_bytes()));
    }

    #[test]
    fn a_result_is_read_as_it_is_written() {
        assert_eq!(ActionResult::decode(&result().encode(&action()), &action()), Ok(result()));
    }

    #[test]
    fn a_result_that_is_not_of_this_action_is_refused() {
        let other = Action::new(DigestFunction::Sha256, b"{ }".to_vec());
        let check = |bytes: Vec<u8>, expected: &str| {
            let error = ActionResult::decode(&bytes, &action()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(result().encode(&other), "of another action");
        check(Vec::new(), "0 output directories");
        check(
            [result().encode(&action()), result().encode(&action())].concat(),
            "2 output directories",
        );
        let with = |fill: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = result().encode(&action());
            fill(&mut bytes);
            bytes
        };
        check(with(&|bytes| put_number(bytes, 4, 1)), "exit code 1");
        check(with(&|bytes| put_bytes(bytes, 2, b"\x0a\x0b../../etc/x")), "output file");
        check(with(&|bytes| put_bytes(bytes, 12, b"")), "output file or link");
        check(with(&|bytes| bytes.push(0x1a)), "ends in the middle");
        let mut no_tree = Vec::new();
        let mut directory = Vec::new();
        put_bytes(&mut directory, 1, action().output().as_bytes());
        put_bytes(&mut no_tree, 3, &directory);
        check(no_tree, "no digest of a tree");
    }
}
