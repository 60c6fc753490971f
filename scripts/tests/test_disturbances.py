"""What disturbs a machine: seen in its files, compared, and told with the remedy."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from bench import disturbances
from bench.disturbances import Ticks
from bench.results import Json

CPU = "sys/devices/system/cpu"


class SeenTest(unittest.TestCase):
    def machine(self, **files: str) -> Path:
        """Returns the root of a machine with these files; __ stands for a slash, CPU for CPU's folder."""
        scratch = tempfile.TemporaryDirectory(prefix="hotindex-scripts-")
        self.addCleanup(scratch.cleanup)
        for name, text in files.items():
            path = Path(scratch.name) / name.replace("__", "/").replace("CPU", CPU)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return Path(scratch.name)

    def test_a_machine_that_says_nothing_is_unknown(self) -> None:
        root = self.machine()
        self.assertEqual(
            disturbances.state(root), {"governor": None, "turbo": None, "smt": None, "load": None}
        )
        self.assertIsNone(disturbances.ticks(root))

    def test_governor_turbo_and_hyper_threads_are_read(self) -> None:
        files = {"CPU__cpu0__cpufreq__scaling_governor": "powersave\n", "proc__loadavg": "1.25 1 1 1/2 3\n"}
        seen = disturbances.state(self.machine(**files, CPU__smt__active="1\n", CPU__cpufreq__boost="0\n"))
        self.assertEqual(seen, {"governor": "powersave", "turbo": False, "smt": True, "load": 1.25})
        for text, turbo in (("0\n", True), ("1\n", False)):
            seen = disturbances.state(self.machine(CPU__intel_pstate__no_turbo=text, CPU__smt__active="0"))
            self.assertEqual((seen["turbo"], seen["smt"]), (turbo, False))

    def test_stolen_time_is_a_share_of_all(self) -> None:
        root = self.machine(proc__stat="cpu  10 20 30 40 50 60 70 80 5 5\ncpu0 1\n")
        seen = disturbances.ticks(root)
        self.assertEqual(seen, Ticks(360, 80))
        self.assertEqual(disturbances.stolen_since(Ticks(160, 60), seen), 0.1)
        self.assertIsNone(disturbances.stolen_since(None, seen))
        self.assertIsNone(disturbances.stolen_since(seen, seen))

    def test_a_watch_sees_what_a_context_says(self) -> None:
        self.assertEqual(set(disturbances.Watch().seen()), {disturbances.BUSY_CORES, "stolen"})


class ToldTest(unittest.TestCase):
    def causes(self, **context: object) -> list[str]:
        """Returns why this context is doubtful."""
        return list(disturbances.warnings_of(context))

    def test_a_quiet_machine_is_not_doubted(self) -> None:
        quiet = {"governor": "performance", "turbo": False, "smt": False, "load": 0.1}
        self.assertEqual(self.causes(state=quiet, stolen=0.0, cores_busy_with_other_programs=0.0), [])
        self.assertEqual(self.causes(), [])
        self.assertEqual(self.causes(cpu_scaling_enabled=False, library_build_type="release"), [])

    def test_each_disturbance_is_told(self) -> None:
        loud = {"governor": "powersave", "turbo": True, "smt": True, "load": 3.0}
        self.assertEqual(
            self.causes(state=loud, num_cpus=2, stolen=0.05, library_build_type="debug"),
            ["scaling", "turbo", "smt", "load", "stolen", "library"],
        )
        self.assertEqual(self.causes(cpu_scaling_enabled=True), ["scaling"])
        self.assertEqual(self.causes(load_avg=[1.5, 0, 0], num_cpus=2), ["load"])
        self.assertEqual(self.causes(load_avg=[0.9, 0, 0], num_cpus=2), [])

    def test_what_other_programs_took_counts_more_than_the_load(self) -> None:
        loud: Json = {"state": {"load": 9.0}, "machine": {"cores": 2}}
        self.assertEqual(self.causes(**loud, cores_busy_with_other_programs=0.1), [])
        told = disturbances.warnings_of({**loud, "cores_busy_with_other_programs": 1.2})
        self.assertEqual(list(told), ["busy"])
        self.assertIn("other programs kept 1.2 of 2 cores busy", told["busy"])

    def test_the_remedy_is_told(self) -> None:
        told = disturbances.warnings_of({"state": {"governor": "ondemand", "turbo": True, "smt": True}})
        for cause, remedy in (("scaling", "cpupower"), ("turbo", "no_turbo"), ("smt", "smt/control")):
            self.assertIn(remedy, told[cause])

    def test_our_own_laps_do_not_depend_on_how_the_library_was_built(self) -> None:
        self.assertEqual(self.causes(denominator="...", library_build_type="debug"), [])

    def test_what_differs_is_told_and_what_both_have_once(self) -> None:
        a: Json = {"state": {"governor": "powersave", "smt": True}, "mhz_per_cpu": 2000, "host_name": "x"}
        b: Json = {"state": {"governor": "performance", "smt": True}, "mhz_per_cpu": 2500, "host_name": "y"}
        told = disturbances.notes_on(a, b)
        self.assertEqual(
            [words.partition(":")[2][:40] for words in told[:3]],
            [
                " governor: powersave at the baseline, pe",
                " clock: 2000 MHz at the baseline, 2500 M",
                " host: x at the baseline, y at the candi",
            ],
        )
        self.assertTrue(told[3].startswith("baseline: the processor's clock is scaled (governor powersave)"))
        self.assertTrue(told[4].startswith("hyper-threads"))
        self.assertEqual(len(told), 5)
        self.assertEqual(disturbances.contrasts(a, a), [])
        self.assertEqual(disturbances.contrasts({"mhz_per_cpu": 2000}, {"mhz_per_cpu": 2100}), [])


if __name__ == "__main__":
    unittest.main()
