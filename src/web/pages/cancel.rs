//! Giving money back by hand: a form, a page that says exactly what will happen, and the flow.

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use super::parts;
use super::{
    layout::{Fields, Look, Page, Part, field, layout, payment_path},
    words::{self, won},
};
use crate::{
    domain::{
        cancellation::RefundAccount,
        ids::{ImpUid, MerchantUid},
        money::Won,
        order::{Order, OrderLine},
        payment::Status,
        rules::Rule,
    },
    flow::cancel_payment::{Asked, CancelError, LONGEST_REASON, cancel_payment},
    store::{
        StoreError, cancellations, orders,
        payments::{self, PaymentRow},
        rules,
    },
    web::{Web, auth::Actor, error::Problem, extract::F, lang::Lang},
};

/// Reasons that shops give most.
const REASONS: [(&str, &str); 6] = [
    ("단순 변심", "The buyer changed their mind"),
    ("부분 반품", "Part of it was returned"),
    ("상품 품절", "Sold out"),
    ("배송 지연", "Delivery is late"),
    ("상품 불량", "The goods were faulty"),
    ("중복 결제", "Paid twice"),
];

/// Whether a cancel can be asked for now.
pub fn possible(payment: &PaymentRow) -> bool {
    matches!(payment.status, Status::Paid | Status::PartialCanceled)
}

/// The form. `fields` are what was sent before, if it is shown again.
pub fn form_part(
    payment: &PaymentRow,
    order: Option<&Order>,
    fields: &Fields,
    key: &str,
    lang: Lang,
) -> Markup {
    let value = |name: &str| field(fields, name).unwrap_or_default();
    let left = payment.balance;
    let amount = field(fields, "amount").map_or_else(|| left.to_string(), str::to_owned);
    html! {
        form.stack method="post" action={ (payment_path(&payment.imp_uid)) "/cancel/confirm" } {
            input type="hidden" name="key" value=(key);
            label.field {
                span { (lang.t("취소 금액", "Amount to give back")) }
                span.money {
                    span aria-hidden="true" { "₩" }
                    input name="amount" inputmode="numeric" required autocomplete="off" maxlength="20"
                        value=(amount) aria-describedby="left";
                }
                span.hint #left { (lang.t(
                    format!("최대 {} (전액)", won(left)),
                    format!("at most {}, which is all of it", won(left)),
                )) }
            }
            (which_line(order, field(fields, "line"), lang))
            label.field {
                span { (lang.t("취소 사유", "Reason")) }
                input name="reason" required maxlength=(LONGEST_REASON) list="reasons" autocomplete="off"
                    value=(value("reason")) placeholder=(lang.t("예: 단순 변심", "e.g. returned"));
                datalist #reasons {
                    @for (ko, en) in REASONS { option value=(lang.t(ko, en)); }
                }
            }
            @if payment.about.method == "vbank" {
                fieldset.fields {
                    legend { (lang.t("환불 계좌", "Where the money goes")) }
                    p.soft.small { (lang.t(
                        "가상계좌는 돈을 돌려받을 계좌가 필요합니다. 은행은 PG사의 은행 코드로 적습니다.",
                        "A virtual account needs one to refund to. The bank is the PG's own code.",
                    )) }
                    label.field { span { (lang.t("예금주", "Holder")) } input name="holder" maxlength="60" autocomplete="off" value=(value("holder")); }
                    label.field { span { (lang.t("은행 코드", "Bank code")) } input name="bank" maxlength="60" autocomplete="off" value=(value("bank")) placeholder="04"; }
                    label.field { span { (lang.t("계좌번호", "Account")) } input name="account" maxlength="60" inputmode="numeric" autocomplete="off" value=(value("account")); }
                    label.field { span { (lang.t("연락처 (선택)", "Phone (optional)")) } input name="tel" maxlength="60" type="tel" autocomplete="off" value=(value("tel")); }
                }
            }
            button.danger.wide { (lang.t("취소 내용 확인", "Review the cancel")) }
        }
    }
}

/// Which of several order lines it is: whose settlement the money is taken from.
fn which_line(order: Option<&Order>, chosen: Option<&str>, lang: Lang) -> Markup {
    let lines = order.map_or(&[][..], |order| &order.lines);
    html! {
        @if lines.len() > 1 {
            label.field {
                span { (lang.t("취소할 상품", "What goes back")) }
                select name="line" aria-describedby="line-hint" {
                    option value="" { (lang.t("전체에서 비율대로", "All of it, in proportion")) }
                    @for (i, line) in lines.iter().enumerate() {
                        @let number = (i + 1).to_string();
                        option value=(number) selected[chosen == Some(number.as_str())] { (line_words(line)) }
                    }
                }
                span.hint #line-hint { (lang.t(
                    "고른 상품의 파트너사 정산에서 빠집니다.",
                    "It is taken from the settlement of that line's partner.",
                )) }
            }
        }
    }
}

fn line_words(line: &OrderLine) -> String {
    let amount = line.amount().map(won).unwrap_or_default();
    format!("{} · {amount} · {}", line.name, line.partner)
}

/// The form as a page of its own, and after something was wrong with it.
pub fn form_page(
    look: &Look,
    payment: &PaymentRow,
    order: Option<&Order>,
    fields: &Fields,
    key: &str,
    wrong: Option<&str>,
) -> Markup {
    let lang = look.lang;
    let body = html! {
        (crumb(payment, lang))
        section.sheet.narrow {
            h1 { (lang.t("결제 취소", "Cancel a payment")) }
            (summary(payment, lang))
            @if let Some(wrong) = wrong { p.message.bad role="alert" { (wrong) } }
            @if possible(payment) {
                (form_part(payment, order, fields, key, lang))
            } @else {
                p { (lang.t("지금은 취소할 수 없는 상태입니다.", "It cannot be cancelled as it stands.")) }
                p.acts { a.button href=(payment_path(&payment.imp_uid)) { (lang.t("결제 보기", "See the payment")) } }
            }
        }
    };
    layout(look, self_page(lang), body)
}

fn self_page(lang: Lang) -> Page<'static> {
    Page {
        title: lang.t("결제 취소", "Cancel a payment"),
        part: Part::Payments,
        ..Page::default()
    }
}

fn crumb(payment: &PaymentRow, lang: Lang) -> Markup {
    html! {
        (parts::crumb(&payment_path(&payment.imp_uid), lang.t("결제로 돌아가기", "Back to the payment")))
    }
}

fn summary(payment: &PaymentRow, lang: Lang) -> Markup {
    html! {
        p { strong { (payment.about.name) } " " (words::badge(payment.status, lang)) }
        p.soft.small { code { (payment.imp_uid) } " · " (words::masked_name(&payment.about.buyer_name)) }
    }
}

/// A cancel as the form has it, checked.
#[derive(Debug, PartialEq)]
pub struct Wanted {
    pub amount: Won,
    /// The order line that it is of; `None` for all in proportion.
    pub line: Option<i64>,
    pub reason: String,
    pub refund: Option<RefundAccount>,
}

/// Reads the form. `3,000`, `₩3000` and `3000원` are the same.
fn read(fields: &Fields, left: Won) -> Result<Wanted, Problem> {
    let text = field(fields, "amount").unwrap_or_default();
    let digits: String = text
        .chars()
        .filter(|c| !matches!(c, ',' | '₩' | '원' | ' '))
        .collect();
    let amount = digits
        .parse::<i64>()
        .ok()
        .filter(|amount| *amount > 0 && digits.bytes().all(|b| b.is_ascii_digit()))
        .map(Won::new)
        .filter(|amount| *amount <= left)
        .ok_or_else(|| {
            Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "cancel-amount",
                format!(
                    "취소 금액은 1원부터 {} 사이의 숫자로 적어 주세요.",
                    won(left)
                ),
                format!("Write an amount from ₩1 to {}.", won(left)),
            )
        })?;
    let reason = field(fields, "reason").unwrap_or_default().to_owned();
    let count = reason.chars().count();
    if count == 0 || count > LONGEST_REASON || reason.chars().any(char::is_control) {
        return Err(CancelError::Reason.into());
    }
    let part = |name: &str| field(fields, name).map(str::to_owned);
    let refund = match (part("holder"), part("bank"), part("account")) {
        (Some(holder), Some(bank), Some(account)) => Some(RefundAccount {
            holder,
            bank,
            account,
            tel: part("tel"),
        }),
        (None, None, None) => None,
        _ => {
            return Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "refund-account",
                "환불 계좌는 예금주, 은행 코드, 계좌번호를 모두 적어 주세요.",
                "A refund account needs all of holder, bank code and account.",
            ));
        }
    };
    let line = field(fields, "line").and_then(|line| line.parse().ok());
    Ok(Wanted {
        amount,
        line,
        reason,
        refund,
    })
}

/// The last page before money moves: what goes back and what stays.
pub fn confirm_page(
    look: &Look,
    payment: &PaymentRow,
    order: Option<&Order>,
    wanted: &Wanted,
    key: &str,
    changed: bool,
) -> Markup {
    let lang = look.lang;
    let left = payment.balance;
    let stays = left.minus(wanted.amount).unwrap_or(Won::ZERO);
    let all = stays.is_zero();
    let path = payment_path(&payment.imp_uid);
    let hidden = |name: &str, value: &str| html! { input type="hidden" name=(name) value=(value); };
    let body = html! {
        (crumb(payment, lang))
        section.sheet.narrow {
            h1 { (lang.t("이대로 취소할까요?", "Cancel it like this?")) }
            (summary(payment, lang))
            @if changed {
                p.message.wait role="alert" { (lang.t(
                    "그사이 잔액이 바뀌었습니다. 아래 금액을 다시 확인해 주세요.",
                    "What is left has changed meanwhile. Please look at the figures again.",
                )) }
            }
            dl.sums {
                dt { (lang.t("지금 남은 금액", "Left now")) } dd { (left) }
                dt { (lang.t("돌려줄 금액", "Goes back")) } dd.back { "-" (wanted.amount) }
                dt { (lang.t("취소 뒤 남는 금액", "Stays")) } dd { strong { (stays) } }
            }
            p.big { @if all {
                (lang.t(
                    format!("남은 {} 전액을 구매자에게 돌려줍니다.", won(left)),
                    format!("All of what is left, {}, goes back to the buyer.", won(left)),
                ))
            } @else {
                (lang.t(
                    format!("{} 중 {}을 구매자에게 돌려주고 {}이 남습니다.", won(left), won(wanted.amount), won(stays)),
                    format!("{} of {} goes back to the buyer; {} stays.", won(wanted.amount), won(left), won(stays)),
                ))
            } }
            @if let Some(line) = order.zip(wanted.line).and_then(|(order, line)| named(order, line)) {
                p { (lang.t("취소할 상품: ", "What goes back: ")) (line_words(line)) }
            }
            p { (lang.t("사유: ", "Reason: ")) (wanted.reason) }
            @if let Some(refund) = &wanted.refund {
                p { (lang.t("환불 계좌: ", "To: ")) (refund.bank) " " (refund.account) " (" (refund.holder) ")" }
            }
            p.soft.small { (lang.t(
                "누르면 되돌릴 수 없습니다. 여러 번 눌러도 한 번만 취소됩니다.",
                "It cannot be taken back. Pressing twice cancels once.",
            )) }
            form.acts method="post" action={ (path) "/cancel" } data-once {
                (hidden("key", key))
                (hidden("left", &left.get().to_string()))
                (hidden("amount", &wanted.amount.get().to_string()))
                (hidden("reason", &wanted.reason))
                @if let Some(line) = wanted.line { (hidden("line", &line.to_string())) }
                @if let Some(refund) = &wanted.refund {
                    (hidden("holder", &refund.holder))
                    (hidden("bank", &refund.bank))
                    (hidden("account", &refund.account))
                    @if let Some(tel) = &refund.tel { (hidden("tel", tel)) }
                }
                a.button href=(path) { (lang.t("그만두기", "Keep it")) }
                button.danger.solid #do-cancel { (lang.t(format!("{} 취소하기", won(wanted.amount)), format!("Cancel {}", won(wanted.amount)))) }
            }
        }
    };
    layout(look, self_page(lang), body)
}

fn named(order: &Order, line: i64) -> Option<&OrderLine> {
    order.lines.get(usize::try_from(line - 1).ok()?)
}

/// A key that makes a form sent twice one cancellation.
pub fn new_key() -> String {
    format!("page-{}", ulid::Ulid::new())
}

fn key_of(fields: &Fields) -> String {
    field(fields, "key").map_or_else(new_key, str::to_owned)
}

fn payment_of(web: &Web, imp_uid: &str) -> Result<(PaymentRow, Option<Order>), Problem> {
    let found = web.ctx.store.read(|conn| {
        let Some(payment) = payments::show(conn, imp_uid)? else {
            return Ok(None);
        };
        let order = match MerchantUid::new(payment.merchant_uid.clone()) {
            Ok(id) => orders::get(conn, &id)?.map(|(order, _)| order),
            Err(_) => None,
        };
        Ok::<_, StoreError>(Some((payment, order)))
    })?;
    found.ok_or_else(|| Problem::not_found(imp_uid))
}

/// Whether a person who gives back so much has to prove first who they are. Keys are not asked.
pub fn asks_again(web: &Web, actor: &Actor, amount: Won) -> Result<bool, StoreError> {
    if actor.is_fresh(web.ctx.store.now().as_millisecond()) {
        return Ok(false);
    }
    let limit = web
        .ctx
        .store
        .read(|conn| rules::limit(conn, Rule::RefundAgainOver))?;
    Ok(limit.is_some_and(|limit| amount > limit))
}

/// Leads there, and back to the form.
fn prove_first(imp_uid: &str) -> Response {
    let next = format!("{}/cancel", payment_path(imp_uid));
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("next", &next)
        .finish();
    super::layout::see_other(&format!("/sign-in/again?{query}"), None)
}

/// `GET /payment/{imp_uid}/cancel`
pub async fn form(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Path(imp_uid): Path<String>,
) -> Response {
    let found = payment_of(&web, &imp_uid);
    if let Ok((payment, _)) = &found
        && possible(payment)
    {
        // The form offers all that is left: who is asked at all is asked before filling it in.
        match asks_again(&web, &actor, payment.balance) {
            Ok(false) => {}
            Ok(true) => return prove_first(&imp_uid),
            Err(error) => return look.problem(&error.into()),
        }
    }
    let shown = found.map(|(payment, order)| {
        form_page(
            &look,
            &payment,
            order.as_ref(),
            &Fields::new(),
            &new_key(),
            None,
        )
        .into_response()
    });
    look.answer(shown)
}

/// Shows the form again with what was wrong.
fn again(
    look: &Look,
    payment: &PaymentRow,
    order: Option<&Order>,
    fields: &Fields,
    problem: &Problem,
) -> Response {
    // The form is a new wish: its key must be one, too.
    let page = form_page(
        look,
        payment,
        order,
        fields,
        &new_key(),
        Some(problem.sentence(look.lang)),
    );
    (problem.status, page).into_response()
}

/// `POST /payment/{imp_uid}/cancel/confirm`: changes nothing.
pub async fn confirm(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Path(imp_uid): Path<String>,
    F(fields): F<Fields>,
) -> Response {
    let (payment, order) = match payment_of(&web, &imp_uid) {
        Ok(found) => found,
        Err(problem) => return look.problem(&problem),
    };
    if !possible(&payment) {
        let page = form_page(&look, &payment, order.as_ref(), &fields, "", None);
        return (StatusCode::CONFLICT, page).into_response();
    }
    match read(&fields, payment.balance) {
        Ok(wanted) if matches!(asks_again(&web, &actor, wanted.amount), Ok(true)) => {
            prove_first(&imp_uid)
        }
        Ok(wanted) => confirm_page(
            &look,
            &payment,
            order.as_ref(),
            &wanted,
            &key_of(&fields),
            false,
        )
        .into_response(),
        Err(problem) => again(&look, &payment, order.as_ref(), &fields, &problem),
    }
}

/// `POST /payment/{imp_uid}/cancel`: carries it out and leads back to the payment, which tells how
/// it went.
pub async fn carry_out(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Path(imp_uid): Path<String>,
    F(fields): F<Fields>,
) -> Response {
    look.answer(cancel(&web, actor, &look, &imp_uid, &fields).await)
}

async fn cancel(
    web: &Web,
    actor: Actor,
    look: &Look,
    imp_uid: &str,
    fields: &Fields,
) -> Result<Response, Problem> {
    let id = ImpUid::new(imp_uid)?;
    let (payment, order) = payment_of(web, imp_uid)?;
    let order = order.as_ref();
    let key = key_of(fields);
    let before = web
        .ctx
        .store
        .read(|conn| cancellations::with_key(conn, &key))?;
    // A form that was sent before is compared with the books as they were then, not as they are.
    let left = match &before {
        Some(_) => payment.amount,
        None => payment.balance,
    };
    if before.is_none() && !possible(&payment) {
        let page = form_page(look, &payment, order, fields, "", None);
        return Ok((StatusCode::CONFLICT, page).into_response());
    }
    let wanted = match read(fields, left) {
        Ok(wanted) => wanted,
        Err(problem) => return Ok(again(look, &payment, order, fields, &problem)),
    };
    if before.is_none() && asks_again(web, &actor, wanted.amount)? {
        return Ok(prove_first(imp_uid));
    }
    let expected = field(fields, "left").and_then(|left| left.parse::<i64>().ok());
    if before.is_none() && expected.is_some_and(|expected| expected != payment.balance.get()) {
        let page = confirm_page(look, &payment, order, &wanted, &new_key(), true);
        return Ok((StatusCode::CONFLICT, page).into_response());
    }
    let asked = Asked {
        amount: Some(wanted.amount),
        tax_free: None,
        lines: wanted
            .line
            .map(|line| (line, wanted.amount))
            .into_iter()
            .collect(),
        reason: wanted.reason,
        refund: wanted.refund,
        idempotency_key: Some(key),
        by: actor.by,
    };
    match cancel_payment(&web.ctx, id, asked).await {
        Ok(answer) => {
            let to = format!("{}?did={}", payment_path(imp_uid), answer.cancellation.id);
            Ok(super::layout::see_other(&to, None))
        }
        Err(CancelError::Store(error)) => Err(error.into()),
        Err(error) => Ok(again(
            look,
            &payment_of(web, imp_uid)?.0,
            order,
            fields,
            &error.into(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::pages::test_values::payment;

    fn fields(amount: &str, reason: &str) -> Fields {
        Fields::from([
            ("amount".into(), amount.into()),
            ("reason".into(), reason.into()),
        ])
    }

    #[test]
    fn amounts_are_read_as_people_write_them() {
        let left = Won::new(10_000);
        for text in ["3000", "3,000", "₩3,000", "3000원", " 3 000 "] {
            let wanted = read(&fields(text, "반품"), left).unwrap();
            assert_eq!(wanted.amount, Won::new(3_000), "{text}");
        }
        for text in [
            "",
            "0",
            "-1",
            "+1",
            "10001",
            "1.5",
            "abc",
            "99999999999999999999",
        ] {
            let problem = read(&fields(text, "반품"), left).unwrap_err();
            assert!(problem.sentence(Lang::Ko).contains("₩10,000"), "{text}");
        }
        assert!(read(&fields("1", " "), left).is_err());
        assert!(read(&fields("1", &"가".repeat(201)), left).is_err());
    }

    #[test]
    fn half_a_refund_account_is_none() {
        let mut form = fields("1", "x");
        form.insert("holder".into(), "홍길동".into());
        assert!(read(&form, Won::new(1)).is_err());
        form.insert("bank".into(), "04".into());
        form.insert("account".into(), "123".into());
        assert_eq!(read(&form, Won::new(1)).unwrap().refund.unwrap().tel, None);
    }

    #[test]
    fn the_last_page_says_what_goes_and_what_stays() {
        let paid = payment(Status::Paid);
        let wanted = |amount| Wanted {
            amount: Won::new(amount),
            line: None,
            reason: "<script>".into(),
            refund: None,
        };
        let look = |lang| Look {
            lang,
            ..Look::default()
        };
        let part =
            confirm_page(&look(Lang::En), &paid, None, &wanted(3_000), "k", false).into_string();
        assert!(part.contains("₩3,000 of ₩12,000 goes back to the buyer; ₩9,000 stays."));
        assert!(!part.contains("<script>\"") && part.contains("&lt;script&gt;"));
        let all =
            confirm_page(&look(Lang::Ko), &paid, None, &wanted(12_000), "k", true).into_string();
        assert!(all.contains("₩12,000 전액") && all.contains("잔액이 바뀌었습니다"));
    }

    #[test]
    fn the_form_asks_for_an_account_where_one_is_needed() {
        let mut row = payment(Status::Paid);
        let look = Look::default();
        let card = form_page(&look, &row, None, &Fields::new(), "k", None).into_string();
        row.about.method = "vbank".into();
        let vbank = form_page(&look, &row, None, &Fields::new(), "k", None).into_string();
        assert!(!card.contains("name=\"holder\"") && vbank.contains("name=\"holder\""));
        let done = form_page(
            &look,
            &payment(Status::Canceled),
            None,
            &Fields::new(),
            "k",
            None,
        )
        .into_string();
        assert!(!done.contains("name=\"amount\""));
    }
}
