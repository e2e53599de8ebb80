"""All views there are."""

from typing import Final

from projections.autoscaling_decisions import AUTOSCALING_DECISIONS_VIEW
from projections.control import CONTROL_VIEW
from projections.deployment_fold import DEPLOYMENTS_VIEW
from projections.operation_failures import OPERATION_FAILURES_VIEW
from projections.rejected_records import REJECTED_RECORDS_VIEW
from projections.view import View

#: Every view that Routekeeper keeps.
VIEWS: Final[tuple[View, ...]] = (
    DEPLOYMENTS_VIEW,
    AUTOSCALING_DECISIONS_VIEW,
    OPERATION_FAILURES_VIEW,
    REJECTED_RECORDS_VIEW,
    CONTROL_VIEW,
)
