//! The claims of a payload, each of exactly one type.

use bailiwick_json::{Fault, Limits, read_within};
use serde_json::{Map, Value};

use super::Profile;
use crate::Rejection;

const PAYLOAD_LIMITS: Limits = Limits { depth: 16, members: 1024 };
const NAME_BYTES: usize = 255;

/// Claims that an ID token, a logout token or a security event has and an access token has not.
const FOREIGN_CLAIMS: [&str; 11] = [
    // OpenID Connect Core 1.0 section 2 and 3.3.2.11; FAPI 1.0 part 2 section 5.1.
    "nonce",
    "at_hash",
    "c_hash",
    "s_hash",
    // Back-Channel Logout 1.0 section 2.4, RFC 8417.
    "events",
    // Native SSO 1.0, CIBA 1.0 section 7.3.1 and self-issued ID tokens.
    "ds_hash",
    "urn:openid:params:jwt:claim:rt_hash",
    "urn:openid:params:jwt:claim:auth_req_id",
    "sub_jwk",
    // Apple; ForgeRock and PingAM.
    "nonce_supported",
    "org.forgerock.openidconnect.ops",
];

/// Claims in which providers write the kind of a token, in lower case without punctuation:
/// Cognito's `token_use`, Keycloak's `typ`, ForgeRock's `tokenName`, Curity's `purpose`, and
/// `token_type` of several.
const KIND_CLAIMS: [&str; 5] = ["tokenuse", "typ", "tokenname", "purpose", "tokentype"];

/// What these claims say of tokens that are not access tokens, written in the same way.
const FOREIGN_KINDS: [&str; 9] = [
    "id",
    "idtoken",
    "refresh",
    "refreshtoken",
    "offline",
    "offlinetoken",
    "logout",
    "logouttoken",
    "backchannellogout",
];

/// Reads a payload whose signature holds, and decides whether it is what `profile` asks for.
pub(super) fn read(
    payload: &[u8],
    profile: &Profile,
    now: i64,
) -> Result<Map<String, Value>, Rejection> {
    let claims: Map<String, Value> =
        read_within(payload, PAYLOAD_LIMITS).map_err(|e| payload_fault(e.fault()))?;
    issuer(&claims, profile)?;
    audience(&claims, profile)?;
    kind(&claims)?;
    names(&claims, profile)?;
    if profile.required_claims.iter().any(|name| !claims.contains_key(name)) {
        return Err(Rejection::invalid("a required claim is missing"));
    }
    // Last, so that "expired" is only ever said of a token that was good.
    times(&claims, profile, now)?;
    Ok(claims)
}

fn payload_fault(fault: Fault) -> Rejection {
    Rejection::invalid(match fault {
        Fault::Syntax => "payload is not JSON",
        Fault::Shape => "payload is not a JSON object",
        Fault::Duplicate => "payload has a duplicate member",
        Fault::TooDeep => "payload is nested too deeply",
        Fault::TooManyMembers => "payload has too many members",
    })
}

fn issuer(claims: &Map<String, Value>, profile: &Profile) -> Result<(), Rejection> {
    match claims.get("iss") {
        Some(Value::String(issuer)) if *issuer == profile.issuer => Ok(()),
        Some(Value::String(_)) => Err(Rejection::invalid("iss is another issuer")),
        _ => Err(Rejection::invalid("iss is missing or not a string")),
    }
}

fn audience(claims: &Map<String, Value>, profile: &Profile) -> Result<(), Rejection> {
    let ours = |value: &str| profile.audiences.iter().any(|audience| audience == value);
    let named = match claims.get("aud") {
        Some(Value::String(audience)) => ours(audience),
        Some(Value::Array(list)) if list.iter().all(Value::is_string) => {
            list.iter().filter_map(Value::as_str).any(ours)
        }
        _ => return Err(Rejection::invalid("aud is missing or not made of strings")),
    };
    if named { Ok(()) } else { Err(Rejection::invalid("aud does not name us")) }
}

/// Token kinds exclude each other (RFC 8725 section 3.12).
fn kind(claims: &Map<String, Value>) -> Result<(), Rejection> {
    if FOREIGN_CLAIMS.iter().any(|name| claims.contains_key(*name)) {
        return Err(Rejection::invalid("an ID token, logout token or event is no access token"));
    }
    // Sender constraints (RFC 9449, RFC 8705) are not implemented. A bound token that is taken
    // as a bearer token would lose the protection that its issuer meant it to have.
    if claims.contains_key("cnf") {
        return Err(Rejection::invalid("cnf binds the token to a key that is not checked here"));
    }
    if claims.iter().any(|(name, value)| is_foreign_kind(name, value)) || is_entra_id_token(claims)
    {
        return Err(Rejection::invalid("a claim says that this is no access token"));
    }
    Ok(())
}

/// Whether a claim names the kind of the token, and it is another kind than access tokens. Where
/// nothing but a kind can stand, a value that is not a text is unreadable, so it is refused too.
fn is_foreign_kind(name: &str, value: &Value) -> bool {
    let name = plain(name);
    match value.as_str() {
        Some(kind) => {
            KIND_CLAIMS.contains(&name.as_str()) && FOREIGN_KINDS.contains(&plain(kind).as_str())
        }
        None => matches!(name.as_str(), "tokenuse" | "typ"),
    }
}

/// Lower case without punctuation, so that `id_token`, `ID-Token` and `idToken` are one.
fn plain(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// Whether this is an ID token of Microsoft Entra or Azure AD B2C. Without `nonce` it has no mark
/// of its own; but their access tokens name the client, as `azp` or `appid`, and ID tokens do not.
fn is_entra_id_token(claims: &Map<String, Value>) -> bool {
    let has = |name| claims.contains_key(name);
    let version = claims.get("ver").and_then(Value::as_str);
    let is_entra = (has("tid") || has("tfp")) && matches!(version, Some("1.0" | "2.0"));
    is_entra && !has("azp") && !has("appid")
}

fn names(claims: &Map<String, Value>, profile: &Profile) -> Result<(), Rejection> {
    let fits =
        |value: &Value| value.as_str().is_some_and(|text| (1..=NAME_BYTES).contains(&text.len()));
    if !claims.get("sub").map_or(!profile.subject_required, fits) {
        return Err(Rejection::invalid("sub is missing or not a string of 1 to 255 bytes"));
    }
    if !claims.get("jti").is_none_or(fits) {
        return Err(Rejection::invalid("jti is not a string of 1 to 255 bytes"));
    }
    Ok(())
}

fn times(claims: &Map<String, Value>, profile: &Profile, now: i64) -> Result<(), Rejection> {
    let skew = seconds(profile.clock_skew_seconds);
    let expires = time(claims, "exp")?.ok_or(Rejection::invalid("exp is missing"))?;
    let issued = time(claims, "iat")?;
    let not_before = time(claims, "nbf")?;

    if issued.is_some_and(|at| at > now.saturating_add(skew)) {
        return Err(Rejection::invalid("iat is in the future"));
    }
    if not_before.is_some_and(|at| at > now.saturating_add(skew)) {
        return Err(Rejection::invalid("nbf is in the future"));
    }
    // Without iat the lifetime counts from now, so that the bound cannot be dodged by leaving it out.
    let from = issued.unwrap_or(now);
    if expires.saturating_sub(from) > seconds(profile.max_lifetime_seconds) {
        return Err(Rejection::invalid("lifetime is longer than allowed"));
    }
    if now >= expires.saturating_add(skew) {
        return Err(Rejection::expired("exp is past"));
    }
    Ok(())
}

/// A NumericDate (RFC 7519 section 2) that is an integer: fractions and exponents are refused.
fn time(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, Rejection> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => match value.as_i64() {
            Some(seconds) => Ok(Some(seconds)),
            None => Err(Rejection::invalid("exp, nbf or iat is not an integer")),
        },
    }
}

fn seconds(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
