//! jeongsan (정산): payments and partner settlement through PortOne, in one binary and one SQLite file.

pub mod domain;
pub mod sandbox;
