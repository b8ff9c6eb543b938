//! What is wrong with partners and contracts, as an answer.
