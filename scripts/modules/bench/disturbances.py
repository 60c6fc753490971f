"""What makes measured times doubtful: frequency scaling, turbo, hyper-threads, load, a hypervisor, a debug
library. What is seen of it goes into a document's context; what a reader must know of it, with the remedy,
comes out of one, whoever wrote it.
"""

from __future__ import annotations

from pathlib import Path
from typing import List, NamedTuple

from bench.results import Json

STOLEN = 0.01  # of the processor time, from where on it is told
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


# ---- what a reader must know ----


def cores_of(context: Json) -> int:
    """Returns the number of processors of a context; 0 where it does not say."""
    machine = context.get("machine")
    for value in (machine.get("cores") if isinstance(machine, dict) else None, context.get("num_cpus")):
        if isinstance(value, int) and value > 0:
            return value
    return 0


def settings_of(context: Json) -> Json:
    """Returns what a context says of how its machine was set: ours, else what Google Benchmark writes."""
    own = context.get("state")
    found: Json = dict(own) if isinstance(own, dict) else {}
    if not found.get("governor") and isinstance(context.get("cpu_scaling_enabled"), bool):
        found["scaling"] = context["cpu_scaling_enabled"]
    load = context.get("load_avg")
    if found.get("load") is None and isinstance(load, list) and load:
        found["load"] = load[0]
    found["library"] = context.get("library_build_type")
    found["stolen"] = context.get("stolen")
    return found


def warnings_of(context: Json) -> list[str]:
    """Returns what makes the numbers of this context doubtful, each with its remedy."""
    seen, found = settings_of(context), []
    if seen.get("scaling") or (seen.get("governor") or "performance") != "performance":
        governor = f" (governor {seen['governor']})" if seen.get("governor") else ""
        found.append(
            f"the processor's clock is scaled{governor}: sudo cpupower frequency-set --governor performance"
        )
    if seen.get("turbo"):
        found.append(
            "turbo is on, the clock follows the heat: echo 1 > /sys/devices/system/cpu/intel_pstate/no_turbo, or "
            "echo 0 > /sys/devices/system/cpu/cpufreq/boost"
        )
    if seen.get("smt"):
        found.append(
            "hyper-threads share cores: echo off > /sys/devices/system/cpu/smt/control, or taskset to one thread "
            "a core"
        )
    load, cores = seen.get("load"), cores_of(context)
    if isinstance(load, (int, float)) and cores and load > BUSY * cores:
        found.append(
            f"the load was {load:.1f} on {cores} processors at the start: stop what else runs, and measure again"
        )
    stolen = seen.get("stolen")
    if isinstance(stolen, (int, float)) and stolen > STOLEN:
        found.append(
            f"the hypervisor took {stolen:.1%} of the processor time: a machine of its own does not lose it"
        )
    if seen.get("library") == "debug":
        found.append(
            "libbenchmark says that it was built for debugging, as Debian's always does: what it adds to a loop "
            "may be more; build Google Benchmark with -DCMAKE_BUILD_TYPE=Release"
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
    found: List[str] = [f"not the same on both sides: {each}" for each in contrasts(baseline, candidate)]
    both = [warnings_of(baseline), warnings_of(candidate)]
    for side, told in zip(("baseline: ", "candidate: "), both):
        other = both[1] if told is both[0] else both[0]
        for each in told:
            if each not in other:
                found.append(side + each)
            elif told is both[0]:
                found.append(each)
    return found
