"""One broker, one file."""
