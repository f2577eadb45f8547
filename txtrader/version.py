"""The version, once: setup.py, the daemon and its clients read it from here."""

__version__ = "2.0.0.dev0"
__date__ = "2026-11-20"
