"""Write what is said about settings: the reference page, and the envdir with a file for each.

`python -m txtrader.settings.reference DOCS_PAGE ENVDIR` writes both; a test keeps the committed ones in step.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from txtrader.settings.table import IGNORED, LATER, SETTINGS, Setting

__all__ = ["envdir_files", "reference_page"]

_OPENING = """\
# Settings

This page is generated from `txtrader/settings/table.py` (`make docs`).

A setting is a variable. Later wins: its default, an envdir (`txtraderd --envdir DIR`, a folder with one file for each
variable, as daemontools reads it; `/etc/txtrader` in the installed service), a `.env` file in the working directory,
the environment, the command line.

* `TXTRADER_<MODE>_<KEY>` wins over `TXTRADER_<KEY>` for that broker: with `TXTRADER_TWS_API_PORT=4002` only mode `tws`
  dials 4002. What concerns the whole daemon, such as its ports, follows the first mode of `TXTRADER_MODE`.
* `TXTRADER_<KEY>_FILE` names a file that holds the value. Use it for secrets.
* An empty value is an unset one. Booleans are 0, 1, true, false.
* Durations are seconds unless the table says otherwise, and may have a unit: `1500ms`, `90s`, `5min`, `12h`, `7d`.
  Sizes are bytes, or `256KiB`, `8MiB`, `1GiB`.
* A wrong value is named with its reason and the daemon does not start. An unknown name is a warning. `txtraderd
  --check-config` says both, and there an unknown name is an error.
* Files with secrets must belong to root or to the user of the daemon, must not be readable by all nor changeable by
  others, and must be no symbolic links; else the daemon does not start. `TXTRADER_ALLOW_LOOSE_FILES=1`, in the
  environment only, lifts that.
"""


def reference_page() -> str:
    """Return the reference page, Markdown."""
    parts = [_OPENING]
    group = None
    for setting in SETTINGS.values():
        if setting.group != group:
            group = setting.group
            parts.append(f"\n## {group}\n\n|variable|default|meaning|\n|---|---|---|\n")
        parts.append(f"|`{setting.variable}`|{_default(setting)}|{_meaning(setting)}|\n")
    parts.append("\n## Accepted without meaning\n\nThe original had these; setting them is a warning: ")
    parts.append(", ".join(f"`TXTRADER_{key}`" for key in sorted(IGNORED)) + ".\n")
    parts.append("\n## Not offered by this version\n\nSetting one of these to anything but 0, off or nothing is an ")
    parts.append("error, so that nobody relies on what is not there.\n\n|variable|belongs to|\n|---|---|\n")
    parts += [f"|`TXTRADER_{key}`|{feature}|\n" for key, feature in LATER.items()]
    return "".join(parts)


def envdir_files() -> dict[str, str]:
    """Return the files of an envdir: the first line is the value (empty: unset), notes follow.

    No file holds a value: what an operator writes is what differs from the defaults, and an upgrade may improve those.
    """
    files = {}
    for setting in SETTINGS.values():
        if setting.name in ("envdir", "crash_at", "allow_loose_files"):
            continue  # said to the process, not in the folder that they are about
        unit = f" {setting.unit}" if setting.unit and setting.default else ""
        default = f"Default: {setting.default}{unit}" if setting.default is not None else "Default: unset"
        files[setting.variable] = f"\n{setting.doc}\n{default}\nThe first line is the value; empty is unset.\n"
    return files


def _default(setting: Setting[Any]) -> str:
    if setting.default is None:
        return "none" + "".join(f"; {mode} `{text}`" for mode, text in setting.by_mode.items())
    unit = f" {setting.unit}" if setting.unit and setting.default.replace(".", "").isdigit() else ""
    by_mode = "".join(f"; {mode} {text}" for mode, text in setting.by_mode.items() if text != setting.default)
    return f"`{setting.default}`{unit}{by_mode}"


def _meaning(setting: Setting[Any]) -> str:
    text = setting.doc.replace("|", "\\|")
    if setting.older:
        text += " Older name: " + ", ".join(f"`TXTRADER_{key}`" for key in setting.older) + "."
    if setting.later:
        text += f" Not offered by this version: {setting.later}."
    return text


def main(page: str, folder: str) -> None:
    """Write the page and the folder."""
    Path(page).write_text(reference_page())
    files = envdir_files()
    for path in Path(folder).glob("TXTRADER_*"):
        if path.name not in files:
            path.unlink()
    for name, content in files.items():
        Path(folder, name).write_text(content)


if __name__ == "__main__":
    main(*sys.argv[1:])
