//! Bulk transfers: the file that a bank takes, and the one it gives back.
//!
//! Banks publish no common format, and change their own. So a format is data, a [`BankTemplate`]
//! that people may edit, and what it must not get wrong is checked here: an account is digits in a
//! text cell, an amount a number above zero, nothing that says who is paid is ever cut.
//!
//! A result decides whether someone is paid again. A word that is not plainly *paid* or *failed* is
//! an error, and so is a row that does not say.

mod result;
mod template;
mod transfer;

pub use result::{Outcome, read_result};
pub use template::{
    BankField, BankTemplate, FileFormat, ResultColumns, TemplateColumn, WrongTemplate, seeded,
};
pub use transfer::{Transfer, write};

/// Of any text in a template, and of one in a file where the template says nothing.
const LONGEST_TEXT: usize = 100;

/// An account without the hyphens and spaces that people put in.
fn digits(account: &str) -> String {
    let gap = |c: char| c.is_whitespace() || c == '-';
    account.chars().filter(|c| !gap(*c)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::money::Won,
        sheet::{Cell, CellError, Sheet, Table, read, won, xlsx},
    };

    fn transfer(n: usize) -> Transfer {
        Transfer {
            reference: format!("P12-{n}"),
            bank_code: "004".to_owned(),
            bank_name: "국민은행".to_owned(),
            account: format!("00123-01-00000{n}"),
            holder: "홍길동".to_owned(),
            amount: Won::new(1_234_000 + n as i64),
            partner_id: format!("partner-{n}"),
            partner_name: "길동상회".to_owned(),
        }
    }

    fn template(format: FileFormat) -> BankTemplate {
        let mut template = seeded().remove(0);
        template.format = format;
        template
    }

    fn common() -> BankTemplate {
        template(FileFormat::Xlsx)
    }

    fn sentences(wrong: &[CellError]) -> Vec<String> {
        wrong.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_seeded_template_writes_what_the_bank_is_to_read() {
        let names: Vec<String> = seeded().into_iter().map(|t| t.name).collect();
        assert_eq!(
            names,
            [
                "공통",
                "KB국민",
                "신한",
                "우리",
                "하나",
                "NH농협",
                "IBK기업"
            ]
        );
        for template in seeded() {
            assert_eq!(template.check(), Ok(()), "{}", template.name);
            let json = serde_json::to_string(&template).unwrap();
            assert_eq!(
                serde_json::from_str::<BankTemplate>(&json).unwrap(),
                template
            );
            let bytes = write(&template, &[transfer(1)], "정산상점").unwrap();
            let table = read(&bytes, None).unwrap();
            let at = |field| {
                template
                    .columns
                    .iter()
                    .position(|c| c.field == field)
                    .unwrap()
            };
            let row = &table.rows[0].cells;
            assert_eq!(row[at(BankField::BankCode)], "004");
            assert_eq!(row[at(BankField::Account)], "0012301000001");
            assert_eq!(row[at(BankField::Amount)], "1234001");
            assert_eq!(row[at(BankField::Holder)], "홍길동");
            assert_eq!(row[at(BankField::DepositMemo)], "정산상점");
        }
    }

    #[test]
    fn each_format_holds_the_same() {
        let expected = [
            "004",
            "국민은행",
            "0012301000002",
            "1234002",
            "홍길동",
            "아주긴이름의",
            "P12-2",
            "P12-2",
            "partner-2",
            "길동상회",
        ];
        for format in [
            FileFormat::Xlsx,
            FileFormat::CsvUtf8Bom,
            FileFormat::CsvEucKr,
        ] {
            let memo = "아주긴이름의 상점";
            let bytes = write(&template(format), &[transfer(2)], memo).unwrap();
            let table: Table = read(&bytes, None).unwrap();
            assert_eq!(table.headers[0], "은행코드");
            assert_eq!(table.rows[0].cells, expected, "{format:?}");
        }
        let mut bare = template(FileFormat::CsvEucKr);
        bare.header = false;
        let bytes = write(&bare, &[transfer(1)], "상점").unwrap();
        assert!(bytes.starts_with(b"004,"));
    }

    #[test]
    fn all_that_is_wrong_with_transfers_is_said_at_once() {
        let mut template = common();
        template.columns[4].most = Some(5);
        let wrong = [
            Transfer {
                amount: Won::ZERO,
                ..transfer(1)
            },
            Transfer {
                account: "12a45".into(),
                bank_code: "04".into(),
                ..transfer(2)
            },
            Transfer {
                holder: "주식회사 아주긴이름".into(),
                ..transfer(3)
            },
            Transfer {
                holder: " ".into(),
                amount: Won::new(-5),
                ..transfer(4)
            },
            Transfer {
                reference: "P12-1".into(),
                ..transfer(5)
            },
        ];
        assert_eq!(
            sentences(&write(&template, &wrong, "상점").unwrap_err()),
            [
                "row 2, column D (금액): the amount is 0 won, at least 1 is needed",
                "row 3, column A (은행코드): the bank's code is `04`, expected three digits",
                "row 3, column C (계좌번호): the account is `12a45`, expected 5 to 20 digits",
                "row 4, column E (예금주): `주식회사 아주긴이름` has 10 characters, the bank takes 5",
                "row 5, column D (금액): the amount is -5 won, at least 1 is needed",
                "row 5, column E (예금주): it is empty",
                "row 6: payout `P12-1` stands twice in the file",
            ]
        );
        assert_eq!(
            sentences(&write(&common(), &[], "상점").unwrap_err()),
            ["there is no payout to transfer"]
        );
        let odd = Transfer {
            holder: "김😀".into(),
            ..transfer(1)
        };
        let wrong = write(&self::template(FileFormat::CsvEucKr), &[odd], "상점").unwrap_err();
        assert!(
            wrong[0]
                .sentence(true)
                .starts_with("2행 E열(예금주): EUC-KR에 없는")
        );
    }

    #[test]
    fn a_holder_is_no_formula() {
        let odd = Transfer {
            holder: "=HYPERLINK(1)".into(),
            ..transfer(1)
        };
        let bytes = write(&template(FileFormat::CsvUtf8Bom), &[odd], "@상점").unwrap();
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains(",'=HYPERLINK(1),'@상점,"), "{text}");
    }

    #[test]
    fn a_template_is_checked_when_it_is_read() {
        let with = |change: &dyn Fn(&mut serde_json::Value)| {
            let mut json = serde_json::to_value(common()).unwrap();
            change(&mut json);
            serde_json::from_value::<BankTemplate>(json)
                .unwrap_err()
                .to_string()
        };
        let cases: [(&str, String); 10] = [
            (
                "template's name must",
                with(&|json| json["name"] = " ".into()),
            ),
            (
                "column 1 has no header",
                with(&|json| json["columns"][0]["header"] = "".into()),
            ),
            (
                "two columns are called",
                with(&|json| json["columns"][1]["header"] = "은행 코드".into()),
            ),
            (
                "no column holds the account",
                with(&|json| json["columns"][2]["field"] = "blank".into()),
            ),
            (
                "no column holds the amount",
                with(&|json| json["columns"][3]["field"] = "blank".into()),
            ),
            (
                "no column holds the bank",
                with(&|json| {
                    json["columns"].as_array_mut().unwrap().drain(..2);
                }),
            ),
            (
                "takes 0 characters",
                with(&|json| json["columns"][5]["most"] = 0.into()),
            ),
            (
                "takes 2 characters, but its fixed text has 3",
                with(&|json| {
                    json["columns"][5]["field"] = serde_json::json!({ "fixed": "세글자" });
                    json["columns"][5]["most"] = 2.into();
                }),
            ),
            (
                "the result has no outcome",
                with(&|json| json["result"]["outcome"] = serde_json::json!([])),
            ),
            (
                "`정상` means both",
                with(&|json| {
                    json["result"]["failed_words"] = serde_json::json!(["오류", "정상"]);
                }),
            ),
        ];
        for (expected, found) in cases {
            assert!(found.contains(expected), "{found}");
        }
        let many = with(&|json| {
            let columns = json["columns"].as_array_mut().unwrap();
            for i in 0..30 {
                columns.push(serde_json::json!({ "header": format!("빈칸{i}"), "field": "blank" }));
            }
        });
        assert!(many.contains("40 columns: at most 30"), "{many}");
        assert!(with(&|json| json["extra"] = 1.into()).contains("extra"));
    }

    #[test]
    fn an_answer_is_read_below_titles_and_without_its_sums() {
        let csv = "대량이체 결과조회,,,,,\n조회일: 2026-08-06,,,,,\n\n\
            순번,출금통장표시내용,입금계좌번호,이체금액,처리결과,오류내용\n\
            1,P12-1,001-2301-000001,\"1,234,001\",정상처리,\n\
            2,P12-2,0012301000002,\"1,234,002원\",처리불능,예금주 불일치\n\
            소계(2건),,,\"2,468,003\",,\n\
            3,,0012301000003,\"1,234,003\", Y ,\n\
            합 계,,,\"3,702,006\",정상 2건,\n";
        let euc_kr = encoding_rs::EUC_KR.encode(csv).0;
        for bytes in [csv.as_bytes(), &euc_kr] {
            let outcomes = read_result(&common(), bytes).unwrap();
            let found: Vec<_> = outcomes
                .iter()
                .map(|o| {
                    (
                        o.line,
                        o.reference.as_deref(),
                        o.account.as_deref(),
                        o.amount,
                        o.paid,
                    )
                })
                .collect();
            assert_eq!(
                found,
                [
                    (
                        5,
                        Some("P12-1"),
                        Some("0012301000001"),
                        Some(Won::new(1_234_001)),
                        true
                    ),
                    (
                        6,
                        Some("P12-2"),
                        Some("0012301000002"),
                        Some(Won::new(1_234_002)),
                        false
                    ),
                    (
                        8,
                        None,
                        Some("0012301000003"),
                        Some(Won::new(1_234_003)),
                        true
                    ),
                ]
            );
            assert_eq!(outcomes[1].reason.as_deref(), Some("예금주 불일치"));
        }
    }

    #[test]
    fn a_file_of_ours_with_outcomes_is_an_answer() {
        let bytes = write(&common(), &[transfer(1), transfer(2)], "상점").unwrap();
        let table = read(&bytes, None).unwrap();
        let mut headers = table.headers.clone();
        headers.push("처리결과".to_owned());
        let rows = table.rows.iter().map(|row| {
            let mut cells: Vec<Cell> = row.cells.iter().map(Cell::text).collect();
            cells.push(Cell::text("이체완료"));
            cells
        });
        let answer = Sheet {
            name: "결과".into(),
            headers,
            rows: rows.collect(),
            ..Sheet::default()
        };
        let outcomes = read_result(&common(), &xlsx(&[answer]).unwrap()).unwrap();
        assert!(outcomes.iter().all(|outcome| outcome.paid));
        assert_eq!(outcomes[1].reference.as_deref(), Some("P12-2"));
        assert_eq!(outcomes[1].amount, Some(transfer(2).amount));
    }

    #[test]
    fn an_answer_that_cannot_be_understood_is_refused_whole() {
        let csv = "계좌번호,이체금액,처리결과\n\
            001,\"5,000\",정상\n\
            002,오천원,정상\n\
            003,1,접수\n\
            004,1,\n\
            ,1,정상\n";
        assert_eq!(
            sentences(&read_result(&common(), csv.as_bytes()).unwrap_err()),
            [
                "row 3, column B (이체금액): `오천원` is not an amount: write whole won, as 5000 or 5,000",
                "row 4, column C (처리결과): `접수` is neither paid nor failed: add it to the template's words",
                "row 5, column C (처리결과): the outcome is empty",
                "row 6, column A (계좌번호): neither an account nor a reference: it could be any payout",
            ]
        );
        let no_rows = read_result(&common(), "계좌번호,금액,결과\n".as_bytes()).unwrap_err();
        assert!(no_rows[0].en.contains("no transfer"));
        let no_account = read_result(&common(), "누구,금액,결과\n가,1,정상\n".as_bytes());
        assert!(no_account.unwrap_err()[0].en.contains("neither an account"));
        let no_header = read_result(&common(), "a,b\n1,2\n".as_bytes()).unwrap_err();
        assert_eq!(no_header[0].line, 0);
        assert!(no_header[0].ko.contains("처리결과"), "{no_header:?}");
    }

    #[test]
    fn a_sum_that_names_an_account_is_no_sum() {
        let csv = "메모,계좌번호,금액,결과\n합계,001,5,정상\n합계,,5,정상 1건\n";
        let outcomes = read_result(&common(), csv.as_bytes()).unwrap();
        assert_eq!(outcomes.len(), 1);
    }

    proptest::proptest! {
        #[test]
        fn no_answer_panics(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let header = "계좌번호,금액,처리결과\n".as_bytes();
            let _ = read_result(&common(), &[header, &bytes].concat());
        }

        #[test]
        fn what_is_written_names_every_account_and_amount(
            transfers in proptest::collection::vec(("[0-9]{5,20}", 1i64..1_000_000_000_000), 1..5))
        {
            let transfers: Vec<Transfer> = transfers.into_iter().enumerate()
                .map(|(n, (account, amount))| Transfer { account, amount: Won::new(amount), ..transfer(n) })
                .collect();
            for format in [FileFormat::Xlsx, FileFormat::CsvUtf8Bom, FileFormat::CsvEucKr] {
                let bytes = write(&template(format), &transfers, "상점").unwrap();
                let table = read(&bytes, None).unwrap();
                for (row, transfer) in table.rows.iter().zip(&transfers) {
                    proptest::prop_assert_eq!(&row.cells[2], &transfer.account);
                    proptest::prop_assert_eq!(won(&row.cells[3]), Ok(transfer.amount));
                }
                proptest::prop_assert_eq!(table.rows.len(), transfers.len());
            }
        }
    }
}
