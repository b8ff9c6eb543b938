//! jeongsan (정산): payments and partner settlement through PortOne, in one binary and one SQLite file.
//!
//! | module | what it is | may import |
//! | --- | --- | --- |
//! | [`domain`] | pure rules: no clock, no SQL, no HTTP | nothing of ours |
//! | [`store`] | SQLite: a writer thread, readers, a file of queries per noun | domain |
//! | [`sheet`] | XLSX, CSV and bank files: read, checked, written | domain |
//! | [`flow`] | what the system does, a file per verb; the only traits | domain, sheet, store |
//! | [`adapters`] | those traits, kept: PortOne, Slack, the broker | domain, flow's traits |
//! | [`jobs`] | which flow runs by itself, and how a run ends | domain, flow, store |
//! | [`web`] | all routes, errors, limits, the API; pages show values | domain, flow, sheet, store |
//! | [`config`] | every setting: read once, checked once | domain, flow |
//! | [`sandbox`] | a PortOne of our own | nothing of ours |
//! | [`healthcheck`] | one request to the server beside it | nothing of ours |
//! | [`app`] | the one place that knows everyone, and wires them | all |
//! | [`demo`] | the product and the sandbox side by side | app and below |
//!
//! Data goes one way: a message is kept, verified, booked and shown. Every flow asks, decides, and
//! writes once. `tests/tidy.rs` checks the last column; `ARCHITECTURE.md` tells the rest.

pub mod adapters;
pub mod app;
pub mod config;
pub mod demo;
pub mod domain;
pub mod flow;
pub mod healthcheck;
pub mod jobs;
pub mod sandbox;
pub mod sheet;
pub mod store;
pub mod web;
