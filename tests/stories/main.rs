//! Stories of payments, told through HTTP to the real server on a real file.

mod cancelling;
mod intake;
mod support;
