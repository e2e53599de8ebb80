"""``routekeeper send``: commands, through Kafka as from anybody else."""

from datetime import datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID, uuid4

import typer

from domain import commands as c
from domain.autoscaling.rules import Pause, ScalingPolicy
from service.cli.delivery import Delivery, addressed, deliver, revision_of, valid
from service.cli.model_files import read_model
from service.cli.moments import future_moment
from service.cli.options import Deployment, Output, examples
from service.cli.output import OutputFormat
from service.cli.send_options import (
    Actor,
    CommandId,
    Count,
    HealthCheckFile,
    Image,
    Model,
    PolicyFile,
    RevisionId,
    Runtime,
    Timeout,
    Wait,
)

_NOBODY = UUID(int=0)

app = typer.Typer(no_args_is_help=True, help="Send a command through Kafka.")


@app.command(
    epilog=examples(
        "routekeeper send create llama --image vllm:0.9 --model llama-3-8b --replicas 2",
        "routekeeper send create llama -g gpu --image vllm:0.9 --model llama-3-8b --scaling-policy policy.yaml --wait",
    )
)
def create(  # noqa: PLR0913 - each is an option, given by its name
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the deployment is called.")],
    *,
    resource_group: Annotated[
        str, typer.Option("--resource-group", "-g", metavar="NAME", help="Whose app proxy serves it.")
    ] = "default",
    domain: Annotated[str, typer.Option(metavar="NAME", help="Domain that it belongs to.")] = "default",
    project: Annotated[
        UUID, typer.Option(metavar="UUID", show_default="nil", help="Project that it belongs to.")
    ] = _NOBODY,
    owner: Annotated[UUID, typer.Option(metavar="UUID", show_default="nil", help="Whose it is.")] = _NOBODY,
    chosen_id: Annotated[
        UUID | None, typer.Option("--id", metavar="UUID", help="Its id; a new one by default.")
    ] = None,
    open_to_public: Annotated[
        bool, typer.Option("--open-to-public", metavar="", help="Let anybody use the endpoint.")
    ] = False,
    replicas: Annotated[int, typer.Option(min=0, metavar="COUNT", help="How many replicas.")] = 1,
    image: Image = "",
    model: Model = "",
    runtime: Runtime = "custom",
    revision_id: RevisionId = None,
    health_check: HealthCheckFile = None,
    scaling_policy: PolicyFile = None,
    actor: Actor,
    command_id: CommandId = None,
    wait: Wait = False,
    timeout: Timeout = 30.0,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Begin a deployment, and print its id.

    Without --image and --model the deployment waits until set-target-revision says what it runs.
    """
    command = valid(
        c.CreateDeployment,
        deployment_id=chosen_id or uuid4(),
        name=name,
        resource_group=resource_group,
        domain=domain,
        project=project,
        owner=owner,
        open_to_public=open_to_public,
        replica_count=replicas,
        target_revision=revision_of(image, model, runtime, revision_id, health_check) if image or model else None,
        scaling_policy=read_model(scaling_policy, ScalingPolicy, what="scaling policy") if scaling_policy else None,
    )
    deliver(command, Delivery(actor, command_id, wait, timeout, output))


@app.command(epilog=examples("routekeeper send set-target-revision llama --image vllm:0.9 --model llama-3-8b --wait"))
def set_target_revision(  # noqa: PLR0913 - each is an option, given by its name
    deployment: Deployment,
    *,
    image: Image,
    model: Model,
    runtime: Runtime = "custom",
    revision_id: RevisionId = None,
    health_check: HealthCheckFile = None,
    actor: Actor,
    command_id: CommandId = None,
    wait: Wait = False,
    timeout: Timeout = 30.0,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Say what a deployment runs."""
    revision = revision_of(image, model, runtime, revision_id, health_check)
    command = valid(c.SetTargetRevision, deployment_id=addressed(deployment), revision=revision)
    deliver(command, Delivery(actor, command_id, wait, timeout, output))


@app.command(epilog=examples("routekeeper send set-replica-count llama 3 --wait"))
def set_replica_count(
    deployment: Deployment,
    count: Count,
    *,
    actor: Actor,
    command_id: CommandId = None,
    wait: Wait = False,
    timeout: Timeout = 30.0,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Set the number of replicas by hand; scaling rules go on from there."""
    command = valid(c.SetReplicaCount, deployment_id=addressed(deployment), replica_count=count)
    deliver(command, Delivery(actor, command_id, wait, timeout, output))


@app.command(
    epilog=examples(
        "routekeeper send set-scaling-policy llama policy.yaml",
    )
)
def set_scaling_policy(
    deployment: Deployment,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The policy, in YAML or JSON; - for the standard input.")
    ],
    *,
    actor: Actor,
    command_id: CommandId = None,
    wait: Wait = False,
    timeout: Timeout = 30.0,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Replace the scaling rules and bounds by those of a file.

    Such as {min_replicas: 1, max_replicas: 8, rules: [{name: busy, source: kernel, metric: gpu_util,
    comparator: gt, threshold: 80, step: 1, cooldown_seconds: 300}]}
    """
    policy = read_model(file, ScalingPolicy, what="scaling policy")
    command = valid(c.SetScalingPolicy, deployment_id=addressed(deployment), policy=policy)
    deliver(command, Delivery(actor, command_id, wait, timeout, output))


@app.command(
    epilog=examples("routekeeper send pause-scaling llama scale-in", "routekeeper send pause-scaling llama none")
)
def pause_scaling(
    deployment: Deployment,
    pause: Annotated[
        Pause,
        typer.Argument(metavar="WHAT", help="What the rules may not do: scale-in, scale-out, all; none ends it."),
    ],
    *,
    actor: Actor,
    command_id: CommandId = None,
    wait: Wait = False,
    timeout: Timeout = 30.0,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Pause what the scaling rules do, until told otherwise.

    The rules go on being evaluated. The pause comes on top of the policy's own, and a new policy leaves it as it is.
    """
    command = valid(c.PauseScaling, deployment_id=addressed(deployment), pause=pause)
    deliver(command, Delivery(actor, command_id, wait, timeout, output))


@app.command(epilog=examples("routekeeper send override-replicas llama 6 --until 2h"))
def override_replicas(
    deployment: Deployment,
    count: Count,
    *,
    until: Annotated[
        datetime | None,
        typer.Option(
            metavar="TIME", parser=future_moment, help="ISO 8601 (UTC), or in 30m, 2h; else until told otherwise."
        ),
    ] = None,
    actor: Actor,
    command_id: CommandId = None,
    wait: Wait = False,
    timeout: Timeout = 30.0,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Hold the number of replicas, and suspend the scaling rules."""
    command = valid(c.OverrideReplicas, deployment_id=addressed(deployment), replica_count=count, until=until)
    deliver(command, Delivery(actor, command_id, wait, timeout, output))


@app.command(epilog=examples("routekeeper send destroy llama", "routekeeper send destroy llama --force --wait"))
def destroy(
    deployment: Deployment,
    *,
    force: Annotated[
        bool, typer.Option("--force", metavar="", help="Do not wait for a dead runtime or a missing proxy.")
    ] = False,
    actor: Actor,
    command_id: CommandId = None,
    wait: Wait = False,
    timeout: Timeout = 30.0,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Take a deployment down, for good."""
    command = valid(c.DestroyDeployment, deployment_id=addressed(deployment), force=force)
    deliver(command, Delivery(actor, command_id, wait, timeout, output))
