//! Some weeks of a small marketplace: paid, given back, settled night by night and paid out.
//!
//! Both clocks begin in the past and move on together, so that everything happened when it says. What
//! is done here is what people and PortOne do: the same flows, in the same order.

use std::{collections::BTreeSet, time::Duration};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::net::TcpListener;

use super::DemoError;
use crate::{
    app::{App, Parts},
    config::Config,
    domain::{
        calendar::KstDay,
        contract::{AdditionalFee, Fee, Rate, Terms, VatBearer},
        cycle::{Cycle, HolidayPolicy, Method, Weekday},
        ids::{ImpUid, MerchantUid, PartnerId},
        money::Won,
        order::{Order, OrderLine},
        partner::{Partner, PartnerDraft},
        settlement::State,
    },
    flow::{
        Ctx,
        adjust::{Adjustment, adjust},
        agree_contract::agree,
        cancel_payment::{Asked, cancel_payment},
        hold_settlement::{hold, try_again},
        pay_out::{self, Choice, Word},
        register_order::register_order,
        save_partner::{Save, save_partner},
        settle_day::settle_until,
    },
    jobs,
    sandbox::{Buyer, Fault, Kind, NewPayment, Sandbox, Status, Target},
    store::{Clock, StoreError, orders, payouts, settlements},
};

/// Partner, product, unit price.
const GOODS: [(&str, &str, i64); 8] = [
    ("farm-haetsal", "햇사과 5kg", 32_000),
    ("farm-haetsal", "나주 신고배 7.5kg", 45_000),
    ("tea-jiri", "지리산 녹차 세작 50g", 38_000),
    ("tea-jiri", "발효 황차 30g", 24_000),
    ("pottery-icheon", "이천 백자 찻잔", 56_000),
    ("pottery-icheon", "청자 접시 2p", 72_000),
    ("sea-wando", "완도 곱창김 100장", 29_000),
    ("sea-wando", "건다시마 1kg", 18_500),
];

/// Sold in the first week only, and given back after it was settled.
const GIVEN_BACK: (&str, &str, i64) = ("stay-jeju", "제주 돌담스테이 1박", 180_000);

const BUYERS: [(&str, &str, &str); 8] = [
    ("홍길동", "hong@example.com", "010-1234-5678"),
    ("김하늘", "haneul@example.com", "010-2345-6789"),
    ("이바다", "bada@example.com", "010-3456-7890"),
    ("박새봄", "saebom@example.com", "010-4567-8901"),
    ("최은우", "eunwoo@example.com", "010-5678-9012"),
    ("정다온", "daon@example.com", "010-6789-0123"),
    ("강시우", "siwoo@example.com", "010-7890-1234"),
    ("Alice Kim", "alice@example.com", "010-8901-2345"),
];

const REASONS: [&str; 4] = ["단순 변심", "부분 반품", "배송 지연", "상품 파손"];

const DAY: i64 = 86_400;

fn failed(error: impl std::fmt::Display) -> DemoError {
    DemoError::Seed(error.to_string())
}

/// Fills new books with `days` of the past, up to this moment.
pub(super) async fn seed(config: Config, sandbox: &Sandbox, days: i64) -> Result<(), DemoError> {
    let clock = Clock::default();
    let back = Duration::from_secs(days.unsigned_abs() * DAY as u64);
    sandbox.set_back(back)?;
    clock.set_back(back);
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .map_err(DemoError::Port)?;
    let addr = listener.local_addr().map_err(DemoError::Port)?;
    sandbox.set_webhook_url(Some(format!("http://{addr}/api/payment/portone")));
    let parts = Parts {
        clock: clock.clone(),
        workers: false,
        ..Parts::default()
    };
    let app = App::start_on(listener, config, parts).await?;
    let mut story = Story {
        ctx: &app.web.ctx,
        sandbox,
        clock,
        // The same demo each time: the dice have a seed.
        dice: StdRng::seed_from_u64(20_261_122),
    };
    let told = story.tell(days).await;
    app.stop().await;
    told
}

struct Story<'a> {
    ctx: &'a Ctx,
    sandbox: &'a Sandbox,
    clock: Clock,
    dice: StdRng,
}

impl Story<'_> {
    async fn tell(&mut self, days: i64) -> Result<(), DemoError> {
        let end = now_of_machine();
        let today = KstDay::of(end);
        let first = today.plus_days(-days);
        self.partners(first).await?;
        let mut stay = None;
        for n in 0..=days {
            let day = first.plus_days(n);
            // Begun soon after midnight, the demo's last night is still to come.
            if self.until_clock(day, 1, 5, end)? {
                settle_until(self.ctx, day, "schedule")
                    .await
                    .map_err(failed)?;
            }
            // The last days are left to whoever looks.
            if n > 0 && n % 7 == 0 && n < days && self.until_clock(day, 9, 30, end)? {
                self.pay_out(day, n == 14).await?;
            }
            if n == 2 {
                stay = Some(self.one_order(day, 10, end, Some(GIVEN_BACK)).await?);
            }
            if n == 12
                && let Some(Some(imp_uid)) = stay.take()
            {
                self.until_clock(day, 10, 0, end)?;
                self.cancel(&imp_uid, None, "예약 취소").await?;
            }
            self.a_day(day, end).await?;
        }
        self.go_to(end)?;
        self.loose_ends(today).await?;
        self.what_went_wrong().await?;
        jobs::drain(self.ctx).await?;
        Ok(())
    }

    /// Moves both clocks to an instant, and no further than to `end`.
    fn go_to(&self, at: jiff::Timestamp) -> Result<(), DemoError> {
        let ahead = at.as_millisecond() - now_of_machine().as_millisecond();
        let now = *self.sandbox.clock_ahead().borrow();
        if ahead > now {
            let by = Duration::from_millis((ahead - now).unsigned_abs());
            self.sandbox.advance(by)?;
            self.clock.set_ahead(ahead);
        }
        Ok(())
    }

    /// Moves on to a time of a Korean day; false if that is past the end.
    fn until_clock(
        &self,
        day: KstDay,
        hour: i64,
        minute: i64,
        end: jiff::Timestamp,
    ) -> Result<bool, DemoError> {
        let at = day.start() + Duration::from_secs((hour * 3_600 + minute * 60).unsigned_abs());
        if at >= end {
            return Ok(false);
        }
        self.go_to(at)?;
        Ok(true)
    }

    /// Two to five orders, and now and then a cancel of one.
    async fn a_day(&mut self, day: KstDay, end: jiff::Timestamp) -> Result<(), DemoError> {
        let mut hour = 10;
        for _ in 0..self.dice.random_range(3..=6) {
            hour += self.dice.random_range(1..=2);
            let paid = self.one_order(day, hour, end, None).await?;
            let Some(imp_uid) = paid else { return Ok(()) };
            if self.dice.random_range(0..6) == 0 {
                let amount = self
                    .sandbox
                    .payment(&imp_uid)
                    .map_or(0, |payment| payment.amount);
                let part = self
                    .dice
                    .random_bool(0.6)
                    .then(|| Won::new((amount / 3) / 100 * 100));
                let reason = REASONS[self.dice.random_range(0..REASONS.len())];
                self.cancel(&imp_uid, part, reason).await?;
            }
        }
        Ok(())
    }

    /// Registers an order and pays it; `None` if the moment has not come yet.
    async fn one_order(
        &mut self,
        day: KstDay,
        hour: i64,
        end: jiff::Timestamp,
        of: Option<(&str, &str, i64)>,
    ) -> Result<Option<String>, DemoError> {
        let minute = self.dice.random_range(0..60);
        if !self.until_clock(day, hour, minute, end)? {
            return Ok(None);
        }
        let order = self.some_order(of)?;
        let imp_uid = self.pay(&order, 0, None, Status::Paid).await?;
        Ok(Some(imp_uid))
    }

    /// An order of one or two lines, or of one that is named.
    fn some_order(&mut self, of: Option<(&str, &str, i64)>) -> Result<Order, DemoError> {
        let count = if of.is_some() {
            1
        } else {
            self.dice.random_range(1..=2)
        };
        let mut lines = Vec::new();
        for _ in 0..count {
            let (partner, name, price) =
                of.unwrap_or_else(|| GOODS[self.dice.random_range(0..GOODS.len())]);
            let quantity = if of.is_some() {
                1
            } else {
                self.dice.random_range(1..=2)
            };
            let coupon = of.is_none() && self.dice.random_range(0..5) == 0;
            lines.push(OrderLine {
                partner: PartnerId::new(partner).map_err(failed)?,
                name: name.into(),
                quantity,
                unit_price: Won::new(price),
                discount: Won::new(if coupon { 3_000 } else { 0 }),
            });
        }
        let name = match lines.as_slice() {
            [one] => one.name.clone(),
            [first, rest @ ..] => format!("{} 외 {}건", first.name, rest.len()),
            [] => String::new(),
        };
        let number = self.dice.random_range(0..1000);
        let id = format!("ord-{}-{number:03}", self.sandbox.now());
        let id = MerchantUid::new(id).map_err(failed)?;
        Order::new(id, name, None, Won::ZERO, lines).map_err(failed)
    }

    /// The buyer pays, `less` won less than ordered, and PortOne tells.
    async fn pay(
        &mut self,
        order: &Order,
        less: i64,
        method: Option<&str>,
        status: Status,
    ) -> Result<String, DemoError> {
        register_order(self.ctx, order.clone())
            .await
            .map_err(failed)?;
        let buyer = BUYERS[self.dice.random_range(0..BUYERS.len())];
        let methods = ["card", "card", "card", "kakaopay", "trans"];
        let method = method.unwrap_or(methods[self.dice.random_range(0..methods.len())]);
        let imp_uid = self.sandbox.pay(NewPayment {
            merchant_uid: order.merchant_uid.to_string(),
            amount: order.amount.get() - less,
            name: order.name.clone(),
            method: method.into(),
            status,
            buyer: Buyer {
                name: Some(buyer.0.into()),
                email: Some(buyer.1.into()),
                tel: Some(buyer.2.into()),
                ..Buyer::default()
            },
            paid_at: Some(self.sandbox.now()),
            sandbox: true,
            ..NewPayment::default()
        })?;
        let (answer, body) = self.sandbox.send_webhook(&imp_uid).await?;
        if matches!(answer, 200 | 202 | 422) {
            Ok(imp_uid)
        } else {
            Err(failed(format!("a webhook was answered {answer}: {body}")))
        }
    }

    async fn cancel(
        &self,
        imp_uid: &str,
        amount: Option<Won>,
        reason: &str,
    ) -> Result<(), DemoError> {
        let asked = Asked {
            amount,
            tax_free: None,
            lines: Vec::new(),
            reason: reason.into(),
            refund: None,
            idempotency_key: None,
            by: "page",
        };
        let imp_uid = ImpUid::new(imp_uid).map_err(failed)?;
        cancel_payment(self.ctx, imp_uid, asked)
            .await
            .map_err(failed)?;
        Ok(())
    }

    /// Pays what is due. Once, a bank refuses one, and it is tried again.
    async fn pay_out(&mut self, day: KstDay, one_fails: bool) -> Result<(), DemoError> {
        let choice = Choice {
            until: day,
            leave_out: BTreeSet::new(),
            leave_out_partners: BTreeSet::new(),
        };
        let note = format!("{day} 정기 지급");
        let batch = match pay_out::create(self.ctx, choice, None, note, "page").await {
            Ok(batch) => batch,
            Err(pay_out::PayoutError::Nothing(_)) => return Ok(()),
            Err(error) => return Err(failed(error)),
        };
        let rows = self.ctx.store.read(|conn| payouts::of_batch(conn, batch))?;
        let words = rows
            .iter()
            .enumerate()
            .map(|(n, row)| {
                let word = if one_fails && n == 0 {
                    Word::Failed("예금주 불일치".into())
                } else {
                    Word::Paid
                };
                (row.id, word)
            })
            .collect();
        pay_out::decide(self.ctx, batch, words, "page")
            .await
            .map_err(failed)?;
        if one_fails {
            let filter = settlements::Filter {
                state: Some(State::Failed),
                ..settlements::Filter::default()
            };
            let rows = self
                .ctx
                .store
                .read(|conn| settlements::list(conn, &filter, None, 100))?;
            for row in rows {
                try_again(self.ctx, row.id, "예금주 확인 완료".into(), "page")
                    .await
                    .map_err(failed)?;
            }
        }
        Ok(())
    }

    async fn partners(&self, first: KstDay) -> Result<(), DemoError> {
        self.ctx
            .store
            .write(|tx| orders::add_partner(tx, "house", Some("직영")))
            .await
            .map_err(|error: StoreError| failed(error))?;
        for (draft, terms) in drafts()? {
            let partner: Partner = draft
                .check()
                .map_err(|wrong| failed(crate::domain::partner::WrongPartner(wrong)))?;
            let id = partner.id.clone();
            save_partner(self.ctx, partner, Save::Put, "page")
                .await
                .map_err(failed)?;
            agree(self.ctx, id, first, terms, "page")
                .await
                .map_err(failed)?;
        }
        Ok(())
    }

    /// One settlement on hold, one contract that changes next month, one correction by hand.
    async fn loose_ends(&self, today: KstDay) -> Result<(), DemoError> {
        let filter = settlements::Filter {
            state: Some(State::Requested),
            partner: Some("sea-wando".into()),
            ..settlements::Filter::default()
        };
        let rows = self
            .ctx
            .store
            .read(|conn| settlements::list(conn, &filter, None, 50))?;
        if let Some(row) = rows.iter().find(|row| row.net.is_positive()) {
            hold(self.ctx, row.id, "원산지 증빙 확인 중".into(), "page")
                .await
                .map_err(failed)?;
        }
        let farm = PartnerId::new("farm-haetsal").map_err(failed)?;
        let next_month = today.last_of_month().next();
        agree(
            self.ctx,
            farm.clone(),
            next_month,
            farm_terms("9%")?,
            "page",
        )
        .await
        .map_err(failed)?;
        let adjustment = Adjustment {
            partner: farm,
            amount: Won::new(-5_000),
            reason: "포장재 비용".into(),
        };
        adjust(self.ctx, adjustment, "page").await.map_err(failed)?;
        Ok(())
    }

    /// One dead letter, one payment that does not fit its order, one virtual account that waits.
    async fn what_went_wrong(&mut self) -> Result<(), DemoError> {
        let order = self.some_order(None)?;
        let refused = self.pay(&order, 0, Some("card"), Status::Paid).await?;
        let order = self.some_order(None)?;
        self.pay(&order, 5_000, Some("card"), Status::Paid).await?;
        let order = self.some_order(None)?;
        self.pay(&order, 0, Some("vbank"), Status::Ready).await?;
        self.sandbox
            .fault(Fault::new(Target::Cancel, Kind::refuse()).times(1));
        self.cancel(&refused, None, "상품 파손").await?;
        self.sandbox.clear_faults();
        Ok(())
    }
}

fn now_of_machine() -> jiff::Timestamp {
    Clock::default().now()
}

fn cycle(lag: u8, method: Method, holiday: HolidayPolicy) -> Result<Cycle, DemoError> {
    Cycle::new(lag, method, holiday).map_err(failed)
}

fn rate(text: &str) -> Result<Fee, DemoError> {
    Ok(Fee::Rate(text.parse().map_err(failed)?))
}

fn farm_terms(fee: &str) -> Result<Terms, DemoError> {
    let weekly = Method::Weekly {
        days: vec![Weekday::Thu],
    };
    Ok(Terms {
        discount_share: Rate::new(50_000).map_err(failed)?,
        ..Terms::plain(rate(fee)?, cycle(2, weekly, HolidayPolicy::Before)?)
    })
}

/// Five partners, each of another kind.
fn drafts() -> Result<Vec<(PartnerDraft, Terms)>, DemoError> {
    let text = |text: &str| Some(text.to_owned());
    let draft = |id, name, kind, bank, account| PartnerDraft {
        id: text(id),
        name: text(name),
        kind: text(kind),
        bank: text(bank),
        account_number: text(account),
        account_holder: text(name),
        status: text("APPROVED"),
        ..PartnerDraft::default()
    };
    let tea = Terms {
        additional: vec![AdditionalFee {
            name: "PG 수수료".into(),
            fee: rate("3.3%")?,
            vat: VatBearer::Platform,
        }],
        ..Terms::plain(
            rate("8.8%")?,
            cycle(
                3,
                Method::Monthly { days: vec![10, 31] },
                HolidayPolicy::After,
            )?,
        )
    };
    let pottery = Terms::plain(rate("12%")?, cycle(3, Method::Daily, HolidayPolicy::After)?);
    let twice = Method::Weekly {
        days: vec![Weekday::Mon, Weekday::Thu],
    };
    let sea = Terms {
        min_payout: Won::new(10_000),
        ..Terms::plain(
            Fee::Fixed(Won::new(1_500)),
            cycle(1, twice, HolidayPolicy::After)?,
        )
    };
    let stay = Terms::plain(rate("15%")?, cycle(1, Method::Daily, HolidayPolicy::After)?);
    Ok(vec![
        (
            PartnerDraft {
                business_number: text("999-88-00014"),
                contact_name: text("김햇살"),
                contact_email: text("farm@example.com"),
                contact_phone: text("061-123-4567"),
                tags: vec!["과일".into(), "산지직송".into()],
                ..draft(
                    "farm-haetsal",
                    "햇살농원",
                    "BUSINESS_TAX_FREE",
                    "011",
                    "3010123456781",
                )
            },
            farm_terms("10%")?,
        ),
        (
            PartnerDraft {
                business_number: text("999-88-00028"),
                ..draft(
                    "tea-jiri",
                    "지리산다원",
                    "BUSINESS_GENERAL",
                    "004",
                    "00120204123456",
                )
            },
            tea,
        ),
        (
            draft(
                "pottery-icheon",
                "이천도예",
                "WITHHOLDING_INDIVIDUAL",
                "090",
                "3333011234567",
            ),
            pottery,
        ),
        (
            PartnerDraft {
                business_number: text("999-88-00033"),
                ..draft(
                    "sea-wando",
                    "완도바다",
                    "BUSINESS_GENERAL",
                    "007",
                    "201012345678",
                )
            },
            sea,
        ),
        (
            draft(
                "stay-jeju",
                "돌담스테이",
                "INDIVIDUAL",
                "092",
                "100012345678",
            ),
            stay,
        ),
    ])
}
