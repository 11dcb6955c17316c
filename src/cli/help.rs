//! Help texts that clap does not make.

use std::fmt::Write as _;

use super::arguments::alias;
use crate::config::keys::SETTINGS;

/// Below the short help.
pub(super) const AFTER: &str = "\
upstream.region of config.toml is --upstream-region and
COS_AUTH_PROXY_UPSTREAM_REGION too, and so is every setting. Secrets never are:
a setting names the variable or file that holds one; TENCENTCLOUD_SECRET_ID,
_SECRET_KEY and _TOKEN are found by themselves.

  cos-auth-proxy run --bucket examplebucket-1250000000 --region ap-guangzhou

Exit codes: 0 clean, 64 usage or configuration, 69 cannot bind or reach,
70 bug, 75 out of time";

/// Below the help of `explain-signature`.
pub(super) const AFTER_EXPLAIN: &str = "\
Shows what was signed beside what COS received, marks the first byte that
differs, names the likely cause and the fix. Tokens, customer keys and
signatures are never shown.

  cos-auth-proxy explain-signature --last
  curl -v URL 2>&1 | cos-auth-proxy explain-signature -
  cos-auth-proxy explain-signature --request head.txt --error error.xml

Exit codes: 0 explained, 64 something is missing from the input,
69 no running proxy, or it has met no refused signature";

/// `--help-all`: every setting as a flag, with its default.
pub(super) fn all() -> String {
    let mut text = String::from(
        "Settings of cos-auth-proxy. The environment variable of --upstream-region is \
         COS_AUTH_PROXY_UPSTREAM_REGION,\nits key in config.toml is upstream.region. Lists and \
         routes are written in config.toml only.\n",
    );
    let mut open = "";
    for setting in SETTINGS.iter().filter(|s| s.is_scalar()) {
        let (section, _) = setting.section_and_key();
        if section != open {
            let _ = writeln!(text, "\n{}", setting.own_path().rsplit_once('.').map_or("", |p| p.0));
            open = section;
        }
        let also = alias(setting).map(|alias| format!(", --{alias}")).unwrap_or_default();
        let flag = format!("--{} {}{also}", setting.flag(), setting.kind.placeholder());
        let default = match setting.default {
            "" => String::new(),
            default => format!(" [{default}]"),
        };
        let _ = writeln!(text, "  {flag:<52} {}{default}", setting.help);
    }
    text
}
