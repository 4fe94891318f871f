//! What every command is: what was typed becomes what is meant, and that becomes an answer.

use clap::Args;

use crate::cli::answer::{self, Answer};
use crate::cli::io::Io;
use crate::cli::options::{Deferred, Format, HowToAnswer, Output, WithOutput};
use crate::error::Error;

/// A command, as its arguments.
pub(crate) trait Verb {
    /// How to answer: for people, unless there are options for it.
    fn output(&self) -> Output {
        Output::TEXT
    }

    /// What the arguments mean here.
    ///
    /// # Errors
    /// They make no sense, or what they name cannot be read.
    fn request(self, io: &mut Io<'_>) -> Result<impl Request + use<Self>, Error>;
}

/// What a command was asked for.
pub(crate) trait Request {
    /// Does it.
    ///
    /// # Errors
    /// It cannot be done.
    fn run(self, io: &mut Io<'_>) -> Result<impl Answer + use<Self>, Error>;
}

impl<V: Verb> Verb for Deferred<V> {
    fn output(&self) -> Output {
        (**self).output()
    }

    fn request(self, io: &mut Io<'_>) -> Result<impl Request + use<V>, Error> {
        self.into_inner().request(io)
    }
}

impl<V: Verb + Args, O: HowToAnswer> Verb for WithOutput<V, O> {
    fn output(&self) -> Output {
        self.output.output()
    }

    fn request(self, io: &mut Io<'_>) -> Result<impl Request + use<V, O>, Error> {
        self.arguments.request(io)
    }
}

/// Makes the function that does what a subcommand asks for, each of which is a verb.
macro_rules! dispatch {
    ($command:ident { $($(#[$attribute:meta])* $verb:ident),+ $(,)? }) => {
        /// Does what a subcommand asks for.
        pub(crate) fn dispatch(
            command: $command,
            io: &mut $crate::cli::io::Io<'_>,
        ) -> ($crate::cli::options::Format, Result<u8, $crate::error::Error>) {
            match command {
                $($(#[$attribute])* $command::$verb(arguments) => {
                    $crate::cli::verb::perform(arguments, io)
                })+
            }
        }
    };
}
pub(crate) use dispatch;

/// Does what a command asks for and gives the answer; returns how an error is to be printed, and
/// the exit code.
pub(crate) fn perform<V: Verb>(verb: V, io: &mut Io<'_>) -> (Format, Result<u8, Error>) {
    let output = verb.output();
    (io.talks, io.quiet) = (output.talks(), output.quiet);
    let answered = verb
        .request(io)
        .and_then(|request| request.run(io))
        .and_then(|answer| answer::give(answer, output, io));
    (output.format, answered)
}
