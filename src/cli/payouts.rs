//! `jeongsan payouts` and `jeongsan calendar`.
