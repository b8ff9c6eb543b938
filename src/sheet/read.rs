//! Reads what people upload: XLSX, or CSV in UTF-8 or EUC-KR.
//!
//! The content decides, not the name. A file is read within limits, and refused beyond them before
//! it costs memory; a refusal says what was expected and what to do. Nothing is guessed: a number
//! that a spreadsheet has already cut short, or a cell beside the table, refuses the file.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::{
    CellError, Said,
    columns::plain,
    text::{OpenQuote, Records, decode, delimiters},
    workbook::{check_unpacked, is_locked, workbook},
};

/// Bytes of one file.
const LARGEST: usize = 20 * 1024 * 1024;
const MOST_ROWS: usize = 200_000;
const MOST_COLUMNS: usize = 200;
/// Bytes that all cells together may take in memory. A text that a workbook keeps once may stand in
/// a million cells.
const MOST_TEXT: usize = 200 * 1024 * 1024;
/// A header is looked for in so many rows.
const FIRST_ROWS: usize = 15;

/// One table: a header, and rows below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The row in which the header stands, counted from 1.
    pub line: usize,
    pub headers: Vec<String>,
    /// Without the empty ones.
    pub rows: Vec<Row>,
}

/// One row of a table, as texts without spaces around. Empty cells at its end may be missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// As the person sees it in their spreadsheet: counted from 1, with the header's and empty ones.
    pub line: usize,
    pub cells: Vec<String>,
}

/// Why a file cannot be read. `said` is for whoever sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    TooLarge {
        bytes: usize,
    },
    /// It is small, but becomes too much when it is unpacked.
    Unpacks,
    TooManyRows {
        most: usize,
    },
    TooMuchText,
    /// `.xls`, as Excel wrote it until 2003.
    OldExcel,
    Password,
    /// Banks save web pages as `.xls`.
    WebPage,
    NotASheet,
    Broken,
    Empty,
    /// None of the first rows has all of these columns.
    NoHeader {
        wanted: Vec<String>,
    },
    Cell(CellError),
}

impl ReadError {
    /// What is wrong and what to do, in both languages.
    pub fn said(&self) -> Said {
        const MB: usize = 1024 * 1024;
        match self {
            Self::TooLarge { bytes } => Said::new(
                format!(
                    "파일이 너무 큽니다({}MB). {}MB 이하로 나누어 올려 주세요.",
                    bytes.div_ceil(MB),
                    LARGEST / MB
                ),
                format!(
                    "the file has {} MB, at most {} are taken: split it",
                    bytes.div_ceil(MB),
                    LARGEST / MB
                ),
            ),
            Self::Unpacks => Said::new(
                "압축을 풀면 너무 커지는 파일입니다. 필요한 시트만 남겨 XLSX 또는 CSV로 다시 저장해 주세요.",
                "the file unpacks to too much: keep the one sheet that is needed, and save it as XLSX or CSV",
            ),
            Self::TooManyRows { most } => Said::new(
                format!("행이 너무 많습니다. {most}행 이하로 나누어 올려 주세요."),
                format!("the file has more than {most} rows: split it"),
            ),
            Self::TooMuchText => Said::new(
                "셀의 글자가 너무 많습니다. 필요한 열만 남기거나 파일을 나누어 올려 주세요.",
                "the cells hold too much text: keep only the columns that are needed, or split the file",
            ),
            Self::OldExcel => Said::new(
                "예전 엑셀 형식(.xls)입니다. 엑셀에서 열어 'Excel 통합 문서(.xlsx)' 또는 CSV로 저장한 뒤 올려 주세요.",
                "this is the old Excel format (.xls): open it in Excel, save it as .xlsx or CSV, and send that",
            ),
            Self::Password => Said::new(
                "암호가 걸린 엑셀 파일입니다. 엑셀에서 열어 암호를 없애고 저장한 뒤 올려 주세요.",
                "the workbook is locked with a password: open it in Excel, take the password off, and save it",
            ),
            Self::WebPage => Said::new(
                "웹 페이지(HTML)로 저장된 파일입니다. 엑셀에서 열어 'Excel 통합 문서(.xlsx)' 또는 CSV로 저장한 뒤 올려 주세요.",
                "this is a web page (HTML), whatever its name says: open it in Excel, and save it as .xlsx or CSV",
            ),
            Self::NotASheet => Said::new(
                "표 파일이 아닙니다. XLSX 또는 CSV(UTF-8, EUC-KR) 파일을 올려 주세요.",
                "this is no spreadsheet: expected XLSX, or CSV in UTF-8 or EUC-KR",
            ),
            Self::Broken => Said::new(
                "파일이 손상되어 읽을 수 없습니다. 엑셀에서 열어 XLSX 또는 CSV로 다시 저장해 주세요.",
                "the workbook is damaged: open it in Excel, and save it again as .xlsx or CSV",
            ),
            Self::Empty => Said::new(
                "파일이 비어 있습니다. 첫 행에 열 이름이 있는 표를 올려 주세요.",
                "the file is empty: expected a table with its column names in the first row",
            ),
            Self::NoHeader { wanted } => Said::new(
                format!(
                    "처음 {FIRST_ROWS}행에서 열 이름을 찾지 못했습니다. 필요한 열: {}",
                    wanted.join(", ")
                ),
                format!(
                    "none of the first {FIRST_ROWS} rows has the column names: expected {}",
                    wanted.join(", ")
                ),
            ),
            Self::Cell(error) => Said::new(&error.ko, &error.en),
        }
    }

    /// The same with a place, for callers that list errors.
    pub fn into_cell_error(self) -> CellError {
        match self {
            Self::Cell(error) => error,
            other => CellError::file(other.said()),
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cell(error) => error.fmt(f),
            other => f.write_str(&other.said().en),
        }
    }
}

impl std::error::Error for ReadError {}

impl From<OpenQuote> for ReadError {
    fn from(quote: OpenQuote) -> ReadError {
        ReadError::Cell(CellError::row(
            quote.line,
            Said::new(
                "큰따옴표(\")가 열리고 닫히지 않았습니다. 글자로 쓴 따옴표는 \"\"로 적어 주세요.",
                "a quote is opened here and never closed: write a quote that is text as \"\"",
            ),
        ))
    }
}

/// Reads a table whose header is the first row that is not empty. `name` is the file's, if known:
/// it decides nothing, and is only looked at when the content says nothing.
pub fn read(bytes: &[u8], name: Option<&str>) -> Result<Table, ReadError> {
    read_with_header(bytes, name, &[])
}

/// The same of a file with at most `rows` rows below its header. One with more is refused as soon as
/// the first of them is seen.
pub fn read_at_most(bytes: &[u8], name: Option<&str>, rows: usize) -> Result<Table, ReadError> {
    read_within(bytes, name, &[], rows.min(MOST_ROWS))
}

/// Reads a table below title lines, as banks write them: its header is the first row, within the
/// first 15, that has a name of every wanted column.
pub fn read_with_header(
    bytes: &[u8],
    name: Option<&str>,
    wanted: &[&[&str]],
) -> Result<Table, ReadError> {
    read_within(bytes, name, wanted, MOST_ROWS)
}

fn read_within(
    bytes: &[u8],
    name: Option<&str>,
    wanted: &[&[&str]],
    rows: usize,
) -> Result<Table, ReadError> {
    if bytes.len() > LARGEST {
        return Err(ReadError::TooLarge { bytes: bytes.len() });
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06") {
        check_unpacked(bytes)?;
        // Calamine adds up what a file claims with checked arithmetic: a damaged workbook may panic
        // in there, and is then just a damaged workbook. Nothing of ours is half done by it.
        let read = catch_unwind(AssertUnwindSafe(|| workbook(bytes, wanted, rows)));
        return read.unwrap_or(Err(ReadError::Broken));
    }
    if bytes.starts_with(&[0xD0, 0xCF, 0x11, 0xE0]) {
        return Err(if is_locked(bytes) {
            ReadError::Password
        } else {
            ReadError::OldExcel
        });
    }
    let Some(text) = decode(bytes) else {
        let old = name.is_some_and(|name| name.to_lowercase().ends_with(".xls"));
        return Err(if old {
            ReadError::OldExcel
        } else {
            ReadError::NotASheet
        });
    };
    let start: String = text.trim_start().chars().take(15).collect();
    let start = start.to_lowercase();
    if [
        "<html",
        "<!doctype",
        "<table",
        "<?xml",
        "<meta",
        "<head",
        "<style",
    ]
    .iter()
    .any(|tag| start.starts_with(tag))
    {
        return Err(ReadError::WebPage);
    }
    // Title lines have commas of their own. Where a header is looked for, it tells the delimiter.
    let mut failed = None;
    for delimiter in delimiters(&text) {
        match csv_table(&text, delimiter, wanted, rows) {
            Err(error @ ReadError::NoHeader { .. }) => _ = failed.get_or_insert(error),
            done => return done,
        }
    }
    Err(failed.unwrap_or(ReadError::Empty))
}

fn csv_table(
    text: &str,
    delimiter: char,
    wanted: &[&[&str]],
    rows: usize,
) -> Result<Table, ReadError> {
    let mut grid = Grid::of(rows);
    for record in Records::new(text, delimiter) {
        let (line, mut cells) = record?;
        for (column, cell) in cells.iter_mut().enumerate() {
            *cell = super::guard::unguarded(cell.trim()).trim().to_owned();
            too_wide(line, column, cell)?;
        }
        grid.push(line, cells)?;
        if grid.rows.len() == FIRST_ROWS && grid.header(wanted).is_err() {
            break;
        }
    }
    grid.table(wanted)
}

pub(super) fn too_wide(line: usize, column: usize, cell: &str) -> Result<(), ReadError> {
    if column < MOST_COLUMNS || cell.is_empty() {
        return Ok(());
    }
    let said = Said::new(
        format!("열이 너무 많습니다. {MOST_COLUMNS}열까지 읽습니다. 필요 없는 열을 지워 주세요."),
        format!("at most {MOST_COLUMNS} columns are taken: delete those that are not needed"),
    );
    Err(ReadError::Cell(CellError::cell(line, column, None, said)))
}

/// Rows that are not empty, while their sum stays within the limits.
pub(super) struct Grid {
    rows: Vec<Row>,
    text: usize,
    /// Rows beside the header.
    most: usize,
}

impl Grid {
    pub(super) fn of(most: usize) -> Grid {
        Grid {
            rows: Vec::new(),
            text: 0,
            most,
        }
    }

    pub(super) fn push(&mut self, line: usize, mut cells: Vec<String>) -> Result<(), ReadError> {
        while cells.last().is_some_and(String::is_empty) {
            cells.pop();
        }
        if cells.is_empty() {
            return Ok(());
        }
        if self.rows.len() > self.most {
            return Err(ReadError::TooManyRows { most: self.most });
        }
        let bytes = |cell: &String| cell.len() + size_of::<String>();
        self.text += cells.iter().map(bytes).sum::<usize>();
        if self.text > MOST_TEXT {
            return Err(ReadError::TooMuchText);
        }
        self.rows.push(Row { line, cells });
        Ok(())
    }

    /// Where the header stands among the rows.
    fn header(&self, wanted: &[&[&str]]) -> Result<usize, ReadError> {
        let names = |row: &Row| row.cells.iter().map(|cell| plain(cell)).collect::<Vec<_>>();
        let has_all = |row: &Row| {
            let names = names(row);
            let any = |aliases: &&[&str]| aliases.iter().any(|alias| names.contains(&plain(alias)));
            wanted.iter().all(any)
        };
        if self.rows.is_empty() {
            return Err(ReadError::Empty);
        }
        self.rows
            .iter()
            .take_while(|row| wanted.is_empty() || row.line <= FIRST_ROWS)
            .position(has_all)
            .ok_or_else(|| ReadError::NoHeader {
                wanted: wanted.iter().map(|aliases| aliases.join("/")).collect(),
            })
    }

    pub(super) fn table(mut self, wanted: &[&[&str]]) -> Result<Table, ReadError> {
        let header = self.header(wanted)?;
        let rows = self.rows.split_off(header + 1);
        let Some(Row {
            line,
            cells: headers,
        }) = self.rows.pop()
        else {
            return Err(ReadError::Empty);
        };
        for row in &rows {
            let beside = row.cells.iter().enumerate().skip(headers.len());
            if let Some((column, cell)) = beside.into_iter().find(|(_, cell)| !cell.is_empty()) {
                let cell: String = cell.chars().take(30).collect();
                let said = Said::new(
                    format!(
                        "열 이름이 없는 칸에 값이 있습니다(`{cell}`). 값을 지우거나 {line}행에 열 이름을 적어 주세요."
                    ),
                    format!(
                        "`{cell}` stands in a column without a name: delete it, or name the column in row {line}"
                    ),
                );
                return Err(ReadError::Cell(CellError::cell(
                    row.line, column, None, said,
                )));
            }
        }
        Ok(Table {
            line,
            headers,
            rows,
        })
    }
}
#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rust_xlsxwriter::{ExcelDateTime, Format, Formula, Workbook, Worksheet};

    use std::io::{self, Cursor};

    use super::*;
    use crate::sheet::{self, workbook::MOST_UNPACKED};

    fn rows(table: &Table) -> Vec<(usize, Vec<&str>)> {
        table
            .rows
            .iter()
            .map(|row| (row.line, row.cells.iter().map(String::as_str).collect()))
            .collect()
    }

    fn book(fill: impl FnOnce(&mut Worksheet)) -> Vec<u8> {
        let mut book = Workbook::new();
        fill(book.add_worksheet());
        book.save_to_buffer().unwrap()
    }

    fn refused(bytes: &[u8]) -> ReadError {
        read(bytes, None).unwrap_err()
    }

    /// Puts other bytes into a part of a workbook.
    fn replaced(book: &[u8], part: &str, change: impl Fn(String) -> Vec<u8>) -> Vec<u8> {
        let mut from = zip::ZipArchive::new(Cursor::new(book)).unwrap();
        let mut to = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for i in 0..from.len() {
            let file = from.by_index(i).unwrap();
            let name = file.name().unwrap().into_owned();
            if name == part {
                let text = io::read_to_string(file).unwrap();
                let options = zip::write::SimpleFileOptions::default();
                to.start_file(name, options).unwrap();
                io::Write::write_all(&mut to, &change(text)).unwrap();
            } else {
                to.raw_copy_file(file).unwrap();
            }
        }
        to.finish().unwrap().into_inner()
    }

    const SHEET: &str = "xl/worksheets/sheet1.xml";

    #[test]
    fn a_file_with_more_rows_than_asked_for_is_refused() {
        let csv = "a,b\n1,2\n3,4\n".as_bytes().to_vec();
        let book = book(|page| {
            for row in 0..3 {
                page.write_row(row, 0, [row, 1]).unwrap();
            }
        });
        for bytes in [csv, book] {
            assert_eq!(read_at_most(&bytes, None, 2).unwrap().rows.len(), 2);
            let refused = read_at_most(&bytes, None, 1).unwrap_err();
            assert_eq!(refused, ReadError::TooManyRows { most: 1 });
            assert!(refused.said().ko.contains("1행 이하"));
        }
    }

    #[test]
    fn cells_come_as_a_person_reads_them() {
        let bytes = book(|page| {
            page.write_row(0, 0, ["what", "is"]).unwrap();
            let mut at = 0;
            let mut next = |what: &str, page: &mut Worksheet| {
                at += 1;
                page.write(at, 0, what).unwrap();
                at
            };
            let at = next("account", page);
            page.write(at, 1, 110_220_003_001_f64).unwrap();
            let at = next("fifteen digits", page);
            page.write(at, 1, 999_999_999_999_999.0).unwrap();
            let at = next("amount", page);
            let won = Format::new().set_num_format("#,##0\"원\"");
            page.write_with_format(at, 1, 5_000, &won).unwrap();
            let at = next("amount in dollars of Korea", page);
            let won = Format::new().set_num_format("[$₩-412]#,##0;[Red]-[$₩-412]#,##0");
            page.write_with_format(at, 1, -5_000, &won).unwrap();
            let at = next("accounting", page);
            let won = Format::new().set_num_format("_-* #,##0_-;-* #,##0_-;_-* \"-\"_-;_-@_-");
            page.write_with_format(at, 1, 7, &won).unwrap();
            let at = next("fraction", page);
            page.write(at, 1, 0.1 + 0.2).unwrap();
            let at = next("small", page);
            page.write(at, 1, 0.000_000_1).unwrap();
            let at = next("day", page);
            let day = ExcelDateTime::from_ymd(2026, 8, 6).unwrap();
            let look = Format::new().set_num_format("yyyy\"년\" m\"월\" d\"일\"");
            page.write_with_format(at, 1, &day, &look).unwrap();
            let at = next("time", page);
            let time = day.and_hms(14, 3, 7.0).unwrap();
            let look = Format::new().set_num_format("yyyy-mm-dd hh:mm:ss");
            page.write_with_format(at, 1, &time, &look).unwrap();
            let at = next("yes", page);
            page.write(at, 1, true).unwrap();
            let at = next("formula", page);
            page.write(at, 1, Formula::new("=B2*2").set_result("12"))
                .unwrap();
            let at = next("formula of text", page);
            page.write(at, 1, Formula::new("=\"a\"&\"b\"").set_result("ab"))
                .unwrap();
            let at = next("error", page);
            page.write(at, 1, Formula::new("=NA()").set_result("#N/A"))
                .unwrap();
            let at = next("spaces", page);
            page.write(at, 1, "  text \n").unwrap();
        });
        let table = read(&bytes, Some("a.xlsx")).unwrap();
        let is: Vec<&str> = table.rows.iter().map(|row| row.cells[1].as_str()).collect();
        assert_eq!(
            is,
            [
                "110220003001",
                "999999999999999",
                "5000",
                "-5000",
                "7",
                "0.3",
                "0.0000001",
                "2026-08-06",
                "2026-08-06 14:03:07",
                "TRUE",
                "12",
                "ab",
                "#N/A",
                "text",
            ]
        );
    }

    #[test]
    fn a_number_that_has_lost_digits_refuses_the_file() {
        let bytes = book(|page| {
            page.write_row(0, 0, ["partner", "account"]).unwrap();
            page.write_row(2, 0, ["p1"]).unwrap();
            page.write(2, 1, 1_102_200_030_010_000.0).unwrap();
        });
        let error = refused(&bytes);
        assert!(
            error
                .to_string()
                .starts_with("row 3, column B: a number of more than 15 digits"),
            "{error}"
        );
    }

    #[test]
    fn rows_keep_the_numbers_that_a_spreadsheet_shows() {
        let bytes = book(|page| {
            page.write_row(1, 0, ["a", "b"]).unwrap();
            page.write(2, 0, "1").unwrap();
            page.write(9, 1, "2").unwrap();
        });
        let expected = [(3, vec!["1"]), (10, vec!["", "2"])];
        let table = read(&bytes, None).unwrap();
        assert_eq!((table.line, rows(&table)), (2, expected.to_vec()));
        let csv = "\n a , b \n1,\n\n , \n\n\n\n\n,2\n";
        let table = read(csv.as_bytes(), None).unwrap();
        assert_eq!((table.line, rows(&table)), (2, expected.to_vec()));
        assert_eq!(table.headers, ["a", "b"]);
    }

    #[test]
    fn the_first_sheet_that_is_seen_and_not_empty_is_read() {
        let mut book = Workbook::new();
        book.add_worksheet()
            .set_hidden(true)
            .write(0, 0, "hidden")
            .unwrap();
        book.add_worksheet().set_active(true);
        book.add_worksheet().write(0, 0, "seen").unwrap();
        let table = read(&book.save_to_buffer().unwrap(), None).unwrap();
        assert_eq!(table.headers, ["seen"]);
    }

    #[test]
    fn a_header_is_found_below_title_lines() {
        let csv = "이체결과, 조회기간; 2026-08-01; 2026-08-06;;;\n\n계좌 번호\t금액\t처리결과\n1\t\"5,000\"\t정상\n";
        let wanted: &[&[&str]] = &[&["account", "계좌번호"], &["처리결과"]];
        let table = read_with_header(csv.as_bytes(), None, wanted).unwrap();
        assert_eq!((table.line, table.headers.len()), (3, 3));
        assert_eq!(rows(&table), [(4, vec!["1", "5,000", "정상"])]);

        let bytes = book(|page| {
            page.write(0, 0, "이체결과").unwrap();
            page.write_row(14, 0, ["계좌번호", "처리결과"]).unwrap();
            page.write_row(15, 0, ["1", "정상"]).unwrap();
        });
        assert_eq!(read_with_header(&bytes, None, wanted).unwrap().line, 15);

        let late = format!("{}{csv}", "title\n".repeat(13));
        let error = read_with_header(late.as_bytes(), None, wanted).unwrap_err();
        assert_eq!(
            error.to_string(),
            "none of the first 15 rows has the column names: expected account/계좌번호, 처리결과"
        );
    }

    #[test]
    fn a_value_beside_the_table_is_an_error_with_its_place() {
        let error = refused(b"a,b\n1,2\n\n3,4,,stray\n");
        assert_eq!(
            error.to_string(),
            "row 4, column D: `stray` stands in a column without a name: delete it, or name the column in row 1"
        );
        assert!(read(b"a,b\n1,2,,\n", None).is_ok());
    }

    #[test]
    fn a_quote_left_open_is_an_error_with_its_row() {
        let error = refused("a,b\n1,\"홍길동\n2,3\n".as_bytes());
        assert!(
            error.to_string().starts_with("row 2: a quote is opened"),
            "{error}"
        );
    }

    #[test]
    fn what_is_no_table_says_what_to_do() {
        let old = [
            &[0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1][..],
            &[0; 600],
        ]
        .concat();
        let name: Vec<u8> = "EncryptedPackage"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        let locked = [&old[..], &name].concat();
        for (bytes, expected) in [
            (&b""[..], ReadError::Empty),
            (b" \r\n,,\n", ReadError::Empty),
            (b"\xef\xbb\xbf", ReadError::Empty),
            (b"%PDF-1.7\n\x00\xff", ReadError::NotASheet),
            (b"\xff\xd8\xff\xe0", ReadError::NotASheet),
            (b"PK\x03\x04 and no zip", ReadError::Broken),
            (b"\n<html><table><tr><td>", ReadError::WebPage),
            (&old, ReadError::OldExcel),
            (&locked, ReadError::Password),
        ] {
            let error = refused(bytes);
            assert_eq!(error, expected);
            let said = error.said();
            assert!(said.ko.ends_with('.') && said.en.len() > 30, "{said:?}");
        }
        assert_eq!(refused(&book(|_| ())), ReadError::Empty);
    }

    #[test]
    fn a_file_beyond_the_limits_is_refused_before_it_costs_memory() {
        let large = vec![b'a'; LARGEST + 1];
        assert_eq!(refused(&large), ReadError::TooLarge { bytes: LARGEST + 1 });
        assert_eq!(
            refused("a\n1\n".repeat(100_001).as_bytes()),
            ReadError::TooManyRows { most: MOST_ROWS }
        );
        assert_eq!(
            read("a\n".repeat(200_001).as_bytes(), None)
                .unwrap()
                .rows
                .len(),
            200_000
        );
        let wide = format!("a{}b\n", ",".repeat(200));
        let error = refused(wide.as_bytes()).to_string();
        assert!(
            error.starts_with("row 1, column GS: at most 200 columns"),
            "{error}"
        );
        // Opposite corners are two cells, not 17 billion.
        let bytes = book(|page| {
            page.write(0, 0, "a").unwrap();
            page.write(1_048_575, 0, "b").unwrap();
        });
        assert_eq!(rows(&read(&bytes, None).unwrap()), [(1_048_576, vec!["b"])]);
        let bytes = book(|page| _ = page.write(1_048_575, 16_383, "b").unwrap());
        assert!(
            refused(&bytes)
                .to_string()
                .starts_with("row 1048576, column XFD")
        );
    }

    #[test]
    fn a_file_that_unpacks_to_too_much_is_refused_whatever_it_claims() {
        let bomb = replaced(&book(|_| ()), SHEET, |_| {
            vec![b' '; MOST_UNPACKED as usize + 1]
        });
        assert!(bomb.len() < 1024 * 1024);
        assert_eq!(refused(&bomb), ReadError::Unpacks);
        // The same, with a claim of 1,000 bytes in each header.
        let claimed = (MOST_UNPACKED as u32 + 1).to_le_bytes();
        let mut lying = bomb.clone();
        for at in 0..lying.len() - 4 {
            if lying[at..at + 4] == claimed {
                lying[at..at + 4].copy_from_slice(&1_000_u32.to_le_bytes());
            }
        }
        assert_ne!(lying, bomb);
        assert!(matches!(
            refused(&lying),
            ReadError::Unpacks | ReadError::Broken
        ));
    }

    #[test]
    fn a_claim_of_very_many_texts_is_no_reason_to_make_room() {
        let fine = book(|page| _ = page.write_row(0, 0, ["a", "b"]).unwrap());
        for (claim, expected) in [
            ("uniqueCount=\"99999999999\"", ReadError::Broken),
            ("uniqueCount = '99999999999'", ReadError::Broken),
            ("uniqueCount=\"99999999999999999999999\"", ReadError::Broken),
        ] {
            let bytes = replaced(&fine, "xl/sharedStrings.xml", |texts| {
                assert!(texts.contains("uniqueCount=\"2\""), "{texts}");
                texts.replace("uniqueCount=\"2\"", claim).into_bytes()
            });
            assert_eq!(refused(&bytes), expected, "{claim}");
        }
        let wide = replaced(&fine, "xl/sharedStrings.xml", |texts| {
            texts.encode_utf16().flat_map(u16::to_le_bytes).collect()
        });
        assert_eq!(refused(&wide), ReadError::Broken);
    }

    #[test]
    fn one_text_in_very_many_cells_is_refused() {
        let text = "a".repeat(32_000);
        let bytes = book(|page| {
            for row in 0..7_000 {
                page.write(row, 0, &text).unwrap();
            }
        });
        assert!(bytes.len() < 1024 * 1024);
        assert_eq!(refused(&bytes), ReadError::TooMuchText);
    }

    #[test]
    fn a_workbook_with_impossible_places_is_damaged() {
        let fine = book(|page| _ = page.write_row(0, 0, ["a", "b"]).unwrap());
        for cell in [
            "A0",
            "ZZZZZZZZ1",
            "A99999999999",
            "1",
            "",
            "A4294967296",
            "FXSHRXX1",
        ] {
            let bytes = replaced(&fine, SHEET, |page| {
                page.replace("r=\"B1\"", &format!("r=\"{cell}\""))
                    .into_bytes()
            });
            assert!(read(&bytes, None).is_err(), "{cell}");
        }
        for row in ["0", "4294967295", "4294967296", "-1", "x"] {
            let bytes = replaced(&fine, SHEET, |page| {
                let page = page.replace("row r=\"1\"", &format!("row r=\"{row}\""));
                page.replace(" r=\"A1\"", "")
                    .replace(" r=\"B1\"", "")
                    .into_bytes()
            });
            let _ = read(&bytes, None);
        }
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400), zip: bool) {
            let _ = read(&bytes, None);
            if zip {
                let _ = read(&[b"PK\x03\x04", &bytes[..]].concat(), None);
            }
        }

        #[test]
        fn texts_never_panic(text in "[a-c가\",;\t\n\r= ']{0,60}") {
            let _ = read(text.as_bytes(), None);
            let _ = read_with_header(text.as_bytes(), None, &[&["a"], &["b"]]);
        }

        #[test]
        fn a_damaged_workbook_never_panics(
            hits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            in_the_sheet: bool,
        ) {
            let fine = sheet::xlsx(&[sheet::Sheet {
                headers: vec!["a".into(), "b".into()],
                rows: vec![vec![sheet::Cell::text("x"), sheet::Cell::Int(5)]],
                ..sheet::Sheet::default()
            }]).unwrap();
            let hit = |mut bytes: Vec<u8>| {
                for (at, byte) in &hits {
                    let at = at.index(bytes.len());
                    bytes[at] = *byte;
                }
                bytes
            };
            let bytes = match in_the_sheet {
                true => replaced(&fine, SHEET, |page| hit(page.into_bytes())),
                false => hit(fine),
            };
            let _ = read(&bytes, None);
        }
    }
}
