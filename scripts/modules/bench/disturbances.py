"""What makes measured times doubtful: frequency scaling, turbo, hyper-threads, load, a hypervisor, a debug
library. What is seen of it goes into a document's context; what a reader must know of it, with the remedy,
comes out of one, whoever wrote it.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from bench.measurement import busy_seconds, own_seconds
from bench.results import QUIET, Json

STOLEN = 0.01  # of the processor time, from where on it is told
BUSY_CORES = "cores_busy_with_other_programs"  # in a context
BUSY = 0.5  # of the processors, by the load before the first measurement
CLOCKS = 0.1  # by which two runs' clock rates may differ


# ---- what is seen ----


def read_word(path: Path) -> str | None:
    """Returns what a small file says; None where it is not there."""
    try:
        return path.read_text().strip()
    except OSError:
        return None


def state(root: Path = Path("/")) -> Json:
    """Returns how the machine is set now; what it does not say is None."""
    cpu = root / "sys/devices/system/cpu"
    boost = read_word(cpu / "cpufreq/boost")
    no_turbo = read_word(cpu / "intel_pstate/no_turbo")
    smt = read_word(cpu / "smt/active")
    load = read_word(root / "proc/loadavg")
    turbo = None if boost is None and no_turbo is None else boost == "1" or no_turbo == "0"
    return {
        "governor": read_word(cpu / "cpu0/cpufreq/scaling_governor"),
        "turbo": turbo,
        "smt": None if smt is None else smt == "1",
        "load": float(load.split()[0]) if load else None,
    }


class Ticks(NamedTuple):
    """Processor time since the machine started, of all processors."""

    all: int
    stolen: int  # by other guests of the same hypervisor


def ticks(root: Path = Path("/")) -> Ticks | None:
    """Returns the processor time until now; None where the machine does not say."""
    first = (read_word(root / "proc/stat") or "").split("\n", 1)[0].split()
    if first[:1] != ["cpu"] or len(first) < 9:
        return None
    numbers = [int(word) for word in first[1:9]]  # guests' time is in user's
    return Ticks(sum(numbers), numbers[7])


def stolen_since(begin: Ticks | None, now: Ticks | None = None) -> float | None:
    """Returns the share of the processor time that was stolen since then; None where it is not known."""
    now = now or ticks()
    if begin is None or now is None or now.all <= begin.all:
        return None
    return round((now.stolen - begin.stolen) / (now.all - begin.all), 4)


class Watch:
    """Sees what the machine did besides, from its construction on."""

    def __init__(self) -> None:
        self.begun = time.monotonic(), busy_seconds(), own_seconds()
        self.ticks = ticks()

    def others(self) -> float | None:
        """Returns how many cores other programs kept busy, on average; None when unknown."""
        began, busy_then, own_then = self.begun
        busy_now = busy_seconds()
        if busy_then is None or busy_now is None:
            return None
        spent = busy_now - busy_then - (own_seconds() - own_then)
        return max(0.0, spent / max(1e-9, time.monotonic() - began))

    def seen(self) -> Json:
        """Returns that for a context, and what the hypervisor took."""
        others = self.others()
        return {
            BUSY_CORES: None if others is None else round(others, 2),
            "stolen": stolen_since(self.ticks),
        }


# ---- what a reader must know ----


def cores_of(context: Json) -> int:
    """Returns the number of processors of a context; 0 where it does not say."""
    machine = context.get("machine")
    for value in (machine.get("cores") if isinstance(machine, dict) else None, context.get("num_cpus")):
        if isinstance(value, int) and value > 0:
            return value
    return 0


def settings_of(context: Json) -> Json:
    """Returns what a context says of how its machine was set and what else it did: ours, else what Google
    Benchmark writes."""
    own = context.get("state")
    found: Json = dict(own) if isinstance(own, dict) else {}
    if not found.get("governor") and isinstance(context.get("cpu_scaling_enabled"), bool):
        found["scaling"] = context["cpu_scaling_enabled"]
    load = context.get("load_avg")
    if isinstance(load, list) and load and not found:
        found["load"] = load[0]
    found["busy"] = context.get(BUSY_CORES)
    if isinstance(
        found["busy"], (int, float)
    ):  # then the load, which a build before it has raised, says less
        found.pop("load", None)
    # In hotindex_bench a lap is one iteration of the library's loop: how that was built does not matter.
    found["library"] = None if "denominator" in context else context.get("library_build_type")
    found["stolen"] = context.get("stolen")
    return found


def warnings_of(context: Json) -> dict[str, str]:
    """Returns what makes the numbers of this context doubtful, each with its remedy, by cause."""
    seen, found = settings_of(context), {}
    if seen.get("scaling") or (seen.get("governor") or "performance") != "performance":
        governor = f" (governor {seen['governor']})" if seen.get("governor") else ""
        remedy = "sudo cpupower frequency-set --governor performance"
        found["scaling"] = f"the processor's clock is scaled{governor}: {remedy}"
    if seen.get("turbo"):
        found["turbo"] = (
            "turbo is on, and the clock follows the heat: echo 1 > "
            "/sys/devices/system/cpu/intel_pstate/no_turbo, or echo 0 > /sys/devices/system/cpu/cpufreq/boost"
        )
    if seen.get("smt"):
        found["smt"] = (
            "hyper-threads share cores: echo off > /sys/devices/system/cpu/smt/control, or taskset with one "
            "of each core's"
        )
    load, cores = seen.get("load"), cores_of(context)
    if isinstance(load, (int, float)) and cores and load > BUSY * cores:
        remedy = "stop what else runs, and measure again"
        found["load"] = f"the load was {load:.1f} on {cores} processors at the start: {remedy}"
    busy = seen["busy"]
    if isinstance(busy, (int, float)) and busy > QUIET:
        of = f" of {cores}" if cores else ""
        found[
            "busy"
        ] = f"other programs kept {busy:.1f}{of} cores busy meanwhile: stop them, and measure again"
    stolen = seen["stolen"]
    if isinstance(stolen, (int, float)) and stolen > STOLEN:
        remedy = "a machine of one's own does not lose it"
        found["stolen"] = f"the hypervisor took {stolen:.1%} of the processor time: {remedy}"
    if seen["library"] == "debug":
        found["library"] = (
            "libbenchmark says that it was built for debugging, as Debian's always does, and may add to what "
            "is measured: build Google Benchmark with -DCMAKE_BUILD_TYPE=Release"
        )
    return found


def contrasts(baseline: Json, candidate: Json) -> list[str]:
    """Returns what was set otherwise for one side than for the other, as far as both say it."""
    a, b = settings_of(baseline), settings_of(candidate)
    words = {
        "governor": "governor",
        "scaling": "frequency scaling",
        "turbo": "turbo",
        "smt": "hyper-threads",
        "library": "libbenchmark",
    }
    found = [
        f"{word}: {in_words(a[key])} at the baseline, {in_words(b[key])} at the candidate"
        for key, word in words.items()
        if a.get(key) is not None and b.get(key) is not None and a[key] != b[key]
    ]
    clocks = [each.get("mhz_per_cpu") for each in (baseline, candidate)]
    known = [each for each in clocks if isinstance(each, (int, float)) and each > 0]
    if len(known) == 2 and max(known) > (1 + CLOCKS) * min(known):
        found.append(f"clock: {clocks[0]} MHz at the baseline, {clocks[1]} MHz at the candidate")
    hosts = [each.get("host_name") for each in (baseline, candidate)]
    if all(hosts) and hosts[0] != hosts[1]:
        found.append(f"host: {hosts[0]} at the baseline, {hosts[1]} at the candidate")
    return found


def in_words(value: object) -> str:
    """Returns a setting in words."""
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


def notes_on(baseline: Json, candidate: Json) -> list[str]:
    """Returns what the reader of a comparison must know of the machine: what differs, and what is doubtful on
    either side."""
    found = [f"not the same on both sides: {each}" for each in contrasts(baseline, candidate)]
    old, new = warnings_of(baseline), warnings_of(candidate)
    for cause in dict.fromkeys((*old, *new)):
        side = "" if cause in old and cause in new else "baseline: " if cause in old else "candidate: "
        found.append(side + (new.get(cause) or old[cause]))
    return found
