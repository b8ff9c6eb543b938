//! What is wrong with settlements, days, holds and adjustments, as an answer.
