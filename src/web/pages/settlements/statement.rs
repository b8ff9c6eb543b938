//! `/admin/statements/{partner}`: a partner's statement (정산내역서) of a period, to read and to print,
//! and the same as a workbook and as CSV.

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use tokio::sync::Semaphore;

use super::{
    super::{
        layout::{Fields, Look, Page, Part, field, layout},
        words,
    },
    crumb, page_of,
    said::{Desk, badge, capital, lines_en, partner_path},
};
use crate::{
    domain::{calendar::KstDay, money::Won},
    flow::{
        make_statement::{MOST_LINES, Statement, begin_statement, kind_words, make_statement},
        take_away::taken,
    },
    sheet::{self, Encoding, WriteError},
    store::partners,
    web::{
        Web, api::settlements::PeriodQuery, auth::Actor, download::download, error::Problem,
        extract::Q, lang::Lang,
    },
};

/// Lines that the page shows at first.
const FIRST_SHOWN: usize = 50;
/// Lines that it shows where all are asked for; of more than these it shows none, and the files have them all.
const MOST_SHOWN: i64 = 3_000;

/// Files are made one after the other: the largest takes a few hundred megabytes while it is made.
static ONE_AT_A_TIME: Semaphore = Semaphore::const_new(1);

pub fn page(look: &Look, desk: Desk, of: &Statement, shop: &str) -> Markup {
    let lang = look.lang;
    let title = lang.t("정산내역서", "Statement");
    let body = html! {
        @match desk {
            Desk::Shop => { (crumb(&partner_path(of.partner.id.as_str()), &of.partner.name)) }
            Desk::Own => { (crumb(desk.list(), lang.t("내 정산", "My settlements"))) }
        }
        article.statement {
            header {
                h1 { (title) }
                p.big { (of.from) " ~ " (of.to) }
            }
            (period(desk, of.partner.id.as_str(), of.from, of.to, lang))
            div.two.parties {
                section {
                    h2 { (lang.t("파트너사", "Partner")) }
                    dl.facts {
                        dt { (lang.t("이름", "Name")) } dd { strong { (of.partner.name) } }
                        dt { "ID" } dd { code { (of.partner.id) } }
                        @if let Some(kind) = of.partner.kind { dt { (lang.t("유형", "Type")) } dd { (lang.t(kind.ko(), kind.en())) } }
                        @if let Some(number) = &of.partner.business_number { dt { (lang.t("사업자등록번호", "Business number")) } dd { (number) } }
                        @if let Some(account) = &of.partner.account { dt { (lang.t("정산 계좌", "Account")) } dd { (lang.t(account.bank.ko(), account.bank.en())) " " (words::masked_account(account.number.as_str())) " " (words::masked_name(&account.holder)) } }
                    }
                }
                section {
                    h2 { (lang.t("보내는 곳", "From")) }
                    dl.facts {
                        dt { (lang.t("쇼핑몰", "Shop")) } dd { (shop) }
                        dt { (lang.t("기간", "Period")) } dd { (of.from) " ~ " (of.to) }
                        dt { (lang.t("정산", "Settlements")) } dd { (of.settlements.len()) (lang.t("건", "")) ", " (lang.t(format!("{}개 항목", of.totals.sums.lines), lines_en(of.totals.sums.lines))) }
                    }
                }
            }
            (totals(of, lang))
            (summary(of, desk, lang))
            (lines(of, desk, lang))
        }
    };
    layout(look, statement_page(desk, title), body)
}

fn statement_page(desk: Desk, title: &str) -> Page<'_> {
    match desk {
        Desk::Shop => page_of(title),
        Desk::Own => Page {
            title,
            part: Part::Statements,
            ..Page::default()
        },
    }
}

/// Another period, and the files.
fn period(desk: Desk, partner: &str, from: KstDay, to: KstDay, lang: Lang) -> Markup {
    let path = desk.statements(partner);
    let query = format!("?from={from}&to={to}");
    html! {
        form.filters.no-print method="get" action=(path) {
            @if desk == Desk::Own { (months(&path, from, to, lang)) }
            div.fields {
                label.field { span { (lang.t("시작일", "From")) } input type="date" name="from" required value=(from); }
                label.field { span { (lang.t("종료일", "To")) } input type="date" name="to" required value=(to); }
                button.low { (lang.t("기간 바꾸기", "Show")) }
                a.button.low href={ (path) "/statement.xlsx" (query) } { "XLSX" }
                a.button.low href={ (path) "/statement.csv" (query) } { "CSV" }
            }
            p.soft.small { (lang.t("인쇄하거나 PDF로 저장하면 A4에 맞춰집니다.", "Printed, or saved as PDF, it fits A4.")) }
        }
    }
}

/// The months before and after, and this one's name.
fn months(path: &str, from: KstDay, to: KstDay, lang: Lang) -> Markup {
    let name = |day: KstDay| format!("{}-{:02}", day.year(), day.month());
    let before = from.first_of_month().previous();
    let after = to.last_of_month().next();
    html! {
        div.chips {
            a href={ (path) "?month=" (name(before)) } { "← " (name(before)) }
            a href={ (path) "?month=" (name(from)) } aria-current=[(from == from.first_of_month() && to == from.last_of_month()).then_some("page")] {
                (lang.t(format!("{} 한 달", name(from)), format!("all of {}", name(from))))
            }
            a href={ (path) "?month=" (name(after)) } { (name(after)) " →" }
        }
    }
}

fn totals(of: &Statement, lang: Lang) -> Markup {
    let sums = &of.totals;
    let cut = &sums.sums.cut;
    let minus = |amount: Won| Won::new(amount.get().saturating_neg());
    let rows = [
        (lang.t("매출", "Sales"), sums.sums.sales),
        (lang.t("취소", "Returned"), sums.sums.returned),
        (lang.t("수수료", "Fee"), minus(cut.fee)),
        (
            lang.t("수수료 부가세", "VAT of the fee"),
            minus(cut.fee_vat),
        ),
        (
            lang.t("추가 수수료", "Additional fees"),
            minus(cut.additional),
        ),
        (
            lang.t("추가 수수료 부가세", "VAT of additional fees"),
            minus(cut.additional_vat),
        ),
        (
            lang.t("할인 분담", "Share of discounts"),
            minus(cut.discount_share),
        ),
        (
            lang.t("결제 부가세", "VAT of payments"),
            minus(cut.payment_vat),
        ),
        (lang.t("조정", "Adjustments"), sums.sums.adjustment),
    ];
    let below = [
        (lang.t("그중 지급 완료", "Of it completed"), sums.completed),
        (lang.t("그중 보류", "Of it held"), sums.held),
        (
            lang.t("다음 정산에서 뺄 이월", "Carried over to later ones"),
            sums.open_carry,
        ),
    ];
    html! {
        section aria-labelledby="totals" {
            h2 #totals { (lang.t("합계", "Totals")) }
            dl.sums {
                @for (name, amount) in rows.iter().take(2).chain(rows.iter().skip(2).filter(|(_, amount)| !amount.is_zero())) {
                    dt { (name) } dd { (amount) }
                }
                dt { (lang.t("정산금(항목 합계)", "Net of the lines")) } dd { (sums.earned) }
            }
            dl.facts {
                dt { (lang.t("지급 대상액", "Payable")) } dd { strong { (sums.payable) } }
                @for (name, amount) in below.iter().filter(|(_, amount)| !amount.is_zero()) { dt { (name) } dd { (amount) } }
            }
            p.tie.good-text { "✓ " (lang.t(
                format!("정산마다 항목 {}개를 다시 더해 맞췄습니다.", sums.sums.lines),
                format!("Each settlement ties with its lines, {} in all.", sums.sums.lines),
            )) }
        }
    }
}

fn summary(of: &Statement, desk: Desk, lang: Lang) -> Markup {
    let fees = |cut: &crate::domain::contract::Cut| {
        Won::sum([
            cut.fee,
            cut.fee_vat,
            cut.additional,
            cut.additional_vat,
            cut.discount_share,
            cut.payment_vat,
        ])
        .unwrap_or_default()
    };
    let sums = &of.totals.sums;
    html! {
        section aria-labelledby="summary" {
            h2 #summary { (lang.t("정산별", "By settlement")) }
            @if of.settlements.is_empty() {
                p.soft { (lang.t("이 기간에 정산이 없습니다.", "There are no settlements in this period.")) }
            } @else {
                div.wide-table tabindex="0" role="region" aria-label=(lang.t("정산별 표", "Table by settlement")) { table.plain {
                    thead { tr {
                        th scope="col" { (lang.t("정산일", "Day")) }
                        th scope="col" { (lang.t("상태", "State")) }
                        th scope="col" { (lang.t("지급일", "Payout day")) }
                        th.num scope="col" { (lang.t("주문 금액", "Order amount")) }
                        th.num scope="col" { (lang.t("공제", "Taken")) }
                        th.num scope="col" { (lang.t("조정", "Adjustment")) }
                        th.num scope="col" { (lang.t("정산금", "Net")) }
                        th.num scope="col" { (lang.t("이월 반영", "Carried in")) }
                        th.num scope="col" { (lang.t("지급 대상액", "Payable")) }
                    } }
                    tbody { @for row in &of.settlements { tr {
                        th scope="row" { a href=(desk.settlement(row.id)) { (row.day) } }
                        td { (badge(row, lang)) }
                        td.day { @match row.payout_day { Some(day) => (day), None => "–" } }
                        td.num { (row.sums.cut.order) }
                        td.num { (fees(&row.sums.cut)) }
                        td.num { (row.sums.adjustment) }
                        td.num { (row.sums.net().unwrap_or_default()) }
                        td.num { (row.carried_in) }
                        td.num { strong { (row.payable()) } }
                    } } }
                    tfoot { tr {
                        th scope="row" colspan="3" { (lang.t("합계", "Total")) }
                        td.num { (sums.cut.order) }
                        td.num { (fees(&sums.cut)) }
                        td.num { (sums.adjustment) }
                        td.num { (of.totals.earned) }
                        td.num { (of.totals.carried_in) }
                        td.num { strong { (of.totals.payable) } }
                    } }
                } }
            }
        }
    }
}

fn lines(of: &Statement, desk: Desk, lang: Lang) -> Markup {
    let count = of.totals.sums.lines;
    let shown = of.lines.len();
    let cut = shown as i64 != count;
    let all = format!(
        "{}?from={}&to={}&all=1#detail",
        desk.statements(of.partner.id.as_str()),
        of.from,
        of.to
    );
    html! {
        @if count > 0 {
            section.part-two aria-labelledby="detail" {
                h2 #detail { (lang.t("항목별", "By line")) }
                @if of.lines.is_empty() {
                    p { (lang.t(
                        format!("항목이 {count}개라 화면에 모두 보이지 않습니다. XLSX나 CSV로 받아 주세요."),
                        format!("There are {count} lines, too many for a page: take the XLSX or CSV."),
                    )) }
                } @else {
                    @if cut {
                        p { (lang.t(
                            format!("처음 {shown}개 항목입니다. 합계는 항목 {count}개 전체의 합계입니다."),
                            format!("The first {shown} lines. The totals are those of all {count}."),
                        )) " "
                            @if count <= MOST_SHOWN {
                                a.no-print href=(all) { (lang.t("모든 항목 보기 · 인쇄용", "Show all lines, for printing")) }
                            } @else {
                                (lang.t("나머지는 XLSX나 CSV로 받아 주세요.", "Take the XLSX or CSV for the others."))
                            }
                        }
                    }
                    div.wide-table tabindex="0" role="region" aria-label=(lang.t("항목별 표", "Table by line")) { table.plain.small {
                        thead { tr {
                            th scope="col" { (lang.t("일시", "Time")) }
                            th scope="col" { (lang.t("구분", "Kind")) }
                            th scope="col" { (lang.t("내용", "What")) }
                            th.num scope="col" { (lang.t("주문 금액", "Order amount")) }
                            th.num scope="col" { (lang.t("수수료", "Fee")) }
                            th.num scope="col" { (lang.t("부가세", "VAT")) }
                            th.num scope="col" { (lang.t("기타 공제·조정", "Other")) }
                            th.num scope="col" { (lang.t("정산금", "Net")) }
                        } }
                        tbody { @for line in &of.lines {
                            @let cut = &line.line.cut;
                            @let other = line.line.net.get() - cut.order.get() + cut.fee.get() + cut.fee_vat.get();
                            tr {
                                td.day { (words::short_time(line.movement.happened_at)) }
                                td { (capital(kind_words(line.movement.kind, lang == Lang::Ko))) }
                                td { (words::masked_text(&line.title)) @if let Some(order) = &line.merchant_uid { " " code.soft { (order) } } }
                                td.num { (cut.order) }
                                td.num { (cut.fee) }
                                td.num { (cut.fee_vat) }
                                td.num { (Won::new(other)) }
                                td.num { (line.line.net) }
                            }
                        } }
                        tfoot { tr {
                            th scope="row" colspan="3" {
                                @if cut { (lang.t(format!("항목 {count}개의 합계"), format!("Total of all {count} lines"))) } @else { (lang.t("합계", "Total")) }
                            }
                            td.num { (of.totals.sums.cut.order) }
                            td.num { (of.totals.sums.cut.fee) }
                            td.num { (of.totals.sums.cut.fee_vat) }
                            td.num { (Won::new(of.totals.earned.get() - of.totals.sums.cut.order.get() + of.totals.sums.cut.fee.get() + of.totals.sums.cut.fee_vat.get())) }
                            td.num { strong { (of.totals.earned) } }
                        } }
                    } }
                }
            }
        }
    }
}

/// A period that cannot be shown, with what was typed.
fn wrong_page(
    look: &Look,
    desk: Desk,
    partner: &str,
    query: &PeriodQuery,
    problem: &Problem,
) -> Response {
    let lang = look.lang;
    let path = desk.statements(partner);
    let value = |text: &Option<String>| text.clone().unwrap_or_default();
    let body = html! {
        @match desk {
            Desk::Shop => { (crumb(&partner_path(partner), partner)) }
            Desk::Own => { (crumb(desk.list(), lang.t("내 정산", "My settlements"))) }
        }
        section.sheet.narrow {
            h1 { (lang.t("정산내역서", "Statement")) }
            p.message.bad role="alert" { (problem.sentence(lang)) }
            form.stack method="get" action=(path) {
                label.field { span { (lang.t("시작일", "From")) } input type="date" name="from" value=(value(&query.from)); }
                label.field { span { (lang.t("종료일", "To")) } input type="date" name="to" value=(value(&query.to)); }
                button.primary { (lang.t("다시 보기", "Show")) }
            }
        }
    };
    let title = lang.t("정산내역서", "Statement");
    (
        problem.status,
        layout(look, statement_page(desk, title), body),
    )
        .into_response()
}

/// Which lines of a statement are wanted.
#[derive(Clone, Copy)]
enum Lines {
    First,
    All { most: i64 },
}

async fn make(
    web: &Web,
    partner: &str,
    query: &PeriodQuery,
    lines: Lines,
) -> Result<Statement, Problem> {
    let (from, to) = query.read(KstDay::of(web.ctx.store.now()))?;
    let partner = partner.to_owned();
    let made = web.ctx.store.read_long(move |conn| match lines {
        Lines::First => begin_statement(conn, &partner, from, to, FIRST_SHOWN),
        Lines::All { most } => make_statement(conn, &partner, from, to, most),
    });
    Ok(made.await?)
}

/// `GET /admin/statements/{partner}?from=&to=&all=`
pub async fn show(
    State(web): State<Web>,
    _: Actor,
    look: Look,
    Path(partner): Path<String>,
    Q(query): Q<PeriodQuery>,
    Q(more): Q<Fields>,
) -> Response {
    let all = field(&more, "all").is_some();
    shown(&web, &look, Desk::Shop, &partner, &query, all).await
}

/// A partner's statement as it is seen from a desk: with `all` its lines, or the first of them.
pub async fn shown(
    web: &Web,
    look: &Look,
    desk: Desk,
    partner: &str,
    query: &PeriodQuery,
    all: bool,
) -> Response {
    let host = web.site.public_url.host_str().unwrap_or_default();
    // The shop's own name is that of its own partner, where somebody gave it one.
    let own = &web.ctx.policy.default_partner;
    let shop = match web.ctx.store.read(|conn| partners::get(conn, own)) {
        Ok(Some(known)) if known.name != *own => format!("{} ({host})", known.name),
        _ => host.to_owned(),
    };
    let lines = match all {
        true => Lines::All { most: MOST_SHOWN },
        false => Lines::First,
    };
    match make(web, partner, query, lines).await {
        Ok(of) => page(look, desk, &of, &shop).into_response(),
        Err(problem) if matches!(problem.kind, "invalid-filter" | "statement-too-long") => {
            wrong_page(look, desk, partner, query, &problem)
        }
        Err(problem) => look.problem(&problem),
    }
}

/// A file of a statement. That it was taken is on record before it leaves.
pub async fn file(
    web: &Web,
    look: &Look,
    partner: &str,
    query: &PeriodQuery,
    workbook: bool,
) -> Result<Response, Problem> {
    let _alone = ONE_AT_A_TIME.acquire().await.map_err(|_| Problem::full())?;
    let of = make(web, partner, query, Lines::All { most: MOST_LINES }).await?;
    let asked = [
        ("partner", partner.to_owned()),
        ("from", of.from.to_string()),
        ("to", of.to.to_string()),
    ];
    let what = if workbook {
        "statement.xlsx"
    } else {
        "statement.csv"
    };
    taken(&web.ctx.store, what, asked).await?;
    let korean = look.lang == Lang::Ko;
    let name = of.file_name(korean);
    let made = tokio::task::spawn_blocking(move || {
        let [summary, lines] = of.sheets(korean);
        match workbook {
            true => sheet::xlsx(&[summary, lines]),
            false => sheet::csv(&lines, Encoding::Utf8Bom),
        }
    });
    let bytes = match made.await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => return Err(unwritten(error)),
        Err(died) => return Err(crate::store::StoreError::Panicked(died.to_string()).into()),
    };
    let ending = if workbook { "xlsx" } else { "csv" };
    Ok(download(&format!("{name}.{ending}"), bytes))
}

fn unwritten(error: WriteError) -> Problem {
    tracing::error!(%error, "a statement could not be written");
    crate::web::error::settlements::file_not_written(&error.into_cell_errors())
}

/// `GET /admin/statements/{partner}/statement.xlsx`
pub async fn workbook(
    State(web): State<Web>,
    _: Actor,
    look: Look,
    Path(partner): Path<String>,
    Q(query): Q<PeriodQuery>,
) -> Response {
    look.answer(file(&web, &look, &partner, &query, true).await)
}

/// `GET /admin/statements/{partner}/statement.csv`
pub async fn csv(
    State(web): State<Web>,
    _: Actor,
    look: Look,
    Path(partner): Path<String>,
    Q(query): Q<PeriodQuery>,
) -> Response {
    look.answer(file(&web, &look, &partner, &query, false).await)
}

#[cfg(test)]
mod tests {
    use super::{super::test_values, *};
    use crate::{
        domain::{
            ids::PartnerId,
            partner::{Contact, PartnerStatus},
            settlement::{Kind, State},
        },
        flow::make_statement::Totals,
        store::partners::PartnerRow,
    };

    fn statement(kinds: &[Kind]) -> Statement {
        let lines: Vec<_> = kinds.iter().map(|kind| test_values::line(*kind)).collect();
        let sums = test_values::sums(&lines);
        let earned = sums.net().unwrap();
        let mut row = test_values::settlement(State::Requested, earned.get());
        row.sums = sums;
        row.hold = Some("<확인>".into());
        let totals = Totals {
            sums,
            earned,
            payable: earned.max(Won::ZERO),
            ..Totals::default()
        };
        Statement {
            partner: PartnerRow {
                id: PartnerId::new("farm-<b>").unwrap(),
                name: "농장 <b>".into(),
                kind: None,
                business_number: None,
                account: None,
                contact: Contact::default(),
                status: PartnerStatus::Pending,
                memo: String::new(),
                tags: Vec::new(),
                archived_at: None,
                created_at: "2026-08-01T00:00:00Z".parse().unwrap(),
            },
            from: "2026-08-01".parse().unwrap(),
            to: "2026-08-31".parse().unwrap(),
            totals,
            settlements: if kinds.is_empty() {
                Vec::new()
            } else {
                vec![row]
            },
            lines,
        }
    }

    #[test]
    fn it_shows_sums_and_lines_and_nothing_of_others_markup() {
        let look = Look::default();
        let mut of = statement(&[Kind::Order, Kind::Cancel]);
        let text = page(&look, Desk::Shop, &of, "shop.example.com").into_string();
        for part in [
            "정산금(항목 합계)",
            "₩4,450",
            "보류",
            "shop.example.com",
            "statement.xlsx",
        ] {
            assert!(text.contains(part), "{part}");
        }
        assert!(!text.contains("<b>") && !text.contains("<i>"));
        // Where only the first lines are shown it says so, and whose totals stand below.
        assert!(!text.contains("all=1"));
        of.lines.truncate(1);
        let text = page(&look, Desk::Own, &of, "shop.example.com").into_string();
        assert!(text.contains("처음 1개 항목") && text.contains("항목 2개의 합계"));
        assert!(text.contains("/partner/statements?from=2026-08-01&amp;to=2026-08-31&amp;all=1"));
    }

    #[test]
    fn an_empty_period_and_a_negative_one_are_shown() {
        let look = Look {
            lang: Lang::En,
            ..Look::default()
        };
        let text = page(&look, Desk::Shop, &statement(&[]), "s").into_string();
        assert!(text.contains("no settlements in this period"));
        let text = page(&look, Desk::Shop, &statement(&[Kind::Cancel]), "s").into_string();
        assert!(text.contains("-₩4,450"));
    }

    #[test]
    fn a_files_name_says_whose_it_is_and_when() {
        let of = statement(&[]);
        assert_eq!(
            of.file_name(true),
            "정산내역서_farm-_b__2026-08-01_2026-08-31"
        );
    }
}
