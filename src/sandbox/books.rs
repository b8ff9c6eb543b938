//! The books: what was charged, what was given back, what was registered.
//!
//! A payment is only ever added to: money that goes back is an entry in its cancel history, and
//! `cancel_amount` is the sum of that history. So the balance has one source, and [`Books::check`]
//! can recount it at any time.
//!
//! Pure but for the ledger file: the clock is handed in, HTTP is `v1`'s. What happened is written to
//! the ledger before it is taken into memory, hence before an answer leaves.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Write},
    path::Path,
    sync::Arc,
};

use serde::{Deserialize, Serialize};

/// PortOne searches at most this span at once: 90 days, in seconds.
pub const SEARCH_SPAN: i64 = 90 * 24 * 60 * 60;
/// The most payments on one page of a search.
pub const PAGE_LIMIT: usize = 1_000;
/// Bytes of ledger that are written at once when many payments are entered.
const LARGE_WRITE: usize = 1 << 20;

/// What PortOne says of a payment. There is no word for "partly cancelled": any cancel makes it
/// [`Status::Cancelled`], and only the amounts tell how much is left.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The window was opened, or a virtual account waits for its deposit.
    Ready,
    /// Charged.
    #[default]
    Paid,
    /// Something, perhaps all, was given back.
    Cancelled,
    /// Declined.
    Failed,
}

impl Status {
    /// All of them, in the order of [`Status`].
    pub const ALL: [Status; 4] = [
        Status::Ready,
        Status::Paid,
        Status::Cancelled,
        Status::Failed,
    ];

    /// The word on the wire.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Paid => "paid",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }

    /// Reads the word on the wire.
    pub fn parse(word: &str) -> Option<Status> {
        Self::ALL.into_iter().find(|status| status.word() == word)
    }
}

/// One time money went back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancel {
    /// PortOne's own id of this cancel.
    pub cancellation_id: String,
    /// The PG's transaction number of this cancel.
    pub pg_tid: String,
    /// What went back, in the currency's smallest unit.
    pub amount: i64,
    /// The tax-free part of `amount`.
    #[serde(default)]
    pub tax_free: i64,
    /// UNIX seconds.
    pub cancelled_at: i64,
    /// The reason as it was given.
    pub reason: String,
}

/// Who pays. Empty fields are not known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Buyer {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tel: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub addr: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postcode: Option<String>,
}

/// An account that was opened for one deposit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualAccount {
    pub bank_code: String,
    pub bank_name: String,
    pub number: String,
    pub holder: String,
    /// Deposit deadline, UNIX seconds.
    pub due_at: i64,
    /// UNIX seconds.
    pub issued_at: i64,
}

/// What most payments of a large test do not have, kept apart so that a million of them fit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Extra {
    pub buyer: Buyer,
    /// The merchant's own object, as JSON text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_data: Option<String>,
    /// Where webhooks of this payment go instead of the console's URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notice_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vbank: Option<VirtualAccount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vat_amount: Option<i64>,
    /// `pc`, `mobile` or `api`; `pc` when empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Cancels that were accepted but are not in the history yet.
    #[serde(skip)]
    pub pending: i64,
}

/// One try to pay an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// PortOne's id, one per try.
    #[serde(with = "shared")]
    pub imp_uid: Arc<str>,
    /// The merchant's id of the order; several tries may share it.
    #[serde(with = "shared")]
    pub merchant_uid: Arc<str>,
    /// The order's name.
    #[serde(with = "shared")]
    pub name: Arc<str>,
    /// `card`, `trans`, `vbank`, `phone`, `kakaopay` …
    #[serde(with = "shared")]
    pub method: Arc<str>,
    /// ISO 4217.
    #[serde(with = "shared")]
    pub currency: Arc<str>,
    pub status: Status,
    /// Made through a test channel.
    pub sandbox: bool,
    /// Charged, in the currency's smallest unit (won for KRW). Cancels do not shrink it.
    pub amount: i64,
    /// Given back in all: the sum of `cancels`.
    pub cancel_amount: i64,
    /// The tax-free part of `amount`.
    pub tax_free: i64,
    /// UNIX seconds; of the four, those that do not apply are 0.
    pub started_at: i64,
    pub paid_at: i64,
    pub failed_at: i64,
    /// When the last cancel was made.
    pub cancelled_at: i64,
    /// Oldest first.
    pub cancels: Vec<Cancel>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<Box<Extra>>,
}

impl Payment {
    /// What can still be given back.
    pub fn left(&self) -> i64 {
        self.amount - self.cancel_amount
    }

    /// The instant by which a search finds it: that of its present status.
    pub fn instant(&self) -> i64 {
        match self.status {
            Status::Ready => self.started_at,
            Status::Paid => self.paid_at,
            Status::Cancelled => self.cancelled_at,
            Status::Failed => self.failed_at,
        }
    }

    /// The virtual account, if it was paid, or is to be paid, into one.
    pub fn vbank(&self) -> Option<&VirtualAccount> {
        self.extra.as_ref()?.vbank.as_ref()
    }

    /// Where its webhooks go, if the payment said so itself.
    pub fn notice_url(&self) -> Option<&str> {
        self.extra.as_ref()?.notice_url.as_deref()
    }

    fn updated_at(&self) -> i64 {
        self.started_at
            .max(self.paid_at)
            .max(self.failed_at)
            .max(self.cancelled_at)
    }

    fn pending(&self) -> i64 {
        self.extra.as_ref().map_or(0, |extra| extra.pending)
    }
}

/// How many digits a currency has behind the point.
pub fn decimals(currency: &str) -> u32 {
    match currency {
        "KRW" | "JPY" | "VND" | "CLP" => 0,
        _ => 2,
    }
}

/// A payment to be entered. `NewPayment::default()` is a card payment, paid now, of nothing.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewPayment {
    pub merchant_uid: String,
    /// In the currency's smallest unit.
    pub amount: i64,
    pub name: String,
    pub method: String,
    pub buyer: Buyer,
    /// [`Status::Cancelled`] is not a beginning and enters as paid.
    pub status: Status,
    /// Made through a test channel: `GET /payments/{imp_uid}` hides it unless asked.
    pub sandbox: bool,
    pub currency: String,
    /// UNIX seconds at which it was paid (started, failed); now, if not said.
    pub paid_at: Option<i64>,
    pub tax_free: i64,
    pub vat_amount: Option<i64>,
    /// Drawn at random, if not said.
    pub imp_uid: Option<String>,
    pub custom_data: Option<String>,
    pub notice_url: Option<String>,
    pub fail_reason: Option<String>,
    pub channel: Option<String>,
    pub user_agent: Option<String>,
}

impl Default for NewPayment {
    fn default() -> Self {
        Self {
            merchant_uid: String::new(),
            amount: 0,
            name: String::new(),
            method: "card".to_owned(),
            buyer: Buyer::default(),
            status: Status::Paid,
            sandbox: false,
            currency: "KRW".to_owned(),
            paid_at: None,
            tax_free: 0,
            vat_amount: None,
            imp_uid: None,
            custom_data: None,
            notice_url: None,
            fail_reason: None,
            channel: None,
            user_agent: None,
        }
    }
}

/// A wish to give money back.
#[derive(Debug, Clone, Default)]
pub struct CancelOrder {
    /// Missing or 0 means all that is left.
    pub amount: Option<i64>,
    /// The tax-free part of `amount`.
    pub tax_free: Option<i64>,
    /// What the caller believes to be left. If it is not, nothing is done.
    pub checksum: Option<i64>,
    pub reason: String,
    /// A refund account was given; a virtual account cannot be refunded without.
    pub has_refund_account: bool,
}

/// A registered amount: the window does not open for another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    pub merchant_uid: String,
    /// In the currency's smallest unit.
    pub amount: i64,
    /// Compared only if said.
    pub currency: Option<String>,
}

/// A "no" in PortOne's words. `status` is the HTTP status it travels with: 200 for most.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (code {code})")]
pub struct Refusal {
    pub status: u16,
    pub code: i64,
    pub message: String,
}

impl Refusal {
    pub(crate) fn new(status: u16, code: i64, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    pub(crate) fn unknown_payment() -> Self {
        Self::new(404, -1, "존재하지 않는 결제정보입니다.")
    }

    fn no_payment_to_cancel() -> Self {
        Self::new(200, 1, "취소할 결제건이 존재하지 않습니다.")
    }
}

/// Why the books could not take something in.
#[derive(Debug, thiserror::Error)]
pub enum BooksError {
    #[error("payment `{0}` is in the books already")]
    Exists(String),
    #[error("payment `{0}` is not in the books")]
    Unknown(String),
    #[error("payment `{id}` is {status}: only a virtual account that waits takes a deposit", status = status.word())]
    NotWaiting { id: String, status: Status },
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the ledger cannot be written")]
    Ledger(#[from] std::io::Error),
    #[error("line {line} of the ledger is not readable: {why}")]
    Unreadable { line: usize, why: String },
}

/// The order of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sorting {
    by: SortKey,
    descending: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SortKey {
    Started,
    Paid,
    Updated,
}

impl Default for Sorting {
    fn default() -> Self {
        Self {
            by: SortKey::Started,
            descending: true,
        }
    }
}

impl Sorting {
    /// `-started`, `started`, `-paid`, `paid`, `-updated`, `updated`.
    pub fn parse(text: &str) -> Option<Self> {
        let (descending, key) = match text.strip_prefix('-') {
            Some(key) => (true, key),
            None => (false, text),
        };
        let by = match key {
            "started" => SortKey::Started,
            "paid" => SortKey::Paid,
            "updated" => SortKey::Updated,
            _ => return None,
        };
        Some(Self { by, descending })
    }
}

/// A page of a search.
pub struct Found<'a> {
    pub total: usize,
    /// Page number; 0 is none.
    pub previous: usize,
    pub next: usize,
    pub list: Vec<&'a Payment>,
}

/// One line of the ledger.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Entry<'a> {
    Payment(Cow<'a, Payment>),
    Cancel {
        imp_uid: Cow<'a, str>,
        cancel: Cow<'a, Cancel>,
    },
    Prepared(Cow<'a, Prepared>),
    /// Milliseconds that the books' clock is ahead, in all.
    Ahead(i64),
}

/// All payments, with what is needed to find them.
#[derive(Default)]
pub struct Books {
    payments: Vec<Payment>,
    by_imp_uid: HashMap<Arc<str>, u32>,
    by_merchant_uid: HashMap<Arc<str>, Vec<u32>>,
    /// Per status, by that status's own instant.
    by_instant: [BTreeSet<(i64, u32)>; 4],
    prepared: HashMap<String, Prepared>,
    ahead_ms: i64,
    ledger: Option<File>,
    /// Words that most payments share, kept once.
    words: BTreeMap<String, Arc<str>>,
}

impl Books {
    /// Books that remember: what the ledger file holds is taken in, and what happens is appended.
    /// A last line that was cut short never left as an answer, and is dropped.
    pub fn open(path: &Path) -> Result<Books, BooksError> {
        let mut books = Books::default();
        let mut whole = 0u64;
        if path.exists() {
            let mut reader = BufReader::new(File::open(path)?);
            let mut text = Vec::new();
            let mut line = 0;
            while reader.read_until(b'\n', &mut text)? > 0 {
                line += 1;
                if text.last() != Some(&b'\n') {
                    break;
                }
                let entry = serde_json::from_slice(&text).map_err(|why| {
                    let why = why.to_string();
                    BooksError::Unreadable { line, why }
                })?;
                books.take_in(entry);
                whole += text.len() as u64;
                text.clear();
            }
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        if file.metadata()?.len() > whole {
            file.set_len(whole)?;
        }
        books.ledger = Some(file);
        Ok(books)
    }

    /// Enters a payment at `now` and gives its `imp_uid`.
    pub fn pay(&mut self, new: NewPayment, now: i64) -> Result<Arc<str>, BooksError> {
        let payment = self.draft(new, now)?;
        self.write(&Entry::Payment(Cow::Borrowed(&payment)))?;
        let id = payment.imp_uid.clone();
        self.put(payment);
        Ok(id)
    }

    /// Enters many at once, in large writes. Should a write fail, the books hold what the ledger does
    /// not, and the error says so before anybody was answered.
    pub fn pay_many(
        &mut self,
        new: impl IntoIterator<Item = NewPayment>,
        now: i64,
    ) -> Result<Vec<Arc<str>>, BooksError> {
        let mut ids = Vec::new();
        let mut lines = Vec::new();
        let mut outcome = Ok(());
        for one in new {
            let payment = match self.draft(one, now) {
                Ok(payment) => payment,
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            };
            ids.push(payment.imp_uid.clone());
            if let Some(file) = &mut self.ledger {
                push_line(&mut lines, &Entry::Payment(Cow::Borrowed(&payment)));
                if lines.len() > LARGE_WRITE {
                    file.write_all(&lines)?;
                    lines.clear();
                }
            }
            self.put(payment);
        }
        if let Some(file) = &mut self.ledger {
            file.write_all(&lines)?;
        }
        outcome.map(|()| ids)
    }

    /// The payment with this `imp_uid`.
    pub fn get(&self, imp_uid: &str) -> Option<&Payment> {
        let index = *self.by_imp_uid.get(imp_uid)?;
        self.payments.get(index as usize)
    }

    /// All tries to pay an order, oldest first.
    pub fn of_order<'a>(&'a self, merchant_uid: &str) -> impl Iterator<Item = &'a Payment> + 'a {
        let of = self.by_merchant_uid.get(merchant_uid);
        of.into_iter().flatten().map(|&index| self.at(index))
    }

    /// The newest payments first.
    pub fn newest(&self, most: usize) -> impl Iterator<Item = &Payment> {
        self.payments.iter().rev().take(most)
    }

    /// How many payments there are.
    pub fn count(&self) -> usize {
        self.payments.len()
    }

    /// Which payment a cancel call means: `imp_uid` wins, and a wrong one is not made good by a
    /// right `merchant_uid`. Of an order's tries it is the one that was paid.
    pub fn to_cancel(
        &self,
        imp_uid: Option<&str>,
        merchant_uid: Option<&str>,
    ) -> Result<&Payment, Refusal> {
        match (imp_uid, merchant_uid) {
            (Some(id), _) => self.get(id).ok_or_else(Refusal::no_payment_to_cancel),
            (None, Some(order)) => self
                .of_order(order)
                .filter(|payment| matches!(payment.status, Status::Paid | Status::Cancelled))
                .last()
                .ok_or_else(Refusal::no_payment_to_cancel),
            (None, None) => Err(Refusal::new(
                400,
                -1,
                "imp_uid 또는 merchant_uid 중 하나는 필수입니다.",
            )),
        }
    }

    /// Gives money back: all checks, then the entry. Returns the new entry.
    pub fn cancel(
        &mut self,
        imp_uid: &str,
        order: &CancelOrder,
        now: i64,
    ) -> Result<Cancel, BooksError> {
        let cancel = self.agree(imp_uid, order, now)?;
        self.enter_cancel(imp_uid, &cancel)?;
        Ok(cancel)
    }

    /// The first half of an asynchronous cancel: all checks, and the amount is held back, but the
    /// history does not show it until [`Books::finish_cancel`].
    pub fn begin_cancel(
        &mut self,
        imp_uid: &str,
        order: &CancelOrder,
        now: i64,
    ) -> Result<Cancel, Refusal> {
        let cancel = self.agree(imp_uid, order, now)?;
        if let Some(payment) = self.get_mut(imp_uid) {
            payment.extra.get_or_insert_default().pending += cancel.amount;
        }
        Ok(cancel)
    }

    /// The second half of an asynchronous cancel.
    pub fn finish_cancel(
        &mut self,
        imp_uid: &str,
        mut cancel: Cancel,
        now: i64,
    ) -> Result<(), BooksError> {
        if let Some(payment) = self.get_mut(imp_uid) {
            payment.extra.get_or_insert_default().pending -= cancel.amount;
        }
        cancel.cancelled_at = now;
        self.enter_cancel(imp_uid, &cancel)
    }

    /// The money for a virtual account arrives.
    pub fn deposit(&mut self, imp_uid: &str, now: i64) -> Result<(), BooksError> {
        let payment = self
            .get(imp_uid)
            .ok_or_else(|| BooksError::Unknown(imp_uid.to_owned()))?;
        if payment.status != Status::Ready || payment.vbank().is_none() {
            return Err(BooksError::NotWaiting {
                id: imp_uid.to_owned(),
                status: payment.status,
            });
        }
        let mut paid = payment.clone();
        paid.status = Status::Paid;
        paid.paid_at = now;
        self.replace(paid)
    }

    /// The buyer's choice in an open window: pays it, issues a virtual account, or declines it.
    /// A window that is no longer open (paid, failed, issued) stays as it is.
    pub fn settle_window(
        &mut self,
        imp_uid: &str,
        method: &str,
        decline: Option<&str>,
        now: i64,
    ) -> Result<Payment, BooksError> {
        let payment = self
            .get(imp_uid)
            .ok_or_else(|| BooksError::Unknown(imp_uid.to_owned()))?;
        if payment.status != Status::Ready || payment.vbank().is_some() {
            return Ok(payment.clone());
        }
        let mut settled = payment.clone();
        settled.method = Arc::from(method);
        match decline {
            Some(why) => {
                settled.status = Status::Failed;
                settled.failed_at = now;
                settled.extra.get_or_insert_default().fail_reason = Some(why.to_owned());
            }
            None if method == "vbank" => {
                let account = new_account(now);
                settled.extra.get_or_insert_default().vbank = Some(account);
            }
            None => {
                settled.status = Status::Paid;
                settled.paid_at = now;
            }
        }
        self.replace(settled.clone())?;
        Ok(settled)
    }

    /// Registers an amount. Registering an order again is refused: that is [`Books::reprepare`].
    pub fn prepare(&mut self, prepared: Prepared) -> Result<(), BooksError> {
        if self.prepared.contains_key(&prepared.merchant_uid) {
            return Err(Refusal::new(
                200,
                1,
                "결제정보 사전등록에 실패하였습니다(이미 등록된 merchant_uid입니다).",
            )
            .into());
        }
        self.enter_prepared(prepared)
    }

    /// Changes a registered amount.
    pub fn reprepare(&mut self, prepared: Prepared) -> Result<(), BooksError> {
        if !self.prepared.contains_key(&prepared.merchant_uid) {
            return Err(Refusal::new(404, -1, "사전등록된 결제정보가 존재하지 않습니다.").into());
        }
        self.enter_prepared(prepared)
    }

    /// What was registered for an order.
    pub fn prepared(&self, merchant_uid: &str) -> Option<&Prepared> {
        self.prepared.get(merchant_uid)
    }

    /// How far the books' clock is ahead of the machine's, in milliseconds.
    pub fn ahead_ms(&self) -> i64 {
        self.ahead_ms
    }

    /// Keeps how far the clock is ahead: payments made in a moved time must not lie in the future
    /// after a restart.
    pub fn set_ahead_ms(&mut self, ms: i64) -> Result<(), BooksError> {
        self.write(&Entry::Ahead(ms))?;
        self.ahead_ms = ms;
        Ok(())
    }

    /// Payments of a status (any, if `None`) whose own instant lies in `from..=to`, UNIX seconds.
    pub fn search(
        &self,
        status: Option<Status>,
        (from, to): (i64, i64),
        sorting: Sorting,
        page: usize,
        limit: usize,
    ) -> Result<Found<'_>, Refusal> {
        if to < from || to - from > SEARCH_SPAN {
            return Err(Refusal::new(
                400,
                -1,
                "조회 기간은 최대 90일까지 지정할 수 있습니다.",
            ));
        }
        let which = match status {
            Some(one) => one as usize..one as usize + 1,
            None => 0..self.by_instant.len(),
        };
        let ids = which
            .flat_map(|index| self.by_instant[index].range((from, 0)..=(to, u32::MAX)))
            .map(|&(_, index)| index)
            .collect();
        self.page(ids, sorting, page, limit)
    }

    /// All tries to pay an order, paged.
    pub fn search_order(
        &self,
        merchant_uid: &str,
        status: Option<Status>,
        sorting: Sorting,
        page: usize,
        limit: usize,
    ) -> Result<Found<'_>, Refusal> {
        let of = self.by_merchant_uid.get(merchant_uid);
        let ids = of
            .into_iter()
            .flatten()
            .copied()
            .filter(|&index| status.is_none_or(|status| self.at(index).status == status))
            .collect();
        self.page(ids, sorting, page, limit)
    }

    /// Recounts everything and says, in words, what does not add up. Empty is good.
    pub fn check(&self) -> Vec<String> {
        let mut wrong = self.check_recent(self.payments.len());
        let indexed: usize = self.by_instant.iter().map(BTreeSet::len).sum();
        if indexed != self.payments.len() {
            wrong.push(format!(
                "{indexed} payments are indexed, {} are kept",
                self.payments.len()
            ));
        }
        wrong
    }

    /// Recounts the newest payments only.
    pub fn check_recent(&self, most: usize) -> Vec<String> {
        let mut wrong = Vec::new();
        for payment in self.newest(most) {
            let id = &payment.imp_uid;
            let sum: i64 = payment.cancels.iter().map(|cancel| cancel.amount).sum();
            if sum != payment.cancel_amount {
                wrong.push(format!(
                    "{id}: cancels sum to {sum}, cancel_amount says {}",
                    payment.cancel_amount
                ));
            }
            if sum > payment.amount {
                wrong.push(format!("{id}: {sum} was given back of {}", payment.amount));
            }
            if (payment.status == Status::Cancelled) == payment.cancels.is_empty() {
                wrong.push(format!(
                    "{id}: is {} with {} cancels",
                    payment.status.word(),
                    payment.cancels.len()
                ));
            }
            if payment.cancels.iter().any(|cancel| cancel.amount <= 0) {
                wrong.push(format!("{id}: a cancel of nothing"));
            }
            let mut ids: Vec<_> = payment
                .cancels
                .iter()
                .map(|cancel| &cancel.cancellation_id)
                .collect();
            ids.sort();
            ids.dedup();
            if ids.len() != payment.cancels.len() {
                wrong.push(format!("{id}: two cancels share an id"));
            }
        }
        wrong
    }

    fn at(&self, index: u32) -> &Payment {
        &self.payments[index as usize]
    }

    fn get_mut(&mut self, imp_uid: &str) -> Option<&mut Payment> {
        let index = *self.by_imp_uid.get(imp_uid)?;
        self.payments.get_mut(index as usize)
    }

    fn draft(&mut self, new: NewPayment, now: i64) -> Result<Payment, BooksError> {
        let imp_uid = match new.imp_uid {
            Some(id) if self.by_imp_uid.contains_key(id.as_str()) => {
                return Err(BooksError::Exists(id));
            }
            Some(id) => Arc::from(id),
            None => self.draw_id(),
        };
        let at = new.paid_at.unwrap_or(now);
        let status = match new.status {
            Status::Cancelled => Status::Paid,
            other => other,
        };
        let vbank = (status == Status::Ready && new.method == "vbank").then(|| new_account(at));
        let extra = Extra {
            buyer: new.buyer,
            custom_data: new.custom_data,
            notice_url: new.notice_url,
            fail_reason: match status {
                Status::Failed => Some(
                    new.fail_reason
                        .unwrap_or_else(|| "카드사 승인 거절".to_owned()),
                ),
                _ => None,
            },
            vbank,
            user_agent: new.user_agent,
            vat_amount: new.vat_amount,
            channel: new.channel,
            pending: 0,
        };
        Ok(Payment {
            imp_uid,
            merchant_uid: Arc::from(new.merchant_uid),
            name: self.word(&new.name),
            method: self.word(&new.method),
            currency: self.word(&new.currency),
            status,
            sandbox: new.sandbox,
            amount: new.amount,
            cancel_amount: 0,
            tax_free: new.tax_free,
            started_at: at,
            paid_at: if status == Status::Paid { at } else { 0 },
            failed_at: if status == Status::Failed { at } else { 0 },
            cancelled_at: 0,
            cancels: Vec::new(),
            extra: (extra != Extra::default()).then(|| Box::new(extra)),
        })
    }

    /// All a cancel must pass, without doing it.
    fn agree(&self, imp_uid: &str, order: &CancelOrder, now: i64) -> Result<Cancel, Refusal> {
        let payment = self
            .get(imp_uid)
            .ok_or_else(Refusal::no_payment_to_cancel)?;
        if matches!(payment.status, Status::Ready | Status::Failed) {
            return Err(Refusal::no_payment_to_cancel());
        }
        let left = payment.left();
        if left == 0 {
            return Err(Refusal::new(200, 1, "이미 전액취소된 주문입니다."));
        }
        if let Some(checksum) = order.checksum.filter(|&checksum| checksum != left) {
            return Err(Refusal::new(
                200,
                1,
                format!("취소 가능 잔액 검증에 실패하였습니다(요청 {checksum}, 잔액 {left})."),
            ));
        }
        let free = left - payment.pending();
        let amount = match order.amount {
            None | Some(0) => free,
            Some(amount) => amount,
        };
        if amount < 0 {
            return Err(Refusal::new(400, -1, "취소 금액이 올바르지 않습니다."));
        }
        if amount == 0 || amount > free {
            return Err(Refusal::new(
                200,
                1,
                format!("취소 요청 금액이 취소 가능 금액보다 큽니다(요청 {amount}, 잔액 {free})."),
            ));
        }
        let tax_free = order.tax_free.unwrap_or(0);
        let given: i64 = payment.cancels.iter().map(|cancel| cancel.tax_free).sum();
        if tax_free < 0 || tax_free > amount || given + tax_free > payment.tax_free {
            return Err(Refusal::new(
                200,
                -1,
                "결제취소에 실패하였습니다. 면세 금액이 취소 가능한 면세 금액보다 큽니다.",
            ));
        }
        if payment.vbank().is_some() && !order.has_refund_account {
            return Err(Refusal::new(
                200,
                -1,
                "결제취소에 실패하였습니다. 가상계좌는 환불 계좌(은행, 계좌번호, 예금주)가 필요합니다.",
            ));
        }
        let id = rand::random::<u64>();
        Ok(Cancel {
            cancellation_id: format!("{id:016x}"),
            pg_tid: format!("{}C{}", pg_tid(payment), payment.cancels.len() + 1),
            amount,
            tax_free,
            cancelled_at: now,
            reason: order.reason.clone(),
        })
    }

    fn enter_cancel(&mut self, imp_uid: &str, cancel: &Cancel) -> Result<(), BooksError> {
        let entry = Entry::Cancel {
            imp_uid: Cow::Borrowed(imp_uid),
            cancel: Cow::Borrowed(cancel),
        };
        self.write(&entry)?;
        self.put_cancel(imp_uid, cancel.clone());
        Ok(())
    }

    fn enter_prepared(&mut self, prepared: Prepared) -> Result<(), BooksError> {
        self.write(&Entry::Prepared(Cow::Borrowed(&prepared)))?;
        self.prepared
            .insert(prepared.merchant_uid.clone(), prepared);
        Ok(())
    }

    fn replace(&mut self, payment: Payment) -> Result<(), BooksError> {
        self.write(&Entry::Payment(Cow::Borrowed(&payment)))?;
        self.put(payment);
        Ok(())
    }

    /// One write call a line, so that a cut leaves at most one torn line. It reaches the operating
    /// system, not the disk: the books outlive the process, which is what a restart needs.
    fn write(&mut self, entry: &Entry<'_>) -> Result<(), BooksError> {
        if let Some(file) = &mut self.ledger {
            let mut line = Vec::new();
            push_line(&mut line, entry);
            file.write_all(&line)?;
        }
        Ok(())
    }

    fn take_in(&mut self, entry: Entry<'_>) {
        match entry {
            Entry::Payment(payment) => self.put(payment.into_owned()),
            Entry::Cancel { imp_uid, cancel } => self.put_cancel(&imp_uid, cancel.into_owned()),
            Entry::Ahead(ms) => self.ahead_ms = ms,
            Entry::Prepared(prepared) => {
                let prepared = prepared.into_owned();
                self.prepared
                    .insert(prepared.merchant_uid.clone(), prepared);
            }
        }
    }

    /// Enters a payment, or puts it in the place of its former self.
    fn put(&mut self, payment: Payment) {
        let key = (payment.instant(), 0);
        match self.by_imp_uid.get(&payment.imp_uid) {
            Some(&index) => {
                let old = &self.payments[index as usize];
                self.by_instant[old.status as usize].remove(&(old.instant(), index));
                self.by_instant[payment.status as usize].insert((key.0, index));
                self.payments[index as usize] = payment;
            }
            None => {
                let index = self.payments.len() as u32;
                self.by_imp_uid.insert(payment.imp_uid.clone(), index);
                self.by_merchant_uid
                    .entry(payment.merchant_uid.clone())
                    .or_insert_with(|| Vec::with_capacity(1))
                    .push(index);
                self.by_instant[payment.status as usize].insert((key.0, index));
                self.payments.push(payment);
            }
        }
    }

    fn put_cancel(&mut self, imp_uid: &str, cancel: Cancel) {
        let Some(&index) = self.by_imp_uid.get(imp_uid) else {
            return;
        };
        let payment = &mut self.payments[index as usize];
        let before = (payment.status, payment.instant());
        payment.status = Status::Cancelled;
        payment.cancel_amount += cancel.amount;
        payment.cancelled_at = cancel.cancelled_at;
        payment.cancels.push(cancel);
        let after = payment.instant();
        self.by_instant[before.0 as usize].remove(&(before.1, index));
        self.by_instant[Status::Cancelled as usize].insert((after, index));
    }

    fn page(
        &self,
        mut ids: Vec<u32>,
        sorting: Sorting,
        page: usize,
        limit: usize,
    ) -> Result<Found<'_>, Refusal> {
        let total = ids.len();
        let start = (page - 1).saturating_mul(limit);
        if page > 1 && start >= total {
            return Err(Refusal::new(400, -1, "존재하지 않는 페이지입니다."));
        }
        let key = |index: &u32| {
            let payment = self.at(*index);
            let at = match sorting.by {
                SortKey::Started => payment.started_at,
                SortKey::Paid => payment.paid_at,
                SortKey::Updated => payment.updated_at(),
            };
            (at, *index)
        };
        if sorting.descending {
            ids.sort_by_cached_key(|index| std::cmp::Reverse(key(index)));
        } else {
            ids.sort_by_cached_key(key);
        }
        let list: Vec<_> = ids
            .iter()
            .skip(start)
            .take(limit)
            .map(|&index| self.at(index))
            .collect();
        Ok(Found {
            total,
            previous: page - 1,
            next: if start + list.len() < total {
                page + 1
            } else {
                0
            },
            list,
        })
    }

    fn draw_id(&self) -> Arc<str> {
        loop {
            let id = format!("imp_{:012}", rand::random::<u64>() % 1_000_000_000_000);
            if !self.by_imp_uid.contains_key(id.as_str()) {
                return Arc::from(id);
            }
        }
    }

    fn word(&mut self, word: &str) -> Arc<str> {
        if let Some(known) = self.words.get(word) {
            return known.clone();
        }
        let new: Arc<str> = Arc::from(word);
        if self.words.len() < 1_000 {
            self.words.insert(word.to_owned(), new.clone());
        }
        new
    }
}

/// `Arc<str>` in the ledger.
mod shared {
    use super::Arc;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(text)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<str>, D::Error> {
        String::deserialize(from).map(Arc::from)
    }
}

/// The PG's transaction number, made from the payment's id, so that it needs no memory.
pub fn pg_tid(payment: &Payment) -> String {
    format!("SBX{}", payment.imp_uid.trim_start_matches("imp_"))
}

fn push_line(lines: &mut Vec<u8>, entry: &Entry<'_>) {
    // Strings and integers into memory: there is nothing that could fail.
    if serde_json::to_writer(&mut *lines, entry).is_ok() {
        lines.push(b'\n');
    }
}

fn new_account(now: i64) -> VirtualAccount {
    let number = rand::random::<u64>() % 100_000_000;
    VirtualAccount {
        bank_code: "088".to_owned(),
        bank_name: "신한은행".to_owned(),
        number: format!("5620-{:04}-{:04}", number / 10_000, number % 10_000),
        holder: "샌드박스상점".to_owned(),
        due_at: now + 3 * 24 * 60 * 60,
        issued_at: now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paid(id: &str, order: &str, amount: i64, at: i64) -> NewPayment {
        NewPayment {
            imp_uid: Some(id.to_owned()),
            merchant_uid: order.to_owned(),
            amount,
            paid_at: Some(at),
            ..NewPayment::default()
        }
    }

    fn part(amount: i64, checksum: i64) -> CancelOrder {
        CancelOrder {
            amount: Some(amount),
            checksum: Some(checksum),
            ..CancelOrder::default()
        }
    }

    #[test]
    fn a_replayed_cancel_is_refused_by_its_checksum() {
        let mut books = Books::default();
        books.pay(paid("imp_1", "o1", 10_000, 5), 5).unwrap();
        books.cancel("imp_1", &part(1_000, 10_000), 6).unwrap();
        let again = books.cancel("imp_1", &part(1_000, 10_000), 7);
        assert!(matches!(again, Err(BooksError::Refused(_))));
        assert_eq!(books.get("imp_1").unwrap().left(), 9_000);
        assert!(books.check().is_empty());
    }

    #[test]
    fn a_cancelled_payment_leaves_its_old_window_and_is_found_in_the_new() {
        let mut books = Books::default();
        books.pay(paid("imp_1", "o1", 10_000, 100), 100).unwrap();
        books.cancel("imp_1", &part(3_000, 10_000), 500).unwrap();
        let found = |books: &Books, status, from, to| {
            let page = books.search(status, (from, to), Sorting::default(), 1, 20);
            page.map(|page| page.total).unwrap()
        };
        assert_eq!(found(&books, Some(Status::Paid), 0, 1_000), 0);
        assert_eq!(found(&books, Some(Status::Cancelled), 100, 100), 0);
        assert_eq!(found(&books, Some(Status::Cancelled), 500, 500), 1);
        assert_eq!(found(&books, None, 0, 1_000), 1);
    }

    #[test]
    fn what_an_asynchronous_cancel_holds_cannot_be_given_back_twice() {
        let mut books = Books::default();
        books.pay(paid("imp_1", "o1", 10_000, 1), 1).unwrap();
        let first = books.begin_cancel("imp_1", &part(10_000, 10_000), 2);
        assert_eq!(books.get("imp_1").unwrap().cancel_amount, 0);
        assert!(books.cancel("imp_1", &part(10_000, 10_000), 3).is_err());
        books.finish_cancel("imp_1", first.unwrap(), 4).unwrap();
        assert_eq!(books.get("imp_1").unwrap().cancel_amount, 10_000);
        assert!(books.check().is_empty());
    }

    proptest::proptest! {
        /// Whatever is asked, in whatever order: never more goes back than came, the books add up,
        /// and the ledger tells the same story.
        #[test]
        fn the_books_add_up_and_replay(
            steps in proptest::collection::vec((0u8..5, 0usize..3, -10i64..600, 0i64..1_200), 1..60),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("ledger.jsonl");
            let mut books = Books::open(&path).unwrap();
            let ids = ["imp_a", "imp_b", "imp_c"];
            for id in ids {
                books.pay(paid(id, id, 1_000, 10), 10).unwrap();
            }
            let mut later = Vec::new();
            for (now, (what, which, amount, checksum)) in (11..).zip(steps) {
                let id = ids[which];
                let left = books.get(id).unwrap().left();
                let checked = CancelOrder { amount: Some(amount), ..CancelOrder::default() };
                let done = match what {
                    0 => books.cancel(id, &part(amount, checksum), now).is_ok(),
                    1 => books.cancel(id, &checked, now).is_ok(),
                    2 => {
                        if let Ok(cancel) = books.begin_cancel(id, &checked, now) {
                            later.push((id, cancel));
                        }
                        false
                    }
                    3 => match later.pop() {
                        Some((id, cancel)) => {
                            books.finish_cancel(id, cancel, now).unwrap();
                            continue;
                        }
                        None => false,
                    },
                    _ => books.cancel(id, &CancelOrder::default(), now).is_ok(),
                };
                let back = left - books.get(id).unwrap().left();
                proptest::prop_assert_eq!(back > 0, done);
                proptest::prop_assert!(what != 0 || !done || checksum == left);
            }
            proptest::prop_assert_eq!(books.check(), Vec::<String>::new());
            for (id, cancel) in later {
                books.finish_cancel(id, cancel, 99).unwrap();
            }
            proptest::prop_assert_eq!(books.check(), Vec::<String>::new());
            let again = Books::open(&path).unwrap();
            proptest::prop_assert_eq!(again.check(), Vec::<String>::new());
            for id in ids {
                let (then, now) = (books.get(id).unwrap(), again.get(id).unwrap());
                proptest::prop_assert_eq!(&then.cancels, &now.cancels);
                proptest::prop_assert_eq!(then.status, now.status);
            }
        }
    }

    #[test]
    fn a_ledger_with_a_torn_last_line_opens_without_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.jsonl");
        {
            let mut books = Books::open(&path).unwrap();
            books.pay(paid("imp_1", "o1", 10_000, 1), 1).unwrap();
            books.cancel("imp_1", &part(4_000, 10_000), 2).unwrap();
        }
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"cancel\":{\"imp_uid\":\"imp_1\"")
            .unwrap();
        let mut books = Books::open(&path).unwrap();
        assert_eq!(books.get("imp_1").unwrap().left(), 6_000);
        books.cancel("imp_1", &part(6_000, 6_000), 3).unwrap();
        let books = Books::open(&path).unwrap();
        assert_eq!(books.get("imp_1").unwrap().left(), 0);
        assert!(books.check().is_empty());
    }
}
