#![doc = include_str!("../README.md")]

mod bailiwick;
mod bounds;
mod cases;
mod claim;
mod condition;
mod explain;
mod label;
mod narrow;
mod oversight;
mod policy;
mod revision;
mod rules;
mod schema;
mod value;

pub use bailiwick::Bailiwick;
pub use bounds::{Bounds, BoundsError, Ceiling};
pub use cases::{Case, CaseResult, Cases, Expected};
pub use claim::ClaimPath;
pub use explain::{Explanation, Step};
pub use label::{Label, LabelId, LabelTable};
pub use narrow::{Narrowing, NarrowingError};
pub use oversight::{AdminRule, Oversight};
pub use policy::{Policy, PolicyError};
pub use rules::{Absent, GroupConfig, MemberConfig, PolicyConfig, RuleConfig, RulesError};
pub use schema::{Attribute, AttributeConfig, LabelError, Schema, SchemaError};
