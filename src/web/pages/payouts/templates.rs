//! Templates of banks' files: which columns a bank takes, and by which words it answers.

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use super::super::parts;
use super::{
    super::layout::{Fields, Look, field, layout, nothing, see_other, segment},
    Pairs, done, self_page, wrong_part,
};
use crate::{
    flow::{
        bank_templates::{self, Known, TemplateError},
        write_bank_file::{self, FileError},
    },
    sheet::bank::{BankField, BankTemplate, FileFormat, ResultColumns, TemplateColumn},
    web::{
        Web,
        auth::Actor,
        download::download,
        error::Problem,
        extract::{Body, F, Q},
        lang::Lang,
    },
};

/// Empty rows below a template's columns, and how many more a press adds.
const SPARE: usize = 2;
const MORE: usize = 3;
/// More rows than a template may have columns are not looked at.
const MOST_ROWS: usize = 60;

/// Fields by code, with their words.
const FIELDS: [(&str, &str, &str); 12] = [
    ("bank_code", "은행 코드", "bank code"),
    ("bank_name", "은행 이름", "bank name"),
    ("account", "계좌번호", "account"),
    ("amount", "이체 금액", "amount"),
    ("holder", "예금주", "holder"),
    (
        "deposit_memo",
        "받는 통장 표시(상호)",
        "memo in the partner's book",
    ),
    (
        "withdraw_memo",
        "내 통장 표시(지급번호)",
        "memo in our book",
    ),
    ("reference", "지급번호", "reference"),
    ("partner_id", "파트너 ID", "partner id"),
    ("partner_name", "파트너명", "partner name"),
    ("fixed", "고정 문구 →", "fixed text →"),
    ("blank", "빈칸", "blank"),
];

const FORMATS: [(&str, FileFormat, &str); 3] = [
    ("xlsx", FileFormat::Xlsx, "XLSX"),
    ("csv_utf8_bom", FileFormat::CsvUtf8Bom, "CSV (UTF-8)"),
    ("csv_euc_kr", FileFormat::CsvEucKr, "CSV (EUC-KR)"),
];

fn code(of: &BankField) -> &'static str {
    match of {
        BankField::BankCode => "bank_code",
        BankField::BankName => "bank_name",
        BankField::Account => "account",
        BankField::Amount => "amount",
        BankField::Holder => "holder",
        BankField::DepositMemo => "deposit_memo",
        BankField::WithdrawMemo => "withdraw_memo",
        BankField::Reference => "reference",
        BankField::PartnerId => "partner_id",
        BankField::PartnerName => "partner_name",
        BankField::Fixed(_) => "fixed",
        BankField::Blank => "blank",
    }
}

fn field_of(code: &str, text: &str) -> Option<BankField> {
    Some(match code {
        "bank_code" => BankField::BankCode,
        "bank_name" => BankField::BankName,
        "account" => BankField::Account,
        "amount" => BankField::Amount,
        "holder" => BankField::Holder,
        "deposit_memo" => BankField::DepositMemo,
        "withdraw_memo" => BankField::WithdrawMemo,
        "reference" => BankField::Reference,
        "partner_id" => BankField::PartnerId,
        "partner_name" => BankField::PartnerName,
        "fixed" => BankField::Fixed(text.to_owned()),
        "blank" => BankField::Blank,
        _ => return None,
    })
}

/// One row of the form, as it was typed.
#[derive(Clone, Debug, Default, PartialEq)]
struct RowText {
    /// Where it is to stand.
    at: String,
    header: String,
    field: String,
    text: String,
    most: String,
}

/// The form, as it was typed.
#[derive(Clone, Debug, Default, PartialEq)]
struct Typed {
    format: String,
    header: bool,
    rows: Vec<RowText>,
    /// By the names of `ANSWERS`.
    answers: Vec<String>,
}

/// What is read of a bank's answer: name, words.
const ANSWERS: [(&str, &str, &str); 7] = [
    ("account", "계좌번호 열 이름", "columns of the account"),
    ("amount", "금액 열 이름", "columns of the amount"),
    ("reference", "지급번호 열 이름", "columns of the reference"),
    ("outcome", "처리결과 열 이름", "columns of the outcome"),
    ("reason", "실패 사유 열 이름", "columns of the reason"),
    ("paid_words", "성공을 뜻하는 말", "words for paid"),
    ("failed_words", "실패를 뜻하는 말", "words for failed"),
];

impl Typed {
    fn of(template: &BankTemplate) -> Typed {
        let row = |(at, column): (usize, &TemplateColumn)| RowText {
            at: at.to_string(),
            header: column.header.clone(),
            field: code(&column.field).to_owned(),
            text: match &column.field {
                BankField::Fixed(text) => text.clone(),
                _ => String::new(),
            },
            most: column.most.map_or(String::new(), |most| most.to_string()),
        };
        let result = &template.result;
        let format = FORMATS.iter().find(|(_, of, _)| *of == template.format);
        Typed {
            format: format.map_or("xlsx", |(code, ..)| code).to_owned(),
            header: template.header,
            rows: (1..).zip(&template.columns).map(row).collect(),
            answers: [
                &result.account,
                &result.amount,
                &result.reference,
                &result.outcome,
                &result.reason,
                &result.paid_words,
                &result.failed_words,
            ]
            .map(|words| words.join(", "))
            .to_vec(),
        }
    }

    fn read(pairs: &Pairs) -> Typed {
        let count = pairs.get("rows").and_then(|n| n.parse().ok()).unwrap_or(0);
        let text = |name: &str| pairs.get(name).unwrap_or_default().to_owned();
        Typed {
            format: text("format"),
            header: pairs.get("header").is_some(),
            rows: (0..MOST_ROWS.min(count))
                .map(|i| RowText {
                    at: text(&format!("at{i}")),
                    header: text(&format!("header{i}")),
                    field: text(&format!("field{i}")),
                    text: text(&format!("text{i}")),
                    most: text(&format!("most{i}")),
                })
                .collect(),
            answers: ANSWERS.iter().map(|(name, ..)| text(name)).collect(),
        }
    }

    /// A template, as far as the form can be read; what it must hold is checked when it is saved.
    fn template(&self, name: &str) -> Result<BankTemplate, Problem> {
        let refuse = |ko: String, en: String| {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bank-template", ko, en)
        };
        let format = FORMATS.iter().find(|(code, ..)| *code == self.format);
        let format = format.map(|(_, format, _)| *format).ok_or_else(|| {
            refuse(
                "파일 형식을 골라 주세요.".into(),
                "Choose the file's format.".into(),
            )
        })?;
        let mut columns: Vec<(f64, TemplateColumn)> = Vec::new();
        for (i, row) in self.rows.iter().enumerate() {
            if row.header.is_empty() {
                continue;
            }
            let header = row.header.clone();
            let at: f64 = match row.at.as_str() {
                "" => 1_000.0,
                text => text
                    .parse()
                    .ok()
                    .filter(|at: &f64| at.is_finite())
                    .ok_or_else(|| {
                        refuse(
                            format!("`{header}` 열의 순서를 숫자로 적어 주세요."),
                            format!("The place of column `{header}` is no number."),
                        )
                    })?,
            };
            let most = match row.most.as_str() {
                "" => None,
                text => Some(text.parse::<usize>().map_err(|_| {
                    refuse(
                        format!("`{header}` 열의 최대 글자 수를 숫자로 적어 주세요."),
                        format!("The limit of column `{header}` is no number."),
                    )
                })?),
            };
            let field = field_of(&row.field, &row.text).ok_or_else(|| {
                refuse(
                    format!("{}번째 열에 들어갈 값을 골라 주세요.", i + 1),
                    format!("Choose what stands in column {}.", i + 1),
                )
            })?;
            columns.push((
                at,
                TemplateColumn {
                    header,
                    field,
                    most,
                },
            ));
        }
        columns.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let mut words = self.answers.iter().map(|text| {
            let words = text.split([',', '\n']).map(str::trim);
            words
                .filter(|word| !word.is_empty())
                .map(ToOwned::to_owned)
                .collect::<Vec<String>>()
        });
        let mut next = || words.next().unwrap_or_default();
        Ok(BankTemplate {
            name: name.to_owned(),
            format,
            header: self.header,
            columns: columns.into_iter().map(|(_, column)| column).collect(),
            result: ResultColumns {
                account: next(),
                amount: next(),
                reference: next(),
                outcome: next(),
                reason: next(),
                paid_words: next(),
                failed_words: next(),
            },
        })
    }
}

fn path(name: &str) -> String {
    format!("/admin/payouts/templates/{}", segment(name))
}

fn caution(lang: Lang) -> Markup {
    html! {
        p.message.wait role="note" { (lang.t(
            "기본 양식은 기업뱅킹 대량이체의 흔한 열 순서를 따릅니다. 은행은 양식을 예고 없이 바꾸므로, 처음 쓰기 전에 반드시 은행에서 받은 견본 파일과 비교하세요.",
            "The templates that come with the program follow the usual order of columns. Banks change theirs without a word: compare a template with the bank's own sample file before its first use.",
        )) }
    }
}

fn list_page(look: &Look, known: &[Known], did: Option<&str>) -> Markup {
    let lang = look.lang;
    let body = html! {
        (parts::crumb("/admin/payouts", lang.t("지급", "Payouts")))
        div.head { h1 { (lang.t("은행 파일 양식", "Bank templates")) } }
        (told(did, lang))
        (caution(lang))
        ul.cards {
            @for one in known { li.sheet {
                div.line {
                    a.main href=(path(&one.template.name)) { (one.template.name) }
                    span.mini { (format_words(one.template.format)) }
                    @if one.changed {
                        span.mini { @if one.seeded { (lang.t("고침", "changed")) } @else { (lang.t("추가함", "added")) } }
                    }
                    span.grow {}
                    a.button.small href={ (path(&one.template.name)) "/sample" } {
                        (lang.t("견본 받기", "Sample")) span.hidden { " " (one.template.name) }
                    }
                }
                p.soft.small {
                    @for (i, column) in one.template.columns.iter().enumerate() {
                        @if i > 0 { " · " } (column.header)
                    }
                }
            } }
        }
    };
    layout(look, self_page(lang), body)
}

fn told(did: Option<&str>, lang: Lang) -> Markup {
    done(match did {
        Some("saved") => lang.t("양식을 저장했습니다.", "The template is saved."),
        Some("reset") => lang.t("기본 양식으로 되돌렸습니다.", "It is as it came again."),
        Some("removed") => lang.t("양식을 지웠습니다.", "The template is removed."),
        Some("copied") => lang.t(
            "양식을 복사했습니다. 은행에 맞게 고치세요.",
            "It is copied: change it to what the bank wants.",
        ),
        _ => return nothing(),
    })
}

fn format_words(format: FileFormat) -> &'static str {
    let known = FORMATS.iter().find(|(_, of, _)| *of == format);
    known.map_or("", |(_, _, words)| words)
}

struct View<'a> {
    known: &'a Known,
    typed: &'a Typed,
    /// Empty rows below.
    spare: usize,
    wrong: Option<&'a str>,
    did: Option<&'a str>,
}

fn page(look: &Look, view: &View<'_>) -> Markup {
    let lang = look.lang;
    let (known, typed) = (view.known, view.typed);
    let name = &known.template.name;
    let here = path(name);
    let empty = RowText::default();
    let rows: Vec<&RowText> = typed
        .rows
        .iter()
        .chain(std::iter::repeat_n(&empty, view.spare))
        .collect();
    let body = html! {
        (parts::crumb("/admin/payouts/templates", lang.t("은행 파일 양식", "Bank templates")))
        div.head { h1 { (name) } }
        (told(view.did, lang))
        @if known.seeded { (caution(lang)) }
        (wrong_part(view.wrong))
        form.stack method="post" action=(here) {
            input type="hidden" name="rows" value=(rows.len());
            // What the Enter key presses.
            button.hidden name="save" value="1" tabindex="-1" aria-hidden="true" { (lang.t("저장", "Save")) }
            section.sheet {
                h2 { (lang.t("은행에 올리는 파일", "The file that the bank takes")) }
                div.fields {
                    label.field {
                        span { (lang.t("파일 형식", "Format")) }
                        select name="format" {
                            @for (code, _, words) in FORMATS { option value=(code) selected[typed.format == code] { (words) } }
                        }
                    }
                    label.check {
                        input type="checkbox" name="header" value="1" checked[typed.header];
                        span { (lang.t("첫 줄에 열 이름", "Header row")) }
                    }
                }
                p.soft.small { (lang.t(
                    "열 이름을 비우면 그 열은 빠집니다. 순서를 바꾸려면 순서 숫자를 고치세요. 최대 글자 수를 넘는 통장 표시는 잘리고, 계좌·예금주는 오류가 됩니다.",
                    "A row without a header is left out. Change the place to reorder. Memos are cut at the limit; an account or holder that is too long is an error.",
                )) }
                ol.columns {
                    @for (i, row) in rows.iter().enumerate() { li {
                        label.field { span { (lang.t("순서", "Place")) } input name={ "at" (i) } inputmode="decimal" maxlength="6" autocomplete="off" value=(row.at); }
                        label.field { span { (lang.t("열 이름", "Header")) } input name={ "header" (i) } maxlength="100" autocomplete="off" value=(row.header); }
                        label.field {
                            span { (lang.t("들어갈 값", "What it holds")) }
                            select name={ "field" (i) } {
                                @for (code, ko, en) in FIELDS { option value=(code) selected[row.field == code || (row.field.is_empty() && code == "blank")] { (lang.t(ko, en)) } }
                            }
                        }
                        label.field { span { (lang.t("고정 문구", "Fixed text")) } input name={ "text" (i) } maxlength="100" autocomplete="off" value=(row.text); }
                        label.field { span { (lang.t("최대 글자", "Limit")) } input name={ "most" (i) } inputmode="numeric" maxlength="3" autocomplete="off" value=(row.most); }
                    } }
                }
                p { button name="more" value="1" { (lang.t("열 더 추가", "More columns")) } }
            }
            section.sheet {
                h2 { (lang.t("은행이 주는 결과 파일", "The file that the bank gives back")) }
                p.soft.small { (lang.t(
                    "쉼표로 나누어 적습니다. 파일에 있는 첫 이름을 씁니다. 성공·실패가 분명하지 않은 행이 있으면 파일을 반영하지 않습니다.",
                    "Separated by commas; the first name that the file has is used. A row that is not plainly paid or failed refuses the file.",
                )) }
                @for ((field, ko, en), text) in ANSWERS.iter().zip(&typed.answers) {
                    label.field { span { (lang.t(ko, en)) } input name=(field) autocomplete="off" maxlength="1000" value=(text); }
                }
            }
            div.acts {
                a.button href={ (here) "/sample" } { (lang.t("저장된 양식의 견본 받기", "Sample of what is saved")) }
                button.primary name="save" value="1" { (lang.t("저장", "Save")) }
            }
        }
        div.two {
            section.sheet {
                h2 { (lang.t("복사해서 새 양식 만들기", "New template by copy")) }
                form.stack method="post" action={ (here) "/copy" } {
                    label.field { span { (lang.t("새 양식 이름", "Its name")) } input name="name" required maxlength="100" autocomplete="off"; }
                    button { (lang.t("복사", "Copy")) }
                }
            }
            @if known.changed {
                section.sheet {
                    @if known.seeded {
                        h2 { (lang.t("기본 양식으로 되돌리기", "As it came")) }
                        p.soft.small { (lang.t("고친 내용은 사라집니다.", "What was changed is lost.")) }
                    } @else {
                        h2 { (lang.t("양식 지우기", "Remove it")) }
                        p.soft.small { (lang.t("지운 양식은 되살릴 수 없습니다.", "It cannot be brought back.")) }
                    }
                    form method="post" action={ (here) "/reset" } {
                        button.danger { @if known.seeded { (lang.t("되돌리기", "Reset")) } @else { (lang.t("지우기", "Remove")) } }
                    }
                }
            }
        }
    };
    layout(look, self_page(lang), body)
}

fn find(web: &Web, name: &str) -> Result<Known, Problem> {
    let found = web.ctx.store.read(|conn| bank_templates::get(conn, name));
    Ok(found?)
}

/// `GET /admin/payouts/templates`
pub(super) async fn list(
    State(web): State<Web>,
    _: Actor,
    look: Look,
    Q(query): Q<Fields>,
) -> Response {
    let known = web.ctx.store.read(bank_templates::all);
    let known = known.map_err(Problem::from);
    look.answer(known.map(|all| list_page(&look, &all, field(&query, "did")).into_response()))
}

/// `GET /admin/payouts/templates/{name}`
pub(super) async fn show(
    State(web): State<Web>,
    _: Actor,
    look: Look,
    Path(name): Path<String>,
    Q(query): Q<Fields>,
) -> Response {
    look.answer(find(&web, &name).map(|known| {
        let view = View {
            typed: &Typed::of(&known.template),
            known: &known,
            spare: SPARE,
            wrong: None,
            did: field(&query, "did"),
        };
        page(&look, &view).into_response()
    }))
}

/// `POST /admin/payouts/templates/{name}`: saves, or with `more` shows the form with more rows.
pub(super) async fn save(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Path(name): Path<String>,
    Body(body): Body,
) -> Response {
    let pairs = Pairs::read(&body);
    let known = match find(&web, &name) {
        Ok(known) => known,
        Err(problem) => return look.problem(&problem),
    };
    let typed = Typed::read(&pairs);
    let again = |wrong: Option<&Problem>, spare| {
        let view = View {
            known: &known,
            typed: &typed,
            spare,
            wrong: wrong.map(|problem| problem.sentence(look.lang)),
            did: None,
        };
        let status = wrong.map_or(StatusCode::OK, |problem| problem.status);
        (status, page(&look, &view)).into_response()
    };
    if pairs.get("more").is_some() {
        return again(None, MORE);
    }
    let saved = match typed.template(&name) {
        Ok(template) => bank_templates::save(&web.ctx, template, false, actor.by)
            .await
            .map_err(Problem::from),
        Err(problem) => Err(problem),
    };
    match saved {
        Ok(()) => see_other(&format!("{}?did=saved", path(&name)), None),
        Err(problem) => again(Some(&problem), 0),
    }
}

/// `POST /admin/payouts/templates/{name}/reset`: a seeded one is as it came again, another is gone.
pub(super) async fn reset(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Path(name): Path<String>,
) -> Response {
    match bank_templates::remove(&web.ctx, name.clone(), actor.by).await {
        Ok(true) => see_other(&format!("{}?did=reset", path(&name)), None),
        Ok(false) => see_other("/admin/payouts/templates?did=removed", None),
        Err(error) => look.problem(&error.into()),
    }
}

/// `POST /admin/payouts/templates/{name}/copy`: the same under another name.
pub(super) async fn copy(
    State(web): State<Web>,
    actor: Actor,
    look: Look,
    Path(name): Path<String>,
    F(form): F<Fields>,
) -> Response {
    let known = match find(&web, &name) {
        Ok(known) => known,
        Err(problem) => return look.problem(&problem),
    };
    let new = field(&form, "name").unwrap_or_default().to_owned();
    let template = BankTemplate {
        name: new.clone(),
        ..known.template.clone()
    };
    match bank_templates::save(&web.ctx, template, true, actor.by).await {
        Ok(()) => see_other(&format!("{}?did=copied", path(&new)), None),
        Err(error @ (TemplateError::Exists(_) | TemplateError::Wrong(_))) => {
            let problem = Problem::from(error);
            let view = View {
                typed: &Typed::of(&known.template),
                known: &known,
                spare: SPARE,
                wrong: Some(problem.sentence(look.lang)),
                did: None,
            };
            (problem.status, page(&look, &view)).into_response()
        }
        Err(error) => look.problem(&error.into()),
    }
}

/// `GET /admin/payouts/templates/{name}/sample`: rows that nobody gets.
pub(super) async fn sample(
    State(web): State<Web>,
    _: Actor,
    look: Look,
    Path(name): Path<String>,
) -> Response {
    look.answer(find(&web, &name).and_then(|known| {
        let bytes = write_bank_file::sample(&known.template).map_err(FileError::Rows)?;
        let extension = known.template.format.extension();
        let name = format!("sample-{}.{extension}", known.template.name);
        Ok(download(&name, bytes))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sheet::bank::seeded;

    #[test]
    fn what_the_form_shows_is_what_it_reads() {
        for template in seeded() {
            let typed = Typed::of(&template);
            assert_eq!(typed.template(&template.name).unwrap(), template);
        }
    }

    #[test]
    fn rows_are_sorted_by_place_and_left_out_without_a_header() {
        let mut typed = Typed::of(&seeded().remove(0));
        typed.rows[0].header.clear();
        typed.rows[3].at = "0.5".into();
        let template = typed.template("x").unwrap();
        assert_eq!(template.columns[0].header, "금액");
        assert_eq!(template.columns.len(), 9);
        typed.rows[1].most = "많이".into();
        let problem = typed.template("x").unwrap_err();
        assert!(problem.sentence(Lang::Ko).contains("최대 글자 수"));
    }

    #[test]
    fn the_form_escapes_and_says_to_compare() {
        let mut template = seeded().remove(0);
        template.name = "<b>".into();
        let typed = Typed::of(&template);
        for (lang, words) in [
            (Lang::Ko, "견본 파일과 비교"),
            (Lang::En, "own sample file"),
        ] {
            let known = Known {
                template: template.clone(),
                seeded: true,
                changed: true,
            };
            let view = View {
                known: &known,
                typed: &typed,
                spare: 2,
                wrong: Some("<i>"),
                did: None,
            };
            let text = page(&super::super::tests::look(lang), &view).into_string();
            assert!(text.contains(words) && text.contains("name=\"header11\""));
            assert!(!text.contains("<b>") && !text.contains("<i>"));
            let text = list_page(&super::super::tests::look(lang), &[known], None).into_string();
            assert!(text.contains(words) && !text.contains("<b>"));
        }
    }
}
