"""scripts/setup on machines whose packages do not go together: apt-get and dpkg-query are fakes with apt's
own words."""

from __future__ import annotations

from tree import Case

# `apt-get install -s` simulates; everything else fails as the real one does.
APT = """#!/bin/sh
echo "apt-get $*" >>"$FAKE_LOG"
case "$*" in
*update*) exit 0 ;;
*" -s "*) cat <<'SAID'
Reading package lists...
{said}
SAID
esac
exit 100
"""
CONFLICT = """The following packages have unmet dependencies:
 libhdf5-dev : Conflicts: libhdf5-mpich-dev but 1.10.8 is to be installed
E: Unable to correct problems, you have held broken packages."""
REMOVAL = """The following packages will be REMOVED:
  libcurl4-gnutls-dev
The following NEW packages will be installed:
  libhdf5-dev"""
UNKNOWN = "E: Unable to locate package relacy-dev"


class SetupTest(Case):
    def refused(self, said: str) -> str:
        """Returns what scripts/setup says when apt refuses with these words."""
        self.program("apt-get", APT.format(said=said))
        self.program("dpkg-query", "#!/bin/sh\nexit 1\n")
        self.program("sudo", '#!/bin/sh\nexec "$@"\n')
        done = self.run_it(self.whole_command("setup"), env={"HOTINDEX_NO_SETUP": ""})
        self.assertEqual(done.returncode, 1, done.stdout)
        return done.stderr

    def test_packages_that_exclude_each_other_are_named(self) -> None:
        self.assertIn("libhdf5-dev : Conflicts: libhdf5-mpich-dev", self.refused(CONFLICT))

    def test_a_package_that_would_be_removed_is_named_and_stays(self) -> None:
        self.assertIn("to make room, libcurl4-gnutls-dev would have to be removed", self.refused(REMOVAL))
        install = next(line for line in self.log.read_text().splitlines() if " -y " in line)
        self.assertIn("--no-remove", install)

    def test_a_package_that_is_unknown_is_named(self) -> None:
        self.assertIn("Unable to locate package relacy-dev", self.refused(UNKNOWN))

    def test_who_only_compares_needs_python_only(self) -> None:
        self.program("dpkg-query", '#!/bin/sh\necho "$*" >>"$FAKE_LOG"; exit 1\n')
        self.program("apt-get", "#!/bin/sh\nexit 0\n")
        self.program("sudo", '#!/bin/sh\nexec "$@"\n')
        cases: list[list[str]] = [["--python"], [], ["--lint", "--python"]]
        for flags in cases:
            self.forget_log()
            done = self.run_it(self.whole_command("setup", *flags), env={"HOTINDEX_NO_SETUP": ""})
            self.assertEqual(done.returncode, 0, done.stderr)
            asked = self.log.read_text().split()
            self.assertIn("python3-scipy", asked)
            self.assertEqual("cmake" in asked, "--python" not in flags)
            self.assertEqual("mypy" in asked, "--lint" in flags)
