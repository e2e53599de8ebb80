"""A Kafka producer that is made when it is needed, and made anew after it failed."""

from aiokafka import AIOKafkaProducer

from adapters.kafka.connection import KafkaConnection


class ProducerSession:
    """Holds at most one producer, which waits for all replicas.

    ``max_request_bytes`` is the largest record, ``batch_bytes`` how much goes to a partition at once.
    ``is_idempotent`` keeps the broker from storing a batch twice after a lost answer; the embedded broker has no such
    producers.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        *,
        max_request_bytes: int = 1024 * 1024,
        batch_bytes: int = 64 * 1024,
        is_idempotent: bool = False,
    ) -> None:
        self._connection = connection
        self._max_request_bytes = max_request_bytes
        self._batch_bytes = batch_bytes
        self._is_idempotent = is_idempotent
        self._producer: AIOKafkaProducer | None = None

    async def producer(self) -> AIOKafkaProducer:
        """The producer, connected. Raises aiokafka's ``KafkaConnectionError``."""
        if self._producer is None:
            producer = AIOKafkaProducer(
                **self._connection.client_options(),
                acks="all",
                enable_idempotence=self._is_idempotent,
                max_request_size=self._max_request_bytes,
                max_batch_size=self._batch_bytes,
            )
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer
        return self._producer

    async def close(self) -> None:
        """Let go of the producer; the next one that is asked for is a new one."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()
