//! Who hands ready rows of the `job` table to the workers. AMQP will be the second.

pub mod embedded;
