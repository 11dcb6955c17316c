//! What a request asks for. Pure.

use http::{Method, Request};

use super::answer::{Refusal, Why};

/// What the endpoint speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// As CVM's metadata: a list of roles, and a key for each.
    Metadata,
    /// As a key server with the COS STS SDK: `/sts`.
    Sts,
}

impl Shape {
    /// All shapes.
    pub const ALL: [Self; 2] = [Self::Metadata, Self::Sts];

    /// Its name in `config.toml`, logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Metadata => "metadata",
            Self::Sts => "sts",
        }
    }
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// The names of the roles.
    Roles,
    /// The key of one.
    Role { name: String },
    /// A key of this key set, or of the first.
    Sts { keys: Option<String> },
}

// Tencent's own clients use both.
const METADATA_PATHS: [&str; 2] =
    ["/latest/meta-data/cam/security-credentials", "/meta-data/cam/security-credentials"];
const STS_PATH: &str = "/sts";

/// The shape that `path` belongs to.
pub(super) fn shape(path: &str) -> Option<Shape> {
    if path == STS_PATH {
        return Some(Shape::Sts);
    }
    below_metadata(path).map(|_| Shape::Metadata)
}

/// Reads the head of a request for `shape`.
pub(super) fn read<B>(request: &Request<B>, shape: Option<Shape>) -> Result<Asked, Refusal> {
    let not_found = |text: &str| Refusal::new(Why::NotFound, text);
    let path = request.uri().path();
    match shape {
        None => Err(not_found(
            "not found; there are /latest/meta-data/cam/security-credentials/ and /sts, as far as \
             key_endpoint.shapes names them",
        )),
        Some(Shape::Metadata) => {
            if *request.method() != Method::GET {
                return Err(Refusal::new(Why::WrongMethod { allow: "GET" }, "only GET"));
            }
            match below_metadata(path) {
                None | Some("") => Ok(Asked::Roles),
                Some(name) => Ok(Asked::Role { name: name.to_owned() }),
            }
        }
        Some(Shape::Sts) => {
            if !matches!(*request.method(), Method::GET | Method::POST) {
                let why = Why::WrongMethod { allow: "GET, POST" };
                return Err(Refusal::new(why, "only GET and POST"));
            }
            let keys = match request.uri().query().unwrap_or_default() {
                "" => None,
                query => match query.strip_prefix("keys=") {
                    Some(name) if !name.is_empty() && !name.contains('&') => Some(name.to_owned()),
                    _ => {
                        let text = "the only parameter is keys=NAME";
                        return Err(Refusal::new(Why::BadRequest, text));
                    }
                },
            };
            Ok(Asked::Sts { keys })
        }
    }
}

/// The role's name, or nothing after the list's own path.
fn below_metadata(path: &str) -> Option<&str> {
    METADATA_PATHS.iter().find_map(|list| {
        let below = path.strip_prefix(list)?;
        if below.is_empty() { Some("") } else { below.strip_prefix('/') }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: Method, target: &str) -> Result<Asked, Why> {
        let request = Request::builder().method(method).uri(target).body(()).unwrap();
        read(&request, shape(request.uri().path())).map_err(|refusal| refusal.why)
    }

    #[test]
    fn the_paths_of_both_shapes_are_understood() {
        let role = |name: &str| Ok(Asked::Role { name: name.to_owned() });
        let sts = |keys: Option<&str>| Ok(Asked::Sts { keys: keys.map(str::to_owned) });
        let list = "/latest/meta-data/cam/security-credentials";
        for (method, target, expected) in [
            (Method::GET, list.to_owned(), Ok(Asked::Roles)),
            (Method::GET, format!("{list}/"), Ok(Asked::Roles)),
            (Method::GET, "/meta-data/cam/security-credentials/".to_owned(), Ok(Asked::Roles)),
            (Method::GET, format!("{list}/default"), role("default")),
            (Method::GET, "/meta-data/cam/security-credentials/a-b".to_owned(), role("a-b")),
            (Method::POST, format!("{list}/default"), Err(Why::WrongMethod { allow: "GET" })),
            (Method::GET, format!("{list}x"), Err(Why::NotFound)),
            (Method::GET, "/sts".to_owned(), sts(None)),
            (Method::POST, "/sts".to_owned(), sts(None)),
            (Method::GET, "/sts?keys=reports".to_owned(), sts(Some("reports"))),
            (Method::GET, "/sts?keys=".to_owned(), Err(Why::BadRequest)),
            (Method::GET, "/sts?keys=a&keys=b".to_owned(), Err(Why::BadRequest)),
            (Method::GET, "/sts?role=a".to_owned(), Err(Why::BadRequest)),
            (Method::PUT, "/sts".to_owned(), Err(Why::WrongMethod { allow: "GET, POST" })),
            (Method::GET, "/sts/".to_owned(), Err(Why::NotFound)),
            (Method::GET, "/".to_owned(), Err(Why::NotFound)),
        ] {
            assert_eq!(asked(method, &target), expected, "{target}");
        }
    }
}
