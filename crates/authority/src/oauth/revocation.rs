//! Revocation (RFC 7009) and introspection (RFC 7662).

use serde_json::{Value, json};

use super::{Failed, Form, OAuthError};
use crate::audit::{Event, Kind, Outcome};
use crate::authority::{Authority, Inner};
use crate::error::AuthorityError;
use crate::people::PersonNames;
use crate::store;
use crate::token::TokenError;

impl Authority {
    /// `POST /oauth/revoke`: the answer is an empty 200, whatever the token was; a token of
    /// another client stays as it is. In force at the next request.
    ///
    /// # Errors
    /// The client does not authenticate, or nothing can be stored. If only the audit record
    /// fails, the token is revoked all the same.
    pub async fn revoke(&self, form: Form, request_id: Option<&str>) -> Result<(), OAuthError> {
        match self.blocking(move |inner| inner.revoke_by_form(&form)).await {
            Ok(event) => {
                let event = event.with_request(request_id);
                self.audit().record(event).await.map_err(AuthorityError::from)?;
                Ok(())
            }
            Err(failed) => Err(self.refused(failed, request_id).await),
        }
    }

    /// `POST /oauth/introspect`: the claims of a live token, or `{"active": false}` alone.
    ///
    /// A client sees its own tokens, and those that name its client id or SPIFFE ID as audience.
    ///
    /// # Errors
    /// The client does not authenticate, or the database cannot be read.
    pub async fn introspect(
        &self,
        form: Form,
        request_id: Option<&str>,
    ) -> Result<Value, OAuthError> {
        match self.blocking(move |inner| inner.introspect_by_form(&form)).await {
            Ok(answer) => Ok(answer),
            Err(failed) => Err(self.refused(failed, request_id).await),
        }
    }
}

impl Inner {
    fn revoke_by_form(&self, form: &Form) -> Result<Event, Failed> {
        let agent = self.authenticate_client(form)?;
        let token = form.required("token")?;
        let mut event = Event::new(Kind::TokenRevoked, Outcome::Ok);
        event.agent = Some(agent.name);
        event.client_id = Some(agent.client_id.to_string());
        match self.own_token(token) {
            Ok(claims) if claims.client_id == agent.client_id.to_string() => {
                self.store.write(|writing| writing.revoke_token(&claims.jti, claims.exp))?;
                event.jti = Some(claims.jti);
            }
            Ok(claims) => {
                event.outcome = Outcome::Refused;
                event.jti = Some(claims.jti);
                event.detail = Some("the token is another client's".into());
            }
            Err(refusal) => match refusal.error {
                TokenError::Unavailable => return Err(OAuthError::from(refusal).into()),
                _ => event.detail = Some(self.revoke_person(token)?.unwrap_or(refusal.cause)),
            },
        }
        Ok(event)
    }

    /// Whoever holds a person's token may end all that was exchanged for it.
    fn revoke_person(&self, token: &str) -> Result<Option<String>, OAuthError> {
        let names = PersonNames::of(token);
        let mut expires_at = None;
        for name in names.all() {
            let person = self.store.read(|c| store::person(c, name))?;
            expires_at = expires_at.max(person.map(|person| person.expires_at));
        }
        let Some(expires_at) = expires_at else { return Ok(None) };
        // Under every name: an agent may have exchanged the token before and after an upgrade.
        self.store.write(|writing| {
            names.all().try_for_each(|name| writing.revoke_token(name, expires_at))
        })?;
        Ok(Some("all that was exchanged for a person's token".to_owned()))
    }

    fn introspect_by_form(&self, form: &Form) -> Result<Value, Failed> {
        let agent = self.authenticate_client(form)?;
        let inactive = || Ok(json!({ "active": false }));
        let live = match self.live_token(form.required("token")?) {
            Ok(live) => live,
            Err(refusal) => match refusal.error {
                TokenError::Unavailable => return Err(OAuthError::from(refusal).into()),
                _ => return inactive(),
            },
        };
        let id = agent.client_id.to_string();
        let concerns = |one: &String| *one == id || *one == agent.spiffe_id;
        if live.claims.client_id != id && !live.audience.iter().any(concerns) {
            return inactive();
        }
        if live.audience.is_empty() {
            return inactive();
        }
        let mut answer = json!({
            "active": true,
            "scope": live.scopes.joined(),
            "client_id": live.claims.client_id,
            "sub": live.claims.sub,
            "aud": live.audience,
            "iss": live.claims.iss,
            "exp": live.claims.exp,
            "iat": live.claims.iat,
            "jti": live.claims.jti,
            "token_type": "Bearer",
        });
        if let (Some(act), Some(members)) = (live.claims.act, answer.as_object_mut()) {
            members.insert("act".into(), json!(act));
            members.extend(live.claims.sub_id.map(|person| ("sub_id".into(), json!(person))));
        }
        Ok(answer)
    }
}
