"""One daemon between a trader's programs and any broker."""

from txtrader.version import __version__

__all__ = ["__version__"]
