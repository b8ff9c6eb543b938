//! Writes tables that people open: XLSX, and CSV for their programs.
//!
//! A text stays a text. In a workbook it is a text cell, whatever it begins with; in a CSV, where a
//! spreadsheet would run it as a formula, it gets a `'` in front. Money is a number in both, so that
//! it adds up. A letter that an encoding lacks is an error, never a `?`.

use encoding_rs::EUC_KR;
use jiff::Timestamp;
use rust_xlsxwriter::{
    Color, DocProperties, ExcelDateTime, Format, FormatAlign, FormatBorder, Workbook, Worksheet,
    XlsxError,
};

use super::{CellError, Said, guard::guarded};
use crate::domain::{
    calendar::{KstDay, kst},
    money::Won,
};

/// What a cell of a workbook can hold, in UTF-16 units.
const LONGEST_TEXT: usize = 32_767;
const LONGEST_NAME: usize = 31;
/// Spreadsheets keep 15 digits of a number.
const LARGEST_NUMBER: u64 = 999_999_999_999_999;
/// In letters of half width.
const WIDTHS: std::ops::RangeInclusive<usize> = 8..=60;

/// One cell to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    Text(String),
    Won(Won),
    Int(i64),
    Day(KstDay),
    /// Written as text in Korean time: spreadsheets know no time zones.
    Time(Timestamp),
    Empty,
}

impl Cell {
    pub fn text(text: impl Into<String>) -> Cell {
        Cell::Text(text.into())
    }

    /// As a CSV has it, and as wide as it is in a workbook.
    fn plain(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Won(won) => won.get().to_string(),
            Self::Int(number) => number.to_string(),
            Self::Day(day) => day.to_string(),
            Self::Time(at) => kst(*at),
            Self::Empty => String::new(),
        }
    }
}

/// One sheet: title lines, a header, rows, and their totals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sheet {
    /// Cut and cleaned where a workbook does not take it.
    pub name: String,
    pub title_rows: Vec<Vec<Cell>>,
    /// None: no header row is written.
    pub headers: Vec<String>,
    pub rows: Vec<Vec<Cell>>,
    /// Written as numbers, not as formulas: viewers that do not calculate show them, too.
    pub totals: Option<Vec<Cell>>,
    /// Of the first columns, in letters; the others' come from what is in them.
    pub widths: Vec<u16>,
}

/// How the letters of a CSV become bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// With a mark, by which Excel knows it.
    Utf8Bom,
    /// With Microsoft's additions (CP949), as banks take it.
    EucKr,
}

/// Why a table cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Cells(Vec<CellError>),
    #[error("the workbook could not be written")]
    Workbook(#[from] XlsxError),
    #[error("the CSV could not be written")]
    Csv(#[from] csv::Error),
}

impl WriteError {
    /// For callers that list errors: each cell, or the file as a whole.
    pub fn into_cell_errors(self) -> Vec<CellError> {
        match self {
            Self::Cells(wrong) => wrong,
            other => vec![CellError::file(Said::new(
                format!("파일을 만들지 못했습니다({other})."),
                other.to_string(),
            ))],
        }
    }
}

/// The rows of a sheet as they stand in the file, each with its number, counted from 1.
fn lines(sheet: &Sheet) -> impl Iterator<Item = (usize, &Vec<Cell>)> {
    let titles = sheet.title_rows.len();
    let first = titles + 1 + usize::from(!sheet.headers.is_empty());
    let titles = sheet.title_rows.iter().enumerate();
    let rows = sheet.rows.iter().chain(&sheet.totals).enumerate();
    titles
        .map(|(i, row)| (i + 1, row))
        .chain(rows.map(move |(i, row)| (first + i, row)))
}

/// Collects what is wrong with cells, a sentence each.
fn check(
    sheet: &Sheet,
    wrong_with: impl Fn(&Cell) -> Option<Said>,
) -> impl Iterator<Item = CellError> {
    lines(sheet).flat_map(move |(line, row)| {
        row.iter()
            .enumerate()
            .filter_map(|(column, cell)| {
                let header = sheet.headers.get(column).map(String::as_str);
                Some(CellError::cell(line, column, header, wrong_with(cell)?))
            })
            .collect::<Vec<_>>()
    })
}

/// A workbook with these sheets. The same sheets give the same bytes.
pub fn xlsx(sheets: &[Sheet]) -> Result<Vec<u8>, WriteError> {
    let wrong: Vec<CellError> = sheets
        .iter()
        .flat_map(|sheet| check(sheet, too_much_for_a_cell))
        .collect();
    if !wrong.is_empty() {
        return Err(WriteError::Cells(wrong));
    }
    let mut book = Workbook::new();
    let no_time = ExcelDateTime::from_ymd(2000, 1, 1)?;
    book.set_properties(&DocProperties::new().set_creation_datetime(&no_time));
    let looks = Looks::new();
    for (sheet, name) in sheets.iter().zip(names(sheets)) {
        let page = book.add_worksheet();
        page.set_name(name)?;
        write_page(page, sheet, &looks)?;
    }
    Ok(book.save_to_buffer()?)
}

fn too_much_for_a_cell(cell: &Cell) -> Option<Said> {
    let number = match cell {
        Cell::Text(text) if text.encode_utf16().count() > LONGEST_TEXT => {
            return Some(Said::new(
                format!("글자가 너무 많습니다. 엑셀의 셀은 {LONGEST_TEXT}자까지 담습니다."),
                format!("too long: a cell of a workbook holds {LONGEST_TEXT} characters"),
            ));
        }
        Cell::Won(won) => won.get(),
        Cell::Int(number) => *number,
        _ => return None,
    };
    (number.unsigned_abs() > LARGEST_NUMBER).then(|| {
        Said::new(
            format!("숫자가 너무 큽니다({number}). 엑셀은 15자리까지만 정확히 담습니다."),
            format!("{number} is too large: a workbook keeps 15 digits of a number"),
        )
    })
}

/// How cells look. Bold ones are the totals'.
struct Looks {
    header: Format,
    title: Format,
    plain: CellLooks,
    total: CellLooks,
}

struct CellLooks {
    text: Format,
    won: Format,
    int: Format,
    day: Format,
}

impl Looks {
    fn new() -> Looks {
        let cell = |base: Format| CellLooks {
            text: base.clone().set_num_format("@"),
            won: base.clone().set_num_format("#,##0;[Red]-#,##0"),
            int: base.clone().set_num_format("0"),
            day: base.set_num_format("yyyy-mm-dd"),
        };
        Looks {
            header: Format::new()
                .set_bold()
                .set_num_format("@")
                .set_align(FormatAlign::Center)
                .set_border_bottom(FormatBorder::Thin)
                .set_background_color(Color::RGB(0xEE_EE_EE)),
            title: Format::new().set_bold().set_num_format("@"),
            plain: cell(Format::new()),
            total: cell(Format::new().set_bold().set_border_top(FormatBorder::Thin)),
        }
    }
}

fn write_page(page: &mut Worksheet, sheet: &Sheet, looks: &Looks) -> Result<(), WriteError> {
    let mut at: u32 = 0;
    for row in &sheet.title_rows {
        write_row(page, at, row, &looks.plain, Some(&looks.title))?;
        at += 1;
    }
    if !sheet.headers.is_empty() {
        for (column, header) in (0..).zip(&sheet.headers) {
            page.write_string_with_format(at, column, header, &looks.header)?;
        }
        let last = u16::try_from(sheet.headers.len() - 1).unwrap_or(u16::MAX);
        let below = u32::try_from(sheet.rows.len()).unwrap_or(u32::MAX);
        page.autofilter(at, 0, at.saturating_add(below), last)?;
        at += 1;
        page.set_freeze_panes(at, 0)?;
    }
    for row in &sheet.rows {
        write_row(page, at, row, &looks.plain, None)?;
        at += 1;
    }
    if let Some(totals) = &sheet.totals {
        write_row(page, at, totals, &looks.total, None)?;
    }
    for (column, width) in (0..).zip(widths(sheet)) {
        page.set_column_width(column, width)?;
    }
    Ok(())
}

fn write_row(
    page: &mut Worksheet,
    at: u32,
    row: &[Cell],
    looks: &CellLooks,
    text: Option<&Format>,
) -> Result<(), XlsxError> {
    for (column, cell) in (0..).zip(row) {
        match cell {
            Cell::Empty => continue,
            Cell::Text(_) | Cell::Time(_) => {
                let look = text.unwrap_or(&looks.text);
                page.write_string_with_format(at, column, cell.plain(), look)?
            }
            // At most 15 digits, as checked: exact in floating point.
            Cell::Won(won) => {
                page.write_number_with_format(at, column, won.get() as f64, &looks.won)?
            }
            Cell::Int(number) => {
                page.write_number_with_format(at, column, *number as f64, &looks.int)?
            }
            Cell::Day(day) => {
                let date = day.date();
                // A year outside of Excel's is refused by `from_ymd`, and a month is 1 to 12.
                let part = |n: i16| u16::try_from(n).unwrap_or(0);
                let small = |n: i8| u8::try_from(n).unwrap_or(0);
                let date = ExcelDateTime::from_ymd(
                    part(date.year()),
                    small(date.month()),
                    small(date.day()),
                )?;
                page.write_datetime_with_format(at, column, &date, &looks.day)?
            }
        };
    }
    Ok(())
}

/// Widths in letters: the longest of a column, within reason. Title lines run over.
fn widths(sheet: &Sheet) -> Vec<f64> {
    let rows = sheet.rows.iter().chain(&sheet.totals);
    let mut widest: Vec<usize> = sheet.headers.iter().map(|h| width(h) + 3).collect();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            let text = match cell {
                Cell::Won(won) => won.to_string(),
                other => other.plain(),
            };
            if widest.len() <= column {
                widest.resize(column + 1, 0);
            }
            widest[column] = widest[column].max(width(&text) + 1);
        }
    }
    let mut widths: Vec<f64> = widest
        .into_iter()
        .map(|width| width.clamp(*WIDTHS.start(), *WIDTHS.end()) as f64)
        .collect();
    for (width, given) in widths.iter_mut().zip(&sheet.widths) {
        *width = f64::from(*given);
    }
    widths
}

/// Korean letters are as wide as two others.
fn width(text: &str) -> usize {
    let line = |line: &str| {
        line.chars()
            .map(|c| if u32::from(c) < 0x1100 { 1 } else { 2 })
            .sum()
    };
    text.lines().map(line).max().unwrap_or(0)
}

/// Names as a workbook takes them: 1 to 31 characters, some forbidden, each only once.
fn names(sheets: &[Sheet]) -> Vec<String> {
    let mut taken: Vec<String> = Vec::new();
    for sheet in sheets {
        let clean: String = sheet
            .name
            .chars()
            .map(|c| {
                if "[]:*?/\\".contains(c) || c.is_control() {
                    ' '
                } else {
                    c
                }
            })
            .collect();
        let clean = clean.trim_matches(|c: char| c == '\'' || c.is_whitespace());
        let clean = match clean {
            "" => "Sheet",
            // Excel keeps this name for itself.
            name if name.eq_ignore_ascii_case("history") => "History ",
            name => name,
        };
        let cut = |end: &str| {
            let (mut name, mut units) = (String::new(), end.encode_utf16().count());
            for c in clean.chars() {
                units += c.len_utf16();
                if units > LONGEST_NAME {
                    break;
                }
                name.push(c);
            }
            let name = name.trim_end_matches('\'');
            format!("{name}{end}")
        };
        let is_free = |name: &String| {
            !taken
                .iter()
                .any(|other| other.to_lowercase() == name.to_lowercase())
        };
        let name = std::iter::once(cut(""))
            .chain((2..).map(|n: usize| cut(&format!(" ({n})"))))
            .find(is_free);
        taken.extend(name);
    }
    taken
}

/// One sheet as CSV, its lines ended by CR LF. Money is plain digits.
pub fn csv(sheet: &Sheet, encoding: Encoding) -> Result<Vec<u8>, WriteError> {
    if encoding == Encoding::EucKr {
        let header_line = sheet.title_rows.len() + 1;
        let headers = sheet.headers.iter().enumerate();
        let mut wrong: Vec<CellError> = headers
            .filter_map(|(column, header)| {
                let said = not_in_euc_kr(header)?;
                Some(CellError::cell(header_line, column, Some(header), said))
            })
            .collect();
        wrong.extend(check(sheet, |cell| match cell {
            Cell::Text(text) => not_in_euc_kr(text),
            _ => None,
        }));
        if !wrong.is_empty() {
            return Err(WriteError::Cells(wrong));
        }
    }
    let mut writer = csv::WriterBuilder::new()
        .flexible(true)
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    let titles = sheet.title_rows.len();
    let mut header = (!sheet.headers.is_empty()).then_some(&sheet.headers);
    for (line, row) in lines(sheet) {
        if line > titles
            && let Some(headers) = header.take()
        {
            writer.write_record(headers.iter().map(|text| guarded(text)))?;
        }
        writer.write_record(row.iter().map(|cell| match cell {
            Cell::Text(text) => guarded(text),
            other => other.plain(),
        }))?;
    }
    if let Some(headers) = header {
        writer.write_record(headers.iter().map(|text| guarded(text)))?;
    }
    let utf_8 = writer
        .into_inner()
        .map_err(|error| csv::Error::from(error.into_error()))?;
    match encoding {
        Encoding::Utf8Bom => Ok(["\u{feff}".as_bytes(), &utf_8].concat()),
        Encoding::EucKr => {
            let text = String::from_utf8_lossy(&utf_8);
            Ok(EUC_KR.encode(&text).0.into_owned())
        }
    }
}

/// The first letter of a text that EUC-KR lacks, in a sentence.
fn not_in_euc_kr(text: &str) -> Option<Said> {
    let lacks = |c: &char| EUC_KR.encode(c.encode_utf8(&mut [0; 4])).2;
    let letter = text.chars().find(lacks)?;
    Some(Said::new(
        format!(
            "EUC-KR에 없는 글자입니다(`{letter}`). 글자를 바꾸거나 UTF-8 또는 XLSX로 받아 주세요."
        ),
        format!("the letter `{letter}` does not exist in EUC-KR: change it, or take UTF-8 or XLSX"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sheet::{Table, read};

    fn sheet(rows: Vec<Vec<Cell>>) -> Sheet {
        Sheet {
            name: "지급".to_owned(),
            headers: ["계좌", "예금주", "금액", "지급일"]
                .map(str::to_owned)
                .to_vec(),
            rows,
            ..Sheet::default()
        }
    }

    fn row(account: &str, holder: &str, won: i64) -> Vec<Cell> {
        vec![
            Cell::text(account),
            Cell::text(holder),
            Cell::Won(Won::new(won)),
            Cell::Day("2026-08-06".parse().unwrap()),
        ]
    }

    fn cells(table: &Table) -> Vec<Vec<&str>> {
        table
            .rows
            .iter()
            .map(|row| row.cells.iter().map(String::as_str).collect())
            .collect()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let sheet = sheet(vec![
            row("0012345678901", "홍길동", 1_234_567),
            row("110-22-000300", "(주) \"따옴표\", 쉼표\n두 줄", -3_000),
        ]);
        for bytes in [
            xlsx(std::slice::from_ref(&sheet)).unwrap(),
            csv(&sheet, Encoding::Utf8Bom).unwrap(),
            csv(&sheet, Encoding::EucKr).unwrap(),
        ] {
            let table = read(&bytes, None).unwrap();
            assert_eq!(table.headers, sheet.headers);
            assert_eq!(
                cells(&table),
                [
                    ["0012345678901", "홍길동", "1234567", "2026-08-06"],
                    [
                        "110-22-000300",
                        "(주) \"따옴표\", 쉼표\n두 줄",
                        "-3000",
                        "2026-08-06"
                    ],
                ]
            );
        }
    }

    #[test]
    fn a_workbook_is_the_same_bytes_each_time() {
        let sheet = sheet(vec![row("1", "a", 1)]);
        let sheets = [sheet];
        assert_eq!(xlsx(&sheets).unwrap(), xlsx(&sheets).unwrap());
    }

    #[test]
    fn a_text_never_becomes_a_formula() {
        for text in [
            "=1+1",
            "+82-10-0000-0000",
            "-name",
            "@SUM(A1)",
            "=HYPERLINK(\"http://x\")",
            "\t=1",
            "\r=1",
            "\n=1",
        ] {
            let sheet = sheet(vec![row("1", text, -5)]);
            let bytes = csv(&sheet, Encoding::Utf8Bom).unwrap();
            let written = String::from_utf8(bytes.clone()).unwrap();
            let cell = guarded(text).replace('"', "\"\"");
            assert!(
                cell.starts_with('\'') && written.contains(&cell),
                "{written:?}"
            );
            assert!(written.contains(",-5,"), "a number stays one: {written}");
            // Read back, the guard is gone.
            assert_eq!(read(&bytes, None).unwrap().rows[0].cells[1], text.trim());

            let book = xlsx(&[sheet]).unwrap();
            assert_eq!(read(&book, None).unwrap().rows[0].cells[1], text.trim());
            assert!(!unpacked(&book, "xl/worksheets/sheet1.xml").contains("<f>"));
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(10_000))]
        /// RFC 4180, as another program reads it.
        #[test]
        fn rows_are_read_back_as_they_were(
            texts in proptest::collection::vec("[-=+@'\",;|\t\r\na-c가＝ 0-9]{0,10}", 1..5),
            won: i64,
        ) {
            let mut row: Vec<Cell> = texts.iter().map(Cell::text).collect();
            row.push(Cell::Won(Won::new(won)));
            let sheet = Sheet { rows: vec![row], ..Sheet::default() };
            let bytes = csv(&sheet, Encoding::Utf8Bom).unwrap();
            let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(&bytes[3..]);
            let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
            proptest::prop_assert_eq!(records.len(), 1);
            let mut read: Vec<String> = records[0].iter().map(str::to_owned).collect();
            proptest::prop_assert_eq!(read.pop(), Some(won.to_string()));
            for cell in &read {
                proptest::prop_assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']), "{cell:?}");
            }
            let read: Vec<String> = read.iter().map(|cell| super::super::guard::unguarded(cell)).collect();
            proptest::prop_assert_eq!(read, texts);
        }
    }

    fn unpacked(book: &[u8], part: &str) -> String {
        let mut archive = zip::ZipArchive::new(std::io::Cursor::new(book)).unwrap();
        std::io::read_to_string(archive.by_name(part).unwrap()).unwrap()
    }

    #[test]
    fn a_letter_that_euc_kr_lacks_is_an_error_with_its_place() {
        let mut sheet = sheet(vec![row("1", "똠방각하", 1), row("2", "김😀", 1)]);
        sheet.title_rows = vec![vec![Cell::text("8월 지급")]];
        let Err(WriteError::Cells(wrong)) = csv(&sheet, Encoding::EucKr) else {
            panic!("a letter was lost");
        };
        assert_eq!(wrong.len(), 1);
        assert_eq!(
            wrong[0].sentence(true),
            "4행 B열(예금주): EUC-KR에 없는 글자입니다(`😀`). 글자를 바꾸거나 UTF-8 또는 XLSX로 받아 주세요."
        );
        sheet.rows.pop();
        sheet.headers[0] = "계좌®©€".to_owned();
        sheet.headers[1] = "é".to_owned();
        let wrong = csv(&sheet, Encoding::EucKr).unwrap_err().into_cell_errors();
        assert!(
            wrong[0].to_string().starts_with("row 2, column"),
            "{wrong:?}"
        );
        assert!(csv(&sheet, Encoding::Utf8Bom).is_ok());
    }

    #[test]
    fn a_csv_has_title_header_rows_and_totals_in_lines_ended_by_cr_lf() {
        let mut sheet = sheet(vec![row("1", "a", 1_000)]);
        sheet.title_rows = vec![vec![Cell::text("지급 명세")]];
        sheet.totals = Some(vec![
            Cell::text("합계"),
            Cell::Empty,
            Cell::Won(Won::new(1_000)),
        ]);
        let bytes = csv(&sheet, Encoding::Utf8Bom).unwrap();
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "\u{feff}지급 명세\r\n계좌,예금주,금액,지급일\r\n1,a,1000,2026-08-06\r\n합계,,1000\r\n"
        );
        let empty = Sheet {
            headers: vec!["a".into()],
            ..Sheet::default()
        };
        assert_eq!(csv(&empty, Encoding::EucKr).unwrap(), b"a\r\n");
    }

    #[test]
    fn a_workbook_has_a_frozen_header_a_filter_and_totals_that_are_numbers() {
        let mut sheet = sheet(vec![row("0012", "a", 1_000), row("3", "b", -500)]);
        sheet.totals = Some(vec![
            Cell::text("합계"),
            Cell::Empty,
            Cell::Won(Won::new(500)),
        ]);
        let book = xlsx(&[sheet]).unwrap();
        let page = unpacked(&book, "xl/worksheets/sheet1.xml");
        assert!(page.contains("state=\"frozen\""), "{page}");
        assert!(page.contains("<autoFilter ref=\"A1:D3\"/>"), "{page}");
        assert!(
            page.contains("<v>500</v>") && !page.contains("<f>"),
            "{page}"
        );
        let styles = unpacked(&book, "xl/styles.xml");
        assert!(styles.contains("#,##0;[Red]-#,##0"), "{styles}");
    }

    #[test]
    fn what_a_workbook_cannot_hold_is_said() {
        let mut sheet = sheet(vec![row("1", "a", 1_000_000_000_000_000)]);
        sheet.rows.push(row("1", &"가".repeat(32_768), 1));
        let wrong = xlsx(&[sheet]).unwrap_err().into_cell_errors();
        let wrong: Vec<String> = wrong.iter().map(ToString::to_string).collect();
        assert_eq!(wrong.len(), 2);
        assert!(wrong[0].starts_with("row 2, column C (금액): 1000000000000000 is too large"));
        assert!(wrong[1].starts_with("row 3, column B (예금주): too long"));
    }

    #[test]
    fn names_of_sheets_fit_a_workbook() {
        let long = "정산".repeat(20);
        let given = [
            "a/b:c",
            "A/B:C",
            "",
            "'quoted'",
            "History",
            &long,
            &long,
            "😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀😀",
        ];
        let sheets: Vec<Sheet> = given
            .iter()
            .map(|name| Sheet {
                name: (*name).to_owned(),
                ..Sheet::default()
            })
            .collect();
        let names = names(&sheets);
        assert_eq!(names[..4], ["a b c", "A B C (2)", "Sheet", "quoted"]);
        assert!(names[6].ends_with(" (2)"));
        assert!(names.iter().all(|name| name.encode_utf16().count() <= 31));
        assert!(xlsx(&sheets).is_ok());
    }

    #[test]
    fn korean_letters_are_twice_as_wide() {
        assert_eq!((width("abc"), width("가나"), width("a\n가나")), (3, 4, 4));
    }
}
