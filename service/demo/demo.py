"""``routekeeper demo``: brings everything up, plays the acts, and stays up for whoever wants to try."""

import asyncio
import signal
from collections.abc import Callable

from rich.console import Console
from rich.padding import Padding
from rich.rule import Rule
from rich.text import Text

from domain.errors import RoutekeeperError
from service.cli.output import note, terminal
from service.demo.acts import ACTS, Act, Play
from service.demo.audience import Audience
from service.demo.stage import Stage, set_up
from service.logs import configure_logs
from service.settings import Settings
from service.supervision import leaves

#: How long an act may take to reach its state (seconds): longer than a call to the proxy that a kill cut off is waited
#: for.
_PATIENCE = 90.0

#: Runs a command line, given as its arguments, and gives its exit code.
Answer = Callable[[list[str]], int]


def run(settings: Settings, answer: Answer, *, exit_after: bool) -> int:
    """Play all acts; 0 if each reached its state. Without ``exit_after`` stay up until Ctrl-C.

    ``answer`` runs a command line, given as its arguments, lets it print, and gives its exit code.
    """
    configure_logs(settings.model_copy(update={"log_level": "CRITICAL"}))
    code = 0
    try:
        asyncio.run(_perform(settings, answer, terminal(), exit_after=exit_after))
    except* RoutekeeperError as group:
        for error in leaves(group):
            note(f"error: {error}")
        code = 1
    return code


async def _perform(settings: Settings, answer: Answer, console: Console, *, exit_after: bool) -> None:
    interrupted = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupted.set)

    def tell(sentence: str) -> None:
        if not interrupted.is_set():
            console.print(Text(sentence, style="yellow"))

    console.print("Starting a broker, a proxy, make-believe replicas and a worker …")
    async with set_up(settings, tell) as stage:
        _introduce(stage, console)
        playing = asyncio.create_task(_play_all(stage, answer, console))
        interrupt = asyncio.create_task(interrupted.wait())
        await asyncio.wait({playing, interrupt}, return_when=asyncio.FIRST_COMPLETED)
        if playing.done():
            interrupt.cancel()
            await playing
            if not exit_after:
                _invite(stage, console)
                await interrupted.wait()
        else:
            playing.cancel()
            await asyncio.wait({playing})
        console.print("Stopping …")


async def _play_all(stage: Stage, answer: Answer, console: Console) -> None:
    play = Play(stage=stage, audience=Audience(stage.settings, patience=_PATIENCE))
    for number, act in enumerate(ACTS, 1):
        console.print()
        console.print(Rule(f"{number} of {len(ACTS)}: {act.title}", align="left"))
        await act.play(play)
        await _show(act, play, answer, console)


async def _show(act: Act, play: Play, answer: Answer, console: Console) -> None:
    """Let the command line answer, as it would anybody."""
    for template in act.shows:
        line = template.format(chat=str(play.chat)[:13], search=str(play.search)[:13])
        console.print(Text(f"\n$ routekeeper {line}", style="bold cyan"))
        code = await asyncio.to_thread(answer, line.split())
        if code:
            raise ShowFailed(f"'routekeeper {line}' ended with exit code {code}")


class ShowFailed(RoutekeeperError):
    """A command that shows a state did not work."""


def _introduce(stage: Stage, console: Console) -> None:
    facts = (
        f"Kafka   {stage.broker_address}   (topics {', '.join(stage.settings.kafka.topics.all)})",
        f"Proxy   {stage.proxy.address}   (reference proxy; its circuits: {stage.proxy.address}/reference/circuits)",
        f"Data    {stage.settings.data_dir.absolute()}   (events.db, views.db, worker.log)",
    )
    for fact in facts:
        console.print(Text(fact), soft_wrap=True)


def _invite(stage: Stage, console: Console) -> None:
    console.print()
    console.print(Rule("All acts reached their state. Everything stays up until Ctrl-C", align="left"))
    lines = (
        "In another terminal, in this folder:",
        "  routekeeper send create mine --replicas 2 --image registry.example/llm:7 --model my-7b --wait",
        "  routekeeper get deployments --watch",
        f"  kill -9 {stage.worker.pid}        # the worker; another one takes over",
        f"Any Kafka producer can feed it at {stage.broker_address}; docs/asyncapi.yaml describes the topics.",
    )
    for line in lines:
        console.print(Padding(Text(line), (0, 0, 0, 2)), soft_wrap=True)
