//! What a label is made of.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use thiserror::Error;

use crate::label::Label;
use crate::value::{Held, Kind, MAX_VALUES, Scalar};

mod names;

use names::Names;
pub use names::meant_name;

/// One `[[attribute]]` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AttributeConfig {
    /// The metadata key under which documents carry it.
    pub name: String,
    /// `keyword`, `integer` or `level`.
    #[serde(rename = "type")]
    pub kind: String,
    /// For `level`: the names, low to high. The numbers 1 to n mean the same.
    #[serde(default)]
    pub levels: Vec<String>,
    /// For `level`: other spellings, such as `RESTRICTED = "Restricted"`. Default: none, because
    /// an unknown spelling must not be guessed.
    #[serde(default)]
    pub aliases: BTreeMap<String, String>,
    /// Whether a document may lack it. Default: no, and such a document is refused.
    #[serde(default)]
    pub optional: bool,
    /// Whether it holds a list. Default: no.
    #[serde(default)]
    pub multiple: bool,
    /// Other metadata keys or record fields that carry it, tried in order after `name`.
    #[serde(default)]
    pub from: Vec<String>,
    /// Metadata keys that look like this attribute's name and mean something else. Default: none,
    /// and such a key is refused as a slip.
    #[serde(default)]
    pub distinct_from: Vec<String>,
}

/// One security property of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    name: Box<str>,
    sources: Vec<Box<str>>,
    pub(crate) kind: Kind,
    pub(crate) optional: bool,
    pub(crate) multiple: bool,
}

impl Attribute {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `keyword`, `integer` or `level`.
    pub fn kind(&self) -> &'static str {
        match self.kind {
            Kind::Keyword => "keyword",
            Kind::Integer => "integer",
            Kind::Level { .. } => "level",
        }
    }

    /// For a `level` the names, low to high.
    pub fn levels(&self) -> Vec<&str> {
        match &self.kind {
            Kind::Level { names, .. } => names.iter().map(AsRef::as_ref).collect(),
            _ => Vec::new(),
        }
    }

    /// For a `level` the rank of one of its names, aliases or numbers, 1 for the lowest.
    pub fn rank(&self, json: &Json) -> Option<u16> {
        match self.kind.scalar(json) {
            Some(Scalar::Level(rank)) => Some(rank),
            _ => None,
        }
    }

    /// Whether a document may lack it.
    pub fn is_optional(&self) -> bool {
        self.optional
    }

    /// Whether it holds a list.
    pub fn is_multiple(&self) -> bool {
        self.multiple
    }

    /// The metadata keys and record fields that carry it: its name, then its configured `from`.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&*self.name).chain(self.sources.iter().map(AsRef::as_ref))
    }

    /// What a document says of it, under the first of its names that says anything.
    fn said<'a>(&self, metadata: &'a Map<String, Json>) -> Option<&'a Json> {
        self.sources().filter_map(|source| metadata.get(source)).find(|said| !said.is_null())
    }

    /// Reads what a document holds; `Ok(None)` when it holds nothing.
    fn held(&self, json: &Json) -> Result<Option<Held>, String> {
        match json {
            Json::Null => Ok(None),
            Json::Array(values) if !self.multiple => Err(format!(
                "holds a list of {}; only an attribute with `multiple = true` may",
                values.len()
            )),
            // "Shared with nobody" must not pass for "not restricted" where `absent` allows.
            Json::Array(values) if values.is_empty() => {
                Err("holds an empty list; leave it out, or name at least one value".into())
            }
            Json::Array(values) if values.len() > MAX_VALUES => {
                Err(format!("holds more than {MAX_VALUES} values"))
            }
            Json::Array(values) => {
                let values: BTreeSet<Scalar> =
                    values.iter().map(|value| self.scalar(value)).collect::<Result<_, _>>()?;
                Ok(Some(Held::Many(values.into_iter().collect())))
            }
            value if self.multiple => Ok(Some(Held::Many([self.scalar(value)?].into()))),
            value => Ok(Some(Held::One(self.scalar(value)?))),
        }
    }

    /// What a document holds, as its owner would write it.
    pub(crate) fn json(&self, held: &Held) -> Json {
        match held {
            Held::One(value) => self.kind.json(value),
            Held::Many(values) => values.iter().map(|value| self.kind.json(value)).collect(),
        }
    }

    /// One of its values, as text.
    pub(crate) fn text(&self, value: &Scalar) -> String {
        match self.kind.json(value) {
            Json::String(text) => text,
            other => other.to_string(),
        }
    }

    fn scalar(&self, json: &Json) -> Result<Scalar, String> {
        self.kind.scalar(json).ok_or_else(|| match &self.kind {
            Kind::Keyword => format!("holds {json}, which is not a non-empty text"),
            Kind::Integer => format!("holds {json}, which is not an integer"),
            Kind::Level { names, .. } => {
                format!("holds {json}, which is not one of {}", names.join(", "))
            }
        })
    }
}

/// The attributes that make a label, in the order of the configuration.
#[derive(Clone, PartialEq, Eq)]
pub struct Schema {
    attributes: Vec<Attribute>,
    names: Names,
    configured: Vec<AttributeConfig>,
}

/// What makes a label and nothing else: the index labels all documents again when this changes.
impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema").field("attributes", &self.attributes).finish()
    }
}

/// Why the `[[attribute]]` tables make no schema.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// There is none.
    #[error("no [[attribute]] is configured; without one no document can be labelled")]
    Empty,
    /// One of them is wrong.
    #[error("attribute `{name}`: {problem}")]
    Attribute {
        /// Its name.
        name: String,
        /// What is wrong, and what would be right.
        problem: String,
    },
}

/// Why a document has no label, and therefore is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LabelError {
    /// A required attribute is not there.
    #[error("attribute `{attribute}` is missing; add it, or make it `optional` in the schema")]
    Missing {
        /// Its name.
        attribute: String,
    },
    /// An attribute holds what its type does not allow.
    #[error("attribute `{attribute}` {problem}")]
    Invalid {
        /// Its name.
        attribute: String,
        /// What it holds, and what would be right.
        problem: String,
    },
    /// A metadata key looks like an attribute's name.
    #[error(
        "its metadata has the key `{key}`; did you mean `{meant}`? If `{key}` is something else, list it in the attribute's `distinct_from`"
    )]
    Misspelt {
        /// The key, escaped and shortened.
        key: String,
        /// The attribute's name.
        meant: String,
    },
    /// An attribute stands in an object within the metadata, where it labels nothing.
    #[error("`{key}` stands in a `metadata` object within its metadata; write `{meant}` beside it")]
    Wrapped {
        /// The key, escaped and shortened.
        key: String,
        /// The attribute's name.
        meant: String,
    },
}

impl Schema {
    /// Makes the schema of a configuration.
    ///
    /// # Errors
    /// When an attribute is named twice, has an unknown type, or levels that do not fit it.
    pub fn new(configured: &[AttributeConfig]) -> Result<Self, SchemaError> {
        if configured.is_empty() {
            return Err(SchemaError::Empty);
        }
        let mut seen = BTreeSet::new();
        let attributes = configured
            .iter()
            .map(|config| {
                attribute(config, &mut seen).map_err(|problem| SchemaError::Attribute {
                    name: config.name.clone(),
                    problem,
                })
            })
            .collect::<Result<_, _>>()?;
        let names = Names::new(configured)
            .map_err(|(name, problem)| SchemaError::Attribute { name, problem })?;
        Ok(Self { attributes, names, configured: configured.to_vec() })
    }

    /// The attributes, in the order of the configuration.
    pub fn attributes(&self) -> &[Attribute] {
        &self.attributes
    }

    pub(crate) fn find(&self, name: &str) -> Option<(usize, &Attribute)> {
        self.attributes.iter().enumerate().find(|(_, attribute)| &*attribute.name == name)
    }

    /// The configuration that this schema was made of.
    pub(crate) fn configured(&self) -> &[AttributeConfig] {
        &self.configured
    }

    /// Whether documents carry an attribute under this name.
    pub fn has_name(&self, name: &str) -> bool {
        self.names.is_known(name)
    }

    /// The attribute's name for which this one is most likely a slip: one that is equal but for
    /// case, separators and accents, or one edit away, two from twelve letters on.
    pub fn meant_by(&self, name: &str) -> Option<&str> {
        self.names.meant_by(name)
    }

    /// Names that this schema knows, in words: it is the same text as long as
    /// [`meant_by`](Self::meant_by) gives the same answers.
    pub fn names(&self) -> String {
        format!("{:?}", self.names)
    }

    /// Checks a name that must be an attribute's.
    ///
    /// # Errors
    /// When no attribute has it; the text says which are known, or which was probably meant.
    pub fn check_name(&self, name: &str) -> Result<(), String> {
        if self.has_name(name) {
            return Ok(());
        }
        let shown = names::shown(name);
        Err(match self.meant_by(name) {
            Some(meant) => format!("`{shown}` is no attribute; did you mean `{meant}`?"),
            None => {
                let known: Vec<_> = self.attributes.iter().map(Attribute::name).collect();
                format!("`{shown}` is no attribute; the attributes are {}", known.join(", "))
            }
        })
    }

    /// Checks that no metadata key looks like an attribute's name without being one: it would
    /// label nothing, and the document could be read by more people than its author thinks.
    ///
    /// # Errors
    /// [`LabelError::Misspelt`] or [`LabelError::Wrapped`] with the first such key.
    pub fn check_keys(&self, metadata: &Map<String, Json>) -> Result<(), LabelError> {
        self.names.check(metadata)
    }

    /// The label of a document that comes in with this metadata.
    ///
    /// # Errors
    /// As [`check_keys`](Self::check_keys) and [`label`](Self::label).
    pub fn label_of_new(&self, metadata: &Map<String, Json>) -> Result<Label, LabelError> {
        self.check_keys(metadata)?;
        self.label(metadata)
    }

    /// Lays what the nearer source says over what the farther one says. An attribute that the nearer
    /// names, by any of its names, is the nearer's alone; a null says nothing of an attribute.
    pub fn overlay(&self, farther: &mut Map<String, Json>, mut nearer: Map<String, Json>) {
        for attribute in &self.attributes {
            let is_said = attribute.said(&nearer).is_some();
            for name in attribute.sources() {
                if is_said {
                    farther.remove(name);
                }
                if nearer.get(name).is_some_and(Json::is_null) {
                    nearer.remove(name);
                }
            }
        }
        farther.extend(nearer);
    }

    /// The label of a stored document with this metadata. One that comes in has
    /// [`label_of_new`](Self::label_of_new).
    ///
    /// # Errors
    /// When a required attribute is missing or any attribute holds what its type does not allow.
    pub fn label(&self, metadata: &Map<String, Json>) -> Result<Label, LabelError> {
        let values = self.attributes.iter().map(|attribute| {
            let said = attribute.said(metadata).unwrap_or(&Json::Null);
            let held = attribute.held(said).map_err(|problem| LabelError::Invalid {
                attribute: attribute.name().to_owned(),
                problem,
            })?;
            if held.is_none() && !attribute.optional {
                return Err(LabelError::Missing { attribute: attribute.name().to_owned() });
            }
            Ok(held)
        });
        Ok(Label::of(values.collect::<Result<_, _>>()?))
    }

    /// The label of a stored document whose `former` label, [described](Self::describe), another
    /// schema made.
    ///
    /// A number meant the level of that rank then, so that level's name counts in its place: a
    /// level that is added, removed or moved does not lower a document.
    ///
    /// # Errors
    /// As [`label`](Self::label), and when nobody knows any more what a rank meant.
    pub fn label_again(
        &self,
        metadata: &Map<String, Json>,
        former: &Json,
    ) -> Result<Label, LabelError> {
        let mut named = metadata.clone();
        for attribute in &self.attributes {
            let Some(rank) = attribute.said(metadata).filter(|said| is_number(said)) else {
                continue;
            };
            let is_level = matches!(attribute.kind, Kind::Level { .. });
            match attribute.sources().find_map(|source| former.get(source)) {
                Some(meant) => drop(named.insert(attribute.name().to_owned(), meant.clone())),
                None if is_level && former.is_null() => {
                    let problem = format!("holds the rank {rank} among levels of another schema");
                    let attribute = attribute.name().to_owned();
                    return Err(LabelError::Invalid { attribute, problem });
                }
                None => {}
            }
        }
        // What was quarantined for a slip stays there.
        if former.is_null() { self.label_of_new(&named) } else { self.label(&named) }
    }

    /// The label in words: attribute names and values, `null` for quarantine.
    pub fn describe(&self, label: &Label) -> Json {
        let Some(values) = label.values() else {
            return Json::Null;
        };
        let mut described = Map::new();
        for (attribute, held) in self.attributes.iter().zip(values) {
            let Some(held) = held else { continue };
            described.insert(attribute.name.to_string(), attribute.json(held));
        }
        Json::Object(described)
    }

    /// The least label that is as secret as all of `labels`: the highest of ordered attributes,
    /// and every value of the others, sorted (Denning's lattice, doi:10.1145/360051.360056).
    pub fn least_upper_bound<'a>(&self, labels: impl IntoIterator<Item = &'a Label>) -> Json {
        let mut joined: Vec<BTreeSet<&Scalar>> = vec![BTreeSet::new(); self.attributes.len()];
        for values in labels.into_iter().filter_map(Label::values) {
            for (bound, held) in joined.iter_mut().zip(values) {
                bound.extend(held.iter().flat_map(Held::as_slice));
            }
        }
        let bound = self.attributes.iter().zip(joined).filter(|(_, values)| !values.is_empty());
        bound
            .map(|(attribute, values)| {
                let json = match values.last() {
                    Some(highest) if attribute.kind.is_ordered() => attribute.kind.json(highest),
                    _ => values.iter().map(|value| attribute.kind.json(value)).collect(),
                };
                (attribute.name.to_string(), json)
            })
            .collect::<Map<_, _>>()
            .into()
    }
}

/// Whether this is a number, or digits, or a list with one of them.
fn is_number(json: &Json) -> bool {
    match json {
        Json::Number(_) => true,
        Json::String(text) => text.parse::<i64>().is_ok(),
        Json::Array(values) => values.iter().any(is_number),
        _ => false,
    }
}

fn attribute(config: &AttributeConfig, seen: &mut BTreeSet<String>) -> Result<Attribute, String> {
    if config.name.is_empty() || config.name.starts_with('/') {
        return Err("a name must not be empty or start with `/`".into());
    }
    for name in std::iter::once(&config.name).chain(&config.from) {
        if !seen.insert(name.clone()) {
            return Err(format!("`{name}` already names an attribute"));
        }
    }
    let kind = match config.kind.as_str() {
        "keyword" => Kind::Keyword,
        "integer" => Kind::Integer,
        "level" => level(config)?,
        _ => return Err("type: write one of keyword, integer, level".into()),
    };
    let names_levels = !config.levels.is_empty() || !config.aliases.is_empty();
    if names_levels && !matches!(kind, Kind::Level { .. }) {
        return Err("only an attribute of type `level` has `levels` and `aliases`".into());
    }
    Ok(Attribute {
        name: config.name.as_str().into(),
        sources: config.from.iter().map(|source| source.as_str().into()).collect(),
        kind,
        optional: config.optional,
        multiple: config.multiple,
    })
}

fn level(config: &AttributeConfig) -> Result<Kind, String> {
    if config.levels.is_empty() || config.levels.len() > usize::from(u16::MAX) {
        return Err("type `level` needs `levels`, the names from low to high".into());
    }
    let mut spellings = BTreeSet::new();
    for name in config.levels.iter().chain(config.aliases.keys()) {
        if name.is_empty() || name.parse::<i64>().is_ok() {
            return Err(format!("level name `{name}` must be a word, because numbers are ranks"));
        }
        if !spellings.insert(name) {
            return Err(format!("level name `{name}` appears twice"));
        }
    }
    let rank = |name: &String| config.levels.iter().position(|level| level == name);
    let aliases = config.aliases.iter().map(|(alias, name)| {
        let place = rank(name).ok_or(format!("alias `{alias}` names no level: `{name}`"))?;
        let rank = u16::try_from(place + 1).map_err(|_| "too many levels".to_owned())?;
        Ok((alias.as_str().into(), rank))
    });
    Ok(Kind::Level {
        aliases: aliases.collect::<Result<_, String>>()?,
        names: config.levels.iter().map(|name| name.as_str().into()).collect(),
    })
}
