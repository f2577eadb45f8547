"""The exchange simulator: stands alone."""
