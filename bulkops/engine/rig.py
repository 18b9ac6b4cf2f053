"""
Rig a run out: the wire it sends over, with its limits, its credits, and the hands that steer it.

Everything that must be closed again when the run ends is opened here, and closed in turn.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bulkops.engine.ctl import listening
from bulkops.engine.signals import hanging_up
from bulkops.engine.steering import Hands, Steering
from bulkops.errors import BulkopsError
from bulkops.files.checkpoint import Checkpoint
from bulkops.files.config import Config
from bulkops.files.credits import budget_of, ledger_of
from bulkops.files.levels import LevelFile, level_file_of
from bulkops.files.talk import Talk
from bulkops.rules.retrying import Policy
from bulkops.rules.tally import Tally
from bulkops.wire.auth import TokenSource
from bulkops.wire.call import Wire
from bulkops.wire.holds import Holds
from bulkops.wire.limiter import Limiter
from bulkops.wire.purse import Purse
from bulkops.wire.stop import Stop
from bulkops.wire.transport import Transport, accounts_session


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """
    How this process goes about a run; another one that goes on with it may do otherwise.

    `wait` for the window and for credits rather than end. `max_credits` is the most to spend.
    `resume_stopped` sends the lines of aborted groups again. `reload` reads the configuration
    again, laid out for the same run. `signals` is for whoever owns the process and its main thread:
    SIGINT and SIGTERM end the run, SIGHUP reloads. `remember_secret` is given what no log may hold.
    """

    wait: bool = False
    max_credits: int | None = None
    resume_stopped: bool = False
    reload: Callable[[], Config] | None = None
    signals: bool = False
    remember_secret: Callable[[str], None] = lambda _secret: None


@dataclass(frozen=True, slots=True)
class Rig:
    """
    What a run sends by and is steered by.
    """

    wire: Wire
    steering: Steering


@asynccontextmanager
async def rigged(
    run: Path,
    config: Config,
    manner: Manner,
    *,
    checkpoint: Checkpoint,
    policy: Policy,
    stop: Stop,
    tally: Tally,
) -> AsyncIterator[Rig]:
    """Yield all that the run in the directory `run` needs, until the block ends."""
    limits = config.limits
    async with AsyncExitStack() as stack:
        transport = await stack.enter_async_context(
            Transport(
                config.api.api_url,
                connections=limits.ceiling,
                timeout_s=limits.timeout_s,
                ca_file=config.api.ca_file,
            )
        )
        accounts = await stack.enter_async_context(
            accounts_session(config.api.accounts_host, ca_file=config.api.ca_file)
        )
        shown = _shown(checkpoint, tally)
        levels = level_file_of(config)
        limiter = Limiter(
            ceiling=limits.ceiling,
            calls_per_second=limits.calls_per_second,
            found=levels.load(),
            waits=policy.waits,
            told=shown,
        )
        stack.callback(_remember, levels, limiter)
        holds = Holds(limiter, changed=shown)
        purse = Purse(
            ledger_of(config),
            budget=budget_of(config),
            stop=stop,
            holds=holds,
            most=manner.max_credits,
            wait=manner.wait,
        )
        stack.push_async_callback(_give_back, purse, stop)
        hands = Hands(run=run, limiter=limiter, holds=holds, purse=purse, stop=stop, tally=tally)
        steering = Steering(
            hands, config, wait=manner.wait, reload=manner.reload or (lambda: config)
        )
        if manner.signals:
            stack.enter_context(hanging_up(stop, steering.reread))
        await stack.enter_async_context(listening(run, steering.answer))
        wire = Wire(
            transport=transport,
            tokens=TokenSource(
                config=config, session=accounts, remember_secret=manner.remember_secret
            ),
            limiter=limiter,
            purse=purse,
            stop=stop,
            tally=tally,
        )
        yield Rig(wire, steering)


@dataclass(frozen=True, slots=True)
class Few:
    """
    What a few calls outside of a run are made with.
    """

    wire: Wire
    tokens: TokenSource


@asynccontextmanager
async def few_calls(
    config: Config, *, most: int, remember_secret: Callable[[str], None]
) -> AsyncIterator[Few]:
    """Yield what makes up to `most` calls, one at a time, booked in the ledger as any call is."""
    limits, api, stop = config.limits, config.api, Stop()
    async with AsyncExitStack() as stack:
        transport = await stack.enter_async_context(
            Transport(api.api_url, connections=1, timeout_s=limits.timeout_s, ca_file=api.ca_file)
        )
        accounts = await stack.enter_async_context(
            accounts_session(api.accounts_host, ca_file=api.ca_file)
        )
        tokens = TokenSource(config=config, session=accounts, remember_secret=remember_secret)
        limiter = Limiter(ceiling=1, calls_per_second=limits.calls_per_second)
        holds = Holds(limiter, changed=lambda _name, _words: None)
        purse = Purse(
            ledger_of(config), budget=budget_of(config), stop=stop, holds=holds, most=most
        )
        stack.push_async_callback(_give_back, purse, stop)
        wire = Wire(
            transport=transport,
            tokens=tokens,
            limiter=limiter,
            purse=purse,
            stop=stop,
            tally=Tally(rows=0),
        )
        yield Few(wire, tokens)


def _shown(checkpoint: Checkpoint, tally: Tally) -> Callable[[str, str], None]:
    """Return what makes every change of the holds seen: in the log, the counts and the words."""
    log = Talk("bulkops.run")
    held: dict[str, str] = {}

    def changed(name: str, words: str) -> None:
        if words:
            held[name] = words
        else:
            held.pop(name, None)
        event = "run.held" if words else "run.released"
        tally.held = tuple(f"{each}, {why}" for each, why in held.items())
        checkpoint.append(type="note", event=event, reason=name)
        log.info(event, reason=name, words=words)

    return changed


def _remember(levels: LevelFile, limiter: Limiter) -> None:
    """Keep the level found for the next run; one that is still climbing says nothing."""
    if limiter.level.settled:
        levels.save(limiter.level.slots)


async def _give_back(purse: Purse, stop: Stop) -> None:
    """Return unused credits; if that fails, they stay used and the run's end stands."""
    try:
        await purse.close()
    except BulkopsError as error:
        stop.ask(error)
