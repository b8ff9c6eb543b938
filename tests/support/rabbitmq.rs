//! The RabbitMQ on this machine, as tests use it.

/// The RabbitMQ that `tests/run` sees to.
pub fn url() -> String {
    std::env::var("TEST_AMQP").unwrap_or_else(|_| "amqp://guest:guest@127.0.0.1:5672/%2f".into())
}

/// A name that no other test uses.
pub fn prefix() -> String {
    format!(
        "jeongsan-test-{}",
        ulid::Ulid::new().to_string().to_lowercase()
    )
}
