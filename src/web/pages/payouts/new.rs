//! A batch before it is made: who is paid how much, who waits and why, and the page between asking and
//! doing.
//!
//! The sums are those of all; partners come a few to a page, each with its settlements once somebody asks for
//! them. All ways between the pages are buttons of one form, and what was left out where nobody looks now is
//! in it unseen: so nothing that was ticked is lost on the way.

use std::collections::BTreeSet;

use axum::{
    extract::{RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use super::super::{icons::Icon, parts};
use super::{
    super::{
        layout::{Look, layout, see_other},
        words,
    },
    Pairs, account, batch_path, day_words, partner_edit, self_page, wrong_part,
};
use crate::{
    domain::{
        calendar::KstDay,
        money::{OutOfRange, Won},
        settlement::State as Stand,
    },
    flow::pay_out::{self, Choice, PayoutError, Proposal, Proposed, Waits, Why},
    store::settlements::{self, Due, SettlementRow},
    web::{Web, asked::a_day, auth::Actor, error::Problem, extract::Body, lang::Lang},
};

/// Partners on a page.
const PAGE: usize = 25;
/// Held settlements that the page shows; the list of all has the others.
const MOST_HELD: usize = 20;

/// What a person chose, as the form says it.
fn choice_of(pairs: &Pairs, today: KstDay) -> Result<Choice, Problem> {
    let until = match pairs.get("until") {
        Some(text) => a_day("until", text)?,
        None => today,
    };
    Ok(Choice {
        until,
        leave_out: pairs.all("out").filter_map(|id| id.parse().ok()).collect(),
        leave_out_partners: pairs.all("partner_out").map(ToOwned::to_owned).collect(),
    })
}

/// Which part of it is looked at.
#[derive(Default)]
struct Place {
    /// The page, from 0.
    page: usize,
    /// Partners whose settlements are shown.
    opened: BTreeSet<String>,
    /// Nobody but this partner: what htmx asks for when its settlements are opened.
    only: Option<String>,
}

impl Place {
    fn of(pairs: &Pairs) -> Place {
        let page = pairs.get("page").and_then(|page| page.parse().ok());
        Place {
            page: page.map_or(0, |page: usize| page.saturating_sub(1)),
            opened: pairs.all("open").map(ToOwned::to_owned).collect(),
            only: pairs.get("only").map(ToOwned::to_owned),
        }
    }
}

/// A proposal with what is shown around it.
struct Found {
    proposal: Proposal,
    held: Vec<SettlementRow>,
    sums: Sums,
}

/// Over all payouts. `gross == income_tax + local_tax + paid`.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    gross: Won,
    income_tax: Won,
    local_tax: Won,
    paid: Won,
}

impl Sums {
    fn of(payouts: &[Proposed]) -> Result<Sums, OutOfRange> {
        let mut sums = Sums::default();
        for one in payouts {
            sums.gross = sums.gross.plus(one.withheld.gross)?;
            sums.income_tax = sums.income_tax.plus(one.withheld.income_tax)?;
            sums.local_tax = sums.local_tax.plus(one.withheld.local_tax)?;
            sums.paid = sums.paid.plus(one.withheld.paid)?;
        }
        Ok(sums)
    }

    fn tax(&self) -> Won {
        self.income_tax
            .plus(self.local_tax)
            .unwrap_or(self.income_tax)
    }
}

async fn find(web: &Web, choice: &Choice) -> Result<Found, Problem> {
    let choice = choice.clone();
    let found = web.ctx.store.read_long(move |conn| {
        let proposal = pay_out::propose(conn, &choice)?;
        let filter = settlements::Filter {
            state: Some(Stand::Requested),
            held: true,
            ..settlements::Filter::default()
        };
        let mut held = settlements::list(conn, &filter, None, 500)?;
        held.retain(|row| {
            row.net >= Won::ZERO && row.payout_day.is_some_and(|day| day <= choice.until)
        });
        let sums = Sums::of(&proposal.payouts)
            .map_err(|OutOfRange| PayoutError::OutOfRange("*".into()))?;
        Ok::<_, PayoutError>(Found {
            proposal,
            held,
            sums,
        })
    });
    Ok(found.await?)
}

/// What stands for a partner.
#[derive(Clone, Copy)]
enum Card<'a> {
    /// It is paid, perhaps without some that were left out.
    Paid(&'a Proposed, Option<&'a Waits>),
    Waits(&'a Waits),
}

impl<'a> Card<'a> {
    /// Of all partners: first who is paid.
    fn all(proposal: &'a Proposal) -> Vec<Card<'a>> {
        let out = |partner: &str| {
            let mut out = proposal.waiting.iter().filter(|w| w.why == Why::LeftOut);
            out.find(|waits| waits.partner == partner)
        };
        let paid = proposal.payouts.iter();
        let mut cards: Vec<_> = paid.map(|one| Card::Paid(one, out(&one.partner))).collect();
        // What was left out beside settlements that are paid is on the card of those.
        let paid: BTreeSet<&str> = cards.iter().map(|card| card.partner()).collect();
        let apart = proposal
            .waiting
            .iter()
            .filter(|waits| waits.why != Why::LeftOut || !paid.contains(waits.partner.as_str()));
        cards.extend(apart.map(Card::Waits));
        cards
    }

    fn partner(&self) -> &'a str {
        match self {
            Card::Paid(one, _) => &one.partner,
            Card::Waits(waits) => &waits.partner,
        }
    }

    /// Its settlements, left out or not, by day.
    fn rows(&self) -> Vec<Due> {
        let mut rows = match self {
            Card::Paid(one, out) => {
                let out = out.map_or(&[][..], |out| &out.settlements);
                [&one.settlements, out].concat()
            }
            Card::Waits(waits) => waits.settlements.clone(),
        };
        rows.sort_unstable_by_key(|row| (row.day, row.id));
        rows
    }

    /// Whether it asks if the whole partner is left out.
    fn asks(&self) -> bool {
        match self {
            Card::Paid(..) => true,
            Card::Waits(waits) => waits.why == Why::LeftOut,
        }
    }
}

struct View<'a> {
    choice: &'a Choice,
    place: &'a Place,
    found: &'a Found,
    note: &'a str,
    wrong: Option<&'a str>,
}

fn page(look: &Look, view: &View<'_>) -> Markup {
    let lang = look.lang;
    let found = view.found;
    let proposal = &found.proposal;
    let (cards, page, pages) = view.cards();
    let (paid, apart): (Vec<Card<'_>>, Vec<Card<'_>>) = cards
        .iter()
        .partition(|card| matches!(card, Card::Paid(..)));
    let body = html! {
        (parts::crumb("/admin/payouts", lang.t("지급", "Payouts")))
        div.head {
            h1 { (lang.t("지급 묶음 만들기", "Make a batch")) }
            p.soft { (lang.t(
                "뺄 것에 표시하고 다시 계산한 뒤, 내용을 확인하고 만듭니다.",
                "Tick what to leave out, work it out again, then review and make it.",
            )) }
        }
        (wrong_part(view.wrong))
        form.stack method="get" action="/admin/payouts/new" {
            input type="hidden" name="page" value=(page + 1);
            (unseen(&cards, view))
            section.sheet {
                div.fields {
                    label.field {
                        span { (lang.t("지급일이 이 날까지인 정산", "Due up to")) }
                        input type="date" name="until" required value=(view.choice.until);
                    }
                    label.field {
                        span { (lang.t("메모 (선택)", "Note (optional)")) }
                        input name="note" maxlength="200" autocomplete="off" value=(view.note);
                    }
                }
                (sums(&found.sums, proposal.payouts.len(), lang))
                @if !proposal.nothing_to_pay.is_empty() {
                    p.soft.small { (zero(proposal.nothing_to_pay.len(), lang)) }
                }
                div.acts {
                    button { (lang.t("다시 계산", "Work it out again")) }
                    @if !proposal.payouts.is_empty() || !proposal.nothing_to_pay.is_empty() {
                        button.primary formmethod="post" formaction="/admin/payouts" {
                            (lang.t("지급 내용 확인…", "Review…"))
                        }
                    }
                }
            }
            @if proposal.payouts.is_empty() {
                (parts::none_yet(Icon::Send, lang.t(
                    "이 날까지 지급할 수 있는 정산이 없습니다.", "Nothing can be paid up to this day.",
                )))
            } @else {
                @if !paid.is_empty() {
                    h2 { (lang.t("지급할 파트너사", "To be paid")) }
                    ul.cards { @for card in &paid { (card_of(card, view, lang)) } }
                }
            }
            @if !apart.is_empty() {
                h2 { (lang.t("이번에 지급하지 않는 파트너사", "Not paid this time")) }
                ul.cards { @for card in &apart { (card_of(card, view, lang)) } }
            }
            @if pages > 1 { (pager(page, pages, lang)) }
        }
        @if !found.held.is_empty() {
            h2 { (lang.t("보류 중인 정산", "Held")) }
            ul.cards {
                @for row in found.held.iter().take(MOST_HELD) { li.sheet {
                    div.line {
                        a.main href=(format!("/admin/settlements/{}", row.id)) { (row.partner_name) " · " (row.day) }
                        (words::held_badge(lang))
                        span.grow {}
                        strong { (row.net) }
                    }
                    p.soft.small {
                        @if let Some(hold) = &row.hold { (lang.t("보류 사유: ", "held: ")) (words::masked_text(hold)) }
                        @if let Some(day) = row.payout_day { " · " (lang.t("지급일 ", "due ")) (day_words(day, lang)) }
                    }
                } }
            }
            @if found.held.len() > MOST_HELD {
                p { a.button href="/admin/settlements?held=1" { (lang.t("보류 중인 정산 모두 보기", "All that are held")) } }
            }
        }
    };
    layout(look, self_page(lang), body)
}

impl View<'_> {
    /// The partners of this page, which page it is, and how many there are.
    fn cards(&self) -> (Vec<Card<'_>>, usize, usize) {
        let mut cards = Card::all(&self.found.proposal);
        if let Some(only) = &self.place.only {
            cards.retain(|card| card.partner() == only);
        }
        let pages = cards.len().div_ceil(PAGE).max(1);
        let page = self.place.page.min(pages - 1);
        let cards = cards.into_iter().skip(page * PAGE).take(PAGE).collect();
        (cards, page, pages)
    }

    /// Whether a partner's settlements are shown: of whom something is left out they always are.
    fn opens(&self, card: &Card<'_>) -> bool {
        self.place.opened.contains(card.partner()) || self.leaves_out_some_of(card)
    }

    fn leaves_out_some_of(&self, card: &Card<'_>) -> bool {
        let out = &self.choice.leave_out;
        !out.is_empty() && card.rows().iter().any(|row| out.contains(&row.id))
    }
}

/// What was left out and has no tick on this page: the form hands it on.
fn unseen(cards: &[Card<'_>], view: &View<'_>) -> Markup {
    let open = cards.iter().filter(|card| view.opens(card));
    let ticks: BTreeSet<i64> = open
        .flat_map(|card| card.rows().into_iter().map(|row| row.id))
        .collect();
    let asks = cards.iter().filter(|card| card.asks());
    let asked: BTreeSet<&str> = asks.map(Card::partner).collect();
    let (out, partners) = (&view.choice.leave_out, &view.choice.leave_out_partners);
    html! {
        @for id in out.difference(&ticks) { input type="hidden" name="out" value=(id); }
        @for id in partners.iter().filter(|id| !asked.contains(id.as_str())) {
            input type="hidden" name="partner_out" value=(id);
        }
    }
}

/// Buttons and no links: what is ticked on this page goes along.
fn pager(page: usize, pages: usize, lang: Lang) -> Markup {
    html! {
        nav.pager aria-label=(lang.t("페이지", "Pages")) {
            @if page > 0 { button name="page" value=(page) { "← " (lang.t("이전", "Back")) } }
            span.soft { (page + 1) " / " (pages) }
            @if page + 1 < pages { button name="page" value=(page + 2) { (lang.t("다음", "Next")) " →" } }
        }
    }
}

fn zero(count: usize, lang: Lang) -> String {
    lang.t(
        format!("합계가 0원인 정산 {count}건은 이체 없이 함께 완료됩니다."),
        format!("{count} settlements of ₩0 are completed along with it, without a transfer."),
    )
}

fn sums(sums: &Sums, count: usize, lang: Lang) -> Markup {
    html! {
        dl.sums {
            dt { (lang.t("지급 건수", "Payouts")) } dd { (count) }
            dt { (lang.t("지급액(세전)", "Gross")) } dd { (sums.gross) }
            dt { (lang.t("− 소득세", "− income tax")) } dd { (sums.income_tax) }
            dt { (lang.t("− 지방소득세", "− local income tax")) } dd { (sums.local_tax) }
            dt { (lang.t("= 이체 합계", "= to transfer")) } dd { (sums.paid) }
        }
    }
}

fn tick(row: &Due, view: &View<'_>, lang: Lang) -> Markup {
    let out = view.choice.leave_out.contains(&row.id);
    html! {
        li {
            label.check {
                input type="checkbox" name="out" value=(row.id) checked[out];
                span { (lang.t("제외", "Leave out")) span.hidden { " " (row.day) } }
            }
            a href=(format!("/admin/settlements/{}", row.id)) { (row.day) }
            span.soft.small { (lang.t("지급일 ", "due ")) (row.payout_day) }
            span.grow {}
            (row.net)
        }
    }
}

fn partner_tick(partner: &str, name: &str, view: &View<'_>, lang: Lang) -> Markup {
    let out = view.choice.leave_out_partners.contains(partner);
    html! {
        label.check {
            input type="checkbox" name="partner_out" value=(partner) checked[out];
            span { (lang.t("이 파트너사 전체 제외", "Leave this partner out")) span.hidden { " " (name) } }
        }
    }
}

fn card_of(card: &Card<'_>, view: &View<'_>, lang: Lang) -> Markup {
    html! {
        li.sheet {
            @match card {
                Card::Paid(one, _) => (paid(one, lang)),
                Card::Waits(waits) => (waiting(waits, lang)),
            }
            (settlements_of(card, view, lang))
            @if card.asks() {
                @match card {
                    Card::Paid(one, _) => (partner_tick(&one.partner, &one.partner_name, view, lang)),
                    Card::Waits(waits) => (partner_tick(&waits.partner, &waits.partner_name, view, lang)),
                }
            }
        }
    }
}

/// A partner's settlements with their ticks, or the button that opens them. With scripts it fetches nothing
/// else; without, it is one more way to send the form.
fn settlements_of(card: &Card<'_>, view: &View<'_>, lang: Lang) -> Markup {
    let (rows, partner) = (card.rows(), card.partner());
    let (of, left, name) = match card {
        Card::Paid(one, out) => (
            one.settlements.len(),
            out.map_or(0, |out| out.settlements.len()),
            &one.partner_name,
        ),
        Card::Waits(waits) => (waits.settlements.len(), 0, &waits.partner_name),
    };
    let count = lang.t(format!("정산 {of}건"), format!("{of} settlements"));
    let asked = view.place.opened.contains(partner);
    html! {
        @if view.opens(card) {
            details.settlements.opened[asked] open {
                summary { (count) @if left > 0 { " " (lang.t(format!("(제외 {left}건)"), format!("({left} left out)"))) } }
                @if asked { input type="hidden" name="open" value=(partner); }
                ul.lines.ticks { @for row in &rows { (tick(row, view, lang)) } }
            }
        } @else {
            p.settlements {
                button.low name="open" value=(partner) hx-params="open" hx-target="closest .settlements" hx-swap="outerHTML"
                    hx-get={ "/admin/payouts/new?until=" (view.choice.until) "&only=" (super::segment(partner)) } hx-select=".opened" {
                    (count) " ▾" span.hidden { " " (name) }
                }
            }
        }
    }
}

fn paid(one: &Proposed, lang: Lang) -> Markup {
    let cut = &one.withheld;
    html! {
        div.line {
            a.main href=(format!("/admin/partners/{}", super::segment(&one.partner))) { (one.partner_name) }
            span.mini { (lang.t(one.kind.ko(), one.kind.en())) }
            span.grow {}
            strong.big { (cut.paid) }
        }
        p.small {
            (account(one.account.bank.as_str(), one.account.number.as_str(), lang)) " · " (words::masked_name(&one.account.holder))
        }
        p.soft.small {
            (lang.t("세전 ", "gross ")) (cut.gross)
            " − " (lang.t("소득세 ", "income tax ")) (cut.income_tax)
            " − " (lang.t("지방소득세 ", "local tax ")) (cut.local_tax)
            " = " (cut.paid)
        }
    }
}

fn why(why: Why, lang: Lang) -> String {
    match why {
        Why::LeftOut => lang
            .t("이번에 제외했습니다.", "Left out this time.")
            .to_owned(),
        Why::Own => lang
            .t("자사는 지급하지 않습니다", "the shop itself is never paid")
            .to_owned(),
        Why::Archived => lang
            .t(
                "보관된 파트너사입니다. 먼저 복구하세요",
                "it is archived: recover it first",
            )
            .to_owned(),
        Why::NoType => lang
            .t(
                "파트너 유형이 없어 원천징수 여부를 알 수 없습니다.",
                "Its type is not known, so neither is the tax.",
            )
            .to_owned(),
        Why::NoAccount => lang
            .t("계좌가 등록되지 않았습니다.", "It has no account.")
            .to_owned(),
        Why::NotApproved => lang
            .t("아직 승인되지 않았습니다.", "It is not approved yet.")
            .to_owned(),
        Why::BelowMinimum { minimum } => lang.t(
            format!(
                "최소 지급액 {}에 못 미쳐 다음으로 넘어갑니다.",
                words::won(minimum)
            ),
            format!(
                "Below the minimum of {}: it waits for more.",
                words::won(minimum)
            ),
        ),
    }
}

fn waiting(one: &Waits, lang: Lang) -> Markup {
    let fix = matches!(one.why, Why::NoType | Why::NoAccount | Why::NotApproved);
    html! {
        div.line {
            a.main href=(format!("/admin/partners/{}", super::segment(&one.partner))) { (one.partner_name) }
            span.grow {}
            strong { (one.amount) }
        }
        p.line {
            span.soft { (why(one.why, lang)) }
            @if fix { a href=(partner_edit(&one.partner)) { (lang.t("파트너 정보 고치기", "Correct the partner")) " →" } }
        }
    }
}

/// The page between asking and doing: exactly what will be made.
fn sure_page(look: &Look, view: &View<'_>) -> Markup {
    let lang = look.lang;
    let (found, choice) = (view.found, view.choice);
    let proposal = &found.proposal;
    let count = proposal.payouts.len();
    let (total, tax) = (words::won(proposal.total), words::won(found.sums.tax()));
    let body = html! {
        section.sheet.narrow {
            h1 { (lang.t("이대로 지급 묶음을 만들까요?", "Make this batch?")) }
            p.big { (lang.t(
                format!("파트너사 {count}곳에 모두 {total}을 이체하는 지급 묶음을 만듭니다."),
                format!("This makes a batch that transfers {total} to {count} partners."),
            )) }
            p { (lang.t(
                format!("원천징수 합계는 {tax}입니다(소득세 {}, 지방소득세 {}).", words::won(found.sums.income_tax), words::won(found.sums.local_tax)),
                format!("{tax} is withheld (income tax {}, local income tax {}).", words::won(found.sums.income_tax), words::won(found.sums.local_tax)),
            )) }
            (sums(&found.sums, count, lang))
            @if !proposal.nothing_to_pay.is_empty() { p { (zero(proposal.nothing_to_pay.len(), lang)) } }
            p.soft.small { (lang.t(
                format!("{}까지 지급분. 묶음에 든 정산은 '지급 처리 중'이 되고, 은행 결과를 반영하면 완료됩니다. 돈은 은행 파일을 은행에 올릴 때 나갑니다.", choice.until),
                format!("Due up to {}. Settlements in it are PROCESSING until the bank's result is taken. Money leaves when you give the file to the bank.", choice.until),
            )) }
            form.acts method="post" action="/admin/payouts" data-once {
                input type="hidden" name="sure" value="1";
                input type="hidden" name="until" value=(choice.until);
                input type="hidden" name="total" value=(proposal.total.get());
                input type="hidden" name="seen" value=(proposal.fingerprint());
                input type="hidden" name="note" value=(view.note);
                input type="hidden" name="page" value=(view.place.page + 1);
                @for id in &choice.leave_out { input type="hidden" name="out" value=(id); }
                @for id in &choice.leave_out_partners { input type="hidden" name="partner_out" value=(id); }
                a.button href=(again(view)) { (lang.t("고치기", "Change it")) }
                button.primary #do-it { (lang.t("지급 묶음 만들기", "Make the batch")) }
            }
        }
    };
    layout(look, self_page(lang), body)
}

/// Back to the same choice.
fn again(view: &View<'_>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("until", &view.choice.until.to_string());
    query.append_pair("page", &(view.place.page + 1).to_string());
    for id in &view.choice.leave_out {
        query.append_pair("out", &id.to_string());
    }
    for id in &view.choice.leave_out_partners {
        query.append_pair("partner_out", id);
    }
    if !view.note.is_empty() {
        query.append_pair("note", view.note);
    }
    format!("/admin/payouts/new?{}", query.finish())
}

/// `GET /admin/payouts/new?until=&out=&partner_out=&page=&open=`
pub(super) async fn show(
    State(web): State<Web>,
    _: Actor,
    look: Look,
    RawQuery(query): RawQuery,
) -> Response {
    let pairs = Pairs::read(query.unwrap_or_default().as_bytes());
    let today = KstDay::of(web.ctx.store.now());
    look.answer(propose(&web, &look, &pairs, today).await)
}

async fn propose(
    web: &Web,
    look: &Look,
    pairs: &Pairs,
    today: KstDay,
) -> Result<Response, Problem> {
    let fallback = || Choice {
        until: today,
        leave_out: Default::default(),
        leave_out_partners: Default::default(),
    };
    let (choice, wrong) = match choice_of(pairs, today) {
        Ok(choice) => (choice, None),
        Err(problem) => (fallback(), Some(problem)),
    };
    let found = find(web, &choice).await?;
    let view = View {
        choice: &choice,
        place: &Place::of(pairs),
        found: &found,
        note: pairs.get("note").unwrap_or_default(),
        wrong: wrong.as_ref().map(|problem| problem.sentence(look.lang)),
    };
    let status = wrong
        .as_ref()
        .map_or(StatusCode::OK, |problem| problem.status);
    Ok((status, page(look, &view)).into_response())
}

/// `POST /admin/payouts`: asks first, and makes the batch once `sure` is sent.
pub(super) async fn create(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Body(body): Body,
) -> Response {
    let pairs = Pairs::read(&body);
    let look = Look {
        here: "/admin/payouts/new".into(),
        ..look
    };
    look.answer(ask_or_make(&web, &look, &pairs, actor.by).await)
}

async fn ask_or_make(
    web: &Web,
    look: &Look,
    pairs: &Pairs,
    by: &'static str,
) -> Result<Response, Problem> {
    let today = KstDay::of(web.ctx.store.now());
    let choice = choice_of(pairs, today)?;
    let note = pairs.get("note").unwrap_or_default().to_owned();
    let mut wrong = None;
    if pairs.get("sure").is_some() {
        let shown = pairs
            .get("total")
            .and_then(|total| total.parse().ok())
            .map(Won::new)
            .ok_or_else(|| {
                Problem::bad_request(
                    "확인한 합계가 없습니다. 처음부터 다시 해 주세요.",
                    "The total that was shown is missing: begin again.",
                )
            })?;
        let seen = pairs.get("seen").map(str::to_owned);
        let made = pay_out::create_seen(
            &web.ctx,
            choice.clone(),
            Some(shown),
            seen,
            note.clone(),
            by,
        );
        match made.await {
            Ok(id) => return Ok(see_other(&format!("{}?did=made", batch_path(id)), None)),
            Err(error) => wrong = Some(Problem::from(error)),
        }
    }
    if let Some(problem) = &wrong
        && problem.status.is_server_error()
    {
        return Ok(look.problem(problem));
    }
    let found = find(web, &choice).await?;
    let proposal = &found.proposal;
    if wrong.is_none() && proposal.payouts.is_empty() && proposal.nothing_to_pay.is_empty() {
        wrong = Some(PayoutError::Nothing(choice.until).into());
    }
    let view = View {
        choice: &choice,
        place: &Place::of(pairs),
        found: &found,
        note: &note,
        wrong: wrong.as_ref().map(|problem| problem.sentence(look.lang)),
    };
    match &wrong {
        Some(problem) => Ok((problem.status, page(look, &view)).into_response()),
        None => Ok(sure_page(look, &view).into_response()),
    }
}
