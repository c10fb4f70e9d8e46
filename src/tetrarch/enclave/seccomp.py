"""seccomp: from now on this process makes only the system calls that are listed here. Linux, x86-64.

A classic BPF program that the kernel runs before each call. What is not listed fails with EPERM, so
a library that probes for something goes on without it. Numbers: the kernel's
arch/x86/entry/syscalls/syscall_64.tbl; the way: Documentation/userspace-api/seccomp_filter.rst.
"""

import ctypes
import errno
import os
import platform
import struct

_SECCOMP, _SET_MODE_FILTER, _ALL_THREADS = 317, 1, 1
_ARCH_X86_64 = 0xC000003E
_X32_BIT = 0x40000000
_NUMBER_AT, _ARCH_AT, _ARGUMENTS_AT = 0, 4, 16
_LOAD, _JUMP_EQUAL, _JUMP_GREATER_EQUAL, _JUMP_SET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _FAIL, _KILL = 0x7FFF0000, 0x00050000, 0x80000000

# Files that Landlock bounds, the socket that is open, memory, threads, time, and the end. Some are
# what other versions of the C library and of Python use for the same.
ALLOWED = {
    "read": 0,
    "write": 1,
    "open": 2,
    "close": 3,
    "stat": 4,
    "fstat": 5,
    "lstat": 6,
    "poll": 7,
    "lseek": 8,
    "munmap": 11,
    "brk": 12,
    "rt_sigaction": 13,
    "rt_sigprocmask": 14,
    "rt_sigreturn": 15,
    "pread64": 17,
    "pwrite64": 18,
    "readv": 19,
    "writev": 20,
    "access": 21,
    "sched_yield": 24,
    "mremap": 25,
    "madvise": 28,
    "dup": 32,
    "nanosleep": 35,
    "getpid": 39,
    "sendto": 44,
    "recvfrom": 45,
    "shutdown": 48,
    "exit": 60,
    "uname": 63,
    "fcntl": 72,
    "flock": 73,
    "fsync": 74,
    "fdatasync": 75,
    "ftruncate": 77,
    "getcwd": 79,
    "rename": 82,
    "mkdir": 83,
    "unlink": 87,
    "readlink": 89,
    "fchmod": 91,
    "fchown": 93,
    "getrusage": 98,
    "sysinfo": 99,
    "getuid": 102,
    "getgid": 104,
    "geteuid": 107,
    "getegid": 108,
    "sigaltstack": 131,
    "statfs": 137,
    "fstatfs": 138,
    "mlockall": 151,
    "gettid": 186,
    "futex": 202,
    "sched_getaffinity": 204,
    "getdents64": 217,
    "restart_syscall": 219,
    "clock_gettime": 228,
    "clock_getres": 229,
    "clock_nanosleep": 230,
    "exit_group": 231,
    "openat": 257,
    "mkdirat": 258,
    "newfstatat": 262,
    "unlinkat": 263,
    "renameat": 264,
    "readlinkat": 267,
    "faccessat": 269,
    "ppoll": 271,
    "set_robust_list": 273,
    "getrandom": 318,
    "membarrier": 324,
    "statx": 332,
    "rseq": 334,
    "faccessat2": 439,
}
_MMAP, _MPROTECT, _IOCTL, _CLONE, _PRCTL, _TGKILL, _CLONE3 = 9, 10, 16, 56, 157, 234, 435
_PRLIMIT = 302
_PROTECTION_ARGUMENT, _EXECUTABLE = 2, 0x4
_THREAD = 0x00010000  # of clone: a thread, no process
_SET_NAME = 15  # of prctl: a thread's
_HARMLESS_IOCTLS = (0x5401, 0x5421, 0x5451)  # is it a terminal; (non-)blocking; close on exec


def program(process_id: int) -> bytes:
    """The filter: 8 bytes for each instruction. Pure."""
    fail = _FAIL | errno.EPERM
    code = [
        (_LOAD, 0, 0, _ARCH_AT),
        (_JUMP_EQUAL, 1, 0, _ARCH_X86_64),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER_AT),
        (_JUMP_GREATER_EQUAL, 0, 1, _X32_BIT),
        (_RETURN, 0, 0, _KILL),
    ]
    for number in ALLOWED.values():
        code += [(_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOW)]
    code += _if_unset(_MMAP, _PROTECTION_ARGUMENT, _EXECUTABLE, fail)
    code += _if_unset(_MPROTECT, _PROTECTION_ARGUMENT, _EXECUTABLE, fail)
    code += _if_set(_CLONE, 0, _THREAD, fail)
    code += _if_one_of(_IOCTL, 1, _HARMLESS_IOCTLS, fail)
    code += _if_one_of(_PRCTL, 0, (_SET_NAME,), fail)
    code += _if_one_of(_PRLIMIT, 0, (0,), fail)  # its own limits
    code += _if_one_of(_TGKILL, 0, (process_id,), fail)  # its own end, by abort()
    # The C library then uses clone, whose flags can be read.
    code += [(_JUMP_EQUAL, 0, 1, _CLONE3), (_RETURN, 0, 0, _FAIL | errno.ENOSYS)]
    code += [(_RETURN, 0, 0, fail)]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in code)


def restrict() -> bool:
    """Install the filter for all threads, for good; False: not on this machine, nothing changed.

    Needs no_new_privs.

    Raises:
        OSError: the kernel refuses.
    """
    if platform.machine() != "x86_64" or os.name != "posix":
        return False
    code = program(os.getpid())
    buffer = ctypes.create_string_buffer(code, len(code))
    # struct sock_fprog: how many instructions, and where.
    header = struct.pack("=H6xQ", len(code) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    result: int = libc.syscall(
        ctypes.c_long(_SECCOMP),
        ctypes.c_uint(_SET_MODE_FILTER),
        ctypes.c_uint(_ALL_THREADS),
        ctypes.c_char_p(header),
    )
    if result != 0:
        code_ = ctypes.get_errno()
        if code_ in {errno.ENOSYS, errno.EINVAL}:
            return False
        raise OSError(code_, os.strerror(code_), "seccomp")
    return True


_Code = list[tuple[int, int, int, int]]


def _argument_at(index: int) -> int:
    return _ARGUMENTS_AT + 8 * index  # its lower half, on a little-endian machine


def _checked(number: int, argument: int, tests: _Code, fail: int, *, allowed_first: bool) -> _Code:
    """``tests`` jump to the second last instruction (allowed) or the last one, or fall through."""
    body = [(_LOAD, 0, 0, _argument_at(argument)), *tests]
    ends = [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, fail)]
    body += ends if allowed_first else ends[::-1]
    return [(_JUMP_EQUAL, 0, len(body), number), *body]


def _if_unset(number: int, argument: int, bits: int, fail: int) -> _Code:
    return _checked(number, argument, [(_JUMP_SET, 1, 0, bits)], fail, allowed_first=True)


def _if_set(number: int, argument: int, bits: int, fail: int) -> _Code:
    return _checked(number, argument, [(_JUMP_SET, 1, 0, bits)], fail, allowed_first=False)


def _if_one_of(number: int, argument: int, values: tuple[int, ...], fail: int) -> _Code:
    last = len(values)
    tests = [(_JUMP_EQUAL, last - position, 0, value) for position, value in enumerate(values)]
    return _checked(number, argument, tests, fail, allowed_first=False)
