//! A shop whose clock, and PortOne's, can be moved on, with partners, contracts, purchases and payouts.

use std::time::Duration;

use jeongsan::{
    domain::{
        calendar::KstDay,
        contract::{Fee, Terms},
        cycle::{Cycle, HolidayPolicy, Method},
        ids::PartnerId,
        partner::{Partner, PartnerType},
    },
    flow::{
        Ctx,
        agree_contract::agree,
        pay_out::{self, Choice, PayoutError, Word},
        save_partner::{Save, save_partner},
        settle_day::{Report, settle_day, settle_until},
    },
    store::settlements::{self, Account, SettlementRow},
};
use serde_json::{Value, json};

use crate::support::TestApp;

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
        Shop {
            app: TestApp::with(set, false).await,
        }
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

pub fn terms_with(change: impl FnOnce(&mut Terms)) -> Terms {
    let mut terms = ten_percent();
    change(&mut terms);
    terms
}
