"""The numbers of CQG WebAPI and their words; a test holds them against the table of the wire.

Members are named as in the protocol, without the prefix that all of an enumeration share.
"""

from __future__ import annotations

from enum import IntEnum

__all__ = [
    "SOURCES",
    "AccountConnection",
    "BarRequest",
    "BarStatus",
    "BarUnit",
    "BrokerageType",
    "CollapsingCode",
    "CollapsingLevel",
    "CompoundType",
    "DayOfWeek",
    "Duration",
    "ExchangeState",
    "ExecInstruction",
    "GoFlatCode",
    "Indicator",
    "InfoStatus",
    "Level",
    "LogoffReason",
    "LogonCode",
    "MarketStatus",
    "MatchingAlgorithm",
    "MessageType",
    "OrderStatus",
    "OrderType",
    "PasswordCode",
    "PositionTracking",
    "Publication",
    "QuoteType",
    "RejectCode",
    "RestoreCode",
    "SalesCondition",
    "Scope",
    "SessionSetting",
    "Side",
    "TicksCode",
    "TicksLevel",
    "TicksRequest",
    "TradeStatus",
    "TransactionStatus",
    "is_failure",
    "word_of",
]


class OrderStatus(IntEnum):
    """Where an order stands."""

    IN_TRANSIT = 1
    REJECTED = 2
    WORKING = 3
    EXPIRED = 4
    IN_CANCEL = 5
    IN_MODIFY = 6
    CANCELLED = 7
    FILLED = 8
    SUSPENDED = 9
    DISCONNECTED = 10
    ACTIVEAT = 11
    APPROVE_REQUIRED = 12
    APPROVED_BY_EXCHANGE = 13
    APPROVE_REJECTED = 14
    MATCHED = 15
    PARTIALLY_MATCHED = 16
    TRADE_BROKEN = 17


class TransactionStatus(IntEnum):
    """What one transaction of an order's chain says."""

    IN_TRANSIT = 1
    REJECTED = 2
    ACK_PLACE = 3
    EXPIRED = 4
    IN_CANCEL = 5
    ACK_CANCEL = 6
    REJECT_CANCEL = 7
    IN_MODIFY = 8
    ACK_MODIFY = 9
    REJECT_MODIFY = 10
    FILL = 11
    SUSPEND = 12
    FILL_CORRECT = 13
    FILL_CANCEL = 14
    FILL_BUST = 15
    ACTIVEAT = 16
    DISCONNECT = 17
    SYNTHETIC_ACTIVATED = 18
    UPDATE = 19
    SYNTHETIC_FAILED = 20
    SYNTHETIC_OVERFILL = 21
    SYNTHETIC_HANG = 22
    APPROVING = 23
    APPROVE_REQUESTED = 24
    APPROVED_BY_EXCHANGE = 25
    REJECTED_BY_USER = 26
    MATCHED = 27
    TRADE_BROKEN = 28
    TRADE_AMENDED = 29


class SessionSetting(IntEnum):
    """What a logon asks of its session."""

    RESTORE = 1
    JOIN = 2


class LogonCode(IntEnum):
    """How a logon ended."""

    SUCCESS = 0
    FAILURE = 101
    NO_ONETIME_PASSWORD = 103
    PASSWORD_EXPIRED = 104
    CONCURRENT_SESSION = 105
    REDIRECTED = 106
    ROUTINE_ERROR = 107
    ACCESS_TOKEN_EXPIRED = 108


class RestoreCode(IntEnum):
    """How a restore or join ended."""

    SUCCESS = 0
    FAILURE = 104
    UNKNOWN_SESSION = 101
    ACCESS_DENIED = 102
    INVALID_PARAMS = 103


class LogoffReason(IntEnum):
    """Why a session ended."""

    BY_REQUEST = 1
    REDIRECTED = 2
    FORCED = 3
    REASSIGNED = 4


class PasswordCode(IntEnum):
    """How a change of password ended."""

    SUCCESS = 0
    FAILURE = 101
    ROUTINE_ERROR = 102


class MessageType(IntEnum):
    """How much a user message matters."""

    CRITICAL_ERROR = 1
    WARNING = 2
    INFO = 3
    LOG = 4


class CollapsingCode(IntEnum):
    """How a change of the collapsing level ended."""

    SUCCESS = 0
    FAILURE = 101
    BANDWIDTH_IS_SET = 102


class CollapsingLevel(IntEnum):
    """What the server may merge for a slow reader."""

    NONE = 0
    DOM = 1
    DOM_BBA = 2
    DOM_BBA_TRADES = 3


class Level(IntEnum):
    """How much market data is asked for, or granted."""

    NONE = 0
    SETTLEMENTS = 5
    END_OF_DAY = 6
    TRADES = 1
    TRADES_BBA = 2
    TRADES_BBA_VOLUMES = 3
    TRADES_BBA_DOM = 4
    TRADES_BBA_DETAILED_DOM = 7


class MarketStatus(IntEnum):
    """How a market data subscription stands."""

    SUCCESS = 0
    DISCONNECTED = 1
    FAILURE = 101
    INVALID_PARAMS = 102
    ACCESS_DENIED = 103
    DELETED = 104
    SUBSCRIPTION_LIMIT_VIOLATION = 105
    CONTRIBUTOR_REQUIRED = 106
    SUBSCRIPTION_RATE_LIMIT_VIOLATION = 107
    NOT_SUPPORTED = 110


class QuoteType(IntEnum):
    """What a quote is."""

    TRADE = 0
    BESTBID = 1
    BESTASK = 2
    BID = 3
    ASK = 4
    SETTLEMENT = 5
    IMPLIED_BID = 10
    IMPLIED_ASK = 11


class Indicator(IntEnum):
    """What else a quote says."""

    OPEN = 1
    HIGH = 2
    LOW = 3
    LAST = 4
    CLOSE = 11
    PAST = 5
    FALL_BACK_TO_TRADE_OR_SETTLEMENT = 6
    INSERTION = 7
    DELETION = 8
    OFF_MARKET = 9
    CURRENCY_RATE_CHANGED = 10


class SalesCondition(IntEnum):
    """How a trade came about."""

    HIT = 1
    TAKE = 2
    SPREAD_LEG = 3
    BUY_SIDE_AGGRESSOR = 4
    SELL_SIDE_AGGRESSOR = 5


class ExchangeState(IntEnum):
    """What the exchange does with the contract."""

    PRE_OPEN = 1
    OPEN = 2
    CLOSED = 3
    HALTED = 4
    SUSPENDED = 5


class TicksLevel(IntEnum):
    """Which ticks are asked for."""

    TRADES = 1
    TRADES_BBA_VOLUMES = 3


class TicksRequest(IntEnum):
    """What is asked about ticks."""

    GET = 1
    DROP = 3


class TicksCode(IntEnum):
    """How a request for ticks ended."""

    SUCCESS = 0
    DROPPED = 2
    DISCONNECTED = 4
    FAILURE = 101
    ACCESS_DENIED = 103
    NOT_FOUND = 104
    OUTSIDE_ALLOWED_RANGE = 105
    ACTIVE_REQUESTS_LIMIT_VIOLATION = 106
    REQUEST_RATE_LIMIT_VIOLATION = 107
    NOT_SUPPORTED = 110
    INVALID_PARAMS = 111


class BarRequest(IntEnum):
    """What is asked about bars."""

    GET = 1
    SUBSCRIBE = 2
    DROP = 3


class BarUnit(IntEnum):
    """The unit of a bar's length."""

    YEAR = 1
    SEMI_ANNUAL = 2
    QUARTER = 3
    MONTH = 4
    WEEK = 5
    DAY = 6
    HOUR = 7
    MIN = 8


class BarStatus(IntEnum):
    """How a request for bars stands."""

    SUCCESS = 0
    SUBSCRIBED = 1
    DROPPED = 2
    UPDATE = 3
    DISCONNECTED = 4
    INVALIDATED = 5
    FAILURE = 101
    ACCESS_DENIED = 103
    NOT_FOUND = 104
    OUTSIDE_ALLOWED_RANGE = 105
    INVALID_PARAMS = 106
    ACTIVE_REQUESTS_LIMIT_VIOLATION = 107
    SUBSCRIPTION_LIMIT_VIOLATION = 108
    REQUEST_RATE_LIMIT_VIOLATION = 109
    NOT_SUPPORTED = 110
    UPDATE_INTERVAL_OUTSIDE_ALLOWED_RANGE = 111


class PositionTracking(IntEnum):
    """How positions are kept."""

    NET_POSITION = 1
    LONG_SHORT_WITH_IMPLIED_CLOSE = 2
    LONG_SHORT_WITH_EXPLICIT_CLOSE = 3


class Side(IntEnum):
    """Buy or sell."""

    BUY = 1
    SELL = 2


class OrderType(IntEnum):
    """The order's type."""

    MKT = 1
    LMT = 2
    STP = 3
    STL = 4
    CROSS = 5


class ExecInstruction(IntEnum):
    """What modifies an order's type."""

    NONE = 12
    AON = 1
    ICEBERG = 2
    QT = 3
    TRAIL = 4
    FUNARI = 5
    MIT = 6
    MLM = 7
    POSTONLY = 8
    MTL = 10
    AUCTION = 11
    ATANYPRICE = 13
    LMT_PRARGD = 14
    ICO = 15


class Duration(IntEnum):
    """How long an order works."""

    DAY = 1
    GTC = 2
    GTD = 3
    GTT = 4
    FAK = 5
    FOK = 6
    ATO = 7
    ATC = 8
    GFA = 9


class CompoundType(IntEnum):
    """How orders hang together."""

    OPO = 1
    OCO = 2
    INDEPENDENT = 3


class GoFlatCode(IntEnum):
    """How going flat ended for one account."""

    COMPLETED = 0
    TIMED_OUT = 1
    FAILED = 2


class Scope(IntEnum):
    """What a trade subscription is about."""

    ORDERS = 1
    POSITIONS = 2
    COLLATERAL = 3
    ACCOUNT_SUMMARY = 4
    EXCHANGE_POSITIONS = 5
    EXCHANGE_BALANCES = 6


class Publication(IntEnum):
    """Whose trading a subscription is about."""

    ACCOUNTS = 1
    SALES_SERIES = 2
    BROKERAGE = 3
    ALL_AUTHORIZED = 4


class MatchingAlgorithm(IntEnum):
    """How lots are matched."""

    FIFO = 1
    HBHS = 2
    LIFO = 3


class TradeStatus(IntEnum):
    """How a trade subscription stands."""

    SUCCESS = 0
    DISCONNECTED = 1
    FAILURE = 101
    SUBSCRIPTION_LIMIT_VIOLATION = 102
    INVALID_PUBLICATION_ID = 103
    SUBSCRIBED_ACCOUNTS_LIMIT_VIOLATION = 104


class BrokerageType(IntEnum):
    """What kind of brokerage it is."""

    REGULAR = 1
    SIM = 2
    DEMO = 3


class AccountConnection(IntEnum):
    """How an account's link to its broker stands."""

    OFFLINE = 1
    DISCONNECTED = 2
    CONNECTING = 3
    CONNECTED = 4


class DayOfWeek(IntEnum):
    """A day of the week."""

    SUNDAY = 0
    MONDAY = 1
    TUESDAY = 2
    WEDNESDAY = 3
    THURSDAY = 4
    FRIDAY = 5
    SATURDAY = 6


class InfoStatus(IntEnum):
    """How an information request stands."""

    SUCCESS = 0
    SUBSCRIBED = 1
    DROPPED = 2
    UPDATE = 3
    DISCONNECTED = 4
    FAILURE = 101
    INVALID_PARAMS = 102
    NOT_FOUND = 104
    REQUEST_RATE_LIMIT_VIOLATION = 105
    SUBSCRIPTION_LIMIT_VIOLATION = 106
    ACTIVE_REQUESTS_LIMIT_VIOLATION = 107
    TOO_LARGE_RESPONSE = 108


class RejectCode(IntEnum):
    """Why an order request was refused; real servers know more."""

    OTHER = 99
    SEE_TEXT = 1001
    ACCOUNT_NOT_FOR_COMMODITY = 1002
    COMMODITY_DISABLED = 1003
    ORDER_TYPE_NOT_ALLOWED = 1004
    CANNOT_ROUTE = 1006
    NOT_BLOCK_SIZE = 1007
    NOT_AUTHORISED = 1008
    CONTRACT_NOT_CONFIGURED = 1011
    NO_BALANCE_RECORD = 1012
    TRADE_MARGIN_LIMIT = 1013
    LOSS_LIMIT = 1014
    EXCEEDS_CASH = 1015
    WORST_CASE_MARGIN = 1016
    LIQUIDATION_ONLY = 1017
    CANNOT_MODIFY_NOW = 1020
    CANNOT_CANCEL_NOW = 1021
    DURATION_NOT_SUPPORTED = 1022
    ORDER_NOT_FOUND = 1024


SOURCES: dict[str, type[IntEnum]] = {
    "shared_1.OrderStatus.Status": OrderStatus,
    "shared_1.TransactionStatus.Status": TransactionStatus,
    "user_session_2.Logon.SessionSetting": SessionSetting,
    "user_session_2.LogonResult.ResultCode": LogonCode,
    "user_session_2.RestoreOrJoinSessionResult.ResultCode": RestoreCode,
    "user_session_2.LoggedOff.LogoffReason": LogoffReason,
    "user_session_2.PasswordChangeResult.ResultCode": PasswordCode,
    "user_session_2.UserMessage.MessageType": MessageType,
    "user_session_2.SetCollapsingLevelResult.ResultCode": CollapsingCode,
    "user_session_2.RealTimeCollapsingLevel": CollapsingLevel,
    "market_data_2.MarketDataSubscription.Level": Level,
    "market_data_2.MarketDataSubscriptionStatus.StatusCode": MarketStatus,
    "market_data_2.Quote.Type": QuoteType,
    "market_data_2.Quote.Indicator": Indicator,
    "market_data_2.Quote.SalesCondition": SalesCondition,
    "market_data_2.TradingState.ExchangeState": ExchangeState,
    "historical_2.TimeAndSalesParameters.Level": TicksLevel,
    "historical_2.TimeAndSalesRequest.RequestType": TicksRequest,
    "historical_2.TimeAndSalesReport.ResultCode": TicksCode,
    "historical_2.TimeBarRequest.RequestType": BarRequest,
    "historical_2.BarUnit": BarUnit,
    "historical_2.BarReportStatusCode": BarStatus,
    "metadata_2.PositionTrackingType": PositionTracking,
    "order_2.Order.Side": Side,
    "order_2.Order.OrderType": OrderType,
    "order_2.Order.ExecInstruction": ExecInstruction,
    "order_2.Order.Duration": Duration,
    "order_2.CompoundOrder.Type": CompoundType,
    "order_2.GoFlatStatus.StatusCode": GoFlatCode,
    "trade_routing_2.TradeSubscription.SubscriptionScope": Scope,
    "trade_routing_2.TradeSubscription.PublicationType": Publication,
    "trade_routing_2.TradeSubscription.MatchingAlgorithm": MatchingAlgorithm,
    "trade_routing_2.TradeSubscriptionStatus.StatusCode": TradeStatus,
    "trading_account_2.Brokerage.BrokerageType": BrokerageType,
    "trading_account_2.Account.AccountConnectionStatus": AccountConnection,
    "trading_session_2.DayOfWeek": DayOfWeek,
    "WebAPI_2.InformationReport.StatusCode": InfoStatus,
}
"""Which enumeration of the table each class is."""


def is_failure(code: int) -> bool:
    """Tell whether a status or result code means failure, also one that is not known yet."""
    return code >= 100


def word_of(kind: type[IntEnum], code: int) -> str:
    """Return the word of a code, the number where it has none."""
    try:
        return kind(code).name
    except ValueError:
        return str(code)
