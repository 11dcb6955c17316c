//! Damage at any byte is found in the part it was done to.

use cos_auth_proxy::explain::{Cause, Part};
use proptest::prelude::*;

use crate::signed::{Known, Request, explained, known};

/// What is damaged.
#[derive(Clone, Copy, Debug)]
enum Place {
    Path,
    Query,
    /// The n-th header.
    Header(usize),
}

/// A byte that HTTP lets stand there and that does not move the boundary between the parts.
fn byte(place: Place) -> impl Strategy<Value = char> {
    let (first, last) = (b'!', b'~');
    (first..=last).prop_map(char::from).prop_filter("moves a boundary", move |c| match place {
        Place::Path => !"?#".contains(*c),
        Place::Query => *c != '#',
        Place::Header(_) => true,
    })
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![
        2 => Just(Place::Path),
        2 => Just(Place::Query),
        3 => (0..8_usize).prop_map(Place::Header),
    ]
}

fn damaged(request: &Request, place: Place, at: usize, to: char) -> Option<(Request, String)> {
    let mut damaged = request.clone();
    let (text, name) = match place {
        Place::Path => (&mut damaged.path, String::new()),
        Place::Query => (&mut damaged.query, String::new()),
        Place::Header(number) => {
            let (name, value) = damaged.headers.get_mut(number)?;
            let name = name.to_lowercase();
            // Those two are the signature and the key: COS then says something else.
            if name == "authorization" || name == "x-cos-security-token" {
                return None;
            }
            (value, name)
        }
    };
    let spots: Vec<(usize, char)> = text.char_indices().collect();
    // The first slash is not a byte of the key, and blanks around a value are no part of it.
    let first = usize::from(matches!(place, Place::Path));
    let (at, old) = *spots.get(first + at % spots.len().max(1))?;
    text.replace_range(at..at + old.len_utf8(), &to.to_string());
    (damaged != *request).then_some((damaged, name))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn any_damaged_byte_is_located_in_its_part(
        which in 0..30_usize,
        (place, to) in place().prop_flat_map(|place| (Just(place), byte(place))),
        at in 0..400_usize,
    ) {
        thread_local!(static KNOWN: Vec<Known> = known());
        let known = KNOWN.with(|known| known[which].clone());
        let Some((arrived, name)) = damaged(&known.request, place, at, to) else { return Ok(()) };
        let now = known.starts_at + 10;
        // Another way to write the same is no damage, nor is a name that nobody signed.
        let Some(error) = arrived.refused(&known.accounts, now) else { return Ok(()) };
        prop_assert_eq!(error.code, "SignatureDoesNotMatch");
        let told = explained(&known.request, &error, now);
        let expected = match place {
            Place::Path => Part::Path,
            Place::Query => Part::Parameters,
            Place::Header(_) => Part::Headers,
        };
        match &told.difference {
            Some(first) => {
                prop_assert_eq!(first.part, expected, "{:?}", told);
                prop_assert!(told.also.is_empty() || expected == Part::Parameters, "{:?}", told);
                if let Place::Header(_) = place {
                    prop_assert_eq!(first.name.as_deref(), Some(name.as_str()), "{:?}", told);
                }
            }
            // A parameter lost its name, or its like came twice: COS told no strings.
            None => {
                prop_assert_eq!(expected, Part::Parameters, "{:?}", told);
                prop_assert_eq!(told.finding.cause, Cause::ParameterMissing, "{:?}", told);
            }
        }
    }
}
