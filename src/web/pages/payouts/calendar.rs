//! The year at a glance, and days that the operator knows better than the rules.

use std::collections::BTreeMap;

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use jiff::civil::{self, Weekday};
use maud::{Markup, html};

use super::super::parts;
use super::{
    super::layout::{Fields, Look, Page, Part, field, layout, nothing, see_other},
    day_words, done, month_name, wrong_part,
};
use crate::{
    domain::{
        calendar::KstDay,
        holidays::{BusinessCalendar, HolidayKind, Special},
    },
    flow::change_calendar::{CalendarError, Change, Moved, change_calendar, preview},
    store::calendar,
    web::{
        Web,
        api::payouts::calendar::{YEARS, year_of},
        asked::a_day,
        auth::Actor,
        error::Problem,
        extract::{F, Q},
        lang::Lang,
    },
};

fn self_page(lang: Lang) -> Page<'static> {
    Page {
        title: lang.t("영업일 달력", "Calendar"),
        part: Part::Payouts,
        ..Page::default()
    }
}

struct View<'a> {
    year: i16,
    today: KstDay,
    specials: &'a [Special],
    /// What was typed into the form.
    fields: &'a Fields,
    wrong: Option<&'a str>,
    did: Option<&'a str>,
}

fn page(look: &Look, view: &View<'_>) -> Markup {
    let lang = look.lang;
    let year = view.year;
    let business = BusinessCalendar::new(view.specials.iter().cloned());
    let names = names(&business, view, lang);
    let off = business.weekdays_off(year);
    let added: Vec<&Special> = view
        .specials
        .iter()
        .filter(|s| s.day.year() == year)
        .collect();
    let link = |to: i16, text: String, rel: &str| {
        html! { @if YEARS.contains(&to) { a.button rel=(rel) href=(format!("/admin/calendar?year={to}")) { (text) } } }
    };
    let body = html! {
        (parts::crumb("/admin/payouts", lang.t("지급", "Payouts")))
        div.head {
            h1 { (lang.t(format!("{year}년 영업일 달력"), format!("Calendar of {year}"))) }
            p.soft { (lang.t(
                "은행이 쉬는 날입니다. 지급일은 계약에 따라 앞뒤 영업일로 옮겨집니다.",
                "The days on which banks are closed. Payout days move as the contract says.",
            )) }
        }
        (told(view.did, lang))
        nav.acts aria-label=(lang.t("연도", "Year")) {
            (link(year - 1, format!("← {}", year - 1), "prev"))
            (link(year + 1, format!("{} →", year + 1), "next"))
        }
        div.year { @for month in 1..=12 { (month_table(year, month, &business, &names, view, lang)) } }
        p.legend.small {
            span.day-off { (lang.t("쉬는 날", "day off")) } " "
            span.ours { (lang.t("직접 추가한 날", "added here")) } " "
            span.open { (lang.t("영업일로 바꾼 날", "business day after all")) } " "
            span.today { (lang.t("오늘", "today")) }
        }
        div.two {
            section.sheet {
                h2 { (lang.t(format!("은행이 쉬는 평일 {}일", off.len()), format!("{} weekdays off", off.len()))) }
                ul.lines {
                    @for day in &off { li {
                        span.date { (day_words(*day, lang)) }
                        span { (names.get(day).map_or("", String::as_str)) }
                    } }
                }
            }
            div.stack {
                (form(view, lang))
                section.sheet {
                    h2 { (lang.t("직접 추가한 날", "Added here")) }
                    @if added.is_empty() { p.soft { (lang.t("추가한 날이 없습니다.", "None this year.")) } }
                    ul.cards {
                        @for special in added { li.line {
                            strong { (day_words(special.day, lang)) }
                            span { (special.name) }
                            span.mini { (kind(special.off, lang)) }
                            span.grow {}
                            @if special.day >= view.today {
                                form method="post" action="/admin/calendar" {
                                    input type="hidden" name="day" value=(special.day);
                                    input type="hidden" name="remove" value="1";
                                    button.danger { (lang.t("빼기…", "Take away…")) span.hidden { " " (special.day) } }
                                }
                            }
                        } }
                    }
                }
            }
        }
    };
    layout(look, self_page(lang), body)
}

fn kind(off: bool, lang: Lang) -> &'static str {
    if off {
        lang.t("쉬는 날", "day off")
    } else {
        lang.t("영업일", "business day")
    }
}

/// What each day is called; a day with two holidays has both names.
fn names(business: &BusinessCalendar, view: &View<'_>, lang: Lang) -> BTreeMap<KstDay, String> {
    let mut names: BTreeMap<KstDay, String> = BTreeMap::new();
    for holiday in business.holidays(view.year) {
        let name = lang.t(&holiday.name_ko, &holiday.name_en);
        let suffix = match holiday.kind {
            HolidayKind::Substitute if !name.contains(lang.t("대체", "ubstitute")) => {
                lang.t(" 대체공휴일", " (substitute)")
            }
            _ => "",
        };
        let all = names.entry(holiday.day).or_default();
        if !all.is_empty() {
            all.push_str(" · ");
        }
        all.push_str(name);
        all.push_str(suffix);
    }
    for special in view.specials.iter().filter(|special| !special.off) {
        names.insert(special.day, special.name.clone());
    }
    names
}

fn month_table(
    year: i16,
    month: i8,
    business: &BusinessCalendar,
    names: &BTreeMap<KstDay, String>,
    view: &View<'_>,
    lang: Lang,
) -> Markup {
    let Ok(first) = civil::Date::new(year, month, 1).map(KstDay::from_date) else {
        return nothing();
    };
    let lead = usize::try_from(first.weekday().to_sunday_zero_offset()).unwrap_or(0);
    let last = first.last_of_month();
    let days = std::iter::successors(Some(first), |day| Some(day.next()).filter(|d| *d <= last));
    let cells: Vec<Option<KstDay>> = std::iter::repeat_n(None, lead)
        .chain(days.map(Some))
        .collect();
    let heads = lang.t(
        ["일", "월", "화", "수", "목", "금", "토"],
        ["S", "M", "T", "W", "T", "F", "S"],
    );
    html! {
        table.month {
            caption { (lang.t(format!("{month}월"), month_name(month).to_owned())) }
            thead { tr { @for head in heads { th scope="col" { (head) } } } }
            tbody { @for week in cells.chunks(7) { tr { @for cell in week {
                @match cell {
                    None => { td {} }
                    Some(day) => { (day_cell(*day, business, names, view, lang)) }
                }
            } } } }
        }
    }
}

fn day_cell(
    day: KstDay,
    business: &BusinessCalendar,
    names: &BTreeMap<KstDay, String>,
    view: &View<'_>,
    lang: Lang,
) -> Markup {
    let special = view.specials.iter().find(|special| special.day == day);
    let weekend = matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
    let name = names.get(&day);
    let class = match special {
        Some(Special { off: true, .. }) => "ours",
        Some(_) => "open",
        None if name.is_some() => "day-off",
        None if weekend => "weekend",
        None => "",
    };
    let today = day == view.today;
    let closed = !business.is_business_day(day);
    let title = name.map(|name| format!("{} {name}", day_words(day, lang)));
    html! {
        td class=(class) title=[title.as_deref()] aria-current=[today.then_some("date")] {
            @if today { span.today { (day.day_of_month()) } } @else { (day.day_of_month()) }
            @if let Some(name) = name { span.hidden { " " (name) } }
            @else if closed { span.hidden { " " (lang.t("휴일", "closed")) } }
        }
    }
}

fn form(view: &View<'_>, lang: Lang) -> Markup {
    let value = |name: &str| field(view.fields, name).unwrap_or_default();
    let open = value("kind") == "open";
    html! {
        section.sheet #add {
            h2 { (lang.t("날 추가하기", "Add a day")) }
            p.soft.small { (lang.t(
                "임시공휴일처럼 규칙에 없는 날입니다. 저장하기 전에 어떤 정산의 지급일이 옮겨지는지 보여 드립니다.",
                "A day that no rule gives, such as one that the government gives once. You see which settlements move before it is saved.",
            )) }
            (wrong_part(view.wrong))
            form.stack method="post" action="/admin/calendar" {
                label.field { span { (lang.t("날짜", "Day")) } input type="date" name="day" required min=(view.today) value=(value("day")); }
                label.field { span { (lang.t("이름", "Name")) } input name="name" required maxlength="40" autocomplete="off" value=(value("name")) placeholder=(lang.t("예: 임시공휴일", "e.g. temporary holiday")); }
                label.field {
                    span { (lang.t("구분", "What it is")) }
                    select name="kind" {
                        option value="off" { (lang.t("쉬는 날", "A day off")) }
                        option value="open" selected[open] { (lang.t("쉬는 날이지만 영업일", "A business day after all")) }
                    }
                }
                button.primary.wide { (lang.t("옮겨질 정산 보기…", "See what moves…")) }
            }
        }
    }
}

fn told(did: Option<&str>, lang: Lang) -> Markup {
    match did {
        Some("changed") => done(lang.t(
            "달력을 바꾸고 지급일을 옮겼습니다.",
            "The calendar is changed, and payout days are moved.",
        )),
        _ => nothing(),
    }
}

/// The page between asking and doing: which settlements move.
fn sure_page(look: &Look, change: &Change, moved: &[Moved]) -> Markup {
    let lang = look.lang;
    let day = change.day();
    let what = match change {
        Change::Put(Special {
            name, off: true, ..
        }) => lang.t(
            format!(
                "{}을(를) 쉬는 날로 추가합니다: {name}",
                day_words(day, lang)
            ),
            format!("{} becomes a day off: {name}", day_words(day, lang)),
        ),
        Change::Put(Special { name, .. }) => lang.t(
            format!("{}을(를) 영업일로 바꿉니다: {name}", day_words(day, lang)),
            format!("{} becomes a business day: {name}", day_words(day, lang)),
        ),
        Change::Remove(_) => lang.t(
            format!("추가했던 {}을(를) 달력에서 뺍니다.", day_words(day, lang)),
            format!("{} is as the rules say again.", day_words(day, lang)),
        ),
    };
    let body = html! {
        (parts::crumb(&format!("/admin/calendar?year={}", day.year()), lang.t("영업일 달력", "Calendar")))
        section.sheet {
            h1 { (lang.t("이렇게 바꿀까요?", "Change it so?")) }
            p.big { (what) " (" (day) ")" }
            p { @if moved.is_empty() {
                (lang.t("지급일이 옮겨지는 정산은 없습니다.", "No settlement moves."))
            } @else {
                (lang.t(
                    format!("정산 {}건의 지급일이 옮겨집니다.", moved.len()),
                    format!("{} settlements move.", moved.len()),
                ))
            } }
            form.acts method="post" action="/admin/calendar" data-once {
                input type="hidden" name="sure" value="1";
                input type="hidden" name="day" value=(day);
                @match change {
                    Change::Put(special) => {
                        input type="hidden" name="name" value=(special.name);
                        input type="hidden" name="kind" value=(if special.off { "off" } else { "open" });
                    }
                    Change::Remove(_) => { input type="hidden" name="remove" value="1"; }
                }
                a.button href=(format!("/admin/calendar?year={}", day.year())) { (lang.t("그만두기", "Leave it")) }
                button.primary #do-it { (lang.t("달력 바꾸기", "Change the calendar")) }
            }
        }
        @if !moved.is_empty() {
            table.rows {
                thead { tr {
                    th scope="col" { (lang.t("정산", "Settlement")) }
                    th.num scope="col" { (lang.t("금액", "Amount")) }
                    th.num scope="col" { (lang.t("지금 지급일", "Due now")) }
                    th.num scope="col" { (lang.t("바뀐 뒤", "Then")) }
                } }
                tbody { @for one in moved { tr {
                    td.what { a.main href=(format!("/admin/settlements/{}", one.settlement)) { (one.partner_name) } div.soft.small { (one.day) } }
                    td.num data-label=(lang.t("금액", "Amount")) { (one.net) }
                    td.num data-label=(lang.t("지금 지급일", "Due now")) { (day_words(one.from, lang)) }
                    td.num data-label=(lang.t("바뀐 뒤", "Then")) { strong { (day_words(one.to, lang)) } }
                } } }
            }
        }
    };
    layout(look, self_page(lang), body)
}

/// `GET /admin/calendar?year=`
pub(super) async fn show(
    State(web): State<Web>,
    _: Actor,
    look: Look,
    Q(query): Q<Fields>,
) -> Response {
    let today = KstDay::of(web.ctx.store.now());
    let year = match year_of(field(&query, "year"), today) {
        Ok(year) => year,
        Err(problem) => return look.problem(&problem),
    };
    let did = field(&query, "did");
    look.answer(year_page(&web, &look, year, &Fields::new(), None, did))
}

fn year_page(
    web: &Web,
    look: &Look,
    year: i16,
    fields: &Fields,
    wrong: Option<&Problem>,
    did: Option<&str>,
) -> Result<Response, Problem> {
    let specials = web.ctx.store.read(calendar::specials)?;
    let view = View {
        year,
        today: KstDay::of(web.ctx.store.now()),
        specials: &specials,
        fields,
        wrong: wrong.map(|problem| problem.sentence(look.lang)),
        did,
    };
    let status = wrong.map_or(StatusCode::OK, |problem| problem.status);
    Ok((status, page(look, &view)).into_response())
}

fn change_of(form: &Fields) -> Result<Change, Problem> {
    let day = a_day("day", field(form, "day").unwrap_or_default())?;
    if field(form, "remove").is_some() {
        return Ok(Change::Remove(day));
    }
    Ok(Change::Put(Special {
        day,
        name: field(form, "name").unwrap_or_default().to_owned(),
        off: field(form, "kind") != Some("open"),
    }))
}

/// `POST /admin/calendar`: shows what moves, and changes it once `sure` is sent.
pub(super) async fn change(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    F(form): F<Fields>,
) -> Response {
    let today = KstDay::of(web.ctx.store.now());
    let (year, problem) = match change_of(&form) {
        Err(problem) => (today.year(), problem),
        Ok(change) => {
            let year = change.day().year();
            let answer: Result<Response, CalendarError> = if field(&form, "sure").is_some() {
                change_calendar(&web.ctx, change, actor.by)
                    .await
                    .map(|_| see_other(&format!("/admin/calendar?year={year}&did=changed"), None))
            } else {
                preview(&web.ctx, change.clone())
                    .await
                    .map(|moved| sure_page(&look, &change, &moved).into_response())
            };
            match answer {
                Ok(response) => return response,
                Err(error) => (year, Problem::from(error)),
            }
        }
    };
    let year = if YEARS.contains(&year) {
        year
    } else {
        today.year()
    };
    look.answer(year_page(&web, &look, year, &form, Some(&problem), None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Won;

    #[test]
    fn a_year_shows_its_holidays_and_what_was_added() {
        let special = |day: &str, name: &str, off| Special {
            day: day.parse().unwrap(),
            name: name.into(),
            off,
        };
        let specials = [
            special("2026-09-28", "<b>창립일", true),
            special("2026-09-24", "추석 전날 영업", false),
        ];
        for (lang, count, name) in [
            (Lang::Ko, "평일 14일", "추석 다음 날"),
            (Lang::En, "14 weekdays off", "day after Chuseok"),
        ] {
            let view = View {
                year: 2026,
                today: "2026-08-06".parse().unwrap(),
                specials: &specials,
                fields: &Fields::new(),
                wrong: Some("<i>"),
                did: None,
            };
            let text = page(&super::super::tests::look(lang), &view).into_string();
            assert!(text.contains(count) || text.contains("14"), "{count}");
            assert!(text.contains(name) || lang == Lang::En);
            assert_eq!(text.matches("<table class=\"month\">").count(), 12);
            assert!(text.contains("class=\"ours\"") && text.contains("class=\"open\""));
            assert!(!text.contains("<b>창립일") && !text.contains("<i>"));
        }
    }

    #[test]
    fn what_moves_is_shown_before() {
        let day = |text: &str| text.parse::<KstDay>().unwrap();
        let moved = [Moved {
            settlement: 9,
            partner: "farm".into(),
            partner_name: "<b>".into(),
            day: day("2026-08-05"),
            net: Won::new(8_900),
            from: day("2026-08-07"),
            to: day("2026-08-10"),
        }];
        let change = Change::Put(Special {
            day: day("2026-08-07"),
            name: "<x>".into(),
            off: true,
        });
        let look = super::super::tests::look(Lang::Ko);
        let text = sure_page(&look, &change, &moved).into_string();
        assert!(text.contains("8월 7일(금)") && text.contains("8월 10일(월)"));
        assert!(text.contains("name=\"sure\"") && !text.contains("<b>") && !text.contains("<x>"));
        let text = sure_page(&look, &Change::Remove(day("2026-08-07")), &[]).into_string();
        assert!(text.contains("옮겨지는 정산은 없습니다") && text.contains("name=\"remove\""));
    }
}
