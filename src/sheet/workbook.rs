//! The first table of a workbook, read through calamine and within limits of ours.
//!
//! Calamine believes a file: its sizes, its places, its counts. What could cost memory is checked
//! before it reads, and the cells are taken one by one.

use std::io::{self, Cursor, Read as _};

use calamine::{DataRef, Reader as _, SheetType, SheetVisible, Xlsx};

use super::{
    CellError, ReadError, Said, Table,
    read::{Grid, too_wide},
};

/// Bytes that a workbook may unpack to, and the texts among them.
pub(super) const MOST_UNPACKED: u64 = 200 * 1024 * 1024;
const MOST_TEXTS: u64 = 64 * 1024 * 1024;
/// Parts of a workbook: sheets, pictures, styles.
const MOST_PARTS: usize = 2_000;
/// A table is looked for in so many sheets.
const FIRST_SHEETS: usize = 10;
/// Spreadsheets keep 15 digits of a number. What has more has lost some.
const DIGITS_KEPT: f64 = 1e15;

/// Counts what the parts of a workbook really unpack to. The sizes that a file claims may lie.
pub(super) fn check_unpacked(bytes: &[u8]) -> Result<(), ReadError> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|_| ReadError::Broken)?;
    if archive.len() > MOST_PARTS {
        return Err(ReadError::Unpacks);
    }
    let mut left = MOST_UNPACKED;
    for i in 0..archive.len() {
        let mut part = archive.by_index(i).map_err(|_| ReadError::Broken)?;
        if part.size() > left {
            return Err(ReadError::Unpacks);
        }
        let name = part.name().map_err(|_| ReadError::Broken)?.to_lowercase();
        let unpacked = if name.ends_with("sharedstrings.xml") {
            let mut texts = Vec::new();
            let most = left.min(MOST_TEXTS) + 1;
            part.take(most)
                .read_to_end(&mut texts)
                .map_err(|_| ReadError::Broken)?;
            if texts.len() as u64 == most {
                return Err(ReadError::Unpacks);
            }
            check_claimed_texts(&texts)?;
            texts.len() as u64
        } else {
            let unpacked = io::copy(&mut (&mut part).take(left + 1), &mut io::sink());
            unpacked.map_err(|_| ReadError::Broken)?
        };
        left = left.checked_sub(unpacked).ok_or(ReadError::Unpacks)?;
    }
    Ok(())
}

/// Calamine makes room for as many texts as a workbook says it has, before it reads one, and a claim
/// beyond the machine's memory would end the process. Each text takes more than 5 bytes: `<si/>`.
fn check_claimed_texts(texts: &[u8]) -> Result<(), ReadError> {
    // In UTF-16 the claim would not be found. Spreadsheets write UTF-8.
    let texts = std::str::from_utf8(texts).map_err(|_| ReadError::Broken)?;
    if texts.contains('\0') {
        return Err(ReadError::Broken);
    }
    for (at, word) in texts.match_indices("uniqueCount") {
        let claim = texts[at + word.len()..]
            .trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '=' | '"' | '\'' | '+'));
        let end = claim
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(claim.len());
        let claimed = match &claim[..end] {
            "" => 0,
            digits => digits.parse().unwrap_or(usize::MAX),
        };
        if claimed > texts.len() / 5 {
            return Err(ReadError::Broken);
        }
    }
    Ok(())
}

/// A locked workbook is an old container with a stream of this name.
pub(super) fn is_locked(bytes: &[u8]) -> bool {
    let name: Vec<u8> = "EncryptedPackage"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    bytes.windows(name.len()).any(|window| window == name)
}

/// The first sheet that a person sees and that is not empty.
pub(super) fn workbook(bytes: &[u8], wanted: &[&[&str]], rows: usize) -> Result<Table, ReadError> {
    let mut book = Xlsx::new(Cursor::new(bytes)).map_err(|error| match error {
        calamine::XlsxError::Password => ReadError::Password,
        _ => ReadError::Broken,
    })?;
    let names: Vec<String> = book
        .sheets_metadata()
        .iter()
        .filter(|sheet| sheet.typ == SheetType::WorkSheet && sheet.visible == SheetVisible::Visible)
        .take(FIRST_SHEETS)
        .map(|sheet| sheet.name.clone())
        .collect();
    let mut failed = ReadError::Empty;
    for name in names {
        match sheet(&mut book, &name, rows)?.table(wanted) {
            Err(ReadError::Empty) => {}
            Err(error @ ReadError::NoHeader { .. }) => failed = error,
            done => return done,
        }
    }
    Err(failed)
}

/// Reads cell by cell, never as a rectangle: two cells in opposite corners are two cells.
fn sheet(book: &mut Xlsx<Cursor<&[u8]>>, name: &str, rows: usize) -> Result<Grid, ReadError> {
    let mut grid = Grid::of(rows);
    let mut cells = book
        .worksheet_cells_reader(name)
        .map_err(|_| ReadError::Broken)?;
    let (mut line, mut row) = (0, Vec::new());
    while let Some(cell) = cells.next_cell().map_err(|_| ReadError::Broken)? {
        let (at, column) = cell.get_position();
        let (at, column) = (at as usize + 1, column as usize);
        if at != line {
            // Rows go downwards in every workbook that a program has written.
            if at < line {
                return Err(ReadError::Broken);
            }
            grid.push(line, std::mem::take(&mut row))?;
            line = at;
        }
        let text = shown(cell.get_value())
            .map_err(|said| ReadError::Cell(CellError::cell(line, column, None, said)))?;
        too_wide(line, column, &text)?;
        if text.is_empty() {
            continue;
        }
        if row.len() <= column {
            row.resize(column + 1, String::new());
        }
        row[column] = text;
    }
    grid.push(line, row)?;
    Ok(grid)
}

/// A cell as a person reads it. Formulas come as the value that was last seen.
fn shown(value: &DataRef<'_>) -> Result<String, Said> {
    Ok(match value {
        DataRef::Empty => String::new(),
        DataRef::Int(number) => number.to_string(),
        DataRef::Float(number) if number.abs() >= DIGITS_KEPT => {
            return Err(Said::new(
                "숫자가 15자리를 넘어 엑셀에서 뒷자리가 지워졌습니다. 셀 서식을 '텍스트'로 바꾸고 다시 입력해 주세요.",
                "a number of more than 15 digits, of which a spreadsheet keeps 15: format the cell as text, and type it again",
            ));
        }
        DataRef::Float(number) => fifteen_digits(*number),
        DataRef::String(text) => text.trim().to_owned(),
        DataRef::SharedString(text) => text.trim().to_owned(),
        DataRef::Bool(true) => "TRUE".to_owned(),
        DataRef::Bool(false) => "FALSE".to_owned(),
        DataRef::DateTime(at) if at.is_duration() => {
            // Whole seconds; far below 2⁵³, and a cast saturates.
            let seconds = (at.as_f64() * 86_400.0).round() as i64;
            let (sign, seconds) = (if seconds < 0 { "-" } else { "" }, seconds.unsigned_abs());
            let (hours, rest) = (seconds / 3_600, seconds % 3_600);
            format!("{sign}{hours}:{:02}:{:02}", rest / 60, rest % 60)
        }
        DataRef::DateTime(at) => {
            let (year, month, day, hour, minute, second, _) = at.to_ymd_hms_milli();
            let date = format!("{year:04}-{month:02}-{day:02}");
            let time = format!("{hour:02}:{minute:02}:{second:02}");
            match (at.as_f64() < 1.0, time.as_str()) {
                (true, _) => time,
                (false, "00:00:00") => date,
                (false, _) => format!("{date} {time}"),
            }
        }
        DataRef::DateTimeIso(text) => match text.split_once('T') {
            Some((date, time)) if time.trim_end_matches(['0', ':', '.', 'Z']).is_empty() => {
                date.to_owned()
            }
            Some((date, time)) => format!("{date} {time}"),
            None => text.clone(),
        },
        DataRef::DurationIso(text) => text.clone(),
        DataRef::Error(error) => error.to_string(),
    })
}

/// A number with the digits that a spreadsheet has of it, and no exponent: 0.1 + 0.2 is 0.3.
fn fifteen_digits(number: f64) -> String {
    let kept: f64 = format!("{number:.14e}").parse().unwrap_or(number);
    // Zero has a sign in floating point, and none in a cell.
    if kept == 0.0 {
        "0".to_owned()
    } else {
        kept.to_string()
    }
}
