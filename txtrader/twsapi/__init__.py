"""The whole TWS API as a typed client."""
