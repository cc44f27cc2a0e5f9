"""A wall clock that tests may set, for processes of their own; other clocks go on."""

import shutil
import subprocess
from pathlib import Path

from tests.conftest import require

# Loaded before the C library: what it says of the time is that of a file later.
SHIFT = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static long shift(void) {
    long seconds = 0;
    FILE *file = fopen(getenv("WALL_CLOCK_SHIFT"), "r");
    if (file) {
        if (fscanf(file, "%ld", &seconds) != 1) seconds = 0;
        fclose(file);
    }
    return seconds;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) now->tv_sec += shift();
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    static int (*real)(struct timeval *restrict, void *restrict);
    if (!real) real = dlsym(RTLD_NEXT, "gettimeofday");
    int result = real(now, zone);
    now->tv_sec += shift();
    return result;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}
"""


class WallClock:
    """The wall clock of all processes that have ``environment``."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("gcc") or shutil.which("cc")
        require(compiler is not None, "C compiler")
        self._shift = folder / "shift"
        self.set(0)
        source, library = folder / "shift.c", folder / "shift.so"
        source.write_text(SHIFT)
        command = [str(compiler), "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"]
        subprocess.run(command, check=True)
        self.environment = {"LD_PRELOAD": str(library), "WALL_CLOCK_SHIFT": str(self._shift)}

    def set(self, seconds: int) -> None:
        """Set the clock so far from the true one."""
        new = self._shift.with_suffix(".new")
        new.write_text(str(seconds))
        new.replace(self._shift)
