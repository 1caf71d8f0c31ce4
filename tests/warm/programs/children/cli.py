#!/usr/bin/env python3
"""Starts processes in every way."""
import asyncio
import concurrent.futures
import multiprocessing
import os
import signal
import subprocess
import sys


def square(number):
    return number * number


def report(queue):
    queue.put((__name__, os.getpgrp() == os.getppid(), multiprocessing.current_process().name, sys.argv))


def multiprocess(method):
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    process = context.Process(target=report, args=(queue,))
    process.start()
    print(queue.get(timeout=50))
    process.join()
    print(process.exitcode)
    with context.Pool(2) as pool:
        print(pool.map(square, range(5)))


def case_fork():
    multiprocess("fork")


def case_spawn():
    multiprocess("spawn")


def case_forkserver():
    multiprocess("forkserver")


def case_default_method():
    print(multiprocessing.get_start_method(), multiprocessing.current_process(), multiprocessing.active_children())


def case_executor():
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        print(list(pool.map(square, range(5))))


def case_shared():
    value = multiprocessing.Value("i", 3)
    with value.get_lock():
        value.value += 1
    print(value.value, multiprocessing.Lock())


def case_manager():
    with multiprocessing.Manager() as manager:
        shared = manager.list([1])
        shared.append(2)
        print(list(shared))


def case_run():
    done = subprocess.run(["sh", "-c", "cat; echo err >&2; exit 3"], input=b"words", stdout=-1, stderr=-1)
    print(done.returncode, done.stdout, done.stderr)


def case_python():
    code = "import sys, os; print(sys.path[1:], sorted(os.environ), [m for m in sys.modules if 'custom' in m or 'zygote' in m])"
    print(subprocess.run([sys.executable, "-c", code], stdout=-1, universal_newlines=True).stdout)


def case_left_running():
    subprocess.Popen(["sleep", "0.05"])


def case_inherits():
    subprocess.run(["sh", "-c", "ls -l /proc/self/fd | wc -l"], close_fds=False)


def case_asyncio():
    async def main():
        process = await asyncio.create_subprocess_exec("echo", "words", stdout=-1)
        out, _ = await process.communicate()
        return out, process.returncode, await asyncio.gather(asyncio.sleep(0, "a"), asyncio.sleep(0.001, "b"))

    print(asyncio.run(main()))


def case_asyncio_signal():
    async def main():
        came = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, came.set)
        os.kill(os.getpid(), signal.SIGUSR1)
        await asyncio.wait_for(came.wait(), 10)
        print("came")

    asyncio.run(main())


def case_asyncio_left():
    async def forever():
        try:
            await asyncio.sleep(60)
        finally:
            print("cancelled")

    async def main():
        globals()["task"] = asyncio.ensure_future(forever())
        await asyncio.sleep(0)

    asyncio.run(main())


def case_asyncio_thread():
    async def main():
        return await asyncio.get_running_loop().run_in_executor(None, square, 4)

    print(asyncio.run(main()))


def case_logging_time():
    import logging

    record = logging.makeLogRecord({})
    print(0 <= record.relativeCreated < 5000, 0 <= logging.LogRecord("n", 10, "p", 1, "m", (), None).relativeCreated < 5000)


def case_logging():
    import logging

    logging.warning("root %s", 1)
    logging.getLogger("a.b").error("error", exc_info=ValueError("x"))
    print(logging.root.handlers, logging.lastResort)


def describe():
    commands = ['{"name": "%s", "description": "A case", "parameters": []}' % name for name in sorted(CASES)]
    plugin = '{"name": "same", "version": "1.0.0", "description": "Shows what it sees"}'
    print('{"contract_version": "1.0", "plugin": %s, "commands": [%s]}' % (plugin, ", ".join(commands)))


CASES = {name[5:]: case for name, case in globals().items() if name.startswith("case_")}
if __name__ == "__main__":
    describe() if sys.argv[1:2] == ["--describe"] else CASES[sys.argv[1]]()
