//! Agents and delegations; revocation across processes; damaged files.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bailiwick_authority::{
    Audit, Authentication, Authority, AuthorityConfig, AuthorityError, DatabaseError,
    DelegationRequest, TokenError,
};

use super::{CLI, House, allow, claims, config, issue, open};

#[tokio::test]
async fn names_that_are_no_path_segments_are_refused() {
    let house = House::new();
    let long = "a".repeat(64);
    let hostile = [
        "",
        "-a",
        "A",
        "a b",
        "a/b",
        "../root",
        "x/../../user/root",
        "%2e",
        "a.b",
        "ä",
        "a\n",
        &long,
    ];
    for name in hostile {
        let made = house.authority.create_agent(name, Authentication::ClientId, &CLI).await;
        assert!(matches!(made, Err(AuthorityError::AgentName)), "{name:?}");
    }
    assert!(house.authority.list_agents().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_name_is_never_given_twice() {
    let house = House::new();
    house.agent("reader", &["read:records"]).await;
    house.authority.revoke_agent("reader", &CLI).await.unwrap();
    let again = house.authority.create_agent("reader", Authentication::ClientId, &CLI).await;
    assert!(matches!(again, Err(AuthorityError::AgentExists(_))));
    let revived = house.authority.delegate("reader", allow(&["read:records"]), &CLI).await;
    assert!(matches!(revived, Err(AuthorityError::AgentRevoked(_))));
}

#[tokio::test]
async fn impossible_delegations_are_refused() {
    let house = House::new();
    house.authority.create_agent("reader", Authentication::ClientId, &CLI).await.unwrap();
    for permission in
        ["*", "admin", "read:", ":records", "Read:records", "read:a b", "read:a\r\nx:y"]
    {
        let made = house.authority.delegate("reader", allow(&[permission]), &CLI).await;
        assert!(matches!(made, Err(AuthorityError::Scope(_))), "{permission:?}");
    }
    for ttl in [0, 1801, 1_000_000_000_000, u64::MAX] {
        let request = DelegationRequest { ttl_seconds: Some(ttl), ..allow(&["read:records"]) };
        let made = house.authority.delegate("reader", request, &CLI).await;
        assert!(matches!(made, Err(AuthorityError::Ttl { longest: 1800 })), "{ttl}");
    }
    for audience in ["*", "", "a b", "https://*.example"] {
        let request =
            DelegationRequest { audience: vec![audience.into()], ..allow(&["read:records"]) };
        let made = house.authority.delegate("reader", request, &CLI).await;
        assert!(matches!(made, Err(AuthorityError::Audience)), "{audience:?}");
    }
    assert!(house.authority.delegations("reader").await.unwrap().is_empty());
}

#[tokio::test]
async fn revocation_is_in_force_at_the_next_request_of_another_process() {
    let house = House::new();
    let (other, _audit) = open(house.path());
    let agent = house.agent("reader", &["read:records"]).await;
    let token = issue(&other, &agent, None).await.unwrap().token().to_owned();
    assert!(house.authority.authenticate(&token, None).await.is_ok());

    other.revoke_agent("reader", &CLI).await.unwrap();
    let refused = house.authority.authenticate(&token, None).await.unwrap_err();
    assert!(matches!(refused, TokenError::Invalid));
    assert_eq!(issue(&house.authority, &agent, None).await.unwrap_err().status(), 401);
    assert_eq!(house.authority.list_agents().await.unwrap()[0].name, "reader");
}

#[tokio::test]
async fn a_later_delegation_narrows_old_tokens_and_never_revives_revoked_ones() {
    let house = House::new();
    let agent = house.agent("reader", &["read:records", "read:metrics"]).await;
    let token = house.token(&agent).await;

    house
        .authority
        .delegate("reader", allow(&["read:metrics", "write:documents"]), &CLI)
        .await
        .unwrap();
    let grant = house.authority.authenticate(&token, None).await.unwrap();
    assert!(grant.require("read:metrics").is_ok());
    assert!(grant.require("read:records").is_err(), "taken away");
    assert!(grant.require("write:documents").is_err(), "never in the token");

    house.authority.revoke_delegation("reader", &CLI).await.unwrap();
    assert!(house.authority.authenticate(&token, None).await.is_err());
    assert_eq!(issue(&house.authority, &agent, None).await.unwrap_err().status(), 404);
    house.authority.delegate("reader", allow(&["read:metrics"]), &CLI).await.unwrap();
    assert!(house.authority.authenticate(&token, None).await.is_err(), "revoked for good");
    assert!(house.authority.authenticate(&house.token(&agent).await, None).await.is_ok());
    assert_eq!(house.authority.delegations("reader").await.unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_read_succeeds_that_starts_after_a_revocation_returned() {
    let house = House::new();
    let agent = house.agent("reader", &["read:records"]).await;
    let token = house.token(&agent).await;
    let revoked = Arc::new(AtomicBool::new(false));
    let mut readers = Vec::new();
    for _ in 0..8 {
        let (authority, token, revoked) =
            (house.authority.clone(), token.clone(), Arc::clone(&revoked));
        readers.push(tokio::spawn(async move {
            for _ in 0..125 {
                let started_after = revoked.load(Ordering::SeqCst);
                let opened = authority.authenticate(&token, None).await.is_ok();
                assert!(!(started_after && opened));
            }
        }));
    }
    tokio::task::yield_now().await;
    house.authority.revoke_agent("reader", &CLI).await.unwrap();
    revoked.store(true, Ordering::SeqCst);
    for reader in readers {
        reader.await.unwrap();
    }
    assert!(house.authority.authenticate(&token, None).await.is_err());
}

#[tokio::test]
async fn everything_outlasts_a_restart() {
    let house = House::new();
    let agent = house.agent("reader", &["read:records"]).await;
    let kept = house.token(&agent).await;
    let House { directory, authority, audit, .. } = house;
    drop((authority, audit));
    let (authority, _audit) = open(directory.path());
    assert!(authority.authenticate(&kept, None).await.is_ok());
    let again = issue(&authority, &agent, None).await.unwrap();
    let (old, new) = (claims(&kept), claims(again.token()));
    assert_ne!(old["jti"], new["jti"]);
    assert_eq!(old["sub"], new["sub"]);
}

#[tokio::test]
async fn files_are_their_owners_alone() {
    let house = House::new();
    house.agent("reader", &["read:records"]).await;
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(house.path()), 0o700);
    assert_eq!(mode(&house.path().join("keys")), 0o700);
    let mut files = 0;
    for directory in [house.path().to_owned(), house.path().join("keys")] {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                assert_eq!(mode(&path), 0o600, "{}", path.display());
                files += 1;
            }
        }
    }
    assert!(files >= 3);
}

#[tokio::test]
async fn damaged_files_are_named_and_left_alone() {
    for name in ["authority.db", "audit.db"] {
        let House { directory, authority, audit, .. } = House::new();
        drop((authority, audit));
        // The writer thread closes its file a moment after the last handle is gone.
        std::thread::sleep(std::time::Duration::from_millis(300));
        for suffix in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(directory.path().join(format!("{name}{suffix}")));
        }
        let path = directory.path().join(name);
        let garbage = vec![b'x'; 8192];
        std::fs::write(&path, &garbage).unwrap();
        let error = reopened(directory.path()).expect_err("a corrupt file was opened");
        assert!(error.contains(name) && error.contains("corrupt"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), garbage);

        std::fs::write(&path, b"").unwrap();
        let error = reopened(directory.path()).expect_err("an emptied file was opened");
        assert!(error.contains(name) && error.contains("missing or empty"), "{error}");
    }
}

fn reopened(directory: &std::path::Path) -> Result<(), String> {
    let audit = Audit::open(directory).map_err(|e| e.to_string())?;
    Authority::open(directory, config(), Arc::new(audit)).map_err(|e| e.to_string())?;
    Ok(())
}

#[tokio::test]
async fn a_database_of_a_newer_release_is_refused() {
    let house = House::new();
    let path = house.path().join("authority.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    let opened = Authority::open(house.path(), config(), Arc::clone(&house.audit));
    let Err(AuthorityError::Database(DatabaseError::Newer { found: 99, .. })) = opened else {
        panic!("{opened:?}");
    };
}

#[test]
fn impossible_configurations_name_the_key() {
    let good: AuthorityConfig =
        toml::from_str("issuer = \"https://rag.acme.example\"\ntrust_domain = \"acme.example\"")
            .unwrap();
    assert_eq!((good.token_ttl_seconds, good.audience()), (1800, "https://rag.acme.example"));
    good.validate().unwrap();

    let change = |f: &dyn Fn(&mut AuthorityConfig)| {
        let mut config = good.clone();
        f(&mut config);
        config.validate().unwrap_err().to_string()
    };
    for issuer in [
        "",
        "acme",
        "http://acme.example",
        "https://a.example/",
        "https://a.example?x",
        "https://u@a.example",
        "ftp://a.example",
    ] {
        assert!(change(&|c| c.issuer = issuer.into()).contains("issuer"), "{issuer}");
    }
    for domain in ["", "Acme.example", "acme.example/x", "spiffe://acme.example", "a:1"] {
        assert!(change(&|c| c.trust_domain = domain.into()).contains("trust_domain"), "{domain}");
    }
    for ttl in [0, 1801] {
        assert!(change(&|c| c.token_ttl_seconds = ttl).contains("token_ttl_seconds"));
    }
    assert!(
        toml::from_str::<AuthorityConfig>("issuer = 'x'\ntrust_domain = 'y'\nttl = 1").is_err()
    );
}
