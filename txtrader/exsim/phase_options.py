"""What can be set of a book's phases, auctions, halts and bands: declared once, with type, default, unit and meaning.

The declaration serves validation and whoever lists, sets or documents the options.  `PhaseSettings` are the values
of one book; `set_option` makes new ones from the old, so that a book never sees half a change.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from math import ceil, floor
from typing import Any

import msgspec

from txtrader.errors import InvalidArgument

__all__ = ["PHASE_OPTIONS", "Band", "PhaseOption", "PhaseSettings", "set_option"]

_LONGEST = 86_400


class Band(msgspec.Struct, frozen=True):
    """How far a price may be from another: an amount of the currency, or percent of that price."""

    width: Decimal
    is_percent: bool = False

    def edges(self, centre: int, tick: Decimal) -> tuple[int, int]:
        """Return the lowest and highest price, in ticks, that is within the band round `centre` (ticks)."""
        distance = abs(centre) * self.width / 100 if self.is_percent else self.width / tick
        return ceil(centre - distance), floor(centre + distance)

    def __str__(self) -> str:
        return f"{self.width}%" if self.is_percent else str(self.width)


class PhaseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The options of one book; see `PHASE_OPTIONS` for what they mean."""

    no_cancel: int = 0
    auction_random_end: int = 0
    auction_market_orders: str = "cancel"
    auction_stops: bool = False
    closed_queues_gtc: bool = False
    halt_accepts: str = "cancels"
    resume: str = "direct"
    pause_seconds: int = 0
    reference_price: Decimal | None = None
    static_band: Band | None = None
    dynamic_band: Band | None = None
    band_orders: str = "reject"
    band_breach: str = "collar"


class PhaseOption(msgspec.Struct, frozen=True, kw_only=True):
    """One option: `type` is `seconds`, `bool`, `choice`, `price` or `band`; `choices` are those of a choice."""

    name: str
    type: str
    meaning: str
    unit: str = ""
    choices: tuple[str, ...] = ()

    @property
    def default(self) -> Any:
        return getattr(_DEFAULTS, self.name)


_DEFAULTS = PhaseSettings()


def _declared(*options: PhaseOption) -> dict[str, PhaseOption]:
    return {option.name: option for option in options}


PHASE_OPTIONS: dict[str, PhaseOption] = _declared(
    PhaseOption(
        name="no_cancel",
        type="seconds",
        unit="s",
        meaning="No cancel and no replace in the last seconds of an auction whose end is known.",
    ),
    PhaseOption(
        name="auction_random_end",
        type="seconds",
        unit="s",
        meaning="An auction that ends by the clock ends up to so much later, drawn from the venue's seed.",
    ),
    PhaseOption(
        name="auction_market_orders",
        type="choice",
        choices=("cancel", "carry"),
        meaning="What becomes of a market order that an auction did not fill.",
    ),
    PhaseOption(
        name="auction_stops",
        type="bool",
        meaning="Take new orders that wait for a trigger while there is an auction.",
    ),
    PhaseOption(
        name="closed_queues_gtc",
        type="bool",
        meaning="While closed, keep new GTC orders until trading begins, instead of refusing them.",
    ),
    PhaseOption(
        name="halt_accepts",
        type="choice",
        choices=("none", "cancels", "all"),
        meaning="What a halted book takes; what is new waits unseen until it resumes.",
    ),
    PhaseOption(
        name="resume",
        type="choice",
        choices=("direct", "auction"),
        meaning="How a halt ends: trading goes on at once, or a pause with a reopening auction comes first.",
    ),
    PhaseOption(
        name="pause_seconds",
        type="seconds",
        unit="s",
        meaning="How long a pause lasts before its reopening auction; 0: until somebody ends it.",
    ),
    PhaseOption(
        name="reference_price",
        type="price",
        meaning="The centre of the static band; without it the last auction's price, else the previous close.",
    ),
    PhaseOption(
        name="static_band",
        type="band",
        meaning="How far from the reference price an order may be priced and trade: '5' or '10%'.",
    ),
    PhaseOption(
        name="dynamic_band",
        type="band",
        meaning="How far from the trade before it one incoming order may trade: '5' or '10%'.",
    ),
    PhaseOption(
        name="band_orders",
        type="choice",
        choices=("reject", "accept"),
        meaning="A limit outside the static band is refused, or taken and not matched beyond the band.",
    ),
    PhaseOption(
        name="band_breach",
        type="choice",
        choices=("collar", "volatility"),
        meaning="A match that would leave the dynamic band: the remainder is canceled, or the book goes to pause.",
    ),
)
"""Every option by name."""


def set_option(settings: PhaseSettings, name: str, value: Any) -> PhaseSettings:
    """Return the settings with one option changed; text is taken for every type.  Raises InvalidArgument."""
    option = PHASE_OPTIONS.get(name)
    if option is None:
        raise InvalidArgument(f"there is no option {name}", path=name)
    return msgspec.structs.replace(settings, **{name: _read(option, value)})


def _read(option: PhaseOption, value: Any) -> Any:
    if option.type == "bool":
        if isinstance(value, bool):
            return value
        if value in ("true", "false"):
            return value == "true"
        raise InvalidArgument(f"{option.name} is true or false", path=option.name)
    if option.type == "choice":
        if value not in option.choices:
            raise InvalidArgument(f"{option.name} is one of {', '.join(option.choices)}", path=option.name)
        return value
    if option.type == "seconds":
        number = _number(option, value)
        if number != int(number) or not 0 <= number <= _LONGEST:
            raise InvalidArgument(f"{option.name} is 0 to {_LONGEST} whole seconds", path=option.name)
        return int(number)
    if value is None or value == "":
        return None
    if option.type == "price":
        return _number(option, value)
    return _band(option, value)


def _band(option: PhaseOption, value: Any) -> Band:
    if isinstance(value, Band):
        return value
    text = str(value)
    band = Band(_number(option, text.removesuffix("%")), text.endswith("%"))
    if band.width <= 0:
        raise InvalidArgument(f"{option.name} must be above zero", path=option.name)
    return band


def _number(option: PhaseOption, value: Any) -> Decimal:
    if isinstance(value, bool | float):
        raise InvalidArgument(f"{option.name} is a number, as text or exact", path=option.name)
    try:
        number = Decimal(value)
    except (InvalidOperation, TypeError, ValueError) as error:
        raise InvalidArgument(f"{option.name} is a number, not {value!r}", path=option.name) from error
    if not number.is_finite() or abs(number) >= 10**12:
        raise InvalidArgument(f"{option.name} is a number of sense, not {value!r}", path=option.name)
    return number
