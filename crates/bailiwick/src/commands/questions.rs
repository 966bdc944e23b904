//! `bailiwick policy view-as`, `explain`, `diff` and `who`: what administrators ask.
//!
//! Invariant: where there is an audit trail, a question is on it before it is answered.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use bailiwick_authority::Audit;
use bailiwick_authority::audit::{Event, Kind, Outcome};
use bailiwick_index::{DocumentId, Survey};
use bailiwick_policy::{
    AttributeConfig, Class, Difference, Label, LabelDocuments, Policy, PolicyConfig, Reach,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::cli::{Which, Whose};
use crate::commands::ingest::OPERATOR;
use crate::commands::policy::{cases, object, told};
use crate::config::Config;
use crate::{print, toml_file};

/// How many documents a sample names.
const SAMPLE: usize = 10;

/// A file that holds a policy, and perhaps a whole configuration.
#[derive(Deserialize)]
struct PolicyFile {
    #[serde(default)]
    policy: PolicyConfig,
    #[serde(default, rename = "attribute")]
    attributes: Vec<AttributeConfig>,
}

pub(crate) async fn view_as(
    policy: &Policy,
    whose: &Whose,
    config: &Config,
    as_json: bool,
) -> Result<()> {
    let asked = Asked::of(config, "view-as".to_owned()).await?;
    let claims = asked.claims(whose)?;
    let survey = survey(policy, config)?;
    let mut opened = policy.suppose(&claims, survey.labels()).await.map_err(told)?;
    // A label without documents shows nobody anything.
    opened.retain(|label| survey.documents().contains_key(label));
    let sample = survey.sample(&opened, SAMPLE)?;
    let extent = Reach::of(opened, survey.labels(), survey.documents(), policy.schema());
    if as_json {
        return print::json(&json!({ "opened": extent, "sample": sample }));
    }
    print::line(format!("{} documents under {} labels", extent.documents, extent.labels))?;
    for LabelDocuments { attributes, documents } in &extent.listed {
        print::line(format!("  {attributes}  {documents} documents"))?;
    }
    sample.iter().try_for_each(|id| print::line(format!("  such as {id}")))
}

pub(crate) async fn explain(
    policy: &Policy,
    whose: &Whose,
    which: &Which,
    config: &Config,
    as_json: bool,
) -> Result<()> {
    let asked = Asked::of(config, format!("explain{}", named(which))).await?;
    let (claims, label) = (asked.claims(whose)?, label(policy, which, config)?);
    let explanation = policy.explain(&claims, &label).await.map_err(told)?;
    if as_json { print::json(&explanation) } else { print::line(explanation) }
}

pub(crate) async fn who(
    policy: &Policy,
    which: &Which,
    tables: &[PathBuf],
    config: &Config,
    as_json: bool,
) -> Result<()> {
    let asked = Asked::of(config, format!("who{}", named(which))).await?;
    let (classes, label) = (asked.classes(tables)?, label(policy, which, config)?);
    let may = policy.who(&label, &classes).await.map_err(told)?;
    let may: Vec<&Class> = may.into_iter().filter_map(|place| classes.get(place)).collect();
    if as_json {
        let label = policy.schema().describe(&label);
        return print::json(&json!({ "label": label, "known": classes.len(), "classes": may }));
    }
    print::line(format!("{} of {} known classes of claims", may.len(), classes.len()))?;
    may.iter().try_for_each(|class| {
        print::line(format!("  {}  {}", class.name, Value::Object(class.claims.clone())))
    })
}

/// Exits as `diff` does: 0 nothing changes, 1 something does, 2 it could not be said.
pub(crate) async fn diff(
    policy: &Policy,
    policies: &[PathBuf],
    tables: &[PathBuf],
    config: &Config,
    as_json: bool,
) -> ExitCode {
    match changes(policy, policies, tables, config, as_json).await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(1),
        Err(error) => {
            // Nothing is left to do when even standard error is closed.
            let _ = std::io::stderr().write_all(print::failure(&error).as_bytes());
            ExitCode::from(2)
        }
    }
}

/// Prints what changes, and counts for how many classes something does.
async fn changes(
    policy: &Policy,
    policies: &[PathBuf],
    tables: &[PathBuf],
    config: &Config,
    as_json: bool,
) -> Result<usize> {
    let read = policies.iter().map(|file| other(policy, file, config));
    let read = read.collect::<Result<Vec<_>>>()?;
    let (before, after) = match read.as_slice() {
        [after] => (policy, after),
        [before, after] => (before, after),
        _ => bail!("name one policy or two"),
    };
    let names = format!("diff {} {}", before.revision(), after.revision());
    let asked = Asked::of(config, names).await?;
    let classes = asked.classes(tables)?;
    if classes.is_empty() {
        bail!(
            "nobody has come with claims yet, so nothing can be compared; name some with --cases"
        );
    }
    let survey = survey(policy, config)?;
    for table in tables {
        // A document that makes no label is refused, whatever the policy.
        let labels = cases(table)?.case.into_iter();
        labels.filter_map(|case| policy.schema().label_of_new(&case.document).ok()).for_each(
            |label| {
                survey.labels().intern(&label);
            },
        );
    }
    let difference =
        Difference::between(before, after, &classes, survey.labels(), survey.documents())
            .await
            .map_err(told)?;
    if as_json {
        print::json(&difference)?
    } else {
        print::line(&difference)?
    }
    Ok(difference.changed.len())
}

/// The policy of another file, over the same attributes.
fn other(policy: &Policy, file: &Path, config: &Config) -> Result<Policy> {
    let name = file.display();
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {name}"))?;
    let file: PolicyFile = toml_file::parse(&text, file)?;
    let is_same = format!("{:?}", file.attributes) == format!("{:?}", config.attributes);
    if !file.attributes.is_empty() && !is_same {
        bail!("{name} has other attributes than the configuration, so labels cannot be compared");
    }
    Policy::new(&file.policy, policy.schema().clone()).with_context(|| name.to_string())
}

fn survey(policy: &Policy, config: &Config) -> Result<Survey> {
    Ok(Survey::open(&config.data_dir.join("index"), policy.schema())?)
}

fn named(which: &Which) -> String {
    which.document_id.as_ref().map_or_else(String::new, |id| format!(" document={id:?}"))
}

fn label(policy: &Policy, which: &Which, config: &Config) -> Result<Label> {
    let Some(id) = &which.document_id else {
        let document = object(which.document.as_deref().unwrap_or_default());
        let document = document.context("--document")?;
        return policy.schema().label_of_new(&document).context("the document would be refused");
    };
    let survey = survey(policy, config)?;
    let number =
        survey.label_of(&DocumentId::new(id).map_err(|why| anyhow!("--document-id: {why}"))?)?;
    number
        .and_then(|number| survey.labels().label(number))
        .with_context(|| format!("no document is called {id:?}"))
}

/// A question that is on record, with the trail that it is on. Where no trail is, there is nothing
/// that a question could tell, and none is made.
struct Asked(Option<Audit>);

impl Asked {
    async fn of(config: &Config, detail: String) -> Result<Self> {
        if !config.data_dir.join("audit.db").exists() {
            return Ok(Self(None));
        }
        let audit = Audit::open(&config.data_dir)?;
        let mut event = Event::new(Kind::Admin, Outcome::Ok).with_detail(detail);
        event.subject = Some(OPERATOR.into());
        audit.record(event).await?;
        Ok(Self(Some(audit)))
    }

    /// The claims that people came with, and those of tables of cases.
    fn classes(&self, tables: &[PathBuf]) -> Result<Vec<Class>> {
        let known = self.0.as_ref().map(Audit::known_claims).transpose()?.unwrap_or_default();
        let known = known.into_iter();
        let mut classes: Vec<Class> = known
            .map(|known| Class::from_read(known.digest, &known.claims.said, &known.claims.missing))
            .collect();
        for table in tables {
            classes.extend(cases(table)?.classes());
        }
        Ok(classes)
    }

    fn claims(&self, whose: &Whose) -> Result<Map<String, Value>> {
        let Some(digest) = &whose.class else {
            return object(whose.claims.as_deref().unwrap_or_default()).context("--claims");
        };
        let known = self.classes(&[])?.into_iter().find(|class| class.name == *digest);
        Ok(known.with_context(|| format!("the audit trail knows no claims {digest:?}"))?.claims)
    }
}
