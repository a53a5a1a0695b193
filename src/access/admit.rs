//! Authentication and tenancy: from request headers to a [`Caller`], or to the reason why not.
//!
//! Tokens come as `Authorization: Bearer <secret>` or, for clients that know only user and password,
//! `Basic <name>:<secret>`; gRPC metadata are the same headers. Only digests of the secrets are held,
//! and all of them are compared in constant time, so that neither a dump nor a stopwatch tells them.
//! Without tokens the doors are open (they listen on loopback by default).

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::code::{Code, Error};
use crate::tenant;

/// What a 401 tells the client to send (`WWW-Authenticate`).
pub const CHALLENGE: &str = "Bearer realm=\"hypocenter\"";

/// Who may do what.
#[derive(Clone, Debug)]
pub struct Config {
    /// Known callers; none = everybody may do everything.
    pub tokens: Vec<Token>,
    /// Whether `X-Scope-OrgID` separates data; without, the header is ignored and the tenant is empty.
    pub tenancy_enabled: bool,
    /// Tenants that may be named, `*` standing for any characters.
    pub tenant_pattern: String,
    /// Tenant of requests that name none; `None` = they are refused.
    pub tenant_default: Option<String>,
}

/// One known caller.
#[derive(Clone)]
pub struct Token {
    /// What it proves itself with.
    pub secret: String,
    /// What it is called in the ledger and in logs; the user name of Basic authentication.
    pub name: String,
    /// May ask questions.
    pub may_read: bool,
    /// May send data.
    pub may_write: bool,
    /// The only tenant it may act for; `None` = the one it names.
    pub tenant: Option<String>,
}

/// What a request wants to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// Ask questions.
    Read,
    /// Send data.
    Write,
}

/// An admitted caller.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caller {
    /// Its tenant; empty without tenancy.
    pub tenant: Arc<str>,
    /// Name of its token; empty without tokens.
    pub name: Arc<str>,
}

/// A configuration that would not do what it says.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ConfigError {
    /// A token without a usable secret would admit anybody, or nobody.
    #[error("the secret of token `{0}` is empty or holds characters other than visible ASCII")]
    Secret(String),
    /// Names identify callers.
    #[error("two tokens are called `{0}`, or a token's name is empty or holds a colon")]
    Name(String),
    /// A secret identifies its token.
    #[error("the tokens `{0}` and `{1}` have the same secret")]
    SameSecret(String, String),
    /// A tenant that no header could name.
    #[error("the tenant `{0}` {1}")]
    Tenant(String, &'static str),
}

/// The door-keeper; cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct Access {
    tokens: Vec<Known>,
    tenancy_enabled: bool,
    tenant_pattern: String,
    tenant_default: Option<Arc<str>>,
    nobody: Arc<str>,
}

struct Known {
    digest: [u8; 32],
    name: Arc<str>,
    may_read: bool,
    may_write: bool,
    tenant: Option<Arc<str>>,
}

impl Access {
    /// Checks the configuration and forgets the secrets.
    pub fn new(config: Config) -> Result<Access, ConfigError> {
        for (at, token) in config.tokens.iter().enumerate() {
            check(token, &config.tokens[..at])?;
        }
        let tenants = config.tokens.iter().filter_map(|token| token.tenant.as_ref()).chain(&config.tenant_default);
        for name in tenants {
            if let Some(problem) = tenant::problem(name) {
                return Err(ConfigError::Tenant(name.clone(), problem));
            }
        }
        Ok(Access {
            tokens: config.tokens.into_iter().map(Known::from).collect(),
            tenancy_enabled: config.tenancy_enabled,
            tenant_pattern: config.tenant_pattern,
            tenant_default: config.tenant_default.map(Arc::from),
            nobody: Arc::from(""),
        })
    }

    /// Everybody may do everything; no tenancy.
    pub fn open() -> Access {
        Access {
            tokens: Vec::new(),
            tenancy_enabled: false,
            tenant_pattern: "*".into(),
            tenant_default: None,
            nobody: Arc::from(""),
        }
    }

    /// Whether no credentials are asked for.
    pub fn is_open(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Lets a request in, or says why not: `unauthenticated`, `permission_denied`, or
    /// `invalid_argument` for a malformed tenant header.
    pub fn admit(&self, headers: &HeaderMap, purpose: Purpose) -> Result<Caller, Error> {
        let known = if self.is_open() { None } else { Some(self.identify(headers)?) };
        if let Some(known) = known
            && !known.may(purpose)
        {
            let what = if purpose == Purpose::Read { "read" } else { "write" };
            return Err(Error::new(Code::PermissionDenied, format!("the token `{}` may not {what}", known.name)));
        }
        let tenant = self.tenant(headers, known)?;
        let name = known.map_or(&self.nobody, |known| &known.name).clone();
        Ok(Caller { tenant, name })
    }

    fn identify(&self, headers: &HeaderMap) -> Result<&Known, Error> {
        let refused = |why: &str| Error::new(Code::Unauthenticated, why);
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let value = values.next().ok_or_else(|| refused("the request carries no Authorization header"))?;
        if values.next().is_some() {
            return Err(refused("the request carries more than one Authorization header"));
        }
        let (user, secret) = credentials(value.as_bytes())
            .ok_or_else(|| refused("the Authorization header is neither Bearer nor Basic"))?;
        let digest = digest(&secret);
        let mut found = None;
        // No early end: the time must not tell how far the search came.
        for known in &self.tokens {
            let named = user.as_ref().is_none_or(|user| user.as_slice() == known.name.as_bytes());
            let equal = known.digest.ct_eq(&digest) & Choice::from(u8::from(named));
            if bool::from(equal) {
                found = Some(known);
            }
        }
        found.ok_or_else(|| refused("the credentials are not known"))
    }

    fn tenant(&self, headers: &HeaderMap, known: Option<&Known>) -> Result<Arc<str>, Error> {
        if !self.tenancy_enabled {
            return Ok(self.nobody.clone());
        }
        let named = tenant::from_headers(headers)?;
        if let Some(own) = known.and_then(|known| known.tenant.as_ref()) {
            return match named {
                Some(named) if named != *own => {
                    Err(Error::new(Code::PermissionDenied, "the token belongs to another tenant"))
                }
                _ => Ok(own.clone()),
            };
        }
        let tenant = named.or_else(|| self.tenant_default.clone()).ok_or_else(|| {
            Error::new(Code::Unauthenticated, "no org id: the request must name its tenant in X-Scope-OrgID")
        })?;
        if !tenant::matches(&self.tenant_pattern, &tenant) {
            return Err(Error::new(Code::PermissionDenied, "this tenant is not known here"));
        }
        Ok(tenant)
    }
}

impl Known {
    fn may(&self, purpose: Purpose) -> bool {
        match purpose {
            Purpose::Read => self.may_read,
            Purpose::Write => self.may_write,
        }
    }
}

impl From<Token> for Known {
    fn from(token: Token) -> Known {
        Known {
            digest: digest(token.secret.as_bytes()),
            name: Arc::from(token.name),
            may_read: token.may_read,
            may_write: token.may_write,
            tenant: token.tenant.map(Arc::from),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Config { tokens: Vec::new(), tenancy_enabled: false, tenant_pattern: "*".into(), tenant_default: None }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}, read: {}, write: {})", self.name, self.may_read, self.may_write)
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Known({})", self.name)
    }
}

fn check(token: &Token, earlier: &[Token]) -> Result<(), ConfigError> {
    if token.name.is_empty() || token.name.contains(':') || earlier.iter().any(|other| other.name == token.name) {
        return Err(ConfigError::Name(token.name.clone()));
    }
    if token.secret.is_empty() || !token.secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(ConfigError::Secret(token.name.clone()));
    }
    match earlier.iter().find(|other| other.secret == token.secret) {
        Some(other) => Err(ConfigError::SameSecret(other.name.clone(), token.name.clone())),
        None => Ok(()),
    }
}

/// User (Basic only) and secret.
fn credentials(value: &[u8]) -> Option<(Option<Vec<u8>>, Vec<u8>)> {
    let space = value.iter().position(|byte| *byte == b' ')?;
    let (scheme, rest) = (&value[..space], value[space..].trim_ascii());
    if scheme.eq_ignore_ascii_case(b"bearer") {
        return Some((None, rest.to_vec()));
    }
    if scheme.eq_ignore_ascii_case(b"basic") {
        let pair = base64::engine::general_purpose::STANDARD.decode(rest).ok()?;
        let colon = pair.iter().position(|byte| *byte == b':')?;
        return Some((Some(pair[..colon].to_vec()), pair[colon + 1..].to_vec()));
    }
    None
}

fn digest(secret: &[u8]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(name: &str, may_read: bool, may_write: bool, tenant: Option<&str>) -> Token {
        let secret = format!("{name}-secret");
        Token { secret, name: name.into(), may_read, may_write, tenant: tenant.map(Into::into) }
    }

    // Purpose, header lines, and `name@tenant` or the error's code.
    type Row<'a> = (Purpose, &'a [(&'static str, &'a str)], &'a str);

    fn check_rows(access: &Access, rows: &[Row<'_>]) {
        for (purpose, lines, expected) in rows {
            let mut headers = HeaderMap::new();
            for (name, value) in *lines {
                headers.append(*name, value.parse().expect("a header value"));
            }
            let found = match access.admit(&headers, *purpose) {
                Ok(caller) => format!("{}@{}", caller.name, caller.tenant),
                Err(error) => error.code.name().to_string(),
            };
            assert_eq!(&found, expected, "{purpose:?} {lines:?}");
        }
    }

    // Scenario: no tokens, no tenancy; requests with and without the headers.
    // Guarantee: everybody is let in as nobody, and the tenant header means nothing, however malformed.
    #[test]
    fn open_doors_ignore_headers() {
        check_rows(
            &Access::open(),
            &[
                (Purpose::Write, &[], "@"),
                (Purpose::Read, &[("authorization", "Bearer x")], "@"),
                (Purpose::Read, &[("x-scope-orgid", "a|b"), ("x-scope-orgid", "c")], "@"),
            ],
        );
    }

    // Scenario: three tokens with different rights; credentials missing, wrong, cut, doubled, odd.
    // Guarantee: only the exact secret opens, only for its purposes; everything else is 401 or 403.
    #[test]
    fn tokens_open_their_doors_only() {
        let tokens =
            vec![token("app", false, true, None), token("eyes", true, false, None), token("root", true, true, None)];
        let access = Access::new(Config { tokens, ..Config::default() }).expect("valid");
        let basic = |pair: &str| format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
        let (good, wrong_user, no_colon) = (basic("app:app-secret"), basic("eyes:app-secret"), basic("app"));
        check_rows(
            &access,
            &[
                (Purpose::Write, &[("authorization", "Bearer app-secret")], "app@"),
                (Purpose::Write, &[("authorization", "bEaReR  app-secret ")], "app@"),
                (Purpose::Read, &[("authorization", "Bearer app-secret")], "permission_denied"),
                (Purpose::Read, &[("authorization", "Bearer eyes-secret")], "eyes@"),
                (Purpose::Write, &[("authorization", "Bearer eyes-secret")], "permission_denied"),
                (Purpose::Write, &[("authorization", "Bearer root-secret")], "root@"),
                (Purpose::Write, &[("authorization", &good)], "app@"),
                (Purpose::Write, &[("authorization", &wrong_user)], "unauthenticated"),
                (Purpose::Write, &[("authorization", &no_colon)], "unauthenticated"),
                (Purpose::Write, &[("authorization", "Basic %%%")], "unauthenticated"),
                (Purpose::Write, &[], "unauthenticated"),
                (Purpose::Write, &[("authorization", "")], "unauthenticated"),
                (Purpose::Write, &[("authorization", "Bearer")], "unauthenticated"),
                (Purpose::Write, &[("authorization", "Bearer ")], "unauthenticated"),
                (Purpose::Write, &[("authorization", "app-secret")], "unauthenticated"),
                (Purpose::Write, &[("authorization", "Bearer app-secre")], "unauthenticated"),
                (Purpose::Write, &[("authorization", "Bearer app-secret2")], "unauthenticated"),
                (Purpose::Write, &[("authorization", "Bearer APP-SECRET")], "unauthenticated"),
                (
                    Purpose::Write,
                    &[("authorization", "Bearer app-secret"), ("authorization", "Bearer app-secret")],
                    "unauthenticated",
                ),
            ],
        );
        assert!(!format!("{access:?}").contains("secret"), "secrets are not shown");
    }

    // Scenario: tenancy with a free token, a token bound to a tenant, a pattern, and no default.
    // Guarantee: nobody acts for a tenant that is not theirs or not allowed.
    #[test]
    fn tenants_are_kept_apart() {
        let tokens = vec![token("free", true, true, None), token("bound", true, true, Some("shop-b"))];
        let config = Config { tokens, tenancy_enabled: true, tenant_pattern: "shop-*".into(), tenant_default: None };
        let access = Access::new(config).expect("valid");
        let free = ("authorization", "Bearer free-secret");
        let bound = ("authorization", "Bearer bound-secret");
        check_rows(
            &access,
            &[
                (Purpose::Write, &[free, ("x-scope-orgid", "shop-a")], "free@shop-a"),
                (Purpose::Write, &[free, ("x-scope-orgid", "bank")], "permission_denied"),
                (Purpose::Write, &[free], "unauthenticated"),
                (Purpose::Write, &[free, ("x-scope-orgid", "")], "unauthenticated"),
                (Purpose::Write, &[free, ("x-scope-orgid", "a"), ("x-scope-orgid", "b")], "invalid_argument"),
                (Purpose::Write, &[free, ("x-scope-orgid", "a|b")], "invalid_argument"),
                (Purpose::Read, &[bound], "bound@shop-b"),
                (Purpose::Read, &[bound, ("x-scope-orgid", "shop-b")], "bound@shop-b"),
                (Purpose::Read, &[bound, ("x-scope-orgid", "")], "bound@shop-b"),
                (Purpose::Read, &[bound, ("x-scope-orgid", "shop-a")], "permission_denied"),
                (Purpose::Read, &[bound, ("x-scope-orgid", "x y")], "invalid_argument"),
                (Purpose::Read, &[("x-scope-orgid", "shop-a")], "unauthenticated"),
            ],
        );
        let config = Config { tenancy_enabled: true, tenant_default: Some("main".into()), ..Config::default() };
        let access = Access::new(config).expect("valid");
        check_rows(&access, &[(Purpose::Write, &[], "@main"), (Purpose::Write, &[("x-scope-orgid", "a")], "@a")]);
    }

    // Scenario: configurations with empty secrets, equal names, equal secrets, impossible tenants.
    // Guarantee: each is refused with a sentence; the secret is not in it.
    #[test]
    fn dangerous_configurations_are_refused() {
        let with = |edit: fn(&mut Vec<Token>)| {
            let mut tokens = vec![token("a", true, true, None), token("b", true, true, None)];
            edit(&mut tokens);
            Access::new(Config { tokens, ..Config::default() }).map(|_| ()).map_err(|error| error.to_string())
        };
        type Edit = fn(&mut Vec<Token>);
        let cases: [(Edit, &str); 7] = [
            (|tokens| tokens[1].secret.clear(), "secret of token `b`"),
            (|tokens| tokens[1].secret = "a b".into(), "secret of token `b`"),
            (|tokens| tokens[1].name = "a".into(), "two tokens"),
            (|tokens| tokens[1].name.clear(), "two tokens"),
            (|tokens| tokens[1].name = "x:y".into(), "two tokens"),
            (|tokens| tokens[1].secret = tokens[0].secret.clone(), "same secret"),
            (|tokens| tokens[1].tenant = Some("a/b".into()), "tenant `a/b`"),
        ];
        assert_eq!(with(|_| {}), Ok(()));
        for (edit, part) in cases {
            let message = with(edit).expect_err(part);
            assert!(message.contains(part) && !message.contains("-secret"), "{message}");
        }
    }
}
