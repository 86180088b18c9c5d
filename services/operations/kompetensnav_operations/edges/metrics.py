"""What the console knows, as Prometheus metrics: under the names that NATS' own exporter uses for streams and
consumers, so that panels made for it fit, and under our own for what nobody else counts."""

from collections.abc import Callable, Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from kompetensnav_operations.domain.picture import Picture, Queue, Server, Stream

STREAMS: dict[str, Callable[[Stream], float]] = {
    "jetstream_stream_total_messages": lambda s: s.messages,
    "jetstream_stream_total_bytes": lambda s: s.bytes,
    "jetstream_stream_last_seq": lambda s: s.last_seq,
    "jetstream_stream_consumer_count": lambda s: s.consumers,
}
CONSUMERS: dict[str, Callable[[Queue], float]] = {
    "jetstream_consumer_num_pending": lambda q: q.waiting,
    "jetstream_consumer_num_ack_pending": lambda q: q.in_flight,
    "jetstream_consumer_num_redelivered": lambda q: q.redelivered,
    "jetstream_consumer_num_waiting": lambda q: q.pulls,
    "jetstream_consumer_delivered_consumer_seq": lambda q: q.delivered,
    "jetstream_consumer_delivered_stream_seq": lambda q: q.last_seq,
    "jetstream_consumer_ack_floor_consumer_seq": lambda q: q.done,
    "jetstream_consumer_ack_floor_stream_seq": lambda q: q.floor,
    "kompetensnav_consumer_oldest_seconds": lambda q: q.oldest,
    "kompetensnav_consumer_limbo": lambda q: q.limbo,
    "kompetensnav_consumer_dead_letters": lambda q: q.dead,
    "kompetensnav_consumer_paused": lambda q: q.paused,
}
SERVERS: dict[str, Callable[[Server], float]] = {
    "gnatsd_varz_slow_consumers": lambda s: s.slow_consumers,
    "gnatsd_varz_connections": lambda s: s.connections,
}


class Metrics(Collector):
    """Reads the picture whenever it is asked."""

    def __init__(self, look: Callable[[], tuple[Picture, float]]) -> None:
        self._look = look

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing beforehand: there is a picture only later."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Every gauge, of the last picture."""
        picture, age = self._look()
        made = GaugeMetricFamily("kompetensnav_picture_age_seconds", "Since the console has seen the broker.")
        made.add_metric([], age)
        yield made
        for name, read in STREAMS.items():
            family = GaugeMetricFamily(name, "Of a stream.", labels=["stream_name"])
            for stream in picture.streams:
                family.add_metric([stream.name], read(stream))
            yield family
        for name, value in CONSUMERS.items():
            family = GaugeMetricFamily(name, "Of a consumer.", labels=["stream_name", "consumer_name"])
            for queue in picture.queues:
                family.add_metric([queue.stream, queue.name], value(queue))
            yield family
        yield from _services(picture)


def _services(picture: Picture) -> Iterator[GaugeMetricFamily]:
    labels = ["service", "instance_host", "instance_id"]
    waiting = GaugeMetricFamily("kompetensnav_outbox_waiting", "Events in an outbox.", labels=labels)
    oldest = GaugeMetricFamily(
        "kompetensnav_outbox_oldest_seconds", "Age of the first of them.", labels=labels
    )
    skew = GaugeMetricFamily("kompetensnav_clock_skew_seconds", "Clock before the console's.", labels=labels)
    for each in picture.instances:
        named = [each.service, each.host, each.id]
        waiting.add_metric(named, each.outbox)
        oldest.add_metric(named, each.outbox_oldest)
        skew.add_metric(named, each.skew)
    silent = GaugeMetricFamily("kompetensnav_service_silent", "1 = does not answer.", labels=["service"])
    for service in {i.service for i in picture.instances} | set(picture.silent):
        silent.add_metric([service], service in picture.silent)
    yield from (waiting, oldest, skew, silent)
    for name, read in SERVERS.items():
        family = GaugeMetricFamily(name, "Of a server.", labels=["server_name"])
        for server in picture.servers:
            family.add_metric([server.name], read(server))
        yield family
