//! Environments in layers, and images made of them.
//!
//! Part of the engine. Both are directories that appear complete or not at all; an image may also
//! be an archive of one.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

use crate::effects::host::fs::{self, Directory, Kind};
use crate::effects::host::output_file::OutputFile;
use crate::effects::sink::archive::{self, ArchiveError, ArchiveOptions, Packing};
use crate::effects::sink::layers::{self as sink, File};
use crate::effects::sink::publish::Unfinished;
use crate::effects::sink::times;
use crate::effects::work::parallel;
use crate::effects::work::progress::{Amount, Phase};
use crate::engine::pack::{check, packing_failed, write_whole};
use crate::engine::prepared::Prepared;
use crate::engine::session::Session;
use crate::error::{Error, Located, PlaceTaken};
use crate::model::compression::Compression;
use crate::model::digest::{BlobDigest, Digest, DigestFunction, Hash};
use crate::model::file_kind::FileKind;
use crate::model::image::{
    self, Base, BaseError, Descriptor, Documents, ImagePlatform, LAYOUT, LayerBlob, MOST_LAYERS,
    Settings, Step,
};
use crate::model::layers::{self, Layer, LayerPolicy};
use crate::model::path::TreePath;
use crate::model::tree::{Leaf, Tree, TreeBuilder};

pub use crate::effects::sink::archive::{LayerOptions, Owner};
pub use crate::model::image::name as digest_name;

/// Where the layers of an image are, in its layout.
const BLOBS: &str = "blobs/sha256";

/// How an environment becomes layers.
#[derive(Debug, Clone, Copy)]
pub struct Layering<'a> {
    /// What is a layer of its own.
    pub policy: LayerPolicy,
    /// How many there may be.
    pub most: usize,
    /// How each is packed.
    pub options: LayerOptions<'a>,
}

/// A layer that was written.
#[derive(Debug, Clone, Serialize)]
pub struct WrittenLayer {
    /// The file, unless it is called by its digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// What it holds, in a word.
    pub kind: &'static str,
    /// What it is called.
    pub name: String,
    /// The digest of the archive.
    pub digest: String,
    /// Its bytes.
    pub size: u64,
    /// The digest of what it is before it is compressed.
    pub diff_id: String,
    /// Its media type in an image.
    pub media_type: &'static str,
    /// How many entries of the environment it has.
    pub entries: usize,
    /// The file names of its wheels.
    pub wheels: Vec<String>,
}

/// An image that is wanted.
#[derive(Debug, Clone)]
pub struct ImageRequest {
    /// How it is to be run.
    pub settings: Settings,
    /// The layout of the image that it is put on, and which of several there.
    pub base: Option<(Utf8PathBuf, Option<String>)>,
}

/// Where an image goes.
#[derive(Debug, Clone)]
pub enum ImagePlace {
    /// To a new directory.
    Directory(Utf8PathBuf),
    /// To an archive of one.
    File(OutputFile),
}

/// An image that was written.
#[derive(Debug, Clone)]
pub struct WrittenImage {
    /// The digest of its manifest.
    pub digest: Digest,
    /// Its own layers, without those of the base.
    pub layers: Vec<WrittenLayer>,
}

/// What `layers.json` says.
#[derive(Serialize)]
struct LayersDocument<'a> {
    version: u64,
    prefix: &'a TreePath,
    mtime: u64,
    layers: &'a [WrittenLayer],
}

/// Refuses a place where a directory cannot come to be.
///
/// # Errors
/// Something is there.
pub fn check_free(place: &Utf8Path) -> Result<(), Error> {
    match fs::kind(place)? {
        Kind::Absent | Kind::EmptyDirectory => Ok(()),
        Kind::Directory | Kind::Other => Err(PlaceTaken { path: place.to_owned() }.into()),
    }
}

/// Packs an environment as a directory of layers, with `layers.json` beside them.
///
/// # Errors
/// Inputs are not what they should be, the place is taken, or the file system refuses.
pub fn pack_layers(
    session: &Session,
    prepared: &Prepared,
    layering: Layering<'_>,
    place: &Utf8Path,
) -> Result<Vec<WrittenLayer>, Error> {
    check_free(place)?;
    check(prepared, session.threads())?;
    let mut unfinished = Unfinished::new(place)?;
    let directory = unfinished.directory();
    let extension = layering.options.compression.extension();
    let file = |index: usize, layer: &Layer| format!("{index:03}-{}.{extension}", layer.name);
    let mut written = Vec::new();
    for (index, (layer, blob)) in
        packed(session, prepared, layering, (directory, &file))?.into_iter().enumerate()
    {
        let file = file(index, &layer);
        // Their names stay when what they hold changes.
        directory.set_time(&file, times::of(layering.options.mtime, blob.digest.hash))?;
        let file = Some(file);
        written.push(WrittenLayer { file, ..described(prepared, &layer, &blob) });
    }
    let LayerOptions { prefix, mtime, .. } = layering.options;
    let document = LayersDocument { version: 1, prefix, mtime, layers: &written };
    let mut text = serde_json::to_vec_pretty(&document).expect("the document is plain JSON");
    text.push(b'\n');
    let failed = |error| packing_failed(error, place);
    let time = times::of(mtime, Hash::sha256(&text));
    File { directory, name: "layers.json", mtime: time }.write(&text).map_err(failed)?;
    directory.normalize(mtime)?;
    unfinished.publish()?;
    Ok(written)
}

/// Packs an environment as an image.
///
/// # Errors
/// Inputs are not what they should be, the base is no image for the same platform, the place is
/// taken, or the file system refuses.
pub fn pack_image(
    session: &Session,
    prepared: &Prepared,
    layering: Layering<'_>,
    request: &ImageRequest,
    place: &ImagePlace,
) -> Result<WrittenImage, Error> {
    let platform = ImagePlatform::of(&prepared.spec.interpreter.platform).ok_or_else(|| {
        Error::usage("there are images for Linux only, which the spec's interpreter is not for")
    })?;
    let mut unfinished = match place {
        ImagePlace::Directory(place) => {
            check_free(place)?;
            Unfinished::new(place)?
        }
        ImagePlace::File(file) => Unfinished::new(&beside(file.path()))?,
    };
    let base = request.base.as_ref().map(|base| OpenBase::open(base, platform)).transpose()?;
    let below = base.as_ref().map_or(0, |base| base.image.layers.len());
    let Some(room @ 1..) = MOST_LAYERS.checked_sub(below) else {
        return Err(Error::usage(format!(
            "the base has {below} layers, an image {MOST_LAYERS} at most"
        ))
        .into());
    };
    let most = layering.most.min(room);
    check(prepared, session.threads())?;
    unfinished.directory().create_directory("blobs")?;
    unfinished.directory().open_below("blobs")?.create_directory("sha256")?;
    let blobs = unfinished.directory().open_below(BLOBS)?;
    let layout = Layout { blobs: &blobs, mtime: layering.options.mtime };
    let layering = Layering { most, ..layering };
    let under_way = |index: usize, _: &Layer| format!("layer-{index}");
    let layers = packed(session, prepared, layering, (&blobs, &under_way))?;
    let mut files = Vec::new();
    for (index, (_, blob)) in layers.iter().enumerate() {
        layout.file(&format!("layer-{index}")).rename(&blob.digest.hash.to_string())?;
        files.push(blob.digest);
    }
    if let Some(base) = &base {
        base.copy(&layout, &mut files, session.threads())?;
    }
    let image = base.as_ref().map(|base| &base.image);
    let own: Vec<LayerBlob> = layers.iter().map(|(_, blob)| blob.clone()).collect();
    let around = (platform, layering.options.mtime, layering.options.prefix);
    let config = image::config(image, &request.settings, &own, around);
    let tag = request.settings.tag.as_deref();
    let documents = image::documents(&config, image, &own, platform, tag);
    layout.finish(unfinished.directory(), &documents)?;
    match place {
        ImagePlace::Directory(_) => unfinished.publish()?,
        ImagePlace::File(file) => {
            let options = ArchiveOptions {
                packing: Packing::Tar(Compression::None, Owner::default()),
                mtime: layout.mtime,
                prefix: None,
                threads: session.threads(),
            };
            archive_of(&unfinished, (&documents, files), file, options)?;
        }
    }
    let layers = layers.iter().map(|(layer, blob)| described(prepared, layer, blob)).collect();
    Ok(WrittenImage { digest: documents.digest(), layers })
}

/// Splits the environment, and packs every layer into a directory.
fn packed(
    session: &Session,
    prepared: &Prepared,
    layering: Layering<'_>,
    (directory, file): (&Directory, &(impl Fn(usize, &Layer) -> String + Sync)),
) -> Result<Vec<(Layer, LayerBlob)>, Error> {
    let inputs = prepared.inputs();
    let layers = layers::split(&prepared.plan, &inputs.wheels, layering.policy, layering.most);
    session.progress.begin(Phase::Packing, Amount::default());
    let packed = sink::write(
        (&prepared.plan, &layers),
        &prepared.supply(),
        (directory, |index| file(index, &layers[index])),
        layering.options,
        session.threads(),
    )
    .map_err(|error| packing_failed(error, directory.path()))?;
    let media_type = layering.options.compression.media_type();
    let with_blob = layers.into_iter().zip(packed).map(|(layer, packed)| {
        let comment = match layer.wheels[..] {
            [wheel] if layer.name == inputs.wheels[wheel.0].name().normalized() => {
                format!("{} {}", layer.name, inputs.wheels[wheel.0].version())
            }
            _ => layer.name.clone(),
        };
        let diff_id = packed.unpacked.hash;
        (layer, LayerBlob { digest: packed.digest, diff_id, media_type, comment })
    });
    Ok(with_blob.collect())
}

fn described(prepared: &Prepared, layer: &Layer, blob: &LayerBlob) -> WrittenLayer {
    let inputs = prepared.inputs();
    let wheels = layer.wheels.iter().map(|&wheel| inputs.wheels[wheel.0].file.as_str().to_owned());
    WrittenLayer {
        file: None,
        kind: layer.kind.name(),
        name: layer.name.clone(),
        digest: image::name(blob.digest.hash),
        size: blob.digest.size,
        diff_id: image::name(blob.diff_id),
        media_type: blob.media_type,
        entries: layer.entries.len(),
        wheels: wheels.collect(),
    }
}

/// Where an image's directory is made before it becomes an archive.
fn beside(file: &Utf8Path) -> Utf8PathBuf {
    file.with_file_name(format!("{}.layout", file.file_name().unwrap_or("image")))
}

/// The directory of an image that is being made.
struct Layout<'a> {
    blobs: &'a Directory,
    mtime: u64,
}

impl Layout<'_> {
    fn file<'a>(&'a self, name: &'a str) -> File<'a> {
        File { directory: self.blobs, name, mtime: self.mtime }
    }

    /// Writes the documents.
    fn finish(&self, root: &Directory, documents: &Documents) -> Result<(), Error> {
        let failed = |error| packing_failed(error, root.path());
        for document in [&documents.config, &documents.manifest] {
            let name = Hash::sha256(document).to_string();
            self.file(&name).write(document).map_err(failed)?;
        }
        for (name, bytes) in
            [("index.json", &documents.index[..]), ("oci-layout", LAYOUT.as_bytes())]
        {
            // These have the same names whatever they say.
            let mtime = times::of(self.mtime, Hash::sha256(bytes));
            File { directory: root, name, mtime }.write(bytes).map_err(failed)?;
        }
        Ok(root.normalize(self.mtime)?)
    }
}

/// Packs the directory of an image, of whose layers the digests are known.
fn archive_of(
    unfinished: &Unfinished,
    (documents, layers): (&Documents, Vec<Digest>),
    file: &OutputFile,
    options: ArchiveOptions<'_>,
) -> Result<(), Error> {
    let function = DigestFunction::Sha256;
    let of = |bytes: &[u8]| function.digest(bytes);
    let blobs = layers.into_iter().chain([of(&documents.config), of(&documents.manifest)]);
    let mut files: Vec<(String, Digest)> =
        blobs.map(|digest| (format!("{BLOBS}/{}", digest.hash), digest)).collect();
    files.push(("index.json".to_owned(), of(&documents.index)));
    files.push(("oci-layout".to_owned(), of(LAYOUT.as_bytes())));
    files.sort();
    files.dedup();
    let mut tree = TreeBuilder::new();
    for (path, digest) in files {
        let path = TreePath::parse(&path).expect("names and digests are plain");
        let leaf = Leaf::File { blob: BlobDigest(digest), kind: FileKind::Plain };
        tree.insert(&path, leaf).expect("no path comes twice");
    }
    let tree: Tree = tree.finish(function);
    write_whole(file, |out| {
        archive::pack_directory(&tree, unfinished.directory().path(), out, options)
            .map_err(|error| packing_failed(error, file.path()))
    })
}

/// The layout of a base.
struct OpenBase<'a> {
    path: &'a Utf8Path,
    image: Base,
}

impl<'a> OpenBase<'a> {
    fn open(
        (path, tag): &'a (Utf8PathBuf, Option<String>),
        platform: ImagePlatform,
    ) -> Result<Self, Error> {
        let wrong = |error| wrong_base(path, error);
        let index = fs::read_document(&path.join("index.json"))?;
        let mut step = Step::of(&index, "index.json", platform, tag.as_deref()).map_err(wrong)?;
        loop {
            match step {
                Step::Index(descriptor) => {
                    let (digest, index) = read_blob(path, &descriptor)?;
                    let what = format!("the index {}", digest.hash);
                    step = Step::of(&index, &what, platform, None).map_err(wrong)?;
                }
                Step::Manifest(descriptor) => {
                    let (digest, manifest) = read_blob(path, &descriptor)?;
                    let manifest = (digest, &manifest[..]);
                    let (_, config) = read_blob(path, &Base::config(manifest).map_err(wrong)?)?;
                    let image = Base::of(manifest, &config, platform).map_err(wrong)?;
                    return Ok(Self { path, image });
                }
            }
        }
    }

    /// Copies the layers that are not among `files`, and adds them there.
    fn copy(
        &self,
        layout: &Layout<'_>,
        files: &mut Vec<Digest>,
        threads: usize,
    ) -> Result<(), Error> {
        let wrong = |error| wrong_base(self.path, error);
        let digests: Result<BTreeSet<_>, _> =
            self.image.layers.iter().map(Descriptor::digest).collect();
        let mut digests = digests.map_err(wrong)?;
        digests.retain(|digest| !files.contains(digest));
        let digests: Vec<Digest> = digests.into_iter().collect();
        parallel::map(threads, digests.len(), |index| {
            let (digest, name) = (digests[index], digests[index].hash.to_string());
            let from = self.path.join(BLOBS).join(&name);
            let copied = layout.file(&name).copy(&from).map_err(|error| match error {
                ArchiveError::Write(_) => packing_failed(error, layout.blobs.path()),
                error => packing_failed(error, &from),
            })?;
            if copied == digest {
                Ok(())
            } else {
                Err(wrong(BaseError::Other { digest: image::name(digest.hash) }))
            }
        })?;
        files.extend(digests);
        Ok(())
    }
}

fn wrong_base(path: &Utf8Path, error: BaseError) -> Error {
    Located { origin: format!("the base `{path}`"), error }.into()
}

/// Reads a document of a layout, which has to be the one that its digest names.
fn read_blob(layout: &Utf8Path, descriptor: &Descriptor) -> Result<(Digest, Vec<u8>), Error> {
    let digest = descriptor.document_digest().map_err(|error| wrong_base(layout, error))?;
    let path = layout.join(BLOBS).join(digest.hash.to_string());
    let bytes = fs::read_document(&path)?;
    if DigestFunction::Sha256.digest(&bytes) == digest {
        Ok((digest, bytes))
    } else {
        Err(wrong_base(layout, BaseError::Other { digest: image::name(digest.hash) }))
    }
}
