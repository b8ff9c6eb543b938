//! Reads a bank's result file against the payouts of a batch. Writes nothing.
//!
//! A row is believed only if it can mean one payout: by our reference, which banks cut or leave out,
//! or else by account and amount. What is unknown, could be two payouts, stands twice or differs in its
//! amount is an error that names the row, and then nothing of the file is taken. The words that come out
//! go through [`crate::flow::pay_out::decide`]; the same file again is known before.

use std::collections::BTreeMap;

use rusqlite::Connection;

use crate::{
    flow::{
        approve,
        pay_out::{PayoutError, Word},
    },
    sheet::{
        CellError, Said,
        bank::{BankTemplate, Outcome, read_result},
    },
    store::{
        StoreError,
        payouts::{self, PayoutRow, PayoutState},
    },
};

#[derive(Debug, thiserror::Error)]
pub enum ResultError {
    #[error("no payout batch {0} is known here")]
    NoBatch(i64),
    #[error("the bank's file cannot be taken: {}", .0.first().map(ToString::to_string).unwrap_or_default())]
    Rows(Vec<CellError>),
    #[error(transparent)]
    Payout(#[from] PayoutError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A row of the file and the payout that it is about.
#[derive(Clone, Debug)]
pub struct Matched {
    /// As the person sees it, counted from 1.
    pub line: usize,
    /// As it stands in the books now.
    pub payout: PayoutRow,
    pub word: Word,
}

impl Matched {
    /// The books say so already.
    pub fn is_known(&self) -> bool {
        self.payout.state == self.word.state()
    }
}

/// What a file says about a batch.
#[derive(Clone, Debug, Default)]
pub struct BankResult {
    /// In the order of the file.
    pub matched: Vec<Matched>,
    /// Payouts that wait, and of which the file says nothing. They go on waiting.
    pub unmentioned: Vec<PayoutRow>,
}

impl BankResult {
    /// For [`crate::flow::pay_out::decide`].
    pub fn words(&self) -> Vec<(i64, Word)> {
        let words = self.matched.iter();
        words.map(|m| (m.payout.id, m.word.clone())).collect()
    }
}

/// Reads `bytes` by the template and finds the payout of every row. All that is wrong, at once.
pub fn read_bank_result(
    conn: &Connection,
    batch: i64,
    template: &BankTemplate,
    bytes: &[u8],
) -> Result<BankResult, ResultError> {
    if payouts::batch(conn, batch)?.is_none() {
        return Err(ResultError::NoBatch(batch));
    }
    // The bank has no word on what nobody may have given it.
    if let Some(approval) = approve::waits_for(conn, batch)? {
        return Err(PayoutError::Waits { batch, approval }.into());
    }
    let rows = payouts::of_batch(conn, batch)?;
    let outcomes = read_result(template, bytes).map_err(ResultError::Rows)?;
    match_all(batch, &rows, &outcomes).map_err(ResultError::Rows)
}

/// Every row's payout, or all that is wrong.
fn match_all(
    batch: i64,
    rows: &[PayoutRow],
    outcomes: &[Outcome],
) -> Result<BankResult, Vec<CellError>> {
    let mut found: Vec<Matched> = Vec::new();
    let mut wrong = Vec::new();
    let mut first: BTreeMap<i64, (usize, Word)> = BTreeMap::new();
    for outcome in outcomes {
        let row = match find(batch, rows, outcome) {
            Ok(row) => row,
            Err(said) => {
                wrong.push(CellError::row(outcome.line, said));
                continue;
            }
        };
        let word = word_of(outcome);
        if let Some((line, other)) = first.get(&row.id) {
            wrong.push(CellError::row(
                outcome.line,
                twice(row, *line, other.state() != word.state()),
            ));
            continue;
        }
        first.insert(row.id, (outcome.line, word.clone()));
        if row.state != PayoutState::Waiting && row.state != word.state() {
            wrong.push(CellError::row(outcome.line, decided(row, &word)));
            continue;
        }
        found.push(Matched {
            line: outcome.line,
            payout: row.clone(),
            word,
        });
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let waits =
        |row: &&PayoutRow| row.state == PayoutState::Waiting && !first.contains_key(&row.id);
    Ok(BankResult {
        unmentioned: rows.iter().filter(waits).cloned().collect(),
        matched: found,
    })
}

/// What the row says, in words that can be kept.
fn word_of(outcome: &Outcome) -> Word {
    if outcome.paid {
        return Word::Paid;
    }
    let reason: String = outcome
        .reason
        .as_deref()
        .unwrap_or_default()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(200)
        .collect();
    Word::Failed(match reason.trim() {
        "" => "은행이 이체하지 못함(사유 미기재)".to_owned(),
        reason => reason.to_owned(),
    })
}

/// The payout that a row is about.
fn find<'a>(batch: i64, rows: &'a [PayoutRow], outcome: &Outcome) -> Result<&'a PayoutRow, Said> {
    let reference = outcome.reference.as_deref().and_then(Reference::read);
    let mut among: Vec<&PayoutRow> = rows.iter().collect();
    if let Some(reference) = &reference {
        if let Some(other) = reference.batch.filter(|other| *other != batch) {
            return Err(Said::new(
                format!(
                    "지급번호 `{}`은(는) 다른 지급 묶음({other})의 것입니다. 이 묶음은 {batch}번입니다.",
                    reference.text
                ),
                format!(
                    "the reference `{}` is of batch {other}, but this is batch {batch}",
                    reference.text
                ),
            ));
        }
        let begins: Vec<&PayoutRow> = rows
            .iter()
            .filter(|row| row.reference().starts_with(&reference.text))
            .collect();
        match begins[..] {
            // Nobody else's, and whole: enough by itself.
            [one] if one.reference() == reference.text => return fits(one, outcome),
            [] if reference.batch.is_some() => {
                return Err(Said::new(
                    format!("이 묶음에 없는 지급번호입니다(`{}`).", reference.text),
                    format!("no payout of this batch is called `{}`", reference.text),
                ));
            }
            [] => {}
            _ => among = begins,
        }
    }
    by_account(&among, outcome)
}

/// Checks what else the row says about the payout that its reference names.
fn fits<'a>(row: &'a PayoutRow, outcome: &Outcome) -> Result<&'a PayoutRow, Said> {
    if let Some(account) = &outcome.account
        && !same_account(&row.account, account)
    {
        return Err(Said::new(
            format!(
                "지급 {}의 계좌는 {}인데 파일에는 {account}(으)로 적혀 있습니다.",
                row.reference(),
                row.account
            ),
            format!(
                "payout {} goes to account {}, but the file says {account}",
                row.reference(),
                row.account
            ),
        ));
    }
    match outcome.amount {
        Some(amount) if amount != row.amount => Err(other_amount(row, outcome)),
        _ => Ok(row),
    }
}

fn other_amount(row: &PayoutRow, outcome: &Outcome) -> Said {
    let told = outcome.amount.unwrap_or_default();
    Said::new(
        format!(
            "지급 {}의 금액은 {}원인데 파일에는 {told}원으로 적혀 있습니다.",
            row.reference(),
            row.amount
        ),
        format!(
            "payout {} is of {} won, but the file says {told} won",
            row.reference(),
            row.amount
        ),
    )
}

fn by_account<'a>(among: &[&'a PayoutRow], outcome: &Outcome) -> Result<&'a PayoutRow, Said> {
    let Some(account) = outcome.account.as_deref() else {
        return Err(Said::new(
            "지급번호가 잘렸거나 이 묶음의 것이 아니고 계좌번호도 없어 어느 지급인지 알 수 없습니다.",
            "the reference is cut or not of this batch, and there is no account: it could be any payout",
        ));
    };
    let Some(amount) = outcome.amount else {
        return Err(Said::new(
            "금액이 비어 있습니다. 지급번호가 없는 행은 계좌번호와 금액으로 찾습니다.",
            "the amount is empty: a row without a whole reference is found by account and amount",
        ));
    };
    let theirs: Vec<&PayoutRow> = among
        .iter()
        .copied()
        .filter(|row| same_account(&row.account, account))
        .collect();
    let same: Vec<&PayoutRow> = theirs
        .iter()
        .copied()
        .filter(|row| row.amount == amount)
        .collect();
    match (&same[..], &theirs[..]) {
        ([one], _) => Ok(one),
        ([], [one]) => Err(other_amount(one, outcome)),
        ([], _) => Err(Said::new(
            format!("이 묶음에는 계좌 {account}(으)로 {amount}원을 보내는 지급이 없습니다."),
            format!("no payout of this batch sends {amount} won to account {account}"),
        )),
        (several, _) => {
            let names: Vec<String> = several.iter().map(|row| row.reference()).collect();
            let names = names.join(", ");
            Err(Said::new(
                format!(
                    "어느 지급인지 가릴 수 없습니다({names}: 계좌와 금액이 같음). 이 행을 빼고 올린 뒤 손으로 표시하세요."
                ),
                format!(
                    "it could be any of {names}, which share account and amount: leave the row out and mark them by hand"
                ),
            ))
        }
    }
}

fn twice(row: &PayoutRow, line: usize, contradicts: bool) -> Said {
    let reference = row.reference();
    if contradicts {
        Said::new(
            format!("지급 {reference}이(가) {line}행과 다르게 적혀 있습니다. 은행에 확인하세요."),
            format!("payout {reference} stands otherwise in row {line}: ask the bank"),
        )
    } else {
        Said::new(
            format!(
                "지급 {reference}이(가) {line}행에도 있습니다. 두 번 이체되지 않았는지 확인하세요."
            ),
            format!("payout {reference} stands in row {line} as well: was it transferred twice?"),
        )
    }
}

fn decided(row: &PayoutRow, word: &Word) -> Said {
    let (reference, state, says) = (row.reference(), row.state.as_str(), word.state().as_str());
    Said::new(
        format!(
            "지급 {reference}은(는) 이미 {state}인데 파일에는 {says}(으)로 되어 있습니다. 은행에 확인하세요."
        ),
        format!("payout {reference} is {state} already, but the file says {says}: ask the bank"),
    )
}

/// A text that may be our reference, whole or cut at its end.
struct Reference {
    text: String,
    /// If it reaches as far as the hyphen.
    batch: Option<i64>,
}

impl Reference {
    /// `None`: the text is something else, such as the name that the bank prints there.
    fn read(text: &str) -> Option<Reference> {
        let text = text.trim().to_uppercase();
        let digits = text.strip_prefix('P')?;
        let plain = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let batch = match digits.split_once('-') {
            Some((batch, id)) if plain(id) => Some(batch.parse().ok().filter(|_| plain(batch))?),
            Some(_) => return None,
            None if plain(digits) => None,
            None => return None,
        };
        Some(Reference { text, batch })
    }
}

/// The fewest digits by which a masked account is told.
const VISIBLE: usize = 3;

/// Whether the bank's way of writing an account can be ours: digits, perhaps without the zeros that a
/// spreadsheet takes away, perhaps with `*` in place of some.
fn same_account(ours: &str, theirs: &str) -> bool {
    if !theirs.contains('*') {
        let bare = |account: &str| account.trim_start_matches('0').to_owned();
        return ours == theirs || bare(ours) == bare(theirs);
    }
    if theirs.chars().filter(char::is_ascii_digit).count() < VISIBLE {
        return false;
    }
    if theirs.chars().count() == ours.chars().count() {
        let mut pairs = ours.chars().zip(theirs.chars());
        return pairs.all(|(a, b)| b == '*' || a == b);
    }
    // Some banks write as many stars as they like.
    let (head, rest) = theirs.split_once('*').unwrap_or((theirs, ""));
    let tail = rest.rsplit_once('*').map_or(rest, |(_, tail)| tail);
    ours.len() >= head.len() + tail.len() && ours.starts_with(head) && ours.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::Won;

    fn payout(id: i64, account: &str, amount: i64) -> PayoutRow {
        PayoutRow {
            id,
            batch: 12,
            partner: format!("partner-{id}"),
            partner_name: format!("상회 {id}"),
            state: PayoutState::Waiting,
            gross: Won::new(amount),
            income_tax: Won::ZERO,
            local_tax: Won::ZERO,
            amount: Won::new(amount),
            bank: "004".into(),
            account: account.into(),
            holder: "홍길동".into(),
            reason: None,
            decided_at: None,
            decided_by: None,
            settlements: 1,
        }
    }

    fn outcome(
        line: usize,
        reference: Option<&str>,
        account: Option<&str>,
        amount: Option<i64>,
        paid: bool,
    ) -> Outcome {
        Outcome {
            line,
            reference: reference.map(ToOwned::to_owned),
            account: account.map(ToOwned::to_owned),
            amount: amount.map(Won::new),
            paid,
            reason: None,
        }
    }

    fn rows() -> Vec<PayoutRow> {
        vec![
            payout(3, "0012301000003", 1_000),
            payout(34, "0012301000034", 2_000),
            payout(5, "110123456789", 3_000),
            payout(6, "110123456789", 3_000),
        ]
    }

    fn ids(outcomes: &[Outcome]) -> Result<Vec<i64>, Vec<String>> {
        match match_all(12, &rows(), outcomes) {
            Ok(result) => Ok(result.matched.iter().map(|m| m.payout.id).collect()),
            Err(wrong) => Err(wrong.iter().map(ToString::to_string).collect()),
        }
    }

    #[test]
    fn a_row_is_found_by_its_reference_or_by_account_and_amount() {
        for (row, id) in [
            (outcome(2, Some("P12-34"), None, None, true), 34),
            (outcome(2, Some(" p12-5 "), None, Some(3_000), true), 5),
            // `P12-3` may be a cut `P12-34`: the account and the amount tell.
            (
                outcome(2, Some("P12-3"), Some("0012301000034"), Some(2_000), true),
                34,
            ),
            (
                outcome(2, Some("P12-"), Some("0012301000003"), Some(1_000), true),
                3,
            ),
            (
                outcome(
                    2,
                    Some("정산상점"),
                    Some("0012301000003"),
                    Some(1_000),
                    true,
                ),
                3,
            ),
            (outcome(2, None, Some("12301000003"), Some(1_000), true), 3),
            (
                outcome(2, None, Some("00123*****034"), Some(2_000), true),
                34,
            ),
            (outcome(2, None, Some("0012**034"), Some(2_000), true), 34),
        ] {
            assert_eq!(ids(std::slice::from_ref(&row)), Ok(vec![id]), "{row:?}");
        }
    }

    #[test]
    fn what_could_be_another_payout_is_an_error_that_names_its_row() {
        for (row, expected) in [
            (
                outcome(2, Some("P12-34"), None, Some(9), true),
                "payout P12-34 is of 2,000 won, but the file says 9 won",
            ),
            (
                outcome(2, Some("P12-34"), Some("999999"), Some(2_000), true),
                "goes to account 0012301000034",
            ),
            (outcome(2, Some("P11-3"), None, None, true), "of batch 11"),
            (
                outcome(2, Some("P12-9"), None, None, true),
                "no payout of this batch is called",
            ),
            (
                outcome(2, Some("P12-3"), None, None, true),
                "there is no account",
            ),
            (
                outcome(2, None, Some("110123456789"), Some(3_000), true),
                "any of P12-5, P12-6",
            ),
            (
                outcome(2, None, Some("0012301000003"), Some(7), true),
                "is of 1,000 won",
            ),
            (
                outcome(2, None, Some("777777"), Some(1_000), true),
                "no payout of this batch sends",
            ),
            (
                outcome(2, None, Some("***********03"), Some(1_000), true),
                "no payout of this batch",
            ),
            (
                outcome(2, None, Some("0012301000003"), None, true),
                "the amount is empty",
            ),
        ] {
            let wrong = ids(std::slice::from_ref(&row)).unwrap_err();
            assert!(
                wrong.len() == 1 && wrong[0].starts_with("row 2: ") && wrong[0].contains(expected),
                "{wrong:?}"
            );
        }
    }

    #[test]
    fn rows_do_not_repeat_or_contradict_one_another_and_all_errors_come_at_once() {
        let wrong = ids(&[
            outcome(2, Some("P12-34"), None, None, true),
            outcome(3, Some("P12-34"), None, None, true),
            outcome(4, Some("P12-34"), None, None, false),
            outcome(5, None, Some("777777"), Some(1), true),
        ])
        .unwrap_err();
        assert_eq!(wrong.len(), 3);
        assert!(wrong[0].starts_with("row 3: ") && wrong[0].contains("row 2 as well"));
        assert!(wrong[1].starts_with("row 4: ") && wrong[1].contains("otherwise in row 2"));
        assert!(wrong[2].starts_with("row 5: "));
    }

    #[test]
    fn what_is_decided_is_known_or_refused() {
        let mut rows = rows();
        rows[1].state = PayoutState::Paid;
        let paid = outcome(2, Some("P12-34"), None, None, true);
        let result = match_all(12, &rows, &[paid]).unwrap();
        assert!(result.matched[0].is_known());
        assert_eq!(result.unmentioned.len(), 3);
        let failed = outcome(2, Some("P12-34"), None, None, false);
        let wrong = match_all(12, &rows, &[failed]).unwrap_err();
        assert!(wrong[0].en.contains("PAID already"), "{}", wrong[0].en);
    }

    #[test]
    fn a_failure_always_has_a_reason() {
        let mut failed = outcome(2, Some("P12-34"), None, None, false);
        assert!(matches!(word_of(&failed), Word::Failed(why) if why.contains("사유 미기재")));
        failed.reason = Some("예금주\n불일치".into());
        assert_eq!(word_of(&failed), Word::Failed("예금주 불일치".into()));
    }
}
