"""Who uses hotindex gets it: as a part of another CMake project, installed, through pkg-config, in a plugin.
One project takes it by FetchContent as a static library, and then by add_subdirectory as a shared one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Dict, Union

ROOT = Path(__file__).resolve().parents[2]
Word = Union[str, Path]

# What is linked into a program and into a plugin. WHOLE: with an index of its own, which takes longer to
# compile.
ANSWER = """\
#include <hotindex/vector_index.hpp>
#include <hotindex/version.hpp>
#ifdef WHOLE
#include <hotindex/lock_free_hot_vector_index.hpp>
#endif
#include <cstdio>
extern "C" int hotindex_consumer() {
    std::printf("%d.%d.%d\\n", HOTINDEX_VERSION_MAJOR, HOTINDEX_VERSION_MINOR, HOTINDEX_VERSION_PATCH);
    std::fflush(stdout);
    std::vector<float> one{1, 2};
    hotindex::IndexOptions options{.dimension = 2};
    hotindex::check::vector(one, options, "vector"); // the library's own code
#ifdef WHOLE
    hotindex::LockFreeHotVectorIndex index(options);
    index.add_vector("a", one);
    return index.search(one, 5).size() == 1 ? 42 : 0;
#else
    return 42;
#endif
}
"""
MAIN = """\
extern "C" int hotindex_consumer();
int main() { return hotindex_consumer() == 42 ? 0 : 1; }
"""
PROJECT = """\
cmake_minimum_required(VERSION 3.22)
project(consumer VERSION 9.8.7 LANGUAGES CXX)
{found}
message(STATUS "build type: '${{CMAKE_BUILD_TYPE}}'")
add_library(answer OBJECT answer.cpp)
target_link_libraries(answer PUBLIC hotindex::hotindex)
target_compile_definitions(answer PRIVATE {definitions})
set_target_properties(answer PROPERTIES POSITION_INDEPENDENT_CODE ON)
add_executable(consumer main.cpp)
target_link_libraries(consumer PRIVATE answer)
add_library(plugin MODULE main.cpp)
target_link_libraries(plugin PRIVATE answer)
"""
# Both build in the same folder, so that nothing is compiled twice.
FETCHED = """\
include(FetchContent)
FetchContent_Declare(hotindex URL nowhere BINARY_DIR ${CMAKE_BINARY_DIR}/hotindex)
FetchContent_MakeAvailable(hotindex)
"""
ADDED = f"add_subdirectory({ROOT} hotindex)"
FOUND = "find_package(hotindex {version} REQUIRED)"
LOAD = "import ctypes, sys; sys.exit(ctypes.CDLL(sys.argv[1]).hotindex_consumer())"
KINDS = ("static", "shared")


class PackagingTest(unittest.TestCase):
    """The tests share what is built and installed."""

    scratch: tempfile.TemporaryDirectory[str]
    folder: Path
    said = ""

    @classmethod
    def setUpClass(cls) -> None:
        """Makes a folder for all tests; in it, for each kind of library, a program, a plugin and a prefix."""
        cls.scratch = tempfile.TemporaryDirectory(prefix="hotindex-packaging-")
        cls.addClassCleanup(cls.scratch.cleanup)
        cls.folder = Path(cls.scratch.name)
        cls.source("project", FETCHED, "WHOLE")
        cls.said += cls.built("project", f"-DFETCHCONTENT_SOURCE_DIR_HOTINDEX={ROOT}")
        cls.installed("nothing")
        cls.run_it("cmake", "-DHOTINDEX_INSTALL=ON", cls.folder / "project/build")
        cls.keep("static")
        cls.source("project", ADDED, "WHOLE")
        cls.said += cls.built("project", "-DBUILD_SHARED_LIBS=ON")
        cls.keep("shared")

    # ---- what they do ----

    @classmethod
    def run_it(cls, *command: Word, env: Dict[str, str] | None = None) -> str:
        """Runs a command, which is expected to succeed. Returns what it printed."""
        # One of Highway's targets is enough: no kernel is measured here.
        quick = {"CXXFLAGS": "-DHWY_COMPILE_ONLY_STATIC"}
        inherited = {name: value for name, value in os.environ.items() if name != "CMAKE_BUILD_TYPE"}
        done = subprocess.run(
            command, env={**inherited, **quick, **(env or {})}, text=True, capture_output=True, cwd=cls.folder
        )
        if done.returncode != 0:
            raise AssertionError(f"{command[0]} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    @classmethod
    def source(cls, name: str, found: str, definitions: str = "") -> None:
        """Writes a project that finds hotindex in this way."""
        folder = cls.folder / name
        folder.mkdir(exist_ok=True)
        text = PROJECT.format(found=found, definitions=definitions)
        for file, content in (("CMakeLists.txt", text), ("answer.cpp", ANSWER), ("main.cpp", MAIN)):
            if not (folder / file).exists() or (folder / file).read_text() != content:
                (folder / file).write_text(content)

    @classmethod
    def built(cls, name: str, *flags: str) -> str:
        """Configures and builds a project. Returns what was said."""
        folder = cls.folder / name
        said = cls.run_it("cmake", "-G", "Ninja", "-S", folder, "-B", folder / "build", *flags)
        return said + cls.run_it("cmake", "--build", folder / "build")

    @classmethod
    def installed(cls, name: str) -> Path:
        """Installs what the project has. Returns the folder."""
        cls.run_it("cmake", "--install", cls.folder / "project/build", "--prefix", cls.folder / name)
        return cls.folder / name

    @classmethod
    def keep(cls, kind: str) -> None:
        """Keeps what the project has made; what is installed is moved elsewhere."""
        shutil.move(cls.installed("staging"), cls.folder / f"{kind}-prefix")
        made = cls.folder / kind / "build"
        made.mkdir(parents=True)
        for name in ("consumer", "libplugin.so"):
            shutil.copy2(cls.folder / "project/build" / name, made)

    def use(self, name: str, env: Dict[str, str] | None = None) -> None:
        """Runs a program, and loads a plugin into a process that knows nothing of hotindex."""
        build = self.folder / name / "build"
        self.assertEqual(self.run_it(build / "consumer", env=env), f"{version()}\n")
        loaded = subprocess.run(
            [sys.executable, "-c", LOAD, build / "libplugin.so"],
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
        )
        self.assertEqual((loaded.returncode, loaded.stdout), (42, f"{version()}\n"), loaded.stderr)

    def libraries(self, folder: Path) -> set[str]:
        """Returns the names of hotindex's libraries in a folder."""
        return {path.name for path in folder.rglob("libhotindex*")}

    # ---- the tests ----

    def test_a_project_that_fetches_it_links_the_static_library_into_a_program_and_a_plugin(self) -> None:
        self.assertEqual(self.libraries(self.folder / "static-prefix"), {"libhotindex.a"})
        self.use("static")

    def test_a_project_that_adds_its_folder_gets_the_shared_library_if_it_wants_that(self) -> None:
        names = {f"libhotindex.so{end}" for end in ("", f".{version().rpartition('.')[0]}", f".{version()}")}
        self.assertEqual(self.libraries(self.folder / "shared-prefix"), names)
        self.use("shared")

    def test_a_project_around_keeps_its_build_type_and_gets_the_library_alone(self) -> None:
        self.assertEqual(self.said.count("build type: ''"), 2, self.said)
        objects = {path.stem for path in (self.folder / "project/build/hotindex").rglob("*.o")}
        self.assertEqual(objects, {path.name for path in (ROOT / "impl/hotindex").rglob("*.cpp")})

    def test_a_project_around_installs_nothing_of_it_unless_it_wants_that(self) -> None:
        self.assertFalse((self.folder / "nothing").exists())

    def test_what_is_installed_is_found_by_cmake_where_it_was_moved_to(self) -> None:
        for kind in KINDS:
            self.source(f"found-{kind}", FOUND.format(version=version()))
            self.built(f"found-{kind}", f"-DCMAKE_PREFIX_PATH={self.folder / kind}-prefix")
            self.use(f"found-{kind}")

    def test_what_is_installed_is_found_by_pkg_config_where_it_was_moved_to(self) -> None:
        for kind in KINDS:
            prefix = self.folder / f"{kind}-prefix"
            there = {"PKG_CONFIG_PATH": str(next(prefix.rglob("hotindex.pc")).parent)}
            self.source(f"asking-{kind}", "")
            folder = self.folder / f"asking-{kind}"
            self.assertEqual(
                self.run_it("pkg-config", "--modversion", "hotindex", env=there), f"{version()}\n"
            )
            flags = self.run_it("pkg-config", "--cflags", "--libs", "hotindex", env=there).split()
            files = [folder / "answer.cpp", folder / "main.cpp"]
            self.run_it(os.environ.get("CXX", "c++"), "-std=c++20", *files, "-o", folder / "consumer", *flags)
            libraries = {"LD_LIBRARY_PATH": str(next(prefix.rglob("libhotindex.*")).parent)}
            self.assertEqual(self.run_it(folder / "consumer", env=libraries), f"{version()}\n")

    def test_the_headers_of_the_library_are_installed_and_nothing_else(self) -> None:
        sources = ROOT / "impl"
        headers = {str(path.relative_to(sources)) for path in (sources / "hotindex").rglob("*.hpp")}
        for kind in KINDS:
            prefix = self.folder / f"{kind}-prefix"
            there = {str(path.relative_to(prefix)): path for path in prefix.rglob("*") if path.is_file()}
            included = {name[len("include/") :] for name in there if name.startswith("include/")}
            self.assertEqual(included, headers | {"hotindex/version.hpp"})
            for name, path in there.items():
                self.assertNotRegex(name.lower(), "plant|test|catch|relacy|fuzz")
                if "/libhotindex." not in name:
                    text = path.read_text()
                    self.assertNotRegex(text, r"HOTINDEX_PLANTED|planted::|#include <(catch2|relacy)")
                    self.assertNotIn(str(ROOT), text)


def version() -> str:
    """Returns the version in project()."""
    found = re.search(
        r"^project\(hotindex VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text(), re.MULTILINE
    )
    assert found
    return found[1]


if __name__ == "__main__":
    unittest.main()
