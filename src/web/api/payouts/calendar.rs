//! The business-day calendar for programs.

use axum::{
    Json,
    extract::{Path, State},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::dry_run_asked;
use crate::{
    domain::{
        calendar::KstDay,
        holidays::{BusinessCalendar, Special},
    },
    flow::change_calendar::{Change, change_calendar, preview},
    store::{StoreError, calendar},
    web::{
        Web,
        api::json_body,
        asked::{a_day, unreadable},
        auth::Actor,
        error::{InLang, Problem},
        extract::{Body, Q},
        lang::Lang,
    },
};

/// Years that the rules are made for.
pub const YEARS: std::ops::RangeInclusive<i16> = 2020..=2100;

/// A year out of an address; this one if none is named.
pub fn year_of(text: Option<&str>, today: KstDay) -> Result<i16, Problem> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else {
        return Ok(today.year());
    };
    let year = text.parse().ok().filter(|year| YEARS.contains(year));
    year.ok_or_else(|| {
        unreadable(
            "year",
            text,
            "2020~2100이어야 합니다.",
            "Expected 2020 to 2100.",
        )
    })
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct YearQuery {
    year: Option<String>,
}

/// `GET /api/calendar?year=`
pub(super) async fn year(
    State(web): State<Web>,
    _: Actor,
    lang: Lang,
    Q(query): Q<YearQuery>,
) -> Result<Json<Value>, Problem> {
    let today = KstDay::of(web.ctx.store.now());
    let year = year_of(query.year.as_deref(), today).lang(lang)?;
    let specials = web.ctx.store.read(calendar::specials).lang(lang)?;
    let days = BusinessCalendar::new(specials.clone());
    let added: Vec<&Special> = specials
        .iter()
        .filter(|special| special.day.year() == year)
        .collect();
    Ok(Json(json!({
        "year": year,
        "weekdays_off": days.weekdays_off(year),
        "holidays": days.holidays(year),
        "added": added,
    })))
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct DryRun {
    dry_run: Option<String>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::web::api) struct PutBody {
    name: String,
    #[serde(default = "off")]
    off: bool,
}

fn off() -> bool {
    true
}

/// `PUT /api/calendar/{day}?dry_run=`: a day off, or with `"off": false` a business day after all.
pub(super) async fn put_day(
    State(web): State<Web>,
    actor: Actor,
    lang: Lang,
    Path(day): Path<String>,
    Q(query): Q<DryRun>,
    Body(body): Body,
) -> Result<Json<Value>, Problem> {
    let day = a_day("day", &day).lang(lang)?;
    let body: PutBody = json_body(&body, r#"{"name": "임시공휴일", "off": true}"#).lang(lang)?;
    let special = Special {
        day,
        name: body.name,
        off: body.off,
    };
    carry_out(&web, Change::Put(special), &query, actor.by)
        .await
        .lang(lang)
}

/// `DELETE /api/calendar/{day}?dry_run=`
pub(super) async fn remove_day(
    State(web): State<Web>,
    actor: Actor,
    lang: Lang,
    Path(day): Path<String>,
    Q(query): Q<DryRun>,
) -> Result<Json<Value>, Problem> {
    let day = a_day("day", &day).lang(lang)?;
    carry_out(&web, Change::Remove(day), &query, actor.by)
        .await
        .lang(lang)
}

async fn carry_out(
    web: &Web,
    change: Change,
    query: &DryRun,
    by: &'static str,
) -> Result<Json<Value>, Problem> {
    let day = change.day();
    let dry_run = dry_run_asked(query.dry_run.as_deref())?;
    let moved = if dry_run {
        preview(&web.ctx, change).await?
    } else {
        change_calendar(&web.ctx, change, by).await?
    };
    let now = web.ctx.store.read(|conn| {
        let business = calendar::business(conn)?;
        Ok::<_, StoreError>(business.is_business_day(day))
    })?;
    Ok(Json(json!({
        "day": day, "dry_run": dry_run, "business_day": now, "moved": moved,
    })))
}
