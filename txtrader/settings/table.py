"""Every setting, declared once: name, kind, default, unit, meaning.  Docs, envdir and checks follow from it.

A setting is an attribute of `SettingsTable`; its variable is `TXTRADER_` and the attribute's name in capitals.  What
belongs to a feature that this version does not have is named in `LATER` and refused when set: nobody shall believe
that a setting works which nothing reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar, overload

from txtrader.settings import kinds
from txtrader.settings.sources import PREFIX

__all__ = ["IGNORED", "LATER", "MODES", "SETTINGS", "Setting", "SettingsTable"]

T = TypeVar("T")

MODES = ("tws", "cqg", "dtc", "fix", "demo", "rtx")
"""Names that may stand between the prefix and a key."""

IGNORED = frozenset(
    {
        "ENABLE_EXCEPTION_HALT",
        "ENABLE_EXECUTION_ACCOUNT_FORMAT",
        "LOG_ORDER_UPDATE_DUPS",
        "LOG_CALLBACK_METRICS",
        "TIMEOUT_ACCOUNT",
        "TIMEOUT_ORDERSTATUS",
        "TIMEOUT_TIMER",
        "TESTING",
    }
)
"""Keys of the original that are accepted and mean nothing; account figures stream, so nothing waits for them."""

LATER: dict[str, str] = {
    "NETSTRING_CHANNEL": "the netstring front end",
    "TLS_CERT": "TLS",
    "TLS_KEY": "TLS",
    "TLS_CLIENT_CA": "TLS",
    "TLS_LISTENERS": "TLS",
    "GRAPHIQL": "GraphQL",
    "LIMITS_FILE": "risk limits",
    "DUPLICATE_WINDOW": "risk limits",
    "NATS_URL": "the shared event stream",
    "ENABLE_AUTO_RESET": "the daily reset",
    "LOCAL_RESET_TIME": "the daily reset",
    "MAINTENANCE": "maintenance windows",
    "TICKET_FOUR_EYES": "staged tickets",
    "MAX_BROKER_FRAME": "a broker whose frames have no fixed maximum",
    "ALERT_WEBHOOK": "alerts",
    "ALERT_MAIL": "alerts",
    "ALERT_COMMAND": "alerts",
    "DTC_HISTORY_PORT": "mode dtc",
    "DTC_DATA_HOST": "mode dtc",
    "DTC_DATA_PORT": "mode dtc",
    "DTC_ENCODING": "mode dtc",
    "DTC_TRADE_MODE": "mode dtc",
}
"""Keys whose feature this version does not have, with its name; empty, 0, false and off are accepted."""

HARMLESS = frozenset({"", "0", "false", "off", "none"})


class Setting(Generic[T]):
    """One setting, a descriptor of `SettingsTable`.

    `default` is text as an operator would write it (None: unset); `by_mode` are defaults that differ for a broker.
    `older` are names that still work.  `later` says which feature a value needs that this version does not have:
    only the default is accepted then.  `secret` values are never shown.
    """

    name = ""  # the attribute's
    key = ""  # the variable's, without the prefix

    def __init__(
        self,
        parse: kinds.Parse[Any],
        default: str | None,
        doc: str,
        *,
        by_mode: Mapping[str, str] | None = None,
        older: tuple[str, ...] = (),
        later: str | None = None,
        secret: bool = False,
        unit: str = "",
    ) -> None:
        self.parse = parse
        self.default = default
        self.doc = doc
        self.by_mode = dict(by_mode or {})
        self.older = older
        self.later = later
        self.secret = secret
        self.unit = unit
        self.group = ""  # the heading in the docs

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        self.key = name.upper()

    @property
    def variable(self) -> str:
        """The full name of the variable."""
        return PREFIX + self.key

    def default_for(self, mode: str) -> Any:
        """Return the default value for a broker."""
        text = self.by_mode.get(mode, self.default)
        return None if text is None else self.parse(text)

    @overload
    def __get__(self, instance: None, owner: type) -> Setting[T]: ...
    @overload
    def __get__(self, instance: SettingsTable, owner: type) -> T: ...
    def __get__(self, instance: SettingsTable | None, owner: type) -> Setting[T] | T:
        if instance is None:
            return self
        value: T = instance._values[self.name]
        return value


def _given(parse: kinds.Parse[T], default: str, doc: str, **options: Any) -> Setting[T]:
    return Setting(parse, default, doc, **options)


def _maybe(parse: kinds.Parse[T], doc: str, **options: Any) -> Setting[T | None]:
    return Setting(parse, None, doc, **options)


_seconds = kinds.duration(0, 86400)
_timeout = kinds.duration(0.01, 3600)


class SettingsTable:
    """All settings, group by group."""

    _values: dict[str, Any]

    _group_01 = "Mode and listeners"
    mode = _given(
        kinds.words(), "demo", "The broker: tws, cqg, fix, demo (the simulator inside), or several with commas."
    )
    demo_wire = _given(
        kinds.choice("tws", "cqg", "fix"),
        "tws",
        ("Mode demo: the wire between gateway and simulator inside, over loopback sockets, with the real adapter."),
    )
    demo_seed = _given(kinds.integer(0, 2**31), "7", "Mode demo: the seed of the simulated market.")
    demo_pace = _given(kinds.choice("none", "slow", "fast"), "slow", "Mode demo: how busy the simulated market is.")
    paper = _given(
        kinds.boolean, "0", "1: data from the broker, orders to the simulator inside.", later="paper trading"
    )
    host = _given(kinds.host, "127.0.0.1", "The address where the listeners bind; for clients, where the daemon is.")
    http_port = _given(
        kinds.port,
        "50080",
        "The HTTP listener: XMLRPC, health; `off` closes it, 0 is any free port.",
        older=("XMLRPC_PORT",),
    )
    tcp_port = _given(kinds.port, "50090", "The line protocol's listener; `off` closes it, 0 is any free port.")
    netstring_port = _given(
        kinds.port, "off", "The netstring listener of the 2020 dialect.", later="the netstring front end"
    )
    http_2020 = _given(kinds.boolean, "0", "1: the 2020 dialect over HTTP.", later="the 2020 dialect")
    xmlrpc_error_structs = _given(
        kinds.boolean, "0", "1: XMLRPC answers failed orders with a struct, as the original did, and not with a fault."
    )
    greeting = _given(
        kinds.choice("short", "full"),
        "short",
        "The first line to a client; full tells version and host name before login.",
    )

    _group_02 = "Binding"
    allow_plaintext = _given(
        kinds.boolean, "0", "1: listeners off loopback may start without TLS; everybody on the way reads the passwords."
    )
    allowed_hosts = _maybe(kinds.words(), "Host headers that HTTP accepts; else localhost, 127.0.0.1, [::1] and HOST.")
    allowed_origins = _maybe(kinds.words(), "Web origins that may call from a browser; else none.")

    _group_03 = "Access"
    username = _maybe(kinds.user_name, "The one user, where there is no users file; for clients, the login.")
    password = _maybe(
        kinds.password, "That user's password; better as TXTRADER_PASSWORD_FILE. There is no default.", secret=True
    )
    user_role = _given(kinds.choice("view", "trade", "admin"), "trade", "That user's role.")
    users_file = _given(kinds.path, "/etc/txtrader/users", "The users: one `name:role:hash:accounts` a line.")
    allow_loose_files = _given(
        kinds.boolean,
        "0",
        "1: files that settings are read from may be links, belong to anybody or be readable by all.",
    )

    _group_04 = "State"
    data_dir = _given(kinds.path, "/var/lib/txtrader", "The folder of the journal.")
    journal = _maybe(kinds.path, "The journal's file; else journal.sqlite in DATA_DIR.")

    _group_05 = "Broker"
    api_host = _given(
        kinds.host,
        "127.0.0.1",
        "The broker's address: for tws, where TWS or IB Gateway runs; for cqg its server, api.cqg.com for real money.",
        by_mode={"cqg": "demoapi.cqg.com"},
    )
    api_port = _given(
        kinds.integer(1, 65535),
        "7497",
        "The broker's port: for tws 7497 is TWS paper, 7496 live, 4002 and 4001 IB Gateway.",
        by_mode={"tws": "7497", "cqg": "443"},
    )
    api_username = _maybe(kinds.text, "The login at the broker, where it has one (cqg, some FIX brokers).")
    api_password = _maybe(
        kinds.password, "The password at the broker; better as TXTRADER_API_PASSWORD_FILE.", secret=True
    )
    api_tls = _given(
        kinds.boolean,
        "0",
        "1: the link to the broker is encrypted; cqg without it only on this machine, fix over a line of your own.",
        by_mode={"cqg": "1", "fix": "1"},
    )
    api_ca_file = _maybe(
        kinds.path, "PEM file of the roots that the broker's certificate is checked by; else the system's."
    )
    api_client_id = _given(kinds.integer(0, 2**31 - 1), "0", "The TWS client id; 0 also sees the orders made by hand.")
    api_account = _maybe(kinds.word, "The account of orders that name none.", by_mode={"demo": "DU1000001"})
    api_route = _maybe(kinds.route, "The route of orders that name none: an exchange, or JSON.")
    api_timezone = _given(kinds.timezone, "America/New_York", "The zone of bars, `time` and `uptime`.")
    time_offset = _given(kinds.integer(-1440, 1440), "0", "Added to the broker's clock in answers.", unit="min")
    market_data_type = _given(
        kinds.choice("live", "frozen", "delayed", "delayed-frozen"),
        "live",
        "Which market data the broker is asked for.",
    )
    suppress_error_codes = _given(kinds.integers, "2100", "Broker codes that make no event.")
    tws_max_version = _maybe(
        kinds.integer(100, 300), "The highest TWS server version to offer; else what the installed ibapi can."
    )
    tws_codes_file = _maybe(kinds.path, "An own table of TWS error codes; else the one in the package.")
    tws_message_rate = _given(
        kinds.number(1, 1000), "45", "Messages to TWS; it drops a client that passes 50.", unit="1/s"
    )
    cqg_private_label = _given(kinds.text, "WebAPITest", "The private label that CQG gave; WebAPITest is its demo's.")
    cqg_client_app_id = _given(kinds.text, "WebAPITest", "The application id that CQG gave; WebAPITest is its demo's.")
    cqg_accounts = _maybe(
        kinds.account_choice,
        "Only these accounts: names with commas, `series:BROKERAGE/NUMBER` or `brokerage:ID`; else all of the login.",
    )
    cqg_order_rate = _given(
        kinds.number(1, 1000), "10", "Order requests to CQG for each account; it refuses more than 10.", unit="1/s"
    )
    fix_version = _given(
        kinds.choice("4.2", "4.4", "5.0"),
        "4.4",
        "The FIX version; 5.0 is 5.0SP2 over FIXT 1.1.",
        by_mode={"demo": "5.0"},
    )
    fix_sender_comp_id = _maybe(kinds.text, "Our SenderCompID, as the broker gave it.", by_mode={"demo": "TXTRADER"})
    fix_target_comp_id = _maybe(kinds.text, "The broker's CompID.", by_mode={"demo": "EXSIM"})
    fix_sender_sub_id = _maybe(kinds.text, "Our SenderSubID (50), where the broker gave one.")
    fix_target_sub_id = _maybe(kinds.text, "The broker's TargetSubID (57), where it has one.")
    fix_accounts = _maybe(
        kinds.words(),
        "The accounts (tag 1), with commas; FIX has no list of them.",
        by_mode={"demo": "DU1000001,DU1000002,DU1000003"},
    )
    fix_reset = _given(
        kinds.boolean, "0", "1: each logon begins with number 1 on both sides; what was missed is then not told again."
    )
    fix_reset_time = _maybe(
        kinds.clock_time, "HH:MM in UTC at which the broker's session begins anew: both sides' numbers are 1 after it."
    )
    fix_resend = _given(
        kinds.duration(0, 3600),
        "0",
        "How long after its sending an order goes again, marked as a repeat, when the broker's session asks; 0: never.",
        unit="s",
    )
    fix_status = _given(
        kinds.choice("mass", "each", "none"),
        "mass",
        "How open orders are asked for: all at once (AF), one by one (H), or not at all.",
    )
    fix_positions = _given(
        kinds.choice("ask", "none"), "ask", "Whether the broker is asked for positions (AN); 4.2 has no such request."
    )
    fix_instruments = _given(
        kinds.choice("ask", "none"),
        "ask",
        "Whether the broker is asked for instruments (x, c); else FIX_SYMBOLS tells.",
    )
    fix_symbols = _maybe(kinds.path, "JSON file of symbols, for what the broker does not tell; see docs/fix.md.")
    fix_order_fields = _maybe(
        kinds.fix_fields,
        "Fields that the broker wants in each order and change: TAG=VALUE with commas.",
    )
    fix_cancel_on_disconnect = _given(
        kinds.boolean, "0", "1: orders ask to be cancelled when the connection is lost (18=o, FIX 5.0 only)."
    )
    fix_sync = _given(
        kinds.boolean, "1", "0: FIX numbers need not reach the disk before a message leaves; a power cut may lose some."
    )
    heartbeat = _given(
        kinds.duration(0.05, 3600),
        "10",
        "How often a broker is asked for a sign of life.",
        unit="s",
        by_mode={"fix": "30"},
    )
    gateway_disconnect_timeout = _given(
        kinds.duration(0.1, 86400),
        "30",
        "How long a lost broker link may last before GATEWAY_DISCONNECT_SHUTDOWN acts.",
        unit="s",
    )
    gateway_disconnect_shutdown = _given(
        kinds.boolean, "0", "1: stop after so long without a link and let the supervisor start anew."
    )
    reconnect_min = _given(
        kinds.duration(0.01, 3600),
        "1",
        "The first wait before dialling again; it doubles.",
        unit="s",
        by_mode={"cqg": "5"},
    )
    reconnect_max = _given(
        kinds.duration(0.01, 86400),
        "60",
        "The longest wait before dialling again.",
        unit="s",
        by_mode={"cqg": "300"},
    )

    _group_06 = "Events"
    enable_ticker = _given(kinds.boolean, "1", "0: no quote and trade events for anyone.")
    enable_high_low = _given(kinds.boolean, "1", "Daily open, high, low and close in symbol records.")
    enable_barchart = _given(kinds.boolean, "1", "0: query_bars is refused.")
    enable_symbol_barchart = _given(kinds.boolean, "0", "1: symbol records carry today's bars.")
    enable_seconds_tick = _given(kinds.boolean, "0", "1: a `time` event each second, not only each minute.")

    _group_07 = "Time limits"
    timeout_default = _given(
        _timeout,
        "30",
        "Any question to the broker without a limit of its own.",
        unit="s",
        older=("TWS_CALLBACK_TIMEOUT",),
    )
    timeout_addsymbol = _given(_timeout, "30", "Finding an instrument.", unit="s")
    timeout_barchart = _given(_timeout, "30", "Bars.", unit="s")
    timeout_position = _given(_timeout, "30", "Each step of reconciliation.", unit="s")
    timeout_order = _given(_timeout, "3", "To the broker's first word on an order; then it is Unknown.", unit="s")
    unknown_quiet = _given(
        _seconds, "5", "Quiet in a new broker session before an order without a trace is Lost.", unit="s"
    )
    reconcile_interval = _given(
        kinds.duration(0.1, 86400), "60", "Between two checks of our books against the broker's.", unit="s"
    )
    key_retention = _given(
        kinds.duration(0, 3650 * 86400, "d"),
        "7",
        "How long a client order id stays bound after its order ended.",
        unit="d",
    )
    shutdown_cancel = _given(kinds.boolean, "0", "1: an orderly stop cancels working orders first.")

    _group_08 = "Limits"
    queue_conflate = _given(
        kinds.size(1024, 1 << 30), "256KiB", "Queued for a client beyond which quotes conflate to the latest.", unit="B"
    )
    queue_close = _given(
        kinds.size(4096, 1 << 32), "8MiB", "Queued for a client beyond which it is closed as a slow consumer.", unit="B"
    )
    queue_stall = _given(
        kinds.duration(0.1, 3600), "30", "Without progress of a queue before its client is closed.", unit="s"
    )
    queue_total = _given(
        kinds.size(65536, 1 << 36), "256MiB", "All queues together; beyond it the largest is closed.", unit="B"
    )
    max_clients = _given(kinds.integer(1, 1_000_000), "10000", "Connected clients.")
    max_symbols = _given(kinds.integer(1, 100_000), "100", "Symbols of one user.")
    command_rate = _given(
        kinds.number(0.1, 1_000_000), "200", "Commands of one session; bursts of twice that.", unit="1/s"
    )
    cancel_rate = _given(kinds.number(0.1, 1_000_000), "100", "Cancels of one session, counted apart.", unit="1/s")
    http_idle = _given(kinds.duration(1, 3600), "60", "An idle HTTP connection is closed after this.", unit="s")

    _group_09 = "Log"
    log_level = _given(kinds.choice("debug", "info", "warn", "error"), "info", "The least level that is logged.")
    log_format = _given(kinds.choice("text", "json"), "text", "One event is one line of this form.")
    log_api_messages = _given(kinds.boolean, "0", "1: log the traffic with the broker (debug).")
    debug_api_messages = _given(kinds.boolean, "0", "1: also in hex.")
    log_client_messages = _given(kinds.boolean, "0", "1: log the commands of clients, secrets redacted.")
    log_cxn_events = _given(kinds.boolean, "0", "1: log each client's coming and going.")
    log_http_requests = _given(kinds.boolean, "1", "Log operation and outcome of each HTTP request.")
    log_http_responses = _given(kinds.boolean, "0", "1: also the beginning of the answer.")
    log_response_truncate = _given(kinds.integer(0, 65536), "96", "How much of an answer is logged.", unit="characters")
    log_order_updates = _given(kinds.boolean, "1", "Log each change of an order.")
    log_execution_updates = _given(kinds.boolean, "1", "Log each execution.")

    _group_10 = "Daemon"
    daemon_user = _given(kinds.word, "txtrader", "The user that the installed service runs as.")
    daemon_reactor = _given(
        kinds.choice("asyncio"),
        "asyncio",
        "The event loop: asyncio on uvloop, on plain asyncio where uvloop is missing.",
    )
    daemon_logfile = _given(kinds.path, "-", "Where the log goes; - is standard error.")
    daemon_pidfile = _maybe(kinds.path, "Where the process id is written.")
    envdir = _maybe(
        kinds.path, "The envdir to read, where `--envdir` names none; meant for the environment, also of clients."
    )

    _group_11 = "Clients"
    protocol = _given(kinds.choice("http", "https"), "http", "Clients only: the scheme of the daemon's URL.")
    transport = _given(kinds.choice("jsonrpc", "xmlrpc"), "xmlrpc", "Clients only: how calls travel.")
    route = _maybe(kinds.text, "Clients only: the default route.")
    options = _given(kinds.json_object, "{}", "Clients only: options of the monitor, JSON.")
    client_timeout = _given(
        kinds.duration(0.1, 86400),
        "60",
        "Clients only: the longest wait for an answer.",
        unit="s",
        older=("XMLRPC_TIMEOUT",),
    )
    retry_limit = _given(
        kinds.integer(0, 100),
        "3",
        "Clients only: how often a query is tried again.",
        older=("XMLRPC_RETRY_LIMIT", "GET_RETRIES"),
    )
    get_backoff_factor = _given(
        kinds.number(0, 3600), "0.1", "Clients only: the first wait between two tries; it doubles.", unit="s"
    )

    _group_12 = "Tests"
    crash_at = _maybe(kinds.text, "Kill the process at a named point (`NAME` or `NAME:N`); for fault tests only.")


def _collect() -> dict[str, Setting[Any]]:
    found: dict[str, Setting[Any]] = {}
    group = ""
    for name, value in vars(SettingsTable).items():
        if name.startswith("_group_"):
            group = value
        elif isinstance(value, Setting):
            value.group = group
            found[name] = value
    return found


SETTINGS: dict[str, Setting[Any]] = _collect()
"""Every setting by its attribute's name, in the sequence of the docs."""
