#!/usr/bin/env python3
"""Shows its environment, its arguments and its process."""
import os
import resource
import stat
import sys


def case_environment():
    for name, value in os.environ.items():
        print(repr(name), repr(value))


def case_environment_bytes():
    print(list(os.environb.items()), type(os.environ).__name__, type(os.environ._data).__name__)


def case_environment_of_child():
    os.execvp("env", ["env"])


def case_environment_of_spawn():
    sys.stdout.flush()
    os.system("env")


def case_environment_changed():
    os.environ["NEW"] = "1"
    os.environ.pop("PLUGIN_TOKEN", None)
    os.execvp("env", ["env"])


def case_posix_environment():
    import posix

    print(posix.environ == os.environb._data, posix.environ is os.environ._data, list(posix.environ)[:3])


def case_arguments():
    print(sys.argv, type(sys.argv), getattr(sys, "orig_argv", None), sys.executable, sys.prefix, sys.exec_prefix, sys.base_prefix)


def case_directory():
    print(os.getcwd(), os.environ.get("PWD"))


def case_umask():
    mask = os.umask(0)
    print(oct(mask))


def case_limits():
    for name in sorted(dir(resource)):
        if name.startswith("RLIMIT_"):
            print(name, resource.getrlimit(getattr(resource, name)))


def case_group():
    print(os.getpgrp() == os.getpid(), os.getsid(0) == os.getpid(), os.getsid(0) == os.getpgid(os.getsid(0)))
    try:
        print(os.tcgetpgrp(0))
    except OSError as fault:
        print(fault.errno)


def case_terminal():
    try:
        os.open("/dev/tty", os.O_RDWR)
        print("a terminal")
    except OSError as fault:
        print(fault.errno)


def case_identity():
    print(os.getuid(), os.geteuid(), os.getgid(), os.getegid(), os.getgroups(), os.getpriority(os.PRIO_PROCESS, 0))
    print(os.sched_getaffinity(0), os.sched_getscheduler(0))


def case_kernel_view():
    names = "Name Umask State TracerPid Uid Gid Groups Kthread CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs Seccomp Threads".split()
    with open("/proc/self/status") as file:
        print([line.split() for line in file if line.split(":")[0] in names])
    with open("/proc/self/oom_score_adj") as file:
        print(file.read())


def case_children():
    try:
        print(os.waitpid(-1, os.WNOHANG))
    except ChildProcessError as fault:
        print(fault)


def case_descriptors():
    for number in sorted(int(name) for name in os.listdir("/proc/self/fd")):
        try:
            link = os.readlink("/proc/self/fd/%d" % number)
            mode = os.fstat(number)
        except OSError:
            continue
        import fcntl

        kind = link.split(":")[0]
        flags = fcntl.fcntl(number, fcntl.F_GETFL)
        print(number, kind, stat.filemode(mode.st_mode), oct(flags), fcntl.fcntl(number, fcntl.F_GETFD))


def case_inheritable():
    sys.stdout.flush()
    os.system("ls /proc/self/fd | wc -l")


def case_parent_leads_session():
    print(os.getppid() == os.getsid(0))


def case_command_line():
    with open("/proc/self/cmdline", "rb") as file:
        print(file.read())


def case_initial_environment():
    with open("/proc/self/environ", "rb") as file:
        print(file.read())


def describe():
    commands = ['{"name": "%s", "description": "A case", "parameters": []}' % name for name in sorted(CASES)]
    plugin = '{"name": "same", "version": "1.0.0", "description": "Shows what it sees"}'
    print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, ", ".join(commands)))


CASES = {name[5:]: case for name, case in globals().items() if name.startswith("case_")}
if __name__ == "__main__":
    describe() if sys.argv[1:2] == ["--describe"] else CASES[sys.argv[1]]()
