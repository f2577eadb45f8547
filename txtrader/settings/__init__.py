"""Settings: declared once in `table`, read from all sources by `reading`, explained by `reference`."""

from txtrader.settings.reading import Settings, SettingsError, is_loopback

__all__ = ["Settings", "SettingsError", "is_loopback"]
