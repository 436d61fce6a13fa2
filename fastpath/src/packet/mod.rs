//! Inner packets: splitting of what the TUN gives, joining of what it gets.
