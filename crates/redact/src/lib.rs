#![doc = include_str!("../README.md")]

use std::fmt::Display;

/// Beginnings of serde's messages that quote a value, up to the value (`serde::de::Error`).
const QUOTING: [&str; 3] = ["invalid type: ", "invalid value: ", "unknown variant "];

/// What follows the value. The text behind it comes from a program and never holds one of these,
/// so that the last one is the right one, whatever the value holds.
const ENDS: [&str; 2] = [", expected ", ", there are no variants"];

/// The message of a parser that is built on serde, without the value that it quotes.
///
/// The place, the kind of value and what was expected stay, and so do the names of keys.
pub fn without_values(error: impl Display) -> String {
    let message = error.to_string();
    let quoting = QUOTING.iter().filter_map(|start| {
        let (before, after) = message.split_once(start)?;
        Some((before, start, after))
    });
    let Some((before, start, after)) = quoting.min_by_key(|(before, ..)| before.len()) else {
        return message;
    };
    let split = ENDS.iter().filter_map(|end| Some((after.rsplit_once(end)?, end)));
    let (value, end, expected) = match split.max_by_key(|((value, _), _)| value.len()) {
        Some(((value, expected), end)) => (value, *end, expected),
        None => (after, "", ""),
    };
    let start = start.trim_end_matches([':', ' ']);
    let kind = kind(value).map(|kind| format!(": {kind}")).unwrap_or_default();
    format!("{before}{start}{kind}{end}{expected}")
}

/// What serde calls the kind of value that it quotes: ``string "…"``, ``integer `7` `` or `map`.
fn kind(unexpected: &str) -> Option<&str> {
    let kind = unexpected.split(['"', '`']).next()?.trim();
    let is_kind = |kind: &str| kind.chars().all(|c| c.is_ascii_lowercase() || c == ' ');
    (!kind.is_empty() && is_kind(kind)).then_some(kind)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;
    use serde::de::DeserializeOwned;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "lowercase")]
    enum Provider {
        Static,
        OpenAi,
    }

    #[derive(Debug, Deserialize)]
    enum Nothing {}

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "it is only deserialized")]
    struct Config {
        top_k: Option<u8>,
        provider: Option<Provider>,
        names: Option<Vec<String>>,
        ratio: Option<f32>,
        initial: Option<char>,
        flag: Option<bool>,
    }

    fn json<T: DeserializeOwned + std::fmt::Debug>(text: &str) -> String {
        without_values(serde_json::from_str::<T>(text).unwrap_err())
    }

    fn toml(text: &str) -> String {
        without_values(toml::from_str::<Config>(text).unwrap_err().message())
    }

    fn yaml(text: &str) -> String {
        without_values(serde_norway::from_str::<Config>(text).unwrap_err())
    }

    #[test]
    fn the_place_the_kind_and_what_is_expected_stay() {
        for (message, expected) in [
            (toml("top_k = \"sk-secret\""), "invalid type: string, expected u8"),
            (toml("top_k = 4711"), "invalid value: integer, expected u8"),
            (toml("flag = 1.5"), "invalid type: floating point, expected a boolean"),
            (toml("names = 47.11"), "invalid type: floating point, expected a sequence"),
            (toml("names = true"), "invalid type: boolean, expected a sequence"),
            (toml("initial = \"sk-secret\""), "invalid value: string, expected a character"),
            (toml("provider = \"sk-secret\""), "unknown variant, expected `static` or `openai`"),
            (json::<Nothing>("\"sk-secret\""), "unknown variant, there are no variants"),
            (
                json::<Config>("{\"top_k\": \"sk-secret\"}"),
                "invalid type: string, expected u8 at line 1 column 21",
            ),
            (
                yaml("top_k: sk-secret"),
                "top_k: invalid type: string, expected u8 at line 1 column 8",
            ),
            (json::<Config>("[]"), "invalid length 0, expected struct Config with 6 elements"),
        ] {
            assert!(message.starts_with(expected), "{message:?} is not {expected:?}");
        }
    }

    #[test]
    fn names_of_keys_and_mistakes_of_form_stay_as_they_are() {
        assert!(toml("topk = 5").contains("unknown field `topk`, expected one of `top_k`"));
        assert_eq!(json::<Config>("{"), "EOF while parsing an object at line 1 column 1");
    }

    proptest! {
        #[test]
        fn nothing_of_a_value_is_left(
            before in "(, expected |`|\"|invalid type: |unknown variant `|, there are no variants)*",
            after in "(, expected `|`|\"|\n| at line 1 column 2|, expected u8)*",
        ) {
            let value = serde_json::json!(format!("{before}SECRET{after}"));
            let errors = [
                serde_json::from_value::<u8>(value.clone()).unwrap_err(),
                serde_json::from_value::<Provider>(value.clone()).unwrap_err(),
                serde_json::from_value::<Nothing>(value.clone()).unwrap_err(),
                serde_json::from_str::<char>(&value.to_string()).unwrap_err(),
            ];
            for error in errors {
                prop_assert!(!without_values(&error).contains("SECRET"), "{error}");
            }
        }
    }
}
