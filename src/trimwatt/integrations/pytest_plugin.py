"""Energy in pytest: `@pytest.mark.max_energy("5 J")`, the fixture `energy`, and baselines.

Loaded in every run of pytest, so nothing but pytest and the standard library is imported before a test asks for it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from trimwatt.errors import InputError

if TYPE_CHECKING:
    from trimwatt.energy import Energy, Reading
    from trimwatt.integrations._gate import Limit

R = TypeVar("R")
# looks a test gets when it is saved or compared, so that how much they differ is known
_LOOKS = 5
_LIMIT = pytest.StashKey["Limit"]()
_FIXTURE = pytest.StashKey["energy_of"]()
_BASELINE = pytest.StashKey[dict[str, Any]]()
_INCREASE = pytest.StashKey[float]()


class EnergyInconclusive(UserWarning):
    """A limit lies within the interval of what a test took; `--energy-strict` makes it a failure."""


class EnergyExceeded(pytest.fail.Exception):  # type: ignore[name-defined,misc]
    """A test took more energy than it may; its letter in the progress line is J."""


class energy_of:
    """What the fixture `energy` gives: call it with a function and its arguments, as often as needed.

    The function is called `repeat` times, as the mark says, and its last answer is returned. `reading` is that of the
    last look; `joules` is a call's share of the process's energy.
    """

    def __init__(self, repeat: int, looks: int) -> None:
        self._repeat, self._most_looks = repeat, looks
        self.reading: Reading | None = None
        self.total: Energy | None = None
        self.looks: list[float] = []
        self.calls = 0

    def __call__(self, function: Callable[..., R], *args: Any, **options: Any) -> R:
        """Call `function(*args, **options)` under the meter and return what it returned."""
        from trimwatt.integrations._worker import Window

        taken: list[float] = []
        here: Energy | None = None
        for count in _parts(self._repeat, self._most_looks):
            with Window() as window:
                for _ in range(count):
                    answer = function(*args, **options)
            self.reading = window.reading
            part = _process(window.reading)
            here = part if here is None else here + part
            taken.append(_work(window.reading) / count)
        if here is not None:
            a_call = here.scaled(1 / self._repeat)
            self.total = a_call if self.total is None else self.total + a_call
        # several functions in one test: their looks add up, one by one
        self.looks = [a + b for a, b in zip(self.looks, taken, strict=True)] if self.looks else taken
        self.calls += 1
        return answer

    @property
    def joules(self) -> float:
        """Joules a call so far; raises InputError before the first."""
        if self.total is None:
            raise InputError("energy(function) was not called yet; there is nothing to tell")
        return self.total.joules


def _parts(repeat: int, looks: int) -> list[int]:
    """`repeat` calls in at most `looks` looks of much the same size."""
    n = min(repeat, looks)
    return [repeat // n + (i < repeat % n) for i in range(n)]


def _process(reading: Reading) -> Energy:
    if reading.process is None:
        raise EnergyExceeded(
            "the energy of this test is not known: " + "; ".join(reading.warnings or ("no sensor told anything",)),
            pytrace=False,
        )
    return reading.process


def _work(reading: Reading) -> float:
    """Joules that a baseline is held against: what the work added, by CPU time. The idle share grows with the wall
    time, and so with whatever else the machine does."""
    energy = reading.marginal or _process(reading)
    return energy.joules


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of the group `energy`."""
    group = parser.getgroup("energy", "energy of tests (trimwatt)")
    group.addoption("--energy-strict", action="store_true", help="A limit within the interval is a failure.")
    group.addoption("--energy-save", metavar="NAME", help="Keep what tests took as the baseline NAME.")
    group.addoption("--energy-force", action="store_true", help="Replace that baseline.")
    group.addoption("--energy-compare", metavar="NAME", help="Compare with the baseline NAME.")
    group.addoption(
        "--energy-fail-on-increase", metavar="10%", help="With --energy-compare: fail where it grew by more."
    )


def pytest_configure(config: pytest.Config) -> None:
    """Name the mark, and refuse options that cannot be followed before any test runs."""
    config.addinivalue_line(
        "markers",
        'max_energy(limit, repeat=1, min_source="estimated"): fail where one call takes more energy than `limit`, '
        'like "5 J" or "3 mWh"; repeat: calls of the fixture energy; min_source: estimated, mixed or measured',
    )
    try:
        _read_options(config)
    except InputError as error:
        raise pytest.UsageError(str(error)) from error
    if not _is_worker(config):
        config.pluginmanager.register(Collector(config), "trimwatt-energy")


def _read_options(config: pytest.Config) -> None:
    save, compare = config.getoption("energy_save"), config.getoption("energy_compare")
    allowed = config.getoption("energy_fail_on_increase")
    if save is None and compare is None and allowed is None:
        return
    from trimwatt.integrations import _gate

    if allowed is not None:
        if compare is None:
            raise InputError("--energy-fail-on-increase needs a baseline; add --energy-compare NAME")
        config.stash[_INCREASE] = _gate.share(allowed)
    if compare is not None:
        config.stash[_BASELINE] = _gate.load(_gate.place(config.rootpath, compare))
    if save is not None and not _is_worker(config):
        path = _gate.place(config.rootpath, save)
        if path.exists() and not config.getoption("energy_force"):
            raise InputError(f"the energy baseline {save!r} exists ({path}); replace it with --energy-force")


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


@pytest.fixture
def energy(request: pytest.FixtureRequest) -> energy_of:
    """Call a function under the meter: `energy(model.predict, rows)`, `repeat` times as the mark max_energy says."""
    config = request.config
    several = config.getoption("energy_save") is not None or config.getoption("energy_compare") is not None
    limit = request.node.stash.get(_LIMIT, None)
    made = energy_of(limit.repeat if limit else 1, _LOOKS if several else 1)
    request.node.stash[_FIXTURE] = made
    return made


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Check the mark, and skip what this machine cannot judge, before fixtures are made."""
    mark = item.get_closest_marker("max_energy")
    if mark is None:
        return
    from trimwatt.integrations import _gate

    try:
        limit = item.stash[_LIMIT] = _gate.Limit.of(mark.args, dict(mark.kwargs))
    except InputError as error:
        pytest.fail(str(error), pytrace=False)
    if limit.repeat > 1 and "energy" not in getattr(item, "fixturenames", ()):
        pytest.fail(
            "max_energy: repeat says how often the fixture `energy` calls a function; take it and write"
            " energy(function, ...)",
            pytrace=False,
        )
    from trimwatt.meter import session

    origin = session.meter().sensor.origin
    if not limit.accepts(origin):
        pytest.skip(_needs(limit, origin))


def _needs(limit: Limit, origin: str) -> str:
    offer = "an estimate only" if origin == "estimated" else f"one that is {origin}"
    return f"max_energy: needs a {limit.min_source} source; this machine offers {offer}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Meter the test where it has the mark and does not take the fixture; then judge."""
    limit, fixture = item.stash.get(_LIMIT, None), item.stash.get(_FIXTURE, None)
    if limit is None and fixture is None:
        return (yield)
    if fixture is not None:
        result = yield
        if fixture.total is not None:
            _judge(item, fixture.total, fixture.looks, limit)
        elif limit is not None:
            pytest.fail("max_energy: the test takes the fixture `energy` and never called it", pytrace=False)
        return result
    from trimwatt.integrations._worker import Window

    with Window() as window:
        result = yield
    taken = _process(window.reading)
    _judge(item, taken, [_work(window.reading)], limit)
    return result


def _judge(item: pytest.Item, taken: Energy, looks: list[float], limit: Limit | None) -> None:
    """Record what a test took, and fail it, warn or skip as the limit and the baseline say."""
    item.user_properties += [
        ("energy_J", taken.joules), ("energy_J_low", taken.low), ("energy_J_high", taken.high),
        ("energy_origin", taken.origin), ("energy_looks", " ".join(map(repr, looks))),
    ]  # fmt: skip
    if limit is not None:
        if not limit.accepts(taken.origin):
            pytest.skip(_needs(limit, taken.origin))
        _act(item, *limit.judge(taken))
    allowed, before = item.config.stash.get(_INCREASE, None), _before(item)
    if allowed is not None and before:
        from trimwatt.integrations import _gate

        _act(item, *_gate.increase(looks, before, allowed))


def _before(item: pytest.Item) -> list[float]:
    """The looks of this test in the baseline; empty where it has none, or comes from another machine."""
    baseline = item.config.stash.get(_BASELINE, None)
    if baseline is None:
        return []
    from trimwatt.integrations import _gate

    if baseline.get("host") != _gate.host():
        _warn(item, "the energy baseline was made on another machine or sensor; nothing is compared")
        return []
    kept = baseline["tests"].get(item.nodeid)
    return [float(look) for look in kept["looks"]] if kept else []


def _act(item: pytest.Item, verdict: str, message: str) -> None:
    strict = item.config.getoption("energy_strict")
    if verdict == "exceeded" or (verdict == "inconclusive" and strict):
        raise EnergyExceeded(message, pytrace=False)
    if verdict == "inconclusive":
        _warn(item, f"inconclusive: {message}")


def _warn(item: pytest.Item, message: str) -> None:
    """Warn, even where warnings are errors: only --energy-strict makes a failure of what is not settled."""
    try:
        warnings.warn(EnergyInconclusive(message), stacklevel=2)
    except EnergyInconclusive:
        with warnings.catch_warnings():
            warnings.simplefilter("always", EnergyInconclusive)
            warnings.warn(EnergyInconclusive(message), stacklevel=2)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note on the report that it failed for its energy."""
    report = yield
    if call.excinfo is not None and call.excinfo.errisinstance(EnergyExceeded):
        report.energy_exceeded = True  # type: ignore[attr-defined]
    return report


def pytest_report_teststatus(report: pytest.CollectReport | pytest.TestReport) -> tuple[str, str, Any] | None:
    """J in the progress line. The category stays "failed": a new one would hide the section FAILURES."""
    if report.failed and getattr(report, "energy_exceeded", False):
        return "failed", "J", ("ENERGY", {"red": True})
    return None


class Collector:
    """Gathers what tests took from their reports, which come to the main process from all workers of xdist too."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self.taken: dict[str, dict[str, Any]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep what a test took for the summary and the baseline."""
        found = dict(report.user_properties)
        if report.when == "call" and "energy_J" in found:
            self.taken[report.nodeid] = {
                "joules": found["energy_J"], "low": found["energy_J_low"], "high": found["energy_J_high"],
                "origin": found["energy_origin"],
                "looks": [float(look) for look in str(found["energy_looks"]).split()],
            }  # fmt: skip

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """A line a test, where asked for by -v or a baseline, and what became of the baseline."""
        saved = self._save()
        compared = self._config.stash.get(_BASELINE, None)
        if not self.taken or not (saved or compared or terminalreporter.verbosity > 0):
            return
        from trimwatt.energy import Energy

        terminalreporter.section("energy, a call")
        for name, found in self.taken.items():
            before = (compared or {"tests": {}})["tests"].get(name)
            versus = f"  (baseline {_joules(before)})" if before else "  (not in the baseline)" if compared else ""
            terminalreporter.write_line(f"{name}  {Energy.from_dict(found)}{versus}")
        if saved:
            terminalreporter.write_line(saved)

    def _save(self) -> str:
        """Write the baseline where asked; what became of it."""
        name = self._config.getoption("energy_save")
        if name is None:
            return ""
        if not self.taken:
            return f"no test had its energy read; the baseline {name!r} was not written"
        from trimwatt.integrations import _gate

        path = _gate.place(self._config.rootpath, name)
        try:
            _gate.save(path, self.taken)
        except OSError as error:
            return f"the baseline {name!r} could not be written ({error.strerror}: {path})"
        return f"kept as the baseline {name!r}: {path}"


def _joules(kept: dict[str, Any]) -> str:
    from trimwatt import units

    return units.joules(kept["joules"])
