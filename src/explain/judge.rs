//! From what differs to what is wrong.

use super::{
    Cause, Evidence, Finding, Part,
    difference::{Change, Compared, changes},
    judge_key, judge_time,
    redact::OPENING,
    relation::{HostRelation, PathRelation, Relation, relate, relate_hosts, relate_paths},
    screen::{escaped, quoted},
    sent::path_decoded,
};
use crate::sign::strict;

/// What is wrong, the likeliest first; at least one.
pub(super) fn judge(evidence: &Evidence, compared: Option<&Compared<'_>>) -> Vec<Finding> {
    let refusal = &evidence.refusal;
    if refusal.is_about_time() {
        return vec![judge_time::judge(evidence)];
    }
    if let Some(finding) = judge_key::refused_key(evidence) {
        return vec![finding];
    }
    if !refusal.is_about_signature() {
        let said = format!("COS answered {}: {}", escaped(&refusal.code), quoted(&refusal.message));
        return vec![Finding::new(Cause::NotTheSignature, said)];
    }
    let Some(compared) = compared else { return vec![without_strings(evidence)] };
    let findings: Vec<_> = changes(compared).iter().map(finding).collect();
    if findings.is_empty() { vec![judge_key::equal_strings(evidence)] } else { findings }
}

fn finding(change: &Change<'_>) -> Finding {
    let (signed, received) =
        (change.signed.unwrap_or_default(), change.received.unwrap_or_default());
    match (change.part, change.name) {
        (Part::Method, _) => method(signed, received),
        (Part::Path, _) => path(signed, received),
        (part @ (Part::Parameters | Part::Headers), Some(name)) => {
            match (change.signed, change.received) {
                (Some(_), None) => not_received(part, name),
                (None, Some(_)) => not_sent(part, name),
                (Some(_), Some(_)) | (None, None) => value(part, name, signed, received),
            }
        }
        (part @ (Part::Parameters | Part::Headers), None) => {
            let what = format!("the {} are the same and stand in another order", part.name());
            Finding::new(Cause::Order, what)
        }
    }
}

fn method(signed: &str, received: &str) -> Finding {
    let (signed, received) = (signed.to_uppercase(), received.to_uppercase());
    let what = format!("{} was signed, and {} reached COS", quoted(&signed), quoted(&received));
    Finding::new(Cause::MethodChanged, what)
}

fn path(signed: &str, received: &str) -> Finding {
    match relate_paths(signed, received) {
        PathRelation::Text(relation) => text(Part::Path, "the path", signed, received, relation),
        PathRelation::Normalised => {
            let what = "on the way to COS the path was normalised: slashes, dot segments or a \
                        slash at its end";
            Finding::new(Cause::PathNormalised, what)
        }
        PathRelation::PrefixAdded(prefix) => {
            let what = format!("{} was put before the path on its way", quoted(&prefix));
            Finding::new(Cause::PathRewritten, what)
        }
        PathRelation::PrefixRemoved(prefix) => {
            let what = format!("{} was taken from the path on its way", quoted(&prefix));
            Finding::new(Cause::PathRewritten, what)
        }
        PathRelation::QueryInPath => {
            let what = "the ? was encoded on the way, so that the query became a part of the path";
            Finding::new(Cause::PathRewritten, what)
        }
    }
}

/// A text that was changed, and how.
fn text(part: Part, what: &str, signed: &str, received: &str, relation: Relation) -> Finding {
    let (cause, how) = match (relation, part) {
        (Relation::PlusBecameSpace, Part::Path) => {
            (Cause::PlusInPath, "has a + that reached COS as a space")
        }
        (Relation::SpaceBecamePlus, Part::Path) => {
            (Cause::PlusInPath, "has a space that reached COS as a +")
        }
        (Relation::PlusBecameSpace, Part::Parameters) => {
            (Cause::PlusInQuery, "has a + that COS read as a space")
        }
        (Relation::SpaceBecamePlus, Part::Parameters) => {
            (Cause::PlusInQuery, "has a space that reached COS as a +")
        }
        (Relation::EncodedOnceMore, _) => {
            (Cause::DoubleEncoding, "reached COS percent-encoded once more than it was signed")
        }
        (Relation::DecodedOnceMore, _) => {
            (Cause::DoubleEncoding, "reached COS percent-decoded once more than it was signed")
        }
        (Relation::EscapeCase, _) => {
            (Cause::EscapeCase, "reached COS with escapes in another case (%2f, %2F)")
        }
        (Relation::WhiteSpace, _) => {
            (Cause::WhiteSpace, "reached COS with other blanks or line ends")
        }
        (relation, Part::Path) => (Cause::PathChanged, changed(relation)),
        (relation, Part::Parameters) => (Cause::ParameterChanged, changed(relation)),
        (relation, Part::Headers | Part::Method) => (Cause::HeaderChanged, changed(relation)),
    };
    let shown = match relation {
        Relation::LetterCase | Relation::Other => {
            format!(": {} was signed, {} arrived", quoted(signed), quoted(received))
        }
        Relation::PlusBecameSpace
        | Relation::SpaceBecamePlus
        | Relation::EncodedOnceMore
        | Relation::DecodedOnceMore
        | Relation::EscapeCase
        | Relation::WhiteSpace => String::new(),
    };
    Finding::new(cause, format!("{what} {how}{shown}"))
}

fn changed(relation: Relation) -> &'static str {
    if relation == Relation::LetterCase {
        "was changed on its way, in the case of its letters"
    } else {
        "was changed on its way"
    }
}

/// A parameter or header that arrived with another value.
fn value(part: Part, name: &str, signed: &str, received: &str) -> Finding {
    let what = format!("the {} {}", part.member(), quoted(name));
    if signed.starts_with(OPENING) || received.starts_with(OPENING) {
        let token = name.ends_with("security-token");
        let cause = if token { Cause::TokenChanged } else { Cause::HeaderChanged };
        return Finding::new(cause, format!("{what} arrived with another value"));
    }
    let plain = |text: &str| String::from_utf8_lossy(&path_decoded(text.as_bytes())).into_owned();
    let (signed, received) = (plain(signed), plain(received));
    match (part, name) {
        (Part::Headers, "host") => host(&signed, &received),
        (Part::Headers, "content-length") => {
            let what = format!(
                "Content-Length: {} was signed, {} arrived",
                quoted(&signed),
                quoted(&received)
            );
            Finding::new(Cause::ContentLengthChanged, what)
        }
        _ => text(part, &what, &signed, &received, relate(&signed, &received)),
    }
}

fn host(signed: &str, received: &str) -> Finding {
    let arrived = format!("{} was signed, {} arrived", quoted(signed), quoted(received));
    match relate_hosts(signed, received) {
        HostRelation::Region(ours, theirs) => {
            let what = format!(
                "the host was signed for region {}, and the request reached {}",
                quoted(&ours),
                quoted(&theirs)
            );
            Finding::new(Cause::WrongRegion, what)
        }
        HostRelation::Port => {
            Finding::new(Cause::WrongHost, format!("Host differs in its port: {arrived}"))
        }
        HostRelation::Case => Finding::new(
            Cause::WrongHost,
            format!("Host differs in the case of letters: {arrived}"),
        ),
        HostRelation::Other => Finding::new(Cause::WrongHost, format!("Host: {arrived}")),
    }
}

/// A member that is signed and did not arrive.
fn not_received(part: Part, name: &str) -> Finding {
    let what = format!("the {} {} is signed and did not arrive", part.member(), quoted(name));
    match (part, name) {
        (Part::Headers, "content-length" | "transfer-encoding") => {
            Finding::new(Cause::ContentLengthChanged, what)
        }
        (_, name) if name.ends_with("security-token") => Finding::new(Cause::TokenMissing, what),
        (Part::Parameters, _) => Finding::new(Cause::ParameterMissing, what),
        (Part::Headers | Part::Method | Part::Path, _) => Finding::new(Cause::HeaderMissing, what),
    }
}

/// A member that arrived and was not sent, or more often than it was sent.
fn not_sent(part: Part, name: &str) -> Finding {
    let what = format!("the {} {} arrived and was not sent", part.member(), quoted(name));
    let cause = match part {
        Part::Parameters => Cause::ParameterAdded,
        Part::Headers | Part::Method | Part::Path => Cause::HeaderAdded,
    };
    Finding::new(cause, what)
}

/// COS told no strings: the lists and the words of its message are left.
fn without_strings(evidence: &Evidence) -> Finding {
    let signed = &evidence.signed;
    if let Some(finding) = listed_but_not_sent(evidence) {
        return finding;
    }
    let message = evidence.refusal.message.to_ascii_lowercase();
    let is_part_of_a_name = |c: char| c.is_ascii_alphanumeric() || "-_.~%".contains(c);
    let words = message.split(|c: char| !is_part_of_a_name(c)).map(|word| word.trim_matches('.'));
    for word in words.filter(|word| !word.is_empty()) {
        let is_word = |name: &String| name == word;
        if signed.not_signed.iter().any(is_word) {
            let of_header = strict::signs(word.as_bytes());
            let (cause, member) = if of_header {
                (Cause::HeaderNotSigned, "header")
            } else {
                (Cause::ParameterNotSigned, "parameter")
            };
            let what = format!("the {member} {} is sent and not signed", quoted(word));
            return Finding::new(cause, what);
        }
        if signed.header_list.iter().any(is_word) {
            return not_received(Part::Headers, word);
        }
        if signed.parameter_list.iter().any(is_word) {
            return not_received(Part::Parameters, word);
        }
        if word.contains('-') && strict::signs(word.as_bytes()) {
            return not_sent(Part::Headers, word);
        }
    }
    let said = format!("COS did not tell what it received: {}", quoted(&evidence.refusal.message));
    Finding::new(Cause::Unknown, said)
}

/// The signature names something that the request itself does not carry.
pub(super) fn listed_but_not_sent(evidence: &Evidence) -> Option<Finding> {
    let signed = &evidence.signed;
    let name = signed.not_sent.first()?;
    let of_header = signed.header_list.contains(name);
    let (cause, member) = if of_header {
        (Cause::HeaderMissing, "header")
    } else {
        (Cause::ParameterMissing, "parameter")
    };
    let what =
        format!("the {member} {} is signed, but the request does not carry it", quoted(name));
    Some(Finding::new(cause, what))
}
