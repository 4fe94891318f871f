//! The markers of a lock, each text once: a lock with thousands of requirements has some dozens.
//!
//! Model layer.

use std::collections::HashMap;

use crate::model::requirements::marker::{Asked, Environment, Marker, MarkerError, Truth};

/// The position of a marker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct MarkerId(usize);

/// All markers.
#[derive(Debug, Clone, Default)]
pub(super) struct Markers {
    known: Vec<(String, Marker<'static>)>,
    by_text: HashMap<String, MarkerId>,
}

impl Markers {
    /// Reads a marker, if it was not read before.
    pub(super) fn add(&mut self, text: &str) -> Result<MarkerId, MarkerError> {
        if let Some(id) = self.by_text.get(text) {
            return Ok(*id);
        }
        let marker = Marker::parse_in_lock(text)?.into_owned();
        let id = MarkerId(self.known.len());
        self.known.push((text.to_owned(), marker));
        self.by_text.insert(text.to_owned(), id);
        Ok(id)
    }

    /// The marker as written.
    pub(super) fn text(&self, id: MarkerId) -> &str {
        &self.known[id.0].0
    }
}

/// Answers for one environment, each worked out once.
#[derive(Debug)]
pub(super) struct Answers<'lock> {
    markers: &'lock Markers,
    environment: &'lock Environment,
    known: Vec<Option<Truth>>,
}

impl<'lock> Answers<'lock> {
    pub(super) fn new(markers: &'lock Markers, environment: &'lock Environment) -> Self {
        Self { markers, environment, known: vec![None; markers.known.len()] }
    }

    /// Whether a marker holds; no marker always does. What is asked for may not change while these answers are used, except for
    /// `extra`, and then only if `keep` is false.
    pub(super) fn holds(&mut self, marker: Option<MarkerId>, asked: &Asked, keep: bool) -> Truth {
        let Some(MarkerId(position)) = marker else {
            return Truth::Yes;
        };
        if let Some(truth) = self.known[position] {
            return truth;
        }
        let marker = &self.markers.known[position].1;
        let truth = marker.evaluate_asked(self.environment, asked);
        if keep || !marker.depends_on_asked() {
            self.known[position] = Some(truth);
        }
        truth
    }
}
