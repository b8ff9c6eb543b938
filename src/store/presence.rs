//! Which starts of processes are alive: each holds the lock of a file of its own while it lives.
//!
//! The system lets go of a lock when its process ends, however it ends. So a boot whose file nobody
//! holds is dead for certain and at once, and nobody has to wait for a lease to be over; and one that
//! is merely slow is never taken for dead.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    path::{Path, PathBuf},
};

/// This process, as the others see it. Ends with the value.
#[derive(Debug)]
pub struct Presence {
    path: PathBuf,
    _lock: File,
}

fn directory(dir: &Path) -> PathBuf {
    dir.join("boots")
}

/// A boot's name is ours to choose, but a row may hold anything: nothing of it leads elsewhere.
fn file_of(dir: &Path, boot: &str) -> Option<PathBuf> {
    let plain = !boot.is_empty()
        && boot
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    plain.then(|| directory(dir).join(boot))
}

impl Presence {
    /// Shows the others that `boot` is alive.
    pub fn announce(dir: &Path, boot: &str) -> io::Result<Presence> {
        std::fs::create_dir_all(directory(dir))?;
        let path = file_of(dir, boot)
            .ok_or_else(|| io::Error::other(format!("`{boot}` cannot name a file")))?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::Error(error) => error,
            TryLockError::WouldBlock => io::Error::other("its lock is held by another process"),
        })?;
        Ok(Presence { path, _lock: lock })
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        // Who looks between the two sees a file without a lock: dead as well.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Whether the process that started as `boot` still lives. If it cannot be told, it does: what it
/// holds is then freed by the end of its lease.
pub fn is_alive(dir: &Path, boot: &str) -> bool {
    let Some(path) = file_of(dir, boot) else {
        return false;
    };
    match File::open(&path) {
        Ok(file) => match file.try_lock_shared() {
            Ok(()) => false,
            Err(TryLockError::WouldBlock) => true,
            Err(TryLockError::Error(_)) => true,
        },
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// Removes what dead processes left lying about.
pub fn sweep(dir: &Path) -> io::Result<()> {
    let entries = match std::fs::read_dir(directory(dir)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let path = entry?.path();
        let Ok(file) = File::open(&path) else {
            continue;
        };
        // Young files may belong to a process that is about to take its lock.
        let young = file
            .metadata()
            .and_then(|meta| meta.modified())
            .is_ok_and(|at| at.elapsed().is_ok_and(|age| age.as_secs() < 60));
        if !young && file.try_lock().is_ok() {
            let _ = std::fs::remove_file(&path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_alive_while_it_holds_its_lock_and_not_a_moment_longer() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_alive(dir.path(), "1-a"), "nobody of that name");
        let presence = Presence::announce(dir.path(), "1-a").unwrap();
        assert!(is_alive(dir.path(), "1-a"));
        assert!(Presence::announce(dir.path(), "1-a").is_err());
        drop(presence);
        assert!(!is_alive(dir.path(), "1-a"));
    }

    #[test]
    fn a_file_without_a_lock_is_a_process_that_was_killed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(directory(dir.path())).unwrap();
        std::fs::write(directory(dir.path()).join("2-b"), "").unwrap();
        assert!(!is_alive(dir.path(), "2-b"));
    }

    #[test]
    fn a_name_leads_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("outside"), "").unwrap();
        assert!(!is_alive(dir.path(), "../outside"));
        assert!(Presence::announce(dir.path(), "../x").is_err());
    }
}
