//! `/admin/dead-letters/replay`: letting many dead letters run again, after a dry run that says how
//! many, whose, and how much money.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use super::super::parts;
use super::{
    super::{
        layout::{Fields, Look, Page, Part, field, layout, payment_path, see_other},
        words,
    },
    address, job_path,
    overview::thousands,
};
use crate::{
    domain::calendar::moment,
    flow::replay_dead_letters::{self, AT_ONCE, BulkError, COUNTED, DryRun, SHOWN, Shown, Skip},
    store::job_lists::DeadFilter,
    web::{
        Web,
        auth::Actor,
        error::Problem,
        extract::{F, Q},
        lang::Lang,
    },
};

/// What may stand in the address of a list of dead letters, in the order of its form.
pub const DEAD_FILTERS: [&str; 4] = ["kind", "error", "since", "until"];

/// The filter of a list of dead letters. Times are Korean.
pub fn dead_filter(fields: &Fields) -> Result<DeadFilter, Problem> {
    let at = |name: &str, ends: bool| {
        field(fields, name)
            .map(|text| {
                moment(text, ends).ok_or_else(|| {
                    Problem::bad_request(
                        format!("`{text}`은(는) 시각이 아닙니다. 2026-08-06 또는 2026-08-06T14:03처럼 적어 주세요."),
                        format!("`{text}` is no time: write it as 2026-08-06 or 2026-08-06T14:03."),
                    )
                })
            })
            .transpose()
    };
    Ok(DeadFilter {
        kind: field(fields, "kind").map(str::to_owned),
        error: field(fields, "error").map(|text| text.chars().take(200).collect()),
        since: at("since", false)?,
        until: at("until", true)?,
    })
}

fn self_page(lang: Lang) -> Page<'static> {
    Page {
        title: lang.t("한꺼번에 재처리", "Replay many"),
        part: Part::DeadLetters,
        ..Page::default()
    }
}

fn page(look: &Look, fields: &Fields, run: &DryRun, wrong: Option<&str>) -> Markup {
    let lang = look.lang;
    let back = address("/admin/dead-letters", fields, &DEAD_FILTERS);
    let body = html! {
        (parts::crumb(&back, lang.t("데드레터", "Dead letters")))
        div.head {
            h1 { (lang.t("한꺼번에 재처리: 미리 보기", "Replay many: a dry run")) }
            p.soft { (lang.t("아직 아무것도 하지 않았습니다.", "Nothing has been done yet.")) }
        }
        @if let Some(wrong) = wrong { p.message.bad role="alert" { (wrong) } }
        (chosen(&run.filter, lang))
        (oldest(run, lang))
        @if run.runs == 0 {
            section.sheet.centre.empty {
                p { (lang.t("이 조건으로 다시 실행할 데드레터가 없습니다.", "No dead letter fits that would run again.")) }
                (skipped(run, lang))
            }
        } @else {
            div.two {
                div.stack {
                    (sums(run, lang))
                    (first(run, lang))
                }
                div.stack {
                    (confirm(fields, run, &back, lang))
                    (whose(run, lang))
                }
            }
        }
    };
    layout(look, self_page(lang), body)
}

/// The filter, in words.
fn chosen(filter: &DeadFilter, lang: Lang) -> Markup {
    let mut parts: Vec<String> = Vec::new();
    if let Some(kind) = &filter.kind {
        parts.push(words::job(kind, lang).to_owned());
    }
    if let Some(error) = &filter.error {
        parts.push(lang.t(
            format!("오류에 “{error}” 포함"),
            format!("error contains “{error}”"),
        ));
    }
    if let Some(at) = filter.since {
        let at = crate::domain::calendar::kst(at);
        parts.push(lang.t(format!("{at}부터"), format!("since {at}")));
    }
    if let Some(at) = filter.until {
        let at = crate::domain::calendar::kst(at);
        parts.push(lang.t(format!("{at} 전까지"), format!("before {at}")));
    }
    if parts.is_empty() {
        parts.push(lang.t("모든 데드레터", "All dead letters").to_owned());
    }
    html! { p { strong { (parts.join(" · ")) } } }
}

/// That these are not all of them, and what becomes of the rest.
fn oldest(run: &DryRun, lang: Lang) -> Markup {
    html! {
        @if let Some(all) = run.more {
            @let plus = if all >= COUNTED { "+" } else { "" };
            @let (all, these) = (thousands(all.min(COUNTED) as i64), thousands(run.found as i64));
            p.message.wait #oldest { (lang.t(
                format!("{all}{plus}건 중 가장 오래된 {these}건입니다. 나머지는 이것을 재처리한 다음에 할 수 있습니다."),
                format!("These are the oldest {these} of {all}{plus}. The rest can be replayed after them."),
            )) }
        }
    }
}

fn sums(run: &DryRun, lang: Lang) -> Markup {
    html! {
        section.sheet aria-labelledby="sums" {
            h2 #sums { (lang.t("무엇이 실행되나", "What would run")) }
            dl.figures.sized {
                div { dt { (lang.t("작업", "Jobs")) } dd #runs { (thousands(run.runs as i64)) (lang.t("건", "")) } }
                div { dt { (lang.t("결제", "Payments")) } dd { (thousands(run.payments as i64)) (lang.t("건", "")) } }
                div { dt { (lang.t("금액 합계", "Money in all")) } dd #amount { (run.amount) } }
            }
            dl.facts {
                dt { (lang.t("구매자에게 돌려줄 돈", "To go back to buyers")) } dd #back { strong.back { (run.back) } }
                @for (kind, count) in &run.kinds { dt { (words::job(kind, lang)) } dd { (thousands(*count as i64)) (lang.t("건", "")) } }
                @if let Some(at) = run.oldest { dt { (lang.t("가장 오래된 것", "Oldest")) } dd { (words::time(at)) } }
                @if let Some(at) = run.newest { dt { (lang.t("가장 새로운 것", "Newest")) } dd { (words::time(at)) } }
            }
            @for kind in &run.paused {
                p.message.wait { "‖ " (lang.t(
                    format!("‘{}’이(가) 일시 중지되어 있어, 다시 시작할 때까지 기다립니다.", words::job(kind, lang)),
                    format!("“{}” is paused: those wait until it is resumed.", words::job(kind, lang)),
                )) }
            }
            (skipped(run, lang))
        }
    }
}

/// Why a letter is left out.
fn why(skip: Skip, lang: Lang) -> &'static str {
    match skip {
        Skip::Settled => lang.t("이미 끝난 취소", "their cancellation is settled already"),
        Skip::Live => lang.t(
            "같은 일을 하는 작업이 이미 진행 중",
            "another job for the same thing is live",
        ),
        Skip::Unreadable => lang.t("이 버전이 읽을 수 없음", "this version cannot read them"),
        Skip::Gone => lang.t(
            "그사이 다른 사람이 처리함",
            "somebody dealt with them meanwhile",
        ),
    }
}

fn skipped(run: &DryRun, lang: Lang) -> Markup {
    html! {
        @if !run.skipped.is_empty() {
            p #skipped { (lang.t("건너뛰는 것: ", "Skipped: ")) (skips(run.skipped.iter().map(|(skip, count)| (*skip, *count)), lang)) }
        }
    }
}

fn skips(of: impl Iterator<Item = (Skip, usize)>, lang: Lang) -> String {
    of.map(|(skip, count)| {
        lang.t(
            format!("{} {count}건", why(skip, lang)),
            format!("{count}, {}", why(skip, lang)),
        )
    })
    .collect::<Vec<_>>()
    .join(" · ")
}

fn first(run: &DryRun, lang: Lang) -> Markup {
    html! {
        section.sheet aria-labelledby="first" {
            h2 #first { (lang.t(format!("처음 {}건", run.first.len()), format!("The first {}", run.first.len()))) }
            ul.lines.letters { @for letter in &run.first { (line(letter, lang)) } }
            @if run.found > SHOWN {
                p.soft.small { (lang.t(
                    format!("그리고 {}건 더", thousands((run.found - SHOWN) as i64)),
                    format!("and {} more", thousands((run.found - SHOWN) as i64)),
                )) }
            }
        }
    }
}

fn line(letter: &Shown, lang: Lang) -> Markup {
    html! {
        li {
            span.grow {
                a href=(job_path(letter.id)) { (words::job(&letter.kind, lang)) " #" (letter.id) }
                @if !letter.buyer.is_empty() { " · " (letter.buyer) }
                @if let Some(id) = &letter.imp_uid { " · " a href=(payment_path(id)) { code { (id) } } }
                @if let Some(skip) = letter.skip { " " span.mini { (lang.t("건너뜀: ", "skipped: ")) (why(skip, lang)) } }
                br;
                span.soft.small { (words::told(&letter.error, lang)) }
            }
            @if let Some(amount) = letter.amount { (amount) }
        }
    }
}

fn whose(run: &DryRun, lang: Lang) -> Markup {
    html! {
        section.sheet aria-labelledby="whose" {
            h2 #whose { (lang.t("누구의 돈인가", "Whose it is")) }
            @if run.partners.is_empty() {
                p.soft { (lang.t("돈이 걸린 작업이 없습니다.", "No money hangs on these.")) }
            } @else {
                ul.lines {
                    @for of in &run.partners {
                        li {
                            span.grow { (of.partner) " " span.soft.small { (thousands(of.letters as i64)) (lang.t("건", "×")) } }
                            (of.amount)
                        }
                    }
                    li.sum { span.grow { (lang.t("합계", "In all")) } strong { (run.amount) } }
                }
            }
        }
    }
}

fn confirm(fields: &Fields, run: &DryRun, back: &str, lang: Lang) -> Markup {
    let amount = words::won(run.amount);
    let count = thousands(run.runs as i64);
    html! {
        section.sheet {
            h2 { (lang.t("이대로 재처리할까요?", "Replay exactly these?")) }
            p.big { (lang.t(
                format!("{count}건, {amount}"),
                format!("{count} jobs, {amount}"),
            )) }
            p { (lang.t(
                "하나하나 포트원을 먼저 조회하고, 아직 처리되지 않았을 때만 다시 보냅니다. 그사이 대상이 바뀌면 아무것도 하지 않고 새 미리 보기를 보여 드립니다.",
                "Each reads PortOne first and sends only what has not been carried out. If the set changes before you confirm, nothing is done and you see the new dry run.",
            )) }
            form.acts method="post" action="/admin/dead-letters/replay" data-once {
                @for name in DEAD_FILTERS {
                    @if let Some(value) = field(fields, name) { input type="hidden" name=(name) value=(value); }
                }
                input type="hidden" name="mark" value=(run.mark);
                a.button href=(back) { (lang.t("그만두기", "Leave it")) }
                button.primary #do-it { (lang.t(format!("{count}건 재처리"), format!("Replay {count}"))) }
            }
        }
    }
}

/// What a bulk replay did, out of the address that it leads to.
pub fn done(fields: &Fields, lang: Lang) -> Option<String> {
    let count = |name: &str| field(fields, name)?.parse::<usize>().ok();
    let replayed = count("replayed")?;
    let mut text = lang.t(
        format!("{}건을 다시 실행합니다.", thousands(replayed as i64)),
        format!("{} run again.", thousands(replayed as i64)),
    );
    let left_out = Skip::ALL
        .into_iter()
        .filter_map(|skip| Some((skip, count(skip.as_str())?)));
    let left_out = skips(left_out, lang);
    if !left_out.is_empty() {
        text.push_str(lang.t(" 건너뛴 것: ", " Skipped: "));
        text.push_str(&left_out);
    }
    Some(text)
}

/// `GET /admin/dead-letters/replay`: what replaying all that fit would mean, or the oldest of very many.
pub async fn dry_run(
    State(web): State<Web>,
    _: Actor,
    look: Look,
    Q(fields): Q<Fields>,
) -> Response {
    let filter = match dead_filter(&fields) {
        Ok(filter) => filter,
        Err(problem) => return look.problem(&problem),
    };
    match replay_dead_letters::look_at(&web.ctx, filter, Some(AT_ONCE)).await {
        Ok(run) => page(&look, &fields, &run, None).into_response(),
        Err(error) => look.problem(&error.into()),
    }
}

/// `POST /admin/dead-letters/replay`: replays exactly what the dry run with this `mark` showed.
pub async fn carry_out(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    F(form): F<Fields>,
) -> Response {
    let look = Look {
        here: address("/admin/dead-letters/replay", &form, &DEAD_FILTERS),
        ..look
    };
    let filter = match dead_filter(&form) {
        Ok(filter) => filter,
        Err(problem) => return look.problem(&problem),
    };
    let mark = field(&form, "mark").unwrap_or_default();
    match replay_dead_letters::replay_of(&web.ctx, filter, Some(AT_ONCE), mark, actor.by).await {
        Ok(done) => {
            let mut told = form.clone();
            told.insert("replayed".into(), done.replayed.to_string());
            for (skip, count) in &done.skipped {
                told.insert(skip.as_str().into(), count.to_string());
            }
            let names: Vec<&str> = DEAD_FILTERS
                .into_iter()
                .chain(["replayed"])
                .chain(Skip::ALL.map(Skip::as_str))
                .collect();
            see_other(&address("/admin/dead-letters", &told, &names), None)
        }
        Err(BulkError::Changed(run)) => again(&look, &form, &run, BulkError::Changed),
        Err(BulkError::Nothing(run)) => again(&look, &form, &run, BulkError::Nothing),
        Err(error) => look.problem(&error.into()),
    }
}

/// The new dry run, with why nothing was done.
fn again(
    look: &Look,
    form: &Fields,
    run: &DryRun,
    error: impl FnOnce(Box<DryRun>) -> BulkError,
) -> Response {
    let problem = Problem::from(error(Box::new(run.clone())));
    let page = page(look, form, run, Some(problem.sentence(look.lang)));
    (StatusCode::CONFLICT, page).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::money::Won, flow::replay_dead_letters::Of};

    fn run() -> DryRun {
        let at = "2026-08-06T01:00:00Z".parse().ok();
        DryRun::example(
            vec![Shown {
                id: 7,
                kind: "retry_cancel".into(),
                imp_uid: Some("imp_<1>".into()),
                merchant_uid: None,
                buyer: "<*b".into(),
                amount: Some(Won::new(12_000)),
                error: "<script>x</script>".into(),
                skip: Some(Skip::Live),
            }],
            vec![Of {
                partner: "<b>farm".into(),
                letters: 3,
                amount: Won::new(36_000),
            }],
            at,
        )
    }

    #[test]
    fn a_dry_run_says_how_many_whose_and_how_much_in_both_languages() {
        let fields: Fields = [("error".to_owned(), "<i>8178".to_owned())].into();
        for (lang, words) in [
            (
                Lang::Ko,
                ["3건 재처리", "₩36,000", "누구의 돈인가", "진행 중 1건"],
            ),
            (
                Lang::En,
                [
                    "Replay 3",
                    "₩36,000",
                    "Whose it is",
                    "Skipped: 1, another job",
                ],
            ),
        ] {
            let look = Look {
                lang,
                ..Look::default()
            };
            let text = page(&look, &fields, &run(), Some("<u>")).into_string();
            for word in words {
                assert!(text.contains(word), "{word}: {text}");
            }
            for bad in ["<script>x", "<b>farm", "<i>8178", "<u>", "<*b"] {
                assert!(!text.contains(bad), "{bad}");
            }
            assert!(text.contains("name=\"mark\""));
        }
    }

    #[test]
    fn of_very_many_it_says_that_these_are_the_oldest() {
        for (lang, all, words) in [
            (Lang::Ko, 1_234, "1,234건 중 가장 오래된 4건"),
            (Lang::En, 1_234, "the oldest 4 of 1,234. The rest"),
            (Lang::En, COUNTED, "the oldest 4 of 2,000+. The rest"),
        ] {
            let look = Look {
                lang,
                ..Look::default()
            };
            let shown = |more| {
                let mut run = run();
                run.more = more;
                page(&look, &Fields::new(), &run, None).into_string()
            };
            assert!(shown(Some(all)).contains(words), "{words}");
            assert!(!shown(None).contains("id=\"oldest\""));
        }
    }

    #[test]
    fn what_was_done_is_told_with_what_was_left_out() {
        let fields: Fields = [("replayed", "1200"), ("settled", "2")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let ko = done(&fields, Lang::Ko).unwrap();
        assert_eq!(
            ko,
            "1,200건을 다시 실행합니다. 건너뛴 것: 이미 끝난 취소 2건"
        );
        assert_eq!(done(&Fields::new(), Lang::En), None);
    }

    #[test]
    fn a_filter_reads_days_and_times_and_refuses_others() {
        let with =
            |name: &str, value: &str| -> Fields { [(name.to_owned(), value.to_owned())].into() };
        let read = dead_filter(&with("until", "2026-08-06")).unwrap();
        assert_eq!(read.until, "2026-08-06T15:00:00Z".parse().ok());
        let Err(problem) = dead_filter(&with("since", "soon")) else {
            panic!("it is no time");
        };
        assert!(problem.sentence(Lang::En).contains("`soon` is no time"));
    }
}
