"""The one vector table of hostile numbers and strings, for all front ends."""

from __future__ import annotations

BAD_PRICES = [
    "NaN", "nan", "Infinity", "-Infinity", "inf", "1e400", "1e5", "1E5", "1_000", "1,000", "\uff10",
    "\uff11\uff12", "\u0663",
    "0x10", "+5", " 5", "5 ", ".5", "5.", "00.5", "01", "--1", "1.2.3", "", "-", ".", "-0", "-0.00",
    "0.30000000000000004",
    "9" * 4000, "1." + "0" * 4000, "1e-5", "True", "None", "12abc", "12\u00a0",
]  # fmt: skip
"""Never a price."""

BAD_QUANTITIES = ["0", "-1", "1.5", "0.1", "NaN", "1e3", "1_0", "+1", "01", "1000000000", "\uff11", "", "10 "]
"""Never a quantity of shares beside a side."""

BAD_SYMBOLS = [
    "AAPL\x00IBM", "IBM\x0138=1", "IBM,VOLUME=9", "IBM=1", "IBM;", "I" * 64, "", "IBM\r\nquit", "ÍBM", "IBM\u2028",
]  # fmt: skip
"""Never a symbol; the delimiters are those of the wires (F36)."""

BAD_KEYS = ["with blank", "a" * 65, "tab\t", "nul\x00", "é"]
"""Never a client order id."""
