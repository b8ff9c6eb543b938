//! A PortOne of our own.
