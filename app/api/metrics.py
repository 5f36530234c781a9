"""What Prometheus reads: figures of progress, never a name, an address or a secret.

A port of its own, on loopback unless told otherwise: whoever may see the pages need not see these.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from engine.errors import DataError
from live.platform import Platform

_ANSWER_S = 2.0  # a loop that does not answer within it is itself the news


@dataclass(frozen=True, slots=True)
class Sample:
    """One figure; several of one name differ in their labels."""

    name: str
    help: str
    value: float
    kind: Literal["gauge", "counter"] = "gauge"
    labels: Mapping[str, str] = field(default_factory=dict)


Figures = Callable[[], Iterable[Sample]]


class _OnLoop(Collector):
    """Asks on the loop that everything lives on; the scrape itself comes from a thread."""

    def __init__(self, figures: Figures, loop: asyncio.AbstractEventLoop) -> None:
        self._figures = figures
        self._loop = loop

    def describe(self) -> Iterable[Metric]:
        return ()  # known when asked: registering must not ask the loop from the loop itself

    def collect(self) -> Iterator[Metric]:
        async def ask() -> list[Sample]:
            return list(self._figures())

        job = asyncio.run_coroutine_threadsafe(ask(), self._loop)
        try:
            samples = job.result(_ANSWER_S)
        except TimeoutError:
            job.cancel()
            samples = []
        yield from families([*samples, _answers(bool(samples))])


def _answers(yes: bool) -> Sample:  # noqa: FBT001 - reads as a sentence
    return Sample(
        "zion_loop_answers", "1 while the event loop answers a scrape in time.", float(yes)
    )


def families(samples: Iterable[Sample]) -> Iterator[Metric]:
    """Yield the samples as Prometheus writes them, one family a name."""
    named: dict[str, list[Sample]] = {}
    for sample in samples:
        named.setdefault(sample.name, []).append(sample)
    for name, group in named.items():
        first = group[0]
        labels = tuple(first.labels)
        made = CounterMetricFamily if first.kind == "counter" else GaugeMetricFamily
        family = made(name, first.help, labels=labels)
        for sample in group:
            family.add_metric([sample.labels[label] for label in labels], sample.value)
        yield family


def market_figures(health: Any) -> Iterator[Sample]:
    """Yield how the market layer is (`live.market.views.HealthView`)."""
    age = health.last_message_age_s
    yield Sample(
        "zion_market_live", "1 while the market layer follows.", float(health.status == "live")
    )
    yield Sample("zion_market_coins", "Coins followed.", health.symbols)
    if age is not None:
        yield Sample("zion_market_message_age_seconds", "Since the newest message.", age)
    for name, words in (
        ("reconnects", "Streams opened again."),
        ("repaired_bars", "Bars asked for by REST."),
        ("late_bars", "Bars that came after their minute."),
        ("gaps", "Bars the venue never had."),
        ("malformed", "Messages that could not be read."),
        ("slow_readers", "Readers of the bus cut off."),
    ):
        yield Sample(f"zion_market_{name}", words, getattr(health, name), "counter")


def platform_figures(platform: Platform) -> Iterator[Sample]:
    """Yield how everything of a process goes on."""
    yield from market_figures(platform.market.health())
    found = platform.readiness()
    yield Sample("zion_ready", "1 while everything makes progress.", float(found.ready))
    for standing in ("running", "standby", "refused", "broken"):
        yield Sample(
            "zion_users",
            "Users of this process by what is done for them.",
            getattr(found, standing),
            labels={"standing": standing},
        )
    group, pump = platform.group, platform.pump
    for name, words, value in (
        ("zion_store_age_seconds", "Since the store answered last.", found.store_age_s),
        (
            "zion_engine_turn_age_seconds",
            "Of the engine that is longest idle.",
            found.oldest_turn_s,
        ),
        ("zion_orders_unknown", "Orders sent whose fate is not known.", found.unknown_orders),
        ("zion_orders_unknown_seconds", "Age of the oldest of them.", found.unknown_oldest_s),
        ("zion_decisions_unwritten", "Decisions that wait for the store.", found.unwritten),
        ("zion_outbox_age_seconds", "Age of the oldest notice that waits.", found.outbox_oldest_s),
    ):
        yield Sample(name, words, value)
    for name, words, value in (
        ("zion_store_transactions", "Transactions of decisions.", group.transactions),
        ("zion_store_commits", "Decisions written.", group.commits),
        ("zion_notices_delivered", "Notices delivered.", pump.delivered),
        ("zion_notices_failed", "Tries to deliver that failed.", pump.failed),
        ("zion_notices_dead", "Notices given up.", pump.dead),
    ):
        yield Sample(name, words, value, "counter")


@dataclass(slots=True)
class MetricsServer:
    """A listening server; `port` is where."""

    port: int
    _server: Any
    _thread: Any

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def serve_metrics(figures: Figures, *, host: str, port: int) -> MetricsServer:
    """Answer scrapes from a thread of its own until closed. Call it on the loop to be asked.

    Raises
    ------
    DataError
        The port is taken.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_OnLoop(figures, asyncio.get_running_loop()))
    try:
        server, thread = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        raise DataError(
            f"cannot listen on {host}:{port} for metrics",
            why=error.strerror or str(error),
            hint="another ZION_METRICS_PORT",
        ) from None
    return MetricsServer(server.server_port, server, thread)
