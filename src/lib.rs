//! jeongsan (정산): payments and partner settlement through PortOne, in one binary and one SQLite file.

pub mod adapters;
pub mod app;
pub mod config;
pub mod demo;
pub mod domain;
pub mod flow;
pub mod healthcheck;
pub mod jobs;
pub mod sandbox;
pub mod store;
pub mod web;
