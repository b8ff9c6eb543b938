//! The books' invariants, as queries over everything. `jeongsan verify` and every test run them.
//!
//! The schema already forbids what can be said of one row. Here is what spans rows and tables.

use rusqlite::Connection;
use serde::Serialize;

use super::{StoreError, audit, replay};

/// A rule that the books break, with a few of the rows that break it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Broken {
    pub rule: &'static str,
    /// What it means, for a person.
    pub meaning: &'static str,
    pub rows: Vec<String>,
}

struct Rule {
    name: &'static str,
    meaning: &'static str,
    /// Gives a text for each row that breaks the rule.
    sql: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        name: "cancelled_is_the_sum_of_done_cancellations",
        meaning: "what a payment says went back is what its cancellations gave back",
        sql: "select p.imp_uid || ': ' || p.cancelled || ' won, its cancellations ' ||
                     coalesce((select sum(amount) from cancellation c where c.payment_id = p.id and c.state = 'DONE'), 0)
                from payment p
               where p.cancelled <> coalesce((select sum(amount) from cancellation c
                                               where c.payment_id = p.id and c.state = 'DONE'), 0)",
    },
    Rule {
        name: "a_wish_is_an_open_cancellation_of_its_payment",
        meaning: "a payment that is being cancelled, or failed to be, names the cancellation that is open",
        sql: "select p.imp_uid || ': ' || p.status || ', cancellation ' || coalesce(c.state, 'missing')
                from payment p left join cancellation c on c.id = p.wish and c.payment_id = p.id
               where (p.status = 'CANCEL_REQUESTED' and c.state is not 'REQUESTED')
                  or (p.status = 'CANCEL_FAILED' and c.state is not 'DEAD')",
    },
    Rule {
        name: "an_open_cancellation_is_its_payments_wish",
        meaning: "no cancellation is open that its payment does not know of",
        sql: "select c.id || ': ' || c.state from cancellation c join payment p on p.id = c.payment_id
               where c.state in ('REQUESTED', 'DEAD') and p.wish is not c.id",
    },
    Rule {
        name: "a_requested_cancellation_has_a_live_job",
        meaning: "every cancellation that is under way has a job that will carry it out",
        sql: "select c.id from cancellation c
               where c.state = 'REQUESTED'
                 and not exists (select 1 from job j where j.unique_key = 'cancel:' || c.id
                                    and j.state in ('ready', 'running'))",
    },
    Rule {
        name: "a_dead_cancellation_has_a_dead_letter",
        meaning: "every cancellation that waits for a person is in the list of dead letters",
        sql: "select c.id from cancellation c
               where c.state = 'DEAD'
                 and not exists (select 1 from job j where j.unique_key = 'cancel:' || c.id and j.state = 'dead')",
    },
    Rule {
        name: "a_dead_letter_of_a_cancellation_is_a_dead_cancellation",
        meaning: "no dead letter promises a cancellation that is settled otherwise",
        sql: "select 'job ' || j.id || ': ' || coalesce(c.state, 'no cancellation') from job j
                left join cancellation c on 'cancel:' || c.id = j.unique_key
               where j.kind = 'retry_cancel' and j.state = 'dead' and c.state is not 'DEAD'",
    },
    Rule {
        name: "a_message_without_verdict_has_a_live_job",
        meaning: "every message that PortOne has not been asked about will be",
        sql: "select 'message ' || i.id from inbox i
               where i.verdict is null
                 and i.id not in (select payload ->> '$.inbox_id' from job
                                   where state = 'ready' and kind = 'confirm_payment'
                                  union all
                                  select payload ->> '$.inbox_id' from job
                                   where state = 'running' and kind = 'confirm_payment')",
    },
    Rule {
        name: "events_lead_to_the_present_state",
        meaning: "a payment's last change of state ends where the payment is, and each begins where the one before ended",
        sql: "select imp_uid || ': ' || trail from (
                  select p.imp_uid, p.status, group_concat(e.from_status || '>' || e.to_status, ' ') as trail,
                         (select to_status from event l where l.payment_id = p.id and l.to_status is not null
                           order by l.id desc limit 1) as last,
                         sum(e.from_status is not (select b.to_status from event b
                              where b.payment_id = p.id and b.id < e.id and b.to_status is not null
                              order by b.id desc limit 1)) as jumps
                    from payment p left join event e on e.payment_id = p.id and e.to_status is not null
                   group by p.id)
               where last is not status or jumps > 0",
    },
    Rule {
        name: "order_lines_come_to_the_amount",
        meaning: "an order's lines add up to what the buyer is to pay",
        sql: "select o.merchant_uid from merchant_order o
               where o.amount <> (select coalesce(sum(amount), 0) from order_line l
                                   where l.merchant_uid = o.merchant_uid)",
    },
    Rule {
        name: "one_payment_pays_an_order",
        meaning: "of two payments for one registered order, one is held",
        sql: "select p.merchant_uid from payment p join merchant_order o using (merchant_uid)
               where p.hold is null and p.status in ('PAID', 'CANCEL_REQUESTED', 'PARTIAL_CANCELED', 'CANCEL_FAILED')
               group by p.merchant_uid having count(*) > 1",
    },
    Rule {
        name: "a_payment_that_fits_has_the_orders_amount",
        meaning: "a payment with another amount than its order's is held",
        sql: "select p.imp_uid from payment p join merchant_order o using (merchant_uid)
               where p.hold is null and p.status not in ('READY', 'FAILED') and p.amount <> o.amount",
    },
    Rule {
        name: "every_payment_is_owed_to_somebody",
        meaning: "each payment has at least one partner",
        sql: "select imp_uid from payment p
               where not exists (select 1 from payment_partner o where o.payment_id = p.id)",
    },
    Rule {
        name: "movements_lead_to_what_is_left",
        meaning: "what a payment's movements come to is what the buyer paid and did not get back; nothing of one that is held or unpaid",
        // Payments of before there were movements get theirs at the first settlement. Not by the index: its
        // rows lie all over the table.
        sql: "select imp_uid || ': ' || want || ' won, its movements ' || have from (
                  select p.imp_uid, coalesce(m.won, 0) as have,
                         iif(p.hold is null and p.status not in ('READY', 'FAILED'), p.amount - p.cancelled, 0) as want
                    from payment p left join (
                         select payment_id, sum(order_after - order_before - discount_after + discount_before) as won
                           from movement where kind <> 'ADJUSTMENT' group by +payment_id) m on m.payment_id = p.id
                   where p.id > coalesce((select cast(value as integer) from setting
                                           where key = 'movements_missing_until'), 0))
               where have <> want",
    },
    Rule {
        name: "an_adjustment_is_one_movement",
        meaning: "each correction by hand counts once, with its amount",
        sql: "select 'adjustment ' || a.id || ': ' || a.amount || ' won, its movements ' || coalesce(m.won, 0)
                from adjustment a left join (
                     select cause, partner_id, count(*) as many, sum(adjustment) as won from movement
                      where kind = 'ADJUSTMENT' group by cause, partner_id) m
                     on m.cause = 'a' || a.id and m.partner_id = a.partner_id
               where m.many is not 1 or m.won <> a.amount",
    },
    Rule {
        name: "a_finished_day_has_a_settlement_for_each_partner",
        meaning: "a day that was settled without a partner left out has a settlement for each that is owed something",
        sql: "select distinct m.day || ' ' || m.partner_id from settlement_day d cross join movement m on m.day = d.day
               where d.finished_at is not null and d.blocked = 0
                 and not exists (select 1 from settlement s where s.partner_id = m.partner_id and s.day = m.day)",
    },
    Rule {
        name: "a_settlement_is_of_a_closed_day",
        meaning: "nothing can be added to a day of which a settlement exists",
        sql: "select 'settlement ' || id || ': ' || day from settlement
               where day not in (select day from settlement_day)",
    },
    Rule {
        name: "carried_in_is_what_was_netted",
        meaning: "what a settlement carries in is the sum of the negative ones that were netted in it, of the same partner",
        sql: "select 'settlement ' || s.id || ': ' || s.carried_in || ' won, netted ' || coalesce(sum(f.net), 0)
                from settlement s left join settlement f on f.carried_into = s.id
               group by s.id
              having s.carried_in <> coalesce(sum(f.net), 0) or max(f.net) >= 0
                  or sum(f.partner_id <> s.partner_id) > 0",
    },
    Rule {
        name: "a_chain_completes_with_what_covers_it",
        meaning: "a negative settlement is completed if, and only if, the one that it was netted in is",
        sql: "select 'settlement ' || f.id || ': ' || f.state || ', netted in ' || coalesce(i.id || ', ' || i.state, 'none')
                from settlement f left join settlement i on i.id = f.carried_into
               where f.net < 0 and (f.state = 'COMPLETED') <> (i.state is 'COMPLETED')",
    },
    Rule {
        name: "a_payout_is_the_sum_of_its_settlements",
        meaning: "a transfer is for its settlements, each with what it comes to, of the same partner",
        sql: "select 'payout ' || o.id || ': ' || o.gross || ' won, its settlements ' || coalesce(sum(s.net), 0)
                from payout o left join payout_settlement x on x.payout_id = o.id
                     left join settlement s on s.id = x.settlement_id
               group by o.id
              having o.gross is not sum(x.amount) or sum(x.amount is not s.net) > 0
                  or sum(s.partner_id is not o.partner_id) > 0",
    },
    Rule {
        name: "a_payout_and_its_settlements_stand_alike",
        meaning: "settlements of a paid transfer are COMPLETED, of a waiting one PROCESSING; what was refused or called off lets go of them",
        sql: "select 'payout ' || o.id || ': ' || o.state || ', settlement ' || s.id || ': ' || s.state
                from payout o join payout_settlement x on x.payout_id = o.id join settlement s on s.id = x.settlement_id
               where x.live <> (o.state in ('WAITING', 'PAID'))
                  or (o.state = 'PAID' and s.state <> 'COMPLETED') or (o.state = 'WAITING' and s.state <> 'PROCESSING')",
    },
    Rule {
        name: "what_is_being_paid_is_in_a_payout",
        meaning: "a settlement that is PROCESSING waits in one transfer, one that is COMPLETED was paid by one",
        sql: "select 'settlement ' || s.id || ': ' || s.state from settlement s
               where (s.state = 'PROCESSING' or (s.state = 'COMPLETED' and s.net > 0))
                 and 1 <> (select count(*) from payout_settlement x join payout o on o.id = x.payout_id
                            where x.settlement_id = s.id and x.live = 1
                              and o.state = iif(s.state = 'PROCESSING', 'WAITING', 'PAID'))",
    },
    Rule {
        name: "an_open_batch_waits_for_something",
        meaning: "a payout batch is open as long as a transfer of it waits",
        sql: "select 'batch ' || b.id || ': ' || b.state from payout_batch b
               where (b.state = 'OPEN') <> exists (select 1 from payout o where o.batch_id = b.id and o.state = 'WAITING')",
    },
    Rule {
        name: "an_adjustment_that_was_approved_has_its_approval",
        meaning: "what was booked by an approval is what was approved, by whom it says, and nothing of it is missing",
        sql: "select 'approval ' || coalesce(p.id, a.approval_id) || ': ' || coalesce(p.state, 'missing') || ', ' || count(a.id)
                     || ' adjustments'
                from approval p full join adjustment a on a.approval_id = p.id
               where p.kind is not 'payout' and (a.id is null or a.approval_id is not null)
                 and (p.id is not null or a.approval_id is not null)
               group by coalesce(p.id, a.approval_id)
              having (p.state is 'APPROVED') <> (count(a.id) > 0)
                  or (count(a.id) > 0 and (count(a.id) <> json_array_length(p.rows)
                      or sum(abs(a.amount)) <> p.amount or sum(a.approved_by is not p.decided_by) > 0
                      or sum(a.created_by is not p.made_by) > 0))",
    },
    Rule {
        name: "what_was_paid_was_approved",
        meaning: "no transfer of a batch that needs a second person is decided by the bank unless the last word on it is an approval",
        sql: "select 'payout ' || o.id || ': ' || o.state || ', approval ' || a.id || ': ' || a.state
                from approval a join payout o on 'payout:' || o.batch_id = a.subject
               where a.kind = 'payout' and o.state in ('PAID', 'FAILED')
                 and not exists (select 1 from approval y where y.subject = a.subject and y.state = 'APPROVED')",
    },
    Rule {
        name: "what_waits_for_approval_is_open",
        meaning: "a batch that waits for a second person is open: nothing is asked for that is over",
        sql: "select 'approval ' || a.id || ': ' || coalesce(b.state, 'no batch') from approval a
                left join payout_batch b on 'payout:' || b.id = a.subject
               where a.kind = 'payout' and a.state = 'WAITING' and b.state is not 'OPEN'",
    },
    Rule {
        name: "every_won_of_a_partner_is_in_one_place",
        meaning: "what a partner earned is paid, open, or a negative sum that waits",
        sql: "select s.partner_id || ': earned ' || sum(s.net - s.carried_in) || ', paid '
                     || coalesce(p.paid, 0) || ', open and carried '
                     || sum(iif(s.state <> 'COMPLETED' and (s.net >= 0 or s.carried_into is null), s.net, 0))
                from settlement s left join (select partner_id, sum(gross) as paid from payout where state = 'PAID'
                                              group by partner_id) p on p.partner_id = s.partner_id
               group by s.partner_id
              having sum(s.net - s.carried_in) <> coalesce(p.paid, 0)
                     + sum(iif(s.state <> 'COMPLETED' and (s.net >= 0 or s.carried_into is null), s.net, 0))",
    },
    Rule {
        name: "the_figures_of_an_hour_are_what_happened_in_it",
        meaning: "what the home says of an hour is the sum of its payments, cancels, orders and payouts",
        sql: "select 'hour ' || hour || ': payments ' || sum(paid) || ' (' || sum(paid_won) || ' won), failed ' || sum(failed)
                     || ', cancels ' || sum(cancels) || ' (' || sum(cancelled_won) || ' won), orders ' || sum(orders)
                     || ' (' || sum(ordered_won) || ' won), payouts ' || sum(payouts) || ' (' || sum(payout_won)
                     || ' won) more than the figures say'
                from (select coalesce(paid_at, at) / 3600000 as hour, 1 as paid, amount as paid_won, 0 as failed,
                             0 as cancels, 0 as cancelled_won, 0 as orders, 0 as ordered_won, 0 as payouts, 0 as payout_won
                        from payment where status not in ('READY', 'FAILED')
                      union all
                      select at / 3600000, 0, 0, 1, 0, 0, 0, 0, 0, 0 from payment where status = 'FAILED'
                      union all
                      select coalesce(cancelled_at, finished_at) / 3600000, 0, 0, 0, 1, amount, 0, 0, 0, 0
                        from cancellation where state = 'DONE'
                      union all
                      select created_at / 3600000, 0, 0, 0, 0, 0, 1, amount, 0, 0 from merchant_order
                      union all
                      select decided_at / 3600000, 0, 0, 0, 0, 0, 0, 0, 1, amount from payout where state = 'PAID'
                      union all
                      select hour, -paid, -paid_won, -failed, -cancels, -cancelled_won, -orders, -ordered_won, -payouts,
                             -payout_won from hour_sum)
               group by hour
              having sum(paid) <> 0 or sum(paid_won) <> 0 or sum(failed) <> 0 or sum(cancels) <> 0
                  or sum(cancelled_won) <> 0 or sum(orders) <> 0 or sum(ordered_won) <> 0 or sum(payouts) <> 0
                  or sum(payout_won) <> 0",
    },
    Rule {
        name: "an_episode_counts_its_alerts",
        meaning: "what an episode of alerts says came is what came, to the won, and its first alert opened it",
        sql: "select 'episode ' || e.id || ': ' || e.alerts || ' alerts, ' || e.amount || ' won, but there are '
                     || count(a.id) || ', ' || coalesce(sum(a.body ->> '$.amount'), 0)
                from alert_episode e left join alert a on a.episode_id = e.id and a.role in ('first', 'together')
               group by e.id
              having e.alerts <> count(a.id) or e.amount <> coalesce(sum(a.body ->> '$.amount'), 0)
                  or 1 <> coalesce(sum(a.role = 'first'), 0)",
    },
    Rule {
        name: "an_alert_is_told_by_one_message",
        meaning: "what an episode says was told is its first alert and what its messages told; the last one tells all that came before it",
        sql: "select 'episode ' || e.id || ': ' || e.told || ' told, its messages ' || coalesce(sum(m.body ->> '$.fresh'), 0)
                from alert_episode e left join alert m on m.episode_id = e.id and m.role = 'message'
               group by e.id
              having e.told <> 1 + coalesce(sum(m.body ->> '$.fresh'), 0)
                  or e.told <> 1 + (select count(*) from alert t where t.episode_id = e.id and t.role = 'together'
                                       and t.id < max(m.id))",
    },
    Rule {
        name: "an_open_episode_has_a_live_job",
        meaning: "every episode that is open will be told, and ended",
        sql: "select 'episode ' || e.id || ': ' || e.subject from alert_episode e
               where e.closed_at is null
                 and not exists (select 1 from job j where j.unique_key = 'episode:' || e.id
                                    and j.state in ('ready', 'running'))",
    },
];

/// Checks everything. Empty means that the books are sound.
pub fn check(conn: &Connection) -> Result<Vec<Broken>, StoreError> {
    let mut broken = Vec::new();
    let verdict: Vec<String> = conn
        .prepare("pragma integrity_check(5)")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    if verdict != ["ok"] {
        broken.push(Broken {
            rule: "integrity_check",
            meaning: "SQLite finds the file sound",
            rows: verdict,
        });
    }
    let orphans: Vec<String> = conn
        .prepare("select \"table\" || ' row ' || coalesce(rowid, '?') from pragma_foreign_key_check limit 5")?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    if !orphans.is_empty() {
        broken.push(Broken {
            rule: "foreign_key_check",
            meaning: "every reference leads somewhere",
            rows: orphans,
        });
    }
    for rule in RULES {
        let rows: Vec<String> = conn
            .prepare(&format!("select * from ({}) limit 5", rule.sql))?
            .query_map([], |row| {
                Ok(row.get::<_, Option<String>>(0)?.unwrap_or_default())
            })?
            .collect::<Result<_, _>>()?;
        if !rows.is_empty() {
            broken.push(Broken {
                rule: rule.name,
                meaning: rule.meaning,
                rows,
            });
        }
    }
    let chain = audit::check(conn)?;
    if !chain.is_empty() {
        broken.push(Broken {
            rule: "audit_chain",
            meaning: "every line of the audit log follows from the one before it",
            rows: chain.into_iter().take(5).collect(),
        });
    }
    let replayed = replay::replay(conn)?;
    for ((rule, meaning), rows) in replay::RULES.into_iter().zip(replayed) {
        if !rows.is_empty() {
            broken.push(Broken {
                rule,
                meaning,
                rows,
            });
        }
    }
    Ok(broken)
}

/// Names of all rules, for the report.
pub fn rules() -> impl Iterator<Item = &'static str> {
    ["integrity_check", "foreign_key_check", "audit_chain"]
        .into_iter()
        .chain(RULES.iter().map(|rule| rule.name))
        .chain(replay::RULES.iter().map(|(name, _)| *name))
}
