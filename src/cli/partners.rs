//! `jeongsan partners` and `jeongsan contracts`.
