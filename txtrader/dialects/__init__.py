"""TRANSLATION: wire messages to and from model records."""
