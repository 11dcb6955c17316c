//! Tags of a role's session, with the limits of STS (Tencent Cloud doc 1312/48197).

/// Most tags of one session.
const MOST: usize = 50;
const LONGEST_KEY: usize = 128;
const LONGEST_VALUE: usize = 256;

/// One tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// Its name.
    pub key: String,
    /// Its value; may be empty.
    pub value: String,
}

/// Why texts are not the tags of a session. Names tags by their place, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadTags {
    /// No `=`, or nothing before it.
    #[error("number {number} is not of the form \"name=value\"")]
    Form {
        /// Which.
        number: usize,
    },
    /// Above STS's limits.
    #[error("number {number} is too long: a name has 128 characters at most, a value 256")]
    TooLong {
        /// Which.
        number: usize,
    },
    /// Each name may occur once.
    #[error("number {number} has the name of one before it")]
    Repeated {
        /// Which.
        number: usize,
    },
    /// More than 50.
    #[error("are more than 50, the most that STS takes")]
    TooMany,
}

impl Tag {
    /// Reads `name=value`; the value may have further `=`. `None` without a name and a `=`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (key, value) = text.split_once('=')?;
        let key = key.trim();
        (!key.is_empty()).then(|| Self { key: key.to_owned(), value: value.trim().to_owned() })
    }
}

/// Reads one `name=value` per text and checks them together.
///
/// # Errors
/// [`BadTags`] for the first that STS would not take.
pub fn read_tags<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Vec<Tag>, BadTags> {
    let tags = texts
        .into_iter()
        .zip(1..)
        .map(|(text, number)| Tag::parse(text).ok_or(BadTags::Form { number }));
    let tags: Vec<_> = tags.collect::<Result<_, _>>()?;
    check(&tags)?;
    Ok(tags)
}

/// Checks tags against the limits of STS.
pub(super) fn check(tags: &[Tag]) -> Result<(), BadTags> {
    for (index, tag) in tags.iter().enumerate() {
        let number = index + 1;
        if tag.key.is_empty() {
            return Err(BadTags::Form { number });
        }
        if tag.key.chars().count() > LONGEST_KEY || tag.value.chars().count() > LONGEST_VALUE {
            return Err(BadTags::TooLong { number });
        }
        if tags.iter().take(index).any(|before| before.key == tag.key) {
            return Err(BadTags::Repeated { number });
        }
    }
    if tags.len() > MOST { Err(BadTags::TooMany) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(texts: &[String]) -> Result<Vec<Tag>, BadTags> {
        read_tags(texts.iter().map(String::as_str))
    }

    #[test]
    fn a_tag_is_a_name_and_a_value_that_may_hold_anything() {
        let tags = read(&["team=reports".into(), " query = a=b ".into(), "empty=".into()]).unwrap();
        let pairs: Vec<_> = tags.iter().map(|t| (t.key.as_str(), t.value.as_str())).collect();
        assert_eq!(pairs, [("team", "reports"), ("query", "a=b"), ("empty", "")]);
    }

    #[test]
    fn the_limits_of_sts_are_kept() {
        let many = |count: usize| (0..count).map(|n| format!("k{n}=v")).collect::<Vec<_>>();
        assert!(read(&many(50)).is_ok());
        assert_eq!(read(&many(51)), Err(BadTags::TooMany));
        let (key, value) = ("k".repeat(128), "v".repeat(256));
        assert!(read(&[format!("{key}={value}")]).is_ok());
        assert_eq!(read(&[format!("{key}k=v")]), Err(BadTags::TooLong { number: 1 }));
        assert_eq!(
            read(&["a=b".into(), format!("k={value}v")]),
            Err(BadTags::TooLong { number: 2 })
        );
        assert_eq!(
            read(&["a=1".into(), "b=1".into(), "a=2".into()]),
            Err(BadTags::Repeated { number: 3 })
        );
        for text in ["", "name", "=value", " =value"] {
            assert_eq!(read(&[text.into()]), Err(BadTags::Form { number: 1 }), "{text:?}");
        }
    }
}
