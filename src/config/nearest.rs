//! "Did you mean": the known name that is most like a mistyped one.

/// The most similar of `known`, if it is similar at all. Ties go to the first.
#[must_use]
pub fn nearest<'k>(typed: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let likeness = |name: &str| strsim::normalized_damerau_levenshtein(typed, name);
    let mut best = (0.55, None);
    for name in known {
        let score = likeness(name);
        if score > best.0 {
            best = (score, Some(name));
        }
    }
    best.1
}

/// `; did you mean NAME?` or nothing.
#[must_use]
pub fn did_you_mean(name: Option<&str>) -> String {
    name.map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}
