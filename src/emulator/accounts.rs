//! Who exists: permanent keys, roles, web identities, and the temporary keys issued to them.

mod random;
mod role_use;
mod rules;

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

pub use rules::{ExpiredKeyAnswer, KeyServerRules};

use super::policy::Policy;
use crate::clock::Clock;

/// How long a temporary key is remembered after its end, in seconds: within that time COS can still
/// say `ExpiredToken`, later the id is unknown.
const REMEMBERED_AFTER_EXPIRY: u64 = 3600;

/// A permanent key and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The key's id, 36 characters starting with `AKID` on the real service.
    pub secret_id: String,
    /// The key itself.
    pub secret_key: String,
    /// The account's number, as in `qcs::cam::uin/<uin>:…`.
    pub uin: String,
    /// The number at the end of bucket names.
    pub appid: String,
    /// A root account's federation tokens live 7200 s at most, a sub-account's 129600 s.
    pub root: bool,
}

impl Account {
    /// A sub-account's key for the examples' account: uin 100000000001, appid 1250000000.
    #[must_use]
    pub fn example(secret_id: impl Into<String>, secret_key: impl Into<String>) -> Self {
        Self {
            secret_id: secret_id.into(),
            secret_key: secret_key.into(),
            uin: "100000000001".to_owned(),
            appid: "1250000000".to_owned(),
            root: false,
        }
    }
}

/// A role that can be assumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// `qcs::cam::uin/<uin>:roleName/<name>`.
    pub arn: String,
    /// What it may do; `None`: everything.
    pub policy: Option<Policy>,
    /// The longest session, in seconds; never above 43200.
    pub longest_session: u64,
    /// What `AssumeRole` must name, if the role wants it.
    pub external_id: Option<String>,
}

impl Role {
    /// A role that may do everything for up to 12 hours.
    #[must_use]
    pub fn unlimited(arn: impl Into<String>) -> Self {
        Self { arn: arn.into(), policy: None, longest_session: 43_200, external_id: None }
    }
}

/// An OIDC token that `AssumeRoleWithWebIdentity` takes for a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebIdentity {
    /// The identity provider's name in CAM.
    pub provider_id: String,
    /// The token itself, as text.
    pub token: String,
    /// The role it may assume.
    pub role_arn: String,
}

/// Whom a temporary key stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A federated user of this name.
    Federated(String),
    /// A session of this name of the role with this arn.
    RoleSession {
        /// The role.
        arn: String,
        /// The session's name.
        session: String,
    },
}

/// A temporary key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemporaryKey {
    /// The key's id.
    pub secret_id: String,
    /// The key itself.
    pub secret_key: String,
    /// The session token that must come with every request.
    pub token: String,
    /// When it was made, whole seconds since the epoch.
    pub issued_at: u64,
    /// The end of its life, whole seconds since the epoch; at that second it is over.
    pub expires_at: u64,
    /// What it may do; `None`: everything.
    pub policy: Option<Policy>,
    /// The account it belongs to.
    pub uin: String,
    /// The number at the end of that account's bucket names.
    pub appid: String,
    /// Whom it stands for.
    pub subject: Subject,
}

/// A request for a temporary key.
#[derive(Clone, Debug)]
pub struct Grant<'a> {
    /// The account the key belongs to.
    pub uin: &'a str,
    /// The number at the end of that account's bucket names.
    pub appid: &'a str,
    /// What it may do; `None`: everything.
    pub policy: Option<Policy>,
    /// How long it was asked to live, in seconds.
    pub duration: u64,
    /// Whom it stands for.
    pub subject: Subject,
}

/// A key as a verifier finds it by id.
#[derive(Clone, Debug)]
pub enum KnownKey {
    /// A permanent key.
    Permanent(Account),
    /// A temporary key, perhaps past its end.
    Temporary(Arc<TemporaryKey>),
}

impl KnownKey {
    /// The key to check signatures with.
    #[must_use]
    pub fn secret_key(&self) -> &str {
        match self {
            Self::Permanent(account) => &account.secret_key,
            Self::Temporary(key) => &key.secret_key,
        }
    }

    /// The account the key belongs to.
    #[must_use]
    pub fn uin(&self) -> &str {
        match self {
            Self::Permanent(account) => &account.uin,
            Self::Temporary(key) => &key.uin,
        }
    }

    /// The number at the end of that account's bucket names.
    #[must_use]
    pub fn appid(&self) -> &str {
        match self {
            Self::Permanent(account) => &account.appid,
            Self::Temporary(key) => &key.appid,
        }
    }

    /// What the key may do; `None`: everything.
    #[must_use]
    pub fn policy(&self) -> Option<&Policy> {
        match self {
            Self::Permanent(_) => None,
            Self::Temporary(key) => key.policy.as_ref(),
        }
    }
}

/// Everybody the emulator knows. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Accounts(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    known: Mutex<Known>,
    clock_offset: AtomicI64,
}

#[derive(Debug)]
struct Known {
    permanent: HashMap<String, Account>,
    temporary: HashMap<String, Arc<TemporaryKey>>,
    roles: HashMap<String, Role>,
    web_identities: Vec<WebIdentity>,
    revoked: HashSet<String>,
    key_life: Option<u64>,
    issued: u64,
    /// COS does not know the latest key for so many requests signed with it.
    latest_unknown_for: u32,
    latest: Option<Arc<TemporaryKey>>,
    strict: bool,
    expired_key_answer: ExpiredKeyAnswer,
    key_server: KeyServerRules,
    /// Arns of the roles bound to the instance; `None`: the first role.
    instance_roles: Option<Vec<String>>,
    /// Seconds after which the instance metadata shows another key; `None`: half its life.
    instance_key_age: Option<u64>,
    /// Tags of sessions, by the id of their key.
    session_tags: HashMap<String, Vec<(String, String)>>,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            permanent: HashMap::new(),
            temporary: HashMap::new(),
            roles: HashMap::new(),
            web_identities: Vec::new(),
            revoked: HashSet::new(),
            key_life: None,
            issued: 0,
            latest_unknown_for: 0,
            latest: None,
            strict: true,
            expired_key_answer: ExpiredKeyAnswer::default(),
            key_server: KeyServerRules::default(),
            instance_roles: None,
            instance_key_age: None,
            session_tags: HashMap::new(),
        }
    }
}

/// Who exists.
impl Accounts {
    /// Nobody yet; strict signatures.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a permanent key, or replaces the one of the same id.
    pub fn add_account(&self, account: Account) {
        self.lock().permanent.insert(account.secret_id.clone(), account);
    }

    /// Adds a role, or replaces the one of the same arn.
    pub fn add_role(&self, role: Role) {
        self.lock().roles.insert(role.arn.clone(), role);
    }

    /// Adds a token that `AssumeRoleWithWebIdentity` takes.
    pub fn add_web_identity(&self, identity: WebIdentity) {
        self.lock().web_identities.push(identity);
    }

    /// Forgets a web identity token, as if it had expired.
    pub fn forget_web_identity(&self, token: &str) {
        self.lock().web_identities.retain(|identity| identity.token != token);
    }

    /// Adds a temporary key made elsewhere, for known-answer tests.
    pub fn add_temporary(&self, key: TemporaryKey) {
        self.lock().temporary.insert(key.secret_id.clone(), Arc::new(key));
    }

    /// The role of this arn.
    #[must_use]
    pub fn role(&self, arn: &str) -> Option<Role> {
        self.lock().roles.get(arn).cloned()
    }

    /// The role that this provider's token may assume.
    #[must_use]
    pub fn web_identity(&self, provider_id: &str, token: &str) -> Option<WebIdentity> {
        let fits = |identity: &&WebIdentity| {
            identity.provider_id == provider_id && identity.token == token
        };
        self.lock().web_identities.iter().find(fits).cloned()
    }

    /// Some permanent key: whose keys the key server hands out. The one with the smallest id, so
    /// that the choice does not change.
    #[must_use]
    pub fn first_account(&self) -> Option<Account> {
        self.lock().permanent.values().min_by(|a, b| a.secret_id.cmp(&b.secret_id)).cloned()
    }

    /// A permanent key's account of this number.
    #[must_use]
    pub fn account_of(&self, uin: &str) -> Option<Account> {
        self.lock().permanent.values().find(|account| account.uin == uin).cloned()
    }

    /// The key of this id, unless it is unknown or revoked. A temporary key is found for an hour
    /// past its end.
    #[must_use]
    pub fn find(&self, secret_id: &str) -> Option<KnownKey> {
        let known = self.lock();
        if known.revoked.contains(secret_id) {
            return None;
        }
        let temporary = known.temporary.get(secret_id).cloned().map(KnownKey::Temporary);
        temporary.or_else(|| known.permanent.get(secret_id).cloned().map(KnownKey::Permanent))
    }
}

/// Temporary keys.
impl Accounts {
    /// Makes a temporary key at `now_unix`. It lives as long as the grant says, or as
    /// [`Accounts::set_key_life`] says instead. Earlier keys stay valid.
    #[must_use]
    pub fn issue(&self, grant: Grant<'_>, now_unix: u64) -> Arc<TemporaryKey> {
        let mut known = self.lock();
        known
            .temporary
            .retain(|_, key| key.expires_at.saturating_add(REMEMBERED_AFTER_EXPIRY) > now_unix);
        let life = known.key_life.unwrap_or(grant.duration);
        let policy_length = grant.policy.as_ref().map_or(0, Policy::length);
        let key = Arc::new(TemporaryKey {
            secret_id: random::id(),
            secret_key: random::key(),
            token: random::token(policy_length),
            issued_at: now_unix,
            expires_at: now_unix.saturating_add(life),
            policy: grant.policy,
            uin: grant.uin.to_owned(),
            appid: grant.appid.to_owned(),
            subject: grant.subject,
        });
        known.temporary.insert(key.secret_id.clone(), Arc::clone(&key));
        known.issued += 1;
        known.latest_unknown_for = 0;
        known.latest = Some(Arc::clone(&key));
        key
    }

    /// From now on every issued key lives this many seconds, whatever was asked; `None`: as asked.
    pub fn set_key_life(&self, seconds: Option<u64>) {
        self.lock().key_life = seconds;
    }

    /// How many keys were issued so far.
    #[must_use]
    pub fn issued(&self) -> u64 {
        self.lock().issued
    }

    /// The key issued last.
    #[must_use]
    pub fn latest(&self) -> Option<Arc<TemporaryKey>> {
        self.lock().latest.clone()
    }

    /// For the next `requests` requests signed with it, COS does not know the key issued last:
    /// keys take a moment to be known everywhere. A newer key is known at once.
    pub fn set_latest_unknown_for(&self, requests: u32) {
        self.lock().latest_unknown_for = requests;
    }

    /// Whether COS knows this key already. Call it once per request.
    pub(crate) fn is_known_yet(&self, secret_id: &str) -> bool {
        let mut known = self.lock();
        let is_latest = known.latest.as_ref().is_some_and(|latest| latest.secret_id == secret_id);
        if !is_latest || known.latest_unknown_for == 0 {
            return true;
        }
        known.latest_unknown_for -= 1;
        false
    }

    /// From now on this key, permanent or temporary, is unknown to COS and STS.
    pub fn revoke(&self, secret_id: &str) {
        self.lock().revoked.insert(secret_id.to_owned());
    }

    /// Revokes every temporary key issued so far; returns how many.
    pub fn revoke_all_temporary(&self) -> usize {
        let mut known = self.lock();
        let ids: Vec<String> = known.temporary.keys().cloned().collect();
        let before = known.revoked.len();
        known.revoked.extend(ids);
        known.revoked.len() - before
    }

    /// Undoes [`Accounts::revoke`].
    pub fn reinstate(&self, secret_id: &str) {
        self.lock().revoked.remove(secret_id);
    }
}

/// The emulator's clock and its rules.
impl Accounts {
    /// Whole seconds since the epoch on the emulator's clock: the machine's clock (without what the
    /// program has learnt from servers) plus the offset.
    #[must_use]
    pub fn now_unix(&self, clock: &Clock) -> u64 {
        clock.local_now().unix_seconds().saturating_add_signed(self.clock_offset())
    }

    /// Puts the emulator's clock ahead of the machine's (negative: behind), in seconds.
    pub fn set_clock_offset(&self, seconds: i64) {
        self.0.clock_offset.store(seconds, Ordering::Relaxed);
    }

    /// How far the emulator's clock is ahead of the machine's, in seconds.
    #[must_use]
    pub fn clock_offset(&self) -> i64 {
        self.0.clock_offset.load(Ordering::Relaxed)
    }

    /// Whether COS wants everything signed that can be: on at first.
    pub fn set_strict(&self, strict: bool) {
        self.lock().strict = strict;
    }

    /// Whether COS wants everything signed that can be.
    #[must_use]
    pub fn strict(&self) -> bool {
        self.lock().strict
    }

    /// What COS answers to a key past its end.
    pub fn set_expired_key_answer(&self, answer: ExpiredKeyAnswer) {
        self.lock().expired_key_answer = answer;
    }

    /// What COS answers to a key past its end.
    #[must_use]
    pub fn expired_key_answer(&self) -> ExpiredKeyAnswer {
        self.lock().expired_key_answer
    }

    /// How the key server behaves from now on.
    pub fn set_key_server_rules(&self, rules: KeyServerRules) {
        self.lock().key_server = rules;
    }

    /// How the key server behaves.
    #[must_use]
    pub fn key_server_rules(&self) -> KeyServerRules {
        self.lock().key_server.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(duration: u64) -> Grant<'static> {
        let subject = Subject::Federated("tests".to_owned());
        Grant { uin: "100000000001", appid: "1250000000", policy: None, duration, subject }
    }

    #[test]
    fn issued_keys_are_shaped_like_real_ones_and_never_repeat() {
        let accounts = Accounts::new();
        let keys: Vec<_> = (0..50).map(|_| accounts.issue(grant(1800), 1_700_000_000)).collect();
        for key in &keys {
            assert_eq!(key.secret_id.len(), 68);
            assert!(key.secret_id.contains('-') && key.secret_id.contains('_'));
            assert!(key.secret_key.contains('/') && key.secret_key.ends_with('='));
            assert!((200..=600).contains(&key.token.len()));
            assert_eq!(key.expires_at, 1_700_001_800);
        }
        let ids: HashSet<_> = keys.iter().map(|key| key.secret_id.as_str()).collect();
        assert_eq!(ids.len(), 50);
        assert_eq!(accounts.issued(), 50);
        assert_eq!(accounts.latest().as_ref(), keys.last());
    }

    #[test]
    fn a_key_life_that_was_set_wins_over_the_asked_one() {
        let accounts = Accounts::new();
        accounts.set_key_life(Some(6));
        assert_eq!(accounts.issue(grant(1800), 100).expires_at, 106);
        accounts.set_key_life(None);
        assert_eq!(accounts.issue(grant(1800), 100).expires_at, 1900);
    }

    #[test]
    fn expired_keys_are_forgotten_an_hour_after_their_end() {
        let accounts = Accounts::new();
        let old = accounts.issue(grant(10), 1000);
        let _ = accounts.issue(grant(10), 1010 + REMEMBERED_AFTER_EXPIRY - 1);
        assert!(accounts.find(&old.secret_id).is_some());
        let _ = accounts.issue(grant(10), 1010 + REMEMBERED_AFTER_EXPIRY);
        assert!(accounts.find(&old.secret_id).is_none());
    }

    #[test]
    fn a_revoked_key_is_unknown_until_reinstated() {
        let accounts = Accounts::new();
        accounts.add_account(Account::example("AKIDexample", "secret"));
        let key = accounts.issue(grant(10), 1000);
        accounts.clone().revoke(&key.secret_id);
        assert!(accounts.find(&key.secret_id).is_none());
        assert!(accounts.find("AKIDexample").is_some());
        accounts.reinstate(&key.secret_id);
        assert!(accounts.find(&key.secret_id).is_some());
        assert_eq!(accounts.revoke_all_temporary(), 1);
        assert!(accounts.find(&key.secret_id).is_none());
    }
}
