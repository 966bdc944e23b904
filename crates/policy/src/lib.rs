#![doc = include_str!("../README.md")]

mod bailiwick;
mod bounds;
mod cases;
mod claim;
mod columns;
mod condition;
mod decisions;
mod diff;
mod disclosure;
mod engine;
mod explain;
mod label;
mod narrow;
mod oversight;
mod policy;
mod revision;
mod rules;
mod schema;
mod value;
mod wait;

pub use bailiwick::Bailiwick;
pub use bounds::{Bounds, BoundsError, Ceiling};
pub use cases::{Case, CaseResult, Cases, Expected};
pub use claim::ClaimPath;
pub use diff::{Change, Class, ClassChange, Difference, LabelDocuments, Reach};
pub use engine::Unavailable;
pub use engine::rego::{RegoConfig, RegoTest, RegoTexts, serve_proposed_rego};
pub use engine::remote::RemoteConfig;
pub use explain::{Explanation, Step};
pub use label::{Label, LabelId, LabelTable};
pub use narrow::{Narrowing, NarrowingError};
pub use oversight::{AdminRule, Oversight};
pub use policy::{Policy, PolicyError};
pub use rules::{Absent, GroupConfig, MemberConfig, PolicyConfig, RuleConfig, RulesError};
pub use schema::{Attribute, AttributeConfig, LabelError, Schema, SchemaError, meant_name};
pub use wait::wait;
