//! What every command is: what was typed becomes what is meant, and that becomes an answer.

use clap::Args;

use crate::cli::answer::{self, Answer};
use crate::cli::io::Io;
use crate::cli::options::{Deferred, Format, HowToAnswer, Output, WithOutput};
use crate::error::Error;

/// A command, as its arguments.
pub(crate) trait Verb: Sized {
    /// What is meant: paths resolved, variables read, caches chosen.
    type Request;
    /// What comes of it.
    type Answer: Answer;

    /// How to answer: for people, unless there are options for it.
    fn output(&self) -> Output {
        Output::TEXT
    }

    /// What the arguments mean here.
    ///
    /// # Errors
    /// They make no sense, or what they name cannot be read.
    fn request(self, io: &mut Io<'_>) -> Result<Self::Request, Error>;

    /// Does it.
    ///
    /// # Errors
    /// It cannot be done.
    fn run(request: Self::Request, io: &mut Io<'_>) -> Result<Self::Answer, Error>;
}

impl<V: Verb> Verb for Deferred<V> {
    type Request = V::Request;
    type Answer = V::Answer;

    fn output(&self) -> Output {
        (**self).output()
    }

    fn request(self, io: &mut Io<'_>) -> Result<V::Request, Error> {
        self.into_inner().request(io)
    }

    fn run(request: V::Request, io: &mut Io<'_>) -> Result<V::Answer, Error> {
        V::run(request, io)
    }
}

impl<V: Verb + Args, O: HowToAnswer> Verb for WithOutput<V, O> {
    type Request = V::Request;
    type Answer = V::Answer;

    fn output(&self) -> Output {
        self.output.output()
    }

    fn request(self, io: &mut Io<'_>) -> Result<V::Request, Error> {
        self.arguments.request(io)
    }

    fn run(request: V::Request, io: &mut Io<'_>) -> Result<V::Answer, Error> {
        V::run(request, io)
    }
}

/// Does what a command asks for and gives the answer; returns how an error is to be printed, and
/// the exit code.
pub(crate) fn perform<V: Verb>(verb: V, io: &mut Io<'_>) -> (Format, Result<u8, Error>) {
    let output = verb.output();
    io.talks = output.talks();
    let answered = verb
        .request(io)
        .and_then(|request| V::run(request, io))
        .and_then(|answer| answer::give(answer, output, io));
    (output.format, answered)
}
