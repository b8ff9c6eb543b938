//! Which column of a table is which.
//!
//! People rename, reorder and translate columns. A name counts without its case, spaces,
//! underscores and marks; a name that nobody knows is an error, since it is more often a slip than
//! a remark, and a value that is silently left out is found weeks later.

use super::{CellError, Row, Said, Table};

/// A column that a caller knows.
#[derive(Clone, Copy, Debug)]
pub struct Column<'a> {
    pub key: &'a str,
    /// What it may be called besides its key; the first is used in messages.
    pub aliases: &'a [&'a str],
    pub required: bool,
}

/// What to do with columns that the caller does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    Refused,
    /// For files that others write: banks add columns as they like.
    Ignored,
}

/// Where each known column stands in a table.
#[derive(Clone, Debug)]
pub struct Columns {
    /// Key, index, header.
    found: Vec<(String, usize, String)>,
}

/// A header's name without what people vary.
pub(super) fn plain(name: &str) -> String {
    name.chars()
        .filter(|c| !c.is_whitespace() && !matches!(c, '_' | '*' | '\u{feff}'))
        .flat_map(char::to_lowercase)
        .collect()
}

impl Column<'_> {
    fn is(&self, header: &str) -> bool {
        let header = plain(header);
        plain(self.key) == header || self.aliases.iter().any(|alias| plain(alias) == header)
    }

    fn shown(&self) -> &str {
        self.aliases.first().copied().unwrap_or(self.key)
    }
}

impl Columns {
    /// Finds the wanted columns by their headers. All that is wrong with the header, at once.
    pub fn find(
        table: &Table,
        wanted: &[Column<'_>],
        others: Others,
    ) -> Result<Columns, Vec<CellError>> {
        let mut found: Vec<(String, usize, String)> = Vec::new();
        let mut wrong = Vec::new();
        for (index, header) in table.headers.iter().enumerate() {
            let at = |said| CellError::cell(table.line, index, Some(header), said);
            let Some(column) = wanted.iter().find(|column| column.is(header)) else {
                if others == Others::Refused {
                    wrong.extend(unknown(table, wanted, index, header));
                }
                continue;
            };
            if let Some((_, first, _)) = found.iter().find(|(key, ..)| key == column.key) {
                let first = super::letter(*first);
                wrong.push(at(Said::new(
                    format!("{first}열과 같은 열입니다. 하나만 남겨 주세요."),
                    format!("the same column as {first}: keep one of them"),
                )));
                continue;
            }
            found.push((column.key.to_owned(), index, header.clone()));
        }
        for column in wanted.iter().filter(|column| column.required) {
            if !found.iter().any(|(key, ..)| key == column.key) {
                let mut error = CellError::row(
                    table.line,
                    Said::new(
                        format!("필요한 열이 없습니다: {}", column.shown()),
                        format!("the column `{}` is missing", column.shown()),
                    ),
                );
                error.column = Some(column.shown().to_owned());
                wrong.push(error);
            }
        }
        match wrong.is_empty() {
            true => Ok(Columns { found }),
            false => Err(wrong),
        }
    }

    /// The row's text in the column. `None`: empty, or there is no such column.
    pub fn get<'r>(&self, row: &'r Row, key: &str) -> Option<&'r str> {
        let (_, index, _) = self.found.iter().find(|(known, ..)| known == key)?;
        row.cells
            .get(*index)
            .map(String::as_str)
            .filter(|cell| !cell.is_empty())
    }

    /// Is there such a column?
    pub fn has(&self, key: &str) -> bool {
        self.found.iter().any(|(known, ..)| known == key)
    }

    /// Something is wrong with the row's cell in the column.
    pub fn error(&self, row: &Row, key: &str, said: Said) -> CellError {
        match self.found.iter().find(|(known, ..)| known == key) {
            Some((_, index, header)) => CellError::cell(row.line, *index, Some(header), said),
            None => CellError::row(row.line, said),
        }
    }
}

/// A header that nobody knows. One without a name is wrong only where something stands below it.
fn unknown(table: &Table, wanted: &[Column<'_>], index: usize, header: &str) -> Option<CellError> {
    if header.is_empty() {
        let filled = |row: &&Row| row.cells.get(index).is_some_and(|cell| !cell.is_empty());
        let row = table.rows.iter().find(filled)?;
        let said = Said::new(
            format!(
                "열 이름이 없는데 {}행에 값이 있습니다. 열 이름을 적거나 값을 지워 주세요.",
                row.line
            ),
            format!(
                "the column has no name, but a value in row {}: name it, or delete the value",
                row.line
            ),
        );
        return Some(CellError::cell(table.line, index, None, said));
    }
    let name = plain(header);
    let nearest = wanted
        .iter()
        .flat_map(|column| std::iter::once(&column.key).chain(column.aliases))
        .map(|known| (strsim::jaro_winkler(&plain(known), &name), *known))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.6);
    let known: Vec<&str> = wanted.iter().map(Column::shown).collect();
    let said = match nearest {
        Some((_, nearest)) => Said::new(
            format!(
                "알 수 없는 열입니다(`{header}`). `{nearest}` 열인가요? 이름을 고치거나 열을 지워 주세요."
            ),
            format!("`{header}` is no known column; did you mean `{nearest}`? Rename or delete it"),
        ),
        None => Said::new(
            format!(
                "알 수 없는 열입니다(`{header}`). 쓸 수 있는 열: {}",
                known.join(", ")
            ),
            format!(
                "`{header}` is no known column; known are {}",
                known.join(", ")
            ),
        ),
    };
    Some(CellError::cell(table.line, index, Some(header), said))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: &[Column<'_>] = &[
        Column {
            key: "partner_id",
            aliases: &["파트너 ID", "파트너아이디"],
            required: true,
        },
        Column {
            key: "account",
            aliases: &["계좌번호"],
            required: true,
        },
        Column {
            key: "memo",
            aliases: &["메모"],
            required: false,
        },
    ];

    fn table(csv: &str) -> Table {
        super::super::read(csv.as_bytes(), None).unwrap()
    }

    #[test]
    fn names_count_without_case_spaces_and_underscores() {
        for header in [
            "partner_id,계좌번호",
            "Partner ID,ACCOUNT",
            "파트너 id,* 계좌 번호",
            "파트너아이디,account",
        ] {
            let table = table(&format!("{header}\np1,001\n"));
            let columns = Columns::find(&table, WANTED, Others::Refused).unwrap();
            let row = &table.rows[0];
            assert_eq!(columns.get(row, "partner_id"), Some("p1"), "{header}");
            assert_eq!(columns.get(row, "account"), Some("001"));
            assert_eq!(columns.get(row, "memo"), None);
            assert!(!columns.has("memo"));
        }
    }

    #[test]
    fn all_that_is_wrong_with_a_header_is_said_at_once() {
        let table = table("\npartner_id,계좌변호,파트너 ID,zzz,,메모\np1,1,p1,x,stray,\n");
        let wrong = Columns::find(&table, WANTED, Others::Refused).unwrap_err();
        let wrong: Vec<String> = wrong.iter().map(ToString::to_string).collect();
        assert_eq!(
            wrong,
            [
                "row 2, column B (계좌변호): `계좌변호` is no known column; did you mean `계좌번호`? Rename or delete it",
                "row 2, column C (파트너 ID): the same column as A: keep one of them",
                "row 2, column D (zzz): `zzz` is no known column; known are 파트너 ID, 계좌번호, 메모",
                "row 2, column E: the column has no name, but a value in row 3: name it, or delete the value",
                "row 2 (계좌번호): the column `계좌번호` is missing",
            ]
        );
    }

    #[test]
    fn columns_of_others_can_be_ignored_and_empty_cells_are_none() {
        let table = table("partner_id,account,우리메모\np1,,x\n");
        let columns = Columns::find(&table, WANTED, Others::Ignored).unwrap();
        let row = &table.rows[0];
        assert_eq!(columns.get(row, "account"), None);
        assert_eq!(
            columns
                .error(row, "account", Said::new("비어 있습니다.", "it is empty"))
                .sentence(true),
            "2행 B열(account): 비어 있습니다."
        );
    }
}
