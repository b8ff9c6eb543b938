//! How one bank wants its transfers and how it answers: data that people edit, and its checks.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::LONGEST_TEXT;
use crate::sheet::columns::plain;

const MOST_COLUMNS: usize = 30;

/// How one bank wants its bulk transfers, and how it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "Unchecked")]
pub struct BankTemplate {
    pub name: String,
    pub format: FileFormat,
    /// Does the file begin with the columns' names?
    pub header: bool,
    pub columns: Vec<TemplateColumn>,
    pub result: ResultColumns,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileFormat {
    Xlsx,
    CsvUtf8Bom,
    CsvEucKr,
}

impl FileFormat {
    /// How names of such files end.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Xlsx => "xlsx",
            Self::CsvUtf8Bom | Self::CsvEucKr => "csv",
        }
    }
}

/// One column of the file that a bank takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateColumn {
    pub header: String,
    #[schema(value_type = String)]
    pub field: BankField,
    /// The longest text that the bank takes, in characters. Memos are cut to it; a text that says
    /// who is paid is an error instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<usize>,
}

/// What stands in a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BankField {
    BankCode,
    BankName,
    Account,
    Amount,
    Holder,
    /// What the partner sees in their book: the shop's name.
    DepositMemo,
    /// What we see in ours: the payout's number.
    WithdrawMemo,
    /// Our payout's number, `P12-3`.
    Reference,
    PartnerId,
    PartnerName,
    Fixed(String),
    Blank,
}

/// How a bank's answer is read: names of its columns, and its words for paid and failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResultColumns {
    pub account: Vec<String>,
    pub amount: Vec<String>,
    pub reference: Vec<String>,
    pub outcome: Vec<String>,
    pub reason: Vec<String>,
    pub paid_words: Vec<String>,
    pub failed_words: Vec<String>,
}

/// A template as it came, not checked yet.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    name: String,
    format: FileFormat,
    header: bool,
    columns: Vec<TemplateColumn>,
    result: ResultColumns,
}

/// Why a template cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WrongTemplate {
    #[error("the template's name must have 1 to {LONGEST_TEXT} characters")]
    Name,
    #[error("the template has {0} columns: at most {MOST_COLUMNS} are taken")]
    TooManyColumns(usize),
    #[error("column {0} has no header: give it 1 to {LONGEST_TEXT} characters")]
    Header(usize),
    #[error("two columns are called `{0}`: each header stands once")]
    Twice(String),
    #[error("no column holds {0}: without it nobody can be paid")]
    Missing(&'static str),
    #[error("column `{0}` takes 0 characters: at least 1 is needed")]
    NoRoom(String),
    #[error("column `{header}` takes {most} characters, but its fixed text has {length}")]
    Fixed {
        header: String,
        most: usize,
        length: usize,
    },
    #[error("the result has no {0}: at least one is needed to read the bank's answer")]
    NoAnswer(&'static str),
    #[error("`{0}` stands among the result's names or words and is empty")]
    EmptyWord(&'static str),
    #[error("`{0}` means both paid and failed in the result")]
    BothWays(String),
}

impl WrongTemplate {
    /// The same for pages in Korean.
    pub fn ko(&self) -> String {
        match self {
            Self::Name => format!("양식 이름은 1~{LONGEST_TEXT}자로 적어 주세요."),
            Self::TooManyColumns(count) => {
                format!("열이 {count}개입니다. {MOST_COLUMNS}개까지 쓸 수 있습니다.")
            }
            Self::Header(at) => format!("{at}번째 열의 이름을 1~{LONGEST_TEXT}자로 적어 주세요."),
            Self::Twice(header) => format!("열 이름이 겹칩니다: {header}"),
            Self::Missing(what) => format!("꼭 필요한 열이 없습니다: {}", in_korean(what)),
            Self::NoRoom(header) => format!("열의 최대 글자 수는 1 이상이어야 합니다: {header}"),
            Self::Fixed {
                header,
                most,
                length,
            } => format!("고정 문구가 {length}자로, 최대 {most}자를 넘습니다: {header}"),
            Self::NoAnswer(what) => format!("결과 파일 설정이 비어 있습니다: {}", in_korean(what)),
            Self::EmptyWord(what) => {
                format!("결과 파일 설정에 빈 값이 있습니다: {}", in_korean(what))
            }
            Self::BothWays(word) => format!("성공과 실패에 같은 말이 있습니다: {word}"),
        }
    }
}

fn in_korean(what: &str) -> &str {
    match what {
        "the bank" => "은행",
        "the account" => "계좌번호",
        "the amount" => "금액",
        "account" => "계좌번호 열",
        "amount" => "금액 열",
        "reference" => "지급번호 열",
        "account or reference" => "계좌번호 또는 지급번호 열",
        "outcome" => "처리결과 열",
        "reason" => "사유 열",
        "paid_words" => "성공을 뜻하는 말",
        "failed_words" => "실패를 뜻하는 말",
        other => other,
    }
}

impl TryFrom<Unchecked> for BankTemplate {
    type Error = WrongTemplate;

    fn try_from(given: Unchecked) -> Result<BankTemplate, WrongTemplate> {
        let template = BankTemplate {
            name: given.name.trim().to_owned(),
            format: given.format,
            header: given.header,
            columns: given.columns,
            result: given.result,
        };
        template.check()?;
        Ok(template)
    }
}

impl BankTemplate {
    /// Can transfers be written with it, and answers be read? What is kept as JSON is checked when
    /// it is read; a template that was put together is checked with this.
    pub fn check(&self) -> Result<(), WrongTemplate> {
        let named = |text: &str| {
            (1..=LONGEST_TEXT).contains(&text.trim().chars().count())
                && !text.chars().any(char::is_control)
        };
        if !named(&self.name) {
            return Err(WrongTemplate::Name);
        }
        if self.columns.len() > MOST_COLUMNS {
            return Err(WrongTemplate::TooManyColumns(self.columns.len()));
        }
        let mut headers = BTreeSet::new();
        for (i, column) in self.columns.iter().enumerate() {
            if !named(&column.header) {
                return Err(WrongTemplate::Header(i + 1));
            }
            if !headers.insert(plain(&column.header)) {
                return Err(WrongTemplate::Twice(column.header.clone()));
            }
            match (&column.field, column.most) {
                (_, Some(0)) => return Err(WrongTemplate::NoRoom(column.header.clone())),
                (BankField::Fixed(text), most) => {
                    let (most, length) = (most.unwrap_or(LONGEST_TEXT), text.chars().count());
                    if length > most {
                        return Err(WrongTemplate::Fixed {
                            header: column.header.clone(),
                            most,
                            length,
                        });
                    }
                }
                _ => {}
            }
        }
        let has = |wanted: &[BankField]| {
            self.columns
                .iter()
                .any(|column| wanted.contains(&column.field))
        };
        if !has(&[BankField::BankCode, BankField::BankName]) {
            return Err(WrongTemplate::Missing("the bank"));
        }
        if !has(&[BankField::Account]) {
            return Err(WrongTemplate::Missing("the account"));
        }
        if !has(&[BankField::Amount]) {
            return Err(WrongTemplate::Missing("the amount"));
        }
        self.result.check()
    }
}

impl ResultColumns {
    fn check(&self) -> Result<(), WrongTemplate> {
        for (what, names, needed) in [
            ("account", &self.account, false),
            ("amount", &self.amount, true),
            ("reference", &self.reference, false),
            ("outcome", &self.outcome, true),
            ("reason", &self.reason, false),
            ("paid_words", &self.paid_words, true),
            ("failed_words", &self.failed_words, true),
        ] {
            if needed && names.is_empty() {
                return Err(WrongTemplate::NoAnswer(what));
            }
            if names.iter().any(|name| plain(name).is_empty()) {
                return Err(WrongTemplate::EmptyWord(what));
            }
        }
        if self.account.is_empty() && self.reference.is_empty() {
            return Err(WrongTemplate::NoAnswer("account or reference"));
        }
        let both = |word: &&String| {
            self.failed_words
                .iter()
                .any(|other| plain(other) == plain(word))
        };
        match self.paid_words.iter().find(both) {
            Some(word) => Err(WrongTemplate::BothWays(word.clone())),
            None => Ok(()),
        }
    }

    /// The names and words that Korean banks commonly use.
    pub fn common() -> ResultColumns {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        ResultColumns {
            account: words(&[
                "입금계좌번호",
                "입금계좌",
                "계좌번호",
                "이체계좌번호",
                "받는계좌번호",
                "받는계좌",
            ]),
            amount: words(&[
                "입금액",
                "입금금액",
                "이체금액",
                "이체액",
                "금액",
                "거래금액",
                "입금액(원)",
                "이체금액(원)",
            ]),
            reference: words(&[
                "지급번호",
                "출금통장표시내용",
                "출금통장표시",
                "출금통장메모",
                "출금표시내용",
                "출금계좌적요",
                "내통장표시",
                "관리번호",
            ]),
            outcome: words(&[
                "처리결과",
                "이체결과",
                "처리상태",
                "이체상태",
                "결과",
                "상태",
                "입금결과",
            ]),
            reason: words(&[
                "오류내용",
                "오류사유",
                "실패사유",
                "불능사유",
                "처리결과내용",
                "결과메시지",
                "사유",
                "비고",
            ]),
            paid_words: words(&[
                "정상",
                "성공",
                "완료",
                "처리완료",
                "이체완료",
                "입금완료",
                "Y",
            ]),
            failed_words: words(&[
                "오류",
                "실패",
                "불능",
                "에러",
                "취소",
                "거절",
                "반려",
                "비정상",
                "N",
            ]),
        }
    }
}

/// Templates to begin with.
///
/// They follow the order of columns that bulk transfers of companies (대량이체, 다계좌이체) usually
/// have. Banks change theirs without a word, and each has several: **compare a template with the
/// bank's own sample file before its first use**, and edit it where they differ.
pub fn seeded() -> Vec<BankTemplate> {
    use BankField::*;
    let template =
        |name: &str, format, columns: &[(&str, BankField, Option<usize>)]| BankTemplate {
            name: name.to_owned(),
            format,
            header: true,
            columns: columns
                .iter()
                .map(|(header, field, most)| TemplateColumn {
                    header: (*header).to_owned(),
                    field: field.clone(),
                    most: *most,
                })
                .collect(),
            result: ResultColumns::common(),
        };
    let xlsx = FileFormat::Xlsx;
    vec![
        template(
            "공통",
            xlsx,
            &[
                ("은행코드", BankCode, None),
                ("은행명", BankName, None),
                ("계좌번호", Account, None),
                ("금액", Amount, None),
                ("예금주", Holder, None),
                ("입금통장표시", DepositMemo, Some(7)),
                ("출금통장표시", WithdrawMemo, Some(10)),
                ("지급번호", Reference, None),
                ("파트너 ID", PartnerId, None),
                ("파트너명", PartnerName, None),
            ],
        ),
        template(
            "KB국민",
            xlsx,
            &[
                ("입금은행코드", BankCode, None),
                ("입금계좌번호", Account, None),
                ("입금액", Amount, None),
                ("예상예금주", Holder, None),
                ("출금통장표시내용", WithdrawMemo, Some(7)),
                ("입금통장표시내용", DepositMemo, Some(7)),
            ],
        ),
        template(
            "신한",
            xlsx,
            &[
                ("입금은행", BankCode, None),
                ("입금계좌번호", Account, None),
                ("입금액", Amount, None),
                ("예금주", Holder, None),
                ("입금통장표시내용", DepositMemo, Some(7)),
                ("출금통장표시내용", WithdrawMemo, Some(7)),
            ],
        ),
        template(
            "우리",
            xlsx,
            &[
                ("입금은행", BankCode, None),
                ("입금계좌번호", Account, None),
                ("입금액", Amount, None),
                ("예상예금주", Holder, None),
                ("입금통장표시내용", DepositMemo, Some(10)),
                ("출금통장표시내용", WithdrawMemo, Some(10)),
            ],
        ),
        template(
            "하나",
            xlsx,
            &[
                ("입금은행", BankCode, None),
                ("입금계좌번호", Account, None),
                ("입금액", Amount, None),
                ("예금주", Holder, None),
                ("입금통장표시내용", DepositMemo, Some(7)),
                ("출금통장표시내용", WithdrawMemo, Some(7)),
            ],
        ),
        template(
            "NH농협",
            xlsx,
            &[
                ("입금은행", BankCode, None),
                ("입금계좌번호", Account, None),
                ("입금액", Amount, None),
                ("입금통장표시내용", DepositMemo, Some(7)),
                ("출금통장표시내용", WithdrawMemo, Some(7)),
                ("예금주", Holder, None),
            ],
        ),
        template(
            "IBK기업",
            xlsx,
            &[
                ("입금은행", BankCode, None),
                ("입금계좌번호", Account, None),
                ("입금액", Amount, None),
                ("예상예금주", Holder, None),
                ("입금통장표시내용", DepositMemo, Some(10)),
                ("출금통장표시내용", WithdrawMemo, Some(10)),
            ],
        ),
    ]
}
