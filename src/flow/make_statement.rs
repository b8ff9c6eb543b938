//! A partner's statement (정산내역서) of a period: its settlements, and every line behind them.
//!
//! The lines are read beside the settlements and added up again: a statement whose sums do not tie with
//! its lines is not handed out.

use serde::Serialize;

use crate::{
    domain::{
        calendar::{KstDay, kst},
        masks::masked_text,
        money::{OutOfRange, Won},
        settlement::{Kind, State},
    },
    sheet::{Cell, Sheet},
    store::{
        StoreError, line_sums,
        partners::{self, PartnerRow},
        settlements::{self, LineCursor, LineRow, SettlementRow, Sums},
    },
};

pub const LONGEST_PERIOD: i64 = 400;
pub const MOST_LINES: i64 = 200_000;
/// For a statement without its lines.
pub const NO_LINES: i64 = -1;
/// Lines that are read at once.
const PORTION: usize = 5_000;

#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    #[error("no partner `{0}` is known here")]
    NoPartner(String),
    #[error("the period ends on {to}, before it begins on {from}")]
    Backwards { from: KstDay, to: KstDay },
    #[error("the period has {0} days: at most {LONGEST_PERIOD} are taken, choose a shorter one")]
    TooLong(i64),
    #[error("the period has {0} lines: at most {MOST_LINES} are taken, choose a shorter one")]
    TooMany(i64),
    /// The books are broken: nothing is handed out.
    #[error("the lines of settlement {0} do not add up to it: run `jeongsan verify`")]
    DoesNotTie(i64),
    #[error("the sums are out of range")]
    OutOfRange(#[from] OutOfRange),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a period comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    #[serde(flatten)]
    pub sums: Sums,
    /// Σ of all lines: what was earned in the period.
    pub earned: Won,
    /// Negative sums of earlier settlements that were netted here.
    pub carried_in: Won,
    /// What was or will be paid: Σ of the settlements that are not negative.
    pub payable: Won,
    /// Of it, what is completed.
    pub completed: Won,
    /// Of it, what is held.
    pub held: Won,
    /// Negative sums that wait for later sales.
    pub open_carry: Won,
}

#[derive(Clone, Debug, Serialize)]
pub struct Statement {
    pub partner: PartnerRow,
    pub from: KstDay,
    pub to: KstDay,
    pub totals: Totals,
    pub settlements: Vec<SettlementRow>,
    /// All of the period, oldest first; none, or the first, where no more were asked for.
    pub lines: Vec<LineRow>,
}

/// Makes the statement of the days `[from, to]`. At most `most_lines` lines are read; where there are
/// more, none are, and the sums are checked by the database instead.
pub fn make_statement(
    conn: &rusqlite::Connection,
    partner: &str,
    from: KstDay,
    to: KstDay,
    most_lines: i64,
) -> Result<Statement, StatementError> {
    let mut made = without_lines(conn, partner, from, to)?;
    let count = made.totals.sums.lines;
    if count > most_lines {
        tie_unread(conn, &made)?;
        return Ok(made);
    }
    made.lines
        .reserve(usize::try_from(count).unwrap_or_default());
    let mut after = None;
    loop {
        let portion = settlements::lines(conn, partner, from, to, after, PORTION)?;
        let last = portion.len() < PORTION;
        after = portion.last().map(|line| LineCursor {
            day: line.day,
            seq: line.movement.seq,
        });
        made.lines.extend(portion);
        if last {
            break;
        }
    }
    tie(&made.settlements, &made.lines)?;
    Ok(made)
}

/// The same with its first lines only. The sums are those of all lines, and checked against all.
pub fn begin_statement(
    conn: &rusqlite::Connection,
    partner: &str,
    from: KstDay,
    to: KstDay,
    first: usize,
) -> Result<Statement, StatementError> {
    let mut made = without_lines(conn, partner, from, to)?;
    tie_unread(conn, &made)?;
    made.lines = settlements::lines(conn, partner, from, to, None, first)?;
    Ok(made)
}

/// A statement's settlements and what they come to, not yet held against their lines.
fn without_lines(
    conn: &rusqlite::Connection,
    partner: &str,
    from: KstDay,
    to: KstDay,
) -> Result<Statement, StatementError> {
    if to < from {
        return Err(StatementError::Backwards { from, to });
    }
    let days = from.days_until(to) + 1;
    if days > LONGEST_PERIOD {
        return Err(StatementError::TooLong(days));
    }
    let known = partners::get(conn, partner)?
        .ok_or_else(|| StatementError::NoPartner(partner.to_owned()))?;
    let settlements = settlements::of_partner(conn, partner, from, to)?;
    let count: i64 = settlements.iter().map(|row| row.sums.lines).sum();
    if count > MOST_LINES {
        return Err(StatementError::TooMany(count));
    }
    let mut totals = Totals::default();
    for row in &settlements {
        totals.add(row)?;
    }
    Ok(Statement {
        partner: known,
        from,
        to,
        totals,
        settlements,
        lines: Vec::new(),
    })
}

/// Every settlement is the sum of its lines, as the database adds them up.
fn tie_unread(conn: &rusqlite::Connection, of: &Statement) -> Result<(), StatementError> {
    for row in &of.settlements {
        if line_sums::of_all(conn, &row.partner, row.day)? != row.sums {
            return Err(StatementError::DoesNotTie(row.id));
        }
    }
    Ok(())
}

/// Every settlement is the sum of its lines.
fn tie(settlements: &[SettlementRow], lines: &[LineRow]) -> Result<(), StatementError> {
    let mut left = lines.iter().peekable();
    for row in settlements {
        let mut sums = Sums::default();
        while let Some(line) = left.next_if(|line| line.day == row.day) {
            sums.add(&line.line)?;
        }
        if sums != row.sums {
            return Err(StatementError::DoesNotTie(row.id));
        }
    }
    Ok(())
}

impl Totals {
    /// What these settlements come to.
    pub fn of(rows: &[SettlementRow]) -> Result<Totals, OutOfRange> {
        let mut totals = Totals::default();
        for row in rows {
            totals.add(row)?;
        }
        Ok(totals)
    }

    fn add(&mut self, row: &SettlementRow) -> Result<(), OutOfRange> {
        let (sums, more) = (&mut self.sums, &row.sums);
        sums.lines += more.lines;
        sums.orders += more.orders;
        sums.cancels += more.cancels;
        sums.sales = sums.sales.plus(more.sales)?;
        sums.returned = sums.returned.plus(more.returned)?;
        sums.cut = sums.cut.plus(more.cut)?;
        sums.adjustment = sums.adjustment.plus(more.adjustment)?;
        self.earned = self.earned.plus(more.net()?)?;
        self.carried_in = self.carried_in.plus(row.carried_in)?;
        self.payable = self.payable.plus(row.payable())?;
        if row.state == State::Completed {
            self.completed = self.completed.plus(row.payable())?;
        }
        if row.hold.is_some() {
            self.held = self.held.plus(row.payable())?;
        }
        if row.is_carried_over() && row.carried_into.is_none() {
            self.open_carry = self.open_carry.plus(row.net)?;
        }
        Ok(())
    }
}

/// A state in words.
pub fn state_words(row: &SettlementRow, korean: bool) -> &'static str {
    let (ko, en) = match row.state {
        _ if row.hold.is_some() => ("보류", "held"),
        State::Requested if row.carried_into.is_some() => ("이월 반영됨", "netted later"),
        State::Requested if row.net < Won::ZERO => ("이월 대기", "carried over"),
        State::Requested => ("지급 대기", "to be paid"),
        State::Processing => ("지급 처리 중", "being paid"),
        State::Completed => ("지급 완료", "paid"),
        State::Failed => ("지급 실패", "payout failed"),
    };
    if korean { ko } else { en }
}

/// What a line is, in words.
pub fn kind_words(kind: Kind, korean: bool) -> &'static str {
    let (ko, en) = match kind {
        Kind::Order => ("결제", "sale"),
        Kind::Cancel => ("취소", "cancel"),
        Kind::Correction => ("정정", "correction"),
        Kind::Adjustment => ("조정", "adjustment"),
    };
    if korean { ko } else { en }
}

impl Statement {
    /// The sheet with a row per settlement, and the sheet with a row per line.
    pub fn sheets(&self, korean: bool) -> [Sheet; 2] {
        [self.summary(korean), self.detail(korean)]
    }

    /// `정산내역서_farm_2026-08-01_2026-08-31`.
    pub fn file_name(&self, korean: bool) -> String {
        let what = if korean {
            "정산내역서"
        } else {
            "statement"
        };
        let id: String = (self.partner.id.as_str().chars())
            .map(|c| {
                if c.is_alphanumeric() || c == '-' {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        format!("{what}_{id}_{}_{}", self.from, self.to)
    }

    fn title(&self, korean: bool) -> Vec<Vec<Cell>> {
        let pair = |ko: &str, en: &str, value: String| {
            vec![Cell::text(if korean { ko } else { en }), Cell::text(value)]
        };
        let mut rows = vec![
            vec![Cell::text(if korean {
                "정산내역서"
            } else {
                "Statement"
            })],
            pair("파트너사", "Partner", self.partner.name.clone()),
            pair("파트너사 ID", "Partner id", self.partner.id.to_string()),
        ];
        if let Some(number) = &self.partner.business_number {
            rows.push(pair(
                "사업자등록번호",
                "Business number",
                number.to_string(),
            ));
        }
        rows.push(pair(
            "정산 기간",
            "Period",
            format!("{} ~ {}", self.from, self.to),
        ));
        rows
    }

    fn summary(&self, korean: bool) -> Sheet {
        let t = |ko: &str, en: &str| if korean { ko.to_owned() } else { en.to_owned() };
        let headers = [
            t("정산일", "Day"),
            t("정산번호", "Settlement"),
            t("상태", "State"),
            t("지급일", "Payout day"),
            t("항목 수", "Lines"),
            t("매출", "Sales"),
            t("취소", "Returned"),
            t("주문 금액", "Order amount"),
        ]
        .into_iter()
        .chain(figure_headers(korean))
        .chain([
            t("조정", "Adjustment"),
            t("정산금(항목 합계)", "Net of the lines"),
            t("이월 반영", "Carried in"),
            t("정산 결과", "Settlement"),
            t("지급 대상액", "Payable"),
            t("비고", "Remark"),
        ])
        .collect();
        let rows = self
            .settlements
            .iter()
            .map(|row| {
                let sums = &row.sums;
                let mut cells = vec![
                    Cell::Day(row.day),
                    Cell::Int(row.id),
                    Cell::text(state_words(row, korean)),
                    row.payout_day.map_or(Cell::Empty, Cell::Day),
                    Cell::Int(sums.lines),
                    Cell::Won(sums.sales),
                    Cell::Won(sums.returned),
                ];
                cells.extend(figures(&sums.cut));
                let earned = sums.net().unwrap_or_default();
                cells.extend([
                    Cell::Won(sums.adjustment),
                    Cell::Won(earned),
                    Cell::Won(row.carried_in),
                    Cell::Won(row.net),
                    Cell::Won(row.payable()),
                    Cell::text(remark(row, korean)),
                ]);
                cells
            })
            .collect();
        let totals = &self.totals;
        let mut sum = vec![
            Cell::text(t("합계", "Total")),
            Cell::Empty,
            Cell::Empty,
            Cell::Empty,
            Cell::Int(totals.sums.lines),
            Cell::Won(totals.sums.sales),
            Cell::Won(totals.sums.returned),
        ];
        sum.extend(figures(&totals.sums.cut));
        sum.extend([
            Cell::Won(totals.sums.adjustment),
            Cell::Won(totals.earned),
            Cell::Won(totals.carried_in),
            Cell::Empty,
            Cell::Won(totals.payable),
        ]);
        Sheet {
            name: t("요약", "Summary"),
            title_rows: self.title(korean),
            headers,
            rows,
            totals: Some(sum),
            widths: vec![12],
        }
    }

    fn detail(&self, korean: bool) -> Sheet {
        let t = |ko: &str, en: &str| if korean { ko.to_owned() } else { en.to_owned() };
        let headers = [
            t("정산일", "Day"),
            t("순번", "No."),
            t("구분", "Kind"),
            t("발생 시각", "Happened at"),
            t("결제번호", "Payment"),
            t("주문번호", "Order"),
            t("내용", "Title"),
            t("계약 버전", "Contract version"),
            t("주문 금액", "Order amount"),
        ]
        .into_iter()
        .chain(figure_headers(korean))
        .chain([t("조정", "Adjustment"), t("정산금", "Net")])
        .collect();
        let rows = self
            .lines
            .iter()
            .map(|row| {
                let mut cells = vec![
                    Cell::Day(row.day),
                    Cell::Int(row.movement.seq),
                    Cell::text(kind_words(row.movement.kind, korean)),
                    Cell::text(kst(row.movement.happened_at)),
                    row.imp_uid.clone().map_or(Cell::Empty, Cell::Text),
                    row.merchant_uid.clone().map_or(Cell::Empty, Cell::Text),
                    Cell::text(masked_text(&row.title)),
                    row.line.contract.map_or(Cell::Empty, Cell::Int),
                ];
                cells.extend(figures(&row.line.cut));
                cells.extend([Cell::Won(row.line.adjustment), Cell::Won(row.line.net)]);
                cells
            })
            .collect();
        let mut sum = vec![Cell::text(t("합계", "Total"))];
        sum.resize(8, Cell::Empty);
        sum.extend(figures(&self.totals.sums.cut));
        sum.extend([
            Cell::Won(self.totals.sums.adjustment),
            Cell::Won(self.totals.earned),
        ]);
        Sheet {
            name: t("항목", "Lines"),
            title_rows: Vec::new(),
            headers,
            rows,
            totals: Some(sum),
            widths: vec![12],
        }
    }
}

/// Order amount and all that is taken of it.
fn figures(cut: &crate::domain::contract::Cut) -> [Cell; 8] {
    [
        Cell::Won(cut.order),
        Cell::Won(cut.discount),
        Cell::Won(cut.fee),
        Cell::Won(cut.fee_vat),
        Cell::Won(cut.additional),
        Cell::Won(cut.additional_vat),
        Cell::Won(cut.discount_share),
        Cell::Won(cut.payment_vat),
    ]
}

/// Without the order amount.
fn figure_headers(korean: bool) -> impl Iterator<Item = String> {
    [
        ("할인", "Discount"),
        ("수수료", "Fee"),
        ("수수료 부가세", "VAT of the fee"),
        ("추가 수수료", "Additional fees"),
        ("추가 수수료 부가세", "VAT of additional fees"),
        ("할인 분담", "Share of the discount"),
        ("결제 부가세", "VAT of the payment"),
    ]
    .into_iter()
    .map(move |(ko, en)| if korean { ko } else { en }.to_owned())
}

fn remark(row: &SettlementRow, korean: bool) -> String {
    let masked = |why: &Option<String>| why.as_deref().map(masked_text);
    match (
        masked(&row.hold),
        masked(&row.fail_reason),
        row.carried_into,
    ) {
        (Some(why), ..) if korean => format!("보류: {why}"),
        (Some(why), ..) => format!("held: {why}"),
        (None, Some(why), _) if korean => format!("지급 실패: {why}"),
        (None, Some(why), _) => format!("payout failed: {why}"),
        (None, None, Some(into)) if korean => format!("정산 {into}에 이월 반영"),
        (None, None, Some(into)) => format!("netted in settlement {into}"),
        _ => String::new(),
    }
}
