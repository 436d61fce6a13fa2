"""What a host says of itself, as values, and what follows from it; nothing here changes a host."""
