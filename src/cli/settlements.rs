//! `jeongsan settle`, `jeongsan settlements`, `jeongsan statement`, `jeongsan adjustments`.
