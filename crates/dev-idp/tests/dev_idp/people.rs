//! The list of people.

use bailiwick_dev_idp::{PeopleError, parse_people};

fn people(id: &str, claims: &str) -> String {
    let fields = "name = \"A\"\nemail = \"a@acme.example\"\nabout = \"a\"";
    format!("[[person]]\nid = \"{id}\"\n{fields}\n[person.claims]\n{claims}\n")
}

#[test]
fn the_provider_alone_sets_the_registered_claims() {
    for claim in ["sub", "iss", "aud", "exp", "scope", "nonce"] {
        let error = parse_people(&people("a", &format!("{claim} = \"x\""))).unwrap_err();
        assert!(matches!(error, PeopleError::ReservedClaim { .. }), "{error}");
        assert!(error.to_string().contains(claim));
    }
}

#[test]
fn ids_are_plain_and_each_is_there_once() {
    for id in ["", "a b", "<b>", "a'b", "ü", &"a".repeat(65)] {
        assert_eq!(parse_people(&people(id, "")).unwrap_err(), PeopleError::Id(id.to_owned()));
    }
    let twice = people("a", "") + &people("a", "");
    assert_eq!(parse_people(&twice).unwrap_err(), PeopleError::Twice("a".to_owned()));
}

#[test]
fn a_misspelt_key_is_an_error_that_names_it() {
    let error = parse_people(&people("a", "").replace("email", "mail")).unwrap_err();
    assert!(error.to_string().contains("mail"), "{error}");
}
