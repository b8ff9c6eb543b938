//! `/admin/settings`: what may be changed while the program runs, and what it was started with.

use axum::{
    Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use maud::{Markup, html};

use super::{
    layout::{Fields, Look, Page, Part, field, layout, see_other},
    words,
};
use crate::{
    domain::rules::{self as domain_rules, Form, Rule, Started},
    flow::change_rules::change_rule,
    store::{StoreError, rules},
    web::{
        Web,
        auth::Actor,
        error::{Problem, approvals::expected},
        extract::{F, Q},
        lang::Lang,
    },
};

pub fn routes() -> Router<Web> {
    Router::new().route("/admin/settings", get(show).post(change))
}

/// What a rule is called, and what it does.
fn meaning(rule: Rule, lang: Lang) -> (&'static str, &'static str) {
    match rule {
        Rule::PayoutOver => (
            lang.t("두 번째 사람의 승인이 필요한 지급 금액", "Payouts that need a second person"),
            lang.t(
                "지급 묶음의 이체 합계가 이 금액을 넘으면, 만든 사람이 아닌 다른 사람이 승인해야 은행 파일을 받을 수 있습니다. 한 사람이 같은 날 나누어 만든 묶음은 합쳐서 셉니다.",
                "A batch that transfers more than this goes to the bank once somebody else than its maker approves it. What one person splits on one day counts together.",
            ),
        ),
        Rule::AdjustmentOver => (
            lang.t("두 번째 사람의 승인이 필요한 조정 금액", "Adjustments that need a second person"),
            lang.t(
                "조정 금액(더하든 빼든)이 이 금액을 넘으면 다른 사람이 승인해야 장부에 반영됩니다. 파일은 행의 합계로, 한 사람이 같은 날 같은 파트너사에 나누어 한 조정은 합쳐서 셉니다.",
                "An adjustment of more than this, either way, is booked once somebody else approves it. A file counts by the sum of its rows; what one person splits for one partner on one day counts together.",
            ),
        ),
        Rule::RefundAgainOver => (
            lang.t("다시 본인 확인을 하는 취소 금액", "Refunds before which one is asked again"),
            lang.t(
                "한 번에 이 금액을 넘게 취소하려는 사람은 비밀번호나 코드를 다시 입력합니다. API 키에는 해당하지 않습니다.",
                "Whoever gives back more than this at once proves again who they are. API keys are not asked.",
            ),
        ),
        Rule::Notice => (
            lang.t("모든 화면 위의 알림 문구", "Words on top of every page"),
            lang.t("시험용 시스템이나 점검을 알릴 때 씁니다.", "For a test system, or for work that is announced."),
        ),
        Rule::Slack => (
            lang.t("Slack 알림 주소", "Where alerts are sent"),
            lang.t("Slack의 수신 웹훅 주소입니다. 바꾸면 다음 알림부터 새 주소로 보냅니다.", "An incoming webhook of Slack. The next alert goes there."),
        ),
        Rule::FirstSummary => (
            lang.t("첫 모음 알림까지의 시간", "Until the first summary"),
            lang.t("같은 알림이 이어질 때, 첫 알림에서 첫 모음 알림까지의 시간입니다.", "From a first alert to the first summary of more of the same."),
        ),
        Rule::SecondSummary => (
            lang.t("두 번째 모음 알림까지의 시간", "Until the second summary"),
            lang.t("첫 모음 알림에서 두 번째 모음 알림까지의 시간입니다.", "From the first summary to the second one."),
        ),
        Rule::LaterSummary => (
            lang.t("그 뒤 모음 알림의 간격", "Between later summaries"),
            lang.t("그 뒤로 모음 알림을 보내는 간격입니다.", "From each later summary to the next one."),
        ),
        Rule::Quiet => (
            lang.t("끝났다고 보는 시간", "When it is over"),
            lang.t("같은 알림이 이만큼 더 오지 않으면 끝났다고 알립니다.", "When nothing more of the same came for so long, a last message says so."),
        ),
    }
}

struct View<'a> {
    /// What was chosen here.
    chosen: &'a [(Rule, Option<String>)],
    started: &'a [Started],
    /// The rule whose form was sent, with what was in it and what is wrong.
    wrong: Option<(Option<Rule>, &'a str, &'a str)>,
    did: Option<&'a str>,
}

impl View<'_> {
    fn start(&self, rule: Rule) -> Option<&Started> {
        self.started.iter().find(|one| one.key == rule.key())
    }
}

fn page(look: &Look, view: &View<'_>) -> Markup {
    let lang = look.lang;
    let title = lang.t("설정", "Settings");
    let body = html! {
        div.head {
            h1 { (title) }
            p.soft { (lang.t(
                "여기서 바꾼 값은 다시 시작하지 않아도 바로 쓰이며, 바꾼 사람과 전후 값이 감사 로그에 남습니다.",
                "What is changed here holds at once, without a restart. The audit log keeps who changed what.",
            )) }
        }
        @match view.did {
            Some("changed") => p.message.good role="status" { (lang.t("설정을 바꾸었습니다.", "The setting is changed.")) },
            Some("same") => p.message.wait role="status" { (lang.t("이미 그 값입니다. 바뀐 것이 없습니다.", "It is so already. Nothing changed.")) },
            _ => {}
        }
        @if let Some((None, _, wrong)) = view.wrong { p.message.bad role="alert" { (wrong) } }
        @for (rule, chosen) in view.chosen { (card(*rule, chosen.as_deref(), view, lang)) }
        h2 { (lang.t("시작할 때 읽은 설정", "What the program was started with")) }
        p.soft { (lang.t(
            "설정 파일이나 환경 변수에서 읽은 값입니다. 바꾸려면 파일을 고치고 다시 시작하세요. 비밀 값은 가렸습니다.",
            "From the file or the environment. To change one, change it there and start again. Secrets are masked.",
        )) }
        table.rows.tight {
            thead { tr {
                th scope="col" { (lang.t("설정", "Setting")) }
                th scope="col" { (lang.t("값", "Value")) }
                th scope="col" { (lang.t("출처", "From")) }
            } }
            tbody { @for one in view.started { tr {
                td.what { code { (one.key) } }
                td { @match &one.value { Some(value) => code { (value) }, None => span.soft { (lang.t("정하지 않음", "not set")) } } }
                td { (source(one, lang)) }
            } } }
        }
    };
    let self_page = Page {
        title,
        part: Part::Settings,
        ..Page::default()
    };
    layout(look, self_page, body)
}

fn source(one: &Started, lang: Lang) -> String {
    match (&one.source, &one.value) {
        (Some(source), _) => source.clone(),
        (None, Some(_)) => lang.t("기본값", "default").to_owned(),
        (None, None) => String::new(),
    }
}

/// A value as people read it.
fn shown(rule: Rule, value: &str) -> String {
    match rule.form() {
        Form::Won => domain_rules::won(value).map_or_else(|| value.to_owned(), words::won),
        Form::SlackUrl => "***".to_owned(),
        Form::Words | Form::Time => value.to_owned(),
    }
}

fn unset(rule: Rule, lang: Lang) -> &'static str {
    match rule {
        Rule::PayoutOver | Rule::AdjustmentOver => lang.t(
            "정하지 않음: 혼자 운영하는 가게처럼 두 번째 사람 없이 진행됩니다.",
            "Not set: no second person is needed, as in a shop of one.",
        ),
        Rule::RefundAgainOver => lang.t(
            "정하지 않음: 다시 묻지 않습니다.",
            "Not set: nobody is asked again.",
        ),
        Rule::Slack => lang.t(
            "정하지 않음: 로그와 알림 화면에만 남습니다.",
            "Not set: they go to the log and the alerts page.",
        ),
        Rule::Notice => lang.t("정하지 않음", "Not set"),
        Rule::FirstSummary | Rule::SecondSummary | Rule::LaterSummary | Rule::Quiet => "–",
    }
}

fn card(rule: Rule, chosen: Option<&str>, view: &View<'_>, lang: Lang) -> Markup {
    let (name, text) = meaning(rule, lang);
    let start = view.start(rule);
    let from_start = start.and_then(|one| one.value.as_deref());
    let (ko, en) = expected(rule);
    let sent = view.wrong.filter(|(of, ..)| *of == Some(rule));
    let value = match (sent, chosen) {
        (Some((_, sent, _)), _) => sent.to_owned(),
        (None, Some(_)) if rule.is_secret() => String::new(),
        (None, Some(value)) => match domain_rules::won(value) {
            Some(won) if rule.form() == Form::Won => won.to_string(),
            _ => value.to_owned(),
        },
        (None, None) => String::new(),
    };
    let id = rule.key().replace('.', "-");
    html! {
        section.sheet aria-labelledby=(id) {
            h2 id=(id) { (name) }
            p { (text) }
            dl.facts {
                dt { (lang.t("지금 값", "Now")) }
                dd { @match (chosen, from_start) {
                    (Some(value), _) => { strong { (shown(rule, value)) } " " span.mini { (lang.t("여기서 정함", "chosen here")) } },
                    (None, Some(value)) => { strong { (value) } " " span.mini { (start.map(|one| source(one, lang)).unwrap_or_default()) } },
                    (None, None) => (unset(rule, lang)),
                } }
            }
            @if let Some((_, _, wrong)) = sent { p.message.bad role="alert" { (wrong) } }
            form.stack method="post" action="/admin/settings" data-once {
                input type="hidden" name="rule" value=(rule.key());
                label.field {
                    span { (lang.t("새 값", "New value")) }
                    input name="value" required maxlength="300" autocomplete="off" value=(value)
                        inputmode=(if rule.form() == Form::Won { "numeric" } else { "text" }) aria-describedby={ (id) "-hint" };
                    span.hint id={ (id) "-hint" } { (lang.t(ko, en)) }
                }
                button.primary { (lang.t("바꾸기", "Change it")) }
            }
            @if chosen.is_some() {
                form method="post" action="/admin/settings" data-once {
                    input type="hidden" name="rule" value=(rule.key());
                    input type="hidden" name="reset" value="1";
                    button { (match from_start {
                        Some(_) => lang.t("시작할 때의 값으로 되돌리기", "Back to what the program was started with"),
                        None => lang.t("정하지 않음으로 되돌리기", "Back to not set"),
                    }) }
                }
            }
        }
    }
}

fn answer(
    web: &Web,
    look: &Look,
    wrong: Option<(Option<Rule>, &str, &Problem)>,
    did: Option<&str>,
) -> Result<Response, Problem> {
    let chosen = web.ctx.store.read(|conn| {
        Rule::ALL
            .into_iter()
            .map(|rule| Ok((rule, rules::text(conn, rule)?)))
            .collect::<Result<Vec<_>, StoreError>>()
    })?;
    let view = View {
        chosen: &chosen,
        started: &web.site.settings,
        wrong: wrong.map(|(rule, sent, problem)| (rule, sent, problem.sentence(look.lang))),
        did,
    };
    let status = wrong.map_or(StatusCode::OK, |(.., problem)| problem.status);
    Ok((status, page(look, &view)).into_response())
}

/// `GET /admin/settings`
async fn show(State(web): State<Web>, _: Actor, look: Look, Q(query): Q<Fields>) -> Response {
    look.answer(answer(&web, &look, None, field(&query, "did")))
}

/// `POST /admin/settings`: one `rule` gets a `value`, or with `reset` what the start has.
async fn change(State(web): State<Web>, _: Actor, look: Look, F(form): F<Fields>) -> Response {
    let rule = field(&form, "rule").and_then(Rule::parse);
    let sent = field(&form, "value").unwrap_or_default();
    let result = async {
        let rule = rule.ok_or_else(|| {
            Problem::bad_request(
                "그런 설정은 여기서 바꿀 수 없습니다.",
                "There is no such setting that may be changed here.",
            )
        })?;
        let value = field(&form, "reset").is_none().then(|| sent.to_owned());
        Ok::<_, Problem>(change_rule(&web.ctx, rule, value).await?)
    };
    look.answer(match result.await {
        Ok(done) => {
            let did = if done.is_some() { "changed" } else { "same" };
            Ok(see_other(&format!("/admin/settings?did={did}"), None))
        }
        Err(problem) if problem.status.is_client_error() => {
            // What is secret does not come back on a page.
            let sent = if rule.is_some_and(Rule::is_secret) {
                ""
            } else {
                sent
            };
            answer(&web, &look, Some((rule, sent, &problem)), None)
        }
        Err(problem) => Err(problem),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_says_what_it_is_where_it_comes_from_and_what_it_may_be() {
        let started = [
            Started {
                key: "slack.webhook_url",
                value: Some("***".into()),
                source: Some("JEONGSAN_SLACK_WEBHOOK_URL".into()),
            },
            Started {
                key: "alerts.quiet",
                value: Some("10m".into()),
                source: None,
            },
        ];
        let secret = "https://hooks.slack.com/services/T0/B0/canary";
        for lang in [Lang::Ko, Lang::En] {
            let look = Look {
                lang,
                ..Look::default()
            };
            let chosen = Rule::ALL.map(|rule| match rule {
                Rule::PayoutOver => (rule, Some("1000000".to_owned())),
                Rule::Slack => (rule, Some(secret.to_owned())),
                rule => (rule, None),
            });
            let view = View {
                chosen: &chosen,
                started: &started,
                wrong: Some((Some(Rule::Notice), "<b>", "<i>틀림")),
                did: None,
            };
            let text = page(&look, &view).into_string();
            assert!(text.contains("₩1,000,000") && text.contains("value=\"1,000,000\""));
            assert!(text.contains(lang.t("여기서 정함", "chosen here")) && text.contains("10m"));
            assert!(text.contains(lang.t("혼자 운영하는 가게", "a shop of one")));
            assert!(text.contains("JEONGSAN_SLACK_WEBHOOK_URL"));
            assert!(!text.contains("canary"), "a secret comes back on the page");
            assert!(!text.contains("<b>") && !text.contains("<i>"));
            for rule in Rule::ALL {
                assert!(text.contains(rule.key()), "{rule:?}");
            }
        }
    }
}
