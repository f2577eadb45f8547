"""The document about policies says what is declared, no more and no less.

python tests/exsim/test_policies_docs.py      # prints the tables, for the document
"""

from __future__ import annotations

from pathlib import Path

import pytest

from txtrader.exsim.endpoints.cqg.policy_face import CqgFace
from txtrader.exsim.endpoints.fix.policy_face import FixFace
from txtrader.exsim.endpoints.ouch.policy_face import OuchFace
from txtrader.exsim.endpoints.tws.policy_face import TwsFace
from txtrader.exsim.policies.actions import ACTIONS
from txtrader.exsim.policies.conditions import DATA, KINDS, LINKS, OTHERS, REPORTS, REQUESTS
from txtrader.exsim.policies.ready import READY

_GROUPS = {
    "any request": frozenset(REQUESTS),
    "any report": frozenset(REPORTS),
    "any report of an order": frozenset(REPORTS) - {"snapshot", "increment", "message"},
    "any but of data": frozenset(KINDS) - DATA.keys(),
}


def _where(kinds: tuple[str, ...]) -> str:
    """Name the types at which an action may stand, groups first."""
    left = set(kinds)
    found = []
    for name, group in sorted(_GROUPS.items(), key=lambda item: -len(item[1])):
        if group <= left:
            found.append(name)
            left -= group
    return ", ".join([*found, *(kind for kind in kinds if kind in left)])


def _parameter(one) -> str:
    shown = f"`{one.name}` {one.type}"
    if one.choices and len(one.choices) < 8:
        shown += f" ({', '.join(choice or 'empty' for choice in one.choices)})"
    if one.is_required:
        return f"**{shown}**: {one.meaning}"
    default = (
        "" if one.default in (None, "") else f" [{str(one.default).lower() if one.type == 'flag' else one.default}]"
    )
    return f"{shown}{default}: {one.meaning}"


def types_table() -> str:
    """Render the types of a match."""
    lines = ["| type | what has happened |", "|---|---|"]
    for group in (REQUESTS, REPORTS, LINKS, DATA, OTHERS):
        lines += [f"| `{name}` | {meaning} |" for name, meaning in group.items()]
    return "\n".join(lines)


def actions_table() -> str:
    """Render the actions."""
    lines = ["| action | at types | what it does | parameters |", "|---|---|---|---|"]
    for action in ACTIONS.values():
        parameters = "; ".join(_parameter(one) for one in action.parameters)
        lines.append(f"| `{action.name}` | {_where(action.kinds)} | {action.meaning} | {parameters} |")
    return "\n".join(lines)


def ready_table() -> str:
    """Render the ready-made policies."""
    lines = ["| policy | what it does | parameters |", "|---|---|---|"]
    for name, cls in READY.items():
        parameters = "; ".join(_parameter(one) for one in cls.parameters)
        lines.append(f"| `{name}` | {(cls.__doc__ or '').strip()} | {parameters} |")
    return "\n".join(lines)


def endpoints_table() -> str:
    """Render what each endpoint can do."""
    lines = [
        "| endpoint | reports it has not | actions it cannot do |",
        "|---|---|---|",
    ]
    names = {name for name, action in ACTIONS.items() if action.group in ("link", "session")}
    faces = [(f"`{face.name}`", face.kinds, face.offered) for face in (FixFace, TwsFace, CqgFace)]
    for version in ("4.2", "5.0"):
        faces.append((f"`ouch` {version}", OuchFace.kinds_of(version), OuchFace.offered))
    for name, kinds, offered in faces:
        cells = (frozenset(REPORTS) - kinds, names - offered)
        lines.append(f"| {name} | " + " | ".join(", ".join(sorted(cell)) or "none" for cell in cells) + " |")
    return "\n".join(lines)


TABLES = (types_table, actions_table, ready_table, endpoints_table)


@pytest.mark.parametrize("table", TABLES)
def test_the_document_has_each_table_as_it_is_declared(table):
    document = (Path(__file__).parents[2] / "docs" / "exsim-policies.md").read_text()
    assert table() in document, f"put this into the document:\n\n{table()}"


if __name__ == "__main__":
    print("\n\n".join(table() for table in TABLES))
