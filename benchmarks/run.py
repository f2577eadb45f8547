"""Run the benchmarks: `python -m benchmarks.run [B2 B5 ...]`, all of them without a name; `report` writes the docs."""

from __future__ import annotations

import importlib
import sys
import time
import traceback

BENCHMARKS = {
    "B1": "b01_tick_to_client",
    "B2": "b02_fan_out",
    "B3": "b03_commands",
    "B4": "b04_calls",
    "B5": "b05_order_round_trip",
    "B6": "b06_durable_orders",
    "B7": "b07_matching",
    "B9": "b09_memory",
    "B11": "b11_interest",
    "B14": "b14_virtual_time",
    "B16": "b16_tick_ingestion",
    "B17": "b17_cqg_ingestion",
    "B18": "b18_cqg_order_round_trip",
    "B19": "b19_fix_codec",
    "B20": "b20_fix_orders",
}
"""B16 and B17: ingestion of TWS and of CQG market data; B18: B5 over CQG; B19, B20: FIX; the rest is the design's."""

PAUSE = 5.0  # seconds between two of them: closed connections and the load average settle


def main(words: list[str]) -> int:
    """Run what is named; the exit code tells whether each of them could be measured, not whether it was fast."""
    if words == ["report"]:
        from benchmarks.report import write

        write()
        return 0
    unknown = [word for word in words if word not in BENCHMARKS]
    if unknown:
        print(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    failed = []
    for index, name in enumerate(words or BENCHMARKS):
        if index:
            time.sleep(PAUSE)
        try:
            importlib.import_module(f"benchmarks.{BENCHMARKS[name]}").run()
        except Exception:
            traceback.print_exc()
            failed.append(name)
    if failed:
        print(f"# could not be measured: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
