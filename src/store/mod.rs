//! One SQLite file: a writer thread with group commit, and a pool of readers.
//!
//! [`Store::write`] sends a closure to the writer thread, which runs as many as wait inside one
//! `BEGIN IMMEDIATE … COMMIT`, each in its own savepoint, and answers after the commit: what was
//! answered is on disk (`synchronous=FULL`). The channel is bounded; when it is full the caller gets
//! [`StoreError::Busy`] at once, which is the back-pressure of the whole system.
//!
//! A limit that is bound stands in a sum, `limit ?1 + 0`, where pages ask for it: SQLite prepares a statement anew
//! whenever the value of a limit by itself is bound.
//!
//! Checkpoints run on a connection of their own, off the commit path. Nothing that waits for the
//! network may run inside a closure.

pub mod accounts;
pub mod acting;
pub mod adjustments;
pub mod admin;
pub mod alerts;
pub mod api_keys;
pub mod approvals;
pub mod asked_once;
pub mod attention;
pub mod audit;
pub mod backup;
pub mod books;
pub mod buyers;
pub mod calendar;
pub mod cancellations;
pub mod clock;
pub mod contracts;
mod directory;
pub mod episodes;
pub mod events;
pub mod figures;
pub mod find;
pub mod forgetting;
pub mod glance;
pub mod history;
pub mod inbox;
pub mod job_lists;
pub mod job_minutes;
pub mod jobs;
pub mod leases;
pub mod letters;
pub mod line_sums;
pub mod movements;
pub mod orders;
pub mod partners;
pub mod payment_lists;
mod payment_paths;
pub mod payments;
pub mod payouts;
#[cfg(test)]
mod plans;
pub mod preferences;
pub mod presence;
pub mod progress;
pub mod published;
pub mod replay;
pub mod rules;
pub mod schedules;
pub mod search;
pub mod sessions;
pub mod settlements;
pub mod stuck;
pub mod tour;

use std::{
    fs::File,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

pub use clock::Clock;
use directory::{lock_directory, make_directory, private, schema_turn};
use presence::Presence;

mod migrations {
    refinery::embed_migrations!("migrations");
}

/// SQLite before 3.51.3 can lose pages when two connections write or checkpoint at one moment
/// (the "WAL-reset" fault, mended on 2026-03-13). We refuse to run on it.
const OLDEST_SQLITE: i32 = 3_051_003;

/// Closures that one commit carries at most. More would make the first wait for the last.
const MOST_PER_COMMIT: usize = 128;

/// Closures that may wait. Behind it callers are told to come back.
const WAITING: usize = 4_096;

/// A checkpoint is due when the WAL has grown by this much.
const CHECKPOINT_BYTES: u64 = 8 << 20;

/// With more pages than this, 256 MB, the WAL is made to start anew, which holds the writer for a
/// moment.
const LARGEST_WAL_PAGES: i64 = 65_536;

/// Readers that are kept open.
const READERS: usize = 8;

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A rule of the schema was about to be broken; its name says which.
    #[error("the books refuse it: rule `{0}`")]
    Rule(String),
    /// Too many writes wait already.
    #[error("too much is waiting to be written: try again in a moment")]
    Busy,
    /// The disk is full, or another process holds the file for too long.
    #[error("the database cannot be written now: {0}")]
    Unavailable(String),
    #[error("the store is shutting down")]
    Closed,
    /// A row does not read as what it should be.
    #[error("a row of `{table}` cannot be read: {why}")]
    Unreadable { table: &'static str, why: String },
    #[error("the work was broken off: {0}")]
    Panicked(String),
    #[error("database: {0}")]
    Sqlite(rusqlite::Error),
}

impl StoreError {
    /// Could the same write succeed later?
    pub fn is_transient(&self) -> bool {
        match self {
            StoreError::Busy | StoreError::Unavailable(_) | StoreError::Closed => true,
            StoreError::Rule(_)
            | StoreError::Unreadable { .. }
            | StoreError::Panicked(_)
            | StoreError::Sqlite(_) => false,
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> StoreError {
        use rusqlite::ffi::{self, ErrorCode};
        match &error {
            rusqlite::Error::SqliteFailure(code, message) => {
                let text = message.clone().unwrap_or_else(|| code.to_string());
                match code.code {
                    ErrorCode::ConstraintViolation => StoreError::Rule(rule_in(&text)),
                    ErrorCode::DatabaseBusy
                    | ErrorCode::DatabaseLocked
                    | ErrorCode::DiskFull
                    | ErrorCode::CannotOpen
                    | ErrorCode::OutOfMemory
                    | ErrorCode::SystemIoFailure => StoreError::Unavailable(text),
                    _ if code.extended_code == ffi::SQLITE_ABORT => StoreError::Unavailable(text),
                    _ => StoreError::Sqlite(error),
                }
            }
            _ => StoreError::Sqlite(error),
        }
    }
}

/// The rule's name out of SQLite's words: `CHECK constraint failed: payment_amount_positive`,
/// `UNIQUE constraint failed: index 'x'` or `…: payment.imp_uid`.
fn rule_in(text: &str) -> String {
    let name = text.rsplit("constraint failed: ").next().unwrap_or(text);
    name.trim_start_matches("index ")
        .trim_matches('\'')
        .to_owned()
}

/// Why a store could not be opened. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "SQLite {found} is linked, but {needed} or newer is needed: \
         older ones can lose pages (WAL-reset fault)"
    )]
    OldSqlite {
        found: &'static str,
        needed: &'static str,
    },
    #[error(
        "the data directory `{}` is in use by another jeongsan (process {holder}): \
         stop that one first, or give this one another --data-dir", dir.display()
    )]
    InUse { dir: PathBuf, holder: String },
    #[error("cannot use the data directory `{}`: {why}", dir.display())]
    Directory { dir: PathBuf, why: std::io::Error },
    #[error(
        "the database was written by a newer jeongsan (its schema is {found}, this program knows \
         up to {known}): use that version, or restore a backup made before the update"
    )]
    Newer { found: i32, known: i32 },
    #[error(
        "`{}` cannot be used as the database: {why}. If the file is damaged, put it aside and restore \
         a backup in its place", path.display()
    )]
    NotADatabase { path: PathBuf, why: StoreError },
    #[error("the database's schema could not be brought up to date: {0}")]
    Migration(#[from] Box<refinery::Error>),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Something changed that a page may show.
#[derive(Clone, Debug, PartialEq)]
pub struct News {
    pub imp_uid: String,
    pub status: &'static str,
}

/// What a write sees: the connection inside its savepoint, and one `now` for all of it.
pub struct Tx<'a> {
    conn: &'a Connection,
    pub now: Timestamp,
    acting: Option<acting::Acting>,
    after: &'a mut AfterCommit,
}

/// What the writes of one commit leave to its end.
#[derive(Default)]
struct AfterCommit {
    news: Vec<News>,
    jobs: bool,
    /// Written with the commit itself, a row per kind and not one per run.
    ended: Vec<job_minutes::Ended>,
}

impl Tx<'_> {
    pub fn conn(&self) -> &Connection {
        self.conn
    }

    /// `now` as the tables keep it.
    pub fn now_ms(&self) -> i64 {
        self.now.as_millisecond()
    }

    /// Who asked for this write; nobody, where the program acts by itself.
    pub fn acting(&self) -> Option<&acting::Acting> {
        self.acting.as_ref()
    }

    /// Tells pages, once it is true.
    pub(crate) fn tell(&mut self, news: News) {
        self.after.news.push(news);
    }

    /// Wakes the broker, once the job is on disk.
    pub(crate) fn job_ready(&mut self) {
        self.after.jobs = true;
    }

    /// Counts a run in this minute's figures of its kind.
    pub(crate) fn run_ended(&mut self, ended: job_minutes::Ended) {
        self.after.ended.push(ended);
    }
}

/// A caller's closure on its way to the writer thread, and the way back to the caller.
trait Work: Send {
    /// Runs it; true if what it did is to be kept.
    fn run(&mut self, tx: &mut Tx<'_>) -> bool;
    /// Answers the caller, once the fate of the commit is known.
    fn finish(self: Box<Self>, committed: Result<(), &StoreError>);
}

struct Asked<F, T, E> {
    work: Option<F>,
    acting: Option<acting::Acting>,
    result: Option<Result<T, E>>,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<F, T, E> Work for Asked<F, T, E>
where
    T: Send,
    E: From<StoreError> + Send,
    F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send,
{
    fn run(&mut self, tx: &mut Tx<'_>) -> bool {
        let Some(work) = self.work.take() else {
            return false;
        };
        tx.acting = self.acting.take();
        // What is carried out under an idempotency key says so in the same transaction.
        let once = tx.acting.as_ref().and_then(|acting| acting.once);
        let result = catch_unwind(AssertUnwindSafe(|| {
            let done = work(tx)?;
            if let Some(row) = once {
                asked_once::touch(tx.conn, row)?;
            }
            Ok(done)
        }))
        .unwrap_or_else(|panic| Err(StoreError::Panicked(panic_text(&*panic)).into()));
        let keep = result.is_ok();
        self.result = Some(result);
        keep
    }

    fn finish(self: Box<Self>, committed: Result<(), &StoreError>) {
        let answer = match (self.result, committed) {
            (Some(Err(own)), _) => Err(own),
            (Some(done), Ok(())) => done,
            (_, Err(error)) => Err(same(error).into()),
            (None, Ok(())) => Err(StoreError::Closed.into()),
        };
        let _ = self.answer.send(answer);
    }
}

enum Order {
    Write(Box<dyn Work>),
    Close,
}

/// Handle to the file. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    dir: PathBuf,
    boot: Arc<str>,
    presence: Mutex<Option<Presence>>,
    /// Sees what other processes commit.
    elsewhere: Mutex<Option<Connection>>,
    writes: mpsc::Sender<Order>,
    readers: Mutex<Vec<Connection>>,
    news: broadcast::Sender<News>,
    jobs_ready: watch::Sender<u64>,
    clock: Clock,
    closing: Arc<AtomicBool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Held as long as the store lives; another process is refused.
    _lock: Option<File>,
}

/// Where the database lies inside a data directory.
pub fn database_in(dir: &Path) -> PathBuf {
    dir.join("jeongsan.sqlite3")
}

impl Store {
    /// Opens the books of a data directory for this process alone, making or updating the schema.
    pub fn open(dir: &Path, clock: Clock) -> Result<Store, OpenError> {
        let lock = lock_directory(dir)?;
        Store::start(dir, clock, Some(lock), true)
    }

    /// Opens the books for a process that runs jobs beside a server, or before there is one.
    pub fn open_worker(dir: &Path, clock: Clock) -> Result<Store, OpenError> {
        make_directory(dir)?;
        Store::start(dir, clock, None, true)
    }

    /// Opens the books beside a server that may be running: for the command line. Writes are
    /// ordinary SQLite transactions and wait for the server's.
    pub fn open_beside(dir: &Path, clock: Clock) -> Result<Store, OpenError> {
        Store::start(dir, clock, None, false)
    }

    fn start(
        dir: &Path,
        clock: Clock,
        lock: Option<File>,
        stays: bool,
    ) -> Result<Store, OpenError> {
        if rusqlite::version_number() < OLDEST_SQLITE {
            return Err(OpenError::OldSqlite {
                found: rusqlite::version(),
                needed: "3.51.3",
            });
        }
        let path = database_in(dir);
        let unusable = |why| OpenError::Directory {
            dir: dir.into(),
            why,
        };
        let conn = {
            // Processes that start together take turns: one makes the schema, the others find it made.
            let _turn = schema_turn(dir).map_err(unusable)?;
            let mut conn = connect(&path).map_err(|why| OpenError::NotADatabase {
                path: path.clone(),
                why,
            })?;
            migrate(&mut conn)?;
            conn
        };
        private(&path).map_err(unusable)?;
        presence::sweep(dir).map_err(unusable)?;
        let boot: Arc<str> = format!("{}-{}", std::process::id(), ulid::Ulid::new()).into();
        let presence = Presence::announce(dir, &boot).map_err(unusable)?;

        let (writes, orders) = mpsc::channel(WAITING);
        let (news, _) = broadcast::channel(1_024);
        let (jobs_ready, _) = watch::channel(0);
        let closing = Arc::new(AtomicBool::new(false));
        let due = Arc::new((Mutex::new(()), std::sync::Condvar::new()));

        let writer = Writer {
            conn,
            orders,
            news: news.clone(),
            jobs_ready: jobs_ready.clone(),
            clock: clock.clone(),
            wal_path: wal_of(&path),
            due: due.clone(),
            closing: closing.clone(),
        };
        let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
            std::thread::Builder::new()
                .name(name.into())
                .spawn(run)
                .map_err(unusable)
        };
        let mut threads = vec![spawn("store-writer", Box::new(move || writer.run()))?];
        // A command that looks and goes leaves the WAL to those who stay.
        if stays {
            let conn = connect(&path)?;
            let closing = closing.clone();
            threads.push(spawn(
                "store-checkpoint",
                Box::new(move || checkpoints(&conn, &due, &closing)),
            )?);
        }
        Ok(Store {
            inner: Arc::new(Inner {
                path,
                dir: dir.into(),
                boot,
                presence: Mutex::new(Some(presence)),
                elsewhere: Mutex::new(None),
                writes,
                readers: Mutex::new(Vec::new()),
                news,
                jobs_ready,
                clock,
                closing,
                threads: Mutex::new(threads),
                _lock: lock,
            }),
        })
    }

    /// Names this start of this process: who holds a lease, or runs a job.
    pub fn boot(&self) -> Arc<str> {
        self.inner.boot.clone()
    }

    /// Whether the process that started as `boot` still lives.
    pub fn is_alive(&self, boot: &str) -> bool {
        boot == &*self.inner.boot || presence::is_alive(&self.inner.dir, boot)
    }

    /// Whether another connection has committed since this was asked last; the first time says yes.
    /// Costs about as much as reading a number, so it may be asked many times a second.
    pub fn changed_elsewhere(&self, seen: &mut i64) -> Result<bool, StoreError> {
        let mut kept = self
            .inner
            .elsewhere
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let conn = match &mut *kept {
            Some(conn) => conn,
            None => kept.insert(self.open_reader()?),
        };
        let version: i64 = conn
            .prepare_cached("pragma data_version")?
            .query_row([], |row| row.get(0))?;
        let changed = version != *seen;
        *seen = version;
        Ok(changed)
    }

    /// Wakes whoever hands out jobs: another process may have made some ready.
    pub fn wake_workers(&self) {
        self.inner
            .jobs_ready
            .send_modify(|n| *n = n.wrapping_add(1));
    }

    /// Tells pages what another process did.
    pub fn tell(&self, news: News) {
        let _ = self.inner.news.send(news);
    }

    /// Whether another process may hold the books, so that its writes wait for ours.
    pub fn is_beside(&self) -> bool {
        self.inner._lock.is_none()
    }

    /// Runs `work` in a transaction and answers once it is on disk.
    ///
    /// An error of `work` rolls back what it did and nothing else. `work` may share its commit with
    /// others, so it must not depend on being alone; it runs on one thread, in order.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&mut Tx<'_>) -> Result<T, E> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel::<Result<T, E>>();
        let order = Order::Write(Box::new(Asked {
            work: Some(work),
            acting: acting::now(),
            result: None,
            answer,
        }));
        match self.inner.writes.try_send(order) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => return Err(StoreError::Busy.into()),
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(StoreError::Closed.into()),
        }
        match answered.await {
            Ok(result) => result,
            Err(_) => Err(StoreError::Closed.into()),
        }
    }

    /// Reads on the caller's own thread. For look-ups by an index, which take microseconds; a
    /// longer one belongs into [`Store::read_long`].
    pub fn read<T, E>(&self, work: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, E>
    where
        E: From<StoreError>,
    {
        let conn = self.reader().map_err(E::from)?;
        let result = work(&conn);
        let mut pool = self
            .inner
            .readers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if pool.len() < READERS {
            pool.push(conn);
        }
        result
    }

    /// Reads on a thread for blocking work, in one view of the books: what is summed and listed side by side is of one
    /// moment, also while somebody writes.
    pub async fn read_long<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&Connection) -> Result<T, E> + Send + 'static,
    {
        let store = self.clone();
        let look = move |conn: &Connection| {
            let view = conn.unchecked_transaction().map_err(StoreError::from)?;
            let result = work(&view);
            view.finish().map_err(StoreError::from)?;
            result
        };
        match tokio::task::spawn_blocking(move || store.read(look)).await {
            Ok(result) => result,
            Err(error) => Err(StoreError::Panicked(error.to_string()).into()),
        }
    }

    fn reader(&self) -> Result<Connection, StoreError> {
        let kept = self
            .inner
            .readers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        match kept {
            Some(conn) => Ok(conn),
            None => self.open_reader(),
        }
    }

    fn open_reader(&self) -> Result<Connection, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = Connection::open_with_flags(&self.inner.path, flags)?;
        conn.busy_timeout(Duration::from_secs(5))?;
        conn.execute_batch("pragma query_only = on; pragma cache_size = -2048;")?;
        conn.set_prepared_statement_cache_capacity(64);
        Ok(conn)
    }

    /// What changes, as it changes.
    pub fn news(&self) -> broadcast::Receiver<News> {
        self.inner.news.subscribe()
    }

    /// Changes after each commit that made a job ready. A change is never missed, only merged.
    pub fn jobs_ready(&self) -> watch::Receiver<u64> {
        self.inner.jobs_ready.subscribe()
    }

    pub fn clock(&self) -> &Clock {
        &self.inner.clock
    }

    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Writes that wait for the writer thread now.
    pub fn waiting(&self) -> usize {
        WAITING - self.inner.writes.capacity()
    }

    /// Finishes what was accepted, moves the WAL into the file, and stops the threads.
    pub async fn close(&self) {
        self.inner.closing.store(true, Ordering::SeqCst);
        let _ = self.inner.writes.send(Order::Close).await;
        let threads: Vec<_> = {
            let mut held = self
                .inner
                .threads
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            held.drain(..).collect()
        };
        let _ = tokio::task::spawn_blocking(move || {
            for thread in threads {
                let _ = thread.join();
            }
        })
        .await;
        self.inner
            .readers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        self.inner
            .elsewhere
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        // Last: until here what this process holds is its own.
        self.inner
            .presence
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.closing.store(true, Ordering::SeqCst);
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic".to_owned())
}

/// A failed commit is told to everyone who was in it.
fn same(error: &StoreError) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

fn wal_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// A connection that writes durably: WAL, `synchronous=FULL`, no checkpoint of its own.
fn connect(path: &Path) -> Result<Connection, StoreError> {
    let mut conn = Connection::open(path)?;
    // Where two processes write, SQLite's own waits grow to a tenth of a second, which is longer than the
    // other one leaves room: then nobody's turn comes.
    conn.busy_handler(Some(|times| {
        std::thread::sleep(Duration::from_millis(1));
        times < 30_000
    }))?;
    conn.execute_batch(
        "pragma journal_mode = wal;
         pragma synchronous = full;
         pragma foreign_keys = on;
         pragma wal_autocheckpoint = 0;
         pragma mmap_size = 0;
         pragma cache_size = -8192;
         pragma temp_store = memory;",
    )?;
    conn.set_prepared_statement_cache_capacity(128);
    Ok(conn)
}

fn migrate(conn: &mut Connection) -> Result<(), OpenError> {
    let runner = migrations::migrations::runner();
    let known = runner
        .get_migrations()
        .iter()
        .map(|m| m.version())
        .max()
        .unwrap_or(0);
    // A new file has no history of migrations yet, and refinery takes that for an error.
    let has_history: bool = conn
        .prepare("select 1 from sqlite_schema where name = 'refinery_schema_history'")
        .and_then(|mut query| query.exists([]))
        .map_err(StoreError::from)?;
    let found = if has_history {
        let last = runner.get_last_applied_migration(conn).map_err(Box::new)?;
        last.map_or(0, |migration| migration.version())
    } else {
        0
    };
    if found > known {
        return Err(OpenError::Newer { found, known });
    }
    if found < known {
        runner.run(conn).map_err(Box::new)?;
    }
    Ok(())
}

type Due = Arc<(Mutex<()>, std::sync::Condvar)>;

struct Writer {
    conn: Connection,
    orders: mpsc::Receiver<Order>,
    news: broadcast::Sender<News>,
    jobs_ready: watch::Sender<u64>,
    clock: Clock,
    wal_path: PathBuf,
    due: Due,
    closing: Arc<AtomicBool>,
}

impl Writer {
    fn run(mut self) {
        let mut since_look = Instant::now();
        let mut close = false;
        while !close {
            let Some(first) = self.orders.blocking_recv() else {
                break;
            };
            let mut batch = Vec::with_capacity(16);
            let mut next = Some(first);
            while let Some(order) = next.take() {
                match order {
                    Order::Write(work) => batch.push(work),
                    Order::Close => close = true,
                }
                if batch.len() < MOST_PER_COMMIT && !close {
                    next = self.orders.try_recv().ok();
                }
            }
            if !batch.is_empty() {
                self.commit(batch);
            }
            if since_look.elapsed() > Duration::from_millis(20) {
                since_look = Instant::now();
                let size = std::fs::metadata(&self.wal_path).map_or(0, |meta| meta.len());
                if size > CHECKPOINT_BYTES {
                    self.due.1.notify_one();
                }
            }
        }
        self.closing.store(true, Ordering::SeqCst);
        self.due.1.notify_all();
        let _ = self.conn.execute_batch("pragma wal_checkpoint(truncate)");
    }

    /// One transaction for all of `batch`; nobody is answered before it is on disk.
    fn commit(&mut self, batch: Vec<Box<dyn Work>>) {
        let now = self.clock.now();
        let mut after = AfterCommit::default();
        let result = self.transaction(batch, now, &mut after);
        let (works, committed) = result;
        if let Err(error) = &committed {
            tracing::error!(%error, writes = works.len(), "a commit failed; nothing of it is kept");
        }
        for work in works {
            work.finish(committed.as_ref().copied());
        }
        if committed.is_ok() {
            if after.jobs {
                self.jobs_ready.send_modify(|n| *n = n.wrapping_add(1));
            }
            for news in after.news {
                let _ = self.news.send(news);
            }
            job_minutes::measure(&after.ended);
        }
    }

    fn transaction(
        &self,
        mut batch: Vec<Box<dyn Work>>,
        now: Timestamp,
        after: &mut AfterCommit,
    ) -> (Vec<Box<dyn Work>>, Result<(), StoreError>) {
        let step = |sql: &str| -> Result<(), StoreError> {
            self.conn.prepare_cached(sql)?.execute([])?;
            Ok(())
        };
        let mut run = || -> Result<(), StoreError> {
            step("begin immediate")?;
            for work in &mut batch {
                step("savepoint one")?;
                let (news, jobs, ended) = (after.news.len(), after.jobs, after.ended.len());
                if !work.run(&mut Tx {
                    conn: &self.conn,
                    now,
                    acting: None,
                    after,
                }) {
                    after.news.truncate(news);
                    after.ended.truncate(ended);
                    after.jobs = jobs;
                    // On a full or failing disk SQLite has undone the whole transaction by itself;
                    // what follows must not run outside of one.
                    if self.conn.is_autocommit() {
                        return Err(StoreError::Unavailable("the disk refused a write".into()));
                    }
                    step("rollback to one")?;
                }
                step("release one")?;
            }
            job_minutes::count(&self.conn, now, &after.ended)?;
            step("commit")
        };
        let committed = run();
        if committed.is_err() && !self.conn.is_autocommit() {
            let _ = self.conn.execute_batch("rollback");
        }
        (batch, committed)
    }
}

/// Moves the WAL into the database file without standing in the writer's way.
fn checkpoints(conn: &Connection, due: &Due, closing: &AtomicBool) {
    let (lock, signal) = (&due.0, &due.1);
    // A new start that must wait for a long reader is given up, and tried again: it holds the writer
    // while it waits.
    let _ = conn.busy_timeout(Duration::from_millis(100));
    while !closing.load(Ordering::SeqCst) {
        {
            let guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = signal.wait_timeout(guard, Duration::from_secs(1));
        }
        if closing.load(Ordering::SeqCst) {
            break;
        }
        let run = |mode: &str| {
            conn.query_row(&format!("pragma wal_checkpoint({mode})"), [], |row| {
                row.get::<_, i64>(1)
            })
        };
        // What can be moved beside the writer is moved first: a new start holds it for the rest
        // alone. The file's length does not tell whether one is due: it stays what it was.
        let ran = run("passive").and_then(|pages| {
            if pages > LARGEST_WAL_PAGES {
                run("restart")
            } else {
                Ok(pages)
            }
        });
        if let Err(error) = ran {
            tracing::warn!(%error, "a checkpoint did not run; the next will");
        }
        // A breath between two, so that a busy disk serves commits first.
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// An instant as the tables keep it: milliseconds since 1970 in UTC.
pub fn instant(ms: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_millisecond(ms).map_err(|why| StoreError::Unreadable {
        table: "a time column",
        why: why.to_string(),
    })
}

/// The same, where the column may be null.
pub fn instant_maybe(ms: Option<i64>) -> Result<Option<Timestamp>, StoreError> {
    ms.map(instant).transpose()
}
