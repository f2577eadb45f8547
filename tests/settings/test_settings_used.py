"""A setting that nothing reads is a lie: each declared one is read somewhere, or says that it is for later."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from txtrader.settings.table import SETTINGS

ROOT = Path(__file__).parent.parent.parent
CODE = "\n".join(path.read_text() for path in (ROOT / "txtrader").rglob("*.py") if path.parent.name != "settings")
ELSEWHERE = {
    "allow_plaintext": "txtrader/settings/reading.py",
    "allow_loose_files": "txtrader/settings/reading.py",
    "journal": "txtrader/settings/reading.py",
    "envdir": "txtrader/settings/reading.py",
    "daemon_user": "service/install.sh",
    "daemon_reactor": "txtrader/settings/table.py",  # one choice, until there is another loop
    "crash_at": "txtrader/gateway/crash.py",
}


@pytest.mark.parametrize("name", [s.name for s in SETTINGS.values() if s.later is None])
def test_each_setting_is_read(name: str) -> None:
    setting = SETTINGS[name]
    if name in ELSEWHERE:
        text = (ROOT / ELSEWHERE[name]).read_text()
        assert setting.variable in text or name in text
    elif setting.group == "Clients":
        assert re.search(rf'"{name}"', CODE), f"no client asks for {name}"
    else:
        assert re.search(rf"settings\w*\.{name}\b", CODE), f"nothing reads {setting.variable}"
