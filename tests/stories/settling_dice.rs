//! What partners are owed, drawn by dice with a seed: contracts, orders, cancels in pieces, messages that
//! come late, days that pass, payouts that fail. After every step each won of every partner is in one
//! place. At the end the same facts are told anew, in another order and settled at once: the same sums.
//!
//! `TEST_SEEDS=200 cargo nextest run --test stories settling_dice` runs more; `TEST_SEED=7` one.

use std::collections::BTreeMap;

use jeongsan::{
    app::{App, Parts},
    config::Config,
    domain::{
        calendar::KstDay,
        contract::{AdditionalFee, Fee, Rate, Round, Rounding, Terms, VatBearer},
        cycle::{Cycle, HolidayPolicy, Method},
        ids::PartnerId,
        money::Won,
        partner::{PartnerType, Taxation},
        settlement::State,
    },
    flow::{
        adjust::{Adjustment, adjust},
        agree_contract::agree,
        hold_settlement::{hold, release, try_again},
        pay_out::{self, Word},
        reopen_day::reopen_day,
        settle_day::settle_until,
    },
    store::{
        StoreError, books, database_in,
        settlements::{self, SettlementRow},
    },
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::SliceRandom};
use rusqlite::Connection;
use serde_json::json;

use crate::{
    shop::Shop,
    support::{TOKEN, settings},
};

/// A purchase, as far as it has become known.
struct Bought {
    order: String,
    lines: Vec<(String, i64, i64)>,
    imp_uid: String,
    registered: bool,
    heard: bool,
}

const PARTNERS: [(&str, PartnerType); 4] = [
    ("farm", PartnerType::Individual),
    ("bakery", PartnerType::WithholdingIndividual),
    (
        "pottery",
        PartnerType::Business {
            taxation: Taxation::General,
        },
    ),
    (
        "late",
        PartnerType::Business {
            taxation: Taxation::TaxFree,
        },
    ),
];

fn some_terms(dice: &mut StdRng) -> Terms {
    let round = |dice: &mut StdRng| Round::ALL[dice.random_range(0..3)];
    let rate = |dice: &mut StdRng, most: i64| Rate::new(dice.random_range(0..=most)).unwrap();
    let fee = |dice: &mut StdRng| match dice.random_bool(0.8) {
        true => Fee::Rate(rate(dice, 30_000)),
        false => Fee::Fixed(Won::new(dice.random_range(0..800))),
    };
    let bearer = |dice: &mut StdRng| match dice.random_bool(0.7) {
        true => VatBearer::Partner,
        false => VatBearer::Platform,
    };
    let lag = dice.random_range(0..4);
    let cycle = Cycle::new(lag, Method::Daily, HolidayPolicy::CalendarDay).unwrap();
    let mut terms = Terms::plain(fee(dice), cycle);
    terms.fee_vat = bearer(dice);
    terms.additional = (0..dice.random_range(0..3))
        .map(|n| AdditionalFee {
            name: format!("fee {n}"),
            fee: fee(dice),
            vat: bearer(dice),
        })
        .collect();
    terms.discount_share = rate(dice, 100_000);
    terms.subtract_payment_vat = dice.random_bool(0.3);
    terms.min_payout = Won::new([0, 0, 5_000][dice.random_range(0..3)]);
    terms.rounding = Rounding {
        fee: round(dice),
        fee_vat: round(dice),
        additional: round(dice),
        additional_vat: round(dice),
        discount_share: round(dice),
        payment_vat: round(dice),
    };
    terms
}

fn some_lines(dice: &mut StdRng) -> Vec<(String, i64, i64)> {
    let lines = |dice: &mut StdRng| {
        let price = dice.random_range(1..30_000);
        let discount = match dice.random_range(0..4) {
            0 => dice.random_range(0..=price),
            _ => 0,
        };
        let partner = PARTNERS[dice.random_range(0..PARTNERS.len())].0;
        (partner.to_owned(), price, discount)
    };
    loop {
        let lines: Vec<_> = (0..dice.random_range(1..4)).map(|_| lines(dice)).collect();
        if paid(&lines) >= 100 {
            return lines;
        }
    }
}

fn paid(lines: &[(String, i64, i64)]) -> i64 {
    lines
        .iter()
        .map(|(_, price, discount)| price - discount)
        .sum()
}

struct World {
    shop: Shop,
    dice: StdRng,
    bought: Vec<Bought>,
    adjusted: Vec<(&'static str, i64)>,
    agreed: Vec<(&'static str, KstDay, Terms)>,
    done: BTreeMap<&'static str, u32>,
    from: KstDay,
}

impl World {
    fn count(&mut self, what: &'static str) {
        *self.done.entry(what).or_default() += 1;
    }

    fn some(&mut self, state: State) -> Option<SettlementRow> {
        let rows: Vec<SettlementRow> = self
            .shop
            .ctx()
            .store
            .read(|conn| {
                let mut rows = Vec::new();
                let mut day = self.from;
                while day < self.shop.today() {
                    rows.extend(settlements::of_day(conn, day)?);
                    day = day.next();
                }
                Ok::<_, StoreError>(rows)
            })
            .unwrap();
        let mut rows: Vec<_> = rows.into_iter().filter(|row| row.state == state).collect();
        (!rows.is_empty()).then(|| rows.swap_remove(self.dice.random_range(0..rows.len())))
    }

    async fn agree(&mut self, partner: &'static str, from: KstDay) {
        let terms = some_terms(&mut self.dice);
        let id = PartnerId::new(partner).unwrap();
        if agree(self.shop.ctx(), id, from, terms.clone(), "api")
            .await
            .is_ok()
        {
            self.agreed
                .retain(|(p, day, _)| (*p, *day) != (partner, from));
            self.agreed.push((partner, from, terms));
            self.count("agree");
        }
    }

    async fn register(&mut self, at: usize) {
        let one = &self.bought[at];
        let lines: Vec<(&str, i64, i64)> = one
            .lines
            .iter()
            .map(|(p, a, d)| (p.as_str(), *a, *d))
            .collect();
        self.shop.register(&one.order, &lines).await;
        self.bought[at].registered = true;
        self.count("register");
    }

    async fn hear(&mut self, at: usize) {
        let one = &self.bought[at];
        self.shop.hear(&one.imp_uid, &one.order).await;
        self.bought[at].heard = true;
        self.count("hear");
    }

    fn pick(&mut self, which: impl Fn(&Bought) -> bool) -> Option<usize> {
        let fitting: Vec<usize> = (0..self.bought.len())
            .filter(|i| which(&self.bought[*i]))
            .collect();
        (!fitting.is_empty()).then(|| fitting[self.dice.random_range(0..fitting.len())])
    }

    async fn step(&mut self, step: usize) {
        match self.dice.random_range(0..24) {
            0..5 => {
                let lines = some_lines(&mut self.dice);
                let order = format!("ord-{step}");
                let before = self.dice.random_bool(0.7);
                if before {
                    let plain: Vec<(&str, i64, i64)> =
                        lines.iter().map(|(p, a, d)| (p.as_str(), *a, *d)).collect();
                    self.shop.register(&order, &plain).await;
                }
                let imp_uid = self.shop.charge(&order, paid(&lines));
                self.bought.push(Bought {
                    order,
                    lines,
                    imp_uid,
                    registered: before,
                    heard: false,
                });
                if self.dice.random_bool(0.7) {
                    self.hear(self.bought.len() - 1).await;
                }
                self.count("buy");
            }
            5 => {
                if let Some(at) = self.pick(|one| !one.heard) {
                    self.hear(at).await;
                }
            }
            6 => {
                if let Some(at) = self.pick(|one| !one.registered) {
                    self.register(at).await;
                }
            }
            7..10 => {
                if let Some(at) = self.pick(|one| one.heard) {
                    let imp_uid = self.bought[at].imp_uid.clone();
                    let left = self.shop.app.portone.payment(&imp_uid).unwrap();
                    let left = left.amount - left.cancel_amount;
                    if left > 0 {
                        let most = if self.dice.random_bool(0.3) {
                            left
                        } else {
                            self.dice.random_range(1..=left)
                        };
                        let status = self
                            .shop
                            .app
                            .cancel(&imp_uid, Some(most))
                            .await
                            .status()
                            .as_u16();
                        assert!(matches!(status, 200 | 202 | 409 | 422), "{status}");
                        self.shop.app.drain().await;
                        self.count("cancel");
                    }
                }
            }
            10 => {
                if let Some(at) = self.pick(|_| true) {
                    let imp_uid = self.bought[at].imp_uid.clone();
                    let won = self.dice.random_range(1..3_000);
                    if self
                        .shop
                        .app
                        .portone
                        .cancel_at_console(&imp_uid, Some(won), "콘솔")
                        .is_ok()
                    {
                        self.bought[at].heard = false;
                        self.count("cancel elsewhere");
                    }
                }
            }
            11 => {
                let partner = PARTNERS[self.dice.random_range(0..4)].0;
                let won = self.dice.random_range(-9_000..9_000);
                let adjustment = Adjustment {
                    partner: PartnerId::new(partner).unwrap(),
                    amount: Won::new(won),
                    reason: "조정".into(),
                };
                if adjust(self.shop.ctx(), adjustment, "api").await.is_ok() {
                    self.adjusted.push((partner, won));
                    self.count("adjust");
                }
            }
            12..16 => {
                self.shop.days(self.dice.random_range(1..3));
                if self.dice.random_bool(0.8) {
                    self.shop.night().await;
                    self.count("night");
                }
            }
            16 => {
                let days = self.from.days_until(self.shop.today());
                let day = self.from.plus_days(self.dice.random_range(0..=days));
                if reopen_day(self.shop.ctx(), day, "다시".into(), "api")
                    .await
                    .is_ok()
                {
                    self.count("reopen");
                }
            }
            17..20 => {
                let Ok(batch) = self.shop.batch().await else {
                    return;
                };
                match self.dice.random_range(0..10) {
                    0..6 => self.shop.bank(batch, Word::Paid).await,
                    6..8 => {
                        self.shop
                            .bank(batch, Word::Failed("계좌 없음".into()))
                            .await
                    }
                    // With nothing to transfer the batch is over already.
                    _ => {
                        _ = pay_out::call_off(self.shop.ctx(), batch, "다시".into(), true, "api")
                            .await
                    }
                }
                self.count("batch");
            }
            20 => {
                let state = [State::Requested, State::Failed][self.dice.random_range(0..2)];
                if let Some(row) = self.some(state) {
                    let ctx = self.shop.ctx();
                    let _ = match row.hold {
                        Some(_) => release(ctx, row.id, "끝".into(), "api").await,
                        None => hold(ctx, row.id, "보류".into(), "api").await,
                    };
                    self.count("hold");
                }
            }
            21..23 => {
                if let Some(row) = self.some(State::Failed) {
                    try_again(self.shop.ctx(), row.id, "고침".into(), "api")
                        .await
                        .unwrap();
                    self.count("try again");
                }
            }
            _ => {
                let partner = PARTNERS[self.dice.random_range(0..4)].0;
                let from = self.shop.today().plus_days(self.dice.random_range(0..3));
                self.agree(partner, from).await;
            }
        }
    }

    fn earned(&self) -> BTreeMap<String, i64> {
        earned(&self.shop.app.database())
    }
}

/// Σ over all days for each partner, checked on the way.
fn earned(database: &std::path::Path) -> BTreeMap<String, i64> {
    let conn = Connection::open(database).unwrap();
    let broken = books::check(&conn).unwrap();
    assert!(broken.is_empty(), "{broken:#?}");
    let mut query = conn
        .prepare("select partner_id, sum(net - carried_in) from settlement group by partner_id having sum(net - carried_in) <> 0")
        .unwrap();
    query
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect()
}

async fn one(seed: u64) -> BTreeMap<&'static str, u32> {
    let shop = Shop::open().await;
    let from = shop.today();
    let mut world = World {
        dice: StdRng::seed_from_u64(seed),
        shop,
        bought: Vec::new(),
        adjusted: Vec::new(),
        agreed: Vec::new(),
        done: BTreeMap::new(),
        from,
    };
    for (id, kind) in PARTNERS {
        world.shop.partner(id, kind).await;
        // One has no contract for a while.
        if id != "late" {
            world.agree(id, from).await;
        }
    }
    for step in 0..60 {
        world.step(step).await;
        world.earned();
        let own = world
            .shop
            .app
            .sql::<String>("select id from partner where kind = 'OWN'");
        for id in PARTNERS.map(|(id, _)| id).into_iter().chain([own.as_str()]) {
            let account = world.shop.account(id);
            let left = account.earned.get() - account.open.get() - account.carry.get();
            assert_eq!(account.paid.get(), left, "step {step}: {id}: {account:?}");
        }
    }
    // Everything comes out, and every day is settled.
    world.agree("late", from).await;
    for at in 0..world.bought.len() {
        world.hear(at).await;
    }
    for _ in 0..2 {
        world.shop.days(1);
        world.shop.night().await;
    }
    let told = world.earned();
    told_anew(&mut world, &told).await;
    let done = world.done;
    world.shop.close().await;
    done
}

/// The same facts to an empty shop, in another order, all settled at the end.
async fn told_anew(world: &mut World, expected: &BTreeMap<String, i64>) {
    let dir = tempfile::tempdir().unwrap();
    let set: Vec<_> = settings(&world.shop.app.portone, dir.path());
    let parts = Parts {
        clock: world.shop.app.clock.clone(),
        workers: false,
        ..Parts::default()
    };
    let app = App::start(Config::load(None, [], &set).unwrap(), parts)
        .await
        .unwrap();
    let ctx = app.web.ctx.clone();
    let url = format!("http://{}", app.addr);
    let mut agreed = world.agreed.clone();
    agreed.sort_by_key(|(_, from, _)| *from);
    for (partner, kind) in PARTNERS {
        let partner = serde_json::from_value(json!({
            "id": partner, "name": partner, "type": kind.as_str(),
            "business_number": kind.is_business().then_some("1248100998"),
        }));
        let save = jeongsan::flow::save_partner::Save::Put;
        jeongsan::flow::save_partner::save_partner(&ctx, partner.unwrap(), save, "api")
            .await
            .unwrap();
    }
    for (partner, from, terms) in agreed {
        // What was scheduled for days to come is of no use here.
        if from <= world.shop.today() {
            let id = PartnerId::new(partner).unwrap();
            agree(&ctx, id, from, terms, "api").await.unwrap();
        }
    }
    enum Fact {
        Order(usize),
        Paid(usize),
        Adjusted(usize),
    }
    let mut facts: Vec<Fact> = (0..world.bought.len())
        .flat_map(|at| {
            let order = world.bought[at].registered.then_some(Fact::Order(at));
            order.into_iter().chain([Fact::Paid(at), Fact::Paid(at)])
        })
        .chain((0..world.adjusted.len()).map(Fact::Adjusted))
        .collect();
    facts.shuffle(&mut world.dice);
    for fact in facts {
        match fact {
            Fact::Order(at) => {
                let one = &world.bought[at];
                let lines: Vec<_> = one
                    .lines
                    .iter()
                    .map(|(partner, price, discount)| {
                        json!({ "partner": partner, "name": "사과", "quantity": 1, "unit_price": price, "discount": discount })
                    })
                    .collect();
                let answer = world
                    .shop
                    .app
                    .http
                    .post(format!("{url}/api/orders"))
                    .bearer_auth(TOKEN)
                    .json(&json!({ "merchant_uid": one.order, "lines": lines }))
                    .send()
                    .await
                    .unwrap();
                let status = answer.status();
                assert!(
                    status.is_success(),
                    "{status} {}",
                    answer.text().await.unwrap()
                );
            }
            Fact::Paid(at) => {
                let one = &world.bought[at];
                let answer = world
                    .shop
                    .app
                    .http
                    .post(format!("{url}/api/payment/portone"))
                    .json(&json!({ "imp_uid": one.imp_uid, "merchant_uid": one.order, "status": "paid" }))
                    .send()
                    .await
                    .unwrap();
                assert!(answer.status().is_success());
            }
            Fact::Adjusted(at) => {
                let (partner, won) = world.adjusted[at];
                let adjustment = Adjustment {
                    partner: PartnerId::new(partner).unwrap(),
                    amount: Won::new(won),
                    reason: "조정".into(),
                };
                adjust(&ctx, adjustment, "api").await.unwrap();
            }
        }
    }
    world.shop.days(1);
    settle_until(&ctx, world.shop.today(), "schedule")
        .await
        .unwrap();
    app.stop().await;
    assert_eq!(
        &earned(&database_in(dir.path())),
        expected,
        "told in another order"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_each_won_of_a_partner_is_in_one_place() {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse::<u64>().ok())
    };
    if let Some(seed) = number("TEST_SEED") {
        println!("{:?}", one(seed).await);
        return;
    }
    let mut done: BTreeMap<&str, u32> = BTreeMap::new();
    for seed in 0..number("TEST_SEEDS").unwrap_or(6) {
        println!(
            "to see this one alone: TEST_SEED={seed} cargo nextest run --test stories settling_dice"
        );
        for (what, many) in one(seed).await {
            *done.entry(what).or_default() += many;
        }
    }
    println!("{done:?}");
    for what in [
        "night",
        "reopen",
        "batch",
        "cancel",
        "cancel elsewhere",
        "register",
        "hold",
        "try again",
        "agree",
    ] {
        assert!(done.contains_key(what), "{what} never happened");
    }
}
