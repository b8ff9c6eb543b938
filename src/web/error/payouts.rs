//! What is wrong with payouts, bank files and the calendar, as an answer.
