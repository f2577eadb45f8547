"""The message classes of CQG WebAPI 2.230, built at run time from `table.csv`.

Code that protoc generates is locked to one protobuf runtime; descriptors are not.  They live in a pool of their own,
so that whatever CQG files a user has imported do no harm.

    proto2; one file for each package, in an order without forward references
    a message that the table only names (it lies outside of what we use) is `bytes`: the same on the wire
    enumerations are plain uint32, so that numbers of a newer server pass; only DayOfWeek and PriceDisplayMode are real
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from importlib import resources
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

__all__ = ["PACKAGES", "ClientMsg", "ServerMsg", "message_class", "rows"]

PACKAGES = (
    "cqg",
    "shared_1",
    "user_attribute_2",
    "user_session_2",
    "metadata_2",
    "trading_account_2",
    "trading_session_2",
    "market_data_2",
    "order_2",
    "trade_routing_2",
    "historical_2",
    "WebAPI_2",
)
_TIMESTAMP = "google.protobuf.Timestamp"
_Field = descriptor_pb2.FieldDescriptorProto
_LABELS = {
    "optional": _Field.LABEL_OPTIONAL,
    "required": _Field.LABEL_REQUIRED,
    "repeated": _Field.LABEL_REPEATED,
    "repeated packed": _Field.LABEL_REPEATED,
}


def rows() -> Iterator[dict[str, str]]:
    """Yield the rows of the table: kind (field, enum_value, message), package, message, name, number, type ..."""
    text = resources.files(__package__).joinpath("table.csv").read_text(encoding="utf-8")
    yield from csv.DictReader(text.splitlines())


def message_class(name: str) -> Any:
    """Return the class of a message such as `order_2.NewOrder`; a name that is not in the table is a KeyError."""
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(name))


def _build() -> descriptor_pool.DescriptorPool:
    table = list(rows())
    messages = {f"{row['package']}.{row['message']}" for row in table if row["kind"] in ("field", "message")}
    files = {package: _empty_file(package) for package in PACKAGES}
    targets: dict[str, Any] = {}
    for row in table:
        file, name = files[row["package"]], row["message"]
        if row["kind"] == "enum_value":
            if "." in name:
                continue  # numbers of a uint32 field: a namespace for people, not for the wire
            key = f"enum {name}"
            if key not in targets:
                targets[key] = file.enum_type.add(name=name)
            targets[key].value.add(name=row["name"], number=int(row["number"]))
            continue
        key = f"{row['package']}.{name}"
        if key not in targets:
            targets[key] = file.message_type.add(name=name)
        if row["kind"] == "field":
            _add_field(targets[key], row, messages)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    for package in PACKAGES:
        pool.AddSerializedFile(files[package].SerializeToString())
    return pool


def _empty_file(package: str) -> Any:
    before = PACKAGES[: PACKAGES.index(package)]
    return descriptor_pb2.FileDescriptorProto(
        name=f"{package}.proto",
        package=package,
        syntax="proto2",
        dependency=["google/protobuf/timestamp.proto", *[f"{name}.proto" for name in before]],
    )


def _add_field(target: Any, row: dict[str, str], messages: set[str]) -> None:
    field = target.field.add(name=row["name"], number=int(row["number"]), label=_LABELS[row["label"]])
    if row["label"] == "repeated packed":
        field.options.packed = True
    if row["default"]:
        field.default_value = row["default"]
    kind, _, reference = row["type"].partition(":")
    if kind == "enum":
        field.type, field.type_name = _Field.TYPE_ENUM, f".{reference}"
    elif kind == "message" and (reference in messages or reference == _TIMESTAMP):
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".{reference}"
    else:
        field.type = _Field.TYPE_BYTES if kind == "message" else getattr(_Field, f"TYPE_{kind.upper()}")


_POOL = _build()
ClientMsg = message_class("WebAPI_2.ClientMsg")
ServerMsg = message_class("WebAPI_2.ServerMsg")
