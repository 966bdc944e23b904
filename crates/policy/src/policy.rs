//! Claims and labels in, a bailiwick out.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use bailiwick_identity::Claims;
use serde_json::{Map, Value as Json};
use thiserror::Error;

use crate::bailiwick::Bailiwick;
use crate::claim::ClaimPath;
use crate::decisions::{Decisions, Key};
use crate::disclosure::Disclosure;
use crate::engine::rego::{Confined, RegoTexts};
use crate::engine::{self, Asked, Engine, Question, Unavailable};
use crate::label::{Column, Label, LabelId, LabelTable};
use crate::revision::Revision;
use crate::rules::{PolicyConfig, Rules, RulesError};
use crate::schema::Schema;

/// How often it is looked whether the policy's files are others.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Decides which labels a person may read. The default is deny.
#[derive(Debug)]
pub struct Policy {
    schema: Arc<Schema>,
    config: PolicyConfig,
    /// None where an engine besides them decides alone.
    pub(crate) rules: Option<Rules>,
    disclosure: Disclosure,
    in_force: ArcSwap<InForce>,
    /// Why the policy's files, as they are now, are not in force.
    refused: Mutex<Option<String>>,
    decisions: Decisions,
}

/// What decides, until it is replaced as a whole.
#[derive(Debug)]
pub(crate) struct InForce {
    pub(crate) engine: Option<Arc<dyn Engine>>,
    pub(crate) revision: Arc<Revision>,
}

/// Why there is no policy.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// There is no such engine.
    #[error("policy.engine: write one of rules, rego, opa, authzen")]
    UnknownEngine,
    /// A rule is wrong.
    #[error(transparent)]
    Rules(#[from] RulesError),
    /// The table of an engine, or what it names, is wrong.
    #[error("policy.{engine}: {problem}")]
    Engine {
        /// The engine.
        engine: &'static str,
        /// What is wrong, and what would be right.
        problem: String,
    },
    /// An entry of `policy.claims` is wrong.
    #[error("policy.claims: `{claim}`: {problem}")]
    Claim {
        /// The claim.
        claim: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
}

impl PolicyError {
    pub(crate) fn engine(engine: &'static str, problem: impl Into<String>) -> Self {
        Self::Engine { engine, problem: problem.into() }
    }
}

impl Policy {
    /// Makes the policy of a configuration. A policy without rules and without an engine allows
    /// nobody.
    ///
    /// # Errors
    /// When the engine is unknown or what it needs is wrong, or a rule names what the schema does
    /// not have.
    pub fn new(config: &PolicyConfig, schema: Arc<Schema>) -> Result<Self, PolicyError> {
        Self::decided_by(engine::open(config)?, config, schema)
    }

    /// Makes a policy whose engine is `rego`, of texts that came with a request, in the place of
    /// the files that a configuration names. It is evaluated in a process of its own with hard
    /// limits.
    ///
    /// # Errors
    /// When the texts do not compile within the limits, the configuration names another engine or
    /// files, or a rule names what the schema does not have.
    pub async fn of_texts(
        config: &PolicyConfig,
        texts: &RegoTexts,
        schema: Arc<Schema>,
    ) -> Result<Self, PolicyError> {
        if config.engine != "rego" || config.rego.is_some() {
            let problem = "texts take the place of its table; name the engine `rego` alone";
            return Err(PolicyError::engine("rego", problem));
        }
        let engine = Confined::new(texts, &schema).await?;
        Self::decided_by(Some(Arc::new(engine)), config, schema)
    }

    fn decided_by(
        engine: Option<Arc<dyn Engine>>,
        config: &PolicyConfig,
        schema: Arc<Schema>,
    ) -> Result<Self, PolicyError> {
        let rules = config.has_rules().then(|| Rules::compile(config, &schema)).transpose()?;
        let disclosure = Disclosure::new(config.claims.as_ref(), &schema)?;
        let in_force = ArcSwap::from_pointee(InForce::new(config, &schema, engine));
        Ok(Self {
            schema,
            config: config.clone(),
            rules,
            disclosure,
            in_force,
            refused: Mutex::default(),
            decisions: Decisions::default(),
        })
    }

    /// What labels are made of.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// What it was made of.
    pub fn config(&self) -> &PolicyConfig {
        &self.config
    }

    /// The claims that the policy reads, as far as the configuration names them, each once.
    pub fn claims(&self) -> Vec<String> {
        let by_rules = self.rules.iter().flat_map(|rules| &rules.claims);
        let mut claims = Vec::new();
        for path in by_rules.map(|(path, _)| path.to_string()).chain(self.disclosure.names()) {
            if !claims.contains(&path) {
                claims.push(path);
            }
        }
        claims
    }

    /// Rules that let documents without an attribute pass, each with its place in the configuration
    /// and the attribute: a document whose author forgets the attribute is open as far as they go.
    pub fn open_by_absence(&self) -> Vec<(&str, &str)> {
        let rules = self.rules.iter().flat_map(Rules::open_by_absence);
        let open = rules.filter_map(|rule| {
            let attribute = self.schema.attributes().get(rule.attribute)?;
            attribute.is_optional().then(|| (&*rule.place, attribute.name()))
        });
        open.collect()
    }

    /// Names what the policy in force was made of: 16 hexadecimal digits.
    pub fn revision(&self) -> String {
        self.in_force.load().revision.as_str().to_owned()
    }

    /// Why the policy's files, as they are now, are not in force; none when they are.
    pub fn refused(&self) -> Option<String> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn in_force(&self) -> Arc<InForce> {
        self.in_force.load_full()
    }

    /// The labels that a person with these claims may read, of those in the table now.
    ///
    /// A remembered decision is extended by the labels that appeared since.
    ///
    /// # Errors
    /// When an engine that has to decide cannot: then nobody decides, about no label.
    pub async fn decide(
        &self,
        claims: &Claims,
        labels: &LabelTable,
    ) -> Result<Arc<Bailiwick>, Unavailable> {
        self.decide_raw(claims.as_map(), labels).await
    }

    /// The labels that claims which nobody vouches for would open. Nothing can be read with them.
    ///
    /// # Errors
    /// As [`decide`](Self::decide).
    pub async fn suppose(
        &self,
        claims: &Map<String, Json>,
        labels: &LabelTable,
    ) -> Result<BTreeSet<LabelId>, Unavailable> {
        Ok(self.decide_raw(claims, labels).await?.iter().collect())
    }

    pub(crate) async fn decide_raw(
        &self,
        claims: &Map<String, Json>,
        labels: &LabelTable,
    ) -> Result<Arc<Bailiwick>, Unavailable> {
        let in_force = self.in_force();
        let values = self.rules.as_ref().map(|rules| rules.values(claims, &self.schema));
        let told = in_force.engine.as_ref().map(|_| Arc::new(self.disclosure.of(claims)));
        let key = Key::new(labels, &in_force.revision, values, told.as_deref());
        let max_age = in_force.engine.as_ref().and_then(|engine| engine.max_age());
        let entry = self.decisions.entry(&key);
        // Whoever has the same claims waits for the same decision.
        let mut remembered = entry.lock().await;
        let known = remembered.fresh(max_age);
        let known = known.unwrap_or_else(|| Arc::new(Bailiwick::empty(labels, &in_force.revision)));
        if known.decided() == labels.len() {
            return Ok(known);
        }
        let (by_rules, asked) = self.by_rules(&known, &key, labels);
        let allowed = match (&in_force.engine, told) {
            (Some(engine), Some(claims)) if !asked.labels.is_empty() => {
                let schema = Arc::clone(&self.schema);
                Some(engine::ask(&**engine, Question { claims, asked, schema }).await?)
            }
            (Some(_), _) => Some(HashSet::new()),
            (None, _) => None,
        };
        let mut decided = Bailiwick::clone(&known);
        for (id, verdict) in LabelId::onward(known.decided()).zip(by_rules) {
            let also = allowed.as_ref().is_none_or(|allowed| allowed.contains(&id));
            decided.decide_next(verdict && also);
        }
        Ok(remembered.keep(decided))
    }

    /// Whether the rules allow each label that is not decided yet, and the labels that they leave
    /// to an engine.
    fn by_rules(&self, known: &Bailiwick, key: &Key, labels: &LabelTable) -> (Vec<bool>, Asked) {
        let rows = labels.read();
        let new = known.decided()..rows.labels.len();
        let mut allowed = match (&self.rules, key.values()) {
            (Some(rules), Some(values)) => rules.allow(values, &rows, new.clone()),
            _ => vec![true; new.len()],
        };
        let mut open = Vec::new();
        let labels = rows.labels.get(new.clone()).unwrap_or_default();
        for ((id, label), allowed) in LabelId::onward(new.start).zip(labels).zip(&mut allowed) {
            *allowed &= !label.is_quarantine();
            if *allowed && key.asks_engine() {
                open.push((id, label.clone()));
            }
        }
        let codes = |column: &Column| {
            open.iter().filter_map(|(id, _)| column.codes.get(id.place()).copied()).collect()
        };
        let columns = rows.columns.iter().map(codes).collect();
        (allowed, Asked { labels: open.into(), columns })
    }

    /// The question whether these claims may read one label; none where only rules decide.
    pub(crate) fn question(&self, claims: &Map<String, Json>, label: &Label) -> Question {
        Question {
            claims: Arc::new(self.disclosure.of(claims)),
            asked: Asked {
                labels: [(LabelId::from_u32(0), label.clone())].into(),
                columns: self.schema.attributes().iter().map(|_| vec![0]).collect(),
            },
            schema: Arc::clone(&self.schema),
        }
    }

    /// The claims that the policy reads, as they stand in the token, and those that it cannot use.
    pub fn claims_read(&self, claims: &Claims) -> (Map<String, Json>, Vec<String>) {
        let claims = claims.as_map();
        let told = self.in_force.load().engine.is_some().then(|| self.disclosure.of(claims));
        let mut read = told.unwrap_or_default();
        let mut missing = Vec::new();
        let mut look = |path: &ClaimPath, is_usable: bool| match path.find(claims) {
            Some(claim) if is_usable => drop(read.insert(path.to_string(), claim.clone())),
            _ if missing.contains(&path.to_string()) => {}
            _ => missing.push(path.to_string()),
        };
        if let Some(rules) = &self.rules {
            for ((path, _), values) in rules.claims.iter().zip(rules.values(claims, &self.schema)) {
                look(path, values.is_ok());
            }
        }
        for (path, usable) in self.disclosure.listed(claims) {
            look(path, usable.is_ok());
        }
        (read, missing)
    }

    /// Whether claims like these could open any label. They could not when every way through the
    /// rules needs a claim that is missing or unusable.
    pub fn could_open(&self, claims: &Claims) -> bool {
        self.rules
            .as_ref()
            .is_none_or(|rules| rules.could_open(&rules.values(claims.as_map(), &self.schema)))
    }

    /// Puts the policy's files in force as they are now, if they are others and right. What was in
    /// force stays so while they are wrong.
    ///
    /// # Errors
    /// When they are wrong.
    pub fn reload(&self) -> Result<bool, PolicyError> {
        let now = self.in_force();
        let remade = now.engine.as_ref().map_or(Ok(None), |engine| engine.remade());
        let refused = remade.as_ref().err().map(ToString::to_string);
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = refused;
        let Some(engine) = remade? else { return Ok(false) };
        self.in_force.store(Arc::new(InForce::new(&self.config, &self.schema, Some(engine))));
        Ok(true)
    }

    /// Reloads the policy whenever its files change, for as long as somebody else holds it.
    pub async fn follow(policy: Weak<Self>) {
        let mut told = None;
        while let Some(policy) = policy.upgrade() {
            let reloaded =
                tokio::task::spawn_blocking(move || (policy.reload(), policy.revision()));
            match reloaded.await {
                Ok((Ok(true), revision)) => tracing::info!(%revision, "the policy was reloaded"),
                Ok((Err(error), revision)) if told.as_ref() != Some(&error.to_string()) => {
                    tracing::error!(%error, in_force = %revision, "the policy is not reloaded");
                    told = Some(error.to_string());
                }
                Ok((Ok(false), _)) => told = None,
                _ => {}
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl InForce {
    fn new(config: &PolicyConfig, schema: &Schema, engine: Option<Arc<dyn Engine>>) -> Self {
        let source = engine.as_ref().map(|engine| engine.source());
        let revision = Arc::new(Revision::new(config, schema, source));
        Self { engine, revision }
    }
}

#[cfg(test)]
mod tests;
