//! The file: durable, private, copied whole, and honest when the disk is not.

use std::time::Duration;

use jeongsan::store::{StoreError, admin, backup, books};
use rusqlite::Connection;

use crate::support::TestApp;

#[tokio::test]
async fn many_writers_at_once_lose_nothing_and_each_is_on_disk_when_answered() {
    let app = TestApp::start().await;
    let store = app.app().web.ctx.store.clone();
    let writes = (0..500).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            store
                .write(move |tx| admin::set(tx, &format!("k{n}"), "v"))
                .await
                .unwrap();
        })
    });
    for write in writes.collect::<Vec<_>>() {
        write.await.unwrap();
    }
    assert_eq!(
        app.sql::<i64>("select count(*) from setting where key like 'k%'"),
        500
    );
}

#[tokio::test]
async fn a_failed_write_among_others_in_one_commit_undoes_only_itself() {
    let app = TestApp::start().await;
    let store = app.app().web.ctx.store.clone();
    let good = |n: i64| store.write(move |tx| admin::set(tx, &format!("k{n}"), "v"));
    let bad = store.write(|tx| {
        admin::set(tx, "bad", "v")?;
        tx.conn().execute(
            "insert into payment_partner (partner_id, at, payment_id) values ('nobody', 0, 0)",
            [],
        )?;
        Ok::<_, StoreError>(())
    });
    let (a, bad, b) = tokio::join!(good(1), bad, good(2));
    a.unwrap();
    b.unwrap();
    assert!(matches!(bad, Err(StoreError::Rule(_))), "{bad:?}");
    assert_eq!(
        app.sql::<i64>("select count(*) from setting where key in ('k1', 'k2', 'bad')"),
        2
    );
}

#[tokio::test]
async fn a_broken_rule_is_told_by_its_name() {
    let app = TestApp::start().await;
    app.paid("ord-1", 1_000).await;
    let store = &app.app().web.ctx.store;
    for (sql, rule) in [
        (
            "update payment set cancelled = 2000",
            "payment_cancelled_within_amount",
        ),
        (
            "update payment set status = 'CANCELED'",
            "payment_canceled_iff_nothing_left",
        ),
        (
            "update payment set status = 'CANCEL_REQUESTED'",
            "payment_wish_iff_cancelling",
        ),
        ("update event set kind = 'x'", "event_is_never_changed"),
        ("delete from event", "event_is_never_removed"),
    ] {
        let refused = store
            .write(move |tx| {
                tx.conn().execute(sql, [])?;
                Ok::<_, StoreError>(())
            })
            .await;
        let Err(StoreError::Rule(name)) = refused else {
            panic!("{sql}: {refused:?}")
        };
        assert_eq!(name, rule);
    }
}

#[tokio::test]
async fn every_connection_that_writes_syncs_fully() {
    let app = TestApp::start().await;
    let store = &app.app().web.ctx.store;
    let (sync, journal, foreign) = store
        .write(|tx| {
            let get = |name: &str| {
                tx.conn().query_row(&format!("pragma {name}"), [], |row| {
                    row.get::<_, rusqlite::types::Value>(0)
                })
            };
            Ok::<_, StoreError>((
                get("synchronous")?,
                get("journal_mode")?,
                get("foreign_keys")?,
            ))
        })
        .await
        .unwrap();
    assert_eq!(sync, rusqlite::types::Value::Integer(2), "FULL");
    assert_eq!(journal, rusqlite::types::Value::Text("wal".into()));
    assert_eq!(foreign, rusqlite::types::Value::Integer(1));
    assert!(
        rusqlite::version_number() >= 3_051_003,
        "the WAL-reset fault is mended"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn only_the_owner_can_read_the_books() {
    use std::os::unix::fs::PermissionsExt;
    let app = TestApp::start().await;
    let mode =
        |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(app.dir()), 0o700);
    assert_eq!(mode(&app.database()), 0o600);
}

#[tokio::test]
async fn a_backup_made_under_load_is_whole_and_overwrites_nothing() {
    let app = TestApp::start().await;
    for n in 0..20 {
        app.paid(&format!("ord-{n}"), 1_000).await;
    }
    let to = app.dir().join("backup.sqlite3");
    let (database, path) = (app.database(), to.clone());
    let copy = tokio::task::spawn_blocking(move || backup::write(&database, &path));
    for n in 20..40 {
        app.paid(&format!("ord-{n}"), 1_000).await;
    }
    copy.await.unwrap().unwrap();
    let conn = Connection::open(&to).unwrap();
    assert_eq!(books::check(&conn).unwrap(), []);
    let count: i64 = conn
        .query_row("select count(*) from payment", [], |row| row.get(0))
        .unwrap();
    assert!(
        count >= 20,
        "{count}: what was acknowledged before it began is in it"
    );
    let again = backup::write(&app.database(), &to);
    assert!(again.unwrap_err().to_string().contains("exists already"));
}

#[tokio::test]
async fn a_writer_from_outside_delays_and_loses_nothing() {
    let app = TestApp::start().await;
    let conn = Connection::open(app.database()).unwrap();
    conn.execute_batch("begin immediate").unwrap();
    let imp_uid = app.charge("ord-1", 1_000);
    let told = app.webhook(&imp_uid, "ord-1", "paid");
    let release = async {
        tokio::time::sleep(Duration::from_millis(600)).await;
        conn.execute_batch("commit").unwrap();
    };
    let (answer, ()) = tokio::join!(told, release);
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    let mut app = TestApp::start().await;
    app.shut_down().await;
    let conn = Connection::open(app.database()).unwrap();
    conn.execute(
        "insert into refinery_schema_history (version, name, applied_on, checksum) values (9999, 'future', '2027-01-01T00:00:00Z', '1')",
        [],
    )
    .unwrap();
    let Err(refused) = jeongsan::store::Store::open(app.dir(), Default::default()) else {
        panic!("it was opened");
    };
    assert!(refused.to_string().contains("newer jeongsan"), "{refused}");
    conn.execute(
        "delete from refinery_schema_history where version = 9999",
        [],
    )
    .unwrap();
}

#[tokio::test]
async fn the_check_finds_what_is_broken() {
    let app = TestApp::start().await;
    let imp_uid = app.paid("ord-1", 9_000).await;
    app.cancel(&imp_uid, Some(3_000)).await;
    let copy = app.dir().join("broken.sqlite3");
    for (break_it, rule) in [
        (
            "update payment set cancelled = 4000",
            "cancelled_is_the_sum_of_done_cancellations",
        ),
        (
            "update cancellation set amount = 1",
            "cancelled_is_the_sum_of_done_cancellations",
        ),
        (
            "update cancellation set state = 'REQUESTED', gateway_key = null, finished_at = null",
            "an_open_cancellation_is_its_payments_wish",
        ),
        (
            "update inbox set verdict = null, verdict_at = null",
            "a_message_without_verdict_has_a_live_job",
        ),
        (
            "delete from payment_partner",
            "every_payment_is_owed_to_somebody",
        ),
        (
            "insert into event (payment_id, at, kind, actor, from_status, to_status) values (1, 0, 'x', 'y', 'READY', 'PAID')",
            "events_lead_to_the_present_state",
        ),
    ] {
        let _ = std::fs::remove_file(&copy);
        backup::write(&app.database(), &copy).unwrap();
        let conn = Connection::open(&copy).unwrap();
        assert_eq!(books::check(&conn).unwrap(), [], "sound before");
        conn.execute(break_it, []).unwrap();
        let broken = books::check(&conn).unwrap();
        assert!(
            broken.iter().any(|b| b.rule == rule),
            "{break_it}: {broken:?}"
        );
    }
}
