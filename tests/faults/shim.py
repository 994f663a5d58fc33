"""Libraries put before the C library: a disk that fails, clocks that are set and go wrong."""

import shutil
import subprocess
from pathlib import Path

import pytest

FAILING_DISK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* A call fails with EIO for as long as its name is all that stands in the file FAILING names. */
static int is_failing(const char *call) {
    const char *path = getenv("FAILING");
    int file = path ? open(path, O_RDONLY) : -1;
    char found[32] = "";
    if (file < 0) return 0;
    ssize_t length = read(file, found, sizeof found - 1);
    close(file);
    return length == (ssize_t)strlen(call) && memcmp(found, call, length) == 0;
}

int fdatasync(int fd) {
    static int (*next)(int);
    if (!next) next = dlsym(RTLD_NEXT, "fdatasync");
    if (is_failing("fdatasync")) { errno = EIO; return -1; }
    return next(fd);
}

ssize_t pwrite(int fd, const void *buf, size_t count, off_t offset) {
    static ssize_t (*next)(int, const void *, size_t, off_t);
    if (!next) next = dlsym(RTLD_NEXT, "pwrite");
    if (is_failing("pwrite")) { errno = EIO; return -1; }
    return next(fd, buf, count, offset);
}

ssize_t pwrite64(int fd, const void *buf, size_t count, off_t offset) {
    return pwrite(fd, buf, count, offset);
}
"""


SET_CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

/* The file that CLOCK names: nanoseconds that the wall clock is ahead, and the pace of the other
   clocks in millionths. */
struct clocks { volatile int64_t ahead_ns, pace; };

static int64_t began_ns;

static struct clocks *clocks(void) {
    static struct clocks *found, right = {0, 1000000};
    if (!found) {
        const char *path = getenv("CLOCK");
        int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        void *map = file < 0 ? MAP_FAILED : mmap(0, sizeof *found, PROT_READ, MAP_SHARED, file, 0);
        if (file >= 0) close(file);
        found = map == MAP_FAILED ? &right : map;
    }
    return found;
}

int clock_gettime(clockid_t id, struct timespec *time) {
    static int (*next)(clockid_t, struct timespec *);
    if (!next) next = dlsym(RTLD_NEXT, "clock_gettime");
    int result = next(id, time);
    if (result) return result;
    int64_t ns = (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
    if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE) {
        ns += clocks()->ahead_ns;
    } else if (id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE || id == CLOCK_BOOTTIME) {
        if (!began_ns) began_ns = ns;
        ns = began_ns + (int64_t)((double)(ns - began_ns) * clocks()->pace / 1e6);
    }
    time->tv_sec = ns / 1000000000;
    time->tv_nsec = ns % 1000000000;
    return 0;
}
"""


def failing_disk(directory: Path) -> Path:
    """Compile a disk that fails as the file FAILING says."""
    return _compile(directory, "failing", FAILING_DISK)


def set_clock(directory: Path) -> Path:
    """Compile clocks that go as the file CLOCK says."""
    return _compile(directory, "clock", SET_CLOCK)


def _compile(directory: Path, name: str, text: str) -> Path:
    """Return a library; skips the test where there is no compiler."""
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc, to compile what comes before the C library")
    source, library = directory / f"{name}.c", directory / f"{name}.so"
    source.write_text(text)
    command = ["gcc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True)
    return library
