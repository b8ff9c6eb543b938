//! The form of a contract's terms, and what they mean before they are agreed on.
//!
//! The form is sent to itself: to get a further row, to look at the terms in words, to agree. What
//! was typed travels along in every step, so it works without scripts and with the back button.

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use super::{
    Fields, Look, crumb, field, field_name, layout, nothing, page, path, see_other, terms, told,
    words, wrong_count,
};
use crate::{
    domain::{
        calendar::KstDay,
        contract::{Fee, Round, Terms, VatBearer},
        cycle::{Cycle, HolidayPolicy, Method, Weekday},
        holidays::BusinessCalendar,
        partner::{FieldError, PartnerType},
        terms_draft::{
            AdditionalDraft, ROUNDED, TermsDraft, from_day, holiday_code, method_text, weekday_code,
        },
    },
    flow::agree_contract::{agree, may_agree},
    store::{
        StoreError, calendar,
        contracts::{self, Version},
        partners::{self, PartnerRow},
    },
    web::{
        Web,
        auth::Actor,
        error::Problem,
        extract::{F, Q},
        lang::Lang,
    },
};

/// Rows for additional fees that are offered at first, and how many more at a time.
const ROWS: usize = 3;

/// What a contract is looked at against.
pub struct Setting {
    pub partner: PartnerRow,
    /// Oldest first.
    pub versions: Vec<Version>,
    pub today: KstDay,
    pub calendar: BusinessCalendar,
}

impl Setting {
    /// The first day for which nothing has been settled, today at the earliest.
    fn first_free(&self) -> KstDay {
        let used = self
            .versions
            .iter()
            .filter_map(|version| version.used_until);
        used.max()
            .map_or(self.today, |until| until.next().max(self.today))
    }

    fn scheduled(&self) -> Option<&Version> {
        self.versions
            .iter()
            .find(|version| version.from > self.today)
    }
}

// --- Fields

/// What the form shows at first: what holds, from the first free day on.
fn first_fields(setting: &Setting) -> Fields {
    let base = contracts::holding(&setting.versions, setting.today).or(setting.versions.last());
    let mut fields = match base {
        Some(version) => fields_of(&version.terms),
        None => [
            ("fee_kind", "rate"),
            ("method", "MONTHLY"),
            ("monthly", "31"),
            ("lag_days", "2"),
            ("holiday", "BEFORE"),
            ("min_payout", "0"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
    };
    fields.insert("from".to_owned(), setting.first_free().to_string());
    fields
}

fn fee_fields(fee: Fee) -> (&'static str, String) {
    match fee {
        Fee::Rate(rate) => ("rate", rate.to_string().trim_end_matches('%').to_owned()),
        Fee::Fixed(amount) => ("fixed", amount.get().to_string()),
    }
}

fn fields_of(terms: &Terms) -> Fields {
    let mut fields = Fields::new();
    let mut set = |name: String, value: String| _ = fields.insert(name, value);
    let draft = TermsDraft::from(terms);
    let (kind, fee) = fee_fields(terms.fee);
    set("fee_kind".into(), kind.into());
    set("fee".into(), fee);
    set("fee_vat".into(), terms.fee_vat.as_str().into());
    for (i, more) in terms.additional.iter().enumerate() {
        let (kind, fee) = fee_fields(more.fee);
        set(format!("additional_{i}_name"), more.name.clone());
        set(format!("additional_{i}_kind"), kind.into());
        set(format!("additional_{i}_fee"), fee);
        set(format!("additional_{i}_vat"), more.vat.as_str().into());
    }
    let rows = terms.additional.len().max(ROWS);
    set("rows".into(), rows.to_string());
    set(
        "discount_share".into(),
        terms
            .discount_share
            .to_string()
            .trim_end_matches('%')
            .to_owned(),
    );
    if terms.subtract_payment_vat {
        set("subtract_payment_vat".into(), "on".into());
    }
    let text = method_text(terms.cycle.method());
    let (kind, list) = text.split_once(':').unwrap_or((&text, ""));
    set("method".into(), kind.into());
    match terms.cycle.method() {
        Method::Daily => {}
        Method::Weekly { days } => {
            for day in days {
                set(format!("weekly_{}", weekday_code(*day)), "on".into());
            }
        }
        Method::Monthly { .. } => set("monthly".into(), list.replace(',', ", ")),
        Method::Dates { .. } => set("dates".into(), list.replace(',', ", ")),
    }
    set("lag_days".into(), terms.cycle.lag_days().to_string());
    set("holiday".into(), holiday_code(terms.cycle.holiday()).into());
    set("min_payout".into(), terms.min_payout.get().to_string());
    for (name, round) in ROUNDED.iter().zip(draft.rounding) {
        set(format!("round_{name}"), round.unwrap_or_default());
    }
    fields
}

/// A fee with its unit, which the form asks for beside the number.
fn fee_text(kind: Option<&str>, number: Option<&str>) -> Option<String> {
    let number = number?;
    Some(match kind {
        Some("fixed") => format!("{}원", number.trim_end_matches('원').trim_end()),
        _ => format!("{}%", number.trim_end_matches(['%', '％']).trim_end()),
    })
}

fn rows(fields: &Fields) -> usize {
    let asked = field(fields, "rows").and_then(|rows| rows.parse().ok());
    asked.unwrap_or(ROWS).clamp(ROWS, Terms::MOST_ADDITIONAL)
}

fn draft(fields: &Fields) -> TermsDraft {
    let text = |name: &str| field(fields, name).map(str::to_owned);
    let additional = (0..rows(fields)).map(|i| {
        let of = |part: &str| field(fields, &format!("additional_{i}_{part}"));
        AdditionalDraft {
            name: of("name").map(str::to_owned),
            fee: fee_text(of("kind"), of("fee")),
            vat: of("vat").map(str::to_owned),
        }
    });
    let method = field(fields, "method").unwrap_or_default();
    let list = match method {
        "WEEKLY" => {
            let on =
                |day: &Weekday| field(fields, &format!("weekly_{}", weekday_code(*day))).is_some();
            let days = Weekday::ALL.into_iter().filter(on).map(weekday_code);
            days.collect::<Vec<_>>().join(",")
        }
        "MONTHLY" => text("monthly").unwrap_or_default(),
        "DATES" => text("dates").unwrap_or_default(),
        _ => String::new(),
    };
    let cycle = match (method, list.is_empty()) {
        ("", _) => None,
        (method, true) if method == "DAILY" => Some(method.to_owned()),
        (method, _) => Some(format!("{method}:{list}")),
    };
    TermsDraft {
        fee: fee_text(field(fields, "fee_kind"), field(fields, "fee")),
        fee_vat: text("fee_vat"),
        additional: additional.collect(),
        discount_share: text("discount_share"),
        subtract_payment_vat: text("subtract_payment_vat"),
        cycle,
        lag_days: text("lag_days"),
        holiday: text("holiday"),
        min_payout: text("min_payout"),
        rounding: ROUNDED.map(|name| text(&format!("round_{name}"))),
    }
}

/// The day and the terms that were meant, or everything that is wrong.
fn check(fields: &Fields) -> Result<(KstDay, Terms), Vec<FieldError>> {
    let mut wrong = Vec::new();
    let from = from_day("from", field(fields, "from"))
        .map_err(|error| wrong.push(error))
        .ok();
    let terms = draft(fields)
        .check()
        .map_err(|errors| wrong.extend(errors))
        .ok();
    match (from, terms) {
        (Some(from), Some(terms)) => Ok((from, terms)),
        _ => Err(wrong),
    }
}

// --- The form

pub struct FormView<'a> {
    pub setting: &'a Setting,
    pub fields: &'a Fields,
    pub errors: &'a [FieldError],
    /// Why the books refuse it.
    pub wrong: Option<&'a str>,
}

pub fn form_page(look: &Look, view: &FormView<'_>) -> Markup {
    let lang = look.lang;
    let partner = &view.setting.partner;
    let title = lang.t("계약 조건", "Terms of a contract");
    let back = path(partner.id.as_str());
    let value = |name: &str| field(view.fields, name).unwrap_or_default();
    let errors = view.errors;
    let body = html! {
        (crumb(&back, &partner.name))
        div.head {
            h1 { (title) }
            p.soft { (partner.name) " " code { (partner.id) } }
        }
        (scheduled(view.setting, lang))
        (wrong_count(errors, lang))
        @if let Some(wrong) = view.wrong { p.message.bad role="alert" { (wrong) } }
        form.stack method="post" action={ (back) "/contract" } {
            // What the Enter key does in any field.
            button.hidden name="do" value="preview" tabindex="-1" aria-hidden="true" {}
            section.sheet {
                h2 { (lang.t("언제부터", "From when")) }
                div.fields {
                    label.field {
                        span { (field_name("from", lang)) " *" }
                        input type="date" name="from" value=(value("from")) required;
                        span.hint { (lang.t(
                            format!("이날 결제부터 적용합니다. {}부터 정할 수 있습니다.", view.setting.first_free()),
                            format!("For payments of that day on; {} is free.", view.setting.first_free()),
                        )) }
                        (told(errors, "from", lang))
                    }
                }
            }
            section.sheet {
                h2 { (lang.t("수수료", "Fees")) }
                div.fields {
                    (select("fee_kind", lang.t("중개 수수료 방식", "Platform fee by"), &fee_kinds(lang), value("fee_kind")))
                    label.field {
                        span { (field_name("fee", lang)) " *" }
                        input name="fee" value=(value("fee")) maxlength="20" inputmode="decimal" autocomplete="off";
                        span.hint { (lang.t("비율이면 3.3, 정액이면 500처럼", "3.3 for a rate, 500 for an amount")) }
                        (told(errors, "fee", lang))
                    }
                    div.stack {
                        (select("fee_vat", field_name("fee_vat", lang), &vats(lang), value("fee_vat")))
                        (told(errors, "fee_vat", lang))
                    }
                }
                (additional(view, lang))
            }
            section.sheet {
                h2 { (lang.t("할인과 부가세", "Discounts and VAT")) }
                div.fields {
                    label.field {
                        span { (lang.t("할인 분담률(%)", "Share of discounts (%)")) }
                        input name="discount_share" value=(value("discount_share")) maxlength="10" inputmode="decimal" autocomplete="off" placeholder="0";
                        span.hint { (lang.t("할인 금액 중 파트너가 부담하는 비율", "What the partner bears of a discount")) }
                        (told(errors, "discount_share", lang))
                    }
                    label.check {
                        input type="checkbox" name="subtract_payment_vat" value="on" checked[!value("subtract_payment_vat").is_empty()];
                        span { (lang.t("결제액에 든 부가세를 빼고 지급", "Keep back the VAT inside what was paid")) }
                    }
                }
            }
            (cycle_part(view, lang))
            section.sheet {
                details open[errors.iter().any(|error| error.field == "rounding")] {
                    summary { (lang.t("원 단위 처리", "Rounding to whole won")) }
                    div.fields {
                        @for name in ROUNDED {
                            @let field_name = format!("round_{name}");
                            (select(&field_name, terms::step(name, lang), &rounds(lang), value(&field_name)))
                        }
                    }
                    (told(errors, "rounding", lang))
                }
            }
            div.acts {
                a.button href=(back) { (lang.t("그만두기", "Leave it")) }
                button.primary name="do" value="preview" { (lang.t("미리 보기", "Look at it first")) }
            }
        }
    };
    layout(look, page(title), body)
}

type Choices<'a> = Vec<(&'static str, &'a str)>;

fn fee_kinds<'a>(lang: Lang) -> Choices<'a> {
    vec![
        ("rate", lang.t("비율(%)", "Rate (%)")),
        ("fixed", lang.t("정액(원)", "Amount (won)")),
    ]
}

fn vats<'a>(lang: Lang) -> Choices<'a> {
    vec![
        (
            VatBearer::Partner.as_str(),
            lang.t("파트너 부담(별도)", "Partner, on top"),
        ),
        (
            VatBearer::Platform.as_str(),
            lang.t("플랫폼 부담(포함)", "Platform, included"),
        ),
    ]
}

fn rounds<'a>(lang: Lang) -> Choices<'a> {
    Round::ALL
        .map(|round| (round.as_str(), terms::round(round, lang)))
        .into()
}

fn select(name: &str, label: &str, choices: &[(&str, &str)], chosen: &str) -> Markup {
    html! {
        label.field {
            span { (label) }
            select name=(name) {
                @for (code, text) in choices { option value=(code) selected[*code == chosen] { (text) } }
            }
        }
    }
}

fn scheduled(setting: &Setting, lang: Lang) -> Markup {
    let Some(version) = setting.scheduled() else {
        return nothing();
    };
    let from = version.from;
    html! {
        p.message.wait { (lang.t(
            format!("{from}부터 적용될 변경이 예약되어 있습니다. 그것을 바꾸려면 시작일을 {from}로 적으세요. 다른 앞날로 바꾸려면 예약을 먼저 취소하세요."),
            format!("A change is scheduled for {from}. To change that one, let the terms hold from {from}; for another day to come, take it back first."),
        )) }
    }
}

fn additional(view: &FormView<'_>, lang: Lang) -> Markup {
    let rows = rows(view.fields);
    let used = (0..rows).any(|i| field(view.fields, &format!("additional_{i}_name")).is_some());
    let wrong = view.errors.iter().any(|error| error.field == "additional");
    html! {
        details open[used || wrong || rows > ROWS] #additional {
            summary { (lang.t("추가 수수료(PG, 채널, 물류 등)", "Additional fees (PG, channel, warehouse)")) }
            div.stack {
                @for i in 0..rows {
                    @let name = |part: &str| format!("additional_{i}_{part}");
                    @let value = |part: &str| field(view.fields, &name(part)).unwrap_or_default().to_owned();
                    fieldset.fields {
                        legend { (lang.t(format!("추가 수수료 {}", i + 1), format!("Additional fee {}", i + 1))) }
                        label.field { span { (lang.t("이름", "Name")) } input name=(name("name")) value=(value("name")) maxlength="40" autocomplete="off"; }
                        (select(&name("kind"), lang.t("방식", "By"), &fee_kinds(lang), &value("kind")))
                        label.field { span { (lang.t("수수료", "Fee")) } input name=(name("fee")) value=(value("fee")) maxlength="20" inputmode="decimal" autocomplete="off"; }
                        (select(&name("vat"), lang.t("부가세", "VAT"), &vats(lang), &value("vat")))
                    }
                }
                (told(view.errors, "additional", lang))
                input type="hidden" name="rows" value=(rows);
                @if rows < Terms::MOST_ADDITIONAL {
                    p { button name="do" value="row" formnovalidate { (lang.t("행 추가", "Add a row")) } }
                }
            }
        }
    }
}

fn cycle_part(view: &FormView<'_>, lang: Lang) -> Markup {
    let value = |name: &str| field(view.fields, name).unwrap_or_default();
    let method = |code: &str, text: &str| {
        html! {
            label.check {
                input type="radio" name="method" value=(code) checked[value("method") == code];
                span { (text) }
            }
        }
    };
    html! {
        section.sheet {
            h2 { (lang.t("지급 주기", "When it is paid")) }
            div.fields {
                label.field {
                    span { (lang.t("보류일(며칠 뒤부터)", "Lag (days)")) }
                    input name="lag_days" value=(value("lag_days")) maxlength="3" inputmode="numeric" autocomplete="off";
                    span.hint { (lang.t(
                        format!("0~{}일. 결제일에서 이만큼 지난 뒤의 첫 정산일에 지급합니다.", Cycle::LONGEST_LAG),
                        format!("0 to {}: paid on the first date after so many days.", Cycle::LONGEST_LAG),
                    )) }
                    (told(view.errors, "lag_days", lang))
                }
                div.stack {
                    (select("holiday", lang.t("은행이 쉬는 날이면", "Where banks are closed"), &[
                        (holiday_code(HolidayPolicy::Before), lang.t("직전 영업일", "Business day before")),
                        (holiday_code(HolidayPolicy::After), lang.t("다음 영업일", "Business day after")),
                        (holiday_code(HolidayPolicy::CalendarDay), lang.t("그대로", "As it is")),
                    ], value("holiday")))
                    (told(view.errors, "holiday", lang))
                }
                label.field {
                    span { (lang.t("최소 지급액(원)", "Minimum payout (won)")) }
                    input name="min_payout" value=(value("min_payout")) maxlength="16" inputmode="numeric" autocomplete="off";
                    span.hint { (lang.t("이보다 적으면 다음 지급으로 미룹니다. 0이면 모두 지급", "Less waits for the next payout; 0 pays everything")) }
                    (told(view.errors, "min_payout", lang))
                }
            }
            fieldset.stack {
                legend.soft.small { (lang.t("정산일", "Dates of payout")) }
                (method("DAILY", lang.t("매일", "Daily")))
                div {
                    (method("WEEKLY", lang.t("매주", "Weekly")))
                    div.line {
                        @for day in Weekday::ALL {
                            @let name = format!("weekly_{}", weekday_code(day));
                            label.check {
                                input type="checkbox" name=(name) value="on" checked[!value(&name).is_empty()];
                                span { (lang.t(day.words().0, &day.words().1[..3])) }
                            }
                        }
                    }
                }
                div.fields {
                    (method("MONTHLY", lang.t("매월", "Monthly")))
                    label.field {
                        span { (lang.t("며칠(말일은 31)", "Days (31 is the last)")) }
                        input name="monthly" value=(value("monthly")) maxlength="100" placeholder="10, 31" autocomplete="off";
                    }
                }
                div.fields {
                    (method("DATES", lang.t("매년 지정일", "Dates of the year")))
                    label.field {
                        span { (lang.t("월/일", "Month/day")) }
                        input name="dates" value=(value("dates")) maxlength="200" placeholder="1/31, 7/31" autocomplete="off";
                    }
                }
                (told(view.errors, "cycle", lang))
            }
        }
    }
}

// --- Before it is agreed on

pub struct Preview<'a> {
    pub setting: &'a Setting,
    pub fields: &'a Fields,
    pub from: KstDay,
    pub terms: &'a Terms,
}

pub fn preview_page(look: &Look, view: &Preview<'_>) -> Markup {
    let lang = look.lang;
    let setting = view.setting;
    let partner = &setting.partner;
    let title = lang.t("계약 미리 보기", "Terms, before they hold");
    let action = path(partner.id.as_str()) + "/contract";
    let own = partner.kind == Some(PartnerType::Own);
    let day = terms::day(view.from, lang);
    let body = html! {
        (crumb(&path(partner.id.as_str()), &partner.name))
        div.head {
            h1 { (title) }
            p.soft { (partner.name) " " code { (partner.id) } }
        }
        div.two {
            div.stack {
                section.sheet {
                    h2 { (lang.t(format!("{day}부터 적용할 조건"), format!("Terms from {day}"))) }
                    (terms::facts(view.terms, lang))
                    (replaced(view, lang))
                }
                section.sheet {
                    h2 { (lang.t("지급일 예시", "When sales are paid")) }
                    @if own {
                        p.soft { (lang.t("자사는 지급하지 않습니다.", "The shop itself is never paid out.")) }
                    } @else {
                        (terms::pays(&view.terms.cycle, setting.today, &setting.calendar, lang))
                    }
                }
            }
            section.sheet {
                h2 { (lang.t(format!("{} 주문 예시", words::won(crate::domain::money::Won::new(10_000))), format!("An order of {}", words::won(crate::domain::money::Won::new(10_000))))) }
                (terms::worked(view.terms, lang))
            }
        }
        form.acts method="post" action=(action) data-once {
            @let mut sorted: Vec<_> = view.fields.iter().filter(|(name, _)| *name != "do").collect();
            @let () = sorted.sort();
            @for (name, value) in sorted { input type="hidden" name=(name) value=(value); }
            button name="do" value="edit" { (lang.t("고치기", "Change it")) }
            button.primary #do-it name="do" value="agree" { (lang.t(format!("{day}부터 적용하기"), format!("Agree from {day}"))) }
        }
    };
    layout(look, page(title), body)
}

/// What the new terms stand in for.
fn replaced(view: &Preview<'_>, lang: Lang) -> Markup {
    let versions = &view.setting.versions;
    let of_day = versions.iter().find(|version| version.from == view.from);
    let before = contracts::holding(versions, view.from);
    html! {
        @match (of_day, before) {
            (Some(version), _) => p.message.wait { (lang.t(
                format!("같은 날부터 적용되는 버전 #{}의 조건을 바꿉니다: {}", version.id, terms::phrase(&version.terms, lang)),
                format!("It replaces version #{} of the same day: {}", version.id, terms::phrase(&version.terms, lang)),
            )) },
            (None, Some(version)) => p.soft { (lang.t(
                format!("전날까지는 지금처럼: {}", terms::phrase(&version.terms, lang)),
                format!("Until the day before it stays: {}", terms::phrase(&version.terms, lang)),
            )) },
            (None, None) => p.soft { (lang.t(
                "이 파트너의 첫 계약입니다. 그 전날까지의 매출에는 적용되지 않습니다.",
                "The first contract: it does not hold for sales before that day.",
            )) },
        }
    }
}

// --- Handlers

fn setting(web: &Web, id: &str) -> Result<Setting, Problem> {
    let store = &web.ctx.store;
    let today = KstDay::of(store.now());
    let found = store.read(|conn| {
        let Some(partner) = partners::get(conn, id)? else {
            return Ok::<_, StoreError>(None);
        };
        Ok(Some(Setting {
            versions: contracts::of(conn, id)?,
            calendar: calendar::business(conn)?,
            partner,
            today,
        }))
    })?;
    found.ok_or_else(|| Problem::not_found(id))
}

/// `GET /admin/partners/{id}/contract`
pub async fn form(
    State(web): State<Web>,
    _: Actor,
    look: Look,
    Path(id): Path<String>,
    Q(query): Q<Fields>,
) -> Response {
    look.answer(setting(&web, &id).map(|setting| {
        let mut fields = first_fields(&setting);
        // A day that waits for a contract leads here, and names itself.
        if let Some(from) = field(&query, "from").and_then(|from| from.parse::<KstDay>().ok()) {
            fields.insert("from".to_owned(), from.to_string());
        }
        let view = FormView {
            setting: &setting,
            fields: &fields,
            errors: &[],
            wrong: None,
        };
        form_page(&look, &view).into_response()
    }))
}

/// `POST /admin/partners/{id}/contract`: `do` is `row`, `edit`, `preview` or `agree`.
pub async fn sent(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Path(id): Path<String>,
    F(mut fields): F<Fields>,
) -> Response {
    let setting = match setting(&web, &id) {
        Ok(setting) => setting,
        Err(problem) => return look.problem(&problem),
    };
    let asked = field(&fields, "do").unwrap_or("preview").to_owned();
    if asked == "row" {
        let more = (rows(&fields) + ROWS).min(Terms::MOST_ADDITIONAL);
        fields.insert("rows".to_owned(), more.to_string());
    }
    let again = |status: StatusCode, errors: &[FieldError], wrong: Option<&str>| {
        let view = FormView {
            setting: &setting,
            fields: &fields,
            errors,
            wrong,
        };
        (status, form_page(&look, &view)).into_response()
    };
    if matches!(asked.as_str(), "row" | "edit") {
        return again(StatusCode::OK, &[], None);
    }
    let (from, terms) = match check(&fields) {
        Ok(checked) => checked,
        Err(errors) => return again(StatusCode::UNPROCESSABLE_ENTITY, &errors, None),
    };
    if asked != "agree" {
        return match may_agree(&setting.versions, from, &terms, setting.today) {
            Ok(_) => {
                let view = Preview {
                    setting: &setting,
                    fields: &fields,
                    from,
                    terms: &terms,
                };
                preview_page(&look, &view).into_response()
            }
            Err(error) => {
                let problem = Problem::from(error);
                again(problem.status, &[], Some(problem.sentence(look.lang)))
            }
        };
    }
    match agree(&web.ctx, setting.partner.id.clone(), from, terms, actor.by).await {
        Ok(_) => see_other(&format!("{}?did=agreed#contracts", path(&id)), None),
        Err(error) => {
            let problem = Problem::from(error);
            again(problem.status, &[], Some(problem.sentence(look.lang)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::test_values, *};
    use crate::domain::{contract::AdditionalFee, money::Won};

    fn setting_of(versions: Vec<Version>) -> Setting {
        Setting {
            partner: test_values::partner(),
            versions,
            today: "2026-08-06".parse().unwrap(),
            calendar: BusinessCalendar::new([]),
        }
    }

    #[test]
    fn terms_come_back_from_their_form() {
        let method = Method::Weekly {
            days: vec![Weekday::Mon, Weekday::Thu],
        };
        let cycle = Cycle::new(3, method, HolidayPolicy::After).unwrap();
        let terms = Terms {
            additional: vec![AdditionalFee {
                name: "PG".into(),
                fee: Fee::Fixed(Won::new(300)),
                vat: VatBearer::Platform,
            }],
            discount_share: "50%".parse().unwrap(),
            subtract_payment_vat: true,
            min_payout: Won::new(1_000),
            ..Terms::plain(Fee::Rate("3.3".parse().unwrap()), cycle)
        };
        for terms in [terms.clone(), test_values::terms()] {
            let mut fields = fields_of(&terms);
            fields.insert("from".into(), "2026-08-07".into());
            let (from, read) = check(&fields).unwrap();
            assert_eq!((from.to_string().as_str(), read), ("2026-08-07", terms));
        }
    }

    #[test]
    fn the_first_day_offered_is_free() {
        let setting = setting_of(vec![]);
        assert_eq!(setting.first_free(), setting.today);
        let used = test_values::version(1, "2026-01-01", Some("2026-08-06"));
        let setting = setting_of(vec![used]);
        assert_eq!(setting.first_free().to_string(), "2026-08-07");
        assert_eq!(first_fields(&setting)["fee"], "3.3");
    }

    #[test]
    fn what_was_typed_stays_where_it_is_wrong() {
        let setting = setting_of(vec![test_values::version(9, "2026-09-01", None)]);
        let mut fields = first_fields(&setting);
        for (name, value) in [
            ("fee", "\"><script>"),
            ("monthly", "32"),
            ("additional_0_name", "<b>"),
            ("rows", "6"),
        ] {
            fields.insert(name.into(), value.into());
        }
        let errors = check(&fields).unwrap_err();
        for lang in [Lang::Ko, Lang::En] {
            let look = Look {
                lang,
                ..Look::default()
            };
            let view = FormView {
                setting: &setting,
                fields: &fields,
                errors: &errors,
                wrong: Some("<왜>"),
            };
            let shown = form_page(&look, &view).into_string();
            assert!(shown.contains("additional_5_name") && !shown.contains("additional_6_name"));
            assert!(shown.contains("2026-09-01") && shown.contains("value=\"32\""));
            assert!(
                !shown.contains("\"><script>")
                    && !shown.contains("\"<b>\"")
                    && !shown.contains("<왜>")
            );
        }
    }

    #[test]
    fn a_preview_carries_what_was_typed() {
        let setting = setting_of(vec![]);
        let mut fields = fields_of(&test_values::terms());
        fields.insert("from".into(), "2026-08-06".into());
        fields.insert("do".into(), "preview".into());
        let (from, terms) = check(&fields).unwrap();
        let view = Preview {
            setting: &setting,
            fields: &fields,
            from,
            terms: &terms,
        };
        let shown = preview_page(&Look::default(), &view).into_string();
        assert!(shown.contains("name=\"fee\" value=\"3.3\"") && shown.contains("value=\"agree\""));
        assert!(
            !shown.contains("type=\"hidden\" name=\"do\"")
                && shown.contains("2026-08-06 (목)부터 적용하기")
        );
    }
}
