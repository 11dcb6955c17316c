//! Prints the configuration that is in force, as a `config.toml`. Never a secret: there is none
//! in it, and what could hide one (headers, bodies, queries of URLs) is left out.

use std::fmt::Write as _;

use super::{
    keys::{SETTINGS, Setting},
    layers::{Held, Layers},
    problem::Origin,
    value::Value,
};
use crate::credential::Endpoint;

/// The text; with `sources` each line says where its value came from.
#[must_use]
pub fn show(layers: &Layers, sources: bool) -> String {
    let mut text = String::new();
    let mut open = "";
    for setting in SETTINGS {
        let (section, key) = setting.section_and_key();
        if section == "route[]" {
            if open != section {
                routes(&mut text, layers, sources);
                open = section;
            }
            continue;
        }
        if section == "keys.*" {
            continue;
        }
        let held = layers.held(setting.path);
        if section == "refresh" && open != "refresh" {
            sets(&mut text, layers, sources);
        }
        if is_worth_a_line(&held) {
            if open != section {
                header(&mut text, section);
                open = section;
            }
            line(&mut text, setting, key, &held, sources);
        }
    }
    text
}

fn sets(text: &mut String, layers: &Layers, sources: bool) {
    for name in layers.key_sets() {
        header(text, &format!("keys.{name}"));
        for setting in SETTINGS.iter().filter(|s| s.path.starts_with("keys.*.")) {
            let (_, key) = setting.section_and_key();
            let held = layers.held(&format!("keys.{name}.{key}"));
            if held.origin != Origin::Default {
                line(text, setting, key, &held, sources);
            }
        }
    }
}

fn routes(text: &mut String, layers: &Layers, sources: bool) {
    for index in 0..layers.routes().len() {
        let gap = if text.is_empty() { "" } else { "\n" };
        let _ = writeln!(text, "{gap}[[route]]");
        for setting in SETTINGS.iter().filter(|s| s.path.starts_with("route[].")) {
            let (_, key) = setting.section_and_key();
            let held = layers.held(&format!("route[{index}].{key}"));
            if held.origin != Origin::Default {
                line(text, setting, key, &held, sources);
            }
        }
    }
}

fn header(text: &mut String, section: &str) {
    let gap = if text.is_empty() { "" } else { "\n" };
    let _ = writeln!(text, "{gap}[{section}]");
}

fn line(text: &mut String, setting: &Setting, key: &str, held: &Held, sources: bool) {
    let value = shown(setting, held).toml(setting.kind);
    let line = format!("{key} = {value}");
    let _ = if sources {
        writeln!(text, "{line:<60} # {}", held.origin)
    } else {
        writeln!(text, "{line}")
    };
}

fn is_worth_a_line(held: &Held) -> bool {
    let is_empty = matches!(&held.value, Value::Text(text) if text.is_empty());
    !is_empty || held.origin != Origin::Default
}

fn shown(setting: &Setting, held: &Held) -> Value {
    match (setting.path, &held.value) {
        ("keys.*.endpoint", Value::Text(text)) => {
            Value::Text(Endpoint::new(text).map_or_else(|_| "…".to_owned(), |url| url.to_string()))
        }
        ("keys.*.body" | "keys.*.external_id", Value::Text(text)) if !text.is_empty() => {
            Value::Text("…".to_owned())
        }
        ("keys.*.command", Value::List(words)) => {
            let arguments = words.iter().skip(1).map(|_| "…".to_owned());
            Value::List(words.iter().take(1).cloned().chain(arguments).collect())
        }
        ("keys.*.headers", Value::List(lines)) => {
            let name =
                |line: &String| format!("{}: …", line.split(':').next().unwrap_or_default().trim());
            Value::List(lines.iter().map(name).collect())
        }
        (_, value) => value.clone(),
    }
}
