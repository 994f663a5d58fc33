"""A library put before the C library, so that the disk of one process fails when a test says so."""

import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = r"""
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


def failing_disk(directory: Path) -> Path:
    """Compile the library; skips the test where there is no compiler."""
    if shutil.which("gcc") is None:
        pytest.skip("needs gcc, to compile a disk that fails")
    source, library = directory / "failing.c", directory / "failing.so"
    source.write_text(SOURCE)
    command = ["gcc", "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True)
    return library
