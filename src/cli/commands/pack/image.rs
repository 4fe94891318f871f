//! Options of images.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;

use crate::cli::io::Io;
use crate::engine::images::{ImagePlace, ImageRequest};
use crate::error::Error;
use crate::model::image::Settings;

/// Options of images.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Images")]
pub(super) struct ImageArguments {
    /// Put the image on the one of this OCI layout, a directory; one of several by its tag.
    #[arg(long, value_name = "LAYOUT[:TAG]")]
    base: Option<Utf8PathBuf>,
    /// An argument of the program that the image runs, that itself first; may be repeated.
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    entrypoint: Vec<String>,
    /// A further argument, which whoever runs the image can replace; may be repeated.
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    cmd: Vec<String>,
    /// An environment variable of the image; may be repeated. Without one for PATH, programs of
    /// the environment are found first.
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// A label of the image; may be repeated.
    #[arg(long, value_name = "NAME=VALUE")]
    label: Vec<String>,
    /// Who runs the program: a name of the base or numbers, such as 65532:65532.
    #[arg(long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// The directory that the program is started in.
    #[arg(long, value_name = "DIR")]
    workdir: Option<String>,
    /// What the image is called in its layout.
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
}

impl ImageArguments {
    /// The first option that was given.
    pub(super) fn given(&self) -> Option<&'static str> {
        let options = [
            (self.base.is_some(), "--base"),
            (!self.entrypoint.is_empty(), "--entrypoint"),
            (!self.cmd.is_empty(), "--cmd"),
            (!self.env.is_empty(), "--env"),
            (!self.label.is_empty(), "--label"),
            (self.user.is_some(), "--user"),
            (self.workdir.is_some(), "--workdir"),
            (self.tag.is_some(), "--tag"),
        ];
        options.into_iter().find(|(given, _)| *given).map(|(_, name)| name)
    }

    /// What they mean.
    pub(super) fn request(self, io: &Io<'_>) -> Result<ImageRequest, Error> {
        let list = |arguments: Vec<String>| (!arguments.is_empty()).then_some(arguments);
        let labels = pairs("--label", &self.label)?;
        Ok(ImageRequest {
            settings: Settings {
                entrypoint: list(self.entrypoint),
                command: list(self.cmd),
                variables: pairs("--env", &self.env)?,
                labels: labels.into_iter().collect::<BTreeMap<_, _>>(),
                user: self.user,
                workdir: self.workdir,
                tag: self.tag,
            },
            base: self.base.map(|base| layout(&base, io)),
        })
    }
}

/// Where an image is to go: to an archive if its name says so, else to a directory.
pub(super) fn place(out: &Utf8Path, io: &Io<'_>) -> Result<ImagePlace, Error> {
    if out == "-" {
        return Err(Error::usage("an image has parts that come before what they depend on, so it cannot go through a pipe")
            .hint("name a file with `--out FILE.tar`, or a directory"));
    }
    if out.extension() == Some("tar") {
        Ok(ImagePlace::File(io.output_file(out)?))
    } else {
        Ok(ImagePlace::Directory(io.resolve(out)))
    }
}

/// A layout, and the tag behind its path unless that is part of it.
fn layout(typed: &Utf8Path, io: &Io<'_>) -> (Utf8PathBuf, Option<String>) {
    let full = io.resolve(typed);
    match typed.as_str().rsplit_once(':') {
        Some((path, tag)) if !full.is_dir() && !tag.contains('/') => {
            (io.resolve(path.into()), Some(tag.to_owned()))
        }
        _ => (full, None),
    }
}

/// Names and values; of several with the same name, only one can be meant.
fn pairs(option: &str, given: &[String]) -> Result<Vec<(String, String)>, Error> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for text in given {
        let refused = |message: String| {
            Error::usage(message).hint(format!("write `{option} NAME=VALUE`, each NAME once"))
        };
        let (name, value) = text
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .ok_or_else(|| refused(format!("`{option} {text}` has no name before a `=`")))?;
        if pairs.iter().any(|(known, _)| known == name) {
            return Err(refused(format!("`{option}` gives `{name}` twice")));
        }
        pairs.push((name.to_owned(), value.to_owned()));
    }
    Ok(pairs)
}
