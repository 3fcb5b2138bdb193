"""What an error, a wrong sum or the end of patience means for an object and its endpoints.

Called under the coordinator's lock; knows no threads. The rules for going on are those of ``retry``.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from hfclone import errors
from hfclone.errors import HfcloneError, LocalError
from hfclone.events import Demoted, Failed, Faulted, Waiting, Warned
from hfclone.hub.endpoint import Endpoint
from hfclone.partials import Partials
from hfclone.pointer import Oid
from hfclone.ranges import RangeSet
from hfclone.retry import MOST_UNFORESEEN, SAY_SECONDS, Clock, Patience, Verdict, judge, wait_asked
from hfclone.transfer import Arrived
from hfclone.transfer.endpoint_selection import EndpointSelector
from hfclone.transfer.health import FILES, EndpointHealth
from hfclone.transfer.leases import Lease, Task
from hfclone.transfer.sources import Sources
from hfclone.transfer.state import Item, TransferState, Trial
from hfclone.wording import phrase

__all__ = ["OTHER_FILES", "FailurePolicy", "names_other_file"]

DISK_WAIT = 10.0
"""Seconds until a full disk is tried again."""
OTHER_FILES = 3
"""So often an endpoint may name another length for an object, or an address that is none; then it has another file."""
ABSENCES = 2
"""So often a signed URL may lead to nothing; then the object is not there."""
IN_VAIN = 3
"""So often in a row a carrier may bring nothing of an object, without a reason; then it cannot."""
MISSES = 2
"""Objects in a row that a carrier cannot move; then it moves nothing any more."""
QUIET_SECONDS = 2.0
"""After so long without a byte the user is told why."""
_SHAKEN = (errors.Truncated, errors.Unreachable, errors.Stalled, errors.RateLimited)
"""What says that the line has too many connections."""
_KEEPS_URL = (errors.Truncated, errors.Stalled, errors.DiskFull)
"""What says nothing against the URL."""


def names_other_file(error: HfcloneError) -> bool:
    """Whether it counts towards ``OTHER_FILES``: the endpoint is reached, and is wrong about one object."""
    return isinstance(error, errors.OtherFile) or (isinstance(error, errors.BadRedirect) and bool(error.oid))


@dataclass(slots=True)
class FailurePolicy:
    """Judges; the coordinator carries out."""

    state: TransferState
    selector: EndpointSelector
    health: EndpointHealth
    sources: Sources
    partials: Partials
    patience: Patience
    lost: Callable[[Endpoint], None]
    """Hears of connections to an endpoint that broke, were refused or limited."""
    clock: Clock
    _said_at: float = field(default=-math.inf)
    _moved: tuple[int, float] = (-1, -math.inf)
    _misses: int = 0
    """Objects in a row that the carrier could not move."""

    # --- errors --------------------------------------------------------------------------------

    def blame(self, lease: Lease, error: HfcloneError) -> None:
        """What an error of a request means for its object and its endpoint."""
        endpoint, task = lease.endpoint, lease.task
        task.error, task.failed_at = error, self.clock.now()
        self.state.events.append(Faulted("" if isinstance(error, LocalError) else str(endpoint), error))
        if isinstance(error, errors.UrlExpired):
            self.sources.expired(task.pointer, endpoint)
        elif not isinstance(error, _KEEPS_URL):
            self.sources.forget(task.pointer, endpoint)
        if lease.unexplained:
            self._count_in_vain(lease, error)
        verdict = judge(error)
        if isinstance(error, errors.DiskFull):
            task.ready_at = self.clock.now() + DISK_WAIT
        elif isinstance(error, LocalError):
            self.state.fatal = error
        elif verdict is Verdict.ELSEWHERE:
            self._refused(lease, error)
        elif verdict is Verdict.AGAIN:
            self._count_what_stays(task, endpoint, error)
            asked = wait_asked(error)
            if asked is not None and not lease.signed:
                self.health.refused(endpoint, error)
                self.health.hold(endpoint, asked)
                return
            self.health.failed(endpoint, error, lease.began)
            if isinstance(error, errors.Truncated) and not lease.dropped and lease.came is None:
                self.health.broke(endpoint, lease.position - lease.start, lease.stop - lease.start)
            told_nothing = isinstance(error, errors.TooSlow) or (isinstance(error, errors.Stalled) and lease.gone)
            if isinstance(error, _SHAKEN) and not told_nothing:
                self.lost(endpoint)

    def _count_in_vain(self, lease: Lease, error: HfcloneError) -> None:
        lease.task.vain = 0 if lease.moved else lease.task.vain + 1
        if lease.task.vain >= IN_VAIN:
            self.cannot_carry(lease.task, str(error))

    def cannot_carry(self, task: Task, why: str) -> None:
        """The carrier cannot move an object: our own connections do; all others, too, where it never can."""
        self.leave_by_hand(task, self.health.endpoints, phrase("aria2c-cannot", reason=why))
        self._misses += 1
        if self._misses >= MISSES:
            self.lose_carrier(phrase("aria2c-only-fails", reason=why))

    def leave_by_hand(self, task: Task, endpoints: Iterable[Endpoint], why: str) -> None:
        """Our own connections fetch an object from these endpoints."""
        if self.state.carrier is not None:
            what = phrase("object", oid=task.pointer.oid[:12])
            reason = phrase("left-to-built-in", reason=why)
            self.state.events.append(Demoted(self.state.carrier.name, what, reason))
        task.by_hand.update(endpoints)

    def lose_carrier(self, why: str) -> None:
        """The carrier is gone, or of no use: our own connections do the rest."""
        if self.state.carrier is not None:
            self.state.carrier = None
            self.state.events.append(Warned("aria2c-lost", {"reason": why}))

    def _count_what_stays(self, task: Task, endpoint: Endpoint, error: HfcloneError) -> None:
        """A passing fault may show a wrong length, or find a flaw of ours; what stays is another file, and the flaw."""
        refuses_whole = isinstance(error, errors.RangeRefused) and endpoint in task.plain
        task.other_files[endpoint] += names_other_file(error) or refuses_whole
        if isinstance(error, errors.RangeRefused):
            task.plain.add(endpoint)
        task.unforeseen[endpoint] += isinstance(error, errors.Unforeseen)
        if task.other_files[endpoint] >= OTHER_FILES or task.unforeseen[endpoint] >= MOST_UNFORESEEN:
            task.barred[endpoint] = error
            self._settle_if_hopeless(task)

    def cannot_open(self, item: Item, error: LocalError) -> None:
        """An object's partial cannot be made; a full disk may have room later."""
        if not isinstance(error, errors.DiskFull):
            self.state.fatal = error
        item.task.error = error
        self.state.shelve(item, self.clock.now() + DISK_WAIT)
        self.state.events.append(Faulted("", error))

    def open_anew(self, item: Item) -> None:
        """Somebody may still write to an object's part: what came is taken into another."""
        self.state.shelve(item, self.clock.now())

    def settle_stranded(self) -> None:
        """Give up active objects whose last endpoint was barred while another request was under way."""
        for task in [task for task in self.state.pool.active.values() if task.todo]:
            self._settle_if_hopeless(task)

    def _refused(self, lease: Lease, error: HfcloneError) -> None:
        task, endpoint = lease.task, lease.endpoint
        self.health.refused(endpoint, error)
        if isinstance(error, errors.ObjectRefused):
            # A signed URL's host may be behind its hub for a moment; a second URL decides.
            task.absences[endpoint] += 1
            if lease.signed and task.absences[endpoint] < ABSENCES:
                self.health.failed(endpoint, error, lease.began)
                return
            task.barred[endpoint] = error
        else:
            self.health.note_lack(endpoint, FILES, str(error))
        self._settle_if_hopeless(task)

    def _settle_if_hopeless(self, task: Task) -> bool:
        """Give an object up when nobody is left to ask for it."""
        hopeless = not task.leases and not self.health.offers(FILES, task.barred)
        if hopeless:
            self.state.settle(task, Failed(task.pointer, self._reason(task)))
        return hopeless

    def _reason(self, task: Task) -> HfcloneError:
        """Why an object is given up: who refuses it or everything, else what went wrong with it."""
        if not self.health.offers(FILES, task.barred):
            return list(task.barred.values())[-1] if task.barred else self.health.last_word()
        return task.error or self.health.last_word()

    # --- wrong bytes ---------------------------------------------------------------------------

    def whole(self, item: Item) -> None:
        """Every byte has arrived and been hashed: settle the object, or find out who sent wrong bytes."""
        actual = Oid(item.digest.hexdigest())
        if actual == item.pointer.oid:
            self._name_liars(item)
            self._misses = 0
            part = self.partials.part_path(item.pointer)
            self.state.settle(item.task, Arrived(item.pointer, part, actual, item.synced))
            self.sources.settled(item.pointer)
        elif item.trial is not None:
            item.provenance.tried()
            item.digest, item.hashed, item.task.todo = item.trial.digest, item.trial.hashed, item.trial.todo
            item.task.ready_at, item.trial = 0.0, None
        else:
            self._wrong(item, errors.HashMismatch(item.pointer.oid, actual, tuple(item.provenance.senders)))

    def differs(self, item: Item, start: int, stop: int) -> None:
        """``[start, stop)`` is about to be replaced, since two endpoints send different bytes for it."""
        item.provenance.differs(start, stop, item.opened.digest)
        if item.provenance.trial_due:
            item.task.ready_at = math.inf  # until those under way have ended, and the whole was hashed

    def may_try(self, item: Item) -> bool:
        """Begin a trial if one is due and nobody writes or hashes."""
        due = item.task.checking and item.trial is None and item.provenance.trial_due
        if not due or not item.idle or not item.task.todo:
            return False
        item.trial = Trial(item.digest.copy(), item.hashed, item.task.todo)
        item.task.todo = RangeSet()
        return True

    def _wrong(self, item: Item, error: errors.HashMismatch) -> None:
        """The sum is wrong: what is suspect is fetched once more from others and compared."""
        self.state.events.append(Faulted(", ".join(error.endpoints), error))
        task, provenance = item.task, item.provenance
        task.error = error
        if not provenance.senders:  # an empty object that is none: there is nothing to fetch anew
            self.state.settle(task, Failed(task.pointer, error))
            return
        ruling = provenance.rule([str(endpoint) for endpoint in self.selector.able(task)], self.health.lies())
        for endpoint in self.health.endpoints:
            if str(endpoint) == ruling.liar:
                self.health.lied(endpoint, error)
                if ruling.barred:
                    task.barred[endpoint] = error
        if self._settle_if_hopeless(task):
            self.partials.discard(item.pointer)
            return
        item.digest, item.hashed = hashlib.sha256(), 0
        task.todo, task.checking, task.ready_at = ruling.suspects, True, 0.0

    def _name_liars(self, item: Item) -> None:
        """The object is right now: whose bytes are not in it sent wrong ones."""
        if not item.provenance.claims:
            return
        liars = item.provenance.liars(item.opened.digest)
        for endpoint in self.health.endpoints:
            if str(endpoint) in liars:
                error = errors.WrongBytes(str(endpoint), item.pointer.oid)
                self.health.lied(endpoint, error)
                self.state.events.append(Faulted(str(endpoint), error))

    # --- time ----------------------------------------------------------------------------------

    @property
    def hopeless(self) -> bool:
        """Whether no waiting will help any more."""
        return self.patience.exhausted or not self.health.offers(FILES)

    def give_up(self) -> None:
        """Patience is at its end: everything that is left fails, each with its own reason."""
        for task in self.state.pool.drain():
            self.state.settle(task, Failed(task.pointer, self._reason(task)))

    def say_waiting(self, now: float, closed: str, closed_for: float) -> None:
        """Tell, once a second while nothing moves, why and until when. ``closed`` is a reason of our own."""
        if self.state.received != self._moved[0]:
            self._moved = (self.state.received, now)
        if now - self._said_at < SAY_SECONDS or (now - self._moved[1] < QUIET_SECONDS and not closed):
            return
        self._said_at = now
        seconds, reason = (closed_for, closed) if closed else self._why_waiting(now)
        if reason:
            self.state.events.append(Waiting(seconds, reason, self.patience.remaining))

    def _why_waiting(self, now: float) -> tuple[float, str]:
        pool = self.state.pool
        full = [t for t in (*pool.shelved, *pool.active.values()) if isinstance(t.error, errors.DiskFull)]
        if full and not any(True for _ in pool.leases()):
            return max(0.0, min(task.ready_at for task in full) - now), str(full[0].error)
        asked = [e for e in self.health.endpoints if not self.health.lacks(e, FILES)] or list(self.health.endpoints)
        until, endpoint = min(((self.health.ready_at(e), e) for e in asked), key=lambda pair: pair[0])
        error = self.health.last_error(endpoint)
        reason = str(error) if error else phrase("waiting-for", endpoint=endpoint)
        if until > max(now, self.health.bytes_ready_at(endpoint)):
            reason = phrase("not-yet", endpoint=endpoint)
        return max(0.0, until - now), reason
