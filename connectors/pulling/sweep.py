"""A sweep: what is at a source compared with what is here, by ids and versions.

The listing comes before the pull of the same run, and what is to be fetched after it: whatever was read after an id
was listed is at least as new as the version listed with it, so nothing has to be read twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import httpx

from connectors.intake import native
from connectors.pulling.manners import Trouble
from connectors.pulling.pulled import TOGETHER, Taker, parted, version_digest
from connectors.pulling.pulls import Root, hour_of
from connectors.systems import Listed, Pull

_FOREVER = 1 << 62  # hours


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A record to be fetched: what is known of it with the version that was listed, and why."""

    root: Root = field(repr=False)
    why: str


class Sweep:
    """One sweep of one source: ``listing``, then the pull, then ``settle``."""

    def __init__(self, taker: Taker, pull: Pull, http: httpx.Client, options: Mapping[str, str]) -> None:
        """Prepare a sweep of a system that can be swept."""
        self._taker, self._pull, self._http, self._options = taker, pull, http, options
        self._parts, self._name, self._counts = taker.parts, taker.source.name, taker.counts
        self._wanted: dict[str, _Wanted] = {}
        self._number = 0
        self._oldest: int | None = None  # hour of the oldest record that is listed

    def listing(self) -> None:
        """Go through all that is there; withdraw what the system says is gone."""
        assert self._pull.sweep, "only where there is a listing"
        pulls, tokens = self._parts.pulls, self._parts.tokens
        self._number = self._taker.sweep = pulls.begin_sweep(self._name)
        for some in parted(self._pull.sweep(self._http, self._options), TOGETHER):
            self._counts["listed"] += len(some)
            gone, differ, same, found = [], {}, [], {}
            for listed in some:
                root = self._taker.root(native(tokens, self._name, listed.root_id))
                version = version_digest(tokens, self._name, listed.version)
                hour = self._hour(listed)
                found[root.root] = hour
                now = replace(root, version=version, sweep=self._number, missing=0, hour=hour or root.hour)
                if listed.gone:
                    gone.append(root)
                elif self._pull.says_less and root.taken and not root.withdrawn:
                    same.append(now)
                elif root.withdrawn or root.version != version:
                    differ[listed.root_id] = now
            self._gone(gone)
            self._want(differ)
            self._note(same)
            pulls.found(self._name, self._number, found)

    def settle(self) -> None:
        """Fetch what the pull did not bring, then see what has vanished.

        Raises:
            Trouble: at the end, where something was found that an operator should know; or from within.
        """
        brought = {i for i, wanted in self._wanted.items() if wanted.root.root in self._taker.brought}
        for ids in parted(brought, TOGETHER):
            self._note([self._wanted.pop(i).root for i in ids])
        if self._wanted:
            self._fetch()
        doubt = self._vanished() or ("UNFETCHED" if self._counts["unfetched"] else "")
        self._parts.pulls.swept(self._name, self._parts.now(), doubt)
        if doubt:
            raise Trouble(doubt)

    def _want(self, differ: Mapping[str, Root]) -> None:
        known = self._parts.known(self._name, [root.root for root in differ.values()])
        for root_id, root in differ.items():
            before = self._parts.pulls.root(self._name, root.root)
            seen = "changed" if before and before.version else "unseen"
            why = "missing" if root.root not in known else "" if root.withdrawn else seen
            self._wanted[root_id] = _Wanted(root, why)

    def _fetch(self) -> None:
        """Fetch and take in what is wanted."""
        by_id = self._pull.fetch is not None
        about: dict[bytes, bool] = {}
        came = 0
        if self._pull.fetch:
            for some in parted(self._pull.fetch(self._http, self._options, list(self._wanted)), TOGETHER):
                came += len(some)
                about |= self._taker.take(self._taker.understood(some, fetched=True))
                self._taker.save()
        else:  # nothing can be fetched by its id: the whole is asked for once more
            for page in self._pull.since(self._http, self._options, None):
                about |= self._taker.take(self._taker.understood(page.records))
                self._taker.save()
        short = len(self._wanted) - came if by_id else 0
        self._counts["unfetched"] += max(0, short)
        wanted = {w.root.root: w for w in self._wanted.values()}
        for root, accepted in about.items():
            if accepted and root in wanted and wanted[root].why:  # what returned is counted where it is taken
                self._counts[wanted[root].why] += 1
        # What is no report says nobody its id. Where something is short, such are fetched again by the next sweep.
        done = [root for root in wanted if root in about or short <= 0]
        for some_roots in parted(done, TOGETHER):
            self._note([wanted[root].root for root in some_roots])

    def _note(self, listed: Sequence[Root]) -> None:
        """Note the versions that were listed."""
        for root in listed:
            known = self._taker.root(root.root)
            self._taker.note(
                replace(known, version=root.version, sweep=root.sweep, missing=0, hour=root.hour)
            )
        self._taker.save()

    def _gone(self, roots: Sequence[Root]) -> None:
        """Withdraw what is no longer at the source; what has never been here cannot be."""
        here = self._parts.known(self._name, [root.root for root in roots])
        ends = [end for root in roots if root.root in here for end in self._taker.withdrawal(root)]
        self._counts["vanished"] += len(ends)
        self._taker.put(ends)
        self._taker.save()

    def _vanished(self) -> str:
        """Withdraw what this sweep and the one before did not find; return why not, where that is not believed."""
        pulls, name, forgotten = self._parts.pulls, self._name, self._forgotten()
        missing, of, matched = pulls.share_missing(name, self._number, forgotten)
        if of and not matched and self._counts["listed"]:
            return "MISMATCHED"
        if not matched:
            return ""
        if missing > 3 and missing * 100 > self._taker.options.max_vanished_percent * of:
            self._counts["doubted"] += missing
            return "DOUBTED"
        for roots in parted(pulls.miss(name, self._number, forgotten), TOGETHER):
            self._gone(roots)
        return ""

    def _hour(self, listed: Listed) -> int:
        """Return the hour of what is listed, 0 where it has none; keep the earliest."""
        if listed.at is None:
            return 0
        hour = hour_of(listed.at)
        self._oldest = hour if self._oldest is None else min(hour, self._oldest)
        return hour

    def _forgotten(self) -> int:
        """Return the last hour of which the system may have forgotten some; -1 where it forgets nothing.

        Within the hour of the oldest that is listed nobody can tell. Where nothing is listed, all may be forgotten.
        """
        if not self._pull.forgets:
            return -1
        return _FOREVER if self._oldest is None else self._oldest
