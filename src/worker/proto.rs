//! Work requests and responses as protocol buffers (`worker_protocol.proto`), each after its length
//! as a varint.

use std::io::{self, Read};

use super::{MOST_ARGUMENTS, MOST_BYTES, Request, Response, WorkerError};
use crate::model::tree::wire::{Fields, Value, put_bytes, put_number, put_varint};

/// Reads requests until the input ends; ends at the first error.
pub(super) fn requests(mut input: impl Read) -> impl Iterator<Item = Result<Request, WorkerError>> {
    std::iter::from_fn(move || read(&mut input).transpose())
}

fn read(input: &mut impl Read) -> Result<Option<Request>, WorkerError> {
    let Some(length) = read_length(input)? else {
        return Ok(None);
    };
    if length > MOST_BYTES {
        return Err(WorkerError::Protobuf(format!(
            "the next request is {length} bytes, more than {MOST_BYTES}"
        )));
    }
    let mut message = Vec::new();
    input.take(length).read_to_end(&mut message).map_err(WorkerError::Read)?;
    if message.len() as u64 != length {
        return Err(cut_off());
    }
    decode(&message).map(Some)
}

fn cut_off() -> WorkerError {
    WorkerError::Protobuf("the input ends in the middle of a request".to_owned())
}

/// A varint; `None` where the input ends before it.
fn read_length(input: &mut impl Read) -> Result<Option<u64>, WorkerError> {
    let mut length = 0u64;
    for shift in (0..64).step_by(7) {
        let mut byte = [0];
        match input.read_exact(&mut byte) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return if shift == 0 { Ok(None) } else { Err(cut_off()) };
            }
            Err(error) => return Err(WorkerError::Read(error)),
        }
        length |= u64::from(byte[0] & 0x7f) << shift;
        if byte[0] < 0x80 {
            return Ok(Some(length));
        }
    }
    Err(WorkerError::Protobuf("a request's length has more than ten bytes".to_owned()))
}

fn decode(message: &[u8]) -> Result<Request, WorkerError> {
    let mut request = Request::default();
    let text = |bytes: &[u8]| {
        String::from_utf8(bytes.to_vec())
            .map_err(|_| WorkerError::Protobuf("a text is not UTF-8".to_owned()))
    };
    for field in Fields::new(message) {
        match field.map_err(|error| WorkerError::Protobuf(error.to_string()))? {
            (1, Value::Bytes(_)) if request.arguments.len() == MOST_ARGUMENTS => {
                return Err(WorkerError::Protobuf(format!(
                    "a request has more than {MOST_ARGUMENTS} arguments"
                )));
            }
            (1, Value::Bytes(bytes)) => request.arguments.push(text(bytes)?),
            // An int32 is written as the 64 bits of its sign-extended value.
            (3, Value::Number(number)) => request.identifier = number as i32,
            (4, Value::Number(number)) => request.cancel = number != 0,
            (5, Value::Number(number)) => request.verbosity = number as i32,
            (6, Value::Bytes(bytes)) => request.directory = text(bytes)?,
            // `inputs`, and what newer protocols add.
            _ => {}
        }
    }
    Ok(request)
}

/// A response after its length.
pub(super) fn encode(response: &Response) -> Vec<u8> {
    let mut message = Vec::with_capacity(response.output.len() + 16);
    put_number(&mut message, 1, i64::from(response.exit_code) as u64);
    if !response.output.is_empty() {
        put_bytes(&mut message, 2, response.output.as_bytes());
    }
    put_number(&mut message, 3, i64::from(response.identifier) as u64);
    put_number(&mut message, 4, u64::from(response.was_cancelled));
    let mut bytes = Vec::with_capacity(message.len() + 5);
    put_varint(&mut bytes, message.len() as u64);
    bytes.extend_from_slice(&message);
    bytes
}
