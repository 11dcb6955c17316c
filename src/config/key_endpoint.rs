//! Checks `[key_endpoint]`: what is handed out, and to whom.

use super::{layers::Layers, problem::Problems, upstream::readable};
use crate::{
    credential::{KeySetSettings, SourceSettings},
    key_endpoint::{KeyEndpointSettings, Shape},
    server::ListenAddress,
};

/// The key endpoint; without an address it is off and its other settings do not matter.
pub(super) fn key_endpoint(
    layers: &Layers,
    address: Vec<ListenAddress>,
    sets: &[KeySetSettings],
    problems: &mut Problems,
) -> KeyEndpointSettings {
    let on = !address.is_empty();
    let mut ignored = Problems::default();
    let problems = if on { problems } else { &mut ignored };
    KeyEndpointSettings {
        address,
        socket_mode: socket_mode(layers, problems),
        shapes: shapes(layers, problems),
        keys: keys(layers, sets, problems),
        bearer_token_file: readable(layers, "key_endpoint.bearer_token_file", problems),
        margin: layers.span("key_endpoint.margin"),
        wait: layers.span("keys.wait"),
    }
}

fn socket_mode(layers: &Layers, problems: &mut Problems) -> u32 {
    let path = "key_endpoint.socket_mode";
    let mode = layers.text(path).and_then(|text| u32::from_str_radix(&text, 8).ok());
    let mode = mode.unwrap_or(0o600);
    if mode & 0o007 != 0 && layers.text("key_endpoint.bearer_token_file").is_none() {
        let text = "lets every user of the host ask for keys: set key_endpoint.bearer_token_file \
                    too, or say \"0660\"";
        problems.add_value(path, &layers.origin(path), text);
    }
    mode
}

fn shapes(layers: &Layers, problems: &mut Problems) -> Vec<Shape> {
    let mut shapes = Vec::new();
    let path = "key_endpoint.shapes";
    for name in layers.list(path) {
        match Shape::ALL.into_iter().find(|shape| shape.name() == name) {
            Some(shape) if shapes.contains(&shape) => {}
            Some(shape) => shapes.push(shape),
            None => {
                let text = "must be a list of \"metadata\" and \"sts\"";
                problems.add_value(path, &layers.origin(path), text);
                return shapes;
            }
        }
    }
    if shapes.is_empty() {
        let text = "is empty: without a shape no key can be asked for; leave the address out to \
                    hand out none";
        problems.add_value(path, &layers.origin(path), text);
    }
    shapes
}

fn keys(layers: &Layers, sets: &[KeySetSettings], problems: &mut Problems) -> Vec<String> {
    let path = "key_endpoint.keys";
    let mut refuse = |text: String| problems.add_value(path, &layers.origin(path), text);
    let names = layers.list(path);
    if names.is_empty() {
        refuse("is empty: name the key sets to hand out".to_owned());
    }
    let mut known: Vec<String> = Vec::new();
    for name in names {
        match sets.iter().find(|set| set.name == name) {
            // A key set with a problem of its own is not among them, and was told already.
            None if layers.key_sets().contains(&name) => {}
            None if name == "default" && layers.key_sets().is_empty() => {}
            None => {
                let sets: Vec<_> = sets.iter().map(|set| set.name.as_str()).collect();
                refuse(format!(
                    "names a key set that is not configured; there are: {}",
                    sets.join(", ")
                ));
            }
            Some(set) if is_permanent(&set.source) => refuse(format!(
                "names {name}, whose key is permanent: permanent keys are not handed out; use \
                 federation-token or assume-role"
            )),
            Some(_) if known.contains(&name) => {}
            Some(_) => known.push(name),
        }
    }
    known
}

fn is_permanent(source: &SourceSettings) -> bool {
    matches!(source, SourceSettings::Static(settings) if settings.key.token.is_none())
}
