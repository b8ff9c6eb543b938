//! The machine that a figure was taken on, and what a process used of it.

use std::{
    collections::BTreeMap,
    fs,
    io::Write as _,
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// On what this was measured.
pub fn machine(home: &Path) -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let info = read("/proc/cpuinfo");
    let model = info
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or("unknown processor", |rest| {
            rest.trim_start_matches([' ', '\t', ':'])
        });
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let mounts = read("/proc/mounts");
    let file_system = mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            Some((words.next()?, words.next()?))
        })
        .filter(|(at, _)| home.starts_with(at))
        .max_by_key(|(at, _)| at.len())
        .map_or("unknown", |(_, kind)| kind);
    format!(
        "Machine: {cores} cores of {model}, Linux {}, {file_system}, a synced write of 4 KB takes {:.2} ms (median).",
        read("/proc/sys/kernel/osrelease").trim(),
        synced_write(home).as_secs_f64() * 1e3
    )
}

fn synced_write(home: &Path) -> Duration {
    let path = home.join("synced");
    let mut file = fs::File::create(&path).expect("a file");
    let mut took: Vec<_> = (0..200)
        .map(|_| {
            let began = Instant::now();
            file.write_all(&[7; 4_096]).expect("to write");
            file.sync_data().expect("to sync");
            began.elapsed()
        })
        .collect();
    let _ = fs::remove_file(path);
    took.sort();
    took[took.len() / 2]
}

/// Seconds of processor time that each kind of thread has used, user and system.
pub fn processor_time(pid: u32) -> BTreeMap<String, f64> {
    let mut by_name = BTreeMap::new();
    for task in fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        let Some((name, rest)) = stat
            .split_once('(')
            .and_then(|(_, rest)| rest.rsplit_once(") "))
        else {
            continue;
        };
        let ticks = |at: usize| {
            rest.split(' ')
                .nth(at)
                .and_then(|text| text.parse::<f64>().ok())
                .unwrap_or(0.0)
        };
        // User and system time, in hundredths of a second.
        *by_name.entry(name.to_owned()).or_insert(0.0) += (ticks(11) + ticks(12)) / 100.0;
    }
    by_name
}

/// What was used between two looks.
pub fn less(
    mut after: BTreeMap<String, f64>,
    before: &BTreeMap<String, f64>,
) -> BTreeMap<String, f64> {
    for (name, seconds) in &mut after {
        *seconds -= before.get(name).copied().unwrap_or(0.0);
    }
    after.retain(|_, seconds| *seconds > 0.02);
    after
}
