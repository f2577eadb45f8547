"""WHAT: immutable typed records and pure functions."""
