"""Several processes, on one machine or on several, that train one network together.

All of them have all data and compute the same order. Each takes its share of the rows of every step; the gradient is
the mean over the real steps of all of them, weighted by their numbers, and so are loss and metrics. One message a step
holds all of it. The first process alone writes.
"""

from __future__ import annotations

import atexit
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
import safetensors.torch
import torch
import torch.distributed as dist
from torch import Tensor

from ostinato import errors
from ostinato.errors import ArgumentError, MissingDependency, OstinatoError, ProcessLost
from ostinato.layers.stack import Stack
from ostinato.train.feeds import Feed, Piece
from ostinato.train.flat import Flat
from ostinato.train.generations import Generations
from ostinato.train.packing import pack, unpack
from ostinato.train.sweeps import Found, Objective, States, Sweep

if TYPE_CHECKING:
    from torch.distributed.distributed_c10d import Store

_PATIENCE = 600.0
_NEEDED = ("RANK", "MASTER_ADDR", "MASTER_PORT")


class Signs(NamedTuple):
    """What processes tell each other with every message: whether to save, and who caught Ctrl-C or SIGTERM."""

    due: bool = False
    interrupted: bool = False
    terminated: bool = False


class Team:
    """The processes of a run, seen from one of them. Every method must be called by all of them.

    Args:
        rank: Number of this process.
        size: How many there are.

    Attributes:
        ask: What this process has to tell, called at each message.
        told: What some process told with the last message.
    """

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size
        self.ask: Callable[[], Signs] = Signs
        self.told = Signs()

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    def add(self, values: Tensor) -> None:
        """Replace `values` by their sum over all processes: the same bits in each."""
        with _together():
            dist.all_reduce(values)

    def sums(self, values: Sequence[float]) -> list[float]:
        """Sums over all processes; signs go along."""
        message = torch.tensor([*values, *self.ask()], dtype=torch.float64)
        self.add(message)
        *found, due, interrupted, terminated = message.tolist()
        self.told = Signs(due > 0, interrupted > 0, terminated > 0)
        return found

    def same(self, values: Tensor) -> None:
        """Replace `values` by those of the first process."""
        with _together():
            dist.broadcast(values, 0)

    def tell(self, state: Any) -> Any:
        """The first process's `state`, made of what a checkpoint may hold; what the others pass does not count."""
        size = torch.zeros((), dtype=torch.int64)
        data = torch.zeros(0, dtype=torch.uint8)
        if self.first:
            tensors: dict[str, Tensor] = {}
            text = msgspec.json.encode(pack(state, tensors)).decode()
            written = safetensors.torch.save(tensors, {"state": text})
            data = torch.from_numpy(np.frombuffer(written, np.uint8).copy())
            size.fill_(len(data))
        self.same(size)
        if not self.first:
            data = torch.zeros(int(size), dtype=torch.uint8)
        self.same(data)
        if self.first:
            return state
        got = data.numpy().tobytes()
        header = msgspec.json.decode(got[8 : 8 + int.from_bytes(got[:8], "little")])
        return unpack(msgspec.json.decode(header["__metadata__"]["state"]), safetensors.torch.load(got))

    def agree(self, settings: Mapping[str, str]) -> None:
        """Raise `ArgumentError` unless all processes have the same options and data."""
        wanted = self.tell(dict(settings))
        differ = [
            f"{name} is {settings.get(name)} in process {self.rank}, {wanted.get(name)} in process 0"
            for name in dict.fromkeys((*wanted, *settings))
            if settings.get(name) != wanted.get(name)
        ]
        wrong = self.sums([float(bool(differ))])[0]
        if wrong:
            raise ArgumentError(
                "all processes of a run must have the same options and the same data",
                got="; ".join(differ) or f"others in {wrong:.0f} of {self.size} processes",
                fix="Give all hosts the same command, files and version of ostinato.",
            )

    def open(self, folder: str | os.PathLike[str]) -> Generations | Elsewhere:
        """The generations of a checkpoint: files in the first process, and what they hold in the others.

        Raises:
            OstinatoError: What `Generations` raises, in all processes.
        """
        files: Generations | None = None
        failed: OstinatoError | None = None
        if self.first:
            try:
                files = Generations(folder)
            except OstinatoError as error:
                failed = error
        words = None if failed is None else [type(failed).__name__, failed.rule, failed.got, failed.fix, failed.where]
        told = self.tell({"error": words, "state": None if files is None else files.state})
        if failed is not None:
            raise failed
        if told["error"] is not None:
            name, rule, got, fix, where = told["error"]
            raise getattr(errors, name)(rule, got=got, fix=fix, where=where)
        return files or Elsewhere(folder, told["state"])

    def share(self, feed: Feed, *, whole: bool = True) -> Share:
        """This process's rows of a feed.

        Args:
            feed: What all processes see together.
            whole: Whether every process must have a row at the beginning of each epoch.
        """
        return Share(feed, self, whole=whole)

    def sweep(self, sweep: Sweep, flat: Flat) -> Averaged:
        """A sweep whose gradient is the mean over all processes."""
        return Averaged(sweep, self, flat)

    def gather(self, carried: States, piece: Piece) -> States:
        """The states of all rows of a step, in order, as one process would have them."""
        if not carried or piece.among is None:
            return carried
        rows, total = piece.among

        def full(own: Tensor) -> Tensor:
            kind = {4: torch.int32, 8: torch.int64}[own.element_size()]
            bits = torch.zeros((total, *own.shape[1:]), dtype=kind, device=own.device)
            bits[rows.to(own.device)] = own.contiguous().view(kind)  # bits, since -0.0 + 0.0 is 0.0
            self.add(bits)
            return bits.view(own.dtype)

        return tuple(tuple(full(s) for s in state) for state in carried)

    def settle(self, stack: Stack) -> None:
        """End an epoch: what the first process's callbacks decided holds for all; signs go along."""
        stop = self.sums([float(self.first and stack.stop_training)])[0]
        stack.stop_training = stop > 0

    def wait(self) -> None:
        """Wait until all processes are here."""
        self.sums([])


class Elsewhere:
    """Stands for a checkpoint's files in a process that does not write.

    Args:
        folder: Where the first process keeps them.
        state: What they hold.
    """

    def __init__(self, folder: str | os.PathLike[str], state: Any) -> None:
        self.folder = os.path.abspath(os.fspath(folder))
        self.state = state

    def write(self, state: Any) -> None:
        """The first process does."""


class Share(Feed):
    """One process's rows of the pieces of a feed: those whose lanes leave its number when divided by the size.

    A row keeps its lane as long as its state is carried, so that states stay in their process. A piece may leave
    nothing for a process; it then has no rows.

    Args:
        feed: What all processes see together.
        team: The processes.
        whole: Whether every process must have a row at the beginning of each epoch.
    """

    def __init__(self, feed: Feed, team: Team, *, whole: bool) -> None:
        self.feed, self.team, self.whole = feed, team, whole
        self.carries = feed.carries

    def steps(self, epoch: int) -> int:
        return self.feed.steps(epoch)

    def most(self) -> int:
        return self.feed.most()

    def still(self) -> Share:
        return Share(self.feed.still(), self.team, whole=False)

    def pieces(self, epoch: int, first: int = 0) -> Iterator[Piece]:
        """The pieces of this process; the first one goes on from the states of all rows, as they were saved."""
        before: Tensor | None = None
        for number, piece in enumerate(self.feed.pieces(epoch, first), first):
            total = len(piece.batch.x)
            if number == 0 and self.whole and total < self.team.size:
                raise ArgumentError(
                    f"a step must have a row for each of {self.team.size} processes",
                    got=f"{total} rows, so that a process has an empty share",
                    fix="Start fewer processes, pass a larger batch_size, or give more data.",
                )
            lanes = torch.arange(total) if piece.lanes is None else piece.lanes
            rows = torch.nonzero(lanes % self.team.size == self.team.rank)[:, 0]
            keep = None
            if before is None:
                keep = rows if piece.keep is None else piece.keep.index_select(0, rows)
            elif piece.keep is not None:
                keep = torch.searchsorted(before, lanes[rows])
            before = lanes[rows]
            at = rows.to(piece.batch.x.device)
            x, target, weight, mask = (None if t is None else t.index_select(0, at) for t in piece.batch)
            assert x is not None
            assert target is not None
            yield Piece(
                type(piece.batch)(x, target, weight, mask),
                piece.numbers.index_select(0, rows),
                None if piece.fresh is None else piece.fresh.index_select(0, rows.to(piece.fresh.device)),
                keep,
                before,
                (rows, total),
            )


class Averaged(Sweep):
    """The gradient of a step's mean loss over all processes, in one message with loss, metrics and signs.

    Args:
        sweep: How a process finds the gradient of its own rows.
        team: The processes.
        flat: The weights.
    """

    def __init__(self, sweep: Sweep, team: Team, flat: Flat) -> None:
        self.sweep, self.team, self.flat = sweep, team, flat

    def gradient(self, stack: Stack, objective: Objective, piece: Piece, carried: States) -> Found:
        grad = self.flat.grad
        before = grad.clone()
        grad.zero_()
        names = len(objective.metrics)
        found = Found(0.0, 0.0, [(0.0, 0.0)] * names, tuple(tuple(s[:0] for s in state) for state in carried))
        if len(piece.batch.x):
            stack.noise.among = piece.among
            found = self.sweep.gradient(stack, objective, piece, carried)
            stack.noise.among = None
        real = found.weight != 0.0
        sums = [found.loss * found.weight if real else 0.0, found.weight]
        sums += [value for pair in found.figures for value in pair]
        rest = torch.tensor([*sums, *self.team.ask()], dtype=grad.dtype, device=grad.device)
        message = torch.cat([grad * found.weight if real else torch.zeros_like(grad), rest])
        self.team.add(message)
        loss, weight, *figures = message[len(grad) :].tolist()
        self.team.told = Signs(*(value > 0 for value in figures[2 * names :]))
        if weight:
            torch.div(message[: len(grad)], weight, out=grad)
            loss /= weight
        else:
            grad.zero_()
        grad += before
        pairs = [(figures[2 * i], figures[2 * i + 1]) for i in range(names)]
        return Found(loss, weight, pairs, found.states)


@contextmanager
def _together() -> Iterator[None]:
    """Around a message: what the back end raises becomes one error of ostinato."""
    try:
        yield
    except RuntimeError as error:
        raise ProcessLost(
            "all processes of a run must stay until its end",
            got=f"a broken connection ({str(error).splitlines()[0]:.120})",
            fix="See what the others wrote; the same command goes on from the last checkpoint, if there is one.",
        ) from error


@cache
def team() -> Team | None:
    """The processes that `torchrun` started this one with, joined at the first call and left at exit; None if alone.

    Raises:
        ArgumentError: The environment does not say who they are.
        MissingDependency: torch was built without what they need.
        ProcessLost: They do not answer.
    """
    told = os.environ.get("WORLD_SIZE", "1")
    if told == "1":
        return None
    missing = [name for name in _NEEDED if name not in os.environ]
    if not told.isdecimal() or missing or not os.environ["RANK"].isdecimal():
        raise ArgumentError(
            "WORLD_SIZE must be 1, or come with RANK, MASTER_ADDR and MASTER_PORT, as torchrun sets them",
            got=f"{told!r:.40}" + (f" without {', '.join(missing)}" if missing else ""),
            fix="Start the processes with torchrun, or unset WORLD_SIZE.",
        )
    if not dist.is_available() or not dist.is_gloo_available():
        raise MissingDependency(
            "torch must be built with gloo to train in several processes",
            got="a torch without it",
            fix="Install a torch of pytorch.org, or unset WORLD_SIZE.",
        )
    if not dist.is_initialized():
        from torch.distributed.rendezvous import rendezvous

        cuda = torch.cuda.is_available() and dist.is_nccl_available()
        with _together():
            try:
                store, rank, size = next(iter(rendezvous("env://")))
                backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
                dist.init_process_group(backend, store=_meet(store, rank, size), rank=rank, world_size=size)
            except ValueError as error:
                raise ArgumentError(
                    "MASTER_ADDR, MASTER_PORT, RANK and WORLD_SIZE must describe a group of processes",
                    got=f"{error!s:.120}",
                    fix="Start the processes with torchrun.",
                ) from None
        atexit.register(_leave)
    return Team(dist.get_rank(), dist.get_world_size())


def writes() -> bool:
    """Whether this process writes files and prints: the first of those that train together, or one alone."""
    together = team()
    return together is None or together.first


def _meet(store: Store, rank: int, size: int) -> Store:
    """A store for these processes alone; after a restart, `torchrun` still holds what those that are gone have written.

    Each process greets the first one with a number of its own, and waits for an answer to that number.
    """
    from torch.distributed.distributed_c10d import PrefixStore

    own = secrets.token_hex(8)
    if rank:
        store.set(f"hello {rank}", own)
        lead = store.get(f"welcome {own}").decode()
        store.set(f"ready {lead} {rank}", "")
        return PrefixStore(lead, store)
    until = time.monotonic() + _PATIENCE
    absent = set(range(1, size))
    while absent:
        if time.monotonic() > until:
            raise RuntimeError(f"no sign of {len(absent)} of {size} processes")
        for other in absent:
            if store.check([f"hello {other}"]):
                store.set(f"welcome {store.get(f'hello {other}').decode()}", own)
        absent = {other for other in absent if not store.check([f"ready {own} {other}"])}
        time.sleep(0.01)
    return PrefixStore(own, store)


def _leave() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()
