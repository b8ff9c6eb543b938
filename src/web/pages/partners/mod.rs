//! Pages of partners and contracts: who is owed, and by which terms.

mod contract;
mod files;
mod form;
mod list;
mod one;
mod terms;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    routing::{get, post},
};
use maud::{Markup, html};

use super::parts::crumb;
use super::{
    layout::{Fields, Look, Page, Part, field, layout, nothing, see_other, segment},
    words,
};
use crate::{
    domain::{
        bank::BankAccount,
        partner::{FieldError, PartnerStatus, PartnerType},
    },
    store::partners::Lack,
    web::{Web, api::partners::LARGEST_FILE, lang::Lang},
};

/// Pages for who is signed in.
pub fn routes() -> Router<Web> {
    let files = get(files::form)
        .post(files::upload)
        .layer(DefaultBodyLimit::max(LARGEST_FILE));
    Router::new()
        .route("/admin/partners", get(list::show))
        .route("/admin/partners/new", get(form::blank).post(form::add))
        .route("/admin/partners/export.csv", get(files::export_csv))
        .route("/admin/partners/export.xlsx", get(files::export_xlsx))
        .route("/admin/partners/import", files)
        .route(
            "/admin/partners/import/template.csv",
            get(files::template_csv),
        )
        .route(
            "/admin/partners/import/template.xlsx",
            get(files::template_xlsx),
        )
        .route("/admin/partners/{id}", get(one::show))
        .route("/admin/partners/{id}/reveal", post(one::reveal))
        .route(
            "/admin/partners/{id}/edit",
            get(form::filled).post(form::change),
        )
        .route("/admin/partners/{id}/archive", post(one::archive_it))
        .route("/admin/partners/{id}/recover", post(one::recover_it))
        .route(
            "/admin/partners/{id}/contract",
            get(contract::form).post(contract::sent),
        )
        .route("/admin/contracts/{id}/withdraw", post(one::take_back))
}

/// The page of a partner.
fn path(id: &str) -> String {
    format!("/admin/partners/{}", segment(id))
}

fn page(title: &str) -> Page<'_> {
    Page {
        title,
        part: Part::Partners,
        ..Page::default()
    }
}

// --- Words

fn kind(kind: PartnerType, lang: Lang) -> &'static str {
    lang.t(kind.ko(), kind.en())
}

fn status(status: PartnerStatus, lang: Lang) -> &'static str {
    lang.t(
        status.ko(),
        match status {
            PartnerStatus::Pending => "Waiting for approval",
            PartnerStatus::Approved => "Approved",
            PartnerStatus::Rejected => "Rejected",
        },
    )
}

fn status_badge(of: PartnerStatus, lang: Lang) -> Markup {
    let (tone, sign) = match of {
        PartnerStatus::Pending => ("wait", "◷"),
        PartnerStatus::Approved => ("good", "✓"),
        PartnerStatus::Rejected => ("bad", "✕"),
    };
    words::tag(tone, sign, status(of, lang), of.as_str())
}

fn archived_badge(lang: Lang) -> Markup {
    words::tag("plain", "▣", lang.t("보관됨", "Archived"), "ARCHIVED")
}

/// What is missing, in words.
fn lack(lack: Lack, lang: Lang) -> &'static str {
    match lack {
        Lack::Type => lang.t("유형", "type"),
        Lack::Account => lang.t("계좌", "account"),
        Lack::Approval => lang.t("승인", "approval"),
        Lack::Contract => lang.t("계약", "contract"),
    }
}

/// All that is missing, in a sentence: `계좌, 계약이 없습니다`.
fn lacking(lacks: &[Lack], lang: Lang) -> String {
    let words: Vec<&str> = lacks.iter().map(|one| lack(*one, lang)).collect();
    let words = words.join(", ");
    lang.t(format!("빠진 것: {words}"), format!("missing: {words}"))
}

/// A bank, and as much of the account as tells one from another: `KB국민 ····2345`.
fn masked(account: &BankAccount, lang: Lang) -> String {
    let bank = lang.t(account.bank.ko(), account.bank.en());
    format!("{bank} {}", words::masked_account(account.number.as_str()))
}

/// A column's or field's name, as the form has it.
fn field_name(of: &str, lang: Lang) -> &str {
    match of {
        "id" | "partner_id" => lang.t("파트너 ID", "Partner id"),
        "name" => lang.t("상호/이름", "Name"),
        "type" => lang.t("유형", "Type"),
        "business_number" => lang.t("사업자등록번호", "Business number"),
        "bank" => lang.t("은행", "Bank"),
        "account" => lang.t("계좌", "Account"),
        "account_number" => lang.t("계좌번호", "Account number"),
        "account_holder" => lang.t("예금주", "Account holder"),
        "contact" => lang.t("담당자", "Contact"),
        "contact_name" => lang.t("담당자 이름", "Contact's name"),
        "contact_email" => lang.t("이메일", "E-mail"),
        "contact_phone" => lang.t("전화", "Phone"),
        "status" => lang.t("상태", "State"),
        "memo" => lang.t("메모", "Memo"),
        "tags" => lang.t("태그", "Tags"),
        "from" | "contract_from" => lang.t("적용 시작일", "Holds from"),
        "fee" => lang.t("중개 수수료", "Platform fee"),
        "fee_vat" => lang.t("수수료 부가세", "VAT of the fee"),
        "additional" => lang.t("추가 수수료", "Additional fees"),
        "discount_share" => lang.t("할인 분담", "Discount share"),
        "subtract_payment_vat" => lang.t("결제 부가세 차감", "Payment VAT kept back"),
        "cycle" => lang.t("정산 주기", "Payout cycle"),
        "lag_days" => lang.t("보류일", "Lag"),
        "holiday" => lang.t("휴일 처리", "Holidays"),
        "min_payout" => lang.t("최소 지급액", "Minimum payout"),
        "rounding" => lang.t("원 단위 처리", "Rounding"),
        other => other,
    }
}

/// What is wrong with a field, below it.
fn told(errors: &[FieldError], name: &str, lang: Lang) -> Markup {
    html! {
        @for error in errors.iter().filter(|error| error.field == name) {
            span.bad-text.small role="alert" { (lang.t(&error.ko, &error.en)) }
        }
    }
}

/// How much is wrong, above a form.
fn wrong_count(errors: &[FieldError], lang: Lang) -> Markup {
    if errors.is_empty() {
        return nothing();
    }
    let names: Vec<&str> = errors.iter().map(|e| field_name(e.field, lang)).collect();
    html! {
        p.message.bad role="alert" {
            (lang.t(
                format!("저장하지 않았습니다. 고칠 곳: {}", names.join(", ")),
                format!("Nothing was saved. To be corrected: {}", names.join(", ")),
            ))
        }
    }
}

/// Values that page tests start from.
#[cfg(test)]
mod test_values {
    use crate::{
        domain::{
            contract::{Fee, Rate, Terms},
            cycle::{Cycle, HolidayPolicy, Method},
            ids::PartnerId,
            partner::{Contact, PartnerStatus, PartnerType},
        },
        store::{contracts::Version, partners::PartnerRow},
    };

    pub fn partner() -> PartnerRow {
        PartnerRow {
            id: PartnerId::new("farm-<b>").unwrap(),
            name: "<script>햇살</script>".into(),
            kind: Some(PartnerType::Individual),
            business_number: None,
            account: Some(crate::domain::bank::BankAccount {
                bank: crate::domain::bank::BankCode::parse("004").unwrap(),
                number: crate::domain::bank::AccountNumber::parse("00400012345").unwrap(),
                holder: "<i>".into(),
            }),
            contact: Contact::default(),
            status: PartnerStatus::Pending,
            memo: "<u>".into(),
            tags: vec!["<t>".into()],
            archived_at: None,
            created_at: "2026-08-06T01:00:00Z".parse().unwrap(),
        }
    }

    pub fn terms() -> Terms {
        let method = Method::Monthly { days: vec![31] };
        let cycle = Cycle::new(2, method, HolidayPolicy::Before).unwrap();
        Terms::plain(Fee::Rate(Rate::new(3_300).unwrap()), cycle)
    }

    pub fn version(id: i64, from: &str, used_until: Option<&str>) -> Version {
        Version {
            id,
            partner: "farm-<b>".into(),
            from: from.parse().unwrap(),
            terms: terms(),
            used_until: used_until.map(|day| day.parse().unwrap()),
            created_at: "2026-08-06T01:00:00Z".parse().unwrap(),
            created_by: "page".into(),
        }
    }
}
