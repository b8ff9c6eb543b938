//! A copy of the books that is whole, made while the server runs.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error("there is no database at `{}`", .0.display())]
    NoDatabase(PathBuf),
    #[error("`{}` exists already: name a file that does not, so that no backup is overwritten", .0.display())]
    Exists(PathBuf),
    #[error("there is no folder `{}` to put the copy into: make it first", .0.display())]
    NoFolder(PathBuf),
    #[error("the copy is damaged: {0}")]
    Damaged(String),
    #[error("cannot write the copy: {0}")]
    File(#[from] std::io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Copies the database into a new file, checks the copy, and only then gives it its name.
///
/// `VACUUM INTO` reads one consistent state; the server goes on writing meanwhile. A plain copy of
/// the file would miss what is still in the WAL.
pub fn write(database: &Path, to: &Path) -> Result<u64, BackupError> {
    if !database.exists() {
        return Err(BackupError::NoDatabase(database.into()));
    }
    if to.exists() {
        return Err(BackupError::Exists(to.into()));
    }
    let folder = to.parent().filter(|dir| !dir.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        return Err(BackupError::NoFolder(folder.into()));
    }
    let mut part = to.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    if part.exists() {
        std::fs::remove_file(&part)?;
    }
    let conn = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE)
        .map_err(StoreError::from)?;
    conn.busy_timeout(std::time::Duration::from_secs(30))
        .map_err(StoreError::from)?;
    conn.execute("vacuum into ?1", [part.to_string_lossy()])
        .map_err(StoreError::from)?;
    super::private(&part)?;

    let copy = Connection::open_with_flags(&part, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .map_err(StoreError::from)?;
    let verdict: String = copy
        .query_row("pragma integrity_check(1)", [], |row| row.get(0))
        .map_err(StoreError::from)?;
    drop(copy);
    if verdict != "ok" {
        let _ = std::fs::remove_file(&part);
        return Err(BackupError::Damaged(verdict));
    }
    std::fs::File::open(&part)?.sync_all()?;
    std::fs::rename(&part, to)?;
    if let Some(folder) = folder {
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(std::fs::metadata(to)?.len())
}
