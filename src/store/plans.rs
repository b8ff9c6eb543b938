//! How SQLite goes about the queries that grow with the books: by an index, whatever is in them.

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use crate::{
        domain::settlement::State,
        store::{
            jobs,
            migrations::migrations,
            settlements::{self, Filter},
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

    /// They name their index: SQLite refuses such a query if it cannot use it.
    #[test]
    fn what_is_due_is_found_by_its_day() {
        let (conn, day) = (books(), "2026-08-06".parse().unwrap());
        settlements::due(&conn, day).unwrap();
        settlements::due_by_day(&conn, day, day).unwrap();
        settlements::with_payout_day(&conn).unwrap();
    }
}
