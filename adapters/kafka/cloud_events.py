"""CloudEvents 1.0 in structured JSON mode: the envelope around everything that Routekeeper reads, a model per type.

``data`` is a model of the domain; attributes that are not named here are tolerated and not kept.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, get_args
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from domain import commands as c
from domain.autoscaling.samples import MetricsReport
from domain.pauses import PAUSES_ID, PauseCommand, PauseEffects, ResumeEffects

#: What a record may hold.
Content = c.ExternalCommand | PauseCommand | MetricsReport

Attribute = Annotated[str, Field(min_length=1, max_length=255)]
#: The media types that mean JSON.
JsonMediaType = Annotated[str, Field(max_length=255, pattern=r"(?i)^application/([\w.-]+\+)?json\s*(;.*)?$")]


class Sending(BaseModel):
    """The attributes that say who sent a record: enough to name the sender where the rest cannot be understood."""

    model_config = ConfigDict(frozen=True)

    id: Annotated[Attribute, Field(description="Unique within the source; sent again, it has no second effect.")]
    source: Annotated[Attribute, Field(description="Who sends, as a URI reference.")]
    type: Annotated[Attribute, Field(description="What data is.")]
    actor: Annotated[
        str, Field(max_length=255, description="On whose behalf, by the sender's own account: asserted, not proved.")
    ] = ""


class Envelope(Sending):
    """The attributes of a record; ``data`` and the one value of ``type`` come with each type below."""

    specversion: Literal["1.0"]
    subject: Annotated[str | None, Field(description="The id that is the record's key, if given.")] = None
    time: Annotated[AwareDatetime | None, Field(description="When it was sent, with a time zone.")] = None
    datacontenttype: JsonMediaType | None = None
    traceparent: Annotated[object, Field(description="W3C Trace Context; what is not valid is ignored.")] = None
    tracestate: Annotated[object, Field(description="W3C Trace Context; what is not valid is ignored.")] = None
    dataschema: Annotated[str, Field(max_length=2000)] | None = None


class CreateDeploymentRecord(Envelope):
    """A command to begin a deployment."""

    type: Literal["routekeeper.deployment.create.v1"]
    data: c.CreateDeployment


class SetTargetRevisionRecord(Envelope):
    """A command to say what a deployment runs."""

    type: Literal["routekeeper.deployment.set-target-revision.v1"]
    data: c.SetTargetRevision


class SetReplicaCountRecord(Envelope):
    """A command to set the number of replicas by hand."""

    type: Literal["routekeeper.deployment.set-replica-count.v1"]
    data: c.SetReplicaCount


class SetScalingPolicyRecord(Envelope):
    """A command to replace the scaling rules and bounds."""

    type: Literal["routekeeper.deployment.set-scaling-policy.v1"]
    data: c.SetScalingPolicy


class PauseScalingRecord(Envelope):
    """A command to say what the scaling rules may not do for now."""

    type: Literal["routekeeper.deployment.pause-scaling.v1"]
    data: c.PauseScaling


class OverrideReplicasRecord(Envelope):
    """A command to hold the number of replicas and suspend the rules."""

    type: Literal["routekeeper.deployment.override-replicas.v1"]
    data: c.OverrideReplicas


class DestroyDeploymentRecord(Envelope):
    """A command to take a deployment down."""

    type: Literal["routekeeper.deployment.destroy.v1"]
    data: c.DestroyDeployment


class PauseEffectsRecord(Envelope):
    """A command to hold back effects; its key is 5a5e0000-7061-5573-8573-000000000001."""

    type: Literal["routekeeper.control.pause-effects.v1"]
    data: PauseEffects


class ResumeEffectsRecord(Envelope):
    """A command to lift a pause; its key is 5a5e0000-7061-5573-8573-000000000001."""

    type: Literal["routekeeper.control.resume-effects.v1"]
    data: ResumeEffects


class RoutesReportedRecord(Envelope):
    """A report, by whatever runs the replicas, of how routes are."""

    type: Literal["routekeeper.routes.reported.v1"]
    data: c.ReportRoutes


class MetricsReportedRecord(Envelope):
    """Measurements of a deployment or of its routes."""

    type: Literal["routekeeper.metrics.reported.v1"]
    data: MetricsReport


#: Everything that may arrive on the commands topic.
CommandRecords = (
    CreateDeploymentRecord
    | SetTargetRevisionRecord
    | SetReplicaCountRecord
    | SetScalingPolicyRecord
    | PauseScalingRecord
    | OverrideReplicasRecord
    | DestroyDeploymentRecord
    | PauseEffectsRecord
    | ResumeEffectsRecord
)
#: Everything that may arrive.
AnyRecord = CommandRecords | RoutesReportedRecord | MetricsReportedRecord

#: Reads any record in one pass over its bytes; to be used with ``strict=True``, by which "3" is no number.
ANY_RECORD: Final[TypeAdapter[AnyRecord]] = TypeAdapter(Annotated[AnyRecord, Field(discriminator="type")])


def placed_by(content: Content) -> UUID:
    """The id whose text is the key of a record, which places it."""
    match content:
        case PauseEffects() | ResumeEffects():
            return PAUSES_ID
        case _:
            return content.deployment_id


def type_name(record: type[Envelope]) -> str:
    """The CloudEvents type that a record model stands for."""
    name: str = get_args(record.model_fields["type"].annotation)[0]
    return name


#: The record model for each kind of content.
RECORD_FOR: Final[Mapping[type[Any], type[Envelope]]] = {
    record.model_fields["data"].annotation or object: record for record in get_args(AnyRecord)
}
#: The names of all types.
TYPE_NAMES: Final = frozenset(type_name(record) for record in get_args(AnyRecord))
