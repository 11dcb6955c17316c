//! Which key set signs requests, and whether the others lead to it (`via`).

use super::{Layers, Problems};
use crate::credential::{Link, chain_problems};

/// The names, that of the key set that signs requests without routes first. Tells what is wrong with
/// `via`, and when it is not clear which key set signs.
pub(super) fn signing_first(
    names: &[String],
    layers: &Layers,
    problems: &mut Problems,
) -> Vec<String> {
    let text = |name: &str, key: &str| layers.text(&format!("keys.{name}.{key}"));
    let via = |name: &String| {
        let takes_a_role = text(name, "source").as_deref() == Some("assume-role");
        text(name, "via").filter(|_| takes_a_role)
    };
    let vias: Vec<_> = names.iter().map(via).collect();
    let links: Vec<_> =
        names.iter().zip(&vias).map(|(name, via)| Link { name, via: via.as_deref() }).collect();
    let broken = chain_problems(&links);
    for (name, problem) in &broken {
        let path = format!("keys.{name}.via");
        problems.add_value(&path, &layers.origin(&path), format!("is wrong: {}", problem.problem));
    }
    let only_calls = |name: &&String| vias.iter().any(|via| via.as_ref() == Some(*name));
    let (calling, mut signing): (Vec<_>, Vec<_>) = names.iter().partition(only_calls);
    signing.sort_by_key(|name| *name != "default");
    let clear =
        !layers.routes().is_empty() || signing.first().is_some_and(|name| *name == "default");
    if let ([_, second, ..], [], false) = (signing.as_slice(), broken.as_slice(), clear) {
        let origin = layers.origin(&format!("keys.{second}.source"));
        problems.add_at(
            &origin,
            format!(
                "[keys.{second}] is a second key set, and it is not clear which one signs: say with \
                 [[route]] which requests each one signs, name the one that signs all of them \
                 default, or let one make the calls of the other (via)"
            ),
        );
    }
    signing.into_iter().chain(calling).cloned().collect()
}
