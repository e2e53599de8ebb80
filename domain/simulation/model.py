"""What a simulation has to assume where nothing was recorded: how replicas start, and how load meets them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationModel:
    """Assumptions: a model, not a measurement.

    A replica serves ``start_up_seconds`` after it was asked for, and is gone at once when it is not wanted. Without
    ``capacity_per_replica`` the recorded samples are used as they are: load and latency do not answer to the number of
    replicas. With it, what was measured per replica is added up and shared by those that serve, each of which measures
    at most the capacity (the metric's unit). What was measured of the deployment as a whole stays as it is.
    """

    start_up_seconds: float = 60.0
    capacity_per_replica: float | None = None

    def described(self) -> tuple[str, ...]:
        """Say in sentences what is assumed."""
        start = f"Replicas serve {self.start_up_seconds:g} s after they are asked for and go at once."
        if self.capacity_per_replica is None:
            return start, "No feedback: the samples are used as they were recorded, whatever the number of replicas."
        share = f"Each replica measures an equal share of the load per replica, at most {self.capacity_per_replica:g}."
        return start, f"Feedback: {share}"
