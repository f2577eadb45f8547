"""Accounts, their figures and positions, and the ledger that says what the positions should be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from txtrader.gateway.blotter import LedgerKey
from txtrader.model.account import AccountValue, Position
from txtrader.model.instrument import SecType
from txtrader.model.numbers import plain_text

__all__ = ["AccountBooks"]

_LEDGER = "ledger"
_BASELINE = "baseline"


class AccountBooks:
    """What the brokers say of their accounts, and beside it our own ledger of positions.

    The ledger begins with the broker's word when an account is seen for the first time, moves with every execution,
    and is journaled in the same transaction; `differences` compares the two.
    """

    def __init__(self) -> None:
        self.mode_of: dict[str, str] = {}
        self.values: dict[str, dict[tuple[str, str | None], AccountValue]] = {}
        self.positions: dict[LedgerKey, Position] = {}
        self._ledger: dict[LedgerKey, Decimal] = {}
        self._baseline: set[tuple[str, str]] = set()
        self._moved: set[LedgerKey] = set()
        self.without_positions: set[str] = set()
        """Modes whose broker tells no positions: those shown are the ledger's."""

    # --- journal ------------------------------------------------------------------------------------------------

    def restore(self, meta: Mapping[str, str]) -> None:
        """Take the ledger out of the journal's meta rows."""
        for name, text in meta.items():
            kind, *words = name.split("|")
            if kind == _LEDGER and len(words) == 3:
                self._ledger[words[0], words[1], words[2]] = Decimal(text)
            elif kind == _BASELINE and len(words) == 2:
                self._baseline.add((words[0], words[1]))

    def move(self, moves: Mapping[LedgerKey, Decimal]) -> dict[str, str]:
        """Move the ledger by executions; returns the meta rows to journal with them."""
        meta: dict[str, str] = {}
        for key, delta in moves.items():
            self._moved.add(key)
            if key[:2] in self._baseline:
                total = self._ledger[key] = self._ledger.get(key, Decimal(0)) + delta
                meta["|".join((_LEDGER, *key))] = plain_text(total)
        return meta

    def ledger_of(self, mode: str) -> dict[LedgerKey, Decimal]:
        """Return what the executions at a broker sum to, since each account was first met."""
        return {key: quantity for key, quantity in self._ledger.items() if key[0] == mode}

    def take_moved(self, mode: str) -> set[LedgerKey]:
        """Return what executions have moved at a broker since this was last asked."""
        taken = {key for key in self._moved if key[0] == mode}
        self._moved -= taken
        return taken

    # --- accounts -----------------------------------------------------------------------------------------------

    def set_accounts(self, mode: str, accounts: Iterable[str]) -> bool:
        """Take the accounts of a broker; tells whether they are others than before."""
        old = [account for account, owner in self.mode_of.items() if owner == mode]
        new = list(accounts)
        for account in old:
            if account not in new:
                del self.mode_of[account]
        for account in new:
            self.mode_of[account] = mode
        return old != new

    def set_value(self, value: AccountValue) -> bool:
        """Take one figure; tells whether it is news."""
        values = self.values.setdefault(value.account, {})
        key = (value.key, value.currency)
        if values.get(key) == value:
            return False
        values[key] = value
        return True

    def figures(self, account: str, fields: Iterable[str] | None) -> dict[str, list[str | None]]:
        """Return `{key: [value, currency]}`; a key that has several currencies shows further ones as `key.CUR`."""
        wanted = None if fields is None else set(fields)
        shown: dict[str, list[str | None]] = {}
        for (key, currency), value in self.values.get(account, {}).items():
            name = key
            if key in shown and currency != "BASE":
                name = f"{key}.{currency}"
            elif key in shown:
                shown[f"{key}.{shown[key][1]}"] = shown[key]
            if wanted is None or name in wanted:
                shown[name] = [value.value, currency]
        return shown

    # --- positions ----------------------------------------------------------------------------------------------

    def set_position(self, position: Position) -> Position | None:
        """Take one position, figures that it does not say kept; returns the record if it is news."""
        key = (position.mode, position.account, position.instrument_id or position.symbol)
        old = self.positions.get(key)
        if old is not None:
            said = {
                name: value for name in position.__struct_fields__ if (value := getattr(position, name)) is not None
            }
            position = Position(**{**{n: getattr(old, n) for n in old.__struct_fields__}, **said})
            if _facts(old) == _facts(position):
                return None
        elif not position.quantity:
            return None
        self.positions[key] = position
        return position

    def swap_positions(self, mode: str, accounts: Iterable[str], positions: Iterable[Position]) -> list[Position]:
        """Take a complete set: what it does not name is flat.  Returns the records that changed."""
        named: set[LedgerKey] = set()
        changed: list[Position] = []
        for position in positions:
            named.add((mode, position.account, position.instrument_id or position.symbol))
            if (new := self.set_position(position)) is not None:
                changed.append(new)
        whose = set(accounts)
        for key, old in list(self.positions.items()):
            if key[0] == mode and key[1] in whose and key not in named and old.quantity:
                flat = Position(
                    account=old.account,
                    mode=mode,
                    symbol=old.symbol,
                    quantity=Decimal(0),
                    instrument=old.instrument,
                    instrument_id=old.instrument_id,
                    currency=old.currency,
                    multiplier=old.multiplier,
                    realized=old.realized,
                    update_time=old.update_time,
                )
                self.positions[key] = flat
                changed.append(flat)
        return changed

    def held(self, mode: str, account: str) -> list[Position]:
        """Return the positions of an account that are not flat."""
        return [p for (m, a, _), p in self.positions.items() if m == mode and a == account and p.quantity]

    # --- the ledger against the broker ----------------------------------------------------------------------------

    def is_known(self, mode: str, account: str) -> bool:
        """Tell whether the account was seen before."""
        return (mode, account) in self._baseline

    def accept(self, mode: str, account: str) -> dict[str, str]:
        """Take the broker's positions of an account as the truth; returns the meta rows to journal."""
        meta = {"|".join((_BASELINE, mode, account)): "1"}
        self._baseline.add((mode, account))
        for key in [k for k in self._ledger if k[:2] == (mode, account)]:
            self._ledger[key] = Decimal(0)
            meta["|".join((_LEDGER, *key))] = "0"
        for key, position in self.positions.items():
            if key[:2] == (mode, account):
                self._ledger[key] = position.quantity
                meta["|".join((_LEDGER, *key))] = plain_text(position.quantity)
        return meta

    def differences(self, mode: str, account: str) -> list[tuple[str, str, Decimal, Decimal]]:
        """Return (instrument id, symbol, ours, broker's) where ledger and broker disagree.

        Money changed into money is no position: FX trades move cash balances.
        """
        found: list[tuple[str, str, Decimal, Decimal]] = []
        keys = {k: None for k in (*self._ledger, *self.positions) if k[:2] == (mode, account)}
        for key in keys:
            position = self.positions.get(key)
            instrument = position.instrument if position is not None else None
            if instrument is not None and instrument.sectype is SecType.CASH:
                continue
            ours = self._ledger.get(key, Decimal(0))
            theirs = position.quantity if position is not None else Decimal(0)
            if ours != theirs:
                found.append((key[2], position.symbol if position else f"#{key[2]}", ours, theirs))
        return found


def _facts(position: Position) -> dict[str, object]:
    """What makes a position news: everything but the time it was told."""
    return {name: getattr(position, name) for name in position.__struct_fields__ if name != "update_time"}
