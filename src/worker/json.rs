//! Work requests and responses as JSON, in protocol buffers' mapping to it.
//!
//! Bazel 4 ends requests with nothing, newer ones with a line feed: a request is complete with its
//! last brace.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::{MOST_ARGUMENTS, MOST_BYTES, Request, Response, WorkerError};

// Fields that are not used here (such as `inputs`) and those of newer protocols are passed over.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Incoming {
    arguments: Vec<String>,
    request_id: i32,
    cancel: bool,
    verbosity: i32,
    sandbox_dir: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Outgoing<'a> {
    exit_code: i32,
    output: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    request_id: i32,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    was_cancelled: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &i32) -> bool {
    *number == 0
}

/// An input of which each request takes a part; none may be endless.
struct Limited<R> {
    inner: R,
    left: Rc<Cell<u64>>,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        let left = self.left.get().checked_sub(count as u64);
        self.left.set(left.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a request is more than {MOST_BYTES} bytes"),
            )
        })?);
        Ok(count)
    }
}

/// Reads requests; ends at the first error.
pub(super) fn requests(input: impl Read) -> impl Iterator<Item = Result<Request, WorkerError>> {
    let left = Rc::new(Cell::new(MOST_BYTES));
    let input = Limited { inner: input, left: Rc::clone(&left) };
    serde_json::Deserializer::from_reader(input).into_iter::<Incoming>().map(move |incoming| {
        left.set(MOST_BYTES);
        let incoming = incoming.map_err(WorkerError::Json)?;
        if incoming.arguments.len() > MOST_ARGUMENTS {
            let message = format!("a request has more than {MOST_ARGUMENTS} arguments");
            return Err(WorkerError::Json(serde::de::Error::custom(message)));
        }
        Ok(Request {
            arguments: incoming.arguments,
            identifier: incoming.request_id,
            cancel: incoming.cancel,
            verbosity: incoming.verbosity,
            directory: incoming.sandbox_dir,
        })
    })
}

/// A response and a line feed.
pub(super) fn encode(response: &Response) -> Vec<u8> {
    let outgoing = Outgoing {
        exit_code: response.exit_code,
        output: &response.output,
        request_id: response.identifier,
        was_cancelled: response.was_cancelled,
    };
    let mut bytes = serde_json::to_vec(&outgoing).expect("numbers and texts are always JSON");
    bytes.push(b'\n');
    bytes
}
