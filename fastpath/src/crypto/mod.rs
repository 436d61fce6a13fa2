//! Sealing and opening of transport messages.
