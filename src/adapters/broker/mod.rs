//! Who hands ready rows of the `job` table to the workers: the program itself, or RabbitMQ.

pub mod amqp;
pub mod embedded;
