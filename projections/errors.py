"""What can go wrong with views.

::

    ProjectionError
     ├── ProjectionConflict     somebody else folded the same events, or replaced the view
     ├── ViewDamaged            rows are not what the events come to
     ├── ViewNotBuilt           a view that was asked about is not there
     ├── PositionBehind         a scratch database is already past the position that was asked for
     ├── UnknownDeployment      no deployment answers to a reference
     └── AmbiguousDeployment    several deployments do
"""

from collections.abc import Sequence
from uuid import UUID

from domain.errors import RoutekeeperError


class ProjectionError(RoutekeeperError):
    """The root of what views raise on purpose."""


class ProjectionConflict(ProjectionError):
    """The stored position of a view is not where this runner left it: somebody else folded on, or replaced the view."""


class ViewDamaged(ProjectionError):
    """The rows of ``table`` are not those that the events up to its position come to.

    Somebody has changed them or the position, or the log tells of something that never began.
    """

    def __init__(self, table: str, what: str) -> None:
        super().__init__(f"{table}: {what}")
        self.table = table


class PositionBehind(ProjectionError):
    """A scratch database is already past the position that was asked for."""


class ViewNotBuilt(ProjectionError):
    """A view that was asked about is not there in this version."""


class UnknownDeployment(ProjectionError):
    """No deployment has this id, unique id prefix, or name."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"no deployment has the id, id prefix or name {reference!r}")
        self.reference = reference


class AmbiguousDeployment(ProjectionError):
    """Several deployments answer to a reference; ``candidates`` holds ids of some of them."""

    def __init__(self, reference: str, candidates: Sequence[UUID]) -> None:
        listed = ", ".join(map(str, candidates))
        super().__init__(f"{reference!r} could be any of several deployments, among them {listed}")
        self.reference = reference
        self.candidates = tuple(candidates)
