"""A sweep: what is at a source compared with what is here, by ids and versions."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import httpx

from connectors.intake import native
from connectors.manners import Trouble
from connectors.pulled import FETCHED, TOGETHER, Taker, parted
from connectors.pulls import Root
from connectors.systems import Pull


class Sweep:
    """Compares what is at the source with what is here."""

    def __init__(self, taker: Taker, pull: Pull, http: httpx.Client, options: Mapping[str, str]) -> None:
        """Prepare a sweep of a system that can be swept."""
        self._taker, self._pull, self._http, self._options = taker, pull, http, options
        self._parts, self._name, self._counts = taker.parts, taker.source.name, taker.counts
        self._strangers = False

    def run(self) -> None:
        """Sweep once.

        Raises:
            Trouble: at the end, where something was found that an operator should know; or from within.
        """
        assert self._pull.sweep, "only where there is a listing"
        pulls, tokens = self._parts.pulls, self._parts.tokens
        number = pulls.begin_sweep(self._name)
        self._taker.ongoing = pulls.state(self._name).swept_at is not None
        limit = FETCHED if self._pull.fetch else self._taker.options.max_page_records
        wanted: dict[str, Root] = {}
        for some in parted(self._pull.sweep(self._http, self._options), TOGETHER):
            self._counts["listed"] += len(some)
            found = []
            for listed in some:
                root = self._taker.root(native(tokens, self._name, listed.root_id))
                version = tokens.digest("pull-version", self._name, listed.version)
                found.append(root.root)
                if listed.gone:
                    self._gone([root])
                elif root.withdrawn or root.version != version:
                    wanted[listed.root_id] = replace(root, version=version, sweep=number)
            self._taker.save()
            pulls.found(self._name, number, found)
            if len(wanted) >= limit:
                self._get(wanted)
                wanted = {}
        self._get(wanted)
        self._vanished(number)
        pulls.swept(self._name, self._parts.now())
        if self._strangers:
            raise Trouble("MISMATCHED")
        if self._counts["unfetched"]:
            raise Trouble("UNFETCHED")

    def _gone(self, roots: Sequence[Root]) -> None:
        """Withdraw what is no longer at the source; what has never been here cannot be."""
        here = self._parts.known(self._name, [root.root for root in roots])
        ends = [end for root in roots if root.root in here for end in self._taker.withdrawal(root)]
        self._counts["vanished"] += len(ends)
        self._taker.put(ends)

    def _get(self, wanted: Mapping[str, Root]) -> None:
        """Fetch what is missing here or may have changed, and take it in."""
        if not wanted:
            return
        if self._pull.fetch is not None:
            for ids in parted(wanted, FETCHED):
                self._get_some({root_id: wanted[root_id] for root_id in ids})
            return
        # Nothing can be fetched by its id: the whole is asked for once more.
        why = self._why(wanted)
        about: dict[bytes, bool] = {}
        for page in self._pull.since(self._http, self._options, None):
            about |= self._taker.take(self._taker.understood(page.records))
            self._taker.save()
        self._came(wanted, about, why)

    def _get_some(self, wanted: Mapping[str, Root]) -> None:
        assert self._pull.fetch, "only where records can be fetched"
        why = self._why(wanted)
        records = list(self._pull.fetch(self._http, self._options, list(wanted)))
        about = self._taker.take(self._taker.understood(records, fetched=True))
        if len(records) >= len(wanted):
            self._strangers |= bool(about) and about.keys().isdisjoint(why)
            self._came(wanted, about, why)
            return
        self._came({i: r for i, r in wanted.items() if r.root in about}, about, why)
        # Which did not come? Records that are no reports tell nobody their ids: ask for each alone.
        for root_id, root in wanted.items():
            if root.root in about:
                continue
            if len(wanted) > 1:
                self._get_some({root_id: root})
            else:
                self._counts["unfetched"] += 1

    def _why(self, wanted: Mapping[str, Root]) -> dict[bytes, str]:
        """Return for each report, by keyed hash, why it is fetched."""
        known = self._parts.known(self._name, [root.root for root in wanted.values()])
        why = {}
        for root in wanted.values():
            before = self._parts.pulls.root(self._name, root.root)
            seen = "changed" if before and before.version else "unseen"
            why[root.root] = "missing" if root.root not in known else "returned" if root.withdrawn else seen
        return why

    def _came(
        self, wanted: Mapping[str, Root], about: Mapping[bytes, bool], why: Mapping[bytes, str]
    ) -> None:
        """Note the versions that were listed: what was fetched after that is not older."""
        for root in wanted.values():
            if about.get(root.root):
                self._counts[why[root.root]] += 1
            self._taker.note(
                replace(self._taker.root(root.root), version=root.version, sweep=root.sweep, missing=0)
            )
        self._taker.save()

    def _vanished(self, number: int) -> None:
        missing, of = self._parts.pulls.share_missing(self._name, number)
        if missing > 3 and missing * 100 > self._taker.options.max_vanished_percent * of:
            self._counts["doubted"] += missing
            raise Trouble("DOUBTED")
        for roots in parted(self._parts.pulls.miss(self._name, number), TOGETHER):
            self._gone(roots)
            self._taker.save()
