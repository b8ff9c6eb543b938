//! `/admin/search`: one field for everything. Orders, payments, buyers, partners, amounts, numbers, pages.
//!
//! Buyers are shown masked, as everywhere. With scripts the field suggests while somebody types; without,
//! it is a form that leads here.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};
use url::form_urlencoded;

use super::{
    layout::{Fields, Look, Page, Part, field, layout, nothing, payment_path, segment},
    nav, words,
};
use crate::{
    domain::{
        account::{Right, Rights},
        masks,
        wanted::Wanted,
    },
    store::{
        StoreError,
        find::{self, Group, Numbered, OfPayments, PartnerFound},
        payments::PaymentRow,
        search,
    },
    web::{Web, auth::Actor, error::Problem, extract::Q, lang::Lang},
};

/// Characters that are searched for at most, as in the lists.
const LONGEST: usize = 100;

/// A page that can be found by its name: where it is, for whom, its names, and other words for it.
#[derive(Clone, Copy, Debug)]
struct Place {
    path: &'static str,
    right: Option<Right>,
    ko: &'static str,
    en: &'static str,
    also: &'static str,
}

/// Pages that are not in the navigation.
#[rustfmt::skip]
const MORE: [Place; 7] = [
    Place { path: "/payment/mypage?status=CANCEL_FAILED", right: Some(Right::PaymentsRead), ko: "취소 실패한 결제", en: "Payments whose cancel failed", also: "환불 refund" },
    Place { path: "/payment/mypage?held=1", right: Some(Right::PaymentsRead), ko: "보류된 결제", en: "Held payments", also: "불일치 mismatch" },
    Place { path: "/admin/adjustments", right: Some(Right::SettlementsRead), ko: "정산 조정", en: "Adjustments", also: "correction" },
    Place { path: "/admin/payouts/new", right: Some(Right::PayoutsWrite), ko: "새 지급 묶음", en: "New payout batch", also: "지급하기 pay out" },
    Place { path: "/admin/calendar", right: Some(Right::SettlementsRead), ko: "영업일 달력", en: "Business days", also: "공휴일 휴일 holiday calendar" },
    Place { path: "/admin/payouts/templates", right: Some(Right::PayoutsWrite), ko: "은행 파일 양식", en: "Bank file templates", also: "엑셀 excel" },
    Place { path: "/admin/partners/new", right: Some(Right::PartnersWrite), ko: "파트너사 추가", en: "Add a partner", also: "새 파트너" },
];

/// Other words that people use for a page of the navigation.
fn also(path: &str) -> &'static str {
    match path {
        "/admin" => "오늘 할 일 대시보드 dashboard today",
        "/payment/mypage" => "주문 매출 orders sales",
        "/admin/payouts" => "이체 송금 transfer bank",
        "/admin/approvals" => "결재 두 번째 사람 approve",
        "/admin/partners" => "계약 판매자 seller contract",
        "/admin/jobs" => "대기열 queue",
        "/admin/dead-letters" => "실패 수동 처리 재처리 replay",
        "/admin/alerts" => "슬랙 slack",
        "/admin/inbox" => "웹훅 webhook",
        "/admin/users" => "계정 권한 account role",
        "/account" => "비밀번호 인증 앱 password totp session",
        "/payment" => "결제하기 checkout",
        _ => "",
    }
}

/// What a search came to.
#[derive(Default)]
pub struct Found {
    of_payments: OfPayments,
    partners: Group<PartnerFound>,
    numbered: Vec<Numbered>,
    places: Vec<Place>,
    /// What was searched for instead, as the keyboard was in the wrong state.
    instead: Option<String>,
    /// The index does not cover the older payments yet.
    indexing: bool,
}

impl Found {
    fn is_empty(&self) -> bool {
        let of = &self.of_payments;
        of.payments.is_empty()
            && of.orders.is_empty()
            && of.buyers.is_empty()
            && of.of_amount.is_empty()
            && self.partners.is_empty()
            && self.numbered.is_empty()
            && self.places.is_empty()
    }
}

fn places(wanted: &Wanted, rights: Rights) -> Vec<Place> {
    let fits = |place: &Place| {
        place.right.is_none_or(|right| rights.has(right))
            && (wanted.is_in(place.ko)
                || (!wanted.is_short() && (wanted.is_in(place.en) || wanted.is_in(place.also))))
    };
    let listed = nav::all().map(|(path, right, ko, en)| Place {
        path,
        right,
        ko,
        en,
        also: also(path),
    });
    let all = listed.chain(MORE).filter(fits);
    all.take(find::SHOWN).collect()
}

/// Looks for it in all that the person may see.
fn look_for(
    conn: &rusqlite::Connection,
    wanted: &Wanted,
    rights: Rights,
) -> Result<Found, StoreError> {
    let mut found = Found {
        places: places(wanted, rights),
        ..Found::default()
    };
    if rights.has(Right::PaymentsRead) {
        found.of_payments = find::of_payments(conn, wanted)?;
        found.indexing = search::behind(conn)? > search::TAIL;
    }
    if rights.has(Right::PartnersRead) {
        found.partners = find::partners(conn, wanted)?;
    }
    if rights.has(Right::SettlementsRead) {
        found.numbered = find::settled(conn, wanted)?;
    }
    if rights.has(Right::JobsRead) {
        found.numbered.extend(find::job(conn, wanted)?);
    }
    Ok(found)
}

/// Looks for what was typed; if there is nothing, for what was meant by it.
fn look_for_either(
    conn: &rusqlite::Connection,
    typed: &str,
    rights: Rights,
) -> Result<Found, StoreError> {
    let Some(wanted) = Wanted::read(typed) else {
        return Ok(Found::default());
    };
    let found = look_for(conn, &wanted, rights)?;
    let meant = Wanted::from_english_keys(typed).filter(|_| found.is_empty());
    let Some(meant) = meant else {
        return Ok(found);
    };
    let other = look_for(conn, &meant, rights)?;
    if other.is_empty() {
        return Ok(found);
    }
    Ok(Found {
        instead: Some(meant.text().to_owned()),
        ..other
    })
}

/// A row of a group: where it leads, what it says, what stands beside it.
struct Row {
    path: String,
    main: Markup,
    beside: Markup,
}

/// A group under its name, with the way to all of it.
struct Shown {
    title: &'static str,
    rows: Vec<Row>,
    more: Option<String>,
}

fn payment_row(row: &PaymentRow, lang: Lang) -> Row {
    let name = match row.about.name.trim() {
        "" => &row.merchant_uid,
        name => name,
    };
    Row {
        path: payment_path(&row.imp_uid),
        main: html! { (name) " " small.soft { code { (row.merchant_uid) } " · " (words::short_time(row.at)) } },
        beside: html! { (words::badge(row.status, lang)) strong { (row.amount) } },
    }
}

fn list_path(name: &str, value: &str) -> String {
    let query: String = form_urlencoded::Serializer::new(String::new())
        .append_pair(name, value)
        .finish();
    format!("/payment/mypage?{query}")
}

fn shown(found: &Found, wanted: &Wanted, lang: Lang) -> Vec<Shown> {
    let of = &found.of_payments;
    let all = || list_path("q", wanted.typed());
    let plain = |path: String, main: Markup, beside: Markup| Row { path, main, beside };
    let payments = Shown {
        title: lang.t("결제", "Payments"),
        rows: of
            .payments
            .rows
            .iter()
            .map(|row| payment_row(row, lang))
            .collect(),
        more: of.payments.more.then(all),
    };
    let orders = Shown {
        title: lang.t("결제되지 않은 주문", "Orders not paid"),
        rows: of
            .orders
            .rows
            .iter()
            .map(|order| {
                plain(
                    format!("/payment/orders/{}", segment(&order.merchant_uid)),
                    html! { (order.name) " " small.soft { code { (order.merchant_uid) } } },
                    html! { strong { (order.amount) } },
                )
            })
            .collect(),
        more: None,
    };
    let buyers = Shown {
        title: lang.t("구매자", "Buyers"),
        rows: of
            .buyers
            .rows
            .iter()
            .map(|buyer| {
                let about = &buyer.newest.about;
                let many = buyer.payments;
                plain(
                    payment_path(&buyer.newest.imp_uid),
                    html! {
                        (masks::masked_name(&about.buyer_name)) " "
                        small.soft { (masks::masked_phone(&about.buyer_tel)) " " (masks::masked_mail(&about.buyer_email)) }
                    },
                    html! { small.soft {
                        (lang.t(format!("최근 결제 {many}건"), format!("{many} recent payments")))
                        " · " (words::short_time(buyer.newest.at))
                    } },
                )
            })
            .collect(),
        more: (of.buyers.more || of.buyers.rows.iter().any(|buyer| buyer.payments > 1)).then(all),
    };
    let amount = wanted.amount().unwrap_or_default();
    let of_amount = Shown {
        title: lang.t("이 금액의 결제", "Payments of this amount"),
        rows: of
            .of_amount
            .rows
            .iter()
            .map(|row| payment_row(row, lang))
            .collect(),
        more: of
            .of_amount
            .more
            .then(|| list_path("amount", &amount.get().to_string())),
    };
    let partners_more: String = form_urlencoded::Serializer::new(String::new())
        .append_pair("q", wanted.typed())
        .finish();
    let partners = Shown {
        title: lang.t("파트너사", "Partners"),
        rows: found
            .partners
            .rows
            .iter()
            .map(|partner| {
                plain(
                    format!("/admin/partners/{}", segment(&partner.id)),
                    html! { (partner.name) " " small.soft { code { (partner.id) } } },
                    nothing(),
                )
            })
            .collect(),
        more: found
            .partners
            .more
            .then(|| format!("/admin/partners?{partners_more}")),
    };
    let numbered = Shown {
        title: lang.t("번호", "Numbers"),
        rows: found
            .numbered
            .iter()
            .map(|of| numbered_row(of, lang))
            .collect(),
        more: None,
    };
    let places = Shown {
        title: lang.t("메뉴", "Pages"),
        rows: found
            .places
            .iter()
            .map(|place| {
                plain(
                    place.path.to_owned(),
                    html! { (lang.t(place.ko, place.en)) },
                    nothing(),
                )
            })
            .collect(),
        more: None,
    };
    let groups = [
        places, payments, of_amount, buyers, partners, numbered, orders,
    ];
    groups
        .into_iter()
        .filter(|group| !group.rows.is_empty())
        .collect()
}

fn numbered_row(of: &Numbered, lang: Lang) -> Row {
    match of {
        Numbered::Settlement {
            id,
            partner,
            day,
            net,
        } => Row {
            path: format!("/admin/settlements/{id}"),
            main: html! { (lang.t("정산", "Settlement")) " #" (id) " " small.soft { (partner) " · " (day) } },
            beside: html! { strong { (net) } },
        },
        Numbered::Batch { id, amount } => Row {
            path: format!("/admin/payouts/{id}"),
            main: html! { (lang.t("지급 묶음", "Payout batch")) " #" (id) },
            beside: html! { strong { (amount) } },
        },
        Numbered::Transfer {
            batch,
            id,
            partner,
            amount,
        } => Row {
            path: format!("/admin/payouts/{batch}"),
            main: html! { (lang.t("지급", "Payout")) " P" (batch) "-" (id) " " small.soft { (partner) } },
            beside: html! { strong { (amount) } },
        },
        Numbered::Job { id, kind } => Row {
            path: format!("/admin/jobs/{id}"),
            main: html! { (lang.t("작업", "Job")) " #" (id) " " small.soft { (words::job(kind, lang)) } },
            beside: nothing(),
        },
    }
}

fn notes(found: &Found, typed: &str, lang: Lang) -> Markup {
    html! {
        @if let Some(instead) = &found.instead {
            p.soft { (lang.t(
                format!("‘{typed}’에 맞는 것이 없어 한글 자판으로 친 ‘{instead}’을(를) 찾았습니다."),
                format!("Nothing fits “{typed}”. This is what “{instead}” finds, as typed on the Korean keyboard."),
            )) }
        }
        @if found.indexing {
            p.soft { (lang.t(
                "검색 색인을 만드는 중입니다. 아직은 일부 결제만 찾을 수 있습니다.",
                "The search index is being built: for now it finds a part of the payments.",
            )) }
        }
    }
}

pub struct View<'a> {
    pub typed: &'a str,
    pub found: Option<&'a Found>,
    pub wrong: Option<&'a str>,
}

/// What was searched for in the end.
fn wanted_of(typed: &str, found: &Found) -> Option<Wanted> {
    Wanted::read(found.instead.as_deref().unwrap_or(typed))
}

pub fn page(look: &Look, view: &View<'_>) -> Markup {
    let lang = look.lang;
    let title = lang.t("검색", "Search");
    let groups = view
        .found
        .and_then(|found| Some(shown(found, &wanted_of(view.typed, found)?, lang)));
    let body = html! {
        div.head {
            h1 { (title) @if !view.typed.is_empty() { ": " (view.typed) } }
        }
        form.inline method="get" action="/admin/search" role="search" {
            label.field.grow {
                span.hidden { (lang.t("찾을 말", "What to look for")) }
                input type="search" name="q" value=(view.typed) maxlength=(LONGEST) autocomplete="off"
                    placeholder=(lang.t("주문, 결제번호, 구매자, 금액, 파트너사, 초성", "Order, payment id, buyer, amount, partner"));
            }
            button.primary { (title) }
        }
        @if let Some(wrong) = view.wrong { p.message.bad role="alert" { (wrong) } }
        @if let Some(found) = view.found { (notes(found, view.typed, lang)) }
        @match &groups {
            Some(groups) if !groups.is_empty() => {
                @for (at, group) in groups.iter().enumerate() {
                    section.sheet aria-labelledby=(format!("g{at}")) {
                        div.line {
                            h2 id=(format!("g{at}")) { (group.title) }
                            span.grow {}
                            @if let Some(more) = &group.more { a.small href=(more) { (lang.t("모두 보기", "Show all")) span.hidden { " " (group.title) } } }
                        }
                        ul.results { @for row in &group.rows { li { a href=(row.path) { span { (row.main) } (row.beside) } } } }
                    }
                }
            }
            Some(_) => {
                section.sheet.centre.empty {
                    p { (lang.t("맞는 것이 없습니다.", "Nothing fits.")) }
                    p.soft { (lang.t(
                        "주문번호, 결제번호, 구매자 이름, 전화번호 뒤 네 자리, 금액(12,000), 초성(ㅎㄱㄷ)으로 찾을 수 있습니다.",
                        "Try an order or payment id, a buyer's name, the last four digits of a phone number, an amount (12,000), or initial consonants (ㅎㄱㄷ).",
                    )) }
                }
            }
            None => {
                section.sheet.centre.empty {
                    p { (lang.t(
                        "주문번호, 결제번호, 구매자 이름, 전화번호 뒤 네 자리, 금액(12,000), 파트너사, 정산 번호, 초성(ㅎㄱㄷ)으로 찾을 수 있습니다.",
                        "Look for an order or payment id, a buyer's name, the last four digits of a phone number, an amount (12,000), a partner, a settlement's number, or initial consonants (ㅎㄱㄷ).",
                    )) }
                }
            }
        }
    };
    let page = Page {
        title,
        part: Part::None,
        ..Page::default()
    };
    layout(look, page, body)
}

/// The field of every page's head.
pub fn head_field(lang: Lang) -> Markup {
    html! {
        form.find method="get" action="/admin/search" role="search" aria-label=(lang.t("전체 검색", "Search everything")) {
            label {
                span.hidden { (lang.t("전체 검색", "Search everything")) }
                input type="search" name="q" maxlength=(LONGEST) autocomplete="off"
                    placeholder=(lang.t("전체 검색 (초성 가능)", "Search everything"))
                    hx-get="/admin/search/suggest" hx-trigger="input changed delay:200ms, search" hx-target="#hints" hx-sync="this:replace";
            }
            div.hints #hints {}
        }
    }
}

/// Suggestions below the field: the first of each group.
pub fn hints(found: &Found, typed: &str, lang: Lang) -> Markup {
    let groups = wanted_of(typed, found).map(|wanted| shown(found, &wanted, lang));
    let all: String = form_urlencoded::Serializer::new(String::new())
        .append_pair("q", typed)
        .finish();
    html! {
        @if let Some(groups) = groups {
            @for group in &groups {
                h2 { (group.title) }
                @for row in group.rows.iter().take(3) { a href=(row.path) { span { (row.main) } (row.beside) } }
            }
            @if groups.is_empty() { p.soft.small { (lang.t("맞는 것이 없습니다.", "Nothing fits.")) } }
            @else { a href=(format!("/admin/search?{all}")) { strong { (lang.t("결과 모두 보기", "Show all results")) } } }
        }
    }
}

async fn read(web: &Web, typed: &str, rights: Rights) -> Result<Option<Found>, Problem> {
    if typed.is_empty() {
        return Ok(None);
    }
    if typed.chars().count() > LONGEST {
        return Err(Problem::bad_request(
            format!("{LONGEST}자까지 검색할 수 있습니다."),
            format!("At most {LONGEST} characters are searched for."),
        ));
    }
    let typed = typed.to_owned();
    let read = move |conn: &rusqlite::Connection| look_for_either(conn, &typed, rights);
    Ok(Some(web.ctx.store.read_long(read).await?))
}

/// `GET /admin/search`
pub async fn show(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Q(fields): Q<Fields>,
) -> Response {
    let typed = field(&fields, "q").unwrap_or_default();
    let (found, wrong) = match read(&web, typed, actor.rights).await {
        Ok(found) => (found, None),
        Err(problem) if problem.status == StatusCode::BAD_REQUEST => (None, Some(problem)),
        Err(problem) => return look.problem(&problem),
    };
    let view = View {
        typed: if wrong.is_some() { "" } else { typed },
        found: found.as_ref(),
        wrong: wrong.as_ref().map(|problem| problem.sentence(look.lang)),
    };
    let status = wrong
        .as_ref()
        .map_or(StatusCode::OK, |problem| problem.status);
    (status, page(&look, &view)).into_response()
}

/// `GET /admin/search/suggest`: while somebody types.
pub async fn suggest(
    State(web): State<Web>,
    actor: Actor,
    lang: Lang,
    Q(fields): Q<Fields>,
) -> Response {
    let typed = field(&fields, "q").unwrap_or_default();
    match read(&web, typed, actor.rights).await {
        Ok(Some(found)) => hints(&found, typed, lang).into_response(),
        Ok(None) => nothing().into_response(),
        Err(problem) => problem.lang(lang).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{account::Role, money::Won, payment::Status},
        store::find::{BuyerFound, OrderFound},
        web::pages::test_values::payment,
    };

    fn found() -> Found {
        fn one<T>(row: T) -> Group<T> {
            Group {
                rows: vec![row],
                more: true,
            }
        }
        Found {
            of_payments: OfPayments {
                payments: one(payment(Status::Paid)),
                orders: Group {
                    rows: vec![OrderFound {
                        merchant_uid: "ord-<2>".into(),
                        name: "<b>배".into(),
                        amount: Won::new(9_000),
                    }],
                    more: false,
                },
                buyers: Group {
                    rows: vec![BuyerFound {
                        newest: payment(Status::Paid),
                        payments: 3,
                    }],
                    more: false,
                },
                of_amount: one(payment(Status::Canceled)),
            },
            partners: one(PartnerFound {
                id: "farm-<b>".into(),
                name: "농장 <i>".into(),
            }),
            numbered: vec![
                Numbered::Settlement {
                    id: 12_000,
                    partner: "<p>".into(),
                    day: "2026-08-06".into(),
                    net: Won::new(-4_450),
                },
                Numbered::Batch {
                    id: 3,
                    amount: Won::new(1),
                },
                Numbered::Transfer {
                    batch: 3,
                    id: 4,
                    partner: "<q>".into(),
                    amount: Won::new(2),
                },
                Numbered::Job {
                    id: 7,
                    kind: "<kind>".into(),
                },
            ],
            places: vec![MORE[0]],
            instead: None,
            indexing: true,
        }
    }

    #[test]
    fn results_are_masked_and_escaped_and_each_leads_somewhere() {
        let found = found();
        for lang in [Lang::Ko, Lang::En] {
            let look = Look {
                lang,
                ..Look::default()
            };
            let view = View {
                typed: "12,000 <u>",
                found: Some(&found),
                wrong: None,
            };
            let wanted = Wanted::read("12,000").unwrap();
            assert_eq!(shown(&found, &wanted, lang).len(), 7);
            let text = page(&look, &view).into_string();
            let hints = hints(&found, "12,000 <u>", lang).into_string();
            for text in [&text, &hints] {
                for evil in [
                    "<b>",
                    "<i>",
                    "<p>",
                    "<q>",
                    "<u>",
                    "<kind>",
                    "홍길동",
                    "010-1234",
                ] {
                    assert!(!text.contains(evil), "{evil}: {text}");
                }
                assert!(
                    text.contains("홍*동") && text.contains("***-****-5678"),
                    "{text}"
                );
                for path in [
                    "/payment/imp_%3C1%3E",
                    "/admin/partners/farm-%3Cb%3E",
                    "/admin/settlements/12000",
                ] {
                    assert!(text.contains(path), "{path}: {text}");
                }
            }
            assert!(text.contains("/payment/orders/ord-%3C2%3E"));
            assert!(
                text.contains("/payment/mypage?q=12%2C000+%3Cu%3E"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_menu_is_found_by_its_initials_and_other_words() {
        let find = |text: &str| -> Vec<&'static str> {
            let places = places(&Wanted::read(text).unwrap(), Rights::ALL_BUT_OWN);
            places.iter().map(|place| place.path).collect()
        };
        assert_eq!(find("ㄷㄷㄹㅌ"), ["/admin/dead-letters"]);
        assert_eq!(find("WEBHOOK"), ["/admin/inbox"]);
        assert_eq!(find("홀리데이"), [] as [&str; 0]);
        assert!(find("ㅈㅅ").contains(&"/admin/settlements"));
        assert!(find("e").is_empty());
        let viewer = Role::Viewer.rights();
        let new = Wanted::read("새 지급 묶음").unwrap();
        assert!(places(&new, viewer).is_empty() && !places(&new, Rights::ALL_BUT_OWN).is_empty());
    }

    #[test]
    fn nothing_found_and_nothing_asked_are_told_apart() {
        let look = Look::default();
        let empty = Found::default();
        let mut view = View {
            typed: "없는 말",
            found: Some(&empty),
            wrong: None,
        };
        assert!(
            page(&look, &view)
                .into_string()
                .contains("맞는 것이 없습니다")
        );
        view.found = None;
        assert!(
            !page(&look, &view)
                .into_string()
                .contains("맞는 것이 없습니다")
        );
        let instead = Found {
            instead: Some("홍길동".into()),
            ..found()
        };
        view.found = Some(&instead);
        assert!(
            page(&look, &view)
                .into_string()
                .contains("한글 자판으로 친 ‘홍길동’")
        );
    }
}
