//! How SQLite goes about the queries that grow with the books: by an index, whatever is in them.

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use crate::{
        domain::settlement::State,
        store::{
            alerts, attention, buyers, episodes, figures, forgetting, job_lists, jobs, letters,
            migrations::migrations,
            settlements::{self, Filter},
            tour,
        },
    };

    fn books() -> Connection {
        let mut conn = Connection::open_in_memory().unwrap();
        migrations::runner().run(&mut conn).unwrap();
        conn
    }

    /// A line per table that is read.
    fn plan(conn: &Connection, sql: &str) -> String {
        let mut query = conn.prepare(&format!("explain query plan {sql}")).unwrap();
        let mut rows = query.raw_query();
        let mut steps: Vec<String> = Vec::new();
        while let Some(row) = rows.next().unwrap() {
            steps.push(row.get(3).unwrap());
        }
        steps.join("\n")
    }

    #[test]
    fn the_lines_of_a_settlement_find_their_adjustments_by_key() {
        let plan = plan(&books(), settlements::LINES);
        assert!(!plan.contains("SCAN"), "{plan}");
        assert!(
            plan.contains("SEARCH a USING INTEGER PRIMARY KEY"),
            "{plan}"
        );
    }

    /// Of ten years a night looks at one day; of orders, at those that name somebody.
    #[test]
    fn whose_time_is_over_comes_off_an_index() {
        let books = books();
        for sql in forgetting::ALL {
            let plan = plan(&books, sql);
            assert!(
                !plan.replace("SCAN json_each", "").contains("SCAN"),
                "{sql}\n{plan}"
            );
            if sql.contains("o.created_at") {
                assert!(plan.contains("COVERING INDEX order_by_buyer"), "{plan}");
            }
        }
    }

    /// Somebody with ten thousand orders reads a page of them.
    #[test]
    fn a_buyers_payments_come_off_the_index_of_their_orders() {
        for after in [false, true] {
            let plan = plan(&books(), &buyers::list_sql(after));
            assert!(!plan.contains("SCAN"), "{plan}");
            assert!(
                plan.contains("SEARCH o USING COVERING INDEX order_by_buyer (buyer=?"),
                "{plan}"
            );
            assert!(
                plan.contains("SEARCH p USING INDEX payment_by_order"),
                "{plan}"
            );
            // Of orders of one moment at most: the whole is never sorted.
            assert!(!plan.contains("USE TEMP B-TREE FOR ORDER BY"), "{plan}");
        }
    }

    #[test]
    fn the_tour_reads_what_happened_since_it_began() {
        for sql in tour::ALL {
            let plan = plan(&books(), sql);
            assert!(
                !plan.contains("SCAN") || plan.contains("SCAN job USING COVERING INDEX job_dead"),
                "{plan}"
            );
        }
    }

    /// Whoever reads them stops after the first few: they must not be sorted before.
    #[test]
    fn jobs_that_are_due_come_in_order_off_their_index() {
        let plan = plan(&books(), jobs::DUE);
        assert_eq!(
            plan,
            "SEARCH job USING COVERING INDEX job_ready (queue=? AND kind=? AND published_at=? AND run_at<?)"
        );
    }

    #[test]
    fn the_settlements_of_a_partner_are_found_by_the_partner() {
        let conn = books();
        let day = || Some("2026-08-06".parse().unwrap());
        for flags in 0..32u8 {
            let is = |bit: u8| flags & (1 << bit) != 0;
            let filter = Filter {
                partner: Some("farm".into()),
                state: is(0).then_some(State::Requested),
                held: is(1),
                carried: is(2),
                from: day().filter(|_| is(3)),
                to: day().filter(|_| is(3)),
            };
            let plan = plan(&conn, &settlements::list_sql(&filter, is(4)));
            assert!(
                plan.contains("SEARCH s USING INDEX settlement_by_partner (partner_id=?"),
                "{filter:?}: {plan}"
            );
            assert!(!plan.contains("TEMP B-TREE"), "{filter:?}: {plan}");
        }
    }

    /// However many were settled: what is held or carried over lies in an index of its own, in order.
    #[test]
    fn settlements_that_wait_are_found_among_those_that_wait() {
        let conn = books();
        for flags in 0..16u8 {
            let is = |bit: u8| flags & (1 << bit) != 0;
            let day = || Some("2026-08-06".parse().unwrap());
            for (held, carried, index) in [
                (true, false, "settlement_held"),
                (false, true, "settlement_carried"),
                (true, true, "settlement_carried"),
            ] {
                let filter = Filter {
                    state: is(0).then_some(State::Requested),
                    held,
                    carried,
                    from: day().filter(|_| is(1)),
                    to: day().filter(|_| is(2)),
                    ..Filter::default()
                };
                for sql in [
                    settlements::list_sql(&filter, is(3)),
                    settlements::count_sql(&filter),
                ] {
                    let plan = plan(&conn, &sql);
                    assert!(
                        plan.contains(&format!("s USING INDEX {index}")),
                        "{filter:?}: {plan}"
                    );
                    assert!(!plan.contains("TEMP B-TREE"), "{filter:?}: {plan}");
                }
            }
        }
        let oldest = plan(&conn, &settlements::carried_over_sql());
        assert!(
            oldest.contains("SCAN settlement USING INDEX settlement_carried"),
            "{oldest}"
        );
        assert!(
            oldest.contains("SEARCH s USING INTEGER PRIMARY KEY"),
            "{oldest}"
        );
        // A step of an index per day.
        let days = plan(&conn, settlements::OPEN_DAYS);
        assert!(
            days.contains("SEARCH m USING PRIMARY KEY (day>? AND day<?)"),
            "{days}"
        );
        assert!(!days.contains("SCAN m"), "{days}");
    }

    /// They name their index: SQLite refuses such a query if it cannot use it.
    #[test]
    fn what_is_due_is_found_by_its_day() {
        let (conn, day) = (books(), "2026-08-06".parse().unwrap());
        settlements::due_by_partner(&conn, day).unwrap();
        settlements::due_sum(&conn, day).unwrap();
        settlements::due_by_day(&conn, day, day).unwrap();
        settlements::overdue(&conn, day).unwrap();
        settlements::with_payout_day(&conn).unwrap();
    }

    /// Of each alert, at every look at the page, and at every message.
    #[test]
    fn the_messages_of_an_episode_are_found_by_it() {
        let conn = books();
        for sql in [
            format!("select m.id from {} where a.id = 1", alerts::FROM),
            episodes::SPEAKS.into(),
            episodes::MOST_FREQUENT.into(),
            episodes::NEWEST.into(),
        ] {
            let plan = plan(&conn, &sql);
            assert!(
                plan.contains("USING INDEX alert_by_episode (episode_id=? AND role=?")
                    || plan
                        .contains("USING COVERING INDEX alert_by_episode (episode_id=? AND role=?"),
                "{plan}"
            );
            assert!(
                !plan.contains("SCAN a") && !plan.contains("SCAN j"),
                "{plan}"
            );
        }
    }

    /// No list of jobs, and nothing that a search reads, walks the table; none sorts what may be long.
    #[test]
    fn jobs_are_listed_and_found_by_an_index_whatever_their_state() {
        let conn = books();
        for (sql, index) in [
            (job_lists::dead_sql(false), "job_dead (id<?"),
            (job_lists::oldest_dead_sql(false), "job_dead (id<?"),
            (job_lists::count_dead_sql(false), "job_dead (id<?"),
            (
                job_lists::dead_sql(true),
                "job_dead_by_kind (kind=? AND id<?",
            ),
            (
                job_lists::oldest_dead_sql(true),
                "job_dead_by_kind (kind=? AND id<?",
            ),
            (
                job_lists::count_dead_sql(true),
                "job_dead_by_kind (kind=? AND id<?",
            ),
            (
                letters::OF_CANCEL.into(),
                "SEARCH c USING PRIMARY KEY (id=?",
            ),
            (
                letters::OF_MESSAGE.into(),
                "SEARCH i USING INTEGER PRIMARY KEY (rowid=?",
            ),
            (
                letters::LINES.into(),
                "SEARCH order_line USING PRIMARY KEY (merchant_uid=?",
            ),
            (
                job_lists::ready_sql(),
                "job_ready (queue=? AND kind=? AND published_at=? AND run_at>? AND run_at<?",
            ),
            (job_lists::sent_sql(), "job_ready (queue=? AND kind=? AND "),
            (job_lists::done_sql(), "job_done (kind=? AND finished_at<?"),
            (
                job_lists::cancelled_sql(),
                "job_cancelled (kind=? AND finished_at<?",
            ),
            (job_lists::failed_sql(), "job_ready (queue=? AND kind=?"),
            (
                job_lists::failed_sent_sql(),
                "job_ready (queue=? AND kind=? AND published_at>?",
            ),
            (job_lists::NEXT_DONE.into(), "job_done (kind>?"),
            (job_lists::NEXT_CANCELLED.into(), "job_cancelled (kind>?"),
            (job_lists::OF_MESSAGES.into(), "inbox_by_payment (imp_uid=?"),
            (job_lists::OF_CANCELS.into(), "(payment_id=?"),
            (
                job_lists::OF_ORDER.into(),
                "payment_by_order (merchant_uid=?",
            ),
        ] {
            let plan = plan(&conn, &sql);
            assert!(plan.contains(index), "{sql}: {plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{sql}: {plan}");
            let walks = plan
                .lines()
                .any(|step| step.starts_with("SCAN") && !step.contains("subquery"));
            assert!(!walks, "{sql}: {plan}");
        }
        // As many rows as run at once: they are sorted.
        let running = plan(&conn, &job_lists::running_sql());
        assert!(running.contains("job_running (lease_until>?"), "{running}");
        let counted = plan(&conn, job_lists::NEXT_COUNTED);
        assert!(
            counted.contains("SEARCH job_minute USING PRIMARY KEY (kind>?"),
            "{counted}"
        );
    }

    /// The home counts what waits by indexes that hold nothing else, whatever else is in the tables.
    #[test]
    fn what_waits_is_counted_without_reading_the_rest() {
        let conn = books();
        let figures = [figures::OWED, figures::HOURS].map(str::to_owned);
        for sql in attention::queries().into_iter().chain(figures) {
            let plan = plan(&conn, &sql);
            for step in plan.lines().filter(|step| step.starts_with("SCAN")) {
                let kept_short = [
                    "approval_waiting",
                    "cancellation_open",
                    "settlement_failed",
                    "settlement_held",
                    "settlement_owed",
                ];
                let short = kept_short.iter().any(|index| step.ends_with(index));
                let subquery = step.contains("subquery");
                assert!(short || subquery, "{sql}: {plan}");
            }
            assert!(!plan.contains("TEMP B-TREE"), "{sql}: {plan}");
        }
        for (sql, index) in [
            (
                attention::DEAD.to_owned(),
                "c USING COVERING INDEX cancellation_open (job_id=?",
            ),
            (
                attention::DEAD.to_owned(),
                "j USING COVERING INDEX job_dead_by_kind (kind=?",
            ),
            (
                attention::unknown_sql(),
                "USING COVERING INDEX cancellation_open",
            ),
            (
                attention::unknown_sql(),
                "cancel_attempt_unknown (cancellation_id=?",
            ),
        ] {
            let plan = plan(&conn, &sql);
            assert!(plan.contains(index), "{index}: {plan}");
        }
        let open = format!("select a.id from {} where {}", alerts::FROM, alerts::OPEN);
        let plan = plan(&conn, &open);
        assert!(plan.contains("alert_open (kind=? AND id<?"), "{plan}");
    }
}
