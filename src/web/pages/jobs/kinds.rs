//! Pausing and resuming a kind: each says what will happen before it does.

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use super::super::{flash::see_other_saying, parts, parts::Tone};
use super::{
    super::{
        layout::{Fields, Look, field, layout, segment},
        words,
    },
    self_page,
};
use crate::{
    flow::operate_jobs::{self, OperateError},
    web::{Web, auth::Actor, error::Problem, extract::F, lang::Lang},
};

/// What stands still while a kind does, in a sentence.
fn meaning(kind: &str, lang: Lang) -> &'static str {
    match kind {
        "confirm_payment" => lang.t(
            "받은 메시지는 계속 저장되지만, 포트원이 바로 답하지 않은 결제는 다시 시작할 때까지 장부에 올라가지 않습니다.",
            "Messages are still kept, but a payment that PortOne did not confirm at once is not booked until the kind is resumed.",
        ),
        "retry_cancel" => lang.t(
            "취소는 계속 접수되고 즉시 시도하지만, 그때 되지 않은 취소는 다시 시작할 때까지 기다립니다.",
            "Cancels are still taken on and tried at once, but those that fail then wait until the kind is resumed.",
        ),
        "prepare_order" => lang.t(
            "포트원이 답하지 않은 주문의 사전등록이 다시 시작할 때까지 기다립니다.",
            "Orders whose amount PortOne did not take at once wait to be registered.",
        ),
        "send_alert" => lang.t(
            "알림은 알림 화면에 남지만 Slack으로는 나가지 않습니다.",
            "Alerts stay on their page, but nobody is told by Slack.",
        ),
        "sweep" => lang.t(
            "웹훅이 오지 않은 결제와 다른 곳에서 한 취소를 찾지 않습니다.",
            "Payments that no webhook told of, and cancels made elsewhere, are not found.",
        ),
        "settle" => lang.t(
            "끝난 날의 정산이 시작되지 않습니다. 다시 시작하면 밀린 날까지 모두 정산합니다.",
            "Days that end are not settled. Once resumed, all of them are.",
        ),
        "prune" => lang.t(
            "오래된 기록을 지우지 않아 파일이 커집니다.",
            "Old records are not removed, and the file grows.",
        ),
        "tell_episode" => lang.t(
            "잇따른 알림이 모이기만 하고 전해지지 않습니다.",
            "Alerts that come one after the other are gathered, and not told.",
        ),
        "digest" => lang.t(
            "아직 처리되지 않은 것을 아침에 알리지 않습니다.",
            "Nobody is told in the morning what is still stuck.",
        ),
        _ => lang.t(
            "이 종류의 작업이 새로 시작되지 않습니다.",
            "No job of this kind begins.",
        ),
    }
}

fn sure_page(look: &Look, kind: &str, pauses: bool, note: &str, wrong: Option<&str>) -> Markup {
    let lang = look.lang;
    let name = words::job(kind, lang);
    let path = format!("/admin/jobs/kinds/{}", segment(kind));
    let body = html! {
        (parts::crumb("/admin/jobs", lang.t("작업", "Jobs")))
        section.sheet.narrow {
            @if pauses {
                h1 { (lang.t(format!("‘{name}’을(를) 일시 중지할까요?"), format!("Pause “{name}”?"))) }
                @if let Some(wrong) = wrong { p.message.bad role="alert" { (wrong) } }
                p { (meaning(kind, lang)) }
                p.soft { (lang.t(
                    "이미 실행 중인 작업은 끝까지 갑니다. 쌓인 작업은 없어지지 않고, 다시 시작하면 이어집니다. 모든 프로세스에 적용되고 재시작해도 유지됩니다.",
                    "What runs now ends by itself. What piles up is kept, and goes on once resumed. It holds for every process, and over restarts.",
                )) }
                form.stack method="post" action={ (path) "/pause" } data-once {
                    input type="hidden" name="sure" value="1";
                    label.field {
                        span { (lang.t("중지하는 이유", "Why it is paused")) }
                        input name="note" required maxlength="500" autocomplete="off" value=(note);
                    }
                    div.acts {
                        a.button href="/admin/jobs" { (lang.t("그만두기", "Leave it")) }
                        button.danger.solid #do-it { (lang.t("일시 중지", "Pause")) }
                    }
                }
            } @else {
                h1 { (lang.t(format!("‘{name}’을(를) 다시 시작할까요?"), format!("Resume “{name}”?"))) }
                @if let Some(wrong) = wrong { p.message.bad role="alert" { (wrong) } }
                p { (lang.t(
                    "쌓여 있던 작업부터 바로 실행됩니다.",
                    "What has piled up runs at once, the oldest first.",
                )) }
                form.acts method="post" action={ (path) "/resume" } data-once {
                    input type="hidden" name="sure" value="1";
                    a.button href="/admin/jobs" { (lang.t("그만두기", "Leave it")) }
                    button.primary #do-it { (lang.t("다시 시작", "Resume")) }
                }
            }
        }
    };
    layout(look, self_page(lang), body)
}

/// The switch of languages leads from here to the page with the buttons.
fn at_jobs(look: Look) -> Look {
    Look {
        here: "/admin/jobs".into(),
        ..look
    }
}

fn refused(look: &Look, kind: &str, pauses: bool, note: &str, error: OperateError) -> Response {
    let gone = matches!(error, OperateError::UnknownKind { .. });
    let problem = Problem::from(error);
    if gone {
        return look.problem(&problem);
    }
    let wrong = Some(problem.sentence(look.lang));
    let page = sure_page(look, kind, pauses, note, wrong);
    (problem.status, page).into_response()
}

/// `POST /admin/jobs/kinds/{kind}/pause`: asks why first, and does it once `sure` is sent.
pub async fn pause(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Path(kind): Path<String>,
    F(form): F<Fields>,
) -> Response {
    let look = at_jobs(look);
    let note = field(&form, "note").unwrap_or_default();
    let known = web
        .ctx
        .store
        .read(|conn| operate_jobs::known_kind(conn, &kind));
    if let Err(error) = known {
        return refused(&look, &kind, true, note, error);
    }
    if field(&form, "sure").is_none() {
        return sure_page(&look, &kind, true, note, None).into_response();
    }
    match operate_jobs::pause(&web.ctx, &kind, note, actor.by).await {
        Ok(()) => see_other_saying(
            &web,
            "/admin/jobs",
            Tone::Good,
            look.lang.t(
                "일시 중지했습니다. 실행 중인 것은 끝까지 가고, 새로 시작하지는 않습니다.",
                "It is paused. What runs ends; nothing new begins.",
            ),
        ),
        Err(error) => refused(&look, &kind, true, note, error),
    }
}

/// `POST /admin/jobs/kinds/{kind}/resume`: asks first, and does it once `sure` is sent.
pub async fn resume(
    State(web): State<Web>,
    _: Actor,
    look: Look,
    Path(kind): Path<String>,
    F(form): F<Fields>,
) -> Response {
    let look = at_jobs(look);
    if field(&form, "sure").is_none() {
        return sure_page(&look, &kind, false, "", None).into_response();
    }
    match operate_jobs::resume(&web.ctx, &kind).await {
        Ok(()) => see_other_saying(
            &web,
            "/admin/jobs",
            Tone::Good,
            look.lang.t("다시 시작했습니다.", "It runs again."),
        ),
        Err(error) => refused(&look, &kind, false, "", error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::job::Job;

    #[test]
    fn each_kind_says_what_stands_still_with_it() {
        let mut said: Vec<&str> = Vec::new();
        for kind in Job::KINDS {
            for lang in [Lang::Ko, Lang::En] {
                let look = Look {
                    lang,
                    ..Look::default()
                };
                let text = sure_page(&look, kind, true, "<script>", None).into_string();
                assert!(text.contains(meaning(kind, lang)) && text.contains("name=\"sure\""));
                assert!(!text.contains("value=\"<script>"));
                said.push(meaning(kind, lang));
            }
        }
        said.sort_unstable();
        said.dedup();
        assert_eq!(said.len(), 2 * Job::KINDS.len());
    }

    #[test]
    fn a_kind_of_another_version_is_escaped() {
        let text = sure_page(&Look::default(), "<b>odd", false, "", Some("<i>")).into_string();
        assert!(!text.contains("<b>odd") && !text.contains("<i>"));
        assert!(text.contains("/kinds/%3Cb%3Eodd/resume"));
    }
}
