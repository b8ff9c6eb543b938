//! The data directory: who may enter it, and which process has it.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    path::Path,
};

use super::OpenError;

/// Makes the directory; only its owner may enter.
pub(super) fn make_directory(dir: &Path) -> Result<(), OpenError> {
    std::fs::create_dir_all(dir).map_err(|why| OpenError::Directory {
        dir: dir.into(),
        why,
    })?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let _ = std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700));
    }
    Ok(())
}

/// Makes the directory and takes its lock.
pub(super) fn lock_directory(dir: &Path) -> Result<File, OpenError> {
    let wrong = |why| OpenError::Directory {
        dir: dir.into(),
        why,
    };
    make_directory(dir)?;
    let path = dir.join("jeongsan.lock");
    let mut file = OpenOptions::new()
        .create(true)
        .read(true)
        .write(true)
        .truncate(false)
        .open(&path)
        .map_err(wrong)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(std::fs::TryLockError::WouldBlock) => {
            let holder = std::fs::read_to_string(&path).unwrap_or_default();
            return Err(OpenError::InUse {
                dir: dir.into(),
                holder: holder.trim().to_owned(),
            });
        }
        Err(std::fs::TryLockError::Error(why)) => return Err(wrong(why)),
    }
    file.set_len(0).map_err(wrong)?;
    writeln!(file, "{}", std::process::id()).map_err(wrong)?;
    Ok(file)
}

/// Only the owner may read the books.
pub(super) fn private(path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}

/// Waits until no other process looks at the schema. Whoever holds this makes it, or finds it made.
pub(super) fn schema_turn(dir: &Path) -> std::io::Result<File> {
    let turn = File::create(dir.join("jeongsan.schema.lock"))?;
    turn.lock()?;
    Ok(turn)
}
