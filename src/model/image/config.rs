//! The configuration of an image: what it runs, and what its layers are.
//!
//! Model layer.

use serde_json::{Map, Value, json};

use crate::model::image::base::Base;
use crate::model::image::{ImagePlatform, LayerBlob, Settings, name};
use crate::model::moment::Moment;
use crate::model::path::TreePath;

/// Where programs are in an image that does not say so.
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The configuration of an image whose environment lies at `prefix`: that of the base, with what is
/// set on top. Without being told otherwise, the environment's programs are found first.
pub fn config(
    base: Option<&Base>,
    settings: &Settings,
    layers: &[LayerBlob],
    (platform, mtime, prefix): (ImagePlatform, u64, &TreePath),
) -> Value {
    let created = Moment::of(mtime).to_string();
    let mut config = match base {
        Some(base) => base.config.as_object().cloned().unwrap_or_default(),
        None => platform.document().as_object().cloned().unwrap_or_default(),
    };
    config.insert("created".to_owned(), created.as_str().into());
    let run = config.entry("config").or_insert_with(|| json!({}));
    if !run.is_object() {
        *run = json!({});
    }
    if let Some(run) = run.as_object_mut() {
        set(run, settings, prefix);
    }
    let below = base.map(|base| base.diff_ids.clone()).unwrap_or_default();
    let before = below.len();
    let above = layers.iter().map(|layer| Value::from(name(layer.diff_id)));
    let diff_ids: Vec<Value> = below.into_iter().chain(above).collect();
    config.insert("rootfs".to_owned(), json!({ "type": "layers", "diff_ids": diff_ids }));
    let history = config.remove("history").unwrap_or_else(|| json!([]));
    let mut history = history.as_array().cloned().unwrap_or_default();
    let is_layer = |step: &&Value| step.get("empty_layer") != Some(&Value::Bool(true));
    // One that does not tell of every layer of the base would tell wrongly of those on top.
    if history.iter().filter(is_layer).count() == before {
        history.extend(layers.iter().map(|layer| {
            json!({ "created": created, "created_by": "venvtree", "comment": layer.comment })
        }));
        config.insert("history".to_owned(), history.into());
    }
    config.into()
}

/// Sets how the image is to be run.
fn set(run: &mut Map<String, Value>, settings: &Settings, prefix: &TreePath) {
    if let Some(entrypoint) = &settings.entrypoint {
        run.insert("Entrypoint".to_owned(), json!(entrypoint));
        // The base's arguments were for the base's program.
        run.remove("Cmd");
    }
    if let Some(command) = &settings.command {
        run.insert("Cmd".to_owned(), json!(command));
    }
    if let Some(user) = &settings.user {
        run.insert("User".to_owned(), json!(user));
    }
    if let Some(workdir) = &settings.workdir {
        run.insert("WorkingDir".to_owned(), json!(workdir));
    }
    if !settings.labels.is_empty() {
        let labels = run.remove("Labels").unwrap_or_else(|| json!({}));
        let mut labels = labels.as_object().cloned().unwrap_or_default();
        for (key, value) in &settings.labels {
            labels.insert(key.clone(), value.as_str().into());
        }
        run.insert("Labels".to_owned(), labels.into());
    }
    let found = run.remove("Env").unwrap_or_else(|| json!([]));
    let texts = found.as_array().into_iter().flatten().filter_map(Value::as_str);
    let pairs = texts.filter_map(|text| text.split_once('='));
    let mut variables: Vec<(String, String)> =
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let path = variables.iter().find(|(name, _)| name == "PATH");
    let path = path.map_or(USUAL_PATH, |(_, path)| path);
    let path = ("PATH".to_owned(), format!("/{prefix}/bin:{path}"));
    for (name, value) in std::iter::once(&path).chain(&settings.variables) {
        match variables.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => known.clone_from(value),
            None => variables.push((name.clone(), value.clone())),
        }
    }
    let variables: Vec<String> =
        variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
    run.insert("Env".to_owned(), json!(variables));
}
