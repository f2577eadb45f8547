"""The layouts of OUCH 4.2 and 5.0: the one table that reads and writes every message.

A line is: letter, name, fields.  A field is `name:kind`:

    a<n>   text of n characters, blanks on the right
    n<n>   an unsigned integer of n bytes
    s<n>   a signed integer of n bytes
    p<n>   a price of n bytes, in ten-thousandths
    t8     nanoseconds since midnight

In 5.0 every message but SystemEvent may end in an appendage: two bytes of length, then elements of tag and value.
`+` at the end of a line says that it always does; `?` that it does in the later edition only.  `TAGS` says what an
element holds, and in which requests it may stand.

Documents: Nasdaq, OUCH 4.2 and OUCH 5.0.
"""

from __future__ import annotations

import struct

import msgspec

__all__ = ["LATEST", "MESSAGES", "TAGS", "Field", "Layout", "Tag"]

LATEST = "5.0"

_IN_42 = """
O EnterOrder     token:a14 side:a1 shares:n4 stock:a8 price:p4 tif:n4 firm:a4 display:a1 capacity:a1 iso:a1 min_qty:n4
                 cross:a1 customer:a1
U ReplaceOrder   existing_token:a14 replacement_token:a14 shares:n4 price:p4 tif:n4 display:a1 iso:a1 min_qty:n4
X CancelOrder    token:a14 shares:n4
M ModifyOrder    token:a14 side:a1 shares:n4
"""

_OUT_42 = """
S SystemEvent    timestamp:t8 event:a1
A Accepted       timestamp:t8 token:a14 side:a1 shares:n4 stock:a8 price:p4 tif:n4 firm:a4 display:a1 order_ref:n8
                 capacity:a1 iso:a1 min_qty:n4 cross:a1 state:a1 bbo_weight:a1
U Replaced       timestamp:t8 replacement_token:a14 side:a1 shares:n4 stock:a8 price:p4 tif:n4 firm:a4 display:a1
                 order_ref:n8 capacity:a1 iso:a1 min_qty:n4 cross:a1 state:a1 previous_token:a14 bbo_weight:a1
C Canceled       timestamp:t8 token:a14 decrement:n4 reason:a1
D AIQCanceled    timestamp:t8 token:a14 decrement:n4 reason:a1 prevented:n4 exec_price:p4 liquidity:a1
E Executed       timestamp:t8 token:a14 shares:n4 exec_price:p4 liquidity:a1 match:n8
G ExecutedWithReferencePrice
                 timestamp:t8 token:a14 shares:n4 exec_price:p4 liquidity:a1 match:n8 ref_price:p4 ref_type:a1
F TradeCorrection
                 timestamp:t8 token:a14 shares:n4 exec_price:p4 liquidity:a1 match:n8 reason:a1
B BrokenTrade    timestamp:t8 token:a14 match:n8 reason:a1
K PriceCorrection
                 timestamp:t8 token:a14 match:n8 new_price:p4 reason:a1
J Rejected       timestamp:t8 token:a14 reason:a1
P CancelPending  timestamp:t8 token:a14
I CancelReject   timestamp:t8 token:a14
T OrderPriorityUpdate
                 timestamp:t8 token:a14 price:p4 display:a1 order_ref:n8
M OrderModified  timestamp:t8 token:a14 side:a1 shares:n4
"""

_IN_50 = """
O EnterOrder     user_ref:n4 side:a1 quantity:n4 symbol:a8 price:p8 tif:a1 display:a1 capacity:a1 iso:a1 cross:a1
                 cl_ord_id:a14 +
U ReplaceOrder   orig_user_ref:n4 user_ref:n4 quantity:n4 price:p8 tif:a1 display:a1 iso:a1 cl_ord_id:a14 +
X CancelOrder    user_ref:n4 quantity:n4 ?
M ModifyOrder    user_ref:n4 side:a1 quantity:n4 ?
C MassCancel     user_ref:n4 firm:a4 symbol:a8 +
D DisableOrderEntry
                 user_ref:n4 firm:a4 +
E EnableOrderEntry
                 user_ref:n4 firm:a4 +
Q AccountQuery   ?
"""

_OUT_50 = """
S SystemEvent    timestamp:t8 event:a1
A Accepted       timestamp:t8 user_ref:n4 side:a1 quantity:n4 symbol:a8 price:p8 tif:a1 display:a1 order_ref:n8
                 capacity:a1 iso:a1 cross:a1 state:a1 cl_ord_id:a14 +
U Replaced       timestamp:t8 orig_user_ref:n4 user_ref:n4 side:a1 quantity:n4 symbol:a8 price:p8 tif:a1 display:a1
                 order_ref:n8 capacity:a1 iso:a1 cross:a1 state:a1 cl_ord_id:a14 +
C Canceled       timestamp:t8 user_ref:n4 quantity:n4 reason:a1 ?
D AIQCanceled    timestamp:t8 user_ref:n4 decrement:n4 reason:a1 prevented:n4 exec_price:p8 liquidity:a1
                 aiq_strategy:a1 ?
E Executed       timestamp:t8 user_ref:n4 quantity:n4 price:p8 liquidity:a1 match:n8 +
B BrokenTrade    timestamp:t8 user_ref:n4 match:n8 reason:a1 cl_ord_id:a14 ?
J Rejected       timestamp:t8 user_ref:n4 reason:n2 cl_ord_id:a14 ?
P CancelPending  timestamp:t8 user_ref:n4 ?
I CancelReject   timestamp:t8 user_ref:n4 ?
T OrderPriorityUpdate
                 timestamp:t8 user_ref:n4 price:p8 display:a1 order_ref:n8 ?
M OrderModified  timestamp:t8 user_ref:n4 side:a1 quantity:n4 ?
R OrderRestated  timestamp:t8 user_ref:n4 reason:a1 +
X MassCancelResponse
                 timestamp:t8 user_ref:n4 firm:a4 symbol:a8 +
G DisableOrderEntryResponse
                 timestamp:t8 user_ref:n4 firm:a4 +
K EnableOrderEntryResponse
                 timestamp:t8 user_ref:n4 firm:a4 +
Q AccountQueryResponse
                 timestamp:t8 next_user_ref:n4 ?
"""

_TAGS = """
1  secondary_order_ref n8
2  firm                a4  O U
3  min_qty             n4  O U
4  customer_type       a1  O U
5  max_floor           n4  O U
6  price_type          a1  O U
7  peg_offset          s4  O U
9  discretion_price    p8  O U
10 discretion_type     a1  O U
11 discretion_offset   s4  O U
12 post_only           a1  O U
13 random_reserves     n4  O U
14 route               a4  O U
15 expire_time         n4  O U
16 trade_now           a1  O U
17 handle_inst         a1  O U
18 bbo_weight          a1
22 display_quantity    n4
23 display_price       p8
24 group_id            n2  O U C
25 shares_located      a1  O U M
26 locate_broker       a4  O U M
27 side                a1  U C
28 user_ref_idx        n1  O U X M C D E Q
29 aiq_strategy        a1  O U
30 aiq_group_id        n2  O U
"""

_INTEGERS = {1: "B", 2: "H", 4: "I", 8: "Q"}


class Field(msgspec.Struct, frozen=True):
    """One field: `kind` is a, n, s, p or t, `size` its bytes."""

    name: str
    kind: str
    size: int

    @property
    def code(self) -> str:
        """The letters of `struct` for it."""
        if self.kind == "a":
            return f"{self.size}s"
        code = _INTEGERS[self.size]
        return code.lower() if self.kind == "s" else code


class Layout(msgspec.Struct, frozen=True):
    """One message.  `appendage` is "" (never one), "+" (always one) or "?" (in the later edition)."""

    letter: str
    name: str
    fields: tuple[Field, ...]
    form: struct.Struct
    appendage: str


class Tag(msgspec.Struct, frozen=True):
    """One element of an appendage; `requests` are the letters of those in which a client may use it."""

    number: int
    field: Field
    form: struct.Struct
    requests: frozenset[str]


def _field(word: str) -> Field:
    name, _, kind = word.partition(":")
    return Field(name, kind[0], int(kind[1:]))


def _layouts(text: str) -> dict[str, Layout]:
    found: dict[str, Layout] = {}
    for line in text.replace("\n  ", " ").strip().splitlines():
        letter, name, *words = line.split()
        appendage = words.pop() if words[-1:] in (["+"], ["?"]) else ""
        fields = tuple(_field(word) for word in words)
        form = struct.Struct(">c" + "".join(field.code for field in fields))
        found[letter] = Layout(letter, name, fields, form, appendage)
    return found


def _tags(text: str) -> dict[int, Tag]:
    found: dict[int, Tag] = {}
    for line in text.strip().splitlines():
        number, name, kind, *letters = line.split()
        field = _field(f"{name}:{kind}")
        found[int(number)] = Tag(int(number), field, struct.Struct(">" + field.code), frozenset(letters))
    return found


MESSAGES: dict[tuple[str, bool], dict[str, Layout]] = {
    ("4.2", True): _layouts(_IN_42),
    ("4.2", False): _layouts(_OUT_42),
    ("5.0", True): _layouts(_IN_50),
    ("5.0", False): _layouts(_OUT_50),
}
"""By version and whether a client sends them: the layouts by letter."""

TAGS = _tags(_TAGS)
"""The elements of 5.0's appendages, by tag."""
