"""A Kafka producer that is made when it is needed, and made anew after it failed."""

import asyncio

from aiokafka import AIOKafkaProducer

from adapters.kafka.connection import KafkaConnection


class ProducerSession:
    """Holds at most one producer, which waits for all replicas.

    ``max_request_bytes`` is the largest record, ``batch_bytes`` how much goes to a partition at once, and
    ``close_timeout`` (seconds) how long letting go of a producer may take before that goes on in the background.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        *,
        max_request_bytes: int = 1024 * 1024,
        batch_bytes: int = 64 * 1024,
        close_timeout: float = 2.0,
    ) -> None:
        self._connection = connection
        self._max_request_bytes = max_request_bytes
        self._batch_bytes = batch_bytes
        self._close_timeout = close_timeout
        self._closing: set[asyncio.Task[None]] = set()
        self._producer: AIOKafkaProducer | None = None

    async def producer(self) -> AIOKafkaProducer:
        """The producer, connected. Raises aiokafka's ``KafkaConnectionError``."""
        if self._producer is None:
            producer = AIOKafkaProducer(
                **self._connection.client_options(),
                acks="all",
                enable_idempotence=self._connection.has_idempotent_producers,
                max_request_size=self._max_request_bytes,
                max_batch_size=self._batch_bytes,
            )
            try:
                await producer.start()
            except BaseException:
                # Also where the start is cancelled: its connections and tasks would go on.
                await producer.stop()
                raise
            self._producer = producer
        return self._producer

    async def close(self) -> None:
        """Let go of the producer; the next one that is asked for is a new one."""
        producer, self._producer = self._producer, None
        if producer is not None:
            # It first waits for what it could not send, which is until that times out where the broker is gone.
            closing = asyncio.create_task(producer.stop())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
            await asyncio.wait({closing}, timeout=self._close_timeout)
