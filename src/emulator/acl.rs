//! Access control lists: stored and told, not enforced. Who may do what is the policies' matter.
//!
//! Shapes: `ACLXml`, `ACLGrant` and `ACLGrantee` of the Go SDK (cos.go), and the canned lists that the
//! Python SDK recognises (`parse_object_canned_acl` in cos_comm.py).

use http::HeaderMap;

use super::{
    CosError,
    answer::Answer,
    cos::{Exchange, OWNER},
    errors::invalid_argument,
    wire::Body,
    xml::{Element, Node},
};

const EVERYONE: &str = "http://cam.qcloud.com/groups/global/AllUsers";
const ACCOUNT_TYPE: &str =
    " xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"RootAccount\"";
const GROUP_TYPE: &str =
    " xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"Group\"";

/// What others than the owner may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Acl {
    /// An object without a list of its own: its bucket's counts.
    inherited: bool,
    grants: Vec<Grant>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Grant {
    grantee: Grantee,
    permission: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Grantee {
    Everyone,
    Account(String),
}

impl Acl {
    /// The list of an object about which nothing was said.
    pub(crate) fn of_bucket() -> Self {
        Self { inherited: true, grants: Vec::new() }
    }

    /// The list that `x-cos-acl` and `x-cos-grant-*` ask for; `None` if there are none.
    ///
    /// # Errors
    /// 400 `InvalidArgument` for an unknown canned list, 501 for the ones that are not kept here.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Result<Option<Self>, CosError> {
        let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let everyone = |permission: &str| Grant {
            grantee: Grantee::Everyone,
            permission: permission.to_owned(),
        };
        let mut acl = match value("x-cos-acl") {
            None => None,
            Some("private") => Some(Self::default()),
            Some("default") => Some(Self::of_bucket()),
            Some("public-read") => Some(Self { inherited: false, grants: vec![everyone("READ")] }),
            Some("public-read-write") => {
                Some(Self { inherited: false, grants: vec![everyone("READ"), everyone("WRITE")] })
            }
            Some("authenticated-read" | "bucket-owner-read" | "bucket-owner-full-control") => {
                return Err(CosError::new(501, "NotImplemented", "the emulator has no such list"));
            }
            Some(_) => return Err(invalid_argument("x-cos-acl is none of the canned lists")),
        };
        for (name, permission) in [
            ("x-cos-grant-read", "READ"),
            ("x-cos-grant-write", "WRITE"),
            ("x-cos-grant-read-acp", "READ_ACP"),
            ("x-cos-grant-write-acp", "WRITE_ACP"),
            ("x-cos-grant-full-control", "FULL_CONTROL"),
        ] {
            let ids = value(name).into_iter().flat_map(|list| list.split(','));
            for id in ids.filter_map(|item| item.trim().strip_prefix("id=")) {
                let grantee = Grantee::Account(id.trim_matches('"').to_owned());
                let grant = Grant { grantee, permission: permission.to_owned() };
                acl.get_or_insert_default().grants.push(grant);
            }
        }
        Ok(acl)
    }

    fn from_xml(document: &[u8]) -> Result<Self, CosError> {
        let policy = Node::parse(document, "AccessControlPolicy")?;
        let list = policy.child("AccessControlList");
        let mut grants = Vec::new();
        for grant in list.into_iter().flat_map(|list| list.children("Grant")) {
            let permission = grant.text_of("Permission")?.to_owned();
            let Some(grantee) = grant.child("Grantee") else { continue };
            let grantee = match grantee.text_of("URI") {
                Ok(EVERYONE) => Grantee::Everyone,
                Ok(_) => return Err(invalid_argument("the group is not known")),
                Err(_) => Grantee::Account(grantee.text_of("ID")?.to_owned()),
            };
            // The owner's own grant is not stored: it is always there.
            if grantee != Grantee::Account(OWNER.to_owned()) {
                grants.push(Grant { grantee, permission });
            }
        }
        Ok(Self { inherited: false, grants })
    }

    fn to_answer(&self) -> Answer {
        let mut list = Element::new("AccessControlList")
            .child(&grant(&Grantee::Account(OWNER.to_owned()), "FULL_CONTROL"));
        for granted in &self.grants {
            list = list.child(&grant(&granted.grantee, &granted.permission));
        }
        let document =
            Element::new("AccessControlPolicy").child(&owner()).child(&list).into_document();
        let answer = Answer::xml(200, document);
        if self.inherited { answer.header("x-cos-acl", "default") } else { answer }
    }
}

fn grant(grantee: &Grantee, permission: &str) -> Element {
    let grantee = match grantee {
        Grantee::Everyone => Element::with_attributes("Grantee", GROUP_TYPE).text("URI", EVERYONE),
        Grantee::Account(id) => {
            Element::with_attributes("Grantee", ACCOUNT_TYPE).text("ID", id).text("DisplayName", id)
        }
    };
    Element::new("Grant").child(&grantee).text("Permission", permission)
}

/// The `Owner` of list and access list answers.
pub(crate) fn owner() -> Element {
    Element::new("Owner").text("ID", OWNER).text("DisplayName", OWNER)
}

pub(crate) fn get_bucket_acl(exchange: &Exchange<'_>) -> Result<Answer, CosError> {
    exchange.store().with_bucket(exchange.bucket, |bucket| Ok(bucket.acl.to_answer()))
}

pub(crate) fn get_object_acl(exchange: &Exchange<'_>) -> Result<Answer, CosError> {
    Ok(exchange.object()?.acl.to_answer())
}

pub(crate) async fn put_bucket_acl(
    exchange: &Exchange<'_>,
    body: &mut Body<'_>,
) -> Result<Answer, CosError> {
    let acl = asked_for(exchange, body).await?;
    exchange.store().with_bucket(exchange.bucket, |bucket| {
        bucket.acl = acl;
        Ok(Answer::empty(200))
    })
}

pub(crate) async fn put_object_acl(
    exchange: &Exchange<'_>,
    body: &mut Body<'_>,
) -> Result<Answer, CosError> {
    let acl = asked_for(exchange, body).await?;
    exchange.store().with_bucket(exchange.bucket, |bucket| {
        bucket.object_mut(exchange.key)?.acl = acl;
        Ok(Answer::empty(200))
    })
}

async fn asked_for(exchange: &Exchange<'_>, body: &mut Body<'_>) -> Result<Acl, CosError> {
    let document = exchange.document(body).await?;
    match Acl::from_headers(&exchange.head.headers)? {
        Some(acl) => Ok(acl),
        None => Acl::from_xml(&document),
    }
}
