//! The form of a partner: a new one, or one that is there.

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use super::{
    Fields, Look, crumb, field_name, kind, layout, page, path, see_other, status, told, wrong_count,
};
use crate::{
    domain::{
        bank::BankCode,
        masks::masked_partner,
        partner::{FieldError, Partner, PartnerDraft, PartnerStatus, PartnerType},
    },
    flow::{
        import_partners::draft_of,
        save_partner::{PartnerError, Save, save_partner},
    },
    store::partners,
    web::{Web, auth::Actor, error::Problem, extract::F, lang::Lang},
};

pub struct View<'a> {
    /// `None`: a new one.
    pub id: Option<&'a str>,
    pub draft: &'a PartnerDraft,
    pub errors: &'a [FieldError],
    /// Why the books refuse it.
    pub wrong: Option<&'a str>,
}

pub fn form_page(look: &Look, view: &View<'_>) -> Markup {
    let lang = look.lang;
    let title = match view.id {
        None => lang.t("파트너 추가", "Add a partner"),
        Some(_) => lang.t("파트너 수정", "Change a partner"),
    };
    let back = view.id.map_or_else(|| "/admin/partners".to_owned(), path);
    let action = view
        .id
        .map_or_else(|| "/admin/partners/new".to_owned(), |id| path(id) + "/edit");
    let draft = view.draft;
    let tags = draft.tags.join(", ");
    let input = |name: &'static str, value: &Option<String>, most: u16, hint: &str| {
        text(
            view,
            name,
            value.as_deref().unwrap_or_default(),
            most,
            hint,
            lang,
        )
    };
    let body = html! {
        (crumb(&back, lang.t("돌아가기", "Back")))
        div.head { h1 { (title) } @if let Some(id) = view.id { code { (id) } } }
        (wrong_count(view.errors, lang))
        @if let Some(wrong) = view.wrong { p.message.bad role="alert" { (wrong) } }
        form.stack method="post" action=(action) data-once {
            section.sheet {
                h2 { (lang.t("기본 정보", "Who it is")) }
                div.fields {
                    @if view.id.is_none() {
                        (input("id", &draft.id, 255, lang.t("정한 뒤에는 바꿀 수 없습니다. 예: farm-1", "It cannot be changed later, e.g. farm-1")))
                    }
                    (input("name", &draft.name, 100, ""))
                    label.field {
                        span { (field_name("type", lang)) }
                        select name="type" aria-invalid=[is_wrong(view, "type")] {
                            option value="" { (lang.t("고르세요", "Choose")) }
                            @for of in PartnerType::ALL {
                                option value=(of.as_str()) selected[draft.kind.as_deref() == Some(of.as_str())] { (kind(of, lang)) }
                            }
                        }
                        @if is_wrong(view, "type").is_some() {
                            span.bad-text.small role="alert" { (lang.t("유형을 골라 주세요", "choose a type")) }
                        }
                    }
                    (input("business_number", &draft.business_number, 20, lang.t("사업자만 적습니다. 숫자 10자리", "Businesses only: ten digits")))
                    label.field {
                        span { (field_name("status", lang)) }
                        select name="status" aria-invalid=[is_wrong(view, "status")] {
                            @for of in PartnerStatus::ALL {
                                option value=(of.as_str()) selected[draft.status.as_deref() == Some(of.as_str())] { (status(of, lang)) }
                            }
                        }
                        span.hint { (lang.t("승인된 곳에만 지급합니다.", "Only who is approved is paid.")) }
                        (told(view.errors, "status", lang))
                    }
                }
            }
            section.sheet {
                h2 { (lang.t("지급받을 계좌", "Where it is paid")) }
                p.soft.small { (lang.t("셋 다 적거나 모두 비워 두세요. 첫 지급 전까지만 채우면 됩니다.", "All three or none; it is needed before the first payout.")) }
                div.fields {
                    label.field {
                        span { (field_name("bank", lang)) }
                        select name="bank" aria-invalid=[is_wrong(view, "bank")] {
                            option value="" { (lang.t("고르세요", "Choose")) }
                            @let known = draft.bank.as_deref().and_then(|bank| BankCode::parse(bank).ok());
                            @if let (None, Some(given)) = (known, draft.bank.as_deref().filter(|bank| !bank.is_empty())) {
                                option value=(given) selected { (given) }
                            }
                            @for bank in BankCode::all() {
                                option value=(bank.as_str()) selected[known == Some(bank)] { (lang.t(bank.ko(), bank.en())) " (" (bank.as_str()) ")" }
                            }
                        }
                        (told(view.errors, "bank", lang))
                    }
                    (input("account_number", &draft.account_number, 30, ""))
                    (input("account_holder", &draft.account_holder, 100, ""))
                }
            }
            section.sheet {
                h2 { (lang.t("담당자와 메모", "Whom to ask, and notes")) }
                div.fields {
                    (input("contact_name", &draft.contact_name, 100, ""))
                    (input("contact_email", &draft.contact_email, 254, ""))
                    (input("contact_phone", &draft.contact_phone, 30, ""))
                    (input("memo", &draft.memo, 256, ""))
                    (text(view, "tags", &tags, 400, lang.t("쉼표로 나눕니다. 10개까지", "With commas between them, up to 10"), lang))
                }
            }
            div.acts {
                a.button href=(back) { (lang.t("그만두기", "Leave it")) }
                button.primary { (lang.t("저장", "Save")) }
            }
        }
    };
    layout(look, page(title), body)
}

fn is_wrong(view: &View<'_>, name: &str) -> Option<&'static str> {
    let wrong = view.errors.iter().any(|error| error.field == name);
    wrong.then_some("true")
}

fn text(
    view: &View<'_>,
    name: &'static str,
    value: &str,
    most: u16,
    hint: &str,
    lang: Lang,
) -> Markup {
    let required = matches!(name, "id" | "name");
    html! {
        label.field {
            span { (field_name(name, lang)) @if required { " *" } }
            input name=(name) value=(value) maxlength=(most) required[required] autocomplete="off"
                aria-invalid=[is_wrong(view, name)];
            @if !hint.is_empty() { span.hint { (hint) } }
            (told(view.errors, name, lang))
        }
    }
}

fn draft(form: &Fields) -> PartnerDraft {
    let text = |name: &str| form.get(name).cloned();
    PartnerDraft {
        id: text("id"),
        name: text("name"),
        kind: text("type"),
        business_number: text("business_number"),
        bank: text("bank"),
        account_number: text("account_number"),
        account_holder: text("account_holder"),
        contact_name: text("contact_name"),
        contact_email: text("contact_email"),
        contact_phone: text("contact_phone"),
        status: text("status"),
        memo: text("memo"),
        tags: text("tags").into_iter().collect(),
        archived: None,
    }
}

/// `GET /admin/partners/new`
pub async fn blank(_: Actor, look: Look) -> Response {
    let draft = PartnerDraft {
        status: Some(PartnerStatus::Pending.as_str().to_owned()),
        ..PartnerDraft::default()
    };
    let view = View {
        id: None,
        draft: &draft,
        errors: &[],
        wrong: None,
    };
    form_page(&look, &view).into_response()
}

/// `POST /admin/partners/new`
pub async fn add(State(web): State<Web>, actor: Actor, look: Look, F(form): F<Fields>) -> Response {
    let typed = draft(&form);
    save(&web, &look, None, (&typed, typed.clone()), actor.by).await
}

/// `GET /admin/partners/{id}/edit`
pub async fn filled(
    State(web): State<Web>,
    _: Actor,
    look: Look,
    Path(id): Path<String>,
) -> Response {
    let known = web.ctx.store.read(|conn| partners::get(conn, &id));
    look.answer(known.map_err(Problem::from).and_then(|known| {
        let known = known.ok_or_else(|| Problem::not_found(&id))?;
        let view = View {
            id: Some(&id),
            draft: &masked_partner(&draft_of(&known)),
            errors: &[],
            wrong: None,
        };
        Ok(form_page(&look, &view).into_response())
    }))
}

/// `POST /admin/partners/{id}/edit`
pub async fn change(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Path(id): Path<String>,
    F(form): F<Fields>,
) -> Response {
    let typed = PartnerDraft {
        id: Some(id.clone()),
        ..draft(&form)
    };
    let known = match web.ctx.store.read(|conn| partners::get(conn, &id)) {
        Ok(Some(known)) => draft_of(&known),
        Ok(None) => return look.problem(&Problem::not_found(&id)),
        Err(error) => return look.problem(&error.into()),
    };
    let meant = unmasked(&typed, &known);
    let errors = still_masked(&meant, &known);
    if !errors.is_empty() {
        let view = View {
            id: Some(&id),
            draft: &typed,
            errors: &errors,
            wrong: None,
        };
        return (StatusCode::UNPROCESSABLE_ENTITY, form_page(&look, &view)).into_response();
    }
    save(&web, &look, Some(&id), (&typed, meant), actor.by).await
}

/// A mask that is not the one of what stands in the books: it was changed meanwhile, or half of it was
/// typed over. The stars must not become somebody's name, nor part of a note: which may have stars of its
/// own, but no more masks than stand in the books.
fn still_masked(meant: &PartnerDraft, known: &PartnerDraft) -> Vec<FieldError> {
    let masks = |memo: &Option<String>| memo.as_deref().unwrap_or_default().matches("**").count();
    let memo = (masks(&meant.memo) > masks(&known.memo)).then_some("memo");
    let persons = [
        ("account_holder", &meant.account_holder),
        ("contact_name", &meant.contact_name),
        ("contact_email", &meant.contact_email),
        ("contact_phone", &meant.contact_phone),
    ]
    .into_iter()
    .filter(|(_, text)| text.as_deref().is_some_and(|text| text.contains('*')))
    .map(|(field, _)| field);
    persons
        .chain(memo)
        .map(|field| FieldError {
            field,
            ko: "가려진 값(*)이 남아 있습니다. 전체를 다시 적어 주세요".to_owned(),
            en: "still holds a mask (*): write the whole of it".to_owned(),
        })
        .collect()
}

/// What was typed, with the books' own values where the form came back as it was shown: the form shows
/// persons and the account masked.
fn unmasked(typed: &PartnerDraft, known: &PartnerDraft) -> PartnerDraft {
    let shown = masked_partner(known);
    let meant = |typed: &Option<String>, shown: &Option<String>, known: &Option<String>| {
        let same = typed.as_deref().unwrap_or_default() == shown.as_deref().unwrap_or_default();
        if same { known.clone() } else { typed.clone() }
    };
    macro_rules! fields {
        ($($field:ident),*) => {
            PartnerDraft {
                $($field: meant(&typed.$field, &shown.$field, &known.$field),)*
                ..typed.clone()
            }
        };
    }
    fields!(
        account_number,
        account_holder,
        contact_name,
        contact_email,
        contact_phone,
        memo
    )
}

async fn save(
    web: &Web,
    look: &Look,
    id: Option<&str>,
    (draft, meant): (&PartnerDraft, PartnerDraft),
    by: &'static str,
) -> Response {
    let again = |status: StatusCode, errors: &[FieldError], wrong: Option<&str>| {
        let view = View {
            id,
            draft,
            errors,
            wrong,
        };
        (status, form_page(look, &view)).into_response()
    };
    let partner: Partner = match meant.check() {
        Ok(partner) => partner,
        Err(errors) => return again(StatusCode::UNPROCESSABLE_ENTITY, &errors, None),
    };
    let to = path(partner.id.as_str());
    let how = if id.is_some() {
        Save::Change
    } else {
        Save::New
    };
    match save_partner(&web.ctx, partner, how, by).await {
        Ok(changed) => {
            let did = match (id, changed) {
                (None, _) => "added",
                (Some(_), true) => "changed",
                (Some(_), false) => "same",
            };
            see_other(&format!("{to}?did={did}"), None)
        }
        Err(error @ PartnerError::NotFound(_)) => look.problem(&error.into()),
        Err(error) => {
            let problem = Problem::from(error);
            again(problem.status, &[], Some(problem.sentence(look.lang)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_stays_and_each_field_says_what_is_wrong() {
        let mut form = Fields::new();
        for (name, value) in [
            ("id", "two words"),
            ("name", "<script>"),
            ("type", "BUSINESS_GENERAL"),
            ("business_number", "220-81-62518"),
            ("bank", "\"><b>"),
        ] {
            form.insert(name.into(), value.into());
        }
        let draft = draft(&form);
        let errors = draft.clone().check().unwrap_err();
        for lang in [Lang::Ko, Lang::En] {
            let look = Look {
                lang,
                ..Look::default()
            };
            let view = View {
                id: None,
                draft: &draft,
                errors: &errors,
                wrong: Some("<왜>"),
            };
            let shown = form_page(&look, &view).into_string();
            for part in [
                "value=\"two words\"",
                "220-81-62518",
                "&lt;script&gt;",
                "aria-invalid=\"true\"",
            ] {
                assert!(shown.contains(part), "{part} in {shown}");
            }
            assert!(
                !shown.contains("<script>") && !shown.contains("\"><b>") && !shown.contains("<왜>")
            );
        }
    }

    #[test]
    fn a_form_shows_nobody_whole_and_sent_back_changes_nothing() {
        let some = |text: &str| Some(text.to_owned());
        let known = PartnerDraft {
            id: some("farm-1"),
            account_number: some("00400012345678"),
            account_holder: some("홍길동"),
            contact_name: some("김철수"),
            contact_email: some("kim@example.com"),
            contact_phone: some("010-1234-5678"),
            memo: some("전화 010-9999-1111로"),
            ..PartnerDraft::default()
        };
        let shown = masked_partner(&known);
        let view = View {
            id: Some("farm-1"),
            draft: &shown,
            errors: &[],
            wrong: None,
        };
        let page = form_page(&Look::default(), &view).into_string();
        for canary in ["0001234", "홍길동", "김철수", "kim@", "1234-5678", "9999"] {
            assert!(!page.contains(canary), "{canary}");
        }
        assert_eq!(unmasked(&shown, &known), known);
        let mut typed = shown.clone();
        typed.account_holder = some("새 예금주");
        typed.contact_email = some("");
        let meant = unmasked(&typed, &known);
        assert_eq!(meant.account_holder, some("새 예금주"));
        assert_eq!(meant.contact_email, some(""));
        assert_eq!(meant.account_number, known.account_number);
        assert!(still_masked(&meant, &known).is_empty());
        // The books were changed meanwhile.
        let other = PartnerDraft {
            account_holder: some("다른사람"),
            ..known
        };
        let wrong = still_masked(&unmasked(&shown, &other), &other);
        assert_eq!(wrong.len(), 1);
        assert_eq!(wrong[0].field, "account_holder");
    }

    #[test]
    fn an_id_stands_still() {
        let draft = PartnerDraft {
            id: Some("farm-1".into()),
            ..PartnerDraft::default()
        };
        let view = View {
            id: Some("farm-1"),
            draft: &draft,
            errors: &[],
            wrong: None,
        };
        let shown = form_page(&Look::default(), &view).into_string();
        assert!(!shown.contains("name=\"id\"") && shown.contains("/admin/partners/farm-1/edit"));
    }
}
