//! What partners are owed, from the order to the transfer: days, carry-overs, corrections, payouts.

use std::time::Duration;

use jeongsan::{
    domain::{
        calendar::KstDay,
        contract::{AdditionalFee, VatBearer},
        ids::{ImpUid, PartnerId},
        money::Won,
        partner::PartnerType,
        settlement::State,
    },
    flow::{
        adjust::{Adjustment, adjust},
        agree_contract::{ContractError, agree},
        hold_settlement::{hold, release, try_again},
        pay_out::{self, Choice, PayoutError, Word},
        release_hold::release_hold,
        reopen_day::{ReopenError, open_again, reopen_day},
        save_partner::{PartnerError, archive},
        settle_day::{SettleDayError, dry_run, settle_day},
    },
    sandbox::{NewPayment, Status},
    store::{StoreError, movements},
};

use crate::{
    settling_hard::dump,
    shop::{Shop, percent, ten_percent, terms_with},
};
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
async fn what_is_booked_while_a_day_is_about_to_be_opened_comes_home_with_it() {
    let shop = Shop::open().await;
    shop.plain_partner("farm").await;
    let day = shop.today();
    shop.register("first", &[("farm", 10_000, 0)]).await;
    shop.register("second", &[("farm", 20_000, 0)]).await;
    let first = shop.charge("first", 10_000);
    let second = shop.charge("second", 20_000);
    shop.buy("apple", &[("farm", 1_000, 0)]).await;
    shop.days(1);
    shop.night().await;
    shop.buy("pear", &[("farm", 5_000, 0)]).await;
    shop.hear(&first, "first").await;
    let store = &shop.ctx().store;
    let away = store.read(|conn| movements::away(conn, day)).unwrap();
    shop.hear(&second, "second").await;
    let home = store
        .write(move |tx| {
            let home = movements::bring_home(tx, day, &away)?;
            // What is gone from its place is not taken twice.
            Ok::<_, StoreError>((home, movements::bring_home(tx, day, &away)?))
        })
        .await
        .unwrap();
    assert_eq!(home, (2, 0));
    reopen_day(shop.ctx(), day, "늦게 들음".into(), "api")
        .await
        .unwrap();
    assert_eq!(shop.net("farm", day), 27_590);
    shop.days(1);
    shop.night().await;
    assert_eq!(shop.net("farm", day.next()), 4_450);
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
    pay_out::call_off(shop.ctx(), batch, "파일을 다시 만듦".into(), true, "api")
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

/// Terms that were wrong are put right before anybody is paid: open, agree, settle.
#[tokio::test]
async fn a_day_that_is_only_opened_can_have_its_terms_put_right() {
    let shop = Shop::open().await;
    let day = shop.today();
    shop.plain_partner("farm").await;
    shop.buy("o-1", &[("farm", 10_000, 0)]).await;
    shop.days(1);
    shop.settle(day).await;
    assert_eq!(shop.net("farm", day), 8_900);
    let id = PartnerId::new("farm").unwrap();
    let better = terms_with(|terms| terms.fee = percent("8"));
    let refused = agree(shop.ctx(), id.clone(), day, better.clone(), "api").await;
    assert!(
        matches!(refused, Err(ContractError::Settled { .. })),
        "{refused:?}"
    );
    open_again(shop.ctx(), day, "요율 정정".into(), "api")
        .await
        .unwrap();
    agree(shop.ctx(), id, day, better, "api").await.unwrap();
    shop.settle(day).await;
    assert_eq!(shop.net("farm", day), 9_120);
    shop.close().await;
}

/// What becomes the shop itself is not paid any more; what is it no more has its payout days back.
#[tokio::test]
async fn money_follows_a_partner_that_becomes_the_shop_and_back() {
    let shop = Shop::open().await;
    let day = shop.today();
    shop.plain_partner("farm").await;
    shop.buy("o-1", &[("farm", 10_000, 0)]).await;
    shop.days(1);
    shop.settle(day).await;
    let due = shop.get("farm", day).payout_day;
    assert!(due.is_some());
    shop.partner("farm", PartnerType::Own).await;
    assert_eq!(shop.get("farm", day).payout_day, None);
    shop.partner("farm", PartnerType::Individual).await;
    assert_eq!(shop.get("farm", day).payout_day, due);
    // Nobody is archived whose money is on the way.
    let id = PartnerId::new("farm").unwrap();
    let refused = archive(shop.ctx(), id, "api").await;
    assert!(
        matches!(refused, Err(PartnerError::Open { .. })),
        "{refused:?}"
    );
    shop.plain_partner("tea").await;
    shop.buy("o-2", &[("tea", 10_000, 0)]).await;
    let refused = archive(shop.ctx(), PartnerId::new("tea").unwrap(), "api").await;
    assert!(
        matches!(refused, Err(PartnerError::Waiting { .. })),
        "{refused:?}"
    );
    shop.close().await;
}

/// A slip of the pen in a year does not have every day since then settled.
#[tokio::test]
async fn a_day_before_anything_happened_is_refused() {
    let shop = Shop::open().await;
    let long_ago = shop.today().plus_days(-7_300);
    let refused = settle_day(shop.ctx(), long_ago, "api").await;
    assert!(
        matches!(refused, Err(SettleDayError::TooEarly { .. })),
        "{refused:?}"
    );
    shop.close().await;
}
