//! Reads a `config.toml` against the table of settings.
//!
//! The TOML library's own error texts repeat values, so none of them is passed on.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    keys::{SETTINGS, setting},
    layers::Layers,
    nearest::{did_you_mean, nearest},
    problem::{Origin, Problems},
    value::Written,
};

/// Lays the file's values over `layers`. `name` is how the user named the file.
pub(super) fn lay(name: &str, text: &str, layers: &mut Layers, problems: &mut Problems) {
    let (root, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader { name, text, layers, problems };
    for error in &errors {
        let at = reader.origin(error.span().map_or(text.len(), |span| span.start));
        let what = if error.message().starts_with("duplicate") {
            "the same key or table stands in the file a second time"
        } else {
            "this is not TOML; look for a missing quote, bracket or `=`"
        };
        reader.problems.add_at(&at, what);
    }
    for (section, value) in in_order(root.get_ref()) {
        reader.section(section, value);
    }
}

struct Reader<'a> {
    name: &'a str,
    text: &'a str,
    layers: &'a mut Layers,
    problems: &'a mut Problems,
}

type Entry<'t, 'i> = (&'t Spanned<std::borrow::Cow<'i, str>>, &'t Spanned<DeValue<'i>>);

fn in_order<'t, 'i>(table: &'t DeTable<'i>) -> Vec<Entry<'t, 'i>> {
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

impl Reader<'_> {
    fn section(&mut self, key: &Spanned<std::borrow::Cow<'_, str>>, value: &Spanned<DeValue<'_>>) {
        let section = key.get_ref().as_ref();
        match (section, value.get_ref()) {
            ("keys", DeValue::Table(table)) => self.keys(table),
            ("route", DeValue::Array(routes)) => {
                for (index, route) in routes.iter().enumerate() {
                    self.layers.add_route(self.origin(route.span().start));
                    if let DeValue::Table(table) = route.get_ref() {
                        self.entries(&format!("route[{index}]"), table);
                    }
                }
            }
            ("route", _) => {
                let at = self.origin(key.span().start);
                self.problems.add_at(&at, "route must be written [[route]], once for each route");
            }
            (_, DeValue::Table(table)) if sections().any(|known| known == section) => {
                self.entries(section, table);
            }
            (_, _) => self.unknown_section(key, value),
        }
    }

    fn keys(&mut self, table: &DeTable<'_>) {
        for (key, value) in in_order(table) {
            let name = key.get_ref().as_ref();
            let DeValue::Table(set) = value.get_ref() else {
                self.entry("keys", key, value);
                continue;
            };
            if setting(&format!("keys.{name}")).is_some() || !is_set_name(name) {
                let at = self.origin(key.span().start);
                self.problems.add_at(
                    &at,
                    format!("[keys.{name}] cannot name a key set: use small letters, digits, `-`"),
                );
                continue;
            }
            self.layers.add_key_set(name);
            self.entries(&format!("keys.{name}"), set);
        }
    }

    fn entries(&mut self, section: &str, table: &DeTable<'_>) {
        for (key, value) in in_order(table) {
            self.entry(section, key, value);
        }
    }

    fn entry(
        &mut self,
        section: &str,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) {
        let origin = self.origin(key.span().start);
        let path = format!("{section}.{}", key.get_ref());
        let Some(setting) = setting(&path) else {
            self.unknown_key(section, key.get_ref(), &origin);
            return;
        };
        match setting.kind.read_written(&written(value.get_ref())) {
            None => {
                let allowed = setting.kind.allowed();
                self.problems.add_value(&path, &origin, format!("must be {allowed}"));
            }
            Some(value) => self.layers.put(&path, value, origin),
        }
    }

    fn unknown_key(&mut self, section: &str, key: &str, origin: &Origin) {
        let path = format!("{section}.{key}");
        let text = if let Some(part) = part_of_a_key(key) {
            format!(
                "{path} would put a secret into this file; name the environment variable or the \
                 file that holds it instead: {part}_env or {part}_file in [keys.default]"
            )
        } else {
            let here = SETTINGS.iter().map(|s| s.section_and_key());
            let template = super::keys::template(&path);
            let (wanted, _) = template.rsplit_once('.').unwrap_or_default();
            let near = nearest(key, here.filter(|(s, _)| *s == wanted).map(|(_, k)| k))
                .map(|near| format!("{section}.{near}"))
                .or_else(|| elsewhere(key));
            format!("{path} is not a key{}", did_you_mean(near.as_deref()))
        };
        self.problems.add_at(origin, text);
    }

    fn unknown_section(
        &mut self,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
    ) {
        let origin = self.origin(key.span().start);
        let name = key.get_ref().as_ref();
        let text = if sections().any(|known| known == name) {
            format!("{name} must be a table: [{name}]")
        } else if value.get_ref().is_table() {
            let near = nearest(name, sections()).map(|near| format!("[{near}]"));
            format!("[{name}] is not a section{}", did_you_mean(near.as_deref()))
        } else if let Some(part) = part_of_a_key(name) {
            format!(
                "{name} would put a secret into this file; name the environment variable or the \
                 file that holds it instead: {part}_env or {part}_file in [keys.default]"
            )
        } else {
            let near = elsewhere(name);
            format!("{name} stands in no section{}", did_you_mean(near.as_deref()))
        };
        self.problems.add_at(&origin, text);
    }

    fn origin(&self, offset: usize) -> Origin {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Origin::File { file: self.name.to_owned(), line, column }
    }
}

fn sections() -> impl Iterator<Item = &'static str> {
    let first = |path: &'static str| path.split(['.', '[']).next().unwrap_or(path);
    SETTINGS.iter().map(move |setting| first(setting.path))
}

/// The same key in another section.
fn elsewhere(key: &str) -> Option<String> {
    let same = |s: &&super::keys::Setting| s.section_and_key().1 == key;
    let exact = SETTINGS.iter().find(same).map(super::keys::Setting::own_path);
    exact.or_else(|| {
        let near = nearest(key, SETTINGS.iter().map(|s| s.section_and_key().1))?;
        SETTINGS.iter().find(|s| s.section_and_key().1 == near).map(|s| s.own_path())
    })
}

/// `secret_id`, `secret_key` or `token` if a key of this name would hold such a part.
#[must_use]
pub fn part_of_a_key(name: &str) -> Option<&'static str> {
    let mut plain = name.to_ascii_lowercase();
    plain.retain(|c| c.is_ascii_alphanumeric());
    match plain.as_str() {
        "secretid" | "tmpsecretid" | "accesskeyid" | "accessid" => Some("secret_id"),
        "secretkey" | "tmpsecretkey" | "secretaccesskey" | "accesskey" | "accesskeysecret"
        | "secret" | "password" => Some("secret_key"),
        "token" | "sessiontoken" | "securitytoken" | "secrettoken" | "bearertoken" => Some("token"),
        _ => None,
    }
}

fn is_set_name(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    !name.is_empty() && name.len() <= 64 && name.bytes().all(fits)
}

fn written(value: &DeValue<'_>) -> Written {
    match value {
        DeValue::String(text) => Written::Text(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => {
            Written::Integer(number.as_str().to_owned())
        }
        DeValue::Float(number) => Written::Float(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Written::Flag(*flag),
        DeValue::Array(items) => {
            let text = |item: &Spanned<DeValue<'_>>| item.get_ref().as_str().map(str::to_owned);
            items.iter().map(text).collect::<Option<_>>().map_or(Written::Other, Written::List)
        }
        DeValue::Integer(_) | DeValue::Datetime(_) | DeValue::Table(_) => Written::Other,
    }
}
