//! The books of a marketplace with a year and more behind it, made by SQL: payments and orders, what became
//! of them, what partners are owed and were paid, and what the queue, the inbox and the alerts still keep.
//!
//! A few partners have much and most have little. Afterwards the rules of `jeongsan verify` must hold, so a
//! page is never quick because the books behind it make no sense.

use std::{fs, path::Path, time::Instant};

use jeongsan::{
    domain::{
        calendar::KstDay,
        contract::{AdditionalFee, Fee, Terms, VatBearer},
        cycle::{Cycle, HolidayPolicy, Method},
    },
    store::{Clock, Store, StoreError, books, database_in, search},
};
use rusqlite::Connection;

use crate::common::migrate;

/// Counts up when what is made here changes.
pub const MADE: u32 = 1;
pub const DAYS: i64 = 400;
pub const PARTNERS: i64 = 300;

/// Makes the books, unless a run before has left them there. Gives how many seconds it took.
pub fn seed(dir: &Path, payments: i64) -> Option<f64> {
    let complete = dir.join(format!("complete-{MADE}-{payments}"));
    if complete.exists() && migrate(dir) {
        let conn = Connection::open(database_in(dir)).expect("the books");
        scheduled(&conn);
        // A newer schema may have made the index anew.
        fill_search(dir);
        return None;
    }
    let _ = fs::remove_dir_all(dir);
    assert!(migrate(dir), "the schema cannot be made");
    let began = Instant::now();
    let conn = Connection::open(database_in(dir)).expect("the books");
    conn.execute_batch(
        "pragma journal_mode = off; pragma synchronous = off; pragma cache_size = -800000; pragma temp_store = 2;
         pragma foreign_keys = off; begin;",
    )
    .expect("a quick file");
    let step = |what: &str, sql: String| {
        let began = Instant::now();
        if let Err(why) = conn.execute_batch(&sql) {
            panic!("{what}: {why}");
        }
        eprintln!("  {what}: {:.1} s", began.elapsed().as_secs_f64());
    };
    let now = Clock::default().now().as_millisecond();
    let today = KstDay::of(Clock::default().now());
    let first = today.plus_days(-DAYS);
    scheduled(&conn);
    step("partners", partners(now, first));
    step("what happened", facts(payments, first, now));
    step("orders", ORDERS.into());
    step("payments", PAYMENTS.replace("STATUS", FATE));
    step("events and cancellations", EVENTS.into());
    step("messages, jobs, dead letters", jobs(now));
    step("alerts", ALERTS.into());
    step("movements", movements());
    step("settlements", settlements(today));
    step("payouts", PAYOUTS.into());
    step("adjustments", adjustments(today, now));
    conn.execute_batch("commit; pragma journal_mode = wal;")
        .expect("a commit");
    drop(conn);
    let indexing = Instant::now();
    fill_search(dir);
    eprintln!("  search: {:.1} s", indexing.elapsed().as_secs_f64());
    let conn = Connection::open(database_in(dir)).expect("the books");
    let broken = books::check(&conn).expect("a check");
    assert!(broken.is_empty(), "the books are broken: {broken:#?}");
    fs::write(complete, "").expect("a mark");
    Some(began.elapsed().as_secs_f64())
}

/// The first start would sweep, prune and settle at once.
fn scheduled(conn: &Connection) {
    let now = Clock::default().now().as_millisecond();
    conn.execute(
        "insert or replace into schedule (name, last_slot)
         values ('sweep', ?1), ('prune', ?1), ('settle', ?1), ('digest', ?1)",
        [now],
    )
    .expect("schedules");
}

/// As the server does it behind the writes.
fn fill_search(dir: &Path) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let store = Store::open(dir, Clock::default()).expect("the books");
        loop {
            let filled = store.write(|tx| search::fill(tx, 20_000));
            let filled: Result<usize, StoreError> = filled.await;
            if filled.expect("to fill the index") == 0 {
                break;
            }
        }
        store.close().await;
    });
}

fn partners(now: i64, first: KstDay) -> String {
    let fee = |percent: &str| Fee::Rate(percent.parse().expect("a rate"));
    let cycle = Cycle::new(2, Method::Daily, HolidayPolicy::After).expect("a cycle");
    let mut terms = Terms::plain(fee("10"), cycle);
    terms.discount_share = "50".parse().expect("a rate");
    terms.additional = vec![AdditionalFee {
        name: "PG".into(),
        fee: fee("5"),
        vat: VatBearer::Partner,
    }];
    let terms = serde_json::to_string(&terms).expect("terms");
    format!(
        "insert into partner (id, name, kind, created_at, bank, account, holder, contact_name, contact_email,
                              contact_phone, status)
           with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < {PARTNERS})
           select printf('partner-%03d', i), printf('파트너 %d', i), 'BUSINESS_GENERAL', {now}, '088',
                  printf('110%09d', i), '홍길동', '홍길동', printf('p%d@example.com', i), '010-1234-5678', 'APPROVED' from n;
         insert into contract_version (partner_id, from_day, terms, used_until, created_at, created_by)
           select id, '{first}', '{terms}', null, {now}, 'bench' from partner where id like 'partner-%';
         insert into history (subject, at, kind, actor, detail)
           select 'partner:' || id, {now}, 'created', 'cli', '{{}}' from partner where id like 'partner-%';"
    )
}

/// One row a payment: when, whose, how much, what became of it. `h` and `g` are as good as chance.
fn facts(payments: i64, first: KstDay, now: i64) -> String {
    let start = first.start().as_millisecond();
    let step = (now - start - 60_000) / payments;
    format!(
        "create temp table d (i integer primary key, at integer, day text, h integer, fate integer, amount integer,
                              discount integer, one text, two text, part integer, surname text, given text, tel text);
         insert into d
           with recursive n(i) as (select 1 union all select i + 1 from n where i < {payments}),
           r(i, h, g) as (select i, (i * 48271) % 1000003, (i * 40503 + 7919) % 100003 from n)
           select i, {start} + i * {step}, date(({start} + i * {step}) / 1000 + 32400, 'unixepoch'), h, g % 1000,
                  10000 + (h % 97) * 130, iif(i % 10 = 0, 1000, 0),
                  printf('partner-%03d', cast({PARTNERS} * (h / 1000003.0) * (h / 1000003.0) * (h / 1000003.0) as integer)),
                  iif(i % 5 = 0, printf('partner-%03d', g % {PARTNERS}), null), 5000 + (h % 50) * 100,
                  substr('김이박최정강조윤장임한오서신권황안송류홍', 1 + g % 20, 1),
                  substr('민서준하윤지우수현길동영희철수은주성훈', 1 + h % 19, 1) || substr('준서하민지우현동희수주훈영철은', 1 + i % 15, 1),
                  printf('010-%04d-%04d', (h * 7) % 10000, (g * 13) % 10000)
             from r;
         -- Nobody sells two lines to itself.
         update d set two = null where two = one;"
    )
}

const FATE: &str =
    "case when fate < 10 then 'READY' when fate < 30 then 'FAILED' when fate < 80 then 'CANCELED'
                         when fate = 80 then 'CANCEL_FAILED' else 'PAID' end";

const ORDERS: &str = "
    insert into merchant_order (merchant_uid, name, amount, created_at)
      select printf('order-%d', i), '햇사과 5kg', amount - discount + iif(two is null, 0, part), at - 60000
        from d where fate <> 81 order by printf('order-%d', i);
    insert into order_line (merchant_uid, line, partner_id, name, quantity, unit_price, discount, amount)
      select * from (
        select printf('order-%d', i) as o, 1 as l, one, '햇사과 5kg', 1, amount, discount, amount - discount from d where fate <> 81
        union all
        select printf('order-%d', i), 2, two, '유자청 500g', 1, part, 0, part from d where fate <> 81 and two is not null)
       order by o, l;";

const PAYMENTS: &str = "
    insert into payment (id, imp_uid, merchant_uid, status, amount, cancelled, wish, hold, test, method, about, fail_reason,
                         at, paid_at, created_at, updated_at)
      select i, printf('imp_%012d', 100000000000 + (i * 7919) % 1000003 * 771), printf('order-%d', i), STATUS, total,
             iif(fate between 30 and 79, total, 0), iif(fate = 80, printf('c%026d', i), null),
             iif(fate = 81, '{\"reason\":\"UNKNOWN_ORDER\"}', null), 0, method,
             json_object('name', iif(two is null, '햇사과 5kg', '햇사과 5kg 외 1건'), 'method', method, 'pg_provider', 'html5_inicis',
               'pg_tid', printf('StdpayCARD%020d', i), 'card_name', 'KB국민카드', 'apply_num', printf('%08d', i % 100000000),
               'receipt_url', printf('https://iniweb.inicis.com/receipt?noTid=%020d', i),
               'buyer_name', surname || given, 'buyer_email', printf('buyer%d@example.com', i % 50000),
               'buyer_tel', tel, 'virtual_account', ''),
             iif(fate between 10 and 29, '한도 초과', null), at, iif(fate < 30, null, at), at, at
        from (select *, amount - discount + iif(two is null, 0, part) as total,
                     case i % 5 when 0 then 'vbank' when 1 then 'trans' else 'card' end as method from d) order by i;
    insert into payment_partner (partner_id, at, payment_id)
      select * from (select one as p, at, i from d union all select two, at, i from d where two is not null)
       order by p, at desc, i desc;";

/// What was given back, and what would not go back. Events lead to where each payment stands.
const EVENTS: &str = "
    insert into cancellation (id, payment_id, state, amount, checksum, reason, requested_by, requested_at, cancelled_at,
                              finished_at, gateway_key, error)
      select printf('c%026d', i), i, iif(fate = 80, 'DEAD', 'DONE'), total, total, '단순 변심', 'page', at, iif(fate = 80, null, at),
             iif(fate = 80, null, at), iif(fate = 80, null, 'key-' || i), iif(fate = 80, '취소 기간이 지났습니다', null)
        from (select *, amount - discount + iif(two is null, 0, part) as total from d)
       where fate between 30 and 80 order by 1;
    insert into cancel_attempt (cancellation_id, number, step, started_at, finished_at, asked, outcome, answer)
      select printf('c%026d', i), 1, 'cancel', at, at + 200, '{}', iif(fate = 80, 'PERMANENT', 'DONE'), '{}'
        from d where fate between 30 and 80 order by 1;
    insert into event (payment_id, at, kind, actor, from_status, to_status, detail)
      select * from (
        select i, at, 'first_heard', 'webhook', null, case when fate < 10 then 'READY' when fate < 30 then 'FAILED' else 'PAID' end,
               json_object('amount', amount, 'hold', null) from d
        union all
        select i, at, 'cancel_requested', 'page', 'PAID', 'CANCEL_REQUESTED', '{}' from d where fate between 30 and 80
        union all
        select i, at, iif(fate = 80, 'cancel_failed', 'status'), 'worker', 'CANCEL_REQUESTED', iif(fate = 80, 'CANCEL_FAILED', 'CANCELED'),
               '{}' from d where fate between 30 and 80) order by 1;";

/// Messages and finished jobs of 90 days; 2,000 dead letters of a million payments, half of them cancels.
fn jobs(now: i64) -> String {
    format!(
        "insert into inbox (id, received_at, source, content_type, body, imp_uid, merchant_uid, status, verdict, verdict_at, job_id)
           select d.i, d.at, '52.78.100.19', 'application/json',
                  cast(json_object('imp_uid', p.imp_uid, 'merchant_uid', p.merchant_uid, 'status', 'paid') as blob), p.imp_uid,
                  p.merchant_uid, 'paid',
                  case when fate = 82 then 'GIVEN_UP' when fate < 30 then 'NOT_PAID' when fate = 81 then 'HELD' else 'BOOKED' end,
                  d.at + 20, d.i
             from d join payment p on p.id = d.i where d.at > {now} - 90 * 86400000 or fate = 82 order by d.i;
         insert into job (id, queue, kind, payload, state, attempt, max_attempts, run_at, created_at, started_at, finished_at, turn,
                          last_error, reason)
           select d.i, 'payment', 'confirm_payment', json_object('inbox_id', d.i), iif(fate = 82, 'dead', 'done'), 1, 5, at, at, at,
                  at + 20, 1, iif(fate = 82, 'the gateway did not answer', null), iif(fate = 82, 'exhausted', null)
             from d where at > {now} - 90 * 86400000 or fate = 82 order by i;
         insert into job (queue, kind, payload, state, attempt, max_attempts, run_at, unique_key, created_at, started_at, finished_at,
                          turn, last_error, reason)
           select 'cancel', 'retry_cancel', json_object('cancellation', printf('c%026d', i)), iif(fate = 80, 'dead', 'done'), 1, 1, at,
                  printf('cancel:c%026d', i), at, at, at + 20, 1,
                  iif(fate = 80, '취소 기간이 지났습니다', null), iif(fate = 80, 'permanent', null)
             from d where fate between 30 and 80 and (at > {now} - 90 * 86400000 or fate = 80) order by i;
         update cancellation set job_id = j.id from (select id, payload ->> '$.cancellation' as c from job where kind = 'retry_cancel') j
          where cancellation.id = j.c;
         insert into job_attempt (job_id, generation, attempt, started_at, finished_at, outcome, error, boot)
           select id, 0, 1, started_at, finished_at, 'dead', last_error, 'bench' from job where state = 'dead';
         insert into job_minute (kind, minute, done, retried, snoozed, dead, cancelled, waited, ran, waited_most, ran_most)
           with recursive m(i) as (select 0 union all select i + 1 from m where i < 2880)
           select k.kind, {now} / 60000 - i, 3, 0, 0, 0, 0, 9, 60, 4, 30
             from m, (select 'confirm_payment' as kind union all select 'retry_cancel' union all select 'send_alert') k
            order by 1, 2;"
    )
}

const ALERTS: &str = "
    insert into alert (at, kind, severity, body, payment_id, delivered_at, delivered_to)
      select at, kind, 'urgent', body, i, at + 500, 'slack' from (
        select d.at, 'payment_held' as kind, json_object('what', 'payment_held', 'imp_uid', p.imp_uid, 'merchant_uid', p.merchant_uid,
               'amount', p.amount, 'why', 'nobody registered the order') as body, d.i
          from d join payment p on p.id = d.i where fate = 81
        union all
        select d.at, 'cancel_dead', json_object('what', 'cancel_dead', 'imp_uid', p.imp_uid, 'cancellation', p.wish, 'amount', p.amount,
               'reason', '단순 변심', 'error', '취소 기간이 지났습니다', 'attempts', 1,
               'job_id', (select job_id from cancellation c where c.id = p.wish)), d.i
          from d join payment p on p.id = d.i where fate = 80
        union all
        select d.at, 'job_dead', json_object('what', 'job_dead', 'job_id', d.i, 'kind', 'confirm_payment', 'error',
               'the gateway did not answer', 'attempts', 5), d.i from d where fate = 82)
       order by at;";

/// Each line sold, and given back, in the order in which the night reads it.
fn movements() -> String {
    "create temp table m (day text, partner text, at integer, payment integer, line integer, back integer, amount integer,
                          discount integer);
     insert into m
       select day, one, at, i, 1, 0, amount, discount from d where fate >= 30 and fate <> 81
       union all select day, two, at, i, 2, 0, part, 0 from d where fate >= 30 and fate <> 81 and two is not null
       union all select day, one, at, i, 1, 1, amount, discount from d where fate between 30 and 79
       union all select day, two, at, i, 2, 1, part, 0 from d where fate between 30 and 79 and two is not null;
     insert into movement (day, partner_id, seq, kind, payment_id, order_line, cause, happened_at, terms_day, order_before,
                           order_after, discount_before, discount_after, tax_free_before, tax_free_after)
       select day, partner, row_number() over (partition by day, partner order by payment, back), iif(back, 'CANCEL', 'ORDER'),
              payment, line, iif(back, printf('c%026d', payment), null), at, day, iif(back, amount, 0), iif(back, 0, amount),
              iif(back, discount, 0), iif(back, 0, discount), 0, 0
         from m order by day, partner, payment, back;"
        .into()
}

/// All days before today. Older than five weeks: paid; of the week after: at the bank; the rest: due, or soon.
fn settlements(today: KstDay) -> String {
    let (old, bank) = (today.plus_days(-35), today.plus_days(-28));
    let (failed, held) = (today.plus_days(-20), today.plus_days(-5));
    format!(
        "insert into settlement_day (day, closed_at, finished_at)
           select distinct day, unixepoch(day) * 1000 + 57600000, unixepoch(day) * 1000 + 57600000 from m where day < '{today}';
         insert into settlement_line (day, partner_id, seq, contract_id, order_amount, discount, fee, fee_vat, additional,
                                      additional_vat, discount_share, payment_vat, adjustment, net)
           select day, partner_id, seq, c, o, d, fee, vat, more, more_vat, share, 0, 0, o - fee - vat - more - more_vat - share
             from (select m.day, m.partner_id, m.seq, v.id as c, order_after - order_before as o,
                          discount_after - discount_before as d, order_after / 10 - order_before / 10 as fee,
                          order_after / 10 / 10 - order_before / 10 / 10 as vat,
                          order_after / 20 - order_before / 20 as more,
                          order_after / 20 / 10 - order_before / 20 / 10 as more_vat,
                          discount_after / 2 - discount_before / 2 as share
                     from movement m join contract_version v on v.partner_id = m.partner_id where m.day < '{today}')
            order by day, partner_id, seq;
         insert into settlement (partner_id, day, state, hold, fail_reason, payout_day, contract_id, lines, orders, cancels, sales,
                                 returned, order_amount, discount, fee, fee_vat, additional, additional_vat, discount_share,
                                 payment_vat, adjustment, net, created_at, updated_at, completed_at, completed_by)
           select partner_id, day,
                  case when day < '{old}' then 'COMPLETED' when day < '{bank}' and net > 0 then 'PROCESSING'
                       when day = '{failed}' and partner_id < 'partner-010' then 'FAILED' else 'REQUESTED' end,
                  iif(day = '{held}' and partner_id < 'partner-020', '확인 중', null),
                  iif(day = '{failed}' and partner_id < 'partner-010', '예금주 불일치', null), date(day, '+2 days'), c, lines, orders,
                  cancels, sales, returned, o, d, fee, vat, more, more_vat, share, 0, 0, net, at, at,
                  iif(day < '{old}', at, null), iif(day < '{old}', 'page', null)
             from (select partner_id, day, max(contract_id) as c, count(*) as lines, sum(order_amount > 0) as orders,
                          sum(order_amount < 0) as cancels, sum(max(order_amount, 0)) as sales, sum(min(order_amount, 0)) as returned,
                          sum(order_amount) as o, sum(discount) as d, sum(fee) as fee, sum(fee_vat) as vat, sum(additional) as more,
                          sum(additional_vat) as more_vat, sum(discount_share) as share, sum(net) as net,
                          unixepoch(day) * 1000 + 57600000 as at
                     from settlement_line group by day, partner_id) order by day, partner_id;
         update contract_version set used_until = (select max(day) from settlement s where s.partner_id = contract_version.partner_id);
         insert into history (subject, at, kind, actor, detail)
           select 'settlement:' || id, created_at, 'requested', 'worker', '{{}}' from settlement order by id;
         insert into history (subject, at, kind, actor, detail)
           select 'settlement:' || id, created_at, 'completed', 'page', '{{}}' from settlement where state = 'COMPLETED' order by id;"
    )
}

/// A batch a week: the last one waits for the bank's word.
const PAYOUTS: &str = "
    create temp table w as
      select id, partner_id, net, day, state, cast(julianday(day) / 7 as integer) as week from settlement
       where state in ('COMPLETED', 'PROCESSING') and net > 0;
    insert into payout_batch (id, state, due_until, created_at, created_by, finished_at)
      select week * 2 + (state = 'PROCESSING'), iif(state = 'PROCESSING', 'OPEN', 'DONE'), max(day), unixepoch(max(day)) * 1000, 'page',
             iif(state = 'PROCESSING', null, unixepoch(max(day)) * 1000)
        from w group by 1 order by 1;
    insert into payout (batch_id, partner_id, state, gross, income_tax, local_tax, amount, bank, account, holder)
      select week * 2 + (w.state = 'PROCESSING'), partner_id, 'WAITING', sum(net), 0, 0, sum(net), p.bank, p.account, p.holder
        from w join partner p on p.id = w.partner_id group by 1, 2 order by 1, 2;
    -- Decided as the bank's word decides them, so that the figures of their hours count them.
    update payout set state = 'PAID', decided_by = 'page',
                      decided_at = (select finished_at from payout_batch b where b.id = payout.batch_id)
     where batch_id in (select id from payout_batch where state = 'DONE');
    insert into payout_settlement (payout_id, settlement_id, amount)
      select o.id, w.id, w.net from w join payout o on o.batch_id = week * 2 + (w.state = 'PROCESSING') and o.partner_id = w.partner_id
       order by 1, 2;";

/// Corrections of today, so that no settled day changes.
fn adjustments(today: KstDay, now: i64) -> String {
    format!(
        "insert into adjustment (partner_id, day, amount, reason, created_at, created_by)
           select id, '{today}', 1000, '배송비 정산', {now}, 'page' from partner where id like 'partner-%';
         insert into movement (day, partner_id, seq, kind, cause, happened_at, terms_day, order_before, order_after, discount_before,
                               discount_after, tax_free_before, tax_free_after, adjustment)
           select '{today}', a.partner_id, 1 + coalesce((select max(seq) from movement m where m.day = '{today}' and m.partner_id = a.partner_id), 0),
                  'ADJUSTMENT', 'a' || a.id, {now}, '{today}', 0, 0, 0, 0, 0, 0, a.amount from adjustment a;"
    )
}
