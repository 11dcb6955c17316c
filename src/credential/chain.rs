//! Which key set makes the calls of which: the setting `via`. Pure.

use super::{KeySetSettings, settings_check::SettingProblem};

/// A key set and the one that makes its calls, if any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link<'a> {
    /// Name of the key set.
    pub name: &'a str,
    /// Name of the other one.
    pub via: Option<&'a str>,
}

impl<'a> From<&'a KeySetSettings> for Link<'a> {
    fn from(set: &'a KeySetSettings) -> Self {
        Self { name: &set.name, via: set.via() }
    }
}

/// What is wrong with `via`, by the name of the key set.
#[must_use]
pub fn chain_problems<'a>(links: &[Link<'a>]) -> Vec<(&'a str, SettingProblem)> {
    let problem_of = |link: &Link<'a>| {
        let broken = chain(links, link.name).err()?;
        // A mistake further up is told where it was made.
        match broken {
            Broken::Unknown { named_by, name } if named_by == link.name => Some(unknown(name)),
            Broken::Circle(names) if names.contains(&link.name) => Some(circle(&names)),
            Broken::Unknown { .. } | Broken::Circle(_) => None,
        }
    };
    links.iter().filter_map(|link| Some((link.name, problem_of(link)?))).collect()
}

/// Why a chain has no beginning.
#[derive(Debug, PartialEq, Eq)]
enum Broken<'a> {
    Unknown { named_by: &'a str, name: &'a str },
    Circle(Vec<&'a str>),
}

/// The key sets that lead to `name`: first the one that makes its own calls, last `name`.
///
/// # Errors
/// What is wrong with the `via` of one of them.
pub(super) fn way_to<'a>(
    links: &[Link<'a>],
    name: &'a str,
) -> Result<Vec<&'a str>, SettingProblem> {
    chain(links, name).map_err(|broken| match broken {
        Broken::Unknown { name, .. } => unknown(name),
        Broken::Circle(names) => circle(&names),
    })
}

/// `via` names no key set.
pub(super) fn unknown(name: &str) -> SettingProblem {
    problem(format!("there is no key set [keys.{name}]"))
}

fn circle(names: &[&str]) -> SettingProblem {
    match names {
        [_] => problem("names the key set itself: another one must make the call".to_owned()),
        names => {
            let first = names.first().copied().unwrap_or_default();
            let round = names.join(", which is called for by ");
            problem(format!("goes round in a circle: {round}, which is called for by {first}"))
        }
    }
}

fn problem(problem: String) -> SettingProblem {
    SettingProblem { field: "via", problem }
}

fn chain<'a>(links: &[Link<'a>], name: &'a str) -> Result<Vec<&'a str>, Broken<'a>> {
    let (mut way, mut named_by, mut name) = (Vec::new(), name, name);
    loop {
        if let Some(begin) = way.iter().position(|before| *before == name) {
            return Err(Broken::Circle(way.split_off(begin)));
        }
        let link = links.iter().find(|link| link.name == name);
        let Some(link) = link else { return Err(Broken::Unknown { named_by, name }) };
        way.push(name);
        match link.via {
            Some(via) => (named_by, name) = (name, via),
            None => break,
        }
    }
    way.reverse();
    Ok(way)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links<'a>(pairs: &[(&'a str, &'a str)]) -> Vec<Link<'a>> {
        let link = |(name, via): &(&'a str, &'a str)| Link {
            name,
            via: (!via.is_empty()).then_some(*via),
        };
        pairs.iter().map(link).collect()
    }

    #[test]
    fn a_way_begins_with_the_one_that_calls_for_itself() {
        let links = links(&[("c", "b"), ("a", ""), ("b", "a"), ("d", "")]);
        assert_eq!(way_to(&links, "c").unwrap(), ["a", "b", "c"]);
        assert_eq!(way_to(&links, "d").unwrap(), ["d"]);
        assert_eq!(chain_problems(&links), []);
    }

    #[test]
    fn unknown_names_and_circles_are_told_at_each_place_that_must_be_mended() {
        for (pairs, expected) in [
            (vec![("a", "a")], vec![("a", "names the key set itself")]),
            (vec![("a", "x"), ("b", "a")], vec![("a", "no key set [keys.x]")]),
            (
                vec![("a", "b"), ("b", "a"), ("c", "a")],
                vec![("a", "a, which is called for by b"), ("b", "b, which is called for by a")],
            ),
            (
                vec![("a", "b"), ("b", "c"), ("c", "a")],
                vec![("a", "circle"), ("b", "circle"), ("c", "circle")],
            ),
        ] {
            let found = chain_problems(&links(&pairs));
            let names: Vec<_> = found.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, expected.iter().map(|(name, _)| *name).collect::<Vec<_>>());
            for ((_, problem), (_, text)) in found.iter().zip(expected) {
                assert!(problem.problem.contains(text), "{problem} has no {text:?}");
            }
            assert!(way_to(&links(&pairs), pairs[0].0).is_err());
        }
    }
}
