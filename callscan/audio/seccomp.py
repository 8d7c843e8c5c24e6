"""The kernel's filter on system calls: a decoding process keeps those that decoding needs, for good.

Limits on open files already keep a decoder that was taken over from reading anything; the filter also keeps it from
removing files, starting programs and sending signals. Source: seccomp(2), the kernel's syscall tables.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

_TABLES: dict[str, tuple[int, int, dict[str, int]]] = {
    # machine: (AUDIT_ARCH, number of seccomp(2), numbers of what is allowed)
    "x86_64": (
        0xC000003E,
        317,
        {
            "read": 0, "write": 1, "close": 3, "fstat": 5, "poll": 7, "lseek": 8, "mmap": 9, "mprotect": 10,
            "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "pread64": 17,
            "readv": 19,
            "writev": 20, "sched_yield": 24, "mremap": 25, "madvise": 28, "nanosleep": 35, "getpid": 39, "sendto": 44,
            "recvfrom": 45, "sendmsg": 46, "recvmsg": 47, "exit": 60, "uname": 63, "ftruncate": 77, "getrlimit": 97,
            "getrusage": 98, "sysinfo": 99, "setrlimit": 160, "gettid": 186, "futex": 202, "sched_getaffinity": 204,
            "restart_syscall": 219, "clock_gettime": 228, "clock_nanosleep": 230, "exit_group": 231, "tgkill": 234,
            "newfstatat": 262, "ppoll": 271, "set_robust_list": 273, "prlimit64": 302, "getrandom": 318,
            "membarrier": 324, "rseq": 334,
        },
    ),
    "aarch64": (
        0xC00000B7,
        277,
        {
            "read": 63, "write": 64, "close": 57, "fstat": 80, "ppoll": 73, "lseek": 62, "mmap": 222, "mprotect": 226,
            "munmap": 215, "brk": 214, "rt_sigaction": 134, "rt_sigprocmask": 135, "rt_sigreturn": 139, "pread64": 67,
            "readv": 65, "writev": 66, "sched_yield": 124, "mremap": 216, "madvise": 233, "nanosleep": 101,
            "getpid": 172, "sendto": 206, "recvfrom": 207, "sendmsg": 211, "recvmsg": 212, "exit": 93, "uname": 160,
            "ftruncate": 46,
            "getrlimit": 163, "getrusage": 165, "sysinfo": 179, "setrlimit": 164, "gettid": 178, "futex": 98,
            "sched_getaffinity": 123, "restart_syscall": 128, "clock_gettime": 113, "clock_nanosleep": 115,
            "exit_group": 94, "tgkill": 131, "newfstatat": 79, "set_robust_list": 99, "prlimit64": 261,
            "getrandom": 278, "membarrier": 283, "rseq": 293,
        },
    ),
}  # fmt: skip

_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_JMP|JGE|K, BPF_RET|K
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050001  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO | EPERM
_NUMBER, _ARCHITECTURE = 0, 4  # offsets in struct seccomp_data
_X32 = 0x40000000  # system calls of the x32 interface carry this bit
_NO_NEW_PRIVILEGES, _SET_FILTER, _ALL_THREADS = 38, 1, 1


class _Program(ctypes.Structure):
    """``struct sock_fprog``."""

    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def _filter(architecture: int, allowed: list[int]) -> bytes:
    """The filter's program: refuse (EPERM) all but ``allowed``; jumps are relative to the next instruction."""
    count = len(allowed)
    steps = [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 0, count + 2, architecture), (_LOAD, 0, 0, _NUMBER)]
    steps.append((_AT_LEAST, count, 0, _X32))
    steps += [(_EQUAL, count - place, 0, number) for place, number in enumerate(allowed)]
    steps += [(_RETURN, 0, 0, _REFUSE), (_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def restrict() -> bool:
    """Filter the system calls of this process and all its threads; False where the system has no such filter."""
    machine = os.uname().machine
    if sys.platform != "linux" or machine not in _TABLES or sys.maxsize < 1 << 32:
        return False
    architecture, number, allowed = _TABLES[machine]
    code = _filter(architecture, sorted(allowed.values()))
    program = _Program(len(code) // 8, code)
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        return False
    return bool(library.syscall(number, _SET_FILTER, _ALL_THREADS, ctypes.byref(program)) == 0)
