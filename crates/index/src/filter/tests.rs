use bailiwick_policy::AttributeConfig;
use serde_json::json;

use super::*;

fn schema() -> Schema {
    let attributes: Vec<AttributeConfig> = serde_json::from_value(json!([
        { "name": "clearance", "type": "level", "levels": ["Public", "Internal", "Secret"] },
    ]))
    .unwrap();
    Schema::new(&attributes).unwrap()
}

fn group(filters: Json) -> Result<Filter, FilterError> {
    Filter::new(&json!({ "filters": filters }), &schema())
}

fn test(operator: &str, value: Json) -> Filter {
    group(json!([{ "key": "k", "operator": operator, "value": value }])).unwrap()
}

#[test]
fn what_cannot_be_understood_is_an_error() {
    let one =
        |operator: &str, value: Json| json!([{ "key": "k", "operator": operator, "value": value }]);
    for (filters, problem) in [
        (json!([]), "filters: an empty group"),
        (json!([{ "filters": [] }]), "filters[0]: an empty group"),
        (one("~", json!(1)), "filters[0]: operator `~` is unknown"),
        (one("==", Json::Null), "for absence use is_empty"),
        (one("==", json!(true)), "neither a text nor a number"),
        (one("==", json!(["a"])), "neither a text nor a number"),
        (one("in", json!("a")), "is not a list"),
        (one("nin", json!([])), "is not a list"),
        (one("any", json!(["a", 1])), "mixes types"),
        (one("<=", json!("10")), "only numbers and declared levels have an order"),
        (one("text_match", json!(1)), "is not a text"),
        (json!([{ "operator": "==", "value": 1 }]), "names no `key`"),
        (json!([{ "key": "clearance", "operator": ">", "value": "Top" }]), "not one of Public"),
    ] {
        let error = group(filters).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
    let unknown = json!({ "filters": [{ "key": "k", "value": 1 }], "condition": "xor" });
    assert!(Filter::new(&unknown, &schema()).is_err());
}

#[test]
fn a_filter_that_goes_on_for_ever_is_an_error() {
    let mut deep = json!({ "filters": [{ "key": "k", "value": 1 }] });
    for _ in 0..MAX_DEPTH {
        deep = json!({ "filters": [deep] });
    }
    assert!(Filter::new(&deep, &schema()).unwrap_err().to_string().contains("nested deeper"));
    let wide = vec![json!({ "key": "k", "value": 1 }); MAX_TESTS + 1];
    assert!(group(json!(wide)).unwrap_err().to_string().contains("more than 1000 conditions"));
}

#[test]
fn numbers_are_compared_without_rounding() {
    let matches = |operator: &str, value: Json, found: Json| {
        test(operator, value).matches(json!({ "k": found }).as_object().unwrap())
    };
    assert!(matches("==", json!(3.0), json!(3)));
    assert!(matches("==", json!(1), json!(true)));
    // 2^53 + 1 has no f64.
    assert!(!matches("==", json!(9_007_199_254_740_992.0), json!(9_007_199_254_740_993_u64)));
    assert!(matches("<", json!(9_007_199_254_740_993_u64), json!(9_007_199_254_740_992.0)));
    assert!(matches(">", json!(-3), json!(-2.5)) && !matches(">", json!(-2), json!(-2.5)));
    assert!(
        matches("<", json!(u64::MAX), json!(1e18)) && matches(">", json!(u64::MAX), json!(1e300))
    );
}

#[test]
fn levels_are_compared_by_rank() {
    let filter =
        group(json!([{ "key": "clearance", "operator": "<=", "value": "Internal" }])).unwrap();
    let matches = |found: Json| filter.matches(json!({ "clearance": found }).as_object().unwrap());
    assert!(matches(json!("Public")) && matches(json!(2)) && matches(json!("Internal")));
    assert!(!matches(json!("Secret")) && !matches(json!("Unheard")) && !matches(Json::Null));
}
