//! What partners are owed, from the order to the transfer: days, carry-overs, corrections, payouts.

use std::{path::Path, time::Duration};

use jeongsan::{
    app,
    config::Config,
    domain::{
        calendar::KstDay,
        contract::{AdditionalFee, Fee, Terms, VatBearer},
        cycle::{Cycle, HolidayPolicy, Method},
        ids::{ImpUid, PartnerId},
        money::Won,
        partner::{Partner, PartnerType},
        settlement::State,
    },
    flow::{
        Ctx,
        adjust::{Adjustment, adjust},
        agree_contract::{ContractError, agree},
        hold_settlement::{hold, release, try_again},
        pay_out::{self, Choice, PayoutError, Word},
        release_hold::release_hold,
        reopen_day::{ReopenError, reopen_day},
        save_partner::{Save, save_partner},
        settle_day::{Report, SettleDayError, dry_run, settle_day, settle_until},
    },
    sandbox::{NewPayment, Sandbox, SandboxConfig, Status},
    store::{
        Clock, Store, books, database_in,
        settlements::{self, Account, SettlementRow},
    },
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::{
    killing::{Server, free_port},
    support::{TestApp, settings},
};

const DAY: Duration = Duration::from_secs(24 * 3_600);

pub fn percent(text: &str) -> Fee {
    Fee::Rate(text.parse().unwrap())
}

/// Ten per cent, VAT on the partner, paid two days later.
pub fn ten_percent() -> Terms {
    let cycle = Cycle::new(2, Method::Daily, HolidayPolicy::CalendarDay).unwrap();
    Terms::plain(percent("10"), cycle)
}

/// A shop whose clock, and PortOne's, say noon in Seoul.
pub struct Shop {
    pub app: TestApp,
}

impl Shop {
    pub async fn open() -> Shop {
        Shop::with(&[]).await
    }

    pub async fn with(set: &[(&'static str, &str)]) -> Shop {
        let shop = Shop {
            app: TestApp::with(set, false).await,
        };
        let now = shop.app.clock.now();
        let noon = KstDay::of(now).next().start() + Duration::from_secs(12 * 3_600);
        shop.pass(Duration::try_from(noon.duration_since(now)).unwrap());
        shop
    }

    pub fn pass(&self, time: Duration) {
        self.app.clock.advance(time);
        self.app.portone.advance(time).unwrap();
    }

    pub fn today(&self) -> KstDay {
        KstDay::of(self.app.clock.now())
    }

    /// On to noon of a later day.
    pub fn days(&self, many: u32) {
        self.pass(DAY * many);
    }

    pub fn ctx(&self) -> &Ctx {
        &self.app.app().web.ctx
    }

    /// Approved, with an account.
    pub async fn partner(&self, id: &str, kind: PartnerType) {
        let partner: Partner = serde_json::from_value(json!({
            "id": id, "name": id, "type": kind.as_str(), "bank": "088", "account_number": "110123456789",
            "account_holder": "홍길동", "status": "APPROVED",
            "business_number": kind.is_business().then_some("1248100998"),
        }))
        .unwrap();
        save_partner(self.ctx(), partner, Save::Put, "api")
            .await
            .unwrap();
    }

    pub async fn agree(&self, id: &str, from: KstDay, terms: Terms) {
        agree(self.ctx(), PartnerId::new(id).unwrap(), from, terms, "api")
            .await
            .unwrap();
    }

    /// A partner of 10 % from ten days ago on.
    pub async fn plain_partner(&self, id: &str) {
        self.partner(id, PartnerType::Individual).await;
        self.agree(id, self.today().plus_days(-10), ten_percent())
            .await;
    }

    /// `(partner, price, discount)` for each line.
    pub async fn register(&self, order: &str, lines: &[(&str, i64, i64)]) {
        let lines: Vec<Value> = lines
            .iter()
            .map(|(partner, price, discount)| {
                json!({ "partner": partner, "name": "사과", "quantity": 1, "unit_price": price, "discount": discount })
            })
            .collect();
        let answer = self
            .app
            .post(
                "/api/orders",
                &json!({ "merchant_uid": order, "lines": lines }),
            )
            .await;
        let status = answer.status();
        assert!(
            status.is_success(),
            "{status} {}",
            answer.text().await.unwrap()
        );
    }

    /// Paid at PortOne now; nobody was told.
    pub fn charge(&self, order: &str, won: i64) -> String {
        self.app.charge(order, won)
    }

    pub async fn hear(&self, imp_uid: &str, order: &str) {
        let answer = self.app.webhook(imp_uid, order, "paid").await;
        let status = answer.status().as_u16();
        assert!(
            matches!(status, 200 | 422),
            "{status} {}",
            answer.text().await.unwrap()
        );
    }

    /// Registered, paid and told.
    pub async fn buy(&self, order: &str, lines: &[(&str, i64, i64)]) -> String {
        self.register(order, lines).await;
        let won = lines.iter().map(|(_, price, discount)| price - discount);
        let imp_uid = self.charge(order, won.sum());
        self.hear(&imp_uid, order).await;
        imp_uid
    }

    pub async fn give_back(&self, imp_uid: &str, won: i64) {
        let answer = self.app.cancel(imp_uid, Some(won)).await;
        let status = answer.status();
        assert_eq!(status, 200, "{}", answer.text().await.unwrap());
    }

    pub async fn settle(&self, day: KstDay) -> Report {
        settle_day(self.ctx(), day, "api").await.unwrap()
    }

    /// Every day before today.
    pub async fn night(&self) -> Vec<Report> {
        settle_until(self.ctx(), self.today(), "schedule")
            .await
            .unwrap()
    }

    pub fn find(&self, partner: &str, day: KstDay) -> Option<SettlementRow> {
        let found = self.ctx().store.read(|conn| {
            settlements::find(conn, partner, day)?
                .map(|id| settlements::get(conn, id))
                .transpose()
        });
        let found: Option<Option<SettlementRow>> =
            found.map_err(|e: jeongsan::store::StoreError| e).unwrap();
        found.flatten()
    }

    pub fn get(&self, partner: &str, day: KstDay) -> SettlementRow {
        self.find(partner, day)
            .unwrap_or_else(|| panic!("{partner} has no settlement of {day}"))
    }

    pub fn net(&self, partner: &str, day: KstDay) -> i64 {
        self.get(partner, day).net.get()
    }

    pub fn account(&self, partner: &str) -> Account {
        self.ctx()
            .store
            .read(|conn| settlements::account(conn, partner))
            .unwrap()
    }

    /// Everything due is put into a batch.
    pub async fn batch(&self) -> Result<i64, PayoutError> {
        let choice = Choice {
            until: self.today(),
            leave_out: Default::default(),
            leave_out_partners: Default::default(),
        };
        pay_out::create(self.ctx(), choice, None, String::new(), "api").await
    }

    /// The bank's word on all that waits in a batch.
    pub async fn bank(&self, batch: i64, word: Word) {
        let waiting: Vec<(i64, Word)> = self
            .ctx()
            .store
            .read(|conn| jeongsan::store::payouts::of_batch(conn, batch))
            .unwrap()
            .into_iter()
            .filter(|row| row.state == jeongsan::store::payouts::PayoutState::Waiting)
            .map(|row| (row.id, word.clone()))
            .collect();
        pay_out::decide(self.ctx(), batch, waiting, "api")
            .await
            .unwrap();
    }

    /// All jobs done, books checked.
    pub async fn close(self) {
        self.app.drain().await;
    }
}

fn terms_with(change: impl FnOnce(&mut Terms)) -> Terms {
    let mut terms = ten_percent();
    change(&mut terms);
    terms
}

#[tokio::test]
async fn the_vectors_of_the_design_come_out_from_order_to_settlement() {
    let shop = Shop::open().await;
    let day = shop.today();
    for id in ["plain", "two", "back"] {
        shop.plain_partner(id).await;
    }
    shop.partner("share", PartnerType::Individual).await;
    let half = terms_with(|terms| terms.discount_share = "50".parse().unwrap());
    shop.agree("share", day, half).await;
    shop.partner("extra", PartnerType::Individual).await;
    let extra = terms_with(|terms| {
        terms.additional = vec![AdditionalFee {
            name: "PG".into(),
            fee: percent("5"),
            vat: VatBearer::Partner,
        }];
    });
    shop.agree("extra", day, extra).await;

    shop.buy("o-plain", &[("plain", 10_000, 0)]).await;
    shop.buy("o-two", &[("two", 10_000, 0), ("two", 4_000, 0)])
        .await;
    shop.buy("o-mixed", &[("share", 10_000, 2_000), ("extra", 10_000, 0)])
        .await;
    let back = shop.buy("o-back", &[("back", 10_000, 0)]).await;
    shop.give_back(&back, 5_000).await;
    let dry = dry_run(shop.ctx(), day).await.unwrap();
    shop.days(1);
    shop.night().await;
    for (partner, net) in [
        ("plain", 8_900),
        ("two", 12_460),
        ("share", 7_900),
        ("extra", 8_350),
        ("back", 8_900 - 4_450),
    ] {
        assert_eq!(shop.net(partner, day), net, "{partner}");
        let said = dry.settled.iter().find(|one| one.partner == partner);
        assert_eq!(said.unwrap().net.get(), net, "{partner}, dry");
        assert_eq!(shop.get(partner, day).payout_day, Some(day.plus_days(2)));
    }
    let row = shop.get("back", day);
    assert_eq!(
        (row.sums.orders, row.sums.cancels, row.sums.lines),
        (1, 1, 2)
    );
    assert_eq!(row.sums.returned.get(), -5_000);
    shop.close().await;
}

#[tokio::test]
async fn what_is_withheld_is_withheld_once_per_transfer() {
    let shop = Shop::open().await;
    let day = shop.today();
    shop.partner("writer", PartnerType::WithholdingIndividual)
        .await;
    let free = terms_with(|terms| terms.fee = percent("0"));
    shop.agree("writer", day, free).await;
    shop.buy("w-1", &[("writer", 1_000_000, 0)]).await;
    shop.days(1);
    shop.buy("w-2", &[("writer", 234_567, 0)]).await;
    shop.days(3);
    shop.night().await;
    let batch = shop.batch().await.unwrap();
    let amount: i64 = shop
        .app
        .sql("select amount from payout where partner_id = 'writer'");
    assert_eq!(amount, 1_193_837);
    shop.bank(batch, Word::Paid).await;
    assert_eq!(shop.account("writer").paid.get(), 1_234_567);
    shop.close().await;
}

#[tokio::test]
async fn midnight_in_seoul_cuts_the_day() {
    let shop = Shop::open().await;
    shop.plain_partner("farm").await;
    let day = shop.today();
    // 23:59:59, and a second later it is tomorrow: 15:00 in UTC.
    let second = day.end().as_second();
    for (order, paid_at) in [("late", second - 1), ("early", second)] {
        shop.register(order, &[("farm", 10_000, 0)]).await;
        let imp_uid = shop.app.charge_as(NewPayment {
            merchant_uid: order.into(),
            amount: 10_000,
            paid_at: Some(paid_at),
            ..NewPayment::default()
        });
        shop.days(1);
        shop.hear(&imp_uid, order).await;
        shop.pass(Duration::ZERO);
    }
    shop.night().await;
    assert_eq!(shop.net("farm", day), 8_900);
    assert_eq!(shop.net("farm", day.next()), 8_900);
    shop.close().await;
}

#[tokio::test]
async fn what_is_given_back_after_settlement_is_carried_until_it_is_covered() {
    let shop = Shop::open().await;
    shop.plain_partner("farm").await;
    let first = shop.today();
    let apple = shop.buy("apple", &[("farm", 10_000, 0)]).await;
    shop.days(3);
    shop.night().await;
    let batch = shop.batch().await.unwrap();
    shop.bank(batch, Word::Paid).await;
    assert_eq!(shop.get("farm", first).state, State::Completed);

    // In pieces, on two days: each a negative line of its day.
    let second = shop.today();
    shop.give_back(&apple, 3_333).await;
    shop.days(1);
    shop.give_back(&apple, 6_667).await;
    shop.days(3);
    shop.night().await;
    let (one, two) = (shop.get("farm", second), shop.get("farm", second.next()));
    assert!(one.net.get() < 0 && one.carried_into == Some(two.id));
    assert_eq!((two.net.get(), two.carried_in), (-8_900, one.net));
    assert_eq!(
        two.carry_since,
        Some(second),
        "its age is that of the oldest"
    );
    assert!(matches!(shop.batch().await, Err(PayoutError::Nothing(_))));
    let account = shop.account("farm");
    assert_eq!((account.carry.get(), account.paid.get()), (-8_900, 8_900));

    // Half of it is covered by one day, the rest by the next, and then something is left.
    let third = shop.today();
    shop.buy("pear", &[("farm", 6_000, 0)]).await;
    shop.days(1);
    shop.buy("plum", &[("farm", 6_000, 0)]).await;
    shop.days(3);
    shop.night().await;
    assert_eq!(shop.net("farm", third), 5_340 - 8_900);
    assert_eq!(shop.net("farm", third.next()), 2 * 5_340 - 8_900);
    let batch = shop.batch().await.unwrap();
    assert_eq!(
        shop.app
            .sql::<i64>("select max(gross) from payout where id = (select max(id) from payout)"),
        1_780
    );
    shop.bank(batch, Word::Failed("계좌 없음".into())).await;
    let last = shop.get("farm", third.next());
    assert_eq!(last.state, State::Failed);
    assert_eq!(
        shop.get("farm", second).state,
        State::Requested,
        "the chain waits with it"
    );
    try_again(shop.ctx(), last.id, "계좌를 고침".into(), "api")
        .await
        .unwrap();
    let batch = shop.batch().await.unwrap();
    shop.bank(batch, Word::Paid).await;
    for day in [second, second.next(), third, third.next()] {
        assert_eq!(shop.get("farm", day).state, State::Completed, "{day}");
    }
    let account = shop.account("farm");
    assert_eq!((account.earned.get(), account.paid.get()), (10_680, 10_680));
    assert!(account.open.is_zero() && account.carry.is_zero());
    shop.close().await;
}

#[tokio::test]
async fn a_sum_of_nothing_is_closed_and_one_that_is_left_out_is_not() {
    let shop = Shop::open().await;
    for id in ["zero", "out"] {
        shop.plain_partner(id).await;
        let imp_uid = shop.buy(id, &[(id, 10_000, 0)]).await;
        shop.give_back(&imp_uid, 10_000).await;
    }
    let day = shop.today();
    shop.days(3);
    shop.night().await;
    let choice = Choice {
        until: shop.today(),
        leave_out: Default::default(),
        leave_out_partners: ["out".to_owned()].into(),
    };
    pay_out::create(shop.ctx(), choice, None, String::new(), "api")
        .await
        .unwrap();
    assert_eq!(shop.get("zero", day).state, State::Completed);
    assert_eq!(shop.get("out", day).state, State::Requested);
    shop.close().await;
}

#[tokio::test]
async fn a_negative_sum_that_is_held_is_netted_once_it_is_released() {
    let shop = Shop::open().await;
    shop.plain_partner("farm").await;
    let apple = shop.buy("apple", &[("farm", 10_000, 0)]).await;
    shop.days(1);
    shop.night().await;
    let second = shop.today();
    shop.give_back(&apple, 10_000).await;
    shop.days(1);
    shop.night().await;
    let held = shop.get("farm", second).id;
    hold(shop.ctx(), held, "다툼이 있음".into(), "api")
        .await
        .unwrap();
    shop.buy("pear", &[("farm", 10_000, 0)]).await;
    shop.days(1);
    shop.night().await;
    assert_eq!(
        shop.net("farm", second.next()),
        8_900,
        "what is held is not netted"
    );
    release(shop.ctx(), held, "끝남".into(), "api")
        .await
        .unwrap();
    shop.buy("plum", &[("farm", 20_000, 0)]).await;
    let fourth = shop.today();
    shop.days(1);
    shop.night().await;
    assert_eq!(shop.net("farm", fourth), 17_800 - 8_900);
    shop.close().await;
}

/// Each rule that spans rows finds what breaks it, in a copy of books that are sound.
#[tokio::test]
async fn the_check_finds_what_is_broken_in_settlements() {
    let shop = Shop::open().await;
    for id in ["farm", "bakery"] {
        shop.plain_partner(id).await;
    }
    let apple = shop
        .buy("apple", &[("farm", 10_000, 0), ("bakery", 9_000, 0)])
        .await;
    let adjustment = Adjustment {
        partner: PartnerId::new("bakery").unwrap(),
        amount: Won::new(500),
        reason: "보상".into(),
    };
    adjust(shop.ctx(), adjustment, "api").await.unwrap();
    shop.days(3);
    shop.night().await;
    let batch = shop.batch().await.unwrap();
    shop.bank(batch, Word::Paid).await;
    shop.give_back(&apple, 1_900).await;
    shop.days(1);
    shop.buy("pear", &[("farm", 30_000, 0)]).await;
    shop.days(3);
    shop.night().await;
    shop.batch().await.unwrap();
    shop.app.drain().await;
    let sound = shop.app.dir().join("sound.sqlite3");
    let conn = Connection::open(shop.app.database()).unwrap();
    conn.execute("vacuum into ?1", [sound.to_str().unwrap()])
        .unwrap();
    for (rule, sql) in [
        (
            "a_settlement_has_a_line_for_each_movement",
            "delete from settlement_line where rowid_of = 1",
        ),
        (
            "a_settlement_has_a_line_for_each_movement",
            "insert into settlement_line select day, partner_id, 99, contract_id, order_amount, discount, fee, fee_vat, additional, additional_vat, discount_share, payment_vat, adjustment, net from settlement_line limit 1",
        ),
        (
            "a_line_replays_to_the_same_won",
            "update settlement_line set fee = fee + 1, net = net - 1 where fee > 0",
        ),
        (
            "a_settlement_is_the_sum_of_its_lines",
            "update settlement set fee = fee + 1, net = net - 1",
        ),
        (
            "a_contract_knows_what_it_settled",
            "update contract_version set used_until = from_day where partner_id = 'farm'",
        ),
        (
            "a_line_replays_to_the_same_won",
            "insert into contract_version (partner_id, from_day, terms, created_at, created_by) select partner_id, (select min(day) from settlement), terms, 0, 'x' from contract_version where partner_id = 'farm'",
        ),
        (
            "movements_lead_to_what_is_left",
            "update movement set order_after = order_after + 1 where kind = 'ORDER'",
        ),
        (
            "an_adjustment_is_one_movement",
            "update adjustment set amount = amount + 1",
        ),
        (
            "a_finished_day_has_a_settlement_for_each_partner",
            "insert into movement select (select max(day) from settlement_day), partner_id, 77, kind, payment_id, order_line, cause, happened_at, terms_day, order_before, order_after, discount_before, discount_after, tax_free_before, tax_free_after, adjustment from movement where partner_id = 'farm' limit 1",
        ),
        (
            "a_settlement_is_of_a_closed_day",
            "delete from settlement_day",
        ),
        (
            "carried_in_is_what_was_netted",
            "update settlement set carried_into = null",
        ),
        (
            "a_chain_completes_with_what_covers_it",
            "update settlement set state = 'COMPLETED', completed_at = 1, completed_by = 'x' where carried_into is not null",
        ),
        (
            "a_payout_is_the_sum_of_its_settlements",
            "update payout set gross = gross + 1, amount = amount + 1",
        ),
        (
            "a_payout_is_the_sum_of_its_settlements",
            "update payout_settlement set amount = amount + 1",
        ),
        (
            "a_payout_and_its_settlements_stand_alike",
            "update payout set state = 'PAID', decided_at = 1 where state = 'WAITING'",
        ),
        (
            "what_is_being_paid_is_in_a_payout",
            "update payout_settlement set live = 0",
        ),
        (
            "what_is_being_paid_is_in_a_payout",
            "update settlement set state = 'REQUESTED', completed_at = null, completed_by = null where state = 'COMPLETED' and net > 0; update settlement set state = 'PROCESSING' where state = 'REQUESTED' and net > 0",
        ),
        (
            "an_open_batch_waits_for_something",
            "update payout_batch set state = 'DONE', finished_at = 1",
        ),
        (
            "every_won_of_a_partner_is_in_one_place",
            "update payout set gross = gross + 1, amount = amount + 1 where state = 'PAID'",
        ),
    ] {
        let broken = shop.app.dir().join("broken.sqlite3");
        std::fs::copy(&sound, &broken).unwrap();
        let conn = Connection::open(&broken).unwrap();
        assert_eq!(books::check(&conn).unwrap(), [], "sound before");
        let mut query = conn
            .prepare("select 'drop trigger ' || name from sqlite_schema where type = 'trigger'")
            .unwrap();
        let triggers: Vec<String> = query
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        for drop in triggers {
            conn.execute_batch(&drop).unwrap();
        }
        let sql = sql.replace("rowid_of = 1", "seq = 1 and partner_id = 'farm'");
        conn.execute_batch(&sql).unwrap();
        let found: Vec<&str> = books::check(&conn)
            .unwrap()
            .iter()
            .map(|broken| broken.rule)
            .collect();
        assert!(
            found.contains(&rule),
            "{rule} is not found by {found:?}: {sql}"
        );
    }
    shop.close().await;
}

/// Everything that a settlement left, without what differs from run to run.
fn dump(database: &Path) -> Vec<String> {
    let conn = Connection::open(database).unwrap();
    conn.busy_timeout(Duration::from_secs(10)).unwrap();
    let mut found = Vec::new();
    for sql in [
        "select json_array('line', day, partner_id, seq, contract_id, order_amount, discount, fee, fee_vat, additional,
                additional_vat, discount_share, payment_vat, adjustment, net) from settlement_line order by 1",
        "select json_array('settlement', s.partner_id, s.day, s.state, s.payout_day, s.contract_id, s.lines, s.orders,
                s.cancels, s.sales, s.returned, s.order_amount, s.discount, s.fee, s.fee_vat, s.additional,
                s.additional_vat, s.discount_share, s.payment_vat, s.adjustment, s.carried_in, s.net, s.carry_since,
                i.day) from settlement s left join settlement i on i.id = s.carried_into order by 1",
        "select json_array('day', day, generation, finished_at is not null, blocked) from settlement_day order by 1",
        "select json_array('contract', partner_id, from_day, terms, used_until) from contract_version order by 1",
        "select json_array('history', kind, actor, s.partner_id, s.day, detail) from history h
           join settlement s on h.subject = 'settlement:' || s.id order by 1",
        "select json_array('movement', day, partner_id, seq, kind, payment_id, order_line, terms_day, order_before,
                order_after, adjustment) from movement order by 1",
    ] {
        let mut query = conn.prepare(sql).unwrap();
        let rows = query.query_map([], |row| row.get::<_, String>(0)).unwrap();
        found.extend(rows.map(Result::unwrap));
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settled_twice_and_by_two_at_once_there_is_one_row_each() {
    let shop = Shop::open().await;
    let day = shop.today();
    for n in 0..6 {
        shop.plain_partner(&format!("p{n}")).await;
    }
    for n in 0..24 {
        let partner = format!("p{}", n % 6);
        shop.buy(&format!("o{n}"), &[(&partner, 1_000 + n * 7, 0)])
            .await;
    }
    shop.days(1);
    // In this process twice, and from the command line's place beside it.
    let set: Vec<_> = settings(&shop.app.portone, shop.app.dir());
    let config = Config::load(None, [], &set).unwrap();
    let store = Store::open_beside(shop.app.dir(), shop.app.clock.clone()).unwrap();
    let beside = app::context(&config, store.clone()).unwrap();
    let (one, two, three) = tokio::join!(
        settle_day(shop.ctx(), day, "page"),
        settle_day(shop.ctx(), day, "page"),
        settle_day(&beside, day, "page"),
    );
    let reports = [one.unwrap(), two.unwrap(), three.unwrap()];
    let new: usize = reports.iter().map(|report| report.settled.len()).sum();
    assert_eq!(new, 6, "each settlement is one run's");
    let first = dump(&shop.app.database());
    let again = shop.settle(day).await;
    assert_eq!((again.settled.len(), again.already), (0, 6));
    assert_eq!(dump(&shop.app.database()), first);
    assert!(matches!(
        settle_day(shop.ctx(), day.next(), "api").await,
        Err(SettleDayError::NotOver { .. })
    ));
    store.close().await;
    shop.close().await;
}

#[tokio::test]
async fn days_that_were_missed_are_settled_oldest_first() {
    let shop = Shop::open().await;
    shop.plain_partner("farm").await;
    let first = shop.today();
    let apple = shop.buy("apple", &[("farm", 10_000, 0)]).await;
    shop.days(2);
    shop.give_back(&apple, 10_000).await;
    shop.days(2);
    shop.buy("pear", &[("farm", 30_000, 0)]).await;
    shop.days(1);
    let days: Vec<KstDay> = shop.night().await.iter().map(|report| report.day).collect();
    let expected: Vec<KstDay> = (0..5).map(|n| first.plus_days(n)).collect();
    assert_eq!(days, expected);
    assert_eq!(shop.net("farm", first.plus_days(4)), 26_700 - 8_900);
    assert!(shop.night().await.is_empty());
    shop.close().await;
}

#[tokio::test]
async fn what_is_heard_late_counts_on_the_next_open_day_and_comes_home_when_its_day_is_opened() {
    let shop = Shop::open().await;
    shop.plain_partner("farm").await;
    let day = shop.today();
    shop.register("late", &[("farm", 10_000, 0)]).await;
    let late = shop.charge("late", 10_000);
    shop.buy("apple", &[("farm", 1_000, 0)]).await;
    shop.days(1);
    shop.night().await;
    assert_eq!(shop.net("farm", day), 890);
    shop.hear(&late, "late").await;
    let report = reopen_day(shop.ctx(), day, "늦게 들음".into(), "api")
        .await
        .unwrap();
    assert_eq!(report.settled.len(), 1);
    assert_eq!(shop.net("farm", day), 9_790);
    shop.days(1);
    shop.night().await;
    assert!(shop.find("farm", day.next()).is_none(), "it counts once");

    // Without opening it stays where it was heard.
    shop.register("later", &[("farm", 10_000, 0)]).await;
    let later = shop.charge("later", 10_000);
    shop.days(2);
    shop.night().await;
    let heard = shop.today();
    shop.hear(&later, "later").await;
    shop.days(1);
    shop.night().await;
    assert_eq!(shop.net("farm", heard), 8_900);
    shop.close().await;
}

#[tokio::test]
async fn a_day_is_opened_again_only_while_nobody_has_begun_to_pay_it() {
    let shop = Shop::open().await;
    shop.plain_partner("farm").await;
    let day = shop.today();
    let apple = shop.buy("apple", &[("farm", 10_000, 0)]).await;
    shop.days(1);
    shop.give_back(&apple, 10_000).await;
    shop.days(1);
    shop.buy("pear", &[("farm", 30_000, 0)]).await;
    shop.days(2);
    shop.night().await;
    let open = async |day: KstDay| reopen_day(shop.ctx(), day, "다시".into(), "api").await;
    let dumped = dump(&shop.app.database());
    assert!(matches!(
        open(day.next()).await,
        Err(ReopenError::Netted { .. })
    ));
    assert!(matches!(
        open(shop.today()).await,
        Err(ReopenError::NotSettled(_))
    ));
    assert_eq!(dump(&shop.app.database()), dumped);

    let batch = shop.batch().await.unwrap();
    assert!(matches!(open(day).await, Err(ReopenError::Begun { .. })));
    // Called off, it is REQUESTED again: but a bank may have it, and the batch tells of it.
    pay_out::call_off(shop.ctx(), batch, "파일을 다시 만듦".into(), "api")
        .await
        .unwrap();
    assert_eq!(shop.get("farm", day).state, State::Requested);
    let refused = open(day).await.unwrap_err();
    assert!(matches!(refused, ReopenError::Tried { .. }), "{refused}");
    // The day that carried the negative sum in was due, too; what it netted stays netted.
    let batch = shop.batch().await.unwrap();
    shop.bank(batch, Word::Paid).await;
    assert_eq!(shop.account("farm").paid.get(), 26_700);
    shop.close().await;
}

#[tokio::test]
async fn opening_the_day_that_netted_a_negative_sum_gives_it_back_first() {
    let shop = Shop::open().await;
    shop.plain_partner("farm").await;
    let apple = shop.buy("apple", &[("farm", 10_000, 0)]).await;
    shop.days(1);
    shop.night().await;
    let second = shop.today();
    shop.give_back(&apple, 10_000).await;
    shop.days(1);
    shop.buy("pear", &[("farm", 30_000, 0)]).await;
    shop.days(1);
    shop.night().await;
    reopen_day(shop.ctx(), second.next(), "다시".into(), "api")
        .await
        .unwrap();
    assert_eq!(shop.net("farm", second.next()), 17_800);
    assert_eq!(
        shop.get("farm", second).carried_into,
        Some(shop.get("farm", second.next()).id)
    );
    shop.close().await;
}

#[tokio::test]
async fn a_held_payment_counts_when_it_is_released() {
    let shop = Shop::with(&[("orders.unknown", "hold")]).await;
    let day = shop.today();
    let held = shop.charge("unsaid", 10_000);
    shop.hear(&held, "unsaid").await;
    shop.days(1);
    shop.night().await;
    let own: String = shop.app.sql("select id from partner where kind = 'OWN'");
    assert!(shop.find(&own, day).is_none());
    let imp_uid = ImpUid::new(held).unwrap();
    release_hold(shop.ctx(), imp_uid, "맞음".into(), "api")
        .await
        .unwrap();
    shop.days(1);
    shop.night().await;
    assert_eq!(shop.net(&own, day.next()), 10_000);
    shop.close().await;
}

#[tokio::test]
async fn an_order_that_is_registered_after_its_payment_moves_it_to_whom_it_is_owed() {
    let shop = Shop::open().await;
    for id in ["farm", "bakery"] {
        shop.plain_partner(id).await;
    }
    let day = shop.today();
    let paid = shop.charge("unsaid", 14_000);
    shop.hear(&paid, "unsaid").await;
    shop.give_back(&paid, 1_400).await;
    // Before it was settled: nothing is left with the shop.
    shop.register("unsaid", &[("farm", 10_000, 0), ("bakery", 4_000, 0)])
        .await;
    let after = shop.charge("unsaid-2", 10_000);
    shop.hear(&after, "unsaid-2").await;
    shop.days(1);
    shop.night().await;
    assert_eq!(shop.net("farm", day), 8_010);
    assert_eq!(shop.net("bakery", day), 3_204);
    let own: String = shop.app.sql("select id from partner where kind = 'OWN'");
    assert_eq!(shop.net(&own, day), 10_000);

    // After it was settled: a correction takes it from the one and gives it to the other.
    shop.register("unsaid-2", &[("farm", 10_000, 0)]).await;
    shop.days(1);
    shop.night().await;
    assert_eq!(shop.net(&own, day.next()), -10_000);
    assert_eq!(shop.net("farm", day.next()), 8_900);
    let kinds: i64 = shop.app.sql(&format!(
        "select count(*) from movement where day = '{}' and kind = 'CORRECTION'",
        day.next()
    ));
    assert_eq!(kinds, 2);
    shop.close().await;
}

#[tokio::test]
async fn what_was_given_back_elsewhere_counts_on_its_day() {
    let shop = Shop::open().await;
    shop.plain_partner("farm").await;
    let day = shop.today();
    let apple = shop.buy("apple", &[("farm", 10_000, 0)]).await;
    shop.register("pear", &[("farm", 10_000, 0)]).await;
    let pear = shop.charge("pear", 10_000);
    shop.days(1);
    shop.night().await;
    // In PortOne's console; heard a day later, while its day is open.
    shop.app
        .portone
        .cancel_at_console(&apple, Some(5_000), "콘솔")
        .unwrap();
    // Heard of for the first time when part has gone back.
    shop.app
        .portone
        .cancel_at_console(&pear, Some(2_000), "콘솔")
        .unwrap();
    shop.days(1);
    for (imp_uid, order) in [(&apple, "apple"), (&pear, "pear")] {
        let answer = shop.app.webhook(imp_uid, order, "cancelled").await.status();
        assert!(answer.is_success(), "{answer}");
    }
    shop.night().await;
    assert_eq!(shop.net("farm", day), 8_900);
    assert_eq!(shop.net("farm", day.next()), -4_450 + 8_900 - 1_780);
    shop.close().await;
}

#[tokio::test]
async fn a_virtual_account_counts_on_the_day_of_its_deposit() {
    let shop = Shop::open().await;
    shop.plain_partner("farm").await;
    shop.register("vbank", &[("farm", 10_000, 0)]).await;
    let imp_uid = shop.app.charge_as(NewPayment {
        merchant_uid: "vbank".into(),
        amount: 10_000,
        method: "vbank".into(),
        status: Status::Ready,
        ..NewPayment::default()
    });
    shop.app.webhook(&imp_uid, "vbank", "ready").await;
    let ready = shop.today();
    shop.days(2);
    shop.app.portone.deposit(&imp_uid).unwrap();
    shop.hear(&imp_uid, "vbank").await;
    let day = shop.today();
    shop.days(1);
    shop.night().await;
    assert!(shop.find("farm", ready).is_none());
    assert_eq!(shop.net("farm", day), 8_900);
    shop.close().await;
}

#[tokio::test]
async fn a_partner_without_a_contract_waits_and_is_told_of() {
    let shop = Shop::open().await;
    shop.plain_partner("farm").await;
    let day = shop.today();
    shop.buy("both", &[("farm", 10_000, 0), ("stranger", 4_000, 0)])
        .await;
    shop.days(1);
    let report = shop.settle(day).await;
    assert_eq!(report.blocked.len(), 1);
    assert_eq!(
        (
            report.blocked[0].partner.as_str(),
            report.blocked[0].waiting.get()
        ),
        ("stranger", 4_000)
    );
    assert_eq!(shop.net("farm", day), 8_900);
    shop.app.drain().await;
    assert!(
        shop.app.slack().contains("stranger"),
        "{}",
        shop.app.slack()
    );
    // From tomorrow on does not help for yesterday.
    let id = || PartnerId::new("stranger").unwrap();
    shop.agree("stranger", shop.today(), ten_percent()).await;
    assert_eq!(shop.settle(day).await.blocked.len(), 1);
    agree(shop.ctx(), id(), day, ten_percent(), "api")
        .await
        .unwrap();
    shop.days(1);
    let nights = shop.night().await;
    assert_eq!(nights[0].day, day, "the night's run comes back to it");
    assert_eq!(shop.net("stranger", day), 3_560);
    shop.close().await;
}

#[tokio::test]
async fn a_change_of_terms_counts_for_payments_from_its_day_on() {
    let shop = Shop::open().await;
    shop.plain_partner("farm").await;
    let day = shop.today();
    let old = shop.buy("old", &[("farm", 10_000, 0)]).await;
    shop.agree(
        "farm",
        day.next(),
        terms_with(|terms| terms.fee = percent("20")),
    )
    .await;
    shop.days(1);
    shop.night().await;
    shop.give_back(&old, 5_000).await;
    let new = shop.buy("new", &[("farm", 10_000, 0)]).await;
    shop.days(1);
    shop.night().await;
    // The old one goes back by the old terms: pieces come to the whole.
    assert_eq!(shop.net("farm", day.next()), -4_450 + 7_800);
    shop.give_back(&new, 10_000).await;
    shop.days(1);
    shop.night().await;
    assert_eq!(shop.net("farm", day.plus_days(2)), -7_800);
    // What has settled something cannot change.
    let id = PartnerId::new("farm").unwrap();
    let refused = agree(shop.ctx(), id, day, ten_percent(), "api").await;
    // The version of that day is the same: no news. Another one is refused.
    assert!(
        matches!(refused, Err(ContractError::Settled { .. })),
        "{refused:?}"
    );
    shop.close().await;
}

#[tokio::test]
async fn an_adjustment_is_a_line_of_its_day_and_needs_no_fee() {
    let shop = Shop::open().await;
    shop.plain_partner("farm").await;
    let day = shop.today();
    let adjustment = Adjustment {
        partner: PartnerId::new("farm").unwrap(),
        amount: Won::new(-700),
        reason: "배송비".into(),
    };
    adjust(shop.ctx(), adjustment, "api").await.unwrap();
    shop.buy("apple", &[("farm", 10_000, 0)]).await;
    shop.days(1);
    shop.night().await;
    assert_eq!(shop.net("farm", day), 8_200);
    shop.close().await;
}

/// Settles a crowd's day, and has another process write `sql` once it has begun; gives what the run said, and
/// the books.
async fn meddled_with(
    partners: i64,
    sql: impl Fn(KstDay) -> String,
) -> (
    tempfile::TempDir,
    Ctx,
    KstDay,
    Result<Report, SettleDayError>,
) {
    let dir = tempfile::tempdir().unwrap();
    let day = crowd(dir.path(), partners, 30_000);
    let ctx = context(dir.path()).await;
    let run = tokio::spawn({
        let ctx = ctx.clone();
        async move { settle_day(&ctx, day, "api").await }
    });
    let mut other = Connection::open(database_in(dir.path())).unwrap();
    other
        .busy_handler(Some(|_| {
            std::thread::sleep(Duration::from_micros(200));
            true
        }))
        .unwrap();
    let begun = || -> bool {
        let sql = "select exists (select 1 from progress)";
        other.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    while !begun() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let tx = other
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .unwrap();
    tx.execute_batch(&sql(day)).unwrap();
    // What is read meanwhile is read as it was.
    tokio::time::sleep(Duration::from_millis(200)).await;
    tx.commit().unwrap();
    let said = run.await.unwrap();
    (dir, ctx, day, said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn terms_that_change_while_a_day_is_settled_hold_for_all_of_it() {
    let other = serde_json::to_string(&terms_with(|terms| terms.fee = percent("20"))).unwrap();
    let changed = |_: KstDay| {
        format!("update contract_version set terms = '{other}' where partner_id = 'crowd-0'")
    };
    let between = |day: KstDay| {
        format!(
            "insert into contract_version (partner_id, from_day, terms, created_at, created_by)
             values ('crowd-0', '{}', '{other}', 0, 'test')",
            day.previous()
        )
    };
    let cases: [&dyn Fn(KstDay) -> String; 2] = [&changed, &between];
    for case in cases {
        let (dir, ctx, day, said) = meddled_with(1, case).await;
        assert!(matches!(said, Err(SettleDayError::Changed(_))), "{said:?}");
        settle_day(&ctx, day, "api").await.unwrap();
        ctx.store.close().await;
        let conn = Connection::open(database_in(dir.path())).unwrap();
        assert_eq!(books::check(&conn).unwrap(), []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_off_that_is_added_while_a_day_is_settled_moves_every_payout_day() {
    let off = |day: KstDay| {
        let due = day.plus_days(2);
        format!("insert into special_day values ('{due}', '임시공휴일', 1, 0, 'test')")
    };
    let (_dir, ctx, day, said) = meddled_with(30, off).await;
    assert!(matches!(said, Err(SettleDayError::Changed(_))), "{said:?}");
    settle_day(&ctx, day, "api").await.unwrap();
    ctx.store.close().await;
}

/// Books with many payments of yesterday, put there by SQL; gives the day.
fn crowd(dir: &Path, partners: i64, payments: i64) -> KstDay {
    let day = KstDay::of(Clock::default().now()).previous();
    let store = Store::open(dir, Clock::default()).unwrap();
    let closing = store.close();
    futures::executor::block_on(closing);
    let conn = Connection::open(database_in(dir)).unwrap();
    let terms = serde_json::to_string(&ten_percent()).unwrap();
    let (from, at) = (day.plus_days(-20), day.start().as_millisecond());
    conn.execute_batch(&format!(
        "pragma synchronous = off;
         begin;
         insert into partner (id, name, kind, created_at)
           with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < {partners})
           select 'crowd-' || i, 'crowd', 'INDIVIDUAL', {at} from n;
         insert into contract_version (partner_id, from_day, terms, created_at, created_by)
           select id, '{from}', '{terms}', {at}, 'test' from partner where id like 'crowd-%';
         insert into payment (id, imp_uid, merchant_uid, status, amount, cancelled, test, method, about, at, paid_at,
                              created_at, updated_at)
           with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < {payments})
           select i + 1, printf('imp_%012d', i), 'ord-' || i, 'PAID', 1000 + i % 9973, 0, 0, 'card', '{{}}', {at} + i,
                  {at} + i, {at}, {at} from n;
         insert into payment_partner (partner_id, at, payment_id) select 'crowd-' || (id % {partners}), at, id from payment;
         insert into event (payment_id, at, kind, actor, to_status, detail)
           select id, at, 'first_heard', 'webhook', 'PAID', '{{}}' from payment;
         insert into movement (day, partner_id, seq, kind, payment_id, happened_at, terms_day, order_before, order_after,
                               discount_before, discount_after, tax_free_before, tax_free_after)
           select '{day}', 'crowd-' || (id % {partners}), id / {partners} + 1, 'ORDER', id, at, '{day}', 0, amount, 0, 0, 0, 0
             from payment;
         insert or replace into schedule (name, last_slot)
           values ('sweep', unixepoch() * 1000), ('prune', unixepoch() * 1000), ('settle', unixepoch() * 1000);
         commit;"
    ))
    .unwrap();
    day
}

/// All that a flow needs, on books of a directory, without a server.
async fn context(dir: &Path) -> Ctx {
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let config = Config::load(None, [], &settings(&sandbox, dir)).unwrap();
    let store = Store::open_beside(dir, Clock::default()).unwrap();
    app::context(&config, store).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_it_settles_it_ends_in_the_rows_of_a_run_in_peace() {
    let kills: u64 = std::env::var("JEONGSAN_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(5);
    let (peace, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let day = crowd(peace.path(), 7, 24_000);
    // The server that is killed makes the default partner; so does this one.
    let sandbox = Sandbox::start(SandboxConfig::default()).await.unwrap();
    let port = free_port();
    assert_eq!(
        Server::start(&sandbox, peace.path(), port)
            .await
            .terminate(),
        Some(0)
    );
    std::fs::copy(database_in(peace.path()), database_in(killed.path())).unwrap();
    let ctx = context(peace.path()).await;
    settle_day(&ctx, day, "schedule").await.unwrap();
    ctx.store.close().await;

    let publish = async || {
        let store = Store::open_beside(killed.path(), Clock::default()).unwrap();
        let until = day.next().start();
        store
            .write(move |tx| {
                // A job that killed the process three times waits for a person: not what is told here.
                tx.conn()
                    .execute("update job set crashes = 0 where kind = 'settle'", [])?;
                let terms = jeongsan::store::jobs::Terms {
                    max_attempts: 9,
                    run_at: None,
                };
                jeongsan::store::jobs::publish(
                    tx,
                    &jeongsan::domain::job::Job::Settle { until },
                    terms,
                )?;
                Ok::<_, jeongsan::store::StoreError>(())
            })
            .await
            .unwrap();
        store.close().await;
    };
    let lines = || -> i64 {
        let conn = Connection::open(database_in(killed.path())).unwrap();
        conn.busy_timeout(Duration::from_secs(10)).unwrap();
        let sql = "select count(*) from settlement_line";
        conn.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    let mut dice = StdRng::seed_from_u64(kills);
    let mut half_way = 0;
    for _ in 0..kills {
        publish().await;
        let server = Server::start(&sandbox, killed.path(), port).await;
        // Until it has begun to write, and a bit.
        let before = lines();
        for _ in 0..100 {
            if lines() > before {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(dice.random_range(0..150))).await;
        server.kill();
        let conn = Connection::open(database_in(killed.path())).unwrap();
        let (lines, finished): (i64, bool) = conn
            .query_row(
                "select (select count(*) from settlement_line),
                        exists (select 1 from settlement_day where finished_at is not null)",
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .unwrap();
        half_way += u64::from(lines > 0 && !finished);
        assert_eq!(books::check(&conn).unwrap(), []);
    }
    println!("{kills} kills, {half_way} of them in the middle");
    publish().await;
    let server = Server::start(&sandbox, killed.path(), port).await;
    let conn = Connection::open(database_in(killed.path())).unwrap();
    conn.busy_timeout(Duration::from_secs(10)).unwrap();
    for _ in 0..600 {
        let open: bool = conn
            .query_row(
                "select exists (select 1 from job where kind = 'settle' and state in ('ready', 'running'))",
                [],
                |row| row.get(0),
            )
            .unwrap();
        if !open {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(server.terminate(), Some(0));
    let (ours, expected) = (
        dump(&database_in(killed.path())),
        dump(&database_in(peace.path())),
    );
    assert_eq!(ours.len(), expected.len());
    assert!(ours == expected, "the rows differ");
    assert_eq!(books::check(&conn).unwrap(), []);
}

/// Books of the version before there were settlements: its schema, and rows that it wrote.
#[tokio::test]
async fn books_of_before_get_their_movements_at_the_first_settlement() {
    let (dir, newest) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    Store::open(newest.path(), Clock::default())
        .unwrap()
        .close()
        .await;
    let conn = Connection::open(database_in(dir.path())).unwrap();
    conn.execute_batch(include_str!("../../migrations/V1__books.sql"))
        .unwrap();
    conn.execute_batch(&format!(
        "attach '{}' as newest;
         create table refinery_schema_history (version int4 primary key, name varchar(255), applied_on varchar(255),
                                               checksum varchar(255));
         insert into refinery_schema_history select * from newest.refinery_schema_history where version = 1;
         detach newest;",
        database_in(newest.path()).display()
    ))
    .unwrap();
    let today = KstDay::of(Clock::default().now());
    let days: Vec<i64> = (0..4)
        .map(|n| today.plus_days(n - 4).start().as_millisecond() + 1_000)
        .collect();
    let (paid, gone, later) = (days[0], days[1], days[2]);
    conn.execute_batch(&format!(
        r#"
        insert into partner (id, name, created_at) values ('farm', 'farm', 0), ('bakery', 'bakery', 0), ('house', 'house', 0);
        insert into merchant_order (merchant_uid, name, amount, created_at) values ('ord-1', 'apples', 13000, {paid});
        insert into order_line values ('ord-1', 1, 'farm', 'apple', 1, 10000, 1000, 9000),
                                      ('ord-1', 2, 'bakery', 'bread', 1, 4000, 0, 4000);
        insert into payment (id, imp_uid, merchant_uid, status, amount, cancelled, wish, hold, test, method, about, at, paid_at,
                             created_at, updated_at)
          values (1, 'imp_1', 'ord-1', 'PARTIAL_CANCELED', 13000, 1300, null, null, 0, 'card', '{{}}', {paid}, {paid}, {paid}, {gone}),
                 (2, 'imp_2', 'nobody', 'CANCELED', 5000, 5000, null, null, 0, 'card', '{{}}', {paid}, {paid}, {paid}, {later}),
                 (3, 'imp_3', 'ord-1', 'PAID', 13000, 0, null, '{{"reason":"already_paid","by":"imp_1"}}', 0, 'card', '{{}}', {later}, {later}, {later}, {later}),
                 (4, 'imp_4', 'none', 'FAILED', 7000, 0, null, null, 0, 'card', '{{}}', {later}, null, {later}, {later});
        insert into payment_partner (partner_id, at, payment_id) values ('farm', {paid}, 1), ('bakery', {paid}, 1),
          ('house', {paid}, 2), ('farm', {later}, 3), ('house', {later}, 4);
        insert into event (payment_id, at, kind, actor, to_status, detail)
          select id, at, 'first_heard', 'webhook', status, '{{}}' from payment;
        insert into cancellation (id, payment_id, state, amount, checksum, reason, requested_by, requested_at, finished_at, gateway_key)
          values ('c1', 1, 'DONE', 1300, 13000, 'x', 'api', {paid}, {gone}, 'k1'),
                 ('c2', 2, 'DONE', 5000, 5000, 'x', 'elsewhere', {gone}, {later}, 'k2');
        "#
    ))
    .unwrap();
    drop(conn);
    let ctx = context(dir.path()).await;
    let conn = Connection::open(database_in(dir.path())).unwrap();
    assert_eq!(
        books::check(&conn).unwrap(),
        [],
        "while movements are missing"
    );
    for id in ["farm", "bakery", "house"] {
        let terms = ten_percent();
        let from = today.plus_days(-30);
        agree(&ctx, PartnerId::new(id).unwrap(), from, terms, "api")
            .await
            .unwrap();
    }
    let reports = settle_until(&ctx, today, "schedule").await.unwrap();
    assert_eq!(reports.len(), 4);
    let net = |partner: &str, at: i64| {
        let day = KstDay::of(jiff::Timestamp::from_millisecond(at).unwrap()).to_string();
        conn.query_row(
            "select net - carried_in from settlement where partner_id = ?1 and day = ?2",
            (partner, day),
            |row| row.get::<_, i64>(0),
        )
        .unwrap()
    };
    // 1,300 of 13,000: 900 of the apples, 400 of the bread.
    assert_eq!((net("farm", paid), net("farm", gone)), (8_900, -890));
    assert_eq!((net("bakery", paid), net("bakery", gone)), (3_560, -356));
    assert_eq!((net("house", paid), net("house", gone)), (4_450, -4_450));
    let missing: bool = conn
        .query_row(
            "select exists (select 1 from setting where key like 'movements%')",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert!(!missing, "caught up");
    ctx.store.close().await;
    assert_eq!(books::check(&conn).unwrap(), []);
}
